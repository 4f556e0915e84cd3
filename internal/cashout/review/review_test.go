package review_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/cashout"
	"github.com/scripcards/scrip/internal/cashout/review"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/cashdesk"
)

// waiting makes an order that waits for reviewers.
func waiting(d *cashdesk.Desk, cents int64, number string) cashout.Order {
	d.T.Helper()
	token := d.Processing(cents, number)
	o, err := d.Get(d.T.Context(), d.Look(token).Book, d.Look(token).ID)
	d.Must(err)
	return o
}

func ref(o cashout.Order, actor string) review.Ref {
	return review.Ref{Book: o.Book, Order: o.ID, Actor: actor}
}

// accepting are judgements that accept all pictures of a plain order.
var accepting = []review.Judgement{{Kind: cashout.Card, Accept: true}, {Kind: cashout.Receipt, Accept: true}}

// actions lists what was recorded in a book.
func actions(d *cashdesk.Desk, o cashout.Order) string {
	return strings.Join(d.Reviewed(o, func(did string, e audit.Entry) string { return e.Actor + " " + did }), ", ")
}

// The queue shows those that wait longest first, with who has them; a hold ends by itself.
func TestQueue(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		d := cashdesk.Open(t, db)
		if q, err := d.Reviews.Queue(t.Context(), realm.Test, 10); err != nil || len(q) != 0 {
			t.Errorf("before the first order: %v, %v", q, err)
		}
		first := waiting(d, 5500, "+14155550101")
		d.Clock.Advance(time.Minute)
		second := waiting(d, 5500, "+14155550102")
		d.Authorized(5500, "+14155550103")
		_, err := d.Reviews.Claim(t.Context(), ref(second, "ada"))
		d.Must(err)
		show := func() string {
			q, err := d.Reviews.Queue(t.Context(), realm.Test, 10)
			d.Must(err)
			var text []string
			for _, c := range q {
				text = append(text, fmt.Sprint(c.ID == first.ID, " ", c.Reviewer))
			}
			return strings.Join(text, ", ")
		}
		if got := show(); got != "true , false ada" {
			t.Errorf("queue: %s", got)
		}
		if _, err := d.Reviews.Claim(t.Context(), ref(second, "bob")); fault.CodeOf(err) != fault.InvalidState {
			t.Errorf("claimed twice: %v", err)
		}
		d.Clock.Advance(15 * time.Minute)
		if got := show(); got != "true , false " {
			t.Errorf("queue a quarter of an hour later: %s", got)
		}
		_, err = d.Reviews.Claim(t.Context(), ref(second, "bob"))
		d.Must(err)
		if _, err := d.Reviews.Decide(t.Context(), review.Decision{Ref: ref(second, "ada"), Judgements: accepting}); fault.CodeOf(err) != fault.InvalidState {
			t.Errorf("decided by who lost it: %v", err)
		}
		_, err = d.Reviews.Release(t.Context(), ref(second, "ada"))
		d.Must(err)
		if got := show(); got != "true , false bob" {
			t.Errorf("released by who does not have it: %s", got)
		}
		_, err = d.Reviews.Release(t.Context(), ref(second, "bob"))
		d.Must(err)
		if got := show(); got != "true , false " {
			t.Errorf("released: %s", got)
		}
		if got := actions(d, second); strings.Count(got, "bob release") != 1 || strings.Contains(got, "ada release") {
			t.Errorf("recorded: %s", got)
		}
	})
}

// One of many who claim an order at once has it.
func TestClaimAtOnce(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		d := cashdesk.Open(t, db)
		o := waiting(d, 5500, cashdesk.Number)
		var group sync.WaitGroup
		errs := make([]error, 8)
		for i := range errs {
			group.Go(func() { _, errs[i] = d.Reviews.Claim(t.Context(), ref(o, fmt.Sprint("reviewer", i))) })
		}
		group.Wait()
		have := 0
		for _, err := range errs {
			if err == nil {
				have++
			} else if fault.CodeOf(err) != fault.InvalidState {
				t.Error(err)
			}
		}
		if have != 1 {
			t.Errorf("%d have it", have)
		}
	})
}

// Of an order that is over whoever decides is told that, and not to take it in hand.
func TestDecideTooLate(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		d := cashdesk.Open(t, db)
		ada := ref(waiting(d, 5500, cashdesk.Number), "ada")
		_, err := d.Reviews.Claim(t.Context(), ada)
		d.Must(err)
		_, err = d.Reviews.Refuse(t.Context(), ada, "its holder asked for it")
		d.Must(err)
		if _, err := d.Reviews.Decide(t.Context(), review.Decision{Ref: ada, Judgements: accepting}); err == nil || fault.From(err).Message != "the order is cancelled" {
			t.Errorf("decided: %v", err)
		}
	})
}

