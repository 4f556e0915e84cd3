package payout_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/cashout/payout"
	"github.com/scripcards/scrip/internal/cashout/payout/destination"
	"github.com/scripcards/scrip/internal/cashout/payout/invoice"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/vault"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/doom"
	"github.com/scripcards/scrip/internal/testkit/lndnode"
)

// rails is a bench whose payouts are made by real nodes.
type rails struct {
	*bench
	t       *testing.T
	net     *lndnode.Network
	victims []string // how a process is told of the same database
	turn    int      // the first database is 0, the second one 1
}

// Payouts on two real nodes with a channel between them, over a chain of its own, on both
// databases.
func TestRails(t *testing.T) {
	net := lndnode.Start(t)
	for turn, engine := range testkit.Engines() {
		for _, one := range []struct {
			name string
			test func(*rails)
		}{{"forms", testForms}, {"twice", testTwice}, {"held", testHeld}, {"bump", testRealBump}, {"raised", testRealRaised}, {"raising killed", testRaiseKilledByCall}, {"reorganised", testReorganised}, {"killed", testKilledByCall}, {"settling killed", testSettlingKilled}} {
			t.Run(engine+"/"+one.name, func(t *testing.T) {
				r := onRails(t, engine, net)
				r.turn = turn
				one.test(r)
			})
		}
	}
}

func onRails(t *testing.T, engine string, net *lndnode.Network) *rails {
	t.Helper()
	config, keys := testkit.Database(t, engine), t.TempDir()
	r := &rails{bench: &bench{t: t, clock: clock.NewManual(clock.System().Now())}, t: t, net: net}
	var err error
	r.master, _, err = vault.LoadMasterKey(keys, "")
	r.must(err)
	r.world, err = open(t.Context(), testkit.Open(t, config), r.clock, r.master)
	r.must(err)
	t.Cleanup(r.books.Close)
	nodes, err := net.Way(t).Nodes()
	r.must(err)
	r.Nodes[realm.Test] = nodes
	r.victims = doom.Where(config, keys)
	return r
}

// to is a fresh destination of a kind.
func (r *rails) to(kind destination.Kind) payout.Destination {
	r.t.Helper()
	if kind == destination.Invoice {
		return r.parse(r.net.Payee.Invoice())
	}
	return r.bench.to(kind)
}

// paid is how often an address was paid, and how much, in the node's blocks.
func (r *rails) paid(to payout.Destination) string {
	r.t.Helper()
	times, satoshi := r.net.Chain.Paid(to.Script())
	return fmt.Sprint(times, "x ", satoshi)
}

// pool are the transactions that wait for a block at the full node.
func (r *rails) pool() (ids []string) {
	r.t.Helper()
	r.must(r.net.Chain.Ask(&ids, "getrawmempool"))
	return ids
}

// finish has time pass and blocks made until a payout is over.
func (r *rails) finish(p payout.Payout) payout.Payout {
	r.t.Helper()
	for range 6 {
		r.later(6 * time.Minute) // leases end, and what was doubted is believed
		if r.find(p).State == payout.Settled {
			break
		}
		r.net.Mine(1)
	}
	return r.expect(p, "settled")
}

// Every form of address is paid by one transaction, and every form of Lightning by its
// payee's own word, each once, with proof; the node's own list of the day agrees.
func testForms(r *rails) {
	ada := r.customer("ada")
	times, before := r.net.Payee.Received()
	var all []payout.Payout
	for i, kind := range destination.Kinds() {
		all = append(all, r.pay(ada, r.to(kind), int64(10_000+i)))
	}
	r.later(0)
	txid := r.expect(all[0], "sent").TxID
	if pool := r.pool(); len(pool) != 1 || pool[0] != txid {
		r.t.Errorf("%v wait at the node, want %s", pool, txid)
	}
	r.net.Mine(1)
	r.work()
	ours := map[string]bool{r.net.Funding: true}
	for i, kind := range destination.Kinds() {
		p := r.expect(all[i], "settled")
		ours[p.TxID], ours[p.Hash] = true, true
		if !kind.IsLightning() {
			if got, want := r.paid(p.To), fmt.Sprint("1x ", p.Amount.Minor); got != want || p.TxID != txid {
				r.t.Errorf("%s: paid %s, want %s", kind, got, want)
			}
			continue
		}
		raw, err := hex.DecodeString(p.Preimage)
		r.must(err)
		if sum := sha256.Sum256(raw); hex.EncodeToString(sum[:]) != p.Hash {
			r.t.Errorf("%s: %s is no proof of %s", kind, p.Preimage, p.Hash)
		}
	}
	if n, got := r.net.Payee.Received(); n != times+2 || got-before != all[5].Amount.Minor+all[6].Amount.Minor {
		r.t.Errorf("the payee got %d payments of %d", n-times, got-before)
	}
	day := r.clock.Now()
	r.later(25 * time.Hour)
	made, err := r.Reconcile(r.t.Context(), realm.Test, day.UTC().Format(time.DateOnly))
	r.must(err)
	if made.Payments < 3 {
		r.t.Errorf("the nodes list %d payments", made.Payments)
	}
	for _, d := range made.Differences {
		if ours[d.Subject] {
			r.t.Errorf("the node's list differs: %+v", d)
		}
	}
	r.verified()
}

