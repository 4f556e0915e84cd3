// Package supply is who delivers codes: the operator's stock, gift cards of this
// installation that are made when they are sold, and suppliers that operators configure.
//
// It knows which supplier delivers which item in which order, guards each one that
// answers from outside, and keeps what was asked of them: a row for every submission,
// written before the call, so that none is ever made twice. A submission whose end is
// unknown stays open until the supplier says what became of it.
//
// It must never take silence, a broken answer or a failed look-up for a refusal, and
// never log a code. Orders, money and codes are package order's.
package supply

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/catalog/stock"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/platform/vault"
)

// Supplier delivers codes from outside. An adapter makes one attempt per call, bounded by
// ctx. An error says that the supplier failed and counts against its health; what the
// answer beside it says holds all the same, and its zero value is that nothing is known.
// One that is an io.Closer is closed when it is replaced; calls under way go on.
type Supplier interface {
	// Quote returns what a code costs now and whether there are as many. It reserves nothing.
	Quote(ctx context.Context, w Wanted) (Quote, error)
	// Submit asks for codes. It is called once for each submission.
	Submit(ctx context.Context, s Submission) (Answer, error)
	// Query returns what became of a submission, as often as it is called. It may have the
	// supplier do it where that cannot make it be done twice.
	Query(ctx context.Context, s Submission) (Answer, error)
	// Cancel asks the supplier to give a submission up, and returns what became of it.
	Cancel(ctx context.Context, s Submission) (Answer, error)
}

// Located is a Supplier that says where it asks, so that it stays there for as long as what was
// submitted to it is to be asked about.
type Located interface {
	Location() string
}

// Identified is a Supplier that says as whom it asks, in a word that tells its account from
// others and no secret: other credentials may be of the same one.
type Identified interface {
	Account() string
}

// Plain is a Supplier that may be one that knows nothing of the denomination of an item that
// has but one: its Wanted names that of ranges alone.
type Plain interface {
	Plain() bool
}

// Adapter opens a supplier of one kind from its configuration, a JSON object. It calls
// nobody and returns the fault invalid_request, with the key that is wrong.
type Adapter func(config []byte) (Supplier, error)

// Wanted is what is asked for.
type Wanted struct {
	Item     string // the supplier's own name for it
	Quantity int
	// Denomination is what each code is to be worth, in major units, such as "12.5"; empty: what
	// the item has, of a Plain supplier.
	Denomination string
	// Most is what each code may cost at most: what it was named at. Its zero value is any cost,
	// as of a question for a price.
	Most catalog.Cost
}

// Quote is what a supplier offers at the moment.
type Quote struct {
	Cost      catalog.Cost // of one code; its zero value is unknown
	Available bool
	// Unfit says that it does not sell the item as it is asked for, such as in that denomination.
	Unfit bool
}

// SubmissionID names a submission ("sub_…"): the same however often a supplier hears of it,
// and of no other one.
type SubmissionID string

const submissionPrefix = "sub"

// Submission is what an adapter is told of one.
type Submission struct {
	ID SubmissionID
	Wanted
	// Reference is the supplier's own name for it; empty: not known.
	Reference string
	// SentAt is when it was first submitted, by the machine's clock.
	SentAt time.Time
}

// State is what is known of a submission at its supplier.
type State string

// The states of an answer. Only Delivered and Refused are an end.
const (
	Unknown   State = ""          // nothing is known: it may be delivered, now or later, or not at all
	Working   State = "working"   // the supplier has it and delivers later, or not
	Delivered State = "delivered" // Codes are all that it will deliver
	Refused   State = "refused"   // nothing was delivered and nothing will be
)

// Answer is what a supplier says of a submission.
type Answer struct {
	State State
	// Reference is the supplier's own name for it, if it said one; at most MaxReference bytes.
	Reference string
	Codes     []stock.Delivered // when Delivered: at least one
	// Reason is why it was refused, in words of the adapter's.
	Reason string
	// Unpaid says that it was refused since the balance at the supplier does not suffice for it,
	// and Balance what that is, if the supplier said so.
	Unpaid  bool
	Balance catalog.Cost
}

// MaxReference bounds a supplier's own name for a submission, in bytes.
const MaxReference = 200

// The suppliers that are no adapter's. A kind is what a configured supplier is of.
const (
	// Stock is the id of the operator's own stock, which every realm has.
	Stock = "stock"
	// KindGiftcard makes gift cards of a customer of this installation.
	KindGiftcard = "giftcard"
)

// Deps is what a Service stands on.
type Deps struct {
	DB       *storage.DB
	Vault    *vault.Vault
	Audit    *audit.Log
	Clocks   *clock.Realms
	Catalog  *catalog.Service
	Accounts *account.Service
	// Adapters open the suppliers that operators configure, by kind.
	Adapters map[string]Adapter
	Logger   *slog.Logger
}

// Service is the supply of one installation. It is safe for concurrent use.
type Service struct {
	Deps
	refresh  sync.Mutex
	eager    bool // Connect was called
	registry registry
	out      shortages // said when asked for a price
	unpaid   shortages // refused for want of a balance, or known to be more than that
	avoided  shortages // delivered as something else, or at another price
	credit   credit
	named    named
}

// New returns the service. It knows no supplier but stock before the first Refresh.
func New(d Deps) *Service { return &Service{Deps: d} }

// Close gives up what suppliers keep for the next call.
func (s *Service) Close() { s.registry.close() }
