package deposit_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/platform/vault"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/testkit/doom"
	"github.com/scripcards/scrip/internal/wallet/address"
	"github.com/scripcards/scrip/internal/wallet/deposit"
)

// ether is a payment of ether to a wallet in a block, deep enough.
func (b *bench) ether(w address.Wallet, tx, amount string, height int64) deposit.Sighting {
	b.t.Helper()
	return deposit.Sighting{Payment: deposit.Payment{Chain: asset.Ethereum, TxID: tx}, Address: b.at(w, asset.Ethereum), Amount: b.amount(amount + " ETH"),
		Confirmations: 20, Height: height}
}

// rest is what was left at a wallet's address in a block besides so many payments.
func (b *bench) rest(w address.Wallet, amount string, height, known int64) deposit.Sighting {
	b.t.Helper()
	s := b.ether(w, fmt.Sprintf("%d:%s", height, b.at(w, asset.Ethereum)), amount, height)
	s.Index, s.Rest, s.Known = 1, true, known
	return s
}

func (b *bench) observe(s deposit.Sighting) deposit.Deposit {
	b.t.Helper()
	d, err := b.Observe(b.t.Context(), realm.Test, s)
	check.OK(b.t, err)
	return d
}

// What was left at an address has every payment up to its block that was not known: such a
// one is nothing when it is told later, whoever tells it. Payments above it, of other assets
// and of others are new as ever, and so are those below when the rest is gone.
func TestRest(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ada, bob := b.customer("ada"), b.customer("bob")
		b.observe(b.ether(ada, "known", "1", 50))
		b.observe(b.rest(ada, "0.5", 100, 1))
		b.observe(b.rest(ada, "0.5", 100, 1))
		want := []string{"confirmed 1 ETH 20/12 3250.00 - 65.00 = 3185.00", "confirmed 0.5 ETH 20/12 1625.00 - 32.50 = 1592.50"}
		b.expect(ada, want...)
		for _, height := range []int64{1, 99, 100} {
			if d := b.observe(b.ether(ada, fmt.Sprint("late", height), "0.5", height)); d.ID != "" {
				t.Errorf("at %d: %+v", height, d)
			}
		}
		b.observe(b.ether(ada, "known", "1", 60)) // in another block
		b.expect(ada, want...)
		tokens := b.ether(ada, "tokens", "1", 70)
		tokens.Amount, tokens.Index = b.amount("25 USDT-ERC20"), 3
		b.observe(tokens)
		b.observe(b.ether(bob, "bob's", "1", 70))
		b.observe(b.ether(ada, "above", "1", 101))
		b.expect(ada, append(want, "confirmed 25 USDT-ERC20 20/12 24.98 - 0.50 = 24.48", "confirmed 1 ETH 20/12 3250.00 - 65.00 = 3185.00")...)
		b.totals(bob, "3185.00 0.00 3185.00 0.00")

		gone := b.rest(ada, "0.5", 100, 1)
		gone.Gone = true
		if d := b.observe(gone); d.Status != deposit.Expired {
			t.Errorf("%+v", d)
		}
		b.observe(b.ether(ada, "late", "0.5", 100))
		b.observe(b.rest(ada, "0.5", 100, 1)) // its block is back, and the money is not there twice
		b.totals(ada, "7986.98 0.00 7986.98 0.00")
		b.verified()
	})
}

// What is left is worked out from payments that are known. Where others were noted
// meanwhile, by another process, it is not taken; the chain is asked again.
func TestRestIsStale(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ada := b.customer("ada")
		b.observe(b.rest(ada, "0.5", 100, 0))
		_, err := b.Observe(t.Context(), realm.Test, b.rest(ada, "0.5", 101, 0))
		if fault.CodeOf(err) != fault.Unavailable {
			t.Errorf("worked out twice: %v", err)
		}
		done := make(chan error)
		bob := b.customer("bob")
		for i := range int64(8) {
			s := b.rest(bob, "0.5", 100+i, 0)
			go func() {
				_, err := b.Observe(t.Context(), realm.Test, s)
				done <- err
			}()
		}
		for range 8 {
			if err := <-done; err != nil && fault.CodeOf(err) != fault.Unavailable {
				t.Error(err)
			}
		}
		b.expect(bob, "confirmed 0.5 ETH 20/12 1625.00 - 32.50 = 1592.50")
		b.totals(ada, "1592.50 0.00 1592.50 0.00")
		_, err = b.Observe(t.Context(), realm.Test, deposit.Sighting{Payment: deposit.Payment{Chain: asset.Ethereum, TxID: "x"}, Address: "0x", Amount: b.amount("1 ETH"), Rest: true})
		if fault.CodeOf(err) != fault.InvalidRequest {
			t.Errorf("without a height: %v", err)
		}
	})
}

// told is a chain that tells what a test wants, page by page.
type told []deposit.Page

