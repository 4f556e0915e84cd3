package cashout_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/cashout"
	"github.com/scripcards/scrip/internal/cashout/customer"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/cashdesk"
	"github.com/scripcards/scrip/internal/testkit/check"
)

// The table of transitions is the documented one, and nothing else is possible.
func TestTransitions(t *testing.T) {
	want := map[cashout.Status]string{
		cashout.Created: "confirmed cancelled", cashout.Confirmed: "authorized cancelled expired", cashout.Authorized: "processing cancelled expired",
		cashout.Processing: "authorized approved blocked cancelled", cashout.Approved: "completed blocked cancelled",
		cashout.Completed: "", cashout.Blocked: "approved", cashout.Cancelled: "", cashout.Expired: "",
	}
	for _, from := range cashout.Statuses() {
		var to []string
		for _, s := range cashout.Statuses() {
			if from.CanBecome(s) {
				to = append(to, string(s))
			}
		}
		got, expected := slices.Sorted(slices.Values(to)), slices.Sorted(slices.Values(strings.Fields(want[from])))
		if diff := cmp.Diff(strings.Join(expected, " "), strings.Join(got, " ")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", from, diff)
		}
	}
}

// Every act is allowed in one status and refused in every other.
func TestActs(t *testing.T) {
	want := map[cashout.Act]cashout.Status{cashout.Change: cashout.Created, cashout.AskCode: cashout.Created, cashout.Confirm: cashout.Created,
		cashout.Pay: cashout.Confirmed, cashout.Upload: cashout.Authorized, cashout.Submit: cashout.Authorized}
	for _, act := range []cashout.Act{cashout.Change, cashout.AskCode, cashout.Confirm, cashout.Pay, cashout.Upload, cashout.Submit} {
		for _, status := range cashout.Statuses() {
			err := (&cashout.Order{Status: status}).Allows(act)
			if (err == nil) != (want[act] == status) || err != nil && fault.CodeOf(err) != fault.InvalidState {
				t.Errorf("%s while %s: %v", act, status, err)
			}
			if err != nil && strings.Contains(err.Error(), string(cashout.Blocked)) {
				t.Errorf("%s tells that an order is blocked: %v", act, err)
			}
		}
	}
}

// acts does everything that a caller can do to an order, each once.
func acts(ctx context.Context, d *cashdesk.Desk, token pan.Secret) map[cashout.Act]error {
	address := cashdesk.Address
	contact := cashout.Contact{Address: &address}
	_, upload := d.Presign(ctx, cashout.Picture{Realm: realm.Test, Token: token, Kind: "Image1", Name: "a.jpg", Size: 10})
	return map[cashout.Act]error{
		cashout.Change:  d.Change(ctx, realm.Test, token, contact),
		cashout.AskCode: d.SendCode(ctx, cashout.Dispatch{Realm: realm.Test, Token: token, Phone: cashdesk.Number, Captcha: cashdesk.Answer, From: cashdesk.From}),
		cashout.Confirm: d.EnterCode(ctx, cashout.Entry{Realm: realm.Test, Token: token, Phone: cashdesk.Number, Code: pan.NewSecret("0000"), From: cashdesk.From}),
		cashout.Pay:     d.Authorize(ctx, cashout.Where{Realm: realm.Test, Token: token, Contact: contact}),
		cashout.Upload:  upload,
		cashout.Submit:  d.Submit(ctx, realm.Test, token),
	}
}

// In every status, what is not allowed is refused with the same fault and changes nothing.
func TestIllegalActs(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		d := cashdesk.Open(t, db)
		reviewer := func(token pan.Secret, do func(context.Context, cashout.Decision) (cashout.Order, error)) {
			o := d.Look(token).Order
			_, err := do(t.Context(), cashout.Decision{Book: o.Book, Order: o.ID, Actor: "ada"})
			d.Must(err)
		}
		approved, blocked := d.Processing(5500, "+14155550101"), d.Processing(5500, "+14155550102")
		reviewer(approved, d.Approve)
		d.Screen.Match = customer.Match{List: "sdn", Kind: "name"}
		reviewer(blocked, d.Approve)
		for want, token := range map[cashout.Status]pan.Secret{cashout.Confirmed: d.Confirmed(5500, "+14155550103"), cashout.Authorized: d.Authorized(5500, "+14155550104"),
			cashout.Processing: d.Processing(5500, "+14155550105"), cashout.Approved: approved, cashout.Blocked: blocked} {
			before := d.Contents()
			allowed := map[cashout.Status][]cashout.Act{cashout.Confirmed: {cashout.Pay}, cashout.Authorized: {cashout.Upload, cashout.Submit}}[want]
			if want == cashout.Confirmed {
				continue // the payment would succeed: TestJourney makes it
			}
			for act, err := range acts(t.Context(), d, token) {
				if !slices.Contains(allowed, act) && fault.CodeOf(err) != fault.InvalidState {
					t.Errorf("%s while %s: %v", act, want, err)
				}
			}
			if diff := cmp.Diff(before, d.Contents()); diff != "" {
				t.Errorf("%s (-before +after):\n%s", want, diff)
			}
		}
	})
}

