package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// seedVariable chooses one seed instead of a new one each time.
const seedVariable = "SCRIP_SIM_SEED"

// chooseSeed returns the seed of a test, which is told if it fails.
func chooseSeed(t *testing.T) uint64 {
	t.Helper()
	seed := rand.Uint64()
	if text := os.Getenv(seedVariable); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("%s: %v", seedVariable, err)
		}
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("run it again with %s=%d", seedVariable, seed)
		}
	})
	return seed
}

// Rounds and callers of the crash test.
const (
	crashRounds  = 25
	shortRounds  = 3
	crashCallers = 16
	crashBatch   = 12
	firstCards   = 6
)

// A server that is killed at any moment under load loses nothing that it acknowledged,
// does nothing twice, and answers a repeated call as it did before the crash.
func TestCrash(t *testing.T) {
	eachEngine(t, func(t *testing.T, at *installation) {
		seed := chooseSeed(t)
		c := &crashes{t: t, at: at, world: newWorld(seed), random: rand.New(rand.NewPCG(seed, 1)), before: map[*card][]line{}}
		c.run()
	})
}

// crashes is one installation's life.
type crashes struct {
	t      *testing.T
	at     *installation
	world  *world
	random *rand.Rand // of the moments of crashes
	before map[*card][]line
	server *process
	caller *caller
	signed *caller
	kept   int // done, although the answer was lost
	lost   int // without an answer
}

func (c *crashes) run() {
	rounds := crashRounds
	if testing.Short() {
		rounds = shortRounds
	}
	for n := range rounds {
		if n%4 == 0 {
			c.crashWhileStarting()
		}
		c.start()
		if n == 0 {
			c.prepare()
		}
		c.recover()
		c.load()
	}
	c.start()
	c.recover()
	c.compare(c.world.cards)
	c.server.stop(c.t)
	c.totals()
}

// moment returns a random time between two numbers of milliseconds.
func (c *crashes) moment(from, to int) *time.Timer {
	return time.NewTimer(time.Duration(from+c.random.IntN(to-from)) * time.Millisecond)
}

// crashWhileStarting kills a server that migrates, makes the demo's data or recovers.
func (c *crashes) crashWhileStarting() {
	p := c.at.launch(c.t, "--demo")
	moment := c.moment(1, 150)
	defer moment.Stop()
	select {
	case <-moment.C:
		p.kill()
	case <-p.ended:
		c.t.Fatalf("the server ended by itself: %v\n%s", p.err, p.stderr)
	}
}

func (c *crashes) start() {
	c.server = c.at.start(c.t, "--demo")
	c.caller = newCaller(c.t, c.server.base, 2*crashCallers)
	c.signed = c.caller.signing(demoClient, demoSecret)
}

// prepare makes the first cards.
func (c *crashes) prepare() {
	for range firstCards {
		if op := c.world.first(); c.call(op) != nil || op.state != done {
			c.t.Fatalf("no first card: %v", op.body)
		}
	}
}

// call makes an operation's call and learns from its answer. The error is that there was none.
func (c *crashes) call(op *operation) error {
	from := c.caller
	if len(op.body["merchantTradeNo"])%2 == 0 && op.kind != "cancel" {
		from = c.signed
	}
	r, err := from.post(context.Background(), actionOf(op.kind).path, op.body)
	if wrong := c.world.learn(op, r, err); wrong != nil {
		c.t.Error(wrong)
	}
	return err
}

// load keeps the server busy until it is killed at a random moment.
func (c *crashes) load() {
	var (
		callers sync.WaitGroup
		killed  atomic.Bool
	)
	for n := range crashCallers {
		callers.Go(func() {
			for c.act(n) == nil {
			}
			if !killed.Load() && !c.t.Failed() {
				c.t.Error("a call had no answer, although the server ran")
			}
		})
	}
	moment := c.moment(150, 400)
	defer moment.Stop()
	select {
	case <-moment.C:
	case <-c.server.ended:
		c.t.Errorf("the server ended by itself: %v\n%s", c.server.err, c.server.stderr)
	}
	killed.Store(true)
	c.server.kill()
	callers.Wait()
	if c.t.Failed() {
		c.t.FailNow()
	}
}

// act makes one call, one caller also the same again at the same time, and two make batches.
func (c *crashes) act(caller int) error {
	if caller == 1 || caller == 2 {
		return c.batch()
	}
	op := c.world.next()
	if caller > 0 {
		return c.call(op)
	}
	var twin sync.WaitGroup
	var err error
	twin.Go(func() { err = c.call(op) })
	return errors.Join(c.call(op), func() error { twin.Wait(); return err }())
}

// batch makes many calls in one request, and by themselves those that no batch may have.
func (c *crashes) batch() error {
	var ops []*operation
	var bodies []values
	for len(ops) < crashBatch {
		op := c.world.next()
		if op.kind == "create" {
			if err := c.call(op); err != nil {
				return err
			}
			continue
		}
		body := values{"action": op.kind}
		maps.Copy(body, op.body)
		ops, bodies = append(ops, op), append(bodies, body)
	}
	text, err := json.Marshal(map[string][]values{"operations": bodies})
	if err != nil {
		return err
	}
	r, err := c.signed.send(context.Background(), http.MethodPost, base+"giftcard/batch", text)
	var answered struct{ Results []reply }
	if err == nil && r.ok() {
		err = json.Unmarshal(r.Data, &answered)
	}
	for i, op := range ops {
		one := r
		if answered.Results != nil {
			one = answered.Results[i]
			one.HTTP = one.status()
		}
		if wrong := c.world.learn(op, one, err); wrong != nil {
			c.t.Error(wrong)
		}
	}
	return err
}

