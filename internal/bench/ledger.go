package bench

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Ledger makes scenarios that submit operations in process: what the books can do
// without HTTP, authentication or products. Prepare opens a book of its own for them.
type Ledger struct {
	books    *ledger.Ledger
	book     ledger.BookID
	accounts []ledger.AccountID
	amount   money.Amount
	at       time.Time
}

const (
	// loadedMinor is what an account has to spend, in minor units: more than a run takes, and
	// from as many accounts as there may be, less than one sum of the ledger holds.
	loadedMinor = int64(1) << 36
	// openAtOnce bounds the accounts of one operation, which has at most 256 parts.
	openAtOnce = 100
	// maxAccounts bounds what Prepare opens.
	maxAccounts = 10_000_000
)

const (
	cash  = ledger.AccountID("cash")
	spent = ledger.AccountID("spent")
)

// PrepareLedger opens a new book of the test realm in db, with so many accounts that have
// money. books must be the ledger in db.
func PrepareLedger(ctx context.Context, db *storage.DB, books *ledger.Ledger, accounts int) (*Ledger, error) {
	if accounts < 1 || accounts > maxAccounts {
		return nil, fmt.Errorf("prepare %d accounts: want 1 to %d", accounts, maxAccounts)
	}
	usd, err := money.Parse("USD")
	if err != nil {
		return nil, err
	}
	l := &Ledger{books: books, book: ledger.BookID(id.New("bk")), amount: money.New(1, usd), at: clock.System().Now()}
	err = db.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		return ledger.OpenBook(ctx, tx, ledger.Book{ID: l.book, Realm: realm.Test, OpenedAt: l.at})
	})
	if err != nil {
		return nil, fmt.Errorf("open a book: %w", err)
	}
	for len(l.accounts) < accounts {
		if err := l.open(ctx, min(openAtOnce, accounts-len(l.accounts))); err != nil {
			return nil, fmt.Errorf("open account %d: %w", len(l.accounts), err)
		}
	}
	return l, nil
}

// open opens and loads n more accounts.
func (l *Ledger) open(ctx context.Context, n int) error {
	usd := l.amount.Currency
	op := ledger.Operation{Book: l.book, Kind: "bench.load", At: l.at, Open: []ledger.NewAccount{
		{ID: cash, Currency: usd, Side: ledger.Debit, Unbounded: true},
		{ID: spent, Currency: usd, Side: ledger.Credit, Unbounded: true}}}
	for range n {
		account := ledger.AccountID(fmt.Sprintf("card/%08d", len(l.accounts)))
		op.Open = append(op.Open, ledger.NewAccount{ID: account, Currency: usd, Side: ledger.Credit})
		op.Postings = append(op.Postings, ledger.Posting{Debit: cash, Credit: account, Amount: money.New(loadedMinor, usd)})
		l.accounts = append(l.accounts, account)
	}
	_, err := l.books.Submit(ctx, op)
	return err
}

// Hot spends from one account with every operation.
func (l *Ledger) Hot() Scenario { return l.spend("ledger hot", "h", 1) }

// Spread spends from all accounts in turn.
func (l *Ledger) Spread() Scenario { return l.spend("ledger spread", "s", len(l.accounts)) }

// Scenarios returns both.
func (l *Ledger) Scenarios() []Scenario { return []Scenario{l.Hot(), l.Spread()} }

func (l *Ledger) spend(name, mark string, accounts int) Scenario {
	return Scenario{Name: name, Do: func(ctx context.Context, _ int, n int64) error {
		_, err := l.books.Submit(ctx, ledger.Operation{Book: l.book, Kind: "bench.spend", Key: mark + strconv.FormatInt(n, 10), At: l.at,
			Postings: []ledger.Posting{{Debit: l.accounts[n%int64(accounts)], Credit: spent, Amount: l.amount}}})
		return err
	}}
}
