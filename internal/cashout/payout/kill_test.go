package payout_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/cashout/payout"
	"github.com/scripcards/scrip/internal/cashout/payout/destination"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/vault"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/doom"
)

// What tells a process that is to die more than where the database is.
const (
	// timeVariable is the time.
	timeVariable = "SCRIP_PAYOUT_TIME"
	// floorVariable is the least fee, at which what waits is to be replaced.
	floorVariable = "SCRIP_PAYOUT_FLOOR"
	// wayVariable leads to real nodes, by which somebody else kills the process.
	wayVariable = "SCRIP_PAYOUT_WAY"
)

// A process that is killed at any step of a payout, before and after each call to a node,
// leaves nothing half done: who goes on pays it once, whatever kind it is of.
func TestKilled(t *testing.T) {
	for _, engine := range testkit.Engines() {
		for _, kind := range []destination.Kind{destination.P2TR, destination.Invoice, destination.Handle} {
			t.Run(engine+"/"+string(kind), func(t *testing.T) {
				t.Parallel()
				killed(t, engine, kind)
			})
		}
	}
}

func killed(t *testing.T, engine string, kind destination.Kind) {
	config, keys := testkit.Database(t, engine), t.TempDir()
	db := testkit.Open(t, config)
	b := &bench{t: t, clock: clock.NewManual(began)}
	var err error
	b.master, _, err = vault.LoadMasterKey(keys, "")
	b.must(err)
	b.world, err = open(t.Context(), db, b.clock, b.master)
	b.must(err)
	t.Cleanup(b.books.Close)
	b.fund()
	where := doom.Where(config, keys)
	steps := 0
	for done := false; !done; steps++ {
		book := b.customer(fmt.Sprint("ada-", steps))
		p := b.pay(book, b.to(kind), 10_000)
		done = b.kill(where, steps+1)
		for range 8 {
			b.later(6 * time.Minute) // leases end, and what was doubted is believed
			b.must(b.node.Mine(t.Context(), 1))
		}
		p = b.expect(p, "settled")
		if n := b.heardOf(p); n != 1 {
			t.Errorf("killed at step %d: the listener was told %d times", steps+1, n)
		}
		b.owes(book, "0.9999 held 0")
		if kind.IsLightning() {
			b.told(book, "settled")
			if got, want := b.received(), fmt.Sprint(steps+1, "x ", (steps+1)*10_000); got != want {
				t.Fatalf("killed at step %d: %s were received, want %s", steps+1, got, want)
			}
		} else {
			b.told(book, "sent, settled")
			if got := b.paid(p.To); got != "1x 10000" {
				t.Fatalf("killed at step %d: paid %s", steps+1, got)
			}
		}
	}
	if steps < 8 {
		t.Errorf("the work had %d steps to die at, which is not all of it", steps)
	}
	b.verified()
}

// kill does all work that is due in a process that dies at a step, and reports whether it
// came to its end.
func (b *bench) kill(where []string, step int) bool {
	b.t.Helper()
	return doom.Kill(b.t, step, append(where, b.now())...)
}

// now tells a process the time.
func (b *bench) now() string { return timeVariable + "=" + b.clock.Now().Format(time.RFC3339Nano) }

// The doomed nodes have a step before and after each call.
type doomedWallet struct {
	*doom.Doom
	payout.Wallet
}

func (w doomedWallet) Bump(ctx context.Context, raw []byte, o payout.Order) (payout.Signed, error) {
	w.Step()
	defer w.Step()
	return w.Wallet.Bump(ctx, raw, o)
}

func (w doomedWallet) Build(ctx context.Context, o payout.Order) (payout.Signed, error) {
	w.Step()
	defer w.Step()
	return w.Wallet.Build(ctx, o)
}

type doomedChain struct {
	*doom.Doom
	payout.Chain
}

func (c doomedChain) Publish(ctx context.Context, raw []byte) error {
	c.Step()
	defer c.Step()
	return c.Chain.Publish(ctx, raw)
}

func (c doomedChain) Look(ctx context.Context, raw [][]byte) ([]payout.Sighting, error) {
	c.Step()
	defer c.Step()
	return c.Chain.Look(ctx, raw)
}

func (c doomedChain) Rate(ctx context.Context, blocks int) (int64, error) {
	c.Step()
	return c.Chain.Rate(ctx, blocks)
}

type doomedLightning struct {
	*doom.Doom
	payout.Lightning
}

func (l doomedLightning) Pay(ctx context.Context, t payout.Transfer) (payout.Answer, error) {
	l.Step()
	defer l.Step()
	return l.Lightning.Pay(ctx, t)
}

type doomedResolver struct {
	*doom.Doom
	payout.Resolver
}

func (r doomedResolver) Resolve(ctx context.Context, a payout.Ask) (payout.Offer, error) {
	r.Step()
	defer r.Step()
	return r.Resolver.Resolve(ctx, a)
}

// doomedClock makes every reading of the clock a step.
type doomedClock struct {
	*doom.Doom
	at time.Time
}

func (c doomedClock) Now() time.Time {
	c.Step()
	return c.at
}

// work does the work that is due and what follows a new block, if it lives long enough.
func work(ctx context.Context, d *doom.Doom) error {
	db, master, err := doom.Open(ctx)
	if err != nil {
		return err
	}
	at, err := time.Parse(time.RFC3339Nano, os.Getenv(timeVariable))
	if err != nil {
		return err
	}
	w, err := open(ctx, db, doomedClock{d, at}, master)
	if err != nil {
		return err
	}
	due := everything
	if text := os.Getenv(floorVariable); text != "" {
		if w.Policy.Chain.Floor, err = strconv.ParseInt(text, 10, 64); err != nil {
			return err
		}
		due = raiseAll
	}
	if way := os.Getenv(wayVariable); way != "" {
		return runOnRails(ctx, w, way)
	}
	nodes := w.Nodes[realm.Test]
	w.Nodes[realm.Test] = payout.Nodes{Network: nodes.Network, Wallet: doomedWallet{d, nodes.Wallet}, Chain: doomedChain{d, nodes.Chain},
		Lightning: doomedLightning{d, nodes.Lightning}, Resolver: doomedResolver{d, nodes.Resolver}}
	if err := d.Begin(); err != nil {
		return err
	}
	return due(ctx, w)
}

// everything pays what waits and settles it, without the queue, whose own steps are not
// those of payouts.
func everything(ctx context.Context, w *world) error {
	if err := sendAll(ctx, w); err != nil {
		return err
	}
	if err := w.node.Mine(ctx, 1); err != nil {
		return err
	}
	return w.Watch(ctx, realm.Test)
}

// raiseAll raises the fees of what waits, and settles it.
func raiseAll(ctx context.Context, w *world) error {
	if err := w.Watch(ctx, realm.Test); err != nil {
		return err
	}
	if err := w.node.Mine(ctx, 1); err != nil {
		return err
	}
	return w.Watch(ctx, realm.Test)
}

// sendAll pays what waits.
func sendAll(ctx context.Context, w *world) error {
	if err := w.Batch(ctx, realm.Test); err != nil {
		return err
	}
	open, err := w.List(ctx, payout.Filter{Realm: realm.Test, State: payout.Held})
	if err != nil {
		return err
	}
	for _, p := range open {
		if _, err := w.Pay(ctx, p); err != nil {
			return err
		}
	}
	return nil
}