// An invoice that was paid is never paid again: no second payout has it, and the node itself
// answers with the proof of the first payment.
func testTwice(r *rails) {
	ada := r.customer("ada")
	p := r.pay(ada, r.to(destination.Invoice), 12_345)
	r.later(0)
	p = r.expect(p, "settled")
	if _, err := r.plan(ada, p.To, 12_345); fault.CodeOf(err) != fault.AlreadyExists {
		r.t.Errorf("planned again: %v", err)
	}
	times, before := r.net.Payee.Received()
	in, err := invoice.Decode(p.To.Text)
	r.must(err)
	again, err := r.Nodes[realm.Test].Lightning.Pay(r.t.Context(), payout.Transfer{Invoice: p.To.Text, Hash: in.Hash, MilliSatoshi: 12_345_000, FeeLimit: 1_000_000, Timeout: time.Minute})
	r.must(err)
	if again.Outcome != payout.Succeeded || hex.EncodeToString(again.Preimage[:]) != p.Preimage {
		r.t.Errorf("paid again: %+v", again)
	}
	if n, got := r.net.Payee.Received(); n != times || got != before {
		r.t.Errorf("the payee got %d more", got-before)
	}
	unheard, err := r.Nodes[realm.Test].Lightning.Track(r.t.Context(), [32]byte{1})
	r.must(err)
	if unheard.Outcome != payout.Unheard {
		r.t.Errorf("a hash that nobody paid: %+v", unheard)
	}
	chain, confirmed, err := r.Nodes[realm.Test].Wallet.Balance(r.t.Context())
	r.must(err)
	channels, err := r.Nodes[realm.Test].Lightning.Balance(r.t.Context())
	r.must(err)
	if chain < 50_000_000 || confirmed < 0 || confirmed > chain || channels < 1_000_000 || channels > 5_000_000 {
		r.t.Errorf("balances %d and %d", chain, channels)
	}
}

// A payment that is in flight is waited for, whatever time passes. It settles when the payee
// takes it, and frees the money only when the payee refuses it.
func testHeld(r *rails) {
	r.Policy.Lightning.Timeout = time.Second // of the machine's time, after which nobody waits for the call
	r.Policy.Lightning.Tries = 1
	ada := r.customer("ada")
	for i, end := range []string{"settled", "failed unpayable"} {
		preimage := sha256.Sum256(fmt.Append(nil, ada, i, r.clock.Now()))
		p := r.pay(ada, r.parse(r.net.Payee.Held(preimage)), 10_000)
		r.later(0)
		for range 3 {
			r.later(time.Hour)
			r.expect(p, "sending")
		}
		if i == 0 {
			r.net.Payee.Settle(preimage)
		} else {
			r.net.Payee.Cancel(preimage)
		}
		r.settles(p)
		p = r.expect(p, end)
		if i == 0 && p.Preimage != hex.EncodeToString(preimage[:]) {
			r.t.Errorf("the proof is %s", p.Preimage)
		}
	}
	r.owes(ada, "0.9999 held 0")
	r.verified()
}

// settles waits until the nodes have agreed on how a payment ended.
func (r *rails) settles(p payout.Payout) {
	r.t.Helper()
	for range 100 {
		r.later(time.Minute)
		if s := r.find(p).State; s == payout.Settled || s == payout.Failed {
			return
		}
		r.must(clock.Wait(r.t.Context(), 100*time.Millisecond))
	}
}

