package solana

import (
	"fmt"
	"slices"
	"testing"

	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/wallet/deposit"
)

// watch is a chain with the place that was written down.
type watch struct {
	*fake
	chain *Chain
	after string
}

func newWatch(t *testing.T, owners ...string) *watch {
	f := newFake(t, owners...)
	return &watch{fake: f, chain: f.open()}
}

// seen looks at what is new, to its end, and writes down the place.
func (w *watch) seen() []deposit.Sighting {
	w.t.Helper()
	for range 100 {
		page, err := w.chain.Seen(w.t.Context(), w.after)
		check.OK(w.t, err)
		if w.after = page.Next; !page.More {
			return page.Sightings
		}
	}
	w.t.Fatal("there is no end")
	return nil
}

func (w *watch) expect(what string, want ...string) {
	w.t.Helper()
	if got := short(w.seen()); !slices.Equal(got, want) {
		w.t.Errorf("%s: %q, want %q", what, got, want)
	}
}

// look looks at a payment.
func (w *watch) look(what, name string, index int64, want ...string) {
	w.t.Helper()
	all, err := w.chain.Look(w.t.Context(), []deposit.Payment{{Chain: asset.Solana, TxID: signature(name), Index: index}})
	check.OK(w.t, err)
	if got := short(all); !slices.Equal(got, want) {
		w.t.Errorf("look at %s: %q, want %q", what, got, want)
	}
}

// A payment is told from when most validators voted for it, as often confirmed as there are
// slots since, and 32 times only when it is final; an account that does not change costs no
// more calls than to see that.
func TestCoins(t *testing.T) {
	w := newWatch(t, key("alice"), key("bob"))
	w.expect("nothing")
	w.pay("one", key("alice"), 1_500_000_000)
	w.pay("other", key("carol"), 7)
	w.expect("seen", "1.5 SOL 2")
	w.look("it", "one", 1, "1.5 SOL 2")
	w.slot += 29
	w.expect("almost final", "1.5 SOL 31")
	w.slot++
	w.expect("as many slots, and not final", "1.5 SOL 31")
	w.slot++
	w.look("it", "one", 1, "1.5 SOL 33")
	w.expect("final", "1.5 SOL 33")
	w.slot += 200
	w.expect("told until that is written down", "1.5 SOL 233")
	w.expect("not told any more")
	w.look("it", "one", 1, "1.5 SOL 233")

	before := w.calls["getSignaturesForAddress"]
	w.slot++
	w.expect("nothing new")
	if n := w.calls["getSignaturesForAddress"] - before; n != 0 {
		t.Errorf("asked for the transactions of accounts that did not change %d times", n)
	}
	w.pay("two", key("alice"), 1)
	w.state[key("alice")] = 0 // and it is swept
	w.expect("swept at once", "0.000000001 SOL 1")
}

// What was told and not written down is told again, and a process that begins at a place
// tells what came since, though the money has left again.
func TestAgain(t *testing.T) {
	w := newWatch(t, key("alice"))
	w.expect("nothing")
	w.pay("one", key("alice"), 5)
	before := w.after
	w.slot += 100
	w.expect("final", "0.000000005 SOL 101")
	w.after = before // the database was away
	w.expect("again", "0.000000005 SOL 101")

	w.pay("two", key("alice"), 6)
	w.state[key("alice")] = 0
	w.slot += 500
	w.chain = w.open()
	w.expect("another process", "0.000000006 SOL 501")
	w.slot += 100
	w.after = "1234" // of the simulated chain
	w.expect("from the beginning", "0.000000005 SOL 702", "0.000000006 SOL 601")
}

// A payment that left before anybody saw it is found though its account looks as before,
// when nobody looked for long.
func TestStale(t *testing.T) {
	w := newWatch(t, key("alice"))
	w.expect("nothing")
	w.slot += stale
	w.pay("one", key("alice"), 5)
	w.state[key("alice")] = 0
	w.expect("seen", "0.000000005 SOL 1")
}

// The index of a node may be behind its accounts: who sees a change looks for its
// transaction until that is final.
func TestIndexBehind(t *testing.T) {
	w := newWatch(t, key("alice"))
	w.expect("nothing")
	w.pay("one", key("alice"), 5)
	w.all[0].gone = true
	w.expect("the account changed and the index did not")
	w.all[0].gone = false
	w.slot += 10
	w.expect("now it did", "0.000000005 SOL 11")
}

// USDT is what its own mint and the program of tokens say that the account derived from an
// address has got; nothing else is, and its rent is no payment.
func TestTokens(t *testing.T) {
	alice, mint := key("alice"), key("mint")
	account, err := associated(alice, mint)
	check.OK(t, err)
	for name, c := range map[string]struct {
		account string
		before  []map[string]any
		after   map[string]any
		want    []string
	}{
		"first":            {account, nil, token(2, mint, alice, tokenProgram, "25000000"), []string{"25 USDT-SOL 1"}},
		"more":             {account, []map[string]any{token(2, mint, alice, tokenProgram, "1")}, token(2, mint, alice, tokenProgram, "4"), []string{"0.000003 USDT-SOL 1"}},
		"less":             {account, []map[string]any{token(2, mint, alice, tokenProgram, "4")}, token(2, mint, alice, tokenProgram, "1"), nil},
		"all there can be": {account, nil, token(2, mint, alice, tokenProgram, "18446744073709551615"), []string{"18446744073709.551615 USDT-SOL 1"}},
		"look-alike":       {account, nil, token(2, key("other mint"), alice, tokenProgram, "25000000"), nil},
		"other program":    {account, nil, token(2, mint, alice, key("program"), "25000000"), nil},
		"other account":    {key("account"), nil, token(2, mint, alice, tokenProgram, "25000000"), nil},
		"other owner":      {account, nil, token(2, mint, key("bob"), tokenProgram, "25000000"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWatch(t, alice)
			w.send("it", c.account, c.after)
			w.all[0].tokens0 = c.before
			w.state[account]++ // whatever it is, the account is looked at
			w.all[0].keys = append([]string{alice}, w.all[0].keys[1:]...)
			w.expect("seen", c.want...)
		})
	}
}

