package cardpluspay_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/api/wiretest"
	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/order/claim"
	"github.com/scripcards/scrip/internal/order/supply"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/testkit/trace"
)

// Every call and every rule of the contract answers as its golden file says, on both
// engines and as the document says, and leaves behind the movements and events shown.
func TestGoldens(t *testing.T) {
	wiretest.RunAll(t, contract(t), func(t *testing.T, db *storage.DB) wiretest.Golden {
		b := setup(t, db)
		t.Cleanup(b.quiet)
		return b.golden()
	})
}

func (b *bundle) golden() wiretest.Golden {
	told, moved := trace.Events(b.hooks.Outbox, b.acme.Test, b.acme.Live, b.rival.Test, b.rival.Live), trace.Transactions(b.books)
	told(b.t, "")
	b.moved(b.t, moved)
	vars := map[string]string{"unknown_key": "cp_test_sk_" + strings.Repeat("x", 32)}
	for name, key := range b.keys {
		vars[name] = key
	}
	return wiretest.Golden{
		Handler: b.signedFor(), Vars: vars, Headers: []string{"ETag"},
		Rules: []wiretest.Rule{
			{Name: "etag", Pattern: regexp.MustCompile(`ETag: ("[0-9a-f]{32}")`)},
			{Name: "picture", Pattern: regexp.MustCompile(`/images/([0-9a-f]{64})"`)},
			{Name: "chl", Pattern: regexp.MustCompile(`"(chl_[A-Za-z0-9_-]+)"`)},
		},
		Prepare: wiretest.AsJSON,
		Sections: map[string]func(testing.TB, string) string{
			"events":  told,
			"entries": func(t testing.TB, _ string) string { return b.moved(t, moved) },
		},
		Actions: map[string]func(testing.TB, []string){
			"wait": func(_ testing.TB, args []string) {
				d, err := time.ParseDuration(args[0])
				check.OK(b.t, err)
				b.clock.Advance(d)
			},
			"revoke": func(t testing.TB, args []string) {
				check.OK(b.t, b.Accounts.RevokeKey(t.Context(), seeder, b.refs[args[0]]))
			},
			"suspend": func(t testing.TB, _ []string) {
				_, err := b.Accounts.Suspend(t.Context(), seeder, b.acme.ID, "unpaid")
				check.OK(b.t, err)
			},
			"sign": func(testing.TB, []string) { b.sign(b.acme.Test) },
			// decide CLAIM replaced|refunded|rejected: an operator's decision
			"decide": func(t testing.TB, args []string) {
				found, err := b.Claims.OfOrder(t.Context(), b.acme.Test, 1)
				check.OK(b.t, err)
				n, err := strconv.Atoi(args[0])
				check.OK(b.t, err)
				_, err = b.Claims.Decide(t.Context(), claim.Decision{Book: b.acme.Test, Claim: found[n-1].ID, Verdict: claim.Verdict(args[1]),
					Reason: "redeemed by its holder", Actor: seeder})
				check.OK(b.t, err)
			},
			"freeze": func(t testing.TB, _ []string) {
				_, err := b.books.Submit(t.Context(), ledger.Operation{Book: b.acme.Test, Kind: "test.freeze", At: b.clock.Now(),
					States: []ledger.StateChange{{Account: "wallet/USD", To: ledger.Frozen}}})
				check.OK(b.t, err)
			},
			"supplied": func(_ testing.TB, args []string) {
				b.supplied()
				b.slow.behave(supply.State(args[0]))
			},
			"delivers": func(testing.TB, []string) {
				b.slow.behave(supply.Delivered)
				b.later()
			},
			"range": func(testing.TB, []string) { b.spread() },
			"picture": func(t testing.TB, args []string) {
				_, err := b.catalog.SetImage(t.Context(), catalog.ItemCode(args[0]), drawing(t), seeder)
				check.OK(b.t, err)
			},
			"retire": func(t testing.TB, _ []string) {
				_, err := b.catalog.Retire(t.Context(), google, seeder)
				check.OK(b.t, err)
			},
		},
	}
}

// signedFor signs a request's challenge where the request says so.
func (b *bundle) signedFor() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-API-Signature") == "right" {
			r.Header.Set("X-API-Signature", b.signature(r.Header.Get("X-API-Challenge")))
		}
		b.handler.ServeHTTP(w, r)
	})
}

// moved lists the movements since it was last asked.
func (b *bundle) moved(t testing.TB, fresh func(testing.TB, ledger.BookID) []ledger.Outcome) string {
	var out strings.Builder
	for _, customer := range []account.Customer{b.acme, b.rival} {
		for _, o := range fresh(t, customer.Test) {
			for _, m := range o.Moves {
				fmt.Fprintf(&out, "%s %s %s > %s %s %s\n", customer.Name, o.Kind, m.Debit, m.Credit, m.Posted, m.Posted.Currency)
			}
		}
	}
	return out.String()
}

// No route is without a golden success, and no status of the error table that can be
// reached without a golden refusal.
func TestGoldensCover(t *testing.T) {
	// Of the others, 429, 500, 503 and 504 need load, a mistake or time, and 413 is in
	// TestBodyTooLarge: TestErrorTable renders them.
	wiretest.CheckCover(t, wiretest.Cover{Routes: newSurface(t).Routes(), Refusals: []string{"400", "401", "403", "404", "405", "409", "415", "422"}})
}
