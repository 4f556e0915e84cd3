package lite

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"

	"github.com/scripcards/scrip/internal/core/clock"
)

// What is written takes as long as its portions may take, and no longer than it takes by
// itself once it is in a hurry.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hurry, end := context.WithCancel(t.Context())
		p := &pace{number: -1, hurry: hurry}
		watch := clock.Start()
		p.begin(slowest / 2)
		for range 10*portion - 1 {
			p.wrote()
		}
		if took := watch.Elapsed(); took != 9*slowest/2 || p.portions() != 9 {
			t.Errorf("%d portions took %s, want 9 in %s", p.portions(), took, 9*slowest/2)
		}
		p.begin(1000 * slowest)
		for range portion {
			p.wrote()
		}
		if took := watch.Elapsed(); took != 11*slowest/2 {
			t.Errorf("the slowest portion ended after %s, want %s", took, 11*slowest/2)
		}
		end()
		for range 1000 * portion {
			p.wrote()
		}
		if took := watch.Elapsed(); took != 11*slowest/2 || p.portions() != 1001 {
			t.Errorf("in a hurry: %d portions after %s", p.portions(), took)
		}
	})
}

// The pages that a folded log gives to its database are written at the pace of whoever folds,
// until that is over; the kernel's number of the file is known where it is of use.
func TestFoldedPagesAreCounted(t *testing.T) {
	w := newWorkbench(t)
	c := w.connect(w.path)
	w.run(c, "CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT NOT NULL)")
	p, forget := newPace(c, t.Context())
	if known := p.number >= 0; known != (runtime.GOOS == "linux") {
		t.Errorf("the file's number is %d", p.number)
	}
	fold := func() (folded, written int) {
		p.begin(0)
		if err := c.fill(100); err != nil {
			t.Fatal(err)
		}
		folded, err := c.Fold()
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
