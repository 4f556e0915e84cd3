package lite

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scripcards/scrip/internal/core/clock"
)

// A portion is written when enough came to the log, or as late as a portion may be, and no
// later than it can be once it is in a hurry.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hurry, end := context.WithCancel(t.Context())
		var log atomic.Int64
		p := &pace{number: -1, log: &log, hurry: hurry}
		watch := clock.Start()
		write := func(portions int, want time.Duration) {
			t.Helper()
			before := watch.Elapsed()
			for range portions * portion {
				p.wrote()
			}
			if took := watch.Elapsed() - before; took < want || took >= want+look {
				t.Errorf("%d portions took %s, want %s", portions, took, want)
			}
		}
		log.Add(1000)
		p.begin(1.5)
		write(3, 3*slowest)
		log.Add(4 * portion) // as much as six portions wait for
		write(3, 0)
		write(1, 4*slowest)
		p.begin(0)
		write(100, 0)
		p.begin(0.7)
		go func() {
			_ = clock.Wait(hurry, 2*look-1)
			log.Add(2 * portion)
		}()
		write(1, 2*look)
		end()
		write(1000, 0)
	})
}

// The pages that a folded log gives to its database are written at the pace of whoever folds,
// until that is over; the kernel's number of the file is known where it is of use.
func TestFoldedPagesAreCounted(t *testing.T) {
	w := newWorkbench(t)
	c := w.connect(w.path)
	w.run(c, "CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT NOT NULL)")
	p, forget := newPace(c, new(atomic.Int64), t.Context())
	if known := p.number >= 0; known != (runtime.GOOS == "linux") {
		t.Errorf("the file's number is %d", p.number)
	}
	fold := func() (folded, written int) {
		p.begin(0)
		if err := c.fill(100); err != nil {
			t.Fatal(err)
		}
		folded, _, err := c.Fold()
		if err != nil {
			t.Fatal(err)
		}
		return folded, p.pages
	}
	if folded, written := fold(); folded < 100 || written < 100 || written > folded {
		t.Errorf("%d pages were folded and %d written", folded, written)
	}
	forget()
	if folded, written := fold(); folded < 100 || written != 0 {
		t.Errorf("afterwards %d pages were folded, of which %d were counted", folded, written)
	}
}
