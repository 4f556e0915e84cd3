package stock

import (
	"context"
	"strconv"
	"time"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/plain"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// BatchState is whether the codes of a batch are sold.
type BatchState string

// The states of a batch.
const (
	BatchOpen        BatchState = "open"
	BatchQuarantined BatchState = "quarantined"
)

// Batch is one upload.
type Batch struct {
	ID       BatchID
	Realm    realm.Realm
	Item     catalog.ItemCode
	Name     string // within its realm and item
	Supplier string
	State    BatchState
	// Reason is why it is quarantined; empty: it is not.
	Reason               string
	Actor                string // who uploaded it
	CreatedAt, ChangedAt time.Time
	// Codes are how many of its codes are in each state; nil where they were not counted.
	Codes map[State]int
}

const (
	maxBatches = 1000
	maxName    = 100
	maxReason  = 200
	// moving is how many codes of a batch one transaction moves.
	moving = 5000
)

// List returns the newest batches of an item, 1000 at most, with all their codes counted:
// that may take as long as there are many.
func (s *Stock) List(ctx context.Context, r realm.Realm, item catalog.ItemCode) ([]Batch, error) {
	batches, err := storage.All(ctx, s.DB, scanBatch, listBatch, string(r), string(item), maxBatches)
	if err != nil {
		return nil, err
	}
	return batches, s.countAll(ctx, batches)
}

// Batches asks for some batches of an item.
type Batches struct {
	Realm realm.Realm
	Item  catalog.ItemCode
	// After is the batch after which the list begins; empty: the newest.
	After BatchID
	Limit int // at most 1000
}

// Page returns batches of an item by id, the newest first, with their codes counted: that
// may take as long as there are many.
func (s *Stock) Page(ctx context.Context, b Batches) ([]Batch, error) {
	after := string(b.After)
	if after == "" {
		after = batchPrefix + "_8" // after every id: they begin with 0 to 7
	}
	found, err := storage.All(ctx, s.DB, scanBatch, pageBatches, string(b.Realm), string(b.Item), after, min(max(b.Limit, 1), maxBatches))
	if err != nil {
		return nil, err
	}
	return found, s.countAll(ctx, found)
}

// FindBatch returns a batch with its codes counted, or not_found.
func (s *Stock) FindBatch(ctx context.Context, batch BatchID) (Batch, error) {
	found, err := storage.All(ctx, s.DB, scanBatch, batchByID, string(batch))
	if err == nil && len(found) == 0 {
		err = unknownBatch()
	}
	if err != nil {
		return Batch{}, err
	}
	return found[0], s.countAll(ctx, found)
}

// countAll counts the codes of batches.
func (s *Stock) countAll(ctx context.Context, batches []Batch) error {
	for i := range batches {
		counts, err := storage.All(ctx, s.DB, scanTally, countStates, string(batches[i].ID))
		if err != nil {
			return err
		}
		batches[i].Codes = map[State]int{}
		for _, c := range counts {
			batches[i].Codes[c.state] = c.n
		}
	}
	return nil
}

// Sold returns how many codes of the batch were sold, and how many of them turned out to be
// dead: they were replaced or refunded, or are about to be.
func (b *Batch) Sold() (all, dead int) {
	dead = b.Codes[Replacing] + b.Codes[Replaced] + b.Codes[Refunded]
	return b.Codes[Sold] + dead, dead
}

func unknownBatch() error { return fault.New(fault.NotFound, "no such batch") }

// BatchName is a batch by its name.
type BatchName struct {
	Realm realm.Realm
	Item  catalog.ItemCode
	Name  string
}

// Quarantine takes a batch off sale: from its return on none of its codes is sold. It
// returns not_found, or invalid_request without a reason. A second one goes on where the
// first broke off.
func (s *Stock) Quarantine(ctx context.Context, n BatchName, reason, actor string) (Batch, error) {
	if !plain.Line(reason, 1, maxReason) {
		return Batch{}, invalidAt("reason", "want a reason of 1 to %d characters of plain text", maxReason)
	}
	b, err := s.mark(ctx, n, Batch{State: BatchQuarantined, Reason: reason}, actor)
	if err != nil {
		return b, err
	}
	// The mark alone keeps them from being sold; moved, they are in nobody's way either.
	return b, s.move(ctx, b, Available, Quarantined)
}

// Release puts a quarantined batch on sale again, or returns not_found.
func (s *Stock) Release(ctx context.Context, n BatchName, actor string) (Batch, error) {
	b, err := s.mark(ctx, n, Batch{State: BatchOpen}, actor)
	if err != nil {
		return b, err
	}
	return b, s.move(ctx, b, Quarantined, Available)
}

// mark changes the state of a batch.
func (s *Stock) mark(ctx context.Context, n BatchName, to Batch, actor string) (b Batch, err error) {
	err = s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		var found bool
		if b, found, err = storage.One(ctx, tx, scanBatch, findBatch, string(n.Realm), string(n.Item), n.Name); err != nil {
			return err
		}
		if !found {
			return unknownBatch()
		}
		now := s.Clocks.Now(n.Realm)
		b.State, b.Reason, b.ChangedAt = to.State, to.Reason, now
		if _, err := tx.Exec(ctx, markBatch, string(b.ID), string(b.State), b.Reason, storage.Micros(now)); err != nil {
			return err
		}
		action := "stock.release"
		if b.State == BatchQuarantined {
			action = "stock.quarantine"
		}
		return s.Audit.Append(ctx, tx, audit.Record{Actor: actor, Action: action, Subject: string(b.ID), At: now,
			Detail: map[string]string{"item": audit.Clean(string(b.Item)), "batch": audit.Clean(b.Name), "reason": audit.Clean(b.Reason)}})
	})
	return b, err
}