// An order that somebody else took in hand while a list was asked is not decided by who had it.
func TestTakenMeanwhile(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		d := cashdesk.Open(t, db)
		ada := ref(waiting(d, 5500, cashdesk.Number), "ada")
		eve := ada
		eve.Actor = "eve"
		_, err := d.Reviews.Claim(t.Context(), ada)
		d.Must(err)
		desk := d.Desks[realm.Test]
		desk.Screener = cashdesk.Interrupted{Screener: desk.Screener, Asked: func() {
			d.Clock.Advance(24 * time.Hour)
			_, err := d.Reviews.Claim(t.Context(), eve)
			d.Must(err)
		}}
		if _, err := d.Reviews.Decide(t.Context(), review.Decision{Ref: ada, Judgements: accepting}); fault.CodeOf(err) != fault.InvalidState {
			t.Errorf("decided: %v", err)
		}
		if c, err := d.Reviews.Find(t.Context(), ada.Book, ada.Order); err != nil || c.Status != cashout.Processing || c.Reviewer != "eve" {
			t.Errorf("%s in hand of %q, %v", c.Status, c.Reviewer, err)
		}
		d.Verified()
	})
}

// All pictures are judged, with reasons of the list, and what is decided is carried out and recorded.
func TestDecide(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		d := cashdesk.Open(t, db)
		o := waiting(d, 5500, cashdesk.Number)
		ada := ref(o, "ada")
		if _, err := d.Reviews.Decide(t.Context(), review.Decision{Ref: ada, Judgements: accepting}); fault.CodeOf(err) != fault.InvalidState {
			t.Errorf("decided without having it: %v", err)
		}
		_, err := d.Reviews.Claim(t.Context(), ada)
		d.Must(err)
		bad := func(j review.Judgement) []review.Judgement { return []review.Judgement{accepting[0], j} }
		for name, judgements := range map[string][]review.Judgement{
			"none": nil, "one missing": accepting[:1], "one twice": {accepting[0], accepting[0]}, "not asked for": bad(review.Judgement{Kind: cashout.DocFront, Accept: true}),
			"no reason": bad(review.Judgement{Kind: cashout.Receipt}), "unknown reason": bad(review.Judgement{Kind: cashout.Receipt, Reason: "ugly"}),
			"other without a note": bad(review.Judgement{Kind: cashout.Receipt, Reason: cashout.Other, Note: " "}),
			"accepted with a note": bad(review.Judgement{Kind: cashout.Receipt, Accept: true, Note: "nice"}),
			"a card number":        bad(review.Judgement{Kind: cashout.Receipt, Reason: cashout.Other, Note: "it says 4111 1111 1111 1111"}),
		} {
			if _, err := d.Reviews.Decide(t.Context(), review.Decision{Ref: ada, Judgements: judgements}); fault.CodeOf(err) != fault.InvalidRequest {
				t.Errorf("%s: %v", name, err)
			}
		}
		c, err := d.Reviews.Decide(t.Context(), review.Decision{Ref: ada, Judgements: bad(review.Judgement{Kind: cashout.Receipt, Reason: cashout.CutOff, Note: "The total is missing."})})
		d.Must(err)
		if c.Status != cashout.Authorized {
			t.Errorf("rejected: %s", c.Status)
		}
		verdicts, err := d.Verdicts(t.Context(), &c.Order)
		d.Must(err)
		var feedback []string
		for i := range verdicts {
			feedback = append(feedback, string(verdicts[i].Kind)+" "+verdicts[i].Feedback())
		}
		if got := strings.Join(feedback, "; "); got != "Image1 ; Image2 A part of it is outside of the picture. The total is missing." {
			t.Errorf("feedback: %s", got)
		}
		if got := actions(d, o); got != "ada reject, ada claim" && got != "ada claim, ada reject" {
			t.Errorf("recorded: %s", got)
		}
	})
}