func (all told) Seen(_ context.Context, after string) (deposit.Page, error) {
	for i, p := range all {
		if after == fmt.Sprint(i) || i == 0 && after == "" {
			p.Next, p.More = fmt.Sprint(i+1), i+1 < len(all)
			return p, nil
		}
	}
	return deposit.Page{Next: after}, nil
}

func (told) Look(context.Context, []deposit.Payment) ([]deposit.Sighting, error) { return nil, nil }

func (told) Holdings(context.Context, []string) ([]deposit.Holding, error) { return nil, nil }

// untold compares the gaps that an audit names, sorted.
func (b *bench) untold(want ...string) {
	b.t.Helper()
	found, err := b.Audit(b.t.Context(), address.Place{Realm: realm.Test, Chain: asset.Ethereum})
	check.OK(b.t, err)
	var got []string
	for _, d := range found.Differences {
		if d.Kind == deposit.Untold {
			got = append(got, fmt.Sprint(d.Book, " ", d.Asset, " ", d.Found))
		}
	}
	slices.Sort(got)
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		b.t.Fatalf("the audit names\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// tell has the chain of a realm tell pages from its beginning on.
func (b *bench) tell(pages ...deposit.Page) {
	b.t.Helper()
	at := address.Place{Realm: realm.Test, Chain: asset.Ethereum}
	b.Chains[at] = told(pages)
	check.OK(b.t, b.db.Write(b.t.Context(), func(ctx context.Context, tx *storage.Tx) error {
		_, err := tx.Exec(ctx, rewind, string(at.Realm), string(at.Chain))
		return err
	}))
	check.OK(b.t, b.ScanChain(b.t.Context(), at))
}

var rewind = storage.SQL("deposit_test.rewind", `UPDATE wallet_cursors SET place = '' WHERE realm = $1 AND chain = $2`)

// Blocks of which a chain cannot tell what was paid to an address stay named until they
// were read from one that can; those that were told once are no gap when they are read again.
func TestGaps(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ada, bob := b.customer("ada"), b.customer("bob")
		gap := func(w address.Wallet, from, to int64) deposit.Gap {
			return deposit.Gap{Address: b.at(w, asset.Ethereum), Asset: asset.ETH, Span: deposit.Span{From: from, To: to}}
		}
		page := func(from, to int64, lost bool, gaps ...deposit.Gap) deposit.Page {
			return deposit.Page{Compared: deposit.Span{From: from, To: to}, Lost: lost, Gaps: gaps}
		}
		b.tell(page(1, 50, false), page(51, 200, true, gap(ada, 51, 200)), page(201, 220, false), page(221, 400, true, gap(bob, 221, 400), gap(ada, 221, 400)))
		b.untold("ada ETH blocks 221 to 400", "ada ETH blocks 51 to 200", "bob ETH blocks 221 to 400")
		b.tell(page(1, 410, true, gap(bob, 1, 410), deposit.Gap{Address: "0xnobody", Asset: asset.ETH, Span: deposit.Span{From: 1, To: 410}}))
		b.tell(page(10, 130, false), page(131, 200, true))
		b.tell(page(221, 405, false))
		b.untold("ada ETH blocks 131 to 200", "bob ETH blocks 406 to 410")
		recent, err := b.Recent(t.Context(), address.Place{Realm: realm.Test, Chain: asset.Ethereum})
		if err != nil || len(recent) != 2 {
			t.Errorf("%v, %v", recent, err)
		}
		b.tell(page(120, 200, false), page(201, 410, false))
		b.untold()
	})
}

