// Package order is resellers' purchases of codes: one product, up to a hundred codes,
// paid from the prepaid wallet of the buyer's book.
//
// An order from stock is one ledger operation: the wallet pays, the codes leave the stock,
// and the order's row, its event and the answer to the request are written with it, or
// nothing is. An order that a supplier delivers holds the money first, asks one supplier
// after the other and is paid with its last code, or frees the money. No code is sold
// twice, nobody pays without a code, and no order is filled in part. Codes are shown to
// the order's own book alone, and every look is recorded.
//
// It must never keep a balance, nor a code, nor call anything outside in a transaction,
// nor ask a second supplier while it is not known what became of the first.
package order

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"time"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/catalog/stock"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/giftcard"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/order/minted"
	"github.com/scripcards/scrip/internal/order/shelf"
	"github.com/scripcards/scrip/internal/order/supply"
	"github.com/scripcards/scrip/internal/platform/job"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/webhook"
)

// Number is an order's place among those of its book, from 1, in both its names.
type Number int64

// Status is where an order is in its life.
type Status string

// The statuses. What this installation delivers itself is completed as soon as it exists,
// what a supplier delivers begins as processing.
const (
	Pending    Status = "pending"    // accepted; nothing was asked of a supplier yet
	Processing Status = "processing" // a supplier is at it; the money is held
	Completed  Status = "completed"  // paid and delivered
	Failed     Status = "failed"     // not delivered; the money is free again
	Refunded   Status = "refunded"   // delivered, and paid back
	Cancelled  Status = "cancelled"  // given up by the operator; the money is free again
)

// Statuses returns the closed list in its documented order.
func Statuses() []Status {
	return []Status{Pending, Processing, Completed, Failed, Refunded, Cancelled}
}

// next is the transition table. Only what can still be delivered can fail.
var next = map[Status][]Status{
	Pending:    {Processing, Completed, Failed, Cancelled},
	Processing: {Completed, Failed, Cancelled},
	Completed:  {Refunded},
}

// become is how a status, an order's or a replacement's, changes: by the table, or not at all.
func (s *Status) become(to Status) error {
	if !slices.Contains(next[*s], to) {
		return fmt.Errorf("an order that is %s cannot become %s", *s, to)
	}
	*s = to
	return nil
}

// delivered reports whether an order that is s has codes.
func (s Status) delivered() bool { return s == Completed || s == Refunded }

// Moved returns the guards with which the books count an order that goes from one status
// to another, or that begins with one when from is empty. Every operation that changes a
// status has them: the totals of lists are these counters.
func Moved(from, to Status) []ledger.Guard {
	guards := []ledger.Guard{{Counter: counterStatus + string(to), Add: 1, Limit: math.MaxInt64}}
	if from != "" {
		guards = append(guards, ledger.Guard{Counter: counterStatus + string(from), Add: -1, Limit: math.MaxInt64})
	}
	return guards
}

// Bounds of an order.
const (
	MaxQuantity = 100
)

// Order is one purchase.
type Order struct {
	Book   ledger.BookID
	Realm  realm.Realm
	Number Number
	// Transaction is what paid for it or, where it failed, what freed the money; empty while
	// it is under way.
	Transaction ledger.TransactionID
	// Hold reserves the money of an order that a supplier delivers; empty: it was paid at once.
	Hold       ledger.HoldID
	Credential string
	Item       catalog.ItemCode
	Product    string // its name when it was sold
	Brand      string
	Quantity   int
	// Price is what one code was charged at, Amount all of them.
	Price, Amount catalog.Charged
	// Face is what one code is worth, TotalFace all of them.
	Face, TotalFace catalog.Face
	// Email is the reseller's note of whom the codes are for; may be empty.
	Email string
	// Tries counts the submissions to suppliers.
	Tries int
	// GivenUp says that no other supplier is to be asked.
	GivenUp              bool
	Status               Status
	CreatedAt, ChangedAt time.Time
}

// Name is the order's name for people: ORD-2026-001, with the year it was placed in.
func (o *Order) Name() string {
	return fmt.Sprintf("ORD-%d-%03d", o.CreatedAt.Year(), o.Number)
}

// ref names the order to the stock.
func (n Number) ref() string { return fmt.Sprint(int64(n)) }

// Buyer is on whose behalf a call is made: one customer in one realm.
type Buyer struct {
	Customer account.CustomerID
	Book     ledger.BookID
	Realm    realm.Realm
	// Credential is the key, for the record.
	Credential string
}

// Deps is what a Service stands on.
type Deps struct {
	DB      *storage.DB
	Books   *ledger.Ledger
	Catalog *catalog.Service
	Stock   *stock.Stock
	Supply  *supply.Service
	Cards   *giftcard.Service
	Outbox  *webhook.Outbox
	Queue   *job.Queue
	Audit   *audit.Log
	Clocks  *clock.Realms
	Logger  *slog.Logger
	// Patience is how long Place waits for a supplier; DefaultPatience when zero.
	Patience time.Duration
}

// DefaultPatience is how long a buyer waits for a supplier before an order is answered as
// processing.
const DefaultPatience = 4 * time.Second

// Service is the orders of one installation. It is safe for concurrent use.
type Service struct {
	Deps
	shelves *shelf.Shelves
	own     *minted.Service
	crew    crew
	// ending is who asked for replacements; nil: nobody.
	ending func(context.Context, Replacement) (Ending, error)
}

// New returns the service and names its handler to d.Queue, which is started later. Close
// stops it.
func New(d Deps) *Service {
	if d.Patience == 0 {
		d.Patience = DefaultPatience
	}
	s := &Service{Deps: d, shelves: shelf.New(d.Stock, d.Clocks), own: minted.New(d.DB, d.Cards)}
	s.crew.setup()
	d.Queue.Handle(jobDeliver, job.Options{MaxAttempts: 100, Concurrency: mostResumed, Timeout: resumeTimeout}, s.resume)
	return s
}

// Close ends what is under way with suppliers; a job goes on with it.
func (s *Service) Close() { s.crew.close() }
