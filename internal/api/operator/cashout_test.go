package operator_test

import (
	"encoding/json"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/cashout"
	"github.com/scripcards/scrip/internal/cashout/customer"
	"github.com/scripcards/scrip/internal/cashout/payout"
	"github.com/scripcards/scrip/internal/cashout/review"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/provider/simulator/node"
	"github.com/scripcards/scrip/internal/testkit"
)

// cashIn makes an order of cash-out that waits for reviewers: its cents and its phone.
func (b *bundle) cashIn(t testing.TB, args []string) {
	t.Helper()
	cents, err := strconv.ParseInt(args[0], 10, 64)
	check(t, err)
	b.token = b.cashes.Processing(cents, args[1])
}

// cashAgain uploads what an order went back for, and has it reviewed.
func (b *bundle) cashAgain(t testing.TB, _ []string) {
	t.Helper()
	b.cashes.Upload(b.token)
	check(t, b.cashes.Submit(t.Context(), realm.Test, b.token))
}

// cashBroke has nothing be payable where orders say.
func (b *bundle) cashBroke(testing.TB, []string) {
	b.cashes.Node.Refuse = fault.New(fault.InvalidRequest, "the invoice is too old")
}

// payout plans a payout of the given id, which waits.
func (b *bundle) payout(t testing.TB, args []string) {
	t.Helper()
	owed := ledger.NewAccount{ID: "test.owed/BTC", Currency: money.BTC, Side: ledger.Credit}
	from := ledger.NewAccount{ID: "test.bought/BTC", Currency: money.BTC, Side: ledger.Debit, Unbounded: true}
	op := ledger.Operation{Book: b.customer.Test, Kind: "test.owe", Key: "test.owe", Intent: "test.owe", Actor: "test", At: b.clock.Now(), Open: []ledger.NewAccount{owed, from},
		Postings: []ledger.Posting{{Debit: from.ID, Credit: owed.ID, Amount: money.New(10_000, money.BTC)}}}
	to, err := b.Cashout.Payouts.Parse(realm.Test, "12c6DSiU4Rq3P4ZxziKxzrL5LmMBrzjrJX")
	check(t, err)
	_, err = b.Cashout.Payouts.Plan(t.Context(), payout.Request{ID: payout.ID(args[0]), Book: b.customer.Test, Realm: realm.Test, To: to, Amount: money.New(10_000, money.BTC),
		From: owed.ID, Reference: "cash_test"}, &op)
	check(t, err)
	_, err = b.Books.Submit(t.Context(), op)
	check(t, err)
}

// nodeSpends has the sandbox's wallet pay what no payout asked for.
func (b *bundle) nodeSpends(t testing.TB, args []string) {
	t.Helper()
	satoshi, err := strconv.ParseInt(args[0], 10, 64)
	check(t, err)
	n := node.New(b.DB, b.Clocks.Of(realm.Test), "sandbox", true)
	check(t, n.Fund(t.Context(), 10*satoshi))
	_, err = n.Spend(t.Context(), satoshi)
	check(t, err)
}

// cashFixed has everything be payable again.
func (b *bundle) cashFixed(testing.TB, []string) { b.cashes.Node.Refuse = nil }

// cashBlocked makes an order that a list has, which has nobody afterwards.
func (b *bundle) cashBlocked(t testing.TB, args []string) {
	t.Helper()
	b.cashIn(t, args)
	v := b.cashes.Look(b.token)
	b.cashes.Screen.Match = customer.Match{List: "sdn", Kind: customer.OnName}
	_, err := b.cashes.Approve(t.Context(), cashout.Decision{Book: v.Book, Order: v.ID, Actor: seeder})
	check(t, err)
	b.cashes.Screen.Match = customer.Match{}
}

// A link to a picture works without a key, once it was asked for with one, and is recorded.
func TestCashoutLink(t *testing.T) {
	b := setup(t, testkit.Open(t, testkit.Database(t, "sqlite")))
	b.cashIn(t, []string{"5500", "+14155550101"})
	v := b.cashes.Look(b.token)
	pictures, err := b.cashes.Service.Pictures(t.Context(), &v.Order)
	check(t, err)
	path := "/operator/v1/books/" + string(v.Book) + "/cashouts/" + string(v.ID)
	if w := b.do(account.RoleAdmin, "POST", path+"/images/"+pictures[0].ID+"/link", ""); w.Code != 409 {
		t.Errorf("a link for who does not have the order: %d %s", w.Code, w.Body)
	}
	if w := b.do(account.RoleAdmin, "POST", path+"/claim", ""); w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	w := b.do(account.RoleAdmin, "POST", path+"/images/"+pictures[0].ID+"/link", "")
	if w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	var link struct{ Path string }
	check(t, json.Unmarshal(w.Body.Bytes(), &link))
	got := b.do("", "GET", link.Path, "")
	if got.Code != 200 || got.Header().Get("Content-Type") != "image/png" || got.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%d %v", got.Code, got.Header())
	}
	if len(b.cashes.Pictures.Opened) != 1 {
		t.Errorf("opened %v", b.cashes.Pictures.Opened)
	}
	if got := b.do("", "GET", link.Path+"x", ""); got.Code != 404 {
		t.Errorf("another link: %d", got.Code)
	}
}