// The whole way: what the caller sees at each step, and what the books have at the end.
func TestJourney(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		d := cashdesk.Open(t, db)
		token := d.Opened(5500)
		see := func(status cashout.Status, price, satoshis int64) cashout.View {
			t.Helper()
			v := d.Look(token)
			if v.Status != status || v.Price.Cents.Minor != price || v.Bitcoin != money.New(satoshis, money.BTC) {
				t.Fatalf("%s at %d for %d, want %s at %d for %d", v.Status, v.Price.Cents.Minor, v.Bitcoin.Minor, status, price, satoshis)
			}
			return v
		}
		see(cashout.Created, 6_585_000, 83_523)
		d.Market.Price = "70000"
		d.Clock.Advance(time.Minute)
		see(cashout.Created, 7_000_000, 78_571)
		d.Must(d.SendCode(t.Context(), cashout.Dispatch{Realm: realm.Test, Token: token, Phone: cashdesk.Number, Captcha: cashdesk.Answer, From: cashdesk.From}))
		d.Must(d.EnterCode(t.Context(), cashout.Entry{Realm: realm.Test, Token: token, Phone: cashdesk.Number, Code: d.Phone.Last(), From: cashdesk.From}))
		if v := see(cashout.Confirmed, 7_000_000, 78_571); v.Limits == nil || v.Limits.Used.Minor != 0 || v.Limits.Left.Minor != 1_000_000 || v.Limits.NeedsNames {
			t.Errorf("limits %+v", v.Limits)
		}
		address := cashdesk.Address
		d.Must(d.Authorize(t.Context(), cashout.Where{Realm: realm.Test, Token: token, Contact: cashout.Contact{Address: &address}}))
		d.Market.Price = "20000"
		d.Clock.Advance(time.Hour)
		v := see(cashout.Authorized, 7_000_000, 78_571)
		if diff := cmp.Diff([]cashout.Required{{Kind: cashout.Card}, {Kind: cashout.Receipt}}, v.Required); diff != "" {
			t.Errorf("required (-want +got):\n%s", diff)
		}
		if err := d.Submit(t.Context(), realm.Test, token); fault.CodeOf(err) != fault.InvalidRequest {
			t.Errorf("verified without pictures: %v", err)
		}
		d.Upload(token)
		d.Must(d.Submit(t.Context(), realm.Test, token))
		o := see(cashout.Processing, 7_000_000, 78_571).Order
		if list, err := d.Ledger.ListTransactions(t.Context(), o.Book, 1<<60, 10); err != nil || len(list) != 0 {
			t.Errorf("%d transactions before the approval, %v", len(list), err)
		}
		done, err := d.Approve(t.Context(), cashout.Decision{Book: o.Book, Order: o.ID, Actor: "ada"})
		d.Must(err)
		see(cashout.Approved, 7_000_000, 78_571)
		balances(t, d, o.Book, map[string]string{"cashout.cards/USD": "55.00", "cashout.exchange/USD": "54.99", "cashout.fees/USD": "0.01",
			"cashout.exchange/BTC": "0.00078571", "cashout.owed/" + string(o.ID): "0.00078571 (0.00000000)"})
		end(t, d, done, "txid", "")
		if v := see(cashout.Completed, 7_000_000, 78_571); v.Proof != "txid" {
			t.Errorf("proof %q", v.Proof)
		}
		d.Verified()
	})
}

// balances compares the accounts of a book: what was posted, and in brackets what is available where that is less.
func balances(t *testing.T, d *cashdesk.Desk, book ledger.BookID, want map[string]string) {
	t.Helper()
	got := map[string]string{}
	for name := range want {
		a, err := d.Ledger.FindAccount(t.Context(), book, ledger.AccountID(name))
		if err != nil {
			got[name] = err.Error()
			continue
		}
		got[name] = a.Posted().String()
		if a.Available() != a.Posted() && !a.Unbounded {
			got[name] += " (" + a.Available().String() + ")"
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("accounts (-want +got):\n%s", diff)
	}
}

// end has the node say what became of an order's payout, with the money that moves.
func end(t *testing.T, d *cashdesk.Desk, o cashout.Order, proof, reason string) {
	t.Helper()
	action := ledger.Capture
	if proof == "" {
		action = ledger.Release
	}
	_, err := d.Ledger.Submit(t.Context(), ledger.Operation{Book: o.Book, Kind: "payout.end", At: d.Clock.Now(),
		Holds: []ledger.HoldChange{{Action: action, ID: ledger.HoldID("hold_" + o.Payout)}},
		Effects: func(out ledger.Outcome) ([]storage.Effect, error) {
			return d.PayoutEnded(cashout.Ended{Book: o.Book, Realm: o.Realm, Order: o.ID, Payout: o.Payout, Amount: o.Bitcoin, Proof: proof, Reason: reason, At: out.At}), nil
		}})
	d.Must(err)
}

// get returns an order as operators see it.
func get(d *cashdesk.Desk, token pan.Secret) cashout.Order {
	d.T.Helper()
	v := d.Look(token)
	o, err := d.Get(d.T.Context(), v.Book, v.ID)
	d.Must(err)
	return o
}

// A rejection asks for the bad pictures alone, with the reason, and for another look at all of them.
func TestRejection(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		d := cashdesk.Open(t, db)
		token := d.Processing(5500, cashdesk.Number)
		d.Clock.Advance(23 * time.Hour)
		sendBack(t, d, token, "Hold it still.")
		want := []cashout.Required{{Kind: cashout.Receipt, Feedback: "The picture is blurred or too dark to read. Hold it still."}}
		if v := d.Look(token); v.Status != cashout.Authorized || cmp.Diff(want, v.Required) != "" || v.Round != 1 {
			t.Errorf("%s, round %d, %+v", v.Status, v.Round, v.Required)
		}
		_, err := d.Presign(t.Context(), cashout.Picture{Realm: realm.Test, Token: token, Kind: "Image1", Name: "a.jpg", Size: 10})
		if fault.CodeOf(err) != fault.InvalidState {
			t.Errorf("a good picture is taken again: %v", err)
		}
		d.Clock.Advance(2 * time.Hour) // the first day is over, the second one counts from the rejection
		if err := d.Submit(t.Context(), realm.Test, token); fault.CodeOf(err) != fault.InvalidRequest {
			t.Errorf("the same bad picture: %v", err)
		}
		d.Upload(token)
		if v := d.Look(token); !v.Required[0].Uploaded || v.Required[0].Feedback != "" {
			t.Errorf("%+v", v.Required)
		}
		d.Must(d.Submit(t.Context(), realm.Test, token))
		o := get(d, token)
		_, err = d.Approve(t.Context(), cashout.Decision{Book: o.Book, Order: o.ID, Actor: "ada"})
		d.Must(err)
		d.Verified()
	})
}

