// Package ledger owns the books: accounts, transactions, entries and holds. It
// is the only writer of balances in Scrip.
//
// Money moves through Submit, which takes an Operation: data, not code. Waiting
// operations share one database transaction; each is decided in memory in its
// turn, and each gets its own Outcome or its own refusal. What Submit has
// acknowledged is on disk. A refused operation leaves no trace; an operation
// repeated under its key returns the first outcome.
//
// Every transaction sums to zero, every balance is the sum of its entries, no
// account is below its floor, every hold ends once, and the transactions of a
// book are a chain of hashes. Verify proves it. Transactions and entries are
// never changed: the one correction of a transaction is its reversal.
package ledger

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/lane"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/platform/sweep"
)

// BookID names a book: one customer in one realm ("bk_…").
type BookID string

// AccountID names an account within its book, such as "giftcard/gc_01…" or "redeemed/USD".
type AccountID string

// TransactionID names a transaction ("txn_…"). It carries the transaction's number in its book.
type TransactionID string

func newTransactionID(seq int64) TransactionID {
	return TransactionID(id.Numbered("txn", uint64(seq)))
}

// seq returns the number in the book, and whether t is a transaction's id at all.
func (t TransactionID) seq() (int64, bool) {
	n, ok := id.Number("txn", string(t))
	return int64(n), ok
}

// HoldID names a hold ("hold_…").
type HoldID string

// Book is the header of one set of accounts.
type Book struct {
	ID       BookID
	Realm    realm.Realm
	OpenedAt time.Time
}

// Config tunes a Ledger; the zero value is right for production.
type Config struct {
	// Lanes is how many batches may be under way at once; 0 means one on SQLite, and on
	// PostgreSQL as many as there are processors, four at the most.
	Lanes int
	// Observe, when set, is told of every batch that was written.
	Observe func(operations int, took time.Duration)
	// Watch, when set, returns what to write with an operation beside its own effects,
	// whatever product made it. It must be pure and quick: it stands in every operation's way,
	// and may be asked about one that turns out to have been done before.
	Watch func(*Outcome) []storage.Effect
}

// Ledger is the books. It is safe for concurrent use.
type Ledger struct {
	db     *storage.DB
	clocks *clock.Realms
	lanes  []*lane.Lane[work]
	watch  func(*Outcome) []storage.Effect
	expiry sweep.Sweep[dueHold]
}

// mostLanes is as many as a PostgreSQL of a few processors has use for. With more lanes than
// processors, batches are smaller and there are more of them, each with its statements.
const mostLanes = 4

// New returns the ledger in db and starts its lanes. Close stops them.
func New(db *storage.DB, clocks *clock.Realms, config Config) *Ledger {
	if config.Lanes == 0 {
		config.Lanes = 1
		if db.Shared() {
			config.Lanes = min(mostLanes, runtime.GOMAXPROCS(0))
		}
	}
	l := &Ledger{db: db, clocks: clocks, watch: config.Watch}
	l.expiry = sweep.Sweep[dueHold]{Page: sweepPage, AtOnce: sweepAtOnce, Due: l.due, End: l.expire}
	for range config.Lanes {
		l.lanes = append(l.lanes, newLane(db, config))
	}
	return l
}

// Close finishes the operations that were accepted and refuses new ones.
func (l *Ledger) Close() {
	for _, lane := range l.lanes {
		lane.Close()
	}
}

// OpenBook makes an empty book within tx.
func OpenBook(ctx context.Context, tx *storage.Tx, book Book) error {
	at, head := storage.Micros(book.OpenedAt), genesis(book)
	return tx.ExecRows(ctx, insertBook, [][]any{{string(book.ID), string(book.Realm), int64(0), head[:], at, at}})
}

// Submit makes op durable and returns what it did, or the fault that refused it:
// insufficient_funds, account_frozen, account_closed, account_not_empty,
// currency_mismatch, hold_ended, hold_exceeded, already_reversed, guard_exceeded,
// not_found, invalid_request, or idempotency_conflict when op's key was used for
// something else. Once accepted, an operation is finished even if ctx ends.
func (l *Ledger) Submit(ctx context.Context, op Operation) (Outcome, error) {
	if err := l.check(&op); err != nil {
		return Outcome{}, err
	}
	return l.submit(ctx, &op)
}

// check refuses what makes no sense in any book and completes the rest. The time of an operation moves its
// book's time, for good: it may not be far ahead of the clock of the realm that is.
func (l *Ledger) check(op *Operation) error {
	if err := op.validate(); err != nil {
		return err
	}
	if ahead := op.At.Sub(l.clocks.Now(realm.Test)); ahead > maxAhead {
		return fault.New(fault.InvalidRequest, "operation %s: its time is %s ahead of the clock", op.Kind, ahead.Round(time.Second))
	}
	op.print = op.fingerprint()
	return nil
}

const (
	// maxAhead is how far ahead of the clock an operation's time may be: clocks of machines differ.
	maxAhead = 24 * time.Hour
	// maxBulk bounds the operations of one SubmitAll.
	maxBulk = 1_000_000
)

// SubmitAll makes all of ops durable in one transaction, or none: the first refusal
// undoes everything and is returned with its place. It is for bulk work of at most a
// million; progress, when not nil, is told how many were decided, and begins again
// when the database has it done again.
func (l *Ledger) SubmitAll(ctx context.Context, ops []Operation, progress func(done int)) ([]Outcome, error) {
	if len(ops) > maxBulk {
		return nil, fault.New(fault.InvalidRequest, "%d operations at once, the most is %d", len(ops), maxBulk)
	}
	for i := range ops {
		if err := l.check(&ops[i]); err != nil {
			return nil, fmt.Errorf("operation %d: %w", i+1, err)
		}
	}
	var outcomes []Outcome
	err := l.db.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		outcomes = make([]Outcome, 0, len(ops))
		for first := 0; first < len(ops); first += lane.Group {
			if err := l.submitChunk(ctx, tx, ops[first:min(first+lane.Group, len(ops))], &outcomes); err != nil {
				return err
			}
			if progress != nil {
				progress(len(outcomes))
			}
		}
		return nil
	})
	if err != nil {
		return nil, lane.Fault(err)
	}
	return outcomes, nil
}

func (l *Ledger) submitChunk(ctx context.Context, tx *storage.Tx, ops []Operation, outcomes *[]Outcome) error {
	chunk := make([]*Operation, len(ops))
	for i := range ops {
		chunk[i] = &ops[i]
	}
	state, err := load(ctx, tx, needsOf(chunk), nil)
	if err != nil {
		return err
	}
	state.watch = l.watch
	for _, op := range chunk {
		outcome, err := state.decide(op)
		if err != nil {
			return fmt.Errorf("operation %d: %w", len(*outcomes)+1, err)
		}
		*outcomes = append(*outcomes, outcome)
	}
	return state.write(ctx, tx)
}

func notFound(kind string, name string) *fault.Error {
	return fault.New(fault.NotFound, "no %s %s in this book", kind, name)
}
