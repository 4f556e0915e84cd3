package claim_test

import (
	"slices"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/giftcard"
	"github.com/scripcards/scrip/internal/order"
	"github.com/scripcards/scrip/internal/order/claim"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/testkit/shop"
)

// killing is a claim whose three codes, which are gift cards, two suppliers replace, in a
// process that dies at some point.
type killing struct {
	*bundle
	config        storage.Config
	first, second *shop.Upstream
	killed        bool
	issuer        giftcard.Merchant
	dead          []giftcard.Secret
}

func (k *killing) open() *storage.DB {
	k.t.Helper()
	db, err := storage.Open(k.t.Context(), k.config)
	check.OK(k.t, err)
	_, err = db.Migrate(k.t.Context())
	check.OK(k.t, err)
	return db
}

// kill ends the process as far as the database is concerned: nothing it does is kept.
func (k *killing) kill() {
	k.killed = true
	check.OK(k.t, k.DB.Close())
}

// However a process dies between two steps of a replacement, the next one that opens the
// database goes on with it: codes are replaced, or open again where the last supplier never
// heard of it, or nothing was decided; the cards that the codes are can be spent until they are
// replaced, and never after it; no supplier is made to deliver twice, nothing is lost, and
// whoever repeats the decision then gets what was decided.
func TestKilledBetweenSteps(t *testing.T) {
	for _, engine := range testkit.Engines() {
		names := shop.Points(nil, nil, nil)
		for name := range names {
			t.Run(engine+"/"+name, func(t *testing.T) {
				k := &killing{config: testkit.Database(t, engine)}
				k.bundle = &bundle{t: t}
				k.bundle = setup(t, k.open())
				k.issuer = k.Mint(shop.Item, 500)
				number := k.ordered(shop.Item, 3)
				k.dead = k.secrets(number)
				k.NoMint(shop.Item)
				k.first, k.second = k.Upstream("first", 400, 1), k.Upstream("second", 450, 2)
				k.first.AtMost(2)
				c := k.claimed(number, 1, 2, 3)
				shop.Points(k.first, k.second, k.kill)[name]()
				// The process may be gone before it knows.
				_, _ = k.Decide(t.Context(), claim.Decision{Book: c.Book, Claim: c.ID, Verdict: claim.Replace, Actor: operator, Patience: true})
				k.Orders.Rest()
				if !k.killed {
					k.Clock.Advance(2 * time.Second)
					_ = k.Jobs.Drain(t.Context()) // in which it dies
				}
				k.resumed(name, c, number)
			})
		}
	}
}

// resumed opens the database again and looks what becomes of the claim.
func (k *killing) resumed(name string, c claim.Claim, number order.Number) {
	k.t.Helper()
	if !k.killed {
		k.t.Fatal("nothing killed it")
	}
	db := k.open()
	k.t.Cleanup(func() { _ = db.Close() })
	b := over(k.t, k.Over(db))
	for range 4 {
		b.Later()
	}
	want, unsold, told := claim.Accepted, 0, []string{"claim.created", "claim.replacing", "claim.replaced"}
	switch name {
	case "before it is accepted":
		want, told = claim.Open, told[:1]
	case "before the second supplier hears of it":
		want, unsold, told = claim.Open, 2, append(told[:2:2], "claim.reopened")
	}
	if now := b.now(c); now.State != want {
		k.t.Errorf("the claim is %+v, want one that is %s", now, want)
	}
	check.List(k.t, "events", b.events(), told...)
	b.onSale(unsold)
	b.fair(number, k.dead, want == claim.Accepted)
	b.spendable(k.issuer, k.dead, want != claim.Accepted)
	for range 2 { // the operator has no answer yet
		if again := b.replaced(c); again.State != claim.Accepted {
			k.t.Errorf("repeated: %+v", again)
		}
	}
	b.fair(number, k.dead, true)
	b.spendable(k.issuer, k.dead, false)
	b.once(k.first, k.second)
	if b.Later(); b.due() != 0 {
		k.t.Errorf("%d jobs are left", b.due())
	}
	b.verified()
}

// fair fails unless the order of three codes has three, all replaced or none, at the price of
// three, and every code that suppliers sold is the order's or on sale.
func (b *bundle) fair(number order.Number, dead []giftcard.Secret, replaced bool) {
	b.t.Helper()
	got := b.codes(number)
	for i, text := range got {
		stale := slices.ContainsFunc(dead, func(s giftcard.Secret) bool { return text == s.Number.Reveal()+" sold" })
		if stale == replaced || slices.Contains(got[:i], text) {
			b.t.Errorf("the codes are %v", got)
		}
	}
	if len(got) != 3 || b.balance() != 50_000-3*shop.Price {
		b.t.Errorf("%d codes, and the wallet has %d", len(got), b.balance())
	}
	reserved, _, err := storage.One(b.t.Context(), b.DB, storage.Scalar[int], countReserved)
	if err != nil || reserved != 0 {
		b.t.Errorf("%d codes are reserved for what is over, %v", reserved, err)
	}
	all, err := b.Books.ListAccounts(b.t.Context(), b.Buyer.Book, "order.", "", 100)
	check.OK(b.t, err)
	earned := money.New(3*shop.Price, money.USD)
	for _, a := range all {
		earned.Minor -= a.Posted().Minor
	}
	if !earned.IsZero() {
		b.t.Errorf("revenue and payables differ from what was paid by %s", earned)
	}
}

var countReserved = storage.SQL("claim_test.count_reserved", `SELECT COUNT(*) FROM stock_codes WHERE state IN ('reserved', 'replacing')`)
