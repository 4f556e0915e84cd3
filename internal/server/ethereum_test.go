package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/server"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/testkit/ethnode"
	"github.com/scripcards/scrip/internal/wallet/address"
	"github.com/scripcards/scrip/internal/wallet/deposit"
)

// ethereumPolicy makes deposits of 10 ETH and more wait for a final block.
const ethereumPolicy = `"assets":{"ETH":{"confirmations":[{"from":"0","confirmations":3},{"from":"10","confirmations":3,"final":true}]},
	"USDT-ERC20":{"confirmations":[{"from":"0","confirmations":3}]}}`

// ethereumRail is a server that watches a real node, and the address of its customer.
type ethereumRail struct {
	*watching
	node *ethnode.Node
	to   string
}

func eachEthereum(t *testing.T, test func(t *testing.T, r *ethereumRail)) {
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			node := ethnode.Start(t)
			file := filepath.Join(t.TempDir(), "deposits.json")
			check.OK(t, os.WriteFile(file, fmt.Appendf(nil, `{"test_nodes":{"ethereum":%s},%s}`, node.Config(1), ethereumPolicy), 0o600))
			r := &ethereumRail{watching: watch(t, testkit.Database(t, engine), file), node: node}
			defer func() { check.OK(t, r.Close()) }()
			var err error
			r.to, err = r.Deposits.Address(t.Context(), r.wallet, asset.ETH)
			check.OK(t, err)
			test(t, r)
		})
	}
}

// Ether and tokens on a real node are seen, confirmed and credited once, whatever process
// looks; a reorganisation takes the credit back, and the other branch gives it again. What a
// look-alike token, an undone transaction or a trifle says is not credited; what a contract
// pays is; and a large deposit waits until its block is final.
func TestDepositsOnEthereum(t *testing.T) {
	eachEthereum(t, func(t *testing.T, r *ethereumRail) {
		r.expect("nothing yet")
		again := []string{r.node.Raw(r.node.Pay(r.to, ethnode.Gwei(1_000_000_000))), r.node.Raw(r.node.Transfer(r.node.Token, r.to, 25_000_000))}
		r.node.Transfer(r.node.Fake, r.to, 25_000_000)
		r.node.Refused(r.to)
		r.node.PayHidden(r.to, ethnode.Gwei(500_000_000))
		r.expect("in no block")
		r.node.Mine(1)
		r.expect("in a block", "pending 0.5 1 1592.50", "pending 1 1 3185.00", "pending 25 1 24.50")
		r.node.Mine(1)
		r.again()
		r.node.Mine(1)
		r.expect("credited", "confirmed 0.5 3 1592.50", "confirmed 1 3 3185.00", "confirmed 25 3 24.50")
		r.expect("credited once", "confirmed 0.5 3 1592.50", "confirmed 1 3 3185.00", "confirmed 25 3 24.50")
		r.has(480_200)
		r.audit(asset.Ethereum, "ETH 2/2 1.5 1.5", "USDT-ERC20 1/1 25 25")
		check.OK(t, r.Deposits.Rescan(t.Context(), deposit.Rescan{Place: address.Place{Realm: realm.Test, Chain: asset.Ethereum}, From: 1, Actor: "ada"}))
		r.expect("read again", "confirmed 0.5 3 1592.50", "confirmed 1 3 3185.00", "confirmed 25 3 24.50")
		r.has(480_200)

		r.node.Reorganise(3)
		r.deposits()
		r.has(0)
		r.node.Resend(again...)
		r.node.Mine(3)
		r.expect("credited again, but what the contract paid", "confirmed 1 3 3185.00", "confirmed 25 3 24.50", "expired 0.5 0 0.00")
		r.has(320_950)
		r.node.PayHidden(r.to, ethnode.Gwei(500_000_000))
		r.node.Pay(r.to, ethnode.Gwei(4_999_999))
		r.node.Transfer(r.node.Token, r.to, 4_999_999)
		r.node.Pay(r.to, ethnode.Gwei(10_000_000_000))
		r.node.Mine(1)
		r.again()
		r.node.Empty(r.to, ethnode.Gwei(11_000_000_000))
		r.node.Mine(2)
		r.expect("too little, and large", "confirmed 0.5 3 1592.50", "confirmed 1 6 3185.00", "confirmed 25 6 24.50", "expired 0.004999999 3 0.00",
			"expired 0.5 0 0.00", "expired 4.999999 3 0.00", "pending 10 3 31850.00")
		r.node.Mine(5)
		r.expect("not final", "confirmed 0.5 8 1592.50", "confirmed 1 11 3185.00", "confirmed 25 11 24.50", "expired 0.004999999 3 0.00",
			"expired 0.5 0 0.00", "expired 4.999999 3 0.00", "pending 10 8 31850.00")
		r.node.Mine(1)
		r.deposits()
		r.has(320_950 + 159_250 + 3_185_000)
	})
}