// Orders whose time is over are gone at that instant; the sweep has their pictures erased, and removes those of which the phone was never confirmed. No order under review ends.
func TestExpiry(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		d := cashdesk.Open(t, db)
		tokens := map[cashout.Status]pan.Secret{cashout.Created: d.Opened(5500), cashout.Confirmed: d.Confirmed(5500, "+14155550101"),
			cashout.Authorized: d.Authorized(5500, "+14155550102"), cashout.Processing: d.Processing(5500, "+14155550103")}
		ids := map[cashout.Status]cashout.Order{}
		for status, token := range tokens {
			ids[status] = get(d, token)
		}
		d.Clock.Advance(cashout.Lifetime - time.Microsecond)
		for status, token := range tokens {
			if got := d.Look(token).Status; got != status {
				t.Errorf("a moment before: %s, want %s", got, status)
			}
		}
		d.Clock.Advance(time.Microsecond)
		for status, token := range tokens {
			_, err := d.View(t.Context(), realm.Test, token)
			if want := status != cashout.Processing; (fault.CodeOf(err) == fault.NotFound) != want {
				t.Errorf("%s: %v", status, err)
			}
			err = d.Change(t.Context(), realm.Test, token, cashout.Contact{})
			if want := status != cashout.Processing; (fault.CodeOf(err) == fault.NotFound) != want {
				t.Errorf("change while %s: %v", status, err)
			}
		}
		for _, want := range []int{3, 0} {
			if n, err := d.Expire(t.Context()); err != nil || n != want {
				t.Errorf("%d expired, %v, want %d", n, err, want)
			}
		}
		if len(d.Pictures.Erased) != 2 {
			t.Errorf("pictures of %d orders are erased, want 2", len(d.Pictures.Erased))
		}
		for status, o := range ids {
			got, err := d.Get(t.Context(), o.Book, o.ID)
			want := map[cashout.Status]cashout.Status{cashout.Confirmed: cashout.Expired, cashout.Authorized: cashout.Expired, cashout.Processing: cashout.Processing}[status]
			if got.Status != want || (fault.CodeOf(err) == fault.NotFound) != (want == "") {
				t.Errorf("%s is %q afterwards, %v", status, got.Status, err)
			}
		}
		now := d.Clock.Now()
		for o, got := range d.Pictures.Erased {
			if want := (cashout.Erasure{Pictures: now, Marks: now.Add(400 * 24 * time.Hour)}); got != want {
				t.Errorf("%s: erased at %s, want %s", o.Order, got, want)
			}
		}
		for status, o := range ids {
			if list, err := d.Ledger.ListTransactions(t.Context(), o.Book, 1<<60, 10); err != nil || len(list) != 0 {
				t.Errorf("%s: %d transactions are left, %v", status, len(list), err)
			}
		}
	})
}

// In a realm that is not served any more, or by a command that does not know how it is, orders end with their pictures all the same.
func TestEndsUnserved(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		d := cashdesk.Open(t, db)
		expired, refused := get(d, d.Authorized(5500, "+14155550101")), get(d, d.Processing(5500, "+14155550102"))
		d.Unserved = &cashout.Desk{Images: d.Pictures, KeepMarks: 400 * 24 * time.Hour}
		delete(d.Desks, realm.Test)
		if found, err := d.Service.Pictures(t.Context(), &refused); err != nil || len(found) != 2 {
			t.Errorf("%d pictures, %v", len(found), err)
		}
		_, err := d.Cancel(t.Context(), cashout.Decision{Book: refused.Book, Order: refused.ID, Actor: "ada", Reason: "stolen"})
		d.Must(err)
		d.Clock.Advance(cashout.Lifetime)
		if n, err := d.Expire(t.Context()); err != nil || n != 1 {
			t.Errorf("%d expired, %v", n, err)
		}
		now := d.Clock.Now()
		for o, at := range map[cashout.ID]time.Time{expired.ID: now, refused.ID: now.Add(-cashout.Lifetime)} {
			owner, want := cashout.Owner{Realm: realm.Test, Order: o}, cashout.Erasure{Pictures: at, Marks: at.Add(400 * 24 * time.Hour)}
			if got := d.Pictures.Erased[owner]; got != want || !slices.Contains(d.Pictures.Closed, owner) {
				t.Errorf("erased at %s, want %s", got, want)
			}
		}
	})
}

