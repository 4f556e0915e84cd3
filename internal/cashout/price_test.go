package cashout_test

import (
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/cashout"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/cashdesk"
)

// priced compares what an order's caller sees with a status and a price.
func priced(t *testing.T, d *cashdesk.Desk, token pan.Secret, want cashout.View) {
	t.Helper()
	got := d.Look(token)
	if got.Status != want.Status || got.Price.Cents != want.Price.Cents || got.Bitcoin != want.Bitcoin || got.Floats != want.Floats {
		t.Fatalf("%s at %s for %s, floats %t; want %s at %s for %s, floats %t",
			got.Status, got.Price.Cents, got.Bitcoin, got.Floats, want.Status, want.Price.Cents, want.Bitcoin, want.Floats)
	}
}

// at is a view of an order of $55.
func at(s cashout.Status, cents, satoshis int64, floats bool) cashout.View {
	v := cashout.View{Floats: floats}
	v.Status, v.Price.Cents, v.Bitcoin = s, money.New(cents, money.USD), money.New(satoshis, money.BTC)
	return v
}

// sendBack rejects an order's receipt, with a note.
func sendBack(t *testing.T, d *cashdesk.Desk, token pan.Secret, note string) {
	t.Helper()
	o := get(d, token)
	pictures, err := d.Service.Pictures(t.Context(), &o)
	d.Must(err)
	var verdicts []cashout.Verdict
	for _, m := range pictures {
		v := cashout.Verdict{Kind: m.Kind, Image: m.ID, Accepted: m.Kind == cashout.Card, Actor: "ada", At: d.Clock.Now()}
		if !v.Accepted {
			v.Reason, v.Note = cashout.Blurred, note
		}
		verdicts = append(verdicts, v)
	}
	_, err = d.Reject(t.Context(), cashout.Decision{Book: o.Book, Order: o.ID, Verdicts: verdicts, Actor: "ada"})
	d.Must(err)
}

// A rejection does not prolong the lock of a price: after its end the order has the price of the moment in which it is submitted, each time, and that is the one in the books.
func TestRejectedPrice(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		d := cashdesk.Open(t, db)
		token := d.Authorized(5500, cashdesk.Number)
		until := d.Clock.Now().Add(cashout.PriceLock)
		again := func() {
			t.Helper()
			d.Upload(token)
			d.Must(d.Submit(t.Context(), realm.Test, token))
		}
		again()
		sendBack(t, d, token, "")
		d.Market.Price = "70000"
		d.Clock.Advance(cashout.PriceLock - time.Microsecond)
		priced(t, d, token, at(cashout.Authorized, 6_585_000, 83_523, false)) // rejected in time: the lock goes on
		again()
		priced(t, d, token, at(cashout.Processing, 6_585_000, 83_523, false))
		d.Clock.Advance(30 * time.Hour) // a review takes as long as it takes
		priced(t, d, token, at(cashout.Processing, 6_585_000, 83_523, false))
		sendBack(t, d, token, "")
		priced(t, d, token, at(cashout.Authorized, 7_000_000, 78_571, true))
		d.Market.Price = "50000"
		d.Clock.Advance(time.Minute)
		priced(t, d, token, at(cashout.Authorized, 5_000_000, 110_000, true))
		again()
		d.Market.Price = "40000"
		d.Clock.Advance(time.Hour)
		priced(t, d, token, at(cashout.Processing, 5_000_000, 110_000, false))
		sendBack(t, d, token, "")
		priced(t, d, token, at(cashout.Authorized, 4_000_000, 137_500, true)) // no new lock either
		again()
		o := get(d, token)
		if !o.LockedUntil.Equal(until) || !o.Price.At.Equal(d.Clock.Now()) {
			t.Errorf("locked until %s, want %s; the price is of %s", o.LockedUntil, until, o.Price.At)
		}
		d.Market.Price = "90000"
		d.Clock.Advance(time.Hour)
		_, err := d.Approve(t.Context(), cashout.Decision{Book: o.Book, Order: o.ID, Actor: "ada"})
		d.Must(err)
		priced(t, d, token, at(cashout.Approved, 4_000_000, 137_500, false))
		balances(t, d, o.Book, map[string]string{"cashout.cards/USD": "55.00", "cashout.exchange/USD": "55.00", "cashout.exchange/BTC": "0.00137500",
			"cashout.owed/" + string(o.ID): "0.00137500 (0.00000000)"})
		d.Verified()
	})
}

