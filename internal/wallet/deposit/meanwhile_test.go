package deposit_test

import (
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/wallet/address"
	"github.com/scripcards/scrip/internal/wallet/deposit"
)

// meanwhile observes a sighting in this process, and others in another one while this one asks
// for a price.
func (b *bench) meanwhile(seen deposit.Sighting, others ...deposit.Sighting) {
	b.t.Helper()
	there, err := open(b.t.Context(), b.db, b.clock, b.master)
	check.OK(b.t, err)
	defer there.Books.Close()
	b.market.asked = func() {
		for _, other := range others {
			_, err := there.Observe(b.t.Context(), realm.Test, other)
			check.OK(b.t, err)
		}
	}
	_, err = b.Observe(b.t.Context(), realm.Test, seen)
	check.OK(b.t, err)
	if b.market.asked != nil {
		b.t.Fatal("nobody asked for a price")
	}
}

// seen is what the chain says of a payment.
func (b *bench) seen(p deposit.Payment) deposit.Sighting {
	b.t.Helper()
	all, err := b.chains[asset.Bitcoin].Look(b.t.Context(), []deposit.Payment{p})
	check.OK(b.t, err)
	return all[0]
}

// A payment that another process noted while this one priced it is that one's deposit.
func TestNotedMeanwhile(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		ada := b.customer("ada")
		seen := b.seen(b.pay(ada, "0.01 BTC", 1))
		b.meanwhile(seen, seen)
		b.expect(ada, "pending 0.01 BTC 1/6 658.50 - 13.17 = 645.33")
		b.told(ada, "deposit.pending pending 645.33")
		b.mine(ada, asset.Bitcoin, 5)
		b.scan()
		b.totals(ada, "645.33 0.00 645.33 0.00")
		b.verified()
	})
}

// A payment about which another process learned more while this one priced its credit is
// credited once, as what it is by then, or not at all.
func TestChangedMeanwhile(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		late := func(name string) (address.Wallet, deposit.Sighting) {
			w := b.customer(name)
			p := b.pay(w, "0.01 BTC", 1)
			b.scan()
			b.clock.Advance(4 * time.Hour) // its rate does not hold any more
			b.mine(w, asset.Bitcoin, 5)
			return w, b.seen(p)
		}
		ada, seen := late("ada")
		b.meanwhile(seen, deposit.Sighting{Payment: seen.Payment, Gone: true})
		b.expect(ada, "confirmed 0.01 BTC 6/6 658.50 - 13.17 = 645.33")
		b.totals(ada, "645.33 0.00 645.33 0.00")
		b.told(ada, "deposit.pending pending 645.33", "deposit.expired expired reorganised 0.00", "deposit.pending pending 645.33", "deposit.confirmed confirmed 645.33")

		bob, seen := late("bob")
		b.meanwhile(seen, seen, deposit.Sighting{Payment: seen.Payment, Gone: true}, seen)
		b.totals(bob, "645.33 0.00 645.33 0.00")
		b.told(bob, "deposit.pending pending 645.33", "deposit.confirmed confirmed 645.33", "deposit.reversed expired reorganised 645.33",
			"deposit.pending pending 645.33", "deposit.confirmed confirmed 645.33")
		b.verified()
	})
}
