// Package report holds each day's orders, codes and postings against one another: what
// was sold, replaced and paid back by the orders, by the stock, by the claims and by the
// books, each counted in its own tables. They agree to the cent, or the report names the
// orders that do not.
//
// A report is made on one state of the database, a page at a time, once the day is over
// in its realm, and kept. The operator is told of differences in the audit log, in the
// program's log and by a metric.
//
// It must never change what it looks at.
package report

import (
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/order"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/webhook"
)

// Day is a date in UTC, such as 2026-11-27.
type Day string

// ParseDay reads a date, or returns invalid_request.
func ParseDay(text string) (Day, error) {
	at, err := time.Parse(time.DateOnly, text)
	if err != nil || at.Format(time.DateOnly) != text || at.Year() < 1970 {
		return "", fault.New(fault.InvalidRequest, "want a day such as 2026-11-27").At("day")
	}
	return Day(text), nil
}

// DayOf returns the date of an instant.
func DayOf(at time.Time) Day { return Day(at.UTC().Format(time.DateOnly)) }

// start returns when a day begins.
func (d Day) start() (time.Time, error) { return time.Parse(time.DateOnly, string(d)) }

// Kind is a way in which the sides differ.
type Kind string

// The kinds of differences. Want is what the order says, Got what the other side does.
const (
	Price       Kind = "price"       // the order's amount is not that of its codes
	Status      Kind = "status"      // the order is refunded, and not all of its codes are, or the other way round
	Codes       Kind = "codes"       // its codes in stock are more or fewer than it sold
	Replaced    Kind = "replaced"    // codes that were replaced, by its changes and in stock or by its claims
	Refunded    Kind = "refunded"    // codes that were refunded, by its changes and in stock or by its claims
	Wallet      Kind = "wallet"      // what the wallet paid for it, refunds taken off
	Revenue     Kind = "revenue"     // what the other accounts got of that
	Missing     Kind = "missing"     // its transaction is not in the books
	Transaction Kind = "transaction" // a transaction of orders that is no order's, or another one on their accounts
	Code        Kind = "code"        // a code that was sold to an order that there is not
	Total       Kind = "total"       // the sums of a day differ
)

// Difference is one place where two sides do not agree.
type Difference struct {
	Kind Kind
	// Book and Order are whose; empty and 0 for Total, 0 where no order is known.
	Book  ledger.BookID
	Order order.Number
	// Subject is the transaction, the code or the figure, if it is about one.
	Subject   string
	Want, Got string
}

// Row is one currency's figures of a day.
type Row struct {
	Currency money.Currency
	// By the orders: how many were delivered, and how many codes; what was charged for them.
	Orders, Codes int64
	Charged       money.Amount
	// By the changes of orders.
	CodesReplaced, CodesRefunded int64
	Refunded                     money.Amount
	// By the stock: codes that were sold, those that took other ones' places among them.
	CodesSold int64
	// By the books: what wallets paid and got back, and what came of it to the accounts
	// of revenue and to others.
	WalletPaid, WalletRefunded, Revenue, Other money.Amount
}

// MaxDifferences bounds the differences that a report lists.
const MaxDifferences = 1000

// Report is one day of one realm.
type Report struct {
	Realm realm.Realm
	Day   Day
	Rows  []Row // by currency
	// Found is how many differences there are, of which MaxDifferences are listed.
	Found       int64
	Differences []Difference
	MadeAt      time.Time
}

// EventTypes returns the types of this package's events: they are the operators'.
func EventTypes() []string { return []string{eventDiffers} }

// Deps is what a Service stands on.
type Deps struct {
	DB     *storage.DB
	Audit  *audit.Log
	Outbox *webhook.Outbox
	Clocks *clock.Realms
	Logger *slog.Logger
}

// Service is the reports of one installation. It is safe for concurrent use.
type Service struct {
	Deps
	differences atomic.Int64
}

// New returns the service.
func New(d Deps) *Service { return &Service{Deps: d} }

// Differences returns how many differences this process has found since it began.
func (s *Service) Differences() int64 { return s.differences.Load() }