// An order that nobody confirmed leaves nothing, nor do the codes that were sent for it; however many there are, one sweep ends them.
func TestExpiryRemoves(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		d := cashdesk.Open(t, db)
		const many = 1_100
		token := d.Opened(5500)
		d.Must(d.SendCode(t.Context(), cashout.Dispatch{Realm: realm.Test, Token: token, Phone: cashdesk.Number, Captcha: cashdesk.Answer, From: cashdesk.From}))
		var group sync.WaitGroup
		for range 20 {
			group.Go(func() {
				for range (many - 1) / 20 {
					if _, _, err := d.Create(t.Context(), cashout.Opening{Realm: realm.Test, Amount: 5500, Currency: cashout.Bitcoin}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		group.Wait()
		made := 1 + (many-1)/20*20
		d.Clock.Advance(cashout.Lifetime)
		for _, want := range []int{made, 0} {
			if n, err := d.Expire(t.Context()); err != nil || n != want {
				t.Errorf("%d expired, %v, want %d", n, err, want)
			}
		}
		for _, table := range []string{"cashout_orders ", "cashout_codes "} {
			if strings.Contains(d.Contents(), table) {
				t.Errorf("%s are left", table)
			}
		}
	})
}

// asked is a captcha that takes its time: meanwhile something else is done.
type asked struct{ do func() }

func (a asked) Verify(context.Context, string, string) error {
	a.do()
	return nil
}

// An order whose time ends while the captcha is asked is gone, as it is for who comes later.
func TestExpiresWhileAsked(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		d := cashdesk.Open(t, db)
		token := d.Opened(5500)
		d.Desks[realm.Test].Captcha = asked{func() {
			d.Clock.Advance(cashout.Lifetime)
			if n, err := d.Expire(t.Context()); err != nil || n != 1 {
				t.Errorf("%d expired, %v", n, err)
			}
		}}
		err := d.SendCode(t.Context(), cashout.Dispatch{Realm: realm.Test, Token: token, Phone: cashdesk.Number, Captcha: cashdesk.Answer, From: cashdesk.From})
		if fault.CodeOf(err) != fault.NotFound || len(d.Phone.Sent) != 0 {
			t.Errorf("%v, %d codes", err, len(d.Phone.Sent))
		}
	})
}

// meddled is a store of pictures that makes forms slowly: meanwhile something else is done.
type meddled struct {
	*cashdesk.Pictures
	do func()
}

func (m meddled) Presign(ctx context.Context, n cashout.NewImage) (cashout.Form, error) {
	m.do()
	return m.Pictures.Presign(ctx, n)
}

// A form that is made while its order is submitted, ends, or comes back from a review is
// nobody's, and is closed: no picture changes under review.
func TestFormMeanwhile(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		d := cashdesk.Open(t, db)
		for i, c := range []struct {
			name string
			do   func(token pan.Secret, o cashout.Order)
			code fault.Code
		}{
			{"submitted", func(token pan.Secret, _ cashout.Order) { d.Must(d.Submit(t.Context(), realm.Test, token)) }, fault.InvalidState},
			{"rejected", func(token pan.Secret, o cashout.Order) {
				d.Must(d.Submit(t.Context(), realm.Test, token))
				_, err := d.Reject(t.Context(), cashout.Decision{Book: o.Book, Order: o.ID, Actor: "ada"})
				d.Must(err)
			}, fault.Unavailable},
			{"cancelled", func(_ pan.Secret, o cashout.Order) {
				_, err := d.Cancel(t.Context(), cashout.Decision{Book: o.Book, Order: o.ID, Actor: "ada", Reason: "stolen"})
				d.Must(err)
			}, fault.NotFound},
			{"alone", func(pan.Secret, cashout.Order) {}, ""},
		} {
			token := d.Authorized(5500, fmt.Sprint("+1415555010", i))
			d.Upload(token)
			o := get(d, token)
			d.Pictures.Closed = nil
			d.Desks[realm.Test].Images = meddled{d.Pictures, func() { c.do(token, o) }}
			form, err := d.Presign(t.Context(), cashout.Picture{Realm: realm.Test, Token: token, Kind: string(cashout.Card), Name: "a.jpg", Size: 1})
			d.Desks[realm.Test].Images = d.Pictures
			if fault.CodeOf(err) != c.code || (form == cashout.Form{}) != (err != nil) {
				t.Errorf("%s: %v, form %q", c.name, err, form.Key)
			}
			closed := len(d.Pictures.Closed)
			if c.code == "" && closed != 0 || c.code != "" && closed != 2 { // by what was done, and then its own
				t.Errorf("%s: closed %d times", c.name, closed)
			}
		}
	})
}

// What is asked of a customer follows the volume of seven days, names once, and nobody passes the most.
func TestTiers(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		d := cashdesk.Open(t, db)
		d.Market.Price = "50000"
		address := cashdesk.Address
		for i, step := range []struct {
			cents         int64
			name          bool // a name is given
			code          fault.Code
			needsDocument bool
		}{
			{1_000_00, false, "", false},
			{10_00, false, fault.InvalidRequest, false}, // $1,010: names
			{1_000_00, true, "", false},                 // $2,000
			{1_000_00, false, "", false},                // $3,000: names once
			{10_00, false, "", true},                    // above
			{1_000_00, false, "", true}, {1_000_00, false, "", true}, {1_000_00, false, "", true}, {1_000_00, false, "", true}, {1_000_00, false, "", true},
			{990_00, false, "", true}, // $9,000
			{1_000_00, false, "", true},
			{10_00, false, fault.GuardExceeded, false}, // $10,010
		} {
			d.Clock.Advance(3 * time.Hour) // so that a number may have so many codes
			token := d.Confirmed(step.cents, cashdesk.Number)
			w := cashout.Where{Realm: realm.Test, Token: token, Contact: cashout.Contact{Address: &address}}
			if step.name {
				w.First, w.Last = "Ada", "Lovelace"
			}
			before := d.Look(token).Limits
			err := d.Authorize(t.Context(), w)
			if fault.CodeOf(err) != step.code {
				t.Fatalf("step %d: %v, want %s", i, err, step.code)
			}
			if err != nil {
				if before.Left.Minor >= step.cents != (step.code == fault.InvalidRequest) || before.NeedsNames != (step.code == fault.InvalidRequest) {
					t.Errorf("step %d: %v; told before: %+v", i, err, before)
				}
				continue
			}
			if o := get(d, token); o.NeedsDocument != step.needsDocument || before.NeedsDocument != step.needsDocument {
				t.Errorf("step %d: a document is needed %t, told %t, want %t", i, o.NeedsDocument, before.NeedsDocument, step.needsDocument)
			}
			if want := 2; step.needsDocument && len(d.Look(token).Required) != 5 || !step.needsDocument && len(d.Look(token).Required) != want {
				t.Errorf("step %d: %+v", i, d.Look(token).Required)
			}
			d.Upload(token)
			d.Must(d.Submit(t.Context(), realm.Test, token))
		}
		d.Clock.Advance(7 * 24 * time.Hour)
		token := d.Confirmed(1_000_00, cashdesk.Number)
		if l := d.Look(token).Limits; l.Used.Minor != 0 || l.NeedsDocument {
			t.Errorf("a week later %+v", l)
		}
	})
}