// The variables that tell this test program to be the process that is killed: what the
// server is opened with, and at which step of a scan to die.
const (
	victimVariable = "SCRIP_RAIL_VICTIM"
	stepVariable   = "SCRIP_RAIL_STEP"
)

// TestMain lets the program be the process that a test kills.
func TestMain(m *testing.M) {
	if os.Getenv(victimVariable) != "" {
		fmt.Fprintln(os.Stderr, runVictim())
		os.Exit(1)
	}
	m.Run()
}

// A process that is killed before or after any call of a scan leaves nothing half done: who
// scans next credits a deposit once, and after a reorganisation takes it back once.
func TestKilledOnEthereum(t *testing.T) {
	eachEthereum(t, func(t *testing.T, r *ethereumRail) {
		for step, done := 1, false; !done; step++ {
			r.node.Pay(r.to, ethnode.Gwei(1_000_000_000))
			r.node.PayHidden(r.to, ethnode.Gwei(500_000_000))
			r.node.Mine(3)
			done = r.kill(step)
			r.deposits()
			r.has(318_500 + 159_250)
			r.node.Reorganise(3)
			done = r.kill(step) && done
			r.deposits()
			r.has(0)
			if done && step < 4 {
				t.Errorf("the scan had %d steps to die at, which is not all of it", step)
			}
		}
		report, err := ledger.Verify(t.Context(), r.DB, nil)
		if err != nil || len(report.Problems) > 0 {
			t.Errorf("the books: %v, %v", report.Problems, err)
		}
	})
}

// kill runs a scan in a process that dies at a step, and reports whether it came to its end.
func (r *ethereumRail) kill(step int) bool {
	r.t.Helper()
	o := r.options
	how, err := json.Marshal([]string{o.Data, o.Database, o.Deposits})
	check.OK(r.t, err)
	var complaints bytes.Buffer
	victim := exec.CommandContext(r.t.Context(), os.Args[0])
	victim.Env = append(os.Environ(), victimVariable+"="+string(how), stepVariable+"="+strconv.Itoa(step))
	victim.Stderr = &complaints
	err = victim.Run()
	if err == nil {
		return true
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Exited() {
		r.t.Fatalf("the process was not killed: %v\n%s", err, complaints.String())
	}
	return false
}

// doomedChain kills its process at a step, counted down.
type doomedChain struct {
	deposit.Chain
	left *int
}

func (c doomedChain) step() {
	if *c.left--; *c.left != 0 {
		return
	}
	if self, err := os.FindProcess(os.Getpid()); err == nil {
		_ = self.Kill()
	}
	select {} // until it is dead
}

func (c doomedChain) Seen(ctx context.Context, after string) (deposit.Page, error) {
	c.step()
	page, err := c.Chain.Seen(ctx, after)
	c.step()
	return page, err
}

func (c doomedChain) Look(ctx context.Context, payments []deposit.Payment) ([]deposit.Sighting, error) {
	c.step()
	all, err := c.Chain.Look(ctx, payments)
	c.step()
	return all, err
}

// runVictim scans, if it lives long enough.
func runVictim() error {
	var how []string
	if err := json.Unmarshal([]byte(os.Getenv(victimVariable)), &how); err != nil {
		return err
	}
	left, err := strconv.Atoi(os.Getenv(stepVariable))
	if err != nil {
		return err
	}
	app, err := server.Open(context.Background(), server.Options{Data: how[0], Database: how[1], Deposits: how[2], Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	at := address.Place{Realm: realm.Test, Chain: asset.Ethereum}
	app.Deposits.Chains[at] = doomedChain{app.Deposits.Chains[at], &left}
	if err := app.Deposits.Scan(context.Background(), realm.Test); err != nil {
		return err
	}
	os.Exit(0)
	return nil
}
