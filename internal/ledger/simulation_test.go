package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/check"
)

// The variables that choose another simulation: one seed instead of the usual ones, more steps.
const (
	seedVariable  = "SCRIP_SIM_SEED"
	stepsVariable = "SCRIP_SIM_STEPS"
)

// A life of crashes, restarts, duplicates, callers who leave, clocks that jump and accounts
// that everybody wants leaves the books as the model says, after every step.
func TestSimulation(t *testing.T) {
	steps := int(number(t, stepsVariable, 60))
	seeds := []uint64{1, 20260101, rand.Uint64()}
	if os.Getenv(seedVariable) != "" {
		seeds = []uint64{number(t, seedVariable, 0)}
	}
	for _, engine := range testkit.Engines() {
		for _, seed := range seeds {
			t.Run(fmt.Sprintf("%s/%d", engine, seed), func(t *testing.T) {
				t.Parallel()
				s := &simulation{t: t, config: testkit.Database(t, engine), rng: rand.New(rand.NewPCG(seed, 0)), clock: clock.NewManual(epoch)}
				defer func() {
					if t.Failed() {
						t.Logf("run it again with %s=%d %s=%d", seedVariable, seed, stepsVariable, steps)
					}
				}()
				s.run(steps)
			})
		}
	}
}

func number(t *testing.T, variable string, otherwise uint64) uint64 {
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", variable, err)
	}
	return n
}

// simulation is one database with two books, each beside its model.
type simulation struct {
	t      *testing.T
	config storage.Config
	rng    *rand.Rand
	clock  *clock.Manual

	db    *storage.DB
	books *ledger.Ledger
	twins []*twin
	makes []*generator
	past  [][]ledger.Operation // by book
}

func (s *simulation) run(steps int) {
	s.start()
	defer func() { s.stop() }()
	for i := range 2 {
		w := &twin{id: ledger.BookID(fmt.Sprintf("bk_sim_%d", i)), books: s.books, model: newModel()}
		open(s.t, s.db, w.id)
		check.OK(s.t, w.submit(chart(s.clock.Now())))
		s.twins, s.past = append(s.twins, w), append(s.past, nil)
		s.makes = append(s.makes, &generator{dice: s.rng.IntN})
	}
	for step := range steps {
		name, err := s.step()
		for _, w := range s.twins {
			if err == nil {
				err = w.compare(context.Background())
			}
			if err == nil {
				err = w.sums(context.Background(), s.db)
			}
		}
		if err != nil {
			s.t.Fatalf("step %d, %s: %v", step, name, err)
		}
	}
	verified(s.t, s.db)
}

func (s *simulation) start() {
	db, err := storage.Open(context.Background(), s.config)
	check.OK(s.t, err)
	_, err = db.Migrate(context.Background())
	check.OK(s.t, err)
	s.db, s.books = db, ledger.New(db, clock.NewRealms(s.clock), ledger.Config{})
	for _, w := range s.twins {
		w.books = s.books
	}
}

func (s *simulation) stop() {
	s.books.Close()
	check.OK(s.t, s.db.Close())
}

// step does one thing and returns what.
func (s *simulation) step() (string, error) {
	switch s.rng.IntN(20) {
	case 0:
		s.stop()
		s.start()
		return "restart", nil
	case 1, 2:
		return "crash", s.burst(8+s.rng.IntN(24), true)
	case 3, 4, 5, 6, 7, 8:
		return "burst", s.burst(2+s.rng.IntN(30), false)
	case 9, 10:
		s.clock.Advance(time.Duration(s.rng.IntN(30)-10) * time.Minute)
		return "clock", nil
	case 11, 12:
		return "sweep", s.sweep()
	}
	return "submit", s.burst(1, false)
}

// sweep expires what is due in both books.
func (s *simulation) sweep() error {
	due := make([][]ledger.HoldID, len(s.twins))
	count := 0
	for i, w := range s.twins {
		due[i] = w.model.due(s.clock.Now())
		count += len(due[i])
	}
	ended, err := s.books.ExpireHolds(context.Background())
	if err == nil && ended != count {
		err = fmt.Errorf("%d holds were swept, %d are due", ended, count)
	}
	for i, w := range s.twins {
		if err == nil {
			err = w.expired(context.Background(), due[i])
		}
	}
	return err
}

// call is one operation under way and what became of it.
type call struct {
	twin    int
	op      ledger.Operation
	leave   bool // its caller leaves, at some time
	outcome ledger.Outcome
	err     error
}

