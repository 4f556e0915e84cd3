package cashout_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/cashout"
	"github.com/scripcards/scrip/internal/cashout/customer"
	"github.com/scripcards/scrip/internal/cashout/review"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/cashdesk"
	"github.com/scripcards/scrip/internal/testkit/check"
)

var (
	onName    = customer.Match{List: "sdn", Kind: customer.OnName}
	onAddress = customer.Match{List: "sdn", Kind: customer.OnAddress}
)

// blocked makes an order that a list has.
func blocked(d *cashdesk.Desk, number string, m customer.Match) (pan.Secret, cashout.Order) {
	d.T.Helper()
	token := d.Processing(5500, number)
	o := get(d, token)
	d.Screen.Match = m
	o, err := d.Approve(d.T.Context(), cashout.Decision{Book: o.Book, Order: o.ID, Actor: "ada"})
	d.Must(err)
	if o.Status != cashout.Blocked {
		d.T.Fatalf("%s", o.Status)
	}
	return token, o
}

func by(o cashout.Order, actor string) review.Ref {
	return review.Ref{Book: o.Book, Order: o.ID, Actor: actor}
}

// ask and clear are two people's words on a match.
func ask(d *cashdesk.Desk, o cashout.Order, actor string) error {
	_, err := d.Reviews.AskToClear(d.T.Context(), by(o, actor), "another date of birth")
	return err
}

func clearing(d *cashdesk.Desk, o cashout.Order, actor string) (review.Case, error) {
	return d.Reviews.Clear(d.T.Context(), review.Clearance{Ref: by(o, actor), Accept: true, Reason: "compared with the document"})
}

// said lists what people did about an order.
func said(d *cashdesk.Desk, o cashout.Order) string {
	return strings.Join(d.Reviewed(o, func(did string, e audit.Entry) string {
		return e.Actor + " " + did + ": " + e.Detail["list"] + " " + e.Detail["kind"] + ", " + e.Detail["reason"]
	}), "\n")
}

// An order that a false match blocked is paid once one person asked to clear it and another one did, at its price, for a reason that is kept.
func TestClear(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		d := cashdesk.Open(t, db)
		token, o := blocked(d, cashdesk.Number, onName)
		_, err := clearing(d, o, "eve")
		check.Code(t, "before anybody asked", err, fault.InvalidState)
		_, err = d.Reviews.AskToClear(t.Context(), by(o, "ada"), " ")
		check.Code(t, "without a reason", err, fault.InvalidRequest)
		d.Must(ask(d, o, "ada"))
		d.Must(ask(d, o, "ada"))
		check.Code(t, "asked by another one", ask(d, o, "eve"), fault.InvalidState)
		_, err = clearing(d, o, "ada")
		check.Code(t, "cleared by who asked", err, fault.InvalidState)
		_, err = d.Reviews.Clear(t.Context(), review.Clearance{Ref: by(o, "eve"), Accept: true})
		check.Code(t, "cleared without a reason", err, fault.InvalidRequest)
		d.Clock.Advance(48 * time.Hour)
		d.Market.Price = "90000"
		if v := d.Look(token); v.Shown() != cashout.Processing {
			t.Errorf("shown %s meanwhile", v.Shown())
		}
		got, err := clearing(d, o, "eve")
		d.Must(err)
		if got.Status != cashout.Approved || got.Payout == "" || got.Reason != "" || got.Bitcoin.Minor != 83_523 {
			t.Errorf("%+v", got.Order)
		}
		_, err = clearing(d, o, "eve")
		check.Code(t, "cleared twice", err, fault.InvalidState)
		balances(t, d, o.Book, map[string]string{"cashout.cards/USD": "55.00", "cashout.blocked/BTC": "0.00000000", "cashout.owed/" + string(o.ID): "0.00083523 (0.00000000)"})
		at := d.Clock.Now().Add(30 * 24 * time.Hour)
		if got := d.Pictures.Erased[cashout.Owner{Realm: realm.Test, Order: o.ID}]; got.Pictures != at {
			t.Errorf("pictures are erased at %s, want %s", got.Pictures, at)
		}
		end(t, d, get(d, token), "proof", "")
		if v := d.Look(token); v.Shown() != cashout.Completed {
			t.Errorf("shown %s at the end", v.Shown())
		}
		const want = "eve clear: sdn name, compared with the document\nada ask_to_clear: sdn name, another date of birth\nada ask_to_clear: sdn name, another date of birth"
		if got := said(d, o); got != want {
			t.Errorf("recorded\n%s", got)
		}
		d.Verified()
	})
}