// What one payout may be bounds an order from its first call on, at the price of each moment
// until the pictures are submitted: nobody gives a card away for what cannot be paid.
func TestPayableAtThePrice(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		d := cashdesk.Open(t, db)
		d.Node.Most = 100_000 // $65.85
		create := func(cents int64) error {
			_, _, err := d.Create(t.Context(), cashout.Opening{Realm: realm.Test, Amount: cents, Currency: cashout.Bitcoin})
			return err
		}
		d.Must(create(6_585))
		if err := create(6_586); fault.CodeOf(err) != fault.InvalidRequest {
			t.Errorf("more than one payout: %v", err)
		}
		if q, err := d.Quote(t.Context(), realm.Test); err != nil || q.Tiers.Largest.Minor != 6_585 || q.Tiers.Smallest.Minor != 1_000 {
			t.Errorf("the limits: %s to %s, %v", q.Tiers.Smallest, q.Tiers.Largest, err)
		}
		confirmed, authorized, address := d.Confirmed(5500, "+14155550101"), d.Authorized(5500, "+14155550102"), cashdesk.Address
		pay := func() error {
			return d.Authorize(t.Context(), cashout.Where{Realm: realm.Test, Token: confirmed, Contact: cashout.Contact{Address: &address}})
		}
		d.Upload(authorized)
		d.Market.Price = "54999.99"
		d.Clock.Advance(time.Minute)
		if err := pay(); fault.CodeOf(err) != fault.InvalidRequest {
			t.Errorf("the price fell before it was locked: %v", err)
		}
		d.Must(d.Submit(t.Context(), realm.Test, authorized)) // at the price that was locked
		d.Market.Price = "55000"
		d.Clock.Advance(time.Minute)
		d.Must(pay())
		d.Upload(confirmed)
		d.Node.Most = 99_999 // the operator's rules are others now
		if err := d.Submit(t.Context(), realm.Test, confirmed); fault.CodeOf(err) != fault.InvalidRequest {
			t.Errorf("submitted: %v", err)
		}
		d.Node.Most = 100_000
		d.Must(d.Submit(t.Context(), realm.Test, confirmed))
	})
}

// A lock that an operator made shorter than the life of an order ends for the first pictures too, to the microsecond; and then nothing is submitted without a price.
func TestPriceLock(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		d := cashdesk.Open(t, db)
		d.Desks[realm.Test].PriceLock = 45 * time.Minute
		early, late := d.Authorized(5500, "+14155550101"), d.Authorized(5500, "+14155550102")
		d.Desks[realm.Test].PriceLock = time.Minute // what was promised stays
		d.Market.Price = "70000"
		d.Upload(early)
		d.Upload(late)
		d.Clock.Advance(45*time.Minute - time.Microsecond)
		d.Must(d.Submit(t.Context(), realm.Test, early))
		priced(t, d, early, at(cashout.Processing, 6_585_000, 83_523, false))
		priced(t, d, late, at(cashout.Authorized, 6_585_000, 83_523, false))
		d.Clock.Advance(time.Microsecond)
		priced(t, d, early, at(cashout.Processing, 6_585_000, 83_523, false))
		priced(t, d, late, at(cashout.Authorized, 7_000_000, 78_571, true))
		d.Market.Price = ""
		d.Clock.Advance(time.Minute)
		_, look := d.View(t.Context(), realm.Test, late)
		for name, err := range map[string]error{"look": look, "submit": d.Submit(t.Context(), realm.Test, late)} {
			if fault.CodeOf(err) != fault.Unavailable {
				t.Errorf("%s without a price: %v", name, err)
			}
		}
		d.Market.Price = "20000"
		priced(t, d, late, at(cashout.Authorized, 2_000_000, 275_000, true))
		d.Must(d.Submit(t.Context(), realm.Test, late))
		d.Market.Price = ""
		d.Clock.Advance(time.Hour)
		priced(t, d, late, at(cashout.Processing, 2_000_000, 275_000, false))
	})
}

// An invoice that was given with the order and has expired since is refused when the order is authorized, and another one is taken.
func TestInvoiceExpiresBefore(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		d := cashdesk.Open(t, db)
		token := d.Opened(5500)
		old, fresh := "lnbcrt1old", "lnbcrt1fresh"
		d.Must(d.Change(t.Context(), realm.Test, token, cashout.Contact{Invoice: &old}))
		d.Must(d.SendCode(t.Context(), cashout.Dispatch{Realm: realm.Test, Token: token, Phone: cashdesk.Number, Captcha: cashdesk.Answer, From: cashdesk.From}))
		d.Must(d.EnterCode(t.Context(), cashout.Entry{Realm: realm.Test, Token: token, Phone: cashdesk.Number, Code: d.Phone.Last(), From: cashdesk.From}))
		d.Node.Old = old
		where := cashout.Where{Realm: realm.Test, Token: token}
		if f := fault.From(d.Authorize(t.Context(), where)); f.Code != fault.InvalidRequest || f.Field != "ln_invoice" {
			t.Errorf("authorized with an invoice that has expired: %v", f)
		}
		where.Contact.Invoice = &fresh
		d.Must(d.Authorize(t.Context(), where))
		if v := d.Look(token); v.Status != cashout.Authorized || v.To.Text != fresh {
			t.Errorf("%s to %s", v.Status, v.To.Text)
		}
	})
}