// An operator answers for what may have been missed, once and for good: it is off the audit,
// and what is found in those blocks later is not credited a second time.
func TestDismiss(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ada, bob := b.customer("ada"), b.customer("bob")
		at := address.Place{Realm: realm.Test, Chain: asset.Ethereum}
		b.tell(deposit.Page{Compared: deposit.Span{From: 1, To: 200}, Lost: true, Gaps: []deposit.Gap{
			{Address: b.at(ada, asset.Ethereum), Asset: asset.ETH, Span: deposit.Span{From: 51, To: 200}},
			{Address: b.at(bob, asset.Ethereum), Asset: asset.ETH, Span: deposit.Span{From: 51, To: 200}}}})
		d := deposit.Dismissal{Place: at, Address: b.at(ada, asset.Ethereum), Reason: "loaded by hand", Actor: "ann"}
		for name, c := range map[string]struct {
			change func(*deposit.Dismissal)
			want   fault.Code
		}{
			"no reason":   {func(d *deposit.Dismissal) { d.Reason = "" }, fault.InvalidRequest},
			"unseen":      {func(d *deposit.Dismissal) { d.Reason = "by\u202ehand" }, fault.InvalidRequest},
			"long":        {func(d *deposit.Dismissal) { d.Reason = strings.Repeat("a", deposit.MaxReason+1) }, fault.InvalidRequest},
			"a card":      {func(d *deposit.Dismissal) { d.Reason = "loaded to 4111 1111 1111 1111" }, fault.InvalidRequest},
			"no address":  {func(d *deposit.Dismissal) { d.Address = "\x00" }, fault.NotFound},
			"nobody's":    {func(d *deposit.Dismissal) { d.Address = "0x" }, fault.NotFound},
			"other chain": {func(d *deposit.Dismissal) { d.Chain = asset.Bitcoin }, fault.NotFound},
		} {
			bad := d
			c.change(&bad)
			if _, err := b.Dismiss(t.Context(), bad); fault.CodeOf(err) != c.want {
				t.Errorf("%s: %v", name, err)
			}
		}
		d.Also = func(deposit.Dismissed) ([]storage.Effect, error) { return nil, errors.New("no room") }
		if _, err := b.Dismiss(t.Context(), d); err == nil || err.Error() != "no room" {
			t.Errorf("what is to be written with it cannot be: %v", err)
		}
		d.Also = nil
		done, err := b.Dismiss(t.Context(), d)
		check.OK(t, err)
		check.Equal(t, "dismissed", done, deposit.Dismissed{Place: at, Address: d.Address, Book: ada.Book,
			Gaps: []deposit.Gap{{Address: d.Address, Asset: asset.ETH, Span: deposit.Span{From: 51, To: 200}}}})
		b.untold("bob ETH blocks 51 to 200")
		if _, err := b.Dismiss(t.Context(), d); fault.CodeOf(err) != fault.NotFound {
			t.Errorf("twice: %v", err)
		}
		logged, err := b.AddressBook.Audit.List(t.Context(), audit.Filter{Book: string(ada.Book)})
		check.OK(t, err)
		if len(logged) != 1 || logged[0].Action != "wallet.dismiss" || logged[0].Actor != "ann" || logged[0].Subject != d.Address || logged[0].Detail["reason"] != d.Reason {
			t.Errorf("the audit log has %+v", logged)
		}
		b.tell(deposit.Page{Compared: deposit.Span{From: 51, To: 300}, Sightings: []deposit.Sighting{
			b.ether(ada, "in the gap", "1", 51), b.ether(ada, "at its end", "1", 200), b.ether(ada, "before", "2", 50), b.ether(ada, "behind", "3", 201), b.ether(bob, "bob's", "1", 60)}})
		b.totals(ada, "15925.00 0.00 15925.00 0.00")
		b.totals(bob, "3185.00 0.00 3185.00 0.00")
		b.untold()
	})
}

// A process that is killed at any step while it takes account of what was left leaves
// nothing half done: it is credited once.
func TestKilledAtRest(t *testing.T) {
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			config, keys := testkit.Database(t, engine), t.TempDir()
			b := &bench{t: t, clock: clock.NewManual(began)}
			var err error
			b.master, _, err = vault.LoadMasterKey(keys, "")
			check.OK(t, err)
			b.world, err = open(t.Context(), testkit.Open(t, config), b.clock, b.master)
			check.OK(t, err)
			t.Cleanup(b.Books.Close)
			where := doom.Where(config, keys)
			steps := 0
			for done := false; !done; steps++ {
				ada := b.customer(fmt.Sprint("ada-", steps))
				left := b.rest(ada, "0.5", 100, 0)
				b.tell() // from its beginning
				done = doom.Kill(t, steps+1, append(where, restVariable+"="+left.Address)...)
				found, err := b.PaidTo(t.Context(), address.Place{Realm: realm.Test, Chain: asset.Ethereum}, asset.ETH, []string{left.Address})
				check.OK(t, err)
				if len(found[left.Address]) == 0 { // the chain is asked again, by now at another block
					b.tell(restPage(left.Address, 107))
				} else {
					b.tell(deposit.Page{Sightings: []deposit.Sighting{left}})
				}
				b.totals(ada, "1592.50 0.00 1592.50 0.00")
				b.told(ada, "deposit.pending pending 1592.50", "deposit.confirmed confirmed 1592.50")
			}
			if steps < 8 {
				t.Errorf("the scan had %d steps to die at, which is not all of it", steps)
			}
			b.verified()
		})
	}
}

// restVariable is the address at which a process finds what is left.
const restVariable = "SCRIP_DEPOSIT_REST"

// restPage tells that half an ether is left at an address.
func restPage(at string, height int64) deposit.Page {
	half, err := asset.ParseAmount("0.5", asset.ETH)
	if err != nil {
		panic(err)
	}
	p := deposit.Payment{Chain: asset.Ethereum, TxID: fmt.Sprintf("%d:%s", height, at), Index: 1}
	return deposit.Page{Compared: deposit.Span{From: 1, To: height}, Lost: true,
		Sightings: []deposit.Sighting{{Payment: p, Address: at, Amount: half, Confirmations: 20, Height: height, Rest: true}}}
}
