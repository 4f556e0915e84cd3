// Package payout pays bitcoin, on its chain or over Lightning, exactly once: whatever dies
// when, whatever a node answers, and however often it is asked.
//
// A payout is planned into the operation of whoever owes it: hold, row and job are one
// transaction. On-chain, the signed transaction is stored before anybody sees it, and a
// replacement spends what its predecessor does. Over Lightning the payment hash is the key.
// What is in flight is waited for, an unknown outcome is looked up, and only a final
// failure frees the money. What settles or fails a payout is one ledger operation.
//
// It must never ask a node within a transaction, and never guess how a payment ended.
package payout

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/cashout/payout/destination"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/job"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/webhook"
)

// ID names a payout ("pay_…").
type ID string

// NewID returns a fresh id, for callers that must know it before they plan.
func NewID() ID { return ID(id.New("pay")) }

// Destination is where a payout goes.
type Destination = destination.Destination

// State is where a payout is.
type State string

// The states.
const (
	Held    State = "held"    // the money is held, and nothing was sent
	Sending State = "sending" // a payment is being made, is in flight, or may be
	Sent    State = "sent"    // its transaction is published, and not confirmed often enough
	Settled State = "settled" // paid, with proof
	Failed  State = "failed"  // not paid, for sure; the money is free again
)

// States returns the closed list in its documented order.
func States() []State { return []State{Held, Sending, Sent, Settled, Failed} }

// next is the transition table. A chain can give up what was confirmed, and what can never
// be confirmed is paid anew.
var next = map[State][]State{
	Held:    {Sending, Failed},
	Sending: {Held, Sent, Settled, Failed},
	Sent:    {Held, Settled},
	Settled: {Sent},
	Failed:  {},
}

// Again reports whether a payout that settled had done so before.
func (p *Payout) Again() bool { return p.settled > 1 }

// become is how a state changes: by the table, or not at all.
func (s *State) become(to State) error {
	if !slices.Contains(next[*s], to) {
		return fmt.Errorf("a payout that is %s cannot become %s", *s, to)
	}
	*s = to
	return nil
}

// Reason says why a payout failed.
type Reason string

// The reasons.
const (
	None       Reason = ""
	Cancelled  Reason = "cancelled"   // by an operator, before anything was sent
	Expired    Reason = "expired"     // the invoice was not paid while it was valid
	Unpayable  Reason = "unpayable"   // no node found a way to pay it
	NoInvoice  Reason = "no_invoice"  // the Lightning Address gave no invoice that can be paid
	Conflicted Reason = "conflicted"  // another transaction spent the same coins, for good; it is paid anew
	Reorged    Reason = "reorganised" // the chain gave up the block that it was in; it waits for another
)

// Payout is one payout as it stands.
type Payout struct {
	Book  ledger.BookID
	ID    ID
	Realm realm.Realm
	To    Destination
	// Amount is what the destination gets, Fee what it cost to send; both in BTC.
	Amount money.Amount
	Fee    money.Amount
	// From is the account that owes it, Hold what reserves it there.
	From      ledger.AccountID
	Hold      ledger.HoldID
	Reference string
	State     State
	Reason    Reason
	// TxID is the transaction that pays it, the newest of those that replace one another, or
	// the one that was confirmed; empty over Lightning and before there is one.
	TxID string
	// Hash and Preimage are the payment hash and what proves its payment, in hexadecimal.
	Hash     string
	Preimage string
	// Transaction is the one in the books that settled or failed it.
	Transaction ledger.TransactionID
	CreatedAt   time.Time
	ChangedAt   time.Time
	EndedAt     time.Time // when it first settled or failed; zero before

	batch    string
	attempts int64
	settled  int64 // how often
	version  int64
}

// Deps are what a Service needs.
type Deps struct {
	DB     *storage.DB
	Books  *ledger.Ledger
	Outbox *webhook.Outbox
	Clocks *clock.Realms
	Queue  *job.Queue
	Audit  *audit.Log
	Logger *slog.Logger
	// Nodes are who pays in a realm. A realm without has no payouts.
	Nodes  map[realm.Realm]Nodes
	Policy Policy
}

// Service is the payouts of one installation. It is safe for concurrent use.
type Service struct {
	Deps
	listener func(Payout) ([]storage.Effect, error)
	ends     ends
}

// New returns the service, whose work is done by the queue. The policy must have passed
// its check.
func New(d Deps) *Service {
	s := &Service{Deps: d, listener: func(Payout) ([]storage.Effect, error) { return nil, nil }}
	s.register()
	return s
}

// Listen names who is told of payouts that settle or fail, within the transaction: what it
// returns is written with it. One that settled and that its chain gave up is told of once
// more when it settles again, perhaps by another transaction. It must be pure. It is called
// once, before the queue starts.
func (s *Service) Listen(fn func(Payout) ([]storage.Effect, error)) { s.listener = fn }

// Parse reads a destination on the network of a realm. It returns invalid_request, or
// feature_disabled in a realm without nodes.
func (s *Service) Parse(r realm.Realm, text string) (Destination, error) {
	nodes, ok := s.Nodes[r]
	if !ok {
		return Destination{}, fault.New(fault.FeatureDisabled, "there are no payouts in the %s realm", r)
	}
	return destination.Parse(nodes.Network, text)
}

// Find returns a payout of a book, or not_found, as for another book's.
func (s *Service) Find(ctx context.Context, book ledger.BookID, payout ID) (Payout, error) {
	p, found, err := storage.One(ctx, s.DB, scanPayout, findPayout, string(book), string(payout))
	if err == nil && !found {
		err = fault.New(fault.NotFound, "no such payout")
	}
	return p, err
}

// Bounds of a page.
const (
	DefaultLimit = 50
	MaxLimit     = 200
)

// Filter says which payouts of a realm to list.
type Filter struct {
	Realm  realm.Realm
	State  State // empty: all
	Before ID    // older than this one; empty: from the newest on
	Limit  int   // DefaultLimit when 0, MaxLimit at most
}

// List returns payouts of all books of a realm, newest first: an operator's view. It
// returns invalid_request for a filter outside its bounds.
func (s *Service) List(ctx context.Context, f Filter) ([]Payout, error) {
	if f.Limit == 0 {
		f.Limit = DefaultLimit
	}
	if f.Limit < 1 || f.Limit > MaxLimit {
		return nil, fault.New(fault.InvalidRequest, "want a limit of 1 to %d", MaxLimit).At("limit")
	}
	if f.State != "" && !slices.Contains(States(), f.State) {
		return nil, fault.New(fault.InvalidRequest, "want held, sending, sent, settled or failed").At("state")
	}
	return storage.All(ctx, s.DB, scanPayout, listPayouts, string(f.Realm), string(f.State), string(f.Before), f.Limit)
}

// zero is no bitcoin.
func zero() money.Amount { return money.New(0, money.BTC) }