// The week of volume rolls: an order counts for seven days from its payment details on, to the microsecond, and each by itself; what expired or was refused does not count.
func TestWeekRolls(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		d := cashdesk.Open(t, db)
		d.Market.Price = "50000"
		address := cashdesk.Address
		authorize := func(token pan.Secret) {
			t.Helper()
			d.Must(d.Authorize(t.Context(), cashout.Where{Realm: realm.Test, Token: token, Contact: cashout.Contact{Address: &address}}))
		}
		submit := func(token pan.Secret) cashout.Order {
			t.Helper()
			d.Upload(token)
			d.Must(d.Submit(t.Context(), realm.Test, token))
			return get(d, token)
		}
		used := func(token pan.Secret, want int64) {
			t.Helper()
			if l := d.Look(token).Limits; l.Used.Minor != want || l.Left.Minor != 1_000_000-want || l.NeedsNames != (want+10_00 > 1_000_00) {
				t.Errorf("%+v, want %d used", l, want)
			}
		}
		left, refused := d.Confirmed(500_00, cashdesk.Number), d.Confirmed(400_00, cashdesk.Number)
		authorize(left)
		authorize(refused)
		o := submit(refused)
		used(d.Confirmed(10_00, cashdesk.Number), 900_00)
		_, err := d.Cancel(t.Context(), cashout.Decision{Book: o.Book, Order: o.ID, Actor: "ada", Reason: "stolen"})
		d.Must(err)
		used(d.Confirmed(10_00, cashdesk.Number), 500_00)
		d.Clock.Advance(cashout.Lifetime)
		_, err = d.Expire(t.Context())
		d.Must(err)
		first := d.Confirmed(600_00, cashdesk.Number)
		used(first, 0)
		d.Clock.Advance(time.Hour) // what counts is when it was authorized
		authorize(first)
		d.Clock.Advance(time.Hour) // and not when it was submitted
		submit(first)
		second := d.Confirmed(400_00, cashdesk.Number)
		authorize(second)
		submit(second)
		d.Clock.Advance(get(d, first).AuthorizedAt.Add(7*24*time.Hour - time.Microsecond).Sub(d.Clock.Now()))
		next := d.Confirmed(10_00, cashdesk.Number)
		used(next, 1_000_00)
		d.Clock.Advance(time.Microsecond)
		used(next, 400_00)
		authorize(next) // and no names are asked for
		d.Clock.Advance(get(d, second).AuthorizedAt.Add(7 * 24 * time.Hour).Sub(d.Clock.Now()))
		used(d.Confirmed(10_00, cashdesk.Number), 10_00)
	})
}

// Two orders of one customer at once do not pass a limit that one of them reaches.
func TestTiersAtOnce(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		d := cashdesk.Open(t, db)
		d.Market.Price = "50000"
		address := cashdesk.Address
		var tokens []pan.Secret
		for range 4 {
			d.Clock.Advance(3 * time.Hour)
			tokens = append(tokens, d.Confirmed(600_00, cashdesk.Number))
		}
		var group sync.WaitGroup
		codes := make([]fault.Code, len(tokens))
		for i, token := range tokens {
			group.Go(func() {
				codes[i] = fault.CodeOf(d.Authorize(t.Context(), cashout.Where{Realm: realm.Test, Token: token, Contact: cashout.Contact{Address: &address}}))
			})
		}
		group.Wait()
		slices.Sort(codes)
		if diff := cmp.Diff([]fault.Code{"", fault.InvalidRequest, fault.InvalidRequest, fault.InvalidRequest}, codes); diff != "" {
			t.Errorf("without a name (-want +got):\n%s", diff)
		}
	})
}

// Whom a list names is not paid: what is owed is blocked, in an account of its own, and the caller sees a review that goes on.
func TestBlocked(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		d := cashdesk.Open(t, db)
		token := d.Processing(5500, cashdesk.Number)
		o := get(d, token)
		decide := cashout.Decision{Book: o.Book, Order: o.ID, Actor: "ada"}
		d.Screen.Err = fault.New(fault.Unavailable, "the list gives no answer")
		if _, err := d.Approve(t.Context(), decide); fault.CodeOf(err) != fault.Unavailable {
			t.Errorf("approved without the list: %v", err)
		}
		d.Screen.Err, d.Screen.Match = nil, customer.Match{List: "sdn", Kind: "address"}
		got, err := d.Approve(t.Context(), decide)
		d.Must(err)
		if got.Status != cashout.Blocked || len(d.Node.Planned) != 0 {
			t.Errorf("%s, %d payouts", got.Status, len(d.Node.Planned))
		}
		if who := d.Screen.Asked[0]; who.Name != (customer.Name{First: "Ada", Last: "Lovelace"}) || who.Address != cashdesk.Address {
			t.Errorf("the list was asked about %q at %s", who.Name.First, who.Address)
		}
		if v := d.Look(token); v.Shown() != cashout.Processing {
			t.Errorf("shown %s", v.Shown())
		}
		balances(t, d, o.Book, map[string]string{"cashout.cards/USD": "55.00", "cashout.blocked/BTC": "0.00083523"})
		at := d.Clock.Now().Add(5 * 365 * 24 * time.Hour)
		if got := d.Pictures.Erased[cashout.Owner{Realm: realm.Test, Order: o.ID}]; got != (cashout.Erasure{Pictures: at, Marks: at}) {
			t.Errorf("pictures are erased at %s, want %s", got, at)
		}
		d.Verified()
	})
}

// A payout that failed leaves what is owed, and is made again elsewhere, once.
func TestPayoutFails(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		d := cashdesk.Open(t, db)
		token := d.Processing(5500, cashdesk.Number)
		o := get(d, token)
		decide := cashout.Decision{Book: o.Book, Order: o.ID, Actor: "ada"}
		o, err := d.Approve(t.Context(), decide)
		d.Must(err)
		if _, err := d.PayAgain(t.Context(), decide, ""); fault.CodeOf(err) != fault.InvalidState {
			t.Errorf("paid again while it is on its way: %v", err)
		}
		end(t, d, o, "", "no route")
		if got := get(d, token); got.Status != cashout.Approved || got.Reason != "no route" {
			t.Errorf("%s: %s", got.Status, got.Reason)
		}
		balances(t, d, o.Book, map[string]string{"cashout.owed/" + string(o.ID): "0.00083523"})
		again, err := d.PayAgain(t.Context(), decide, "ada@example.com")
		d.Must(err)
		if _, err := d.PayAgain(t.Context(), decide, ""); fault.CodeOf(err) != fault.InvalidState {
			t.Errorf("paid a third time: %v", err)
		}
		late := d.PayoutEnded(cashout.Ended{Book: o.Book, Realm: o.Realm, Order: o.ID, Payout: o.Payout, Amount: o.Bitcoin, Proof: "late", At: d.Clock.Now()})
		d.Must(db.Apply(t.Context(), late))
		if got := get(d, token); got.Status != cashout.Approved {
			t.Errorf("the first payout ends once more, and the order is %s", got.Status)
		}
		end(t, d, again, "preimage", "")
		if got := get(d, token); got.Status != cashout.Completed || got.Proof != "preimage" || got.To.Method != cashout.Lightning {
			t.Errorf("%+v", got)
		}
		balances(t, d, o.Book, map[string]string{"cashout.owed/" + string(o.ID): "0.00000000"})
		d.Verified()
	})
}

