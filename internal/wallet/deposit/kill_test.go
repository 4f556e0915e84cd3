package deposit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/platform/vault"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/wallet/address"
	"github.com/scripcards/scrip/internal/wallet/deposit"
)

// The variables that tell this test program to be the process that is killed: the
// database's URL or path, the folder of the master key, and at which step to die.
const (
	victimVariable = "SCRIP_DEPOSIT_VICTIM"
	keyVariable    = "SCRIP_DEPOSIT_KEY"
	stepVariable   = "SCRIP_DEPOSIT_STEP"
)

// finished is what a victim says that came to the end of its scan.
const finished = "finished"

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
			where := []string{victimVariable + "=" + config.URL + config.Path, keyVariable + "=" + keys}
			steps := 0
			for done := false; !done; steps++ {
				ada := b.customer(fmt.Sprint("ada-", steps))
				b.pay(ada, "0.01 BTC", 6)
				done = b.kill(where, steps+1)
				b.scan()
				b.totals(ada, "645.33 0.00 645.33 0.00")
				b.told(ada, "deposit.pending pending 645.33", "deposit.confirmed confirmed 645.33")
				check.OK(b.t, b.chains[asset.Bitcoin].Reorganise(t.Context(), b.at(ada, asset.Bitcoin), 6, true))
				done = b.kill(where, steps+1) && done
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

// kill runs a scan in a process that dies at a step, and reports whether it came to its end.
func (b *bench) kill(where []string, step int) bool {
	b.t.Helper()
	var out, complaints bytes.Buffer
	victim := exec.CommandContext(b.t.Context(), os.Args[0])
	victim.Env = append(append(os.Environ(), where...), stepVariable+"="+strconv.Itoa(step))
	victim.Stdout, victim.Stderr = &out, &complaints
	err := victim.Run()
	if err == nil && out.String() == finished {
		return true
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Exited() {
		b.t.Fatalf("the process was not killed: %v\n%s", err, complaints.String())
	}
	return false
}

// doom kills its process at a step, counted down.
type doom struct{ left atomic.Int64 }

func (d *doom) step() {
	if d.left.Add(-1) != 0 {
		return
	}
	if self, err := os.FindProcess(os.Getpid()); err == nil {
		_ = self.Kill()
	}
	select {} // until it is dead
}

// doomedClock and doomedChain make every reading of the clock, and every question, a step.
type doomedClock struct{ *doom }

func (c doomedClock) Now() time.Time {
	c.step()
	return began
}

type doomedChain struct {
	*doom
	deposit.Chain
}

func (c doomedChain) Seen(ctx context.Context, after string) (deposit.Page, error) {
	page, err := c.Chain.Seen(ctx, after)
	c.step()
	return page, err
}

func (c doomedChain) Look(ctx context.Context, payments []deposit.Payment) ([]deposit.Sighting, error) {
	all, err := c.Chain.Look(ctx, payments)
	c.step()
	return all, err
}

// runVictim scans, if it lives long enough.
func runVictim() error {
	ctx, where := context.Background(), os.Getenv(victimVariable)
	config := storage.Config{Path: where}
	if strings.HasPrefix(where, "postgres") {
		config = storage.Config{URL: where}
	}
	db, err := storage.Open(ctx, config)
	if err != nil {
		return err
	}
	master, _, err := vault.LoadMasterKey(os.Getenv(keyVariable), "")
	if err != nil {
		return err
	}
	d := &doom{}
	d.left.Store(-1)
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
	step, err := strconv.ParseInt(os.Getenv(stepVariable), 10, 64)
	if err != nil {
		return err
	}
	d.left.Store(step)
	if err := w.Scan(ctx, realm.Test); err != nil {
		return err
	}
	fmt.Print(finished)
	os.Exit(0)
	return nil
}
