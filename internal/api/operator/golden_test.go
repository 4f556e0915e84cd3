package operator_test

import (
	"context"
	"errors"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/api/wiretest"
	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/giftcard"
	"github.com/scripcards/scrip/internal/order"
	"github.com/scripcards/scrip/internal/platform/job"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Every route answers as its golden file says, on both engines, and as the document says.
func TestGoldens(t *testing.T) {
	wiretest.RunAll(t, contract(t), func(t *testing.T, db *storage.DB) wiretest.Golden {
		b := setup(t, db)
		return wiretest.Golden{
			Handler: b.handler, Vars: b.vars(t), Headers: []string{"WWW-Authenticate", "X-Next-Cursor", "Content-Disposition"},
			Rules: []wiretest.Rule{
				{Name: "request", Pattern: regexp.MustCompile(`"request_id":"([^"]+)"`)},
				{Name: "secret", Pattern: regexp.MustCompile(`"secret":"([^"]+)"`)},
				{Name: "words", Pattern: regexp.MustCompile(`"seed":"([0-9a-f]{4}(?:-[0-9a-f]{4}){3})"`)},
				{Name: "proof", Pattern: regexp.MustCompile(`"scrip-portal=([a-z2-7]{26})"`)},
				{Name: "cursor", Pattern: regexp.MustCompile(`(?:_cursor":"|Cursor: )([\w-]+)`)},
				{Name: "hash", Pattern: regexp.MustCompile(`"(?:hash|cover_sha256|sha256)":"([0-9a-f]{64})"`)},
				{Name: "link", Pattern: regexp.MustCompile(`/operator/v1/cashouts/images/([\w.-]+)`)},
				{Name: "latency", Pattern: regexp.MustCompile(`"latency_ms":\d+`)},
				{Name: "hashed", Pattern: regexp.MustCompile(`"card_id":"(card_[0-9a-f]{32})"`)},
				{Name: "tail", Pattern: regexp.MustCompile(`"last4":"([^"]{4})"`)},
			},
			Prepare: wiretest.AsJSON,
			Actions: map[string]func(testing.TB, []string){"order": b.order, "levels": b.levels, "deliver": b.deliver, "wait": b.wait, "void": b.void, "spend": b.spend, "pay": b.payWith, "remember": b.remember,
				"check": func(t testing.TB, args []string) { b.look(t, args[0], args[1], args[2:]...) }, "portal": func(t testing.TB, args []string) { b.page(t, args[0], args[1:]...) },
				"dns":  func(_ testing.TB, args []string) { b.dns.Set(args[0], args[1:]...) },
				"cash": b.cashIn, "payout": b.payout, "node_spends": b.nodeSpends, "cash_again": b.cashAgain, "cash_broke": b.cashBroke, "cash_fixed": b.cashFixed, "cash_blocked": b.cashBlocked,
				"sell": b.sell, "mint": b.mint, "redeem": b.redeemSold, "buy": func(t testing.TB, args []string) { b.bought(t, args[0]) }, "claim": b.claim, "rest": func(testing.TB, []string) { b.Orders.Rest() }, "report": b.report, "hunt": b.hunt, "model": b.model,
				"paid": b.deposited, "untold": b.untold, "give_up": b.giveUp},
		}
	})
}

// deliver sends what webhooks are owed.
func (b *bundle) deliver(t testing.TB, _ []string) {
	t.Helper()
	_, err := b.Webhooks.Dispatch(t.Context())
	check(t, err)
	check(t, b.jobs.Drain(t.Context()))
}

// wait lets time pass on the machine's clock.
func (b *bundle) wait(t testing.TB, args []string) {
	t.Helper()
	d, err := time.ParseDuration(args[0])
	check(t, err)
	b.clock.Advance(d)
}

// giveUp has work of a kind given up, for the book of the fixture, about something.
func (b *bundle) giveUp(t testing.TB, args []string) {
	t.Helper()
	why := errors.New(strings.Join(args[2:], " "))
	b.jobs.Handle(args[0], job.Options{}, func(context.Context, job.Job) error { return job.Discard(why) })
	check(t, b.DB.Apply(t.Context(), []storage.Effect{job.Enqueue(job.Request{Kind: args[0], Book: string(b.customer.Test), Realm: realm.Test, Unique: args[1]})}))
	check(t, b.jobs.Drain(t.Context()))
}

// order buys codes as the customer: an item, and how many.
func (b *bundle) order(t testing.TB, args []string) {
	t.Helper()
	quantity, err := strconv.Atoi(args[1])
	check(t, err)
	buyer := order.Buyer{Customer: b.customer.ID, Book: b.customer.Test, Realm: realm.Test, Credential: "key_desk"}
	_, err = b.Orders.Place(t.Context(), buyer, order.Purchase{Item: catalog.ItemCode(args[0]), Quantity: quantity, Email: "buyer@shop.example"})
	check(t, err)
}

// levels looks which items run out, as a server does now and then.
func (b *bundle) levels(t testing.TB, _ []string) {
	t.Helper()
	_, err := b.Stock.CheckLevels(t.Context())
	check(t, err)
}

// void frees what the fixture holds on its card.
func (b *bundle) void(t testing.TB, _ []string) {
	t.Helper()
	m := giftcard.Merchant{Book: b.customer.Test, Realm: realm.Test, Actor: seeder}
	_, err := b.Cards.Void(t.Context(), m, giftcard.End{Hold: b.held.Hold, Reference: "void-8"})
	check(t, err)
}

// elsewhere names the routes that tests in Go cover, and goldens do not.
var elsewhere = map[string]string{"document": "TestServesDocument", "status": "TestStatus", "templates.cover": "TestCover", "cards.statement_pdf": "TestStatementPDF", "wallets.statement_pdf": "TestStatementPDF"}

// No route is without a golden request that succeeds.
func TestGoldensCoverRoutes(t *testing.T) {
	wiretest.CheckCover(t, wiretest.Cover{Routes: newSurface(t).Routes(), Elsewhere: elsewhere})
}
