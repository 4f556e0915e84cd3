package deposit_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/vault"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/testkit/doom"
	"github.com/scripcards/scrip/internal/wallet/address"
	"github.com/scripcards/scrip/internal/wallet/deposit"
)

// A process that is killed at any step of a scan leaves nothing half done: who scans next
// credits the deposit once, and after a reorganisation takes it back once, with one event
// and one entry each.
func TestKilled(t *testing.T) {
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			config, keys := testkit.Database(t, engine), t.TempDir()
			db := testkit.Open(t, config)
			b := &bench{t: t, clock: clock.NewManual(began)}
			var err error
			b.master, _, err = vault.LoadMasterKey(keys, "")
			check.OK(b.t, err)
			b.world, err = open(t.Context(), db, b.clock, b.master)
			check.OK(b.t, err)
			t.Cleanup(b.Books.Close)
			where := doom.Where(config, keys)
			steps := 0
			for done := false; !done; steps++ {
				ada := b.customer(fmt.Sprint("ada-", steps))
				b.pay(ada, "0.01 BTC", 6)
				done = doom.Kill(t, steps+1, where...)
				b.scan()
				b.totals(ada, "645.33 0.00 645.33 0.00")
				b.told(ada, "deposit.pending pending 645.33", "deposit.confirmed confirmed 645.33")
				check.OK(b.t, b.chains[asset.Bitcoin].Reorganise(t.Context(), b.at(ada, asset.Bitcoin), 6, true))
				done = doom.Kill(t, steps+1, where...) && done
				b.scan()
				b.totals(ada, "0.00 0.00 0.00 0.00")
				b.told(ada, "deposit.pending pending 645.33", "deposit.confirmed confirmed 645.33", "deposit.reversed expired reorganised 645.33")
			}
			if steps < 12 {
				t.Errorf("the scan had %d steps to die at, which is not all of it", steps)
			}
			b.verified()
		})
	}
}

// doomedClock and doomedChain make every reading of the clock, and every question, a step.
type doomedClock struct{ *doom.Doom }

func (c doomedClock) Now() time.Time {
	c.Step()
	return began
}

type doomedChain struct {
	*doom.Doom
	deposit.Chain
}

func (c doomedChain) Seen(ctx context.Context, after string) (deposit.Page, error) {
	page, err := c.Chain.Seen(ctx, after)
	c.Step()
	return page, err
}

func (c doomedChain) Look(ctx context.Context, payments []deposit.Payment) ([]deposit.Sighting, error) {
	all, err := c.Chain.Look(ctx, payments)
	c.Step()
	return all, err
}

// scan scans, if it lives long enough.
func scan(ctx context.Context, d *doom.Doom) error {
	db, master, err := doom.Open(ctx)
	if err != nil {
		return err
	}
	w, err := open(ctx, db, doomedClock{d}, master)
	if err != nil {
		return err
	}
	for _, name := range asset.Chains() {
		w.Chains[address.Place{Realm: realm.Test, Chain: name}] = doomedChain{d, w.chains[name]}
	}
	if at := os.Getenv(restVariable); at != "" {
		w.Chains[address.Place{Realm: realm.Test, Chain: asset.Ethereum}] = doomedChain{d, told{restPage(at, 100)}}
	}
	if err := d.Begin(); err != nil {
		return err
	}
	return w.Scan(ctx, realm.Test)
}
