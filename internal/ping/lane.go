package ping

import (
	"context"
	"hash/maphash"

	"github.com/scripcards/scrip/internal/platform/lane"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// work is a check that waits to be recorded, and its result.
type work struct {
	a      *attempt
	result Result
}

// newLane returns a lane that records checks, with what it remembers between batches.
func newLane(s *Service) *lane.Lane[work] {
	var (
		remembered = newSeen()
		last       *batch
	)
	return lane.New(lane.Config[work]{DB: s.DB, Name: "the recorder of balance checks",
		Run: func(ctx context.Context, tx *storage.Tx, tasks []*lane.Task[work]) error {
			last = newBatch(s, remembered, tasks)
			return last.run(ctx, tx)
		},
		Committed: func([]*lane.Task[work]) { last.settle() }})
}

// record makes a check durable and returns its result, which is not the network's if the
// card is locked. A book always has the same lane.
func (s *Service) record(ctx context.Context, a *attempt) (Result, error) {
	l := s.lanes[maphash.String(s.seed, string(a.caller.book))%uint64(len(s.lanes))]
	done, err := l.Do(ctx, work{a: a})
	if err != nil {
		return Result{}, err
	}
	return done.result, nil
}