// Where a list has what a customer says instead, once a payout failed, what is owed is blocked, and the customer is not told; nothing can be paid any more.
func TestBlockedInstead(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		d := cashdesk.Open(t, db)
		token := d.Processing(5500, cashdesk.Number)
		o := get(d, token)
		o, err := d.Approve(t.Context(), cashout.Decision{Book: o.Book, Order: o.ID, Actor: "ada"})
		d.Must(err)
		d.Clock.Advance(time.Minute)
		end(t, d, o, "", "no route")
		d.Screen.Match = customer.Match{List: "sdn", Kind: "address"}
		address := "1BoatSLRHtKNngkdXEeobR76b53LETtpyT"
		where := cashout.Where{Realm: realm.Test, Token: token, Contact: cashout.Contact{Address: &address}}
		d.Must(d.Authorize(t.Context(), where))
		if v := d.Look(token); v.Status != cashout.Blocked || v.Shown() != cashout.Approved || v.To.Text != address || v.Reason != `the address is on the list "sdn"` || len(d.Node.Planned) != 1 {
			t.Errorf("%s to %s: %s; %d payouts", v.Status, v.To.Text, v.Reason, len(d.Node.Planned))
		}
		balances(t, d, o.Book, map[string]string{"cashout.cards/USD": "55.00", "cashout.blocked/BTC": "0.00083523", "cashout.owed/" + string(o.ID): "0.00000000"})
		at := d.Clock.Now().Add(5 * 365 * 24 * time.Hour)
		if got := d.Pictures.Erased[cashout.Owner{Realm: realm.Test, Order: o.ID}]; got.Pictures != at {
			t.Errorf("pictures are erased at %s, want %s", got.Pictures, at)
		}
		d.Screen.Match = customer.Match{}
		if err := d.Authorize(t.Context(), where); fault.CodeOf(err) != fault.InvalidState {
			t.Errorf("said once more: %v", err)
		}
		if _, err := d.PayAgain(t.Context(), cashout.Decision{Book: o.Book, Order: o.ID, Actor: "ada"}, ""); fault.CodeOf(err) != fault.InvalidState {
			t.Errorf("paid: %v", err)
		}
		d.Verified()
	})
}

// Two reviewers who approve at once pay once.
func TestApproveAtOnce(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		d := cashdesk.Open(t, db)
		o := get(d, d.Processing(5500, cashdesk.Number))
		var group sync.WaitGroup
		codes := make([]fault.Code, 8)
		for i := range codes {
			group.Go(func() {
				_, err := d.Approve(t.Context(), cashout.Decision{Book: o.Book, Order: o.ID, Actor: fmt.Sprint("reviewer", i)})
				codes[i] = fault.CodeOf(err)
			})
		}
		group.Wait()
		right := 0
		for _, c := range codes {
			if c == "" {
				right++
			} else if c != fault.InvalidState {
				t.Errorf("refused with %s", c)
			}
		}
		if right != 1 {
			t.Errorf("%d approvals", right)
		}
		balances(t, d, o.Book, map[string]string{"cashout.owed/" + string(o.ID): "0.00083523 (0.00000000)", "cashout.cards/USD": "55.00"})
		d.Verified()
	})
}

// An order that one reviewer sends back while the list is asked for another one who approves it
// is not paid.
func TestRejectedMeanwhile(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		d := cashdesk.Open(t, db)
		o := get(d, d.Processing(5500, cashdesk.Number))
		desk := d.Desks[realm.Test]
		desk.Screener = cashdesk.Interrupted{Screener: desk.Screener, Asked: func() {
			_, err := d.Reject(t.Context(), cashout.Decision{Book: o.Book, Order: o.ID, Actor: "bob"})
			d.Must(err)
		}}
		_, err := d.Approve(t.Context(), cashout.Decision{Book: o.Book, Order: o.ID, Actor: "ada"})
		check.Code(t, "approved as it was before", err, fault.InvalidState)
		if got, err := d.Get(t.Context(), o.Book, o.ID); err != nil || got.Status != cashout.Authorized || got.Payout != "" {
			t.Errorf("%s, %v", got.Status, err)
		}
		if _, err := d.Ledger.FindAccount(t.Context(), o.Book, cashout.Owed(o.ID).ID); fault.CodeOf(err) != fault.NotFound {
			t.Errorf("owed: %v", err)
		}
		d.Verified()
	})
}

// A payout that failed is made again once, however many operators and customers say so at once.
func TestPayAgainAtOnce(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		d := cashdesk.Open(t, db)
		token := d.Processing(5500, cashdesk.Number)
		o := get(d, token)
		o, err := d.Approve(t.Context(), cashout.Decision{Book: o.Book, Order: o.ID, Actor: "ada"})
		d.Must(err)
		end(t, d, o, "", "no route")
		var group sync.WaitGroup
		errs := make([]error, 8)
		for i := range errs {
			group.Go(func() {
				to := fmt.Sprintf("ada%d@example.com", i)
				if i%2 == 0 {
					errs[i] = d.Authorize(t.Context(), cashout.Where{Realm: realm.Test, Token: token, Contact: cashout.Contact{Invoice: &to}})
					return
				}
				_, errs[i] = d.PayAgain(t.Context(), cashout.Decision{Book: o.Book, Order: o.ID, Actor: fmt.Sprint("operator", i)}, to)
			})
		}
		group.Wait()
		right := -1
		for i, err := range errs {
			switch {
			case err == nil && right >= 0:
				t.Errorf("paid again by %d and by %d", right, i)
			case err == nil:
				right = i
			case fault.CodeOf(err) != fault.InvalidState:
				t.Errorf("%d is refused with %v", i, err)
			}
		}
		if got := get(d, token); right < 0 || got.To.Text != fmt.Sprintf("ada%d@example.com", right) {
			t.Fatalf("paid at %s by %d", got.To.Text, right)
		}
		balances(t, d, o.Book, map[string]string{"cashout.owed/" + string(o.ID): "0.00083523 (0.00000000)"})
		end(t, d, get(d, token), "preimage", "")
		balances(t, d, o.Book, map[string]string{"cashout.owed/" + string(o.ID): "0.00000000"})
		d.Verified()
	})
}