// burst submits n operations at once, some of them twice, some from callers who leave. When
// it crashes, the database is closed under the ledger while they are under way.
func (s *simulation) burst(n int, crash bool) error {
	calls := make([]*call, n)
	for i := range calls {
		c := &call{twin: s.rng.IntN(2), leave: s.rng.IntN(8) == 0}
		c.op = s.choose(c.twin)
		calls[i] = c
	}
	var group sync.WaitGroup
	answered := make(chan struct{}, n)
	for _, c := range calls {
		group.Go(func() {
			s.submit(c)
			answered <- struct{}{}
		})
	}
	if crash {
		for range s.rng.IntN(4) {
			<-answered
		}
		_ = s.db.Close() // what a crash leaves open is its own matter
		group.Wait()
		s.books.Close()
		s.start()
	}
	group.Wait()
	for i, w := range s.twins {
		mine := slices.DeleteFunc(slices.Clone(calls), func(c *call) bool { return c.twin != i })
		if err := s.explain(w, mine, crash); err != nil {
			return err
		}
	}
	return nil
}

// choose makes an operation, or takes one that was submitted before.
func (s *simulation) choose(i int) ledger.Operation {
	past := s.past[i]
	if len(past) > 0 && s.rng.IntN(4) == 0 {
		op := past[max(0, len(past)-1-s.rng.IntN(20))]
		op.At = s.clock.Now()
		if s.rng.IntN(8) == 0 {
			op.Reference = "another request"
		}
		return op
	}
	op := s.makes[i].operation(s.twins[i].model, s.clock.Now())
	op.Book = s.twins[i].id
	s.past[i] = append(past, op)
	return op
}

func (s *simulation) submit(c *call) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if c.leave {
		go cancel()
	}
	c.outcome, c.err = s.books.Submit(ctx, c.op)
}

// explain holds what a burst was answered against what is in the book now: every answer must
// fit the model at some point of the order in which the book says that things happened.
func (s *simulation) explain(w *twin, calls []*call, crash bool) error {
	made, err := s.made(w, calls)
	if err != nil {
		return err
	}
	open := slices.Clone(calls)
	answered := func(c *call) bool { return s.fits(w.model, c, crash) }
	for _, o := range made {
		open = slices.DeleteFunc(open, answered)
		// Two requests may share the key, but only one of them can be the one that was accepted.
		accepted := slices.IndexFunc(calls, func(c *call) bool { return c.op.Key == o.Key && c.op.Reference == o.Reference })
		if accepted < 0 {
			return fmt.Errorf("transaction %d was made under %s, and nobody asked for it so", o.Seq, o.Key)
		}
		if err := w.settle(calls[accepted].op, o, nil); err != nil {
			return err
		}
		before := len(open)
		open = slices.DeleteFunc(open, func(c *call) bool {
			return c.err == nil && !c.outcome.Replayed && c.outcome.Transaction == o.Transaction
		})
		if told := before - len(open); told > 1 || told == 0 && !crash {
			return fmt.Errorf("transaction %d under %s was made once and acknowledged as new %d times", o.Seq, o.Key, told)
		}
	}
	if open = slices.DeleteFunc(open, answered); len(open) > 0 {
		c := open[0]
		return fmt.Errorf("%s: answered %d (replayed: %t), %w; the model says %s", describe(c.op), c.outcome.Seq, c.outcome.Replayed, c.err, w.model.judge(c.op))
	}
	return nil
}

// made finds the transactions that a burst made, in their order.
func (s *simulation) made(w *twin, calls []*call) ([]ledger.Outcome, error) {
	var made []ledger.Outcome
	for _, c := range calls {
		o, found, err := w.books.FindByKey(context.Background(), w.id, c.op.Key)
		if err != nil {
			return nil, err
		}
		if c.err == nil && (!found || outcomeDiff(c.outcome, o) != "") {
			return nil, fmt.Errorf("%s was answered with %+v, the book has %+v", describe(c.op), c.outcome, o)
		}
		known := slices.ContainsFunc(made, func(m ledger.Outcome) bool { return m.Transaction == o.Transaction })
		if found && !known && o.Seq > int64(len(w.model.log)) {
			made = append(made, o)
		}
	}
	slices.SortFunc(made, bySeq)
	return made, nil
}

// fits reports whether a call may have been answered as it was when the book was as m.
func (s *simulation) fits(m *model, c *call, crash bool) bool {
	v := m.judge(c.op)
	code := fault.CodeOf(c.err)
	switch {
	case c.err == nil:
		return c.outcome.Replayed && v.replay != nil && v.replay.id == c.outcome.Transaction
	case c.leave && errors.Is(c.err, context.Canceled):
		return true // it was not done for this caller; explain finds it if it was done all the same
	case crash && (code == fault.Internal || code == fault.Unavailable):
		return true // unknown is what a crash means; the book was asked for what happened
	}
	return slices.Contains(v.codes, code)
}
