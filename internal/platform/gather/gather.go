// Package gather folds questions that come at once into one: while one group of them is
// asked, others queue up, and all of those share the next. It never waits for more, so that
// a lone question is asked at once.
//
// It is for questions that are answered in a moment and read only: who asks waits for the
// answer even when its caller has left, no longer than two groups may take, and an error is
// the whole group's.
package gather

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
)

// Most bounds the questions of a group.
const Most = 128

// Gather asks questions of type Q, whose answers are of type A. It is safe for concurrent use.
type Gather[Q, A any] struct {
	ask     func(ctx context.Context, questions []Q) ([]A, error)
	limit   time.Duration
	mu      sync.Mutex
	waiting []*turn[Q, A] // those who are in no group yet
	asking  bool          // somebody asks, and has the first who waits ask then
}

// turn is one question. Whoever made it asks the next group when told to lead.
type turn[Q, A any] struct {
	question Q
	answer   A
	err      error
	lead     chan bool
}

// New returns a Gather. ask answers every question of a group, in their order, within limit;
// the values of its context are those of one who asked.
func New[Q, A any](limit time.Duration, ask func(ctx context.Context, questions []Q) ([]A, error)) *Gather[Q, A] {
	return &Gather[Q, A]{ask: ask, limit: limit}
}

// Ask returns the answer to a question, asked together with those of others, or why there is
// none: timeout where it took too long.
func (g *Gather[Q, A]) Ask(ctx context.Context, question Q) (A, error) {
	t := &turn[Q, A]{question: question, lead: make(chan bool, 1)}
	if g.join(t) || <-t.lead {
		g.run(ctx, t)
	}
	return t.answer, t.err
}

// join queues a turn and reports whether it has to ask, since nobody does.
func (g *Gather[Q, A]) join(t *turn[Q, A]) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting = append(g.waiting, t)
	first := !g.asking
	g.asking = true
	return first
}

var errEnded = errors.New("whoever asked for all ended before there was an answer")

// run asks a group in which mine is, answers the others, and has one of those who came
// meanwhile ask the next. Whoever can run now runs first, as they may have a question.
func (g *Gather[Q, A]) run(ctx context.Context, mine *turn[Q, A]) {
	runtime.Gosched()
	group := g.take()
	answers, err := []A(nil), errEnded // a panic of ask leaves nobody waiting
	defer func() {
		g.pass()
		for i, t := range group {
			if t.err = err; err == nil {
				t.answer = answers[i]
			}
			if t != mine {
				t.lead <- false
			}
		}
	}()
	questions := make([]Q, len(group))
	for i, t := range group {
		questions[i] = t.question
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), g.limit)
	defer cancel()
	if answers, err = g.ask(ctx, questions); err != nil && ctx.Err() != nil {
		err = fault.Wrap(err, fault.Timeout, "looking it up took too long")
	}
}

// take returns those who waited longest.
func (g *Gather[Q, A]) take() []*turn[Q, A] {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := min(len(g.waiting), Most)
	group := g.waiting[:n:n]
	g.waiting = append([]*turn[Q, A](nil), g.waiting[n:]...)
	return group
}

// pass has the first of those who wait ask, if anybody does.
func (g *Gather[Q, A]) pass() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.waiting) == 0 {
		g.asking = false
		return
	}
	g.waiting[0].lead <- true
}
