// Package wallet is the prepaid balance of a customer, one account per currency in
// each of its books. It is loaded by the operator against a recorded bank transfer, or
// with what its owner deposits: see the packages address and deposit below.
//
// It keeps no balance of its own: the ledger does.
package wallet

import (
	"context"
	"fmt"

	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/plain"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/webhook"
)

// Service is the wallets of one installation. It is safe for concurrent use.
type Service struct {
	books  *ledger.Ledger
	outbox *webhook.Outbox
	clocks *clock.Realms
}

// New returns the service.
func New(books *ledger.Ledger, outbox *webhook.Outbox, clocks *clock.Realms) *Service {
	return &Service{books, outbox, clocks}
}

// Accounts begins the names of a book's wallets, one for each currency that it has had.
const Accounts = "wallet/"

// Account returns the ledger account of a book's wallet in a currency.
func Account(currency money.Currency) ledger.NewAccount {
	return ledger.NewAccount{ID: ledger.AccountID(Accounts + currency.String()), Currency: currency, Side: ledger.Credit}
}

// Bank returns the account of what customers have paid in.
func Bank(currency money.Currency) ledger.NewAccount {
	return ledger.NewAccount{ID: ledger.AccountID("wallet.bank/" + currency.String()), Currency: currency, Side: ledger.Debit, Unbounded: true}
}

// Custody returns the account of what came in of an asset, in a currency at the rates of then.
func Custody(a asset.Asset, currency money.Currency) ledger.NewAccount {
	return ledger.NewAccount{ID: ledger.AccountID("wallet.deposits/" + string(a)), Currency: currency, Side: ledger.Debit, Unbounded: true}
}

// Fees returns the account of what was kept of deposits.
func Fees(currency money.Currency) ledger.NewAccount {
	return ledger.NewAccount{ID: ledger.AccountID("wallet.fees/" + currency.String()), Currency: currency, Side: ledger.Credit, Unbounded: true}
}

// Load is a bank transfer that arrived for a customer.
type Load struct {
	Book   ledger.BookID
	Realm  realm.Realm
	Amount money.Amount
	// Reference is the transfer's own reference; a second load under it is the first one.
	Reference string
	Actor     string
	// Also is not asked when the load was done before.
	Also storage.Also[ledger.Outcome]
}

const maxReference = 140 // a SEPA remittance text

// The kind of the ledger's transaction, the event that tells of it, and that of a balance
// that fell below its owner's threshold.
const (
	kindLoad    = "wallet.load"
	eventLoaded = "wallet.loaded"
	eventLow    = "wallet.low_balance"
)

// EventTypes returns the types of this package's events.
func EventTypes() []string { return []string{eventLoaded, eventLow} }

// Load records a bank transfer and credits the wallet. It returns invalid_amount,
// invalid_request, or idempotency_conflict for a reference used with another amount.
func (s *Service) Load(ctx context.Context, l Load) (ledger.Outcome, error) {
	if !l.Amount.IsPositive() {
		return ledger.Outcome{}, fault.New(fault.InvalidAmount, "the amount must be above zero").At("amount")
	}
	if !plain.LineBytes(l.Reference, 1, maxReference) {
		return ledger.Outcome{}, fault.New(fault.InvalidRequest, "the reference must have 1 to %d bytes of plain text", maxReference).At("reference")
	}
	from, to := Bank(l.Amount.Currency), Account(l.Amount.Currency)
	op := ledger.Operation{Book: l.Book, Kind: kindLoad, Key: kindLoad + "/" + l.Reference, Reference: l.Reference, Actor: l.Actor,
		At: s.clocks.Now(l.Realm), Open: []ledger.NewAccount{from, to},
		Postings: []ledger.Posting{{Debit: from.ID, Credit: to.ID, Amount: l.Amount}}}
	op.Effects = func(o ledger.Outcome) ([]storage.Effect, error) {
		after, _ := o.Balance(to.ID)
		data := (&webhook.Data{}).Text("transaction_id", string(o.Transaction)).Text("amount", l.Amount.String()).
			Text("balance", after.Available.String()).Text("currency", l.Amount.Currency.String()).Text("reference", l.Reference)
		event := s.outbox.Effects(webhook.Event{Book: l.Book, Realm: l.Realm, Type: eventLoaded, Data: data.JSON(), At: o.At})
		return l.Also.With(event, o)
	}
	outcome, err := s.books.Submit(ctx, op)
	if err != nil {
		return ledger.Outcome{}, fmt.Errorf("load wallet: %w", err)
	}
	return outcome, nil
}

// Balance returns what a book's wallet has available; zero when it was never loaded.
func (s *Service) Balance(ctx context.Context, book ledger.BookID, currency money.Currency) (money.Amount, error) {
	account, err := s.books.FindAccount(ctx, book, Account(currency).ID)
	if fault.CodeOf(err) == fault.NotFound {
		return money.New(0, currency), nil
	}
	if err != nil {
		return money.Amount{}, err
	}
	return account.Available(), nil
}