// What blocked one order pays no other one, whatever that one waits for.
func TestClearUnblocked(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		d := cashdesk.Open(t, db)
		token := d.Processing(5500, "+14155550177")
		_, held := blocked(d, cashdesk.Number, onName)
		matches, err := d.Blocks(t.Context(), held.Book, string(held.ID))
		d.Must(err)
		d.Screen.Match = customer.Match{}
		o := get(d, token)
		for _, status := range []cashout.Status{cashout.Processing, cashout.Approved} {
			_, err = d.Clear(t.Context(), cashout.Decision{Book: o.Book, Order: o.ID, Actor: "eve"}, matches[0])
			check.Code(t, string(status), err, fault.InvalidState)
			if got := get(d, token); got.Status != status {
				t.Errorf("%s, want %s", got.Status, status)
			}
			balances(t, d, o.Book, map[string]string{"cashout.blocked/BTC": "0.00083523"})
			if status == cashout.Processing {
				_, err = d.Approve(t.Context(), cashout.Decision{Book: o.Book, Order: o.ID, Actor: "ada"})
				d.Must(err)
			}
		}
	})
}

// A list says of each order who asks to clear what blocks it.
func TestListOfMatches(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		d := cashdesk.Open(t, db)
		_, first := blocked(d, "+14155550101", onName)
		_, cleared := blocked(d, "+14155550102", onName)
		_, last := blocked(d, "+14155550103", onAddress)
		d.Must(ask(d, first, "ada"))
		d.Must(ask(d, cleared, "ada"))
		d.Screen.More = []customer.Match{onAddress}
		_, err := clearing(d, cleared, "eve") // it has another match, which nobody asked to clear
		d.Must(err)
		d.Screen.Match, d.Screen.More = customer.Match{}, nil
		d.Processing(5500, "+14155550104")
		want := map[cashout.ID]string{first.ID: "name ada", cleared.ID: "address ", last.ID: "address "}
		found, err := d.Reviews.List(t.Context(), cashout.Filter{Realm: realm.Test, Limit: 10})
		d.Must(err)
		for _, c := range found {
			got := ""
			if c.Match != nil {
				got = c.Match.Kind + " " + c.Match.Asked.By
			}
			if got != want[c.ID] {
				t.Errorf("%s order is listed with the match %q, want %q", c.Status, got, want[c.ID])
			}
		}
		if len(found) != 4 {
			t.Errorf("%d orders", len(found))
		}
	})
}

// What was cleared counts no more for the order and the name or address that it was about, and for nothing else.
func TestClearedMatch(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		d := cashdesk.Open(t, db)
		token, o := blocked(d, cashdesk.Number, onAddress)
		d.Must(ask(d, o, "ada"))
		_, err := clearing(d, o, "eve")
		d.Must(err)
		d.Clock.Advance(time.Minute)
		end(t, d, get(d, token), "", "no route")
		same, other := cashdesk.Address, "1BoatSLRHtKNngkdXEeobR76b53LETtpyT"
		d.Must(d.Authorize(t.Context(), cashout.Where{Realm: realm.Test, Token: token, Contact: cashout.Contact{Address: &same}}))
		if got := get(d, token); got.Status != cashout.Approved || got.Payout == "" {
			t.Errorf("the same address: %s", got.Status)
		}
		d.Clock.Advance(time.Minute)
		end(t, d, get(d, token), "", "no route")
		d.Must(d.Authorize(t.Context(), cashout.Where{Realm: realm.Test, Token: token, Contact: cashout.Contact{Address: &other}}))
		o = get(d, token)
		if o.Status != cashout.Blocked || o.Shown() != cashout.Approved {
			t.Errorf("another address: %s, shown %s", o.Status, o.Shown())
		}
		balances(t, d, o.Book, map[string]string{"cashout.blocked/BTC": "0.00083523", "cashout.owed/" + string(o.ID): "0.00000000"})
		_, again := blocked(d, "+14155550177", onAddress)
		if again.Status != cashout.Blocked {
			t.Errorf("another order: %s", again.Status)
		}
		d.Must(ask(d, o, "eve"))
		_, err = clearing(d, o, "ada")
		d.Must(err)
		if got := get(d, token); got.Status != cashout.Approved || got.To.Text != other {
			t.Errorf("cleared once more: %s to %s", got.Status, got.To.Text)
		}
		balances(t, d, o.Book, map[string]string{"cashout.blocked/BTC": "0.00083523", "cashout.owed/" + string(o.ID): "0.00083523 (0.00000000)"})
		d.Verified()
	})
}