// A transaction that waits is replaced at the real node by one with a higher fee, which
// alone is confirmed.
func testRealBump(r *rails) {
	ada := r.customer("ada")
	p := r.pay(ada, r.to(destination.P2WPKH), 10_000)
	r.later(0)
	first := r.expect(p, "sent").TxID
	r.later(2 * time.Hour)
	second := r.expect(p, "sent").TxID
	if pool := r.pool(); first == second || !slices.Equal(pool, []string{second}) {
		r.t.Fatalf("%v wait after %s and %s\n%s", pool, first, second, r.log.text.String())
	}
	r.net.Mine(1)
	r.work()
	if p = r.expect(p, "settled"); p.TxID != second || r.paid(p.To) != "1x 10000" {
		r.t.Errorf("%s paid %s", p.TxID, r.paid(p.To))
	}
	seen, err := r.Nodes[realm.Test].Chain.Look(r.t.Context(), [][]byte{r.raw(first), r.raw(second)})
	r.must(err)
	if seen[0].Known || seen[0].Rival != second || !seen[1].Known {
		r.t.Errorf("the node sees %+v", seen)
	}
	r.verified()
}

// largest is the largest coin that the real wallet can spend.
func (r *rails) largest() (satoshi int64) {
	r.t.Helper()
	var all struct {
		Coins []struct {
			Satoshi int64 `json:"amount_sat,string"`
		} `json:"utxos"`
	}
	r.must(r.net.Payer.Ask(http.MethodPost, "/v2/wallet/utxos", map[string]any{"min_confs": 1}, &all))
	for _, c := range all.Coins {
		satoshi = max(satoshi, c.Satoshi)
	}
	return satoshi
}

// waiting pays so much of the largest coin of the real wallet that so much is left, to the
// wallet itself, so that it never runs out.
func (r *rails) waiting(book ledger.BookID, left int64) payout.Payout {
	r.t.Helper()
	return r.pay(book, r.parse(r.net.Payer.Address().Text), r.largest()-left)
}

// A transaction whose change cannot pay a higher fee, or that has none, is replaced at the
// real node by one with more coins: see raised.
func testRealRaised(r *rails) {
	for _, left := range lefts() {
		p := r.waiting(r.customer(fmt.Sprint("ada", left)), left)
		r.raised(p, func() { r.net.Mine(1) }, r.paid)
		if pool := r.pool(); len(pool) != 0 {
			r.t.Errorf("%v wait", pool)
		}
	}
	r.verified()
}

// A process that is killed before or after any call to the real node while it adds coins to
// a transaction leaves nothing half done: who goes on replaces it, and it is paid once. With
// one database it is killed at every other step, and with the other one at those between.
func testRaiseKilledByCall(r *rails) {
	killer := r.killer()
	r.victims = append(r.victims, floorVariable+"=100000")
	steps := 1 + r.turn
	for done := false; !done; steps += 2 {
		book := r.customer(fmt.Sprint("ada", steps))
		p := r.waiting(book, lefts()[steps/2%2])
		r.Policy.Chain.Floor = 1_000
		r.later(0)
		first := r.expect(p, "sent").TxID
		r.clock.Advance(2 * time.Hour)
		done = r.killedAt(killer, steps)
		r.Policy.Chain.Floor = 100_000
		r.later(time.Minute) // whoever goes on replaces it, or publishes what was stored
		p = r.expect(p, "sent")
		if pool := r.pool(); p.TxID == first || !slices.Equal(pool, []string{p.TxID}) {
			r.t.Fatalf("killed at step %d: %v wait after %s, want %s\n%s", steps, pool, first, p.TxID, r.log.text.String())
		}
		p = r.finish(p)
		if got, want := r.paid(p.To), fmt.Sprint("1x ", p.Amount.Minor); got != want || r.heardOf(p) != 1 {
			r.t.Fatalf("killed at step %d: paid %s, want %s", steps, got, want)
		}
		r.told(book, "sent, settled")
		r.net.Mine(6) // nobody looks after it any more
		r.work()
	}
	if steps < 20 {
		r.t.Errorf("there were %d steps to die at, which is not all of it", steps)
	}
	r.verified()
}