// Without a price nothing is sold, and what is locked goes on.
func TestNoPrice(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		d := cashdesk.Open(t, db)
		created, confirmed, authorized := d.Opened(5500), d.Confirmed(5500, "+14155550101"), d.Authorized(5500, "+14155550102")
		d.Market.Price = ""
		d.Clock.Advance(time.Minute)
		if q, err := d.Quote(t.Context(), realm.Test); err != nil || q.Open {
			t.Errorf("open %t, %v", q.Open, err)
		}
		address := cashdesk.Address
		_, _, err := d.Create(t.Context(), cashout.Opening{Realm: realm.Test, Amount: 5500, Currency: cashout.Bitcoin})
		_, look := d.View(t.Context(), realm.Test, created)
		for name, err := range map[string]error{"create": err, "look": look,
			"authorize": d.Authorize(t.Context(), cashout.Where{Realm: realm.Test, Token: confirmed, Contact: cashout.Contact{Address: &address}})} {
			if fault.CodeOf(err) != fault.Unavailable {
				t.Errorf("%s: %v", name, err)
			}
		}
		if v := d.Look(authorized); v.Bitcoin.Minor != 83_523 {
			t.Errorf("%+v", v)
		}
	})
}

// A realm that is not served takes no order, whatever the other one does.
func TestNotServed(t *testing.T) {
	d := cashdesk.Open(t, testkit.Open(t, testkit.Database(t, "sqlite")))
	token := d.Opened(5500)
	_, _, err := d.Create(t.Context(), cashout.Opening{Realm: realm.Live, Amount: 5500, Currency: cashout.Bitcoin})
	_, look := d.View(t.Context(), realm.Live, token)
	if fault.CodeOf(err) != fault.Unavailable || fault.CodeOf(look) != fault.Unavailable {
		t.Errorf("%v, %v", err, look)
	}
	if q, err := d.Quote(t.Context(), realm.Live); err != nil || q.Open {
		t.Errorf("open %t, %v", q.Open, err)
	}
}

// Tokens are 20 characters of 62, all of them in use, and neither the database nor the log has one; nor a number, a name or a code.
func TestSecretsStaySecret(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		d := cashdesk.Open(t, db)
		var tokens []string
		seen := map[rune]bool{}
		for range 40 {
			text := d.Opened(5500).Reveal()
			tokens = append(tokens, text)
			for _, r := range text {
				seen[r] = true
			}
			if len(text) != 20 || strings.Trim(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789") != "" {
				t.Errorf("token %q", text)
			}
		}
		if len(seen) < 55 {
			t.Errorf("only %d characters in %d tokens", len(seen), len(tokens))
		}
		token := d.Processing(5500, cashdesk.Number)
		all := d.Contents() + d.Log.String()
		for _, secret := range append(tokens, token.Reveal(), cashdesk.Number, cashdesk.Number[1:], "Lovelace") {
			if strings.Contains(all, secret) || bytes.Contains(d.Log.Bytes(), []byte(secret)) {
				t.Errorf("%q is stored or logged", secret)
			}
		}
		if text := fmt.Sprintf("%v %+v %s", token, get(d, token), customer.Name{First: "Ada", Last: "Lovelace"}); strings.Contains(text, token.Reveal()) || strings.Contains(text, "Lovelace") {
			t.Errorf("printed: %s", text)
		}
	})
}

// An operator's refusal ends an order that is not approved, and leaves nothing in the books.
func TestCancel(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		d := cashdesk.Open(t, db)
		token := d.Processing(5500, cashdesk.Number)
		o := get(d, token)
		got, err := d.Cancel(t.Context(), cashout.Decision{Book: o.Book, Order: o.ID, Actor: "ada", Reason: "a stolen card"})
		d.Must(err)
		if got.Status != cashout.Cancelled || got.Reason != "a stolen card" {
			t.Errorf("%s: %s", got.Status, got.Reason)
		}
		if _, err := d.View(t.Context(), realm.Test, token); fault.CodeOf(err) != fault.NotFound {
			t.Errorf("its caller sees %v", err)
		}
		if list, err := d.Ledger.ListTransactions(t.Context(), o.Book, 1<<60, 10); err != nil || len(list) != 0 {
			t.Errorf("%d transactions, %v", len(list), err)
		}
		approved := get(d, d.Processing(5500, "+14155550101"))
		_, err = d.Approve(t.Context(), cashout.Decision{Book: o.Book, Order: approved.ID, Actor: "ada"})
		d.Must(err)
		if _, err := d.Cancel(t.Context(), cashout.Decision{Book: o.Book, Order: approved.ID, Actor: "ada", Reason: "late"}); fault.CodeOf(err) != fault.InvalidState {
			t.Errorf("an approved order is cancelled: %v", err)
		}
		token = d.Opened(5500)
		d.Must(d.SendCode(t.Context(), cashout.Dispatch{Realm: realm.Test, Token: token, Phone: cashdesk.Number, Captcha: cashdesk.Answer, From: cashdesk.From}))
		_, err = d.Cancel(t.Context(), cashout.Decision{Book: o.Book, Order: get(d, token).ID, Actor: "ada", Reason: "not wanted"})
		d.Must(err)
		if strings.Contains(d.Contents(), "cashout_codes ") {
			t.Error("the code of an order that was cancelled is left")
		}
	})
}

