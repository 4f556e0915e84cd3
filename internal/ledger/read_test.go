package ledger_test

import (
	"fmt"
	"testing"

	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/testkit"
)

// Many accounts found at once are what each is by itself; those that are not there, or in
// another book, are left out.
func TestFindAccounts(t *testing.T) {
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			_, books := stand(t, testkit.Database(t, engine), 100)
			op := ledger.Operation{Book: theBook, Kind: "open", At: epoch}
			for i := range 200 {
				op.Open = append(op.Open, ledger.NewAccount{ID: ledger.AccountID(fmt.Sprint("card/", i)), Currency: usd, Side: ledger.Credit})
			}
			op.Postings = []ledger.Posting{{Debit: "wallet", Credit: "card/7", Amount: money.New(30, usd)}}
			submit(t, books, op)
			submit(t, books, reserve("r", "hold_1", 20))
			asked := []ledger.AccountID{"wallet", "nobody"}
			for i := range 210 {
				asked = append(asked, ledger.AccountID(fmt.Sprint("card/", i)))
			}
			found, err := books.FindAccounts(t.Context(), theBook, asked)
			if err != nil || len(found) != 201 {
				t.Fatalf("%d accounts, %v", len(found), err)
			}
			for _, a := range found {
				alone, err := books.FindAccount(t.Context(), theBook, a.ID)
				if err != nil || *alone != *a {
					t.Errorf("%+v, alone %+v, %v", a, alone, err)
				}
			}
			for book, accounts := range map[ledger.BookID][]ledger.AccountID{"bk_other": asked, theBook: nil} {
				if found, err := books.FindAccounts(t.Context(), book, accounts); err != nil || len(found) != 0 {
					t.Errorf("%d accounts of %s, %v", len(found), book, err)
				}
			}
		})
	}
}