// Above an amount two people approve, and not the same one twice.
func TestFourEyes(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		d := cashdesk.Open(t, db)
		o := waiting(d, 500_01, cashdesk.Number)
		decide := func(actor string) (review.Case, error) {
			if _, err := d.Reviews.Claim(t.Context(), ref(o, actor)); err != nil {
				return review.Case{}, err
			}
			return d.Reviews.Decide(t.Context(), review.Decision{Ref: ref(o, actor), Judgements: accepting})
		}
		c, err := decide("ada")
		d.Must(err)
		if c.Status != cashout.Processing || c.First != "ada" || c.Reviewer != "" || len(d.Node.Planned) != 0 {
			t.Errorf("after the first: %+v", c)
		}
		if _, err := decide("ada"); fault.CodeOf(err) != fault.InvalidState {
			t.Errorf("the same person: %v", err)
		}
		found, err := d.Audit.List(t.Context(), audit.Filter{Book: string(o.Book), Action: "review.approve_first"})
		if err != nil || len(found) != 1 || !strings.HasPrefix(found[0].Detail["image_1"], "Image1 img_") || !strings.HasSuffix(found[0].Detail["image_2"], ": accepted") {
			t.Errorf("recorded: %+v, %v", found, err)
		}
		c, err = decide("bob")
		d.Must(err)
		if c.Status != cashout.Approved || len(d.Node.Planned) != 1 {
			t.Errorf("after the second: %s", c.Status)
		}
		small := waiting(d, 500_00, "+14155550101")
		_, err = d.Reviews.Claim(t.Context(), ref(small, "ada"))
		d.Must(err)
		c, err = d.Reviews.Decide(t.Context(), review.Decision{Ref: ref(small, "ada"), Judgements: accepting})
		d.Must(err)
		if c.Status != cashout.Approved {
			t.Errorf("one is enough for a small one: %s", c.Status)
		}
		d.Verified()
	})
}

// A first approval that is said twice at once counts once, and is no failure of ours.
func TestFourEyesAtOnce(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		d := cashdesk.Open(t, db)
		o := waiting(d, 500_01, cashdesk.Number)
		_, err := d.Reviews.Claim(t.Context(), ref(o, "ada"))
		d.Must(err)
		decide := func() error {
			_, err := d.Reviews.Decide(t.Context(), review.Decision{Ref: ref(o, "ada"), Judgements: accepting})
			return err
		}
		d.Desks[realm.Test].Images = &between{d.Pictures, func() { d.Must(decide()) }}
		if err := decide(); fault.CodeOf(err) != fault.InvalidState {
			t.Errorf("said twice: %v", err)
		}
		if c, err := d.Reviews.Find(t.Context(), o.Book, o.ID); err != nil || c.First != "ada" || c.Status != cashout.Processing {
			t.Errorf("%+v, %v", c, err)
		}
		if got := actions(d, o); strings.Count(got, "ada approve_first") != 1 {
			t.Errorf("recorded: %s", got)
		}
	})
}

// between is a store of pictures that does something else once, before it lists them.
type between struct {
	*cashdesk.Pictures
	do func()
}

func (b *between) List(ctx context.Context, o cashout.Owner) ([]cashout.Image, error) {
	if do := b.do; do != nil {
		b.do = nil
		do()
	}
	return b.Pictures.List(ctx, o)
}

// What two had to approve no single person sends elsewhere once its payout failed: it is paid where the order said, or where its customer says.
func TestElsewhere(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		d := cashdesk.Open(t, db)
		const other = "ada@example.com"
		failed := func(cents int64, number string) (cashout.Order, pan.Secret) {
			t.Helper()
			token := d.Processing(cents, number)
			o := d.Look(token).Order
			d.Node.Refuse = fault.New(fault.InvalidRequest, "no route")
			_, err := d.Approve(t.Context(), cashout.Decision{Book: o.Book, Order: o.ID, Actor: "ada"})
			d.Must(err)
			d.Node.Refuse = nil
			return o, token
		}
		for i, to := range []string{"", cashdesk.Address} {
			o, _ := failed(500_01, fmt.Sprint("+1415555010", i))
			if _, err := d.Reviews.PayAgain(t.Context(), ref(o, "bob"), other); fault.CodeOf(err) != fault.InvalidState || len(d.Node.Planned) != i {
				t.Errorf("sent elsewhere by one person: %v, %d payouts", err, len(d.Node.Planned))
			}
			c, err := d.Reviews.PayAgain(t.Context(), ref(o, "bob"), to)
			d.Must(err)
			if c.To.Text != cashdesk.Address || c.Payout == "" {
				t.Errorf("paid %q at %s", c.Payout, c.To.Text)
			}
		}
		o, token := failed(500_01, "+14155550102")
		invoice := other
		d.Must(d.Authorize(t.Context(), cashout.Where{Realm: realm.Test, Token: token, Contact: cashout.Contact{Invoice: &invoice}}))
		if c, err := d.Reviews.Find(t.Context(), o.Book, o.ID); err != nil || c.To.Text != other || c.Payout == "" {
			t.Errorf("said by the customer: %q at %s, %v", c.Payout, c.To.Text, err)
		}
		o, _ = failed(500_00, "+14155550103")
		c, err := d.Reviews.PayAgain(t.Context(), ref(o, "bob"), other)
		d.Must(err)
		if c.To.Text != other {
			t.Errorf("a small one is paid at %s", c.To.Text)
		}
		d.Verified()
	})
}