// Above an amount two people approve, whichever of their keys they use: an operator's second key is no second person.
func TestTwoKeysAreOnePerson(t *testing.T) {
	b := setup(t, testkit.Open(t, testkit.Database(t, "sqlite")))
	b.cashIn(t, []string{"50001", "+14155550101"})
	v := b.cashes.Look(b.token)
	path := "/operator/v1/books/" + string(v.Book) + "/cashouts/" + string(v.ID)
	say := func(role account.Role, verb, body, want string, status int) {
		t.Helper()
		if w := b.do(role, "POST", path+verb, body); w.Code != status || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s as %s: %d %s", verb, role, w.Code, w.Body)
		}
	}
	const all = `{"images":[{"image_type":"Image1","accept":true},{"image_type":"Image2","accept":true}]}`
	say(account.RoleSupport, "/claim", `{}`, `"needs_two":true`, 200)
	say(account.RoleSupport, "/decide", all, `"status":"processing"`, 200)
	me, err := b.Accounts.AuthenticateOperator(t.Context(), b.keys[account.RoleSupport], netip.Addr{})
	check(t, err)
	second, err := b.Accounts.CreateOperatorKey(t.Context(), seeder, account.NewOperatorKey{Operator: me.ID, Name: "second"})
	check(t, err)
	b.keys[account.RoleSupport] = second.Secret.Reveal()
	say(account.RoleSupport, "/claim", `{}`, "somebody else has to approve this order, too", 409)
	say(account.RoleSupport, "/decide", all, "take the order in hand first", 409)
	say(account.RoleAdmin, "/claim", `{}`, string(me.ID), 200)
	say(account.RoleAdmin, "/decide", all, `"status":"approved"`, 200)
}

// cashouts are the calls about cash-out, each with an order of its own; me is who makes them.
func (b *bundle) cashouts(t *testing.T, me string) map[string]repeatable {
	t.Helper()
	var refs []review.Ref
	var paths []string
	for i := range 5 {
		b.cashIn(t, []string{"5500", "+1415555010" + strconv.Itoa(i)})
		v := b.cashes.Look(b.token)
		refs = append(refs, review.Ref{Book: v.Book, Order: v.ID, Actor: me})
		paths = append(paths, "/operator/v1/books/"+string(v.Book)+"/cashouts/"+string(v.ID))
	}
	b.cashes.Reviews.Policy.Hold = 24 * time.Hour // another of the calls moves the clock
	for _, ref := range refs[1:3] {
		_, err := b.cashes.Reviews.Claim(t.Context(), ref)
		check(t, err)
	}
	b.cashBroke(t, nil)
	_, err := b.cashes.Approve(t.Context(), cashout.Decision{Book: refs[4].Book, Order: refs[4].Order, Actor: seeder})
	check(t, err)
	b.cashFixed(t, nil)
	for i, asks := range []string{"", seeder} {
		b.cashBlocked(t, []string{"5500", "+1415555011" + strconv.Itoa(i)})
		v := b.cashes.Look(b.token)
		paths = append(paths, "/operator/v1/books/"+string(v.Book)+"/cashouts/"+string(v.ID))
		if asks != "" {
			_, err := b.cashes.Reviews.AskToClear(t.Context(), review.Ref{Book: v.Book, Order: v.ID, Actor: asks}, "another person")
			check(t, err)
		}
	}
	paid := string(payout.NewID())
	b.payout(t, []string{paid})
	return map[string]repeatable{
		"payouts.cancel":        {target: "/operator/v1/books/" + string(b.customer.Test) + "/payouts/" + paid + "/cancel", body: `{}`},
		"cashouts.claim":        {target: paths[0] + "/claim", body: `{}`},
		"cashouts.release":      {target: paths[1] + "/release", body: `{}`, again: true},
		"cashouts.decide":       {target: paths[2] + "/decide", body: `{"images":[{"image_type":"Image1","accept":true},{"image_type":"Image2","accept":true}]}`},
		"cashouts.refuse":       {target: paths[3] + "/refuse", body: `{"reason":"stolen"}`},
		"cashouts.ask_to_clear": {target: paths[5] + "/clear", body: `{"reason":"another person"}`, again: true},
		"cashouts.clear":        {target: paths[6] + "/clear/decide", body: `{"accept":true,"reason":"another person"}`},
		"cashouts.pay_again":    {target: paths[4] + "/pay", body: `{"to":"ada@example.com"}`},
	}
}