// move moves every code of a batch from one state to another, some at a time, as long as
// the batch is in the state of b.
func (s *Stock) move(ctx context.Context, b Batch, from, to State) error {
	for {
		moved := int64(0)
		err := s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) (err error) {
			moved, err = tx.Exec(ctx, moveCodes, string(b.ID), string(from), string(to), moving, string(b.State))
			return err
		})
		if err != nil || moved == 0 {
			return err
		}
	}
}

// openBatch makes the batch of an upload within tx.
func (s *Stock) openBatch(ctx context.Context, tx *storage.Tx, o *Options) (Batch, error) {
	now := s.Clocks.Now(o.Realm)
	b := Batch{ID: BatchID(id.New(batchPrefix)), Realm: o.Realm, Item: o.Item, Name: o.Batch, Supplier: o.Supplier, State: BatchOpen, Actor: o.Actor,
		CreatedAt: now, ChangedAt: now}
	if o.quarantined != "" {
		b.State, b.Reason = BatchQuarantined, o.quarantined
	}
	row := []any{string(b.ID), string(b.Realm), string(b.Item), b.Name, b.Supplier, string(b.State), b.Reason, b.Actor, storage.Micros(now), storage.Micros(now)}
	if err := tx.ExecRows(ctx, insertBatch, [][]any{row}); err != nil {
		return b, err
	}
	return b, s.Audit.Append(ctx, tx, audit.Record{Actor: o.Actor, Action: "stock.import", Subject: string(b.ID), At: now,
		Detail: map[string]string{"realm": string(o.Realm), "item": audit.Clean(string(o.Item)), "batch": audit.Clean(o.Batch), "supplier": audit.Clean(o.Supplier)}})
}

// note records what an upload added.
func (s *Stock) note(ctx context.Context, b Batch, o *Options, r *Report) error {
	return s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		return s.Audit.Append(ctx, tx, audit.Record{Actor: o.Actor, Action: "stock.imported", Subject: string(b.ID), At: s.Clocks.Now(o.Realm),
			Detail: map[string]string{"rows": strconv.Itoa(r.Rows), "added": strconv.Itoa(r.Added), "known": strconv.Itoa(r.Known), "wrong": strconv.Itoa(r.Wrong)}})
	})
}
