package ledger

import (
	"context"

	"github.com/scripcards/scrip/internal/platform/lane"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// work is one operation and what came of it.
type work struct {
	op      *Operation
	outcome Outcome
}

// newLane returns a lane of the ledger, with what it remembers between batches. A batch
// that is remembered whole is decided without asking, so that on PostgreSQL it is one
// round trip.
func newLane(db *storage.DB, config Config) *lane.Lane[work] {
	remembered := newMemory()
	run := func(ctx context.Context, tx *storage.Tx, tasks []*lane.Task[work]) error {
		ops := make([]*Operation, len(tasks))
		for i, t := range tasks {
			ops[i] = t.Work.op
		}
		n := needsOf(ops)
		remembered.begin()
		state := remembered.assume(n)
		if state == nil || !state.decideAll(tasks, config.Watch) {
			var err error
			remembered.assumed = false
			if state, err = load(ctx, tx, n, remembered); err != nil {
				return err
			}
			state.decideAll(tasks, config.Watch)
		}
		return state.write(ctx, tx)
	}
	return lane.New(lane.Config[work]{DB: db, Name: "the ledger", Run: run, Observe: config.Observe,
		Committed: func([]*lane.Task[work]) { remembered.committed() }, Again: remembered.wrong})
}

// decideAll decides the tasks in order and reports whether none was refused.
func (l *loaded) decideAll(tasks []*lane.Task[work], watch func(*Outcome) []storage.Effect) bool {
	l.watch = watch
	all := true
	for _, t := range tasks {
		t.Work.outcome, t.Err = l.decide(t.Work.op)
		all = all && t.Err == nil
	}
	return all
}

// submit has op done in its book's lane.
func (l *Ledger) submit(ctx context.Context, op *Operation) (Outcome, error) {
	done, err := l.laneOf(op.Book).Do(ctx, work{op: op})
	if err != nil {
		return Outcome{}, err
	}
	return done.outcome, nil
}

// laneOf keeps a book in one lane, so that its operations never wait for each other's locks.
func (l *Ledger) laneOf(book BookID) *lane.Lane[work] {
	hash := uint32(2166136261)
	for i := range len(book) {
		hash = (hash ^ uint32(book[i])) * 16777619
	}
	return l.lanes[hash%uint32(len(l.lanes))]
}