// A service says neither name nor address: its match is cleared for both together.
func TestClearedCustomer(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		d := cashdesk.Open(t, db)
		token, o := blocked(d, cashdesk.Number, customer.Match{List: "service", Kind: customer.OnCustomer})
		d.Must(ask(d, o, "ada"))
		_, err := clearing(d, o, "eve")
		d.Must(err)
		for _, c := range []struct {
			address string
			want    cashout.Status
		}{{cashdesk.Address, cashout.Approved}, {"1BoatSLRHtKNngkdXEeobR76b53LETtpyT", cashout.Blocked}} {
			d.Clock.Advance(time.Minute)
			end(t, d, get(d, token), "", "no route")
			d.Must(d.Authorize(t.Context(), cashout.Where{Realm: realm.Test, Token: token, Contact: cashout.Contact{Address: &c.address}}))
			if got := get(d, token); got.Status != c.want {
				t.Errorf("%s: %s, want %s", c.address, got.Status, c.want)
			}
		}
	})
}

// An order that another match holds as well stays blocked by that one, and its caller sees no change.
func TestAnotherMatch(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		d := cashdesk.Open(t, db)
		token, o := blocked(d, cashdesk.Number, onAddress)
		d.Screen.More = []customer.Match{onName}
		d.Must(ask(d, o, "ada"))
		d.Clock.Advance(time.Hour)
		got, err := clearing(d, o, "eve")
		d.Must(err)
		if got.Status != cashout.Blocked || got.Reason != `the name is on the list "sdn"` || got.Shown() != cashout.Processing || len(d.Node.Planned) != 0 {
			t.Errorf("%s, shown %s: %s", got.Status, got.Shown(), got.Reason)
		}
		_, err = clearing(d, o, "eve")
		check.Code(t, "the other match without who asks", err, fault.InvalidState)
		d.Must(ask(d, o, "ada"))
		d.Screen.Err = fault.New(fault.Unavailable, "the list gives no answer")
		_, err = clearing(d, o, "eve")
		check.Code(t, "a list that gives no answer", err, fault.Unavailable)
		d.Screen.Err = nil
		got, err = clearing(d, o, "eve")
		d.Must(err)
		if v := d.Look(token); got.Status != cashout.Approved || v.Shown() != cashout.Approved {
			t.Errorf("%s: %s", got.Status, got.Reason)
		}
		d.Verified()
	})
}

// Of two who ask to clear a match at once, the one who comes later is told that somebody else asks, and is not in the log.
func TestAskedMeanwhile(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		d := cashdesk.Open(t, db)
		_, o := blocked(d, cashdesk.Number, onName)
		first := *d
		first.Reviews = review.New(d.Reviews.Deps)
		d.Reviews.Clocks = testkit.Meanwhile(d.Clock, func() { d.Must(ask(&first, o, "ada")) })
		check.Code(t, "asked by another one meanwhile", ask(d, o, "eve"), fault.InvalidState)
		if got := said(d, o); got != "ada ask_to_clear: sdn name, another date of birth" {
			t.Errorf("recorded\n%s", got)
		}
	})
}

// Whoever declines, who asked too, leaves the order blocked, and somebody else may ask.
func TestDeclineToClear(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		d := cashdesk.Open(t, db)
		_, o := blocked(d, cashdesk.Number, onName)
		d.Must(ask(d, o, "ada"))
		got, err := d.Reviews.Clear(t.Context(), review.Clearance{Ref: by(o, "eve"), Reason: "it is the person"})
		d.Must(err)
		if got.Status != cashout.Blocked || got.Match == nil || got.Match.Asked.By != "" {
			t.Errorf("%s, asked by %+v", got.Status, got.Match)
		}
		_, err = clearing(d, o, "eve")
		check.Code(t, "nobody asks any more", err, fault.InvalidState)
		d.Must(ask(d, o, "eve"))
		_, err = clearing(d, o, "eve")
		check.Code(t, "cleared by who asked", err, fault.InvalidState)
		got, err = d.Reviews.Clear(t.Context(), review.Clearance{Ref: by(o, "eve"), Reason: "asked too early"})
		d.Must(err)
		if got.Status != cashout.Blocked || got.Match.Asked.By != "" {
			t.Errorf("declined by who asked: %s, asked by %+v", got.Status, got.Match)
		}
		balances(t, d, o.Book, map[string]string{"cashout.blocked/BTC": "0.00083523"})
	})
}