// Once an operator reversed an approval in the books, which a payout prevents as long as it holds what
// is owed, nothing is paid any more, and the order can be cancelled.
func TestApprovalReversed(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		d := cashdesk.Open(t, db)
		token := d.Processing(5500, cashdesk.Number)
		o := get(d, token)
		decide := cashout.Decision{Book: o.Book, Order: o.ID, Actor: "ada", Reason: "a stolen card"}
		o, err := d.Approve(t.Context(), decide)
		d.Must(err)
		approval, _, err := d.Ledger.FindByKey(t.Context(), o.Book, "cashout.approve/"+string(o.ID))
		d.Must(err)
		reverse := func() error {
			_, err := d.Ledger.Submit(t.Context(), ledger.Operation{Book: o.Book, Kind: "transaction.reverse", Reverses: approval.Transaction, Actor: "op/1", At: d.Clock.Now()})
			return err
		}
		if err := reverse(); fault.CodeOf(err) != fault.InsufficientFunds {
			t.Errorf("reversed while it is paid: %v", err)
		}
		end(t, d, o, "", "no route")
		if _, err := d.Cancel(t.Context(), decide); fault.CodeOf(err) != fault.InvalidState {
			t.Errorf("cancelled while it is owed: %v", err)
		}
		if v := d.Look(token); v.Undone || !v.Unpaid() {
			t.Errorf("before it is reversed: %+v", v)
		}
		d.Must(reverse())
		if v := d.Look(token); !v.Undone {
			t.Error("its caller is asked where to pay instead")
		}
		if _, err := d.PayAgain(t.Context(), decide, ""); fault.CodeOf(err) != fault.InvalidState {
			t.Errorf("paid though nothing is owed: %v", err)
		}
		address := cashdesk.Address
		if err := d.Authorize(t.Context(), cashout.Where{Realm: realm.Test, Token: token, Contact: cashout.Contact{Address: &address}}); fault.CodeOf(err) != fault.InvalidState || fault.From(err).Message != "nothing is owed for the order any more" {
			t.Errorf("paid elsewhere though nothing is owed: %v", err)
		}
		d.Screen.Match = customer.Match{List: "sdn", Kind: "name"}
		if _, err := d.PayAgain(t.Context(), decide, ""); fault.CodeOf(err) != fault.InvalidState {
			t.Errorf("blocked though nothing is owed: %v", err)
		}
		got, err := d.Cancel(t.Context(), decide)
		d.Must(err)
		if got.Status != cashout.Cancelled || got.Reason != "a stolen card" {
			t.Errorf("%s: %s", got.Status, got.Reason)
		}
		if _, err := d.View(t.Context(), realm.Test, token); fault.CodeOf(err) != fault.NotFound {
			t.Errorf("its caller sees %v", err)
		}
		balances(t, d, o.Book, map[string]string{"cashout.cards/USD": "0.00", "cashout.owed/" + string(o.ID): "0.00000000"})
		d.Verified()
	})
}

// A reviewer whose approval would pass what may be paid out in a day is told so in words, and the order waits for another day.
func TestDayIsPaidOut(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		d := cashdesk.Open(t, db)
		d.Node.Daily = 100_000
		one, two := get(d, d.Processing(5500, "+14155550101")), get(d, d.Processing(5500, "+14155550102"))
		_, err := d.Approve(t.Context(), cashout.Decision{Book: one.Book, Order: one.ID, Actor: "ada"})
		d.Must(err)
		approve := func() (cashout.Order, error) {
			return d.Approve(t.Context(), cashout.Decision{Book: two.Book, Order: two.ID, Actor: "ada"})
		}
		_, err = approve()
		if f := fault.From(err); f.Code != fault.GuardExceeded || strings.Contains(f.Message, "payout.day") || f.Details["used"] != "83523" {
			t.Errorf("more than a day's payouts: %v, %v", err, f.Details)
		}
		d.Node.Daily = 200_000
		if got, err := approve(); err != nil || got.Status != cashout.Approved {
			t.Errorf("the next day: %s, %v", got.Status, err)
		}
	})
}

// An invoice that is too old when an order is approved does not stop it: what is owed is in the books, and the customer says where to pay instead, once.
func TestUnpayable(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		d := cashdesk.Open(t, db)
		token := d.Processing(5500, cashdesk.Number)
		o := get(d, token)
		d.Node.Refuse = fault.New(fault.InvalidRequest, "the invoice is too old")
		got, err := d.Approve(t.Context(), cashout.Decision{Book: o.Book, Order: o.ID, Actor: "ada"})
		d.Must(err)
		if !got.Unpaid() || got.Payout != "" || got.Reason != "the invoice is too old" {
			t.Errorf("%+v", got)
		}
		balances(t, d, o.Book, map[string]string{"cashout.owed/" + string(o.ID): "0.00083523"})
		where := cashout.Where{Realm: realm.Test, Token: token}
		if err := d.Authorize(t.Context(), where); fault.CodeOf(err) != fault.InvalidRequest {
			t.Errorf("nowhere: %v", err)
		}
		invoice := "ada@example.com"
		where.Contact.Invoice = &invoice
		if err := d.Authorize(t.Context(), where); fault.CodeOf(err) != fault.InvalidRequest {
			t.Errorf("still too old: %v", err)
		}
		d.Node.Refuse = fault.New(fault.GuardExceeded, "payout.day/2026-11-21 would pass its limit")
		if err := d.Authorize(t.Context(), where); fault.CodeOf(err) != fault.Unavailable || strings.Contains(fault.From(err).Message, "payout.day") {
			t.Errorf("more than a day's payouts: %v", err)
		}
		d.Node.Refuse = nil
		d.Must(d.Authorize(t.Context(), where))
		if err := d.Authorize(t.Context(), where); fault.CodeOf(err) != fault.InvalidState {
			t.Errorf("said twice: %v", err)
		}
		end(t, d, get(d, token), "preimage", "")
		if v := d.Look(token); v.Status != cashout.Completed || v.Bitcoin.Minor != 83_523 {
			t.Errorf("%s", v.Status)
		}
		d.Node.Refuse = fault.New(fault.FeatureDisabled, "no node")
		other := get(d, d.Processing(5500, "+14155550199"))
		if _, err := d.Approve(t.Context(), cashout.Decision{Book: other.Book, Order: other.ID, Actor: "ada"}); fault.CodeOf(err) != fault.Unavailable {
			t.Errorf("approved without a node: %v", err)
		}
		d.Verified()
	})
}