// One transaction that pays two addresses is two payments, told apart by their accounts; a
// transaction that failed is none, whoever it names.
func TestOneForTwo(t *testing.T) {
	w := newWatch(t, key("alice"), key("bob"))
	w.pay("both", key("alice"), 5)
	w.all[0].keys = append(w.all[0].keys, key("bob"))
	w.all[0].before, w.all[0].after = append(w.all[0].before, 1), append(w.all[0].after, 7)
	w.pay("failed", key("bob"), 8)
	w.all[1].failed = true
	all := w.seen()
	if got := short(all); !slices.Equal(got, []string{"0.000000005 SOL 2", "0.000000006 SOL 2"}) || all[0].Index != 1 || all[1].Index != 2 ||
		all[0].Address != key("alice") || all[1].Address != key("bob") {
		t.Errorf("%q, %+v", got, all)
	}
	w.look("what failed", "failed", 1)
	w.slot += 40
	w.look("what failed for good", "failed", 1, "gone")
}

// A payment is gone when its slot is final without it, and not before; in another block it is
// there again, as what it does there.
func TestDropped(t *testing.T) {
	w := newWatch(t, key("alice"))
	w.pay("one", key("alice"), 5)
	w.expect("seen", "0.000000005 SOL 1")
	w.drop("one")
	w.slot += 10
	w.expect("dropped")
	w.look("what may come back", "one", 1)
	w.slot += 30
	w.look("what is gone", "one", 1, "gone")
	w.look("what is gone, again", "one", 1, "gone")

	w.all[0].gone, w.all[0].slot, w.state[key("alice")] = false, w.slot, 5
	w.expect("back", "0.000000005 SOL 1")
	w.look("what is back", "one", 1, "0.000000005 SOL 1")
	w.slot++
	w.all[0].slot, w.all[0].after[1] = w.slot, 4 // a reorganisation in which it pays less
	w.expect("in another block", "0.000000004 SOL 1")
}

// Who does not remember where a payment was believes only a node that has all blocks that it
// is gone, and not before a slot of now is final.
func TestForgotten(t *testing.T) {
	w := newWatch(t, key("alice"))
	w.look("what nobody knows", "one", 1)
	w.slot += 40
	w.look("what nobody knows, for good", "one", 1, "gone")
	w.first = 2
	_, err := w.chain.Look(t.Context(), []deposit.Payment{{Chain: asset.Solana, TxID: signature("two"), Index: 1}})
	if fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("a node without all blocks: %v", err)
	}
	w.pay("three", key("alice"), 5)
	seen, err := w.chain.Look(t.Context(), []deposit.Payment{{Chain: asset.Solana, TxID: signature("two"), Index: 1}, {Chain: asset.Solana, TxID: signature("three"), Index: 1}})
	if fault.CodeOf(err) != fault.Unavailable || len(seen) != 1 || seen[0].TxID != signature("three") || seen[0].Confirmations != 1 {
		t.Errorf("beside another payment: %+v, %v", seen, err)
	}
}

// More transactions than one look can read, of many addresses, are read in several, each once.
func TestMany(t *testing.T) {
	var owners []string
	for i := range 120 {
		owners = append(owners, key(fmt.Sprint("owner ", i)))
	}
	w := newWatch(t, owners...)
	const many = 3*maxCalls + 10
	for i := range many {
		w.pay(fmt.Sprint("payment ", i), owners[i%7], 1)
	}
	for range perList {
		w.pay(fmt.Sprint("dust ", len(w.all)), owners[119], 1)
		w.all[len(w.all)-1].failed = true
	}
	w.pay("under dust", owners[119], 1)
	all := w.seen()
	if len(all) != many+1 || w.calls["getTransaction"] != many+1 {
		t.Errorf("%d payments, read %d times, want %d", len(all), w.calls["getTransaction"], many+1)
	}
}

// An address that is flooded with payments keeps no other from being looked at, and what it
// is paid is read in the end.
func TestFlooded(t *testing.T) {
	owners := []string{key("alice"), key("bob")}
	slices.Sort(owners)
	w := newWatch(t, owners...)
	const many = 3 * maxCalls
	for i := range many {
		w.pay(fmt.Sprint("dust ", i), owners[0], 1)
	}
	w.pay("one", owners[1], 5)
	page, err := w.chain.Seen(t.Context(), "")
	check.OK(t, err)
	if !page.More || page.Next != "" || !slices.ContainsFunc(page.Sightings, func(s deposit.Sighting) bool { return s.Address == owners[1] }) {
		t.Errorf("the first look tells of %d payments, and none to the other address", len(page.Sightings))
	}
	if all := w.seen(); len(all) != many+1 {
		t.Errorf("%d payments, want %d", len(all), many+1)
	}
}
