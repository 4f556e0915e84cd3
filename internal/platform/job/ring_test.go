package job

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
)

// Work that is settled never waits in a ring with transactions that ask for the same work
// again: none of these is undone and repeated.
func TestSettlingMakesNoRings(t *testing.T) {
	const endpoints, rounds = 24, 50
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		f := setup(t, db)
		f.Handle("turn", Options{Concurrency: endpoints}, func(context.Context, Job) error { return nil })
		start(t, f)
		var tries, commits atomic.Int32
		ended := make(chan struct{})
		for range 3 {
			go func() {
				defer func() { ended <- struct{}{} }()
				for range rounds {
					err := db.Write(t.Context(), func(ctx context.Context, tx *storage.Tx) error {
						tries.Add(1)
						var effects []storage.Effect
						for i := range endpoints {
							effects = append(effects, Enqueue(Request{Kind: "turn", Book: fmt.Sprintf("bk_%02d", i), Unique: "wh"}))
						}
						return tx.Apply(ctx, effects)
					})
					if err != nil {
						t.Error(err)
						return
					}
					commits.Add(1)
					f.Wake()
				}
			}()
		}
		for range 3 {
			wait(t, ended)
		}
		if tries.Load() != commits.Load() {
			t.Errorf("%d transactions took %d tries", commits.Load(), tries.Load())
		}
	})
}
