package gather_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/platform/gather"
	"github.com/scripcards/scrip/internal/testkit/crowd"
)

// desk answers numbers with their squares. The first group that it is asked waits for gate.
type desk struct {
	*gather.Gather[int, int]
	first  sync.Once
	begun  chan struct{}
	gate   chan struct{}
	groups [][]int
	err    error
	panics bool
}

func open() *desk {
	d := &desk{begun: make(chan struct{}), gate: make(chan struct{})}
	d.Gather = gather.New(time.Minute, d.answer)
	return d
}

func (d *desk) answer(ctx context.Context, questions []int) ([]int, error) {
	d.first.Do(func() {
		close(d.begun)
		<-d.gate
	})
	d.groups = append(d.groups, slices.Clone(questions))
	if d.panics {
		panic("no answer")
	}
	answers := make([]int, len(questions))
	for i, q := range questions {
		answers[i] = q * q
	}
	return answers, errors.Join(d.err, ctx.Err())
}

// behind asks once the first group is under way, and n more questions beside it, and
// opens the gate when all of them wait.
func (d *desk) behind(ctx context.Context, n int, heard func(question, answer int, err error)) {
	var group sync.WaitGroup
	ask := func(q int) {
		answer, err := d.Ask(ctx, q)
		heard(q, answer, err)
	}
	group.Go(func() { ask(1) })
	<-d.begun
	for i := range n {
		group.Go(func() { ask(2 + i) })
	}
	d.AwaitWaiting(n)
	close(d.gate)
	group.Wait()
}

// A lone question is asked at once; those that come meanwhile share the next, and all have
// the answer to their own.
func TestGroups(t *testing.T) {
	d := open()
	d.behind(t.Context(), 50, func(q, answer int, err error) {
		if answer != q*q || err != nil {
			t.Errorf("%d: %d, %v", q, answer, err)
		}
	})
	if len(d.groups) != 2 || len(d.groups[0]) != 1 || len(d.groups[1]) != 50 {
		t.Errorf("groups %v", d.groups)
	}
	if answer, err := d.Ask(t.Context(), 7); answer != 49 || err != nil {
		t.Errorf("alone: %d, %v", answer, err)
	}
}

// A group is bounded: who has no room in one is asked in the next.
func TestMost(t *testing.T) {
	d := open()
	d.behind(t.Context(), 2*gather.Most+1, func(q, answer int, err error) {
		if answer != q*q || err != nil {
			t.Errorf("%d: %d, %v", q, answer, err)
		}
	})
	var sizes []int
	for _, g := range d.groups {
		sizes = append(sizes, len(g))
	}
	if fmt.Sprint(sizes) != fmt.Sprint([]int{1, gather.Most, gather.Most, 1}) {
		t.Errorf("groups of %v", sizes)
	}
}

// An error is the whole group's, and the next group has none of it. That a caller left
// changes nothing for those who share its group.
func TestError(t *testing.T) {
	d, away := open(), errors.New("away")
	d.err = away
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	d.behind(ctx, 3, func(q, _ int, err error) {
		if !errors.Is(err, away) || errors.Is(err, context.Canceled) {
			t.Errorf("%d: %v", q, err)
		}
	})
	d.err = nil
	if answer, err := d.Ask(ctx, 3); answer != 9 || err != nil {
		t.Errorf("afterwards: %d, %v", answer, err)
	}
}

// A look-up that takes too long is given up, for all who share it.
func TestLimit(t *testing.T) {
	g := gather.New(time.Nanosecond, func(ctx context.Context, _ []int) ([]int, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	})
	crowd.AtOnce(5, func(i int) {
		if _, err := g.Ask(t.Context(), i); fault.CodeOf(err) != fault.Timeout {
			t.Errorf("%d: %v", i, err)
		}
	})
}

// A panic is its own goroutine's: the others of the group hear of an error, and those after
// it are asked.
func TestPanic(t *testing.T) {
	d := open()
	close(d.gate)
	d.panics = true
	var told, panicked sync.Map
	crowd.AtOnce(20, func(i int) {
		defer func() {
			if recover() != nil {
				panicked.Store(i, true)
			}
		}()
		_, err := d.Ask(t.Context(), i)
		told.Store(i, err)
	})
	for i := range 20 {
		err, heard := told.Load(i)
		if _, lost := panicked.Load(i); lost == heard || heard && err == nil {
			t.Errorf("%d: %v", i, err)
		}
	}
	d.panics = false
	if answer, err := d.Ask(t.Context(), 3); answer != 9 || err != nil {
		t.Errorf("afterwards: %d, %v", answer, err)
	}
}