// A payout whose block is given up waits again and is settled again, by the same transaction.
func testReorganised(r *rails) {
	ada := r.customer("ada")
	p := r.pay(ada, r.to(destination.P2TR), 10_000)
	r.later(0)
	blocks := r.net.Mine(1)
	r.work()
	txid := r.expect(p, "settled").TxID
	r.net.Chain.Reorganise(blocks[0])
	r.net.Synced()
	r.work()
	r.expect(p, "sent reorganised")
	if got := r.paid(p.To); got != "0x 0" {
		r.t.Errorf("paid %s in the blocks that are left", got)
	}
	for range 5 {
		r.net.Mine(1)
		r.work()
		if r.find(p).State == payout.Settled {
			break
		}
	}
	if p = r.expect(p, "settled"); p.TxID != txid || r.paid(p.To) != "1x 10000" {
		r.t.Errorf("%s paid %s", p.TxID, r.paid(p.To))
	}
	r.told(ada, "sent, settled, reorganised reorganised, settled")
	r.owes(ada, "0.9999 held 0")
	r.verified()
}

// A process that is killed before or after any call to the real node leaves nothing half
// done: who goes on pays once, whatever kind it is of.
func testKilledByCall(r *rails) {
	killer := r.killer()
	times, before := r.net.Payee.Received()
	paid := 0
	for _, kind := range []destination.Kind{destination.P2TR, destination.Invoice, destination.Handle} {
		steps := 0
		for done := false; !done; {
			steps++
			book := r.customer(fmt.Sprint(kind, steps))
			p := r.pay(book, r.to(kind), 10_000)
			done = r.killedAt(killer, steps)
			p = r.finish(p)
			r.owes(book, "0.9999 held 0")
			if n := r.heardOf(p); n != 1 {
				r.t.Errorf("%s, killed at step %d: the listener was told %d times", kind, steps, n)
			}
			if !kind.IsLightning() {
				if got := r.paid(p.To); got != "1x 10000" {
					r.t.Fatalf("killed at step %d: paid %s", steps, got)
				}
				continue
			}
			paid++
			if n, got := r.net.Payee.Received(); n != times+paid || got-before != int64(paid)*10_000 {
				r.t.Fatalf("%s, killed at step %d: %d payments of %d were received, want %d", kind, steps, n-times, got-before, paid)
			}
		}
		if steps < 4 {
			r.t.Errorf("%s had %d steps to die at, which is not all of it", kind, steps)
		}
	}
	r.verified()
}

// A process that is killed before or after any call to the real node while it settles what
// was confirmed leaves nothing half done: who goes on settles it, once.
func testSettlingKilled(r *rails) {
	killer := r.killer()
	steps := 0
	for done := false; !done; {
		steps++
		book := r.customer(fmt.Sprint("ada", steps))
		p := r.pay(book, r.to(destination.P2TR), 10_000)
		r.later(0)
		r.expect(p, "sent")
		r.net.Mine(1)
		r.clock.Advance(time.Minute)
		if done = r.killedAt(killer, steps); done {
			r.expect(p, "settled")
		}
		p = r.finish(p)
		r.owes(book, "0.9999 held 0")
		r.told(book, "sent, settled")
		if got, n := r.paid(p.To), r.heardOf(p); got != "1x 10000" || n != 1 {
			r.t.Fatalf("killed at step %d: paid %s, and the listener was told %d times", steps, got, n)
		}
	}
	if steps < 3 {
		r.t.Errorf("there were %d steps to die at, which is not all of it", steps)
	}
	r.verified()
}

// killer stands between processes that are to die and the real node.
func (r *rails) killer() *lndnode.Killer {
	r.t.Helper()
	killer, way := r.net.Killer(r.t)
	text, err := json.Marshal(way)
	r.must(err)
	r.victims = append(r.victims, wayVariable+"="+string(text))
	return killer
}

// killedAt pays all that waits and settles what is confirmed, in a process that dies at a step
// of its calls, and reports whether it came to its end.
func (r *rails) killedAt(killer *lndnode.Killer, step int) bool {
	r.t.Helper()
	victim := doom.New(r.t, 0, append(r.victims, r.now())...)
	begin, err := victim.StdinPipe()
	r.must(err)
	r.must(victim.Start())
	killer.Kill(victim.Process, step)
	r.must(begin.Close())
	err = victim.Wait()
	killer.Kill(nil, 0)
	return victim.Ended(err)
}

// runOnRails pays all that waits with real nodes, once its parent has said so, and looks
// after what left.
func runOnRails(ctx context.Context, w *world, text string) error {
	var way lndnode.Way
	if err := json.Unmarshal([]byte(text), &way); err != nil {
		return err
	}
	nodes, err := way.Nodes()
	if err != nil {
		return err
	}
	w.Nodes[realm.Test] = nodes
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	if err := sendAll(ctx, w); err != nil {
		return err
	}
	return w.Watch(ctx, realm.Test)
}