// A second look after a rejection begins anew: who approved first before does not count.
func TestFourEyesAfterRejection(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		d := cashdesk.Open(t, db)
		token := d.Processing(600_00, cashdesk.Number)
		o := d.Look(token).Order
		say := func(actor string, judgements []review.Judgement) review.Case {
			_, err := d.Reviews.Claim(t.Context(), ref(o, actor))
			d.Must(err)
			c, err := d.Reviews.Decide(t.Context(), review.Decision{Ref: ref(o, actor), Judgements: judgements})
			d.Must(err)
			return c
		}
		say("ada", accepting)
		say("bob", []review.Judgement{accepting[0], {Kind: cashout.Receipt, Reason: cashout.Edited}})
		d.Upload(token)
		d.Must(d.Submit(t.Context(), realm.Test, token))
		if c := say("cyd", accepting); c.Status != cashout.Processing || c.First != "cyd" {
			t.Errorf("after the rejection: %s, first %s", c.Status, c.First)
		}
	})
}

// A link leads to a picture for a minute, is recorded, and cannot be made up or stretched.
func TestLinks(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		d := cashdesk.Open(t, db)
		o, other := waiting(d, 5500, cashdesk.Number), waiting(d, 5500, "+14155550101")
		pictures, err := d.Service.Pictures(t.Context(), &o)
		d.Must(err)
		image := pictures[0].ID
		if _, err := d.Reviews.Show(t.Context(), ref(o, "ada"), image); fault.CodeOf(err) != fault.InvalidState {
			t.Errorf("shown without having the order: %v", err)
		}
		for _, one := range []cashout.Order{o, other} {
			_, err = d.Reviews.Claim(t.Context(), ref(one, "ada"))
			d.Must(err)
		}
		if _, err := d.Reviews.Show(t.Context(), ref(other, "ada"), image); fault.CodeOf(err) != fault.NotFound {
			t.Errorf("another order's picture: %v", err)
		}
		link, err := d.Reviews.Show(t.Context(), ref(o, "ada"), image)
		d.Must(err)
		got, err := d.Reviews.Follow(t.Context(), link.Text)
		d.Must(err)
		if got.Type != "image/png" || !strings.Contains(string(got.Data), image) || cmp.Diff([]string{"ada " + image}, d.Pictures.Opened) != "" {
			t.Errorf("%s, opened by %v", got.Type, d.Pictures.Opened)
		}
		head, tail, _ := strings.Cut(link.Text, ".")
		for _, text := range []string{"", ".", head, head + ".", "." + tail, "A" + head[1:] + "." + tail, head + "." + strings.Repeat("A", len(tail)), link.Text + "A", "!." + tail} {
			if _, err := d.Reviews.Follow(t.Context(), text); fault.CodeOf(err) != fault.NotFound {
				t.Errorf("%q: %v", text, err)
			}
		}
		d.Clock.Advance(time.Minute)
		if _, err := d.Reviews.Follow(t.Context(), link.Text); fault.CodeOf(err) != fault.NotFound {
			t.Errorf("a minute later: %v", err)
		}
		if got := actions(d, o); strings.Count(got, "ada show") != 1 {
			t.Errorf("recorded: %s", got)
		}
	})
}

