package chain_test

import (
	"context"
	"regexp"
	"strings"
	"testing"

	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/provider/simulator/chain"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/wallet/deposit"
)

type bench struct {
	*chain.Chain
	t  *testing.T
	db *storage.DB
}

func each(t *testing.T, test func(t *testing.T, b *bench)) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		test(t, &bench{chain.New(db, asset.Bitcoin), t, db})
	})
}

func (b *bench) pay(to string, confirmations int64) deposit.Payment {
	b.t.Helper()
	p, err := b.Pay(b.t.Context(), chain.Sent{Address: to, Amount: asset.New(5, asset.BTC), Confirmations: confirmations})
	check.OK(b.t, err)
	return p
}

// look is a payment as the chain shows it.
func (b *bench) look(p deposit.Payment) deposit.Sighting {
	b.t.Helper()
	all, err := b.Look(b.t.Context(), []deposit.Payment{p})
	check.OK(b.t, err)
	if len(all) != 1 {
		b.t.Fatalf("%d sightings of %v", len(all), p)
	}
	return all[0]
}

// expect compares how a payment stands.
func (b *bench) expect(p deposit.Payment, confirmations int64, gone bool) {
	b.t.Helper()
	if s := b.look(p); s.Confirmations != confirmations || s.Gone != gone {
		b.t.Fatalf("%d confirmations, gone %t; want %d, %t", s.Confirmations, s.Gone, confirmations, gone)
	}
}

// A payment waits for a block, is buried by others, and comes out of them in a
// reorganisation, to wait again or to be lost.
func TestBlocks(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		p := b.pay("a", 0)
		b.expect(p, 0, false)
		check.OK(b.t, b.Mine(ctx, "a", 1))
		b.expect(p, 1, false)
		check.OK(b.t, b.Mine(ctx, "a", 5))
		b.expect(p, 6, false)
		later := b.pay("a", 2)
		b.expect(later, 2, false)
		b.expect(p, 8, false)
		check.OK(b.t, b.Reorganise(ctx, "a", 2, false))
		b.expect(later, 0, false)
		b.expect(p, 6, false)
		check.OK(b.t, b.Reorganise(ctx, "a", 100, true))
		b.expect(p, 0, true)
		b.expect(later, 0, false) // it was in none of them
		check.OK(b.t, b.Mine(ctx, "a", 3))
		b.expect(later, 3, false)
		b.expect(p, 0, true)
		check.OK(b.t, b.Return(ctx, p))
		b.expect(p, 0, false)
	})
}

// One customer's blocks and reorganisations are nobody else's.
func TestAddressesAreApart(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		mine, others := b.pay("a", 0), b.pay("b", 3)
		check.OK(b.t, b.Mine(t.Context(), "a", 2))
		check.OK(b.t, b.Reorganise(t.Context(), "a", 1, true))
		b.expect(mine, 1, false)
		b.expect(others, 3, false)
	})
}

// A payment that waits can be replaced and dropped, and nothing else can.
func TestReplace(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		with := chain.Sent{Address: "c", Amount: asset.New(4, asset.BTC)}
		p := b.pay("a", 0)
		by, err := b.Replace(ctx, p, with)
		check.OK(b.t, err)
		if s := b.look(p); !s.Gone || s.ReplacedBy != by.TxID {
			t.Errorf("%+v", s)
		}
		if s := b.look(by); s.Address != "c" || s.Amount != with.Amount || s.Confirmations != 0 {
			t.Errorf("%+v", s)
		}
		mined := b.pay("a", 1)
		for name, err := range map[string]error{
			"replace gone":  second(b.Replace(ctx, p, with)),
			"replace mined": second(b.Replace(ctx, mined, with)),
			"drop gone":     b.Drop(ctx, p),
			"drop mined":    b.Drop(ctx, mined),
			"return mined":  b.Return(ctx, mined),
		} {
			if fault.CodeOf(err) != fault.InvalidState {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := b.Drop(ctx, deposit.Payment{Chain: asset.Bitcoin, TxID: "x"}); fault.CodeOf(err) != fault.NotFound {
			t.Errorf("a payment that does not exist: %v", err)
		}
		check.OK(b.t, b.Drop(ctx, by))
		b.expect(by, 0, true)
	})
}

func second[T any](_ T, err error) error { return err }