// recover compares a server that was started again with what was acknowledged before,
// repeats every call, and compares again.
func (c *crashes) recover() {
	c.t.Helper()
	round := c.world.round
	c.world.round = nil
	c.acknowledged(round)
	var unanswered []*operation
	for _, op := range round {
		if op.state == unknown {
			unanswered = append(unanswered, op)
		}
	}
	there := c.known()
	c.repeat(unanswered)
	c.lost += len(unanswered)
	for _, op := range unanswered {
		if op.state == unknown {
			c.t.Fatalf("%s %v has no answer from a server that runs", op.kind, op.body)
		}
		if there[op.got.TransactionID] {
			c.kept++
		}
	}
	c.repeat(slices.DeleteFunc(slices.Clone(round), func(op *operation) bool { return op.state != done }))
	c.compare(touched(round))
}

// known returns the transactions that the histories last read show.
func (c *crashes) known() map[string]bool {
	known := map[string]bool{}
	for _, lines := range c.before {
		for _, l := range lines {
			known[l.TransactionID] = true
		}
	}
	return known
}

// touched returns the cards that the operations moved money of.
func touched(ops []*operation) []*card {
	var cards []*card
	seen := map[*card]bool{}
	for _, op := range ops {
		if op.card != nil && !seen[op.card] {
			seen[op.card] = true
			cards = append(cards, op.card)
		}
	}
	return cards
}

// each runs do for all items, some at a time.
func each[T any](t *testing.T, items []T, do func(T) error) {
	t.Helper()
	var group errgroup.Group
	group.SetLimit(crashCallers)
	for _, item := range items {
		group.Go(func() error { return do(item) })
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	if t.Failed() {
		t.FailNow()
	}
}

// acknowledged proves, before anything is repeated, that what was acknowledged is there
// once, and reads what else is there.
func (c *crashes) acknowledged(round []*operation) {
	c.t.Helper()
	var mu sync.Mutex
	each(c.t, touched(round), func(card *card) error {
		s, err := c.query(card)
		if err != nil {
			return err
		}
		times := map[string]int{}
		for _, l := range s.Transactions {
			times[l.TransactionID]++
		}
		for id, op := range card.ops {
			if times[id] != 1 && !op.silent() {
				return fmt.Errorf("after the crash, %s %v, acknowledged as %s, is there %d times", op.kind, op.body, id, times[id])
			}
		}
		mu.Lock()
		defer mu.Unlock()
		c.before[card] = s.Transactions
		return nil
	})
}

func (c *crashes) query(of *card) (statement, error) {
	var s statement
	r, err := c.caller.get(context.Background(), "giftcard/query", values{"cardNumber": of.number})
	if err == nil && !r.ok() {
		err = errors.New(r.String())
	}
	if err == nil {
		err = json.Unmarshal(r.Data, &s)
	}
	if err != nil {
		return s, fmt.Errorf("query card %s: %w", of.number, err)
	}
	return s, nil
}

// repeat makes calls again, under the same references.
func (c *crashes) repeat(ops []*operation) {
	c.t.Helper()
	each(c.t, ops, func(op *operation) error {
		if err := c.call(op); err != nil {
			return fmt.Errorf("repeat %s %v: %w", op.kind, op.body, err)
		}
		return nil
	})
}

// compare checks cards from their first line to their last. What was there before is
// there unchanged.
func (c *crashes) compare(cards []*card) {
	c.t.Helper()
	each(c.t, cards, func(card *card) error {
		s, err := c.query(card)
		if err != nil {
			return err
		}
		before := c.before[card]
		if len(s.Transactions) < len(before) || !slices.Equal(s.Transactions[:len(before)], before) {
			return fmt.Errorf("card %s had the history %v and has %v", card.number, before, s.Transactions)
		}
		return card.check(s)
	})
}

// demoTransactions are the two loads of the demo's wallets, and the load and the card of its seed.
const demoTransactions = 4

// totals has the books proved, and compares their sizes with what was acknowledged: a
// card or transaction that nobody knows of would show here.
func (c *crashes) totals() {
	books := c.at.fields(c.t, "verify")
	want := demoTransactions
	for _, n := range c.world.totals {
		want += n
	}
	if books["transactions"] != strconv.Itoa(want) || books["holds"] != strconv.Itoa(c.world.totals["hold"]) || books["problems"] != "0" {
		c.t.Errorf("verify says %v, want %d transactions and %d holds", books, want, c.world.totals["hold"])
	}
	c.t.Logf("acknowledged: %v; %d calls without an answer, of which %d had been done", c.world.totals, c.lost, c.kept)
	for _, a := range actions {
		if !testing.Short() && c.world.totals[a.kind] == 0 {
			c.t.Errorf("not one %s was acknowledged", a.kind)
		}
	}
}