// A picture that a reviewer hid is nobody else's until that reviewer covered something on it.
func TestHide(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		d := cashdesk.Open(t, db)
		o := waiting(d, 5500, cashdesk.Number)
		pictures, err := d.Service.Pictures(t.Context(), &o)
		d.Must(err)
		image := pictures[0].ID
		_, err = d.Reviews.Claim(t.Context(), ref(o, "ada"))
		d.Must(err)
		d.Must(d.Reviews.Hide(t.Context(), ref(o, "ada"), image))
		link, err := d.Reviews.Show(t.Context(), ref(o, "ada"), image)
		d.Must(err)
		_, err = d.Reviews.Follow(t.Context(), link.Text)
		d.Must(err)
		d.Clock.Advance(15 * time.Minute)
		_, err = d.Reviews.Claim(t.Context(), ref(o, "bob"))
		d.Must(err)
		if _, err := d.Reviews.Show(t.Context(), ref(o, "bob"), image); fault.CodeOf(err) != fault.InvalidState {
			t.Errorf("another sees it: %v", err)
		}
		if err := d.Reviews.Cover(t.Context(), ref(o, "bob"), image, review.Rect{Width: 1, Height: 1}); fault.CodeOf(err) != fault.InvalidState {
			t.Errorf("another covers it: %v", err)
		}
		_, err = d.Reviews.Release(t.Context(), ref(o, "bob"))
		d.Must(err)
		_, err = d.Reviews.Claim(t.Context(), ref(o, "ada"))
		d.Must(err)
		for _, area := range []review.Rect{{}, {X: -1, Width: 5, Height: 5}, {X: 640, Width: 5, Height: 5}, {Y: 480, Width: 5, Height: 5}} {
			if err := d.Reviews.Cover(t.Context(), ref(o, "ada"), image, area); fault.CodeOf(err) != fault.InvalidRequest {
				t.Errorf("%+v: %v", area, err)
			}
		}
		area := review.Rect{X: 10, Y: 20, Width: 30, Height: 40}
		d.Must(d.Reviews.Cover(t.Context(), ref(o, "ada"), image, area))
		if cmp.Diff([]review.Rect{area}, d.Pictures.Red) != "" {
			t.Errorf("covered %+v", d.Pictures.Red)
		}
		_, err = d.Reviews.Release(t.Context(), ref(o, "ada"))
		d.Must(err)
		_, err = d.Reviews.Claim(t.Context(), ref(o, "bob"))
		d.Must(err)
		_, err = d.Reviews.Show(t.Context(), ref(o, "bob"), image)
		d.Must(err)
	})
}

// Nobody accepts a picture on which something has to be covered: a second reviewer could not see it, and the first of two cannot come back to it. It can be rejected.
func TestHiddenIsNotAccepted(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		d := cashdesk.Open(t, db)
		for i, cents := range []int64{5500, 50_001} {
			o := waiting(d, cents, fmt.Sprint("+1415555010", i))
			pictures, err := d.Service.Pictures(t.Context(), &o)
			d.Must(err)
			image := pictures[slices.IndexFunc(pictures, func(m cashout.Image) bool { return m.Kind == cashout.Card })].ID
			claim := func(actor string) {
				t.Helper()
				_, err := d.Reviews.Claim(t.Context(), ref(o, actor))
				d.Must(err)
			}
			claim("ada")
			d.Must(d.Reviews.Hide(t.Context(), ref(o, "ada"), image))
			if _, err := d.Reviews.Decide(t.Context(), review.Decision{Ref: ref(o, "ada"), Judgements: accepting}); fault.CodeOf(err) != fault.InvalidState {
				t.Errorf("accepted by who hid it: %v", err)
			}
			d.Clock.Advance(15 * time.Minute)
			claim("bob")
			if _, err := d.Reviews.Decide(t.Context(), review.Decision{Ref: ref(o, "bob"), Judgements: accepting}); fault.CodeOf(err) != fault.InvalidState {
				t.Errorf("accepted by who cannot see it: %v", err)
			}
			if i == 0 {
				bad := []review.Judgement{{Kind: cashout.Card, Reason: cashout.Other, Note: "Cover the security code."}, {Kind: cashout.Receipt, Accept: true}}
				_, err = d.Reviews.Decide(t.Context(), review.Decision{Ref: ref(o, "bob"), Judgements: bad})
				d.Must(err)
				continue
			}
			_, err = d.Reviews.Release(t.Context(), ref(o, "bob"))
			d.Must(err)
			claim("ada")
			d.Must(d.Reviews.Cover(t.Context(), ref(o, "ada"), image, review.Rect{Width: 30, Height: 40}))
			for _, actor := range []string{"ada", "bob"} {
				claim(actor)
				_, err = d.Reviews.Decide(t.Context(), review.Decision{Ref: ref(o, actor), Judgements: accepting})
				d.Must(err)
			}
		}
	})
}

// A refusal needs a reason, and ends an order for good.
func TestRefuse(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		d := cashdesk.Open(t, db)
		o := waiting(d, 5500, cashdesk.Number)
		if _, err := d.Reviews.Refuse(t.Context(), ref(o, "ada"), " "); fault.CodeOf(err) != fault.InvalidRequest {
			t.Errorf("without a reason: %v", err)
		}
		c, err := d.Reviews.Refuse(t.Context(), ref(o, "ada"), "the card was reported stolen")
		d.Must(err)
		if c.Status != cashout.Cancelled {
			t.Errorf("%s", c.Status)
		}
		if _, err := d.Reviews.Refuse(t.Context(), ref(o, "ada"), "again"); fault.CodeOf(err) != fault.InvalidState {
			t.Errorf("twice: %v", err)
		}
		if got := actions(d, o); got != "ada refuse" {
			t.Errorf("recorded: %s", got)
		}
	})
}