// Every change is told once after any place, a payment once as it is now, in pages, and by
// another process over the same database too.
func TestSeen(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		page, err := b.Seen(ctx, "")
		check.OK(b.t, err)
		if len(page.Sightings) != 0 || page.Next != "" || page.More {
			t.Errorf("of nothing: %+v", page)
		}
		for range 150 {
			b.pay("a", 0)
		}
		all := map[string]int{}
		read := func(c *chain.Chain, after string) (string, int) {
			pages := 0
			for more := true; more; pages++ {
				page, err := c.Seen(ctx, after)
				check.OK(b.t, err)
				for _, s := range page.Sightings {
					all[s.TxID]++
				}
				after, more = page.Next, page.More
			}
			return after, pages
		}
		place, pages := read(b.Chain, "")
		if len(all) != 150 || pages != 2 {
			t.Errorf("%d payments in %d pages", len(all), pages)
		}
		check.OK(b.t, b.Mine(ctx, "a", 1))
		p := b.pay("b", 0)
		place, _ = read(chain.New(b.db, asset.Bitcoin), place)
		if len(all) != 151 || all[p.TxID] != 1 {
			t.Errorf("%d payments", len(all))
		}
		for txid, n := range all {
			if txid != p.TxID && n != 2 {
				t.Errorf("%s was told %d times", txid, n)
			}
		}
		check.OK(b.t, b.Mine(ctx, "a", 1)) // it changes no payment but their confirmations
		if page, err := b.Seen(ctx, place); err != nil || len(page.Sightings) != 0 {
			t.Errorf("%+v, %v", page, err)
		}
		if _, err := b.Seen(ctx, "there"); fault.CodeOf(err) != fault.InvalidCursor {
			t.Errorf("a place that is none: %v", err)
		}
		if others, err := chain.New(b.db, asset.Ethereum).Seen(ctx, ""); err != nil || len(others.Sightings) != 0 {
			t.Errorf("another chain: %+v, %v", others, err)
		}
	})
}

// A chain that is stalled answers nobody, and takes payments all the same.
func TestStall(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx := t.Context()
		check.OK(b.t, b.Stall(ctx, true))
		p := b.pay("a", 1)
		if _, err := b.Seen(ctx, ""); fault.CodeOf(err) != fault.Unavailable {
			t.Errorf("seen: %v", err)
		}
		if _, err := b.Look(ctx, []deposit.Payment{p}); fault.CodeOf(err) != fault.Unavailable {
			t.Errorf("look: %v", err)
		}
		check.OK(b.t, b.Stall(ctx, false))
		b.expect(p, 1, false)
	})
}

// What cannot be sent or mined is refused.
func TestRefused(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ctx, one := t.Context(), asset.New(1, asset.BTC)
		for name, err := range map[string]error{
			"another chain's":   second(b.Pay(ctx, chain.Sent{Address: "a", Amount: asset.New(1, asset.ETH)})),
			"nowhere":           second(b.Pay(ctx, chain.Sent{Amount: one})),
			"far":               second(b.Pay(ctx, chain.Sent{Address: strings.Repeat("a", 129), Amount: one})),
			"negative blocks":   second(b.Pay(ctx, chain.Sent{Address: "a", Amount: one, Confirmations: -1})),
			"no block":          b.Mine(ctx, "a", 0),
			"too many":          b.Mine(ctx, "a", 100_001),
			"nothing is undone": b.Reorganise(ctx, "a", 0, true),
		} {
			if fault.CodeOf(err) != fault.InvalidRequest {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// Transactions are called as their chains call them, and one has as many outputs as are sent.
func TestNames(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		for _, a := range []asset.Asset{asset.BTC, asset.ETH, asset.SOL, asset.XMR} {
			want := map[asset.Asset]string{asset.BTC: `^[0-9a-f]{64}$`, asset.ETH: `^0x[0-9a-f]{64}$`, asset.SOL: `^[1-9A-HJ-NP-Za-km-z]{86,88}$`, asset.XMR: `^[0-9a-f]{64}$`}[a]
			c := chain.New(b.db, a.Chain())
			first, err := c.Pay(t.Context(), chain.Sent{Address: "a", Amount: asset.New(1, a)})
			check.OK(b.t, err)
			second, err := c.Pay(t.Context(), chain.Sent{Address: "a", Amount: asset.New(1, a), TxID: first.TxID})
			check.OK(b.t, err)
			if !regexp.MustCompile(want).MatchString(first.TxID) || second.TxID != first.TxID || first.Index != 0 || second.Index != 1 {
				t.Errorf("%s: %+v, %+v", a, first, second)
			}
		}
	})
}

// Simulated subaddresses have the form of real ones of the test network, the same for the
// same position and different for others.
func TestMonero(t *testing.T) {
	form := regexp.MustCompile(`^B[1-9A-HJ-NP-Za-km-z]{94}$`)
	seen := map[string]bool{}
	for position := range uint32(50) {
		text, err := chain.Monero{}.Address(context.Background(), position)
		again, _ := chain.Monero{}.Address(context.Background(), position)
		if err != nil || !form.MatchString(text) || text != again || seen[text] {
			t.Fatalf("%d: %s, %v", position, text, err)
		}
		seen[text] = true
	}
}