// Many who decide at once pay once, and what was cleared is never declined as well.
func TestClearAtOnce(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		d := cashdesk.Open(t, db)
		token, o := blocked(d, cashdesk.Number, onName)
		d.Screen.Match = customer.Match{} // the list was corrected
		d.Must(ask(d, o, "ada"))
		var group sync.WaitGroup
		errs := make([]error, 8)
		for i := range errs {
			group.Go(func() {
				_, errs[i] = d.Reviews.Clear(t.Context(), review.Clearance{Ref: by(o, fmt.Sprint("reviewer", i)), Accept: i%4 != 0, Reason: "compared"})
			})
		}
		group.Wait()
		right := 0
		for i, err := range errs {
			if err == nil {
				right++
			} else if fault.CodeOf(err) != fault.InvalidState {
				t.Errorf("reviewer%d: %v", i, err)
			}
		}
		got, owed := get(d, token), map[cashout.Status]string{cashout.Approved: "0.00000000", cashout.Blocked: "0.00083523"}
		if right != 1 || owed[got.Status] == "" {
			t.Errorf("%d decided, the order is %s", right, got.Status)
		}
		balances(t, d, o.Book, map[string]string{"cashout.blocked/BTC": owed[got.Status]})
		d.Verified()
	})
}

// What blocked an order is not reversed in the books once it was cleared, and not cleared once it was reversed; what was cleared can be reversed and the order cancelled.
func TestClearReversed(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		d := cashdesk.Open(t, db)
		reverse := func(key string, o cashout.Order) error {
			done, _, err := d.Ledger.FindByKey(t.Context(), o.Book, key+string(o.ID))
			d.Must(err)
			_, err = d.Ledger.Submit(t.Context(), ledger.Operation{Book: o.Book, Kind: "transaction.reverse", Reverses: done.Transaction, Actor: "op/1", At: d.Clock.Now()})
			return err
		}
		token, o := blocked(d, cashdesk.Number, onName)
		_, other := blocked(d, "+14155550177", onName)
		d.Must(ask(d, o, "ada"))
		d.Must(ask(d, other, "ada"))
		d.Must(reverse("cashout.block/", other))
		_, err := clearing(d, other, "eve")
		check.Code(t, "what blocked it was reversed", err, fault.InvalidState)
		_, err = clearing(d, o, "eve")
		d.Must(err)
		check.Code(t, "what blocked it, once it is cleared", reverse("cashout.block/", o), fault.InvalidState)
		end(t, d, get(d, token), "", "no route")
		decide := cashout.Decision{Book: o.Book, Order: o.ID, Actor: "ada", Reason: "a stolen card"}
		_, err = d.Cancel(t.Context(), decide)
		check.Code(t, "cancelled while it is owed", err, fault.InvalidState)
		d.Must(reverse("cashout.approve/", o))
		got, err := d.Cancel(t.Context(), decide)
		d.Must(err)
		if got.Status != cashout.Cancelled {
			t.Errorf("%s", got.Status)
		}
		check.Code(t, "what blocked it, once its clearance is reversed", reverse("cashout.block/", o), fault.InvalidState)
		balances(t, d, o.Book, map[string]string{"cashout.cards/USD": "55.00", "cashout.blocked/BTC": "0.00083523", "cashout.owed/" + string(o.ID): "0.00000000"})
		d.Verified()
	})
}

// Orders in a status are listed newest first, page by page: those that wait, and those that ended.
func TestListInStatus(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		d := cashdesk.Open(t, db)
		want := map[cashout.Status][]cashout.ID{}
		for i := range 7 {
			o := get(d, d.Confirmed(5500, fmt.Sprintf("+1415555020%d", i)))
			if i%2 == 1 {
				var err error
				o, err = d.Cancel(t.Context(), cashout.Decision{Book: o.Book, Order: o.ID, Actor: "ada", Reason: "not wanted"})
				d.Must(err)
			}
			want[o.Status] = append([]cashout.ID{o.ID}, want[o.Status]...)
		}
		for _, status := range []cashout.Status{cashout.Created, cashout.Confirmed, cashout.Cancelled} {
			var got []cashout.ID
			f := cashout.Filter{Realm: realm.Test, Status: status, Limit: 2}
			for range 5 {
				page, err := d.List(t.Context(), f)
				d.Must(err)
				for _, o := range page {
					got = append(got, o.ID)
					f.Before = o.ID
				}
			}
			if fmt.Sprint(got) != fmt.Sprint(want[status]) {
				t.Errorf("%s: %v, want %v", status, got, want[status])
			}
		}
		if len(want) != 2 || len(want[cashout.Confirmed]) != 4 {
			t.Errorf("there are %v", want)
		}
	})
}
