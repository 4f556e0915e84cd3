package operator_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/api/operator"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/giftcard"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/issuing/cardholder"
	"github.com/scripcards/scrip/internal/issuing/dispute"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/ping"
	"github.com/scripcards/scrip/internal/platform/job"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/platform/storage/dump"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/wallet"
	"github.com/scripcards/scrip/internal/webhook"
)

// repeatable is one call that may be repeated under an Idempotency-Key.
type repeatable struct {
	method       string // empty: POST
	target, body string
	// again says that the call does nothing when it is repeated without an answer to be found.
	again bool
}

// repeatables are the calls by route, with what they work on.
func (b *bundle) repeatables(t *testing.T) map[string]repeatable {
	t.Helper()
	ctx := t.Context()
	key, err := b.Accounts.CreateKey(ctx, seeder, account.NewKey{Book: b.customer.Test, KeySettings: account.KeySettings{Name: "Shop", Scopes: account.NewScopes(account.ScopeAll)}})
	check(t, err)
	merchant, err := b.Accounts.CreateMerchant(ctx, seeder, account.NewMerchant{Book: b.customer.Test, Name: "Shop"})
	check(t, err)
	seed, err := b.Accounts.CreateSeed(ctx, seeder, account.NewSeed{Customer: b.customer.ID, Realm: realm.Test, Name: "Shop"})
	check(t, err)
	hook, err := b.Webhooks.Create(ctx, webhook.NewEndpoint{Book: b.customer.Test, Realm: realm.Test, URL: b.receiver.URL + "/hook", Events: []string{"*"},
		Scheme: webhook.SchemeCardPing, Actor: seeder})
	check(t, err)
	sent, err := b.Webhooks.SendTest(ctx, webhook.Change{Book: b.customer.Test, Endpoint: hook.ID, Actor: seeder})
	check(t, err)
	var cards []giftcard.ID
	for range 3 {
		m := giftcard.Merchant{Book: b.customer.Test, Realm: realm.Test, Actor: seeder}
		made, err := b.Cards.Create(ctx, m, giftcard.Issue{Title: "Spare", TemplateID: "aurora", Amount: money.New(700, money.USD)})
		check(t, err)
		cards = append(cards, made.Card.ID)
	}
	_, err = b.Books.Submit(ctx, ledger.Operation{Book: b.customer.Test, Kind: "account.freeze", At: b.clock.Now(),
		States: []ledger.StateChange{{Account: ledger.AccountID("giftcard/" + cards[2]), To: ledger.Frozen}}})
	check(t, err)
	b.look(t, "visa_gift", "6006491300004711")
	checks, err := b.Pings.List(ctx, b.customer.Test, "", 1)
	check(t, err)
	var honey []ping.HoneyID
	for _, number := range []string{"GC0000000000000017", "GC0000000000000025"} {
		made, err := b.Pings.AddHoney(ctx, ping.NewHoney{Realm: realm.Test, Network: "scrip", Number: pan.NewSecret(number), Actor: seeder})
		check(t, err)
		honey = append(honey, made.ID)
	}
	b.look(t, "scrip", "GC0000000000004712", "1111", "2222", "3333", "4444", "5555")
	b.look(t, "scrip", "GC0000000000000017")
	for _, name := range []string{"acme", "bella"} {
		_, err := b.Pings.AddNetwork(ctx, ping.Setup{Actor: seeder, Config: []byte(`{"url":"https://partner.example"}`),
			Configured: ping.Configured{Realm: realm.Test, ID: name, Name: "Partner", Type: ping.ClosedLoop, Kind: "http", Active: true}})
		check(t, err)
	}
	b.giveUp(t, []string{"card.print", "gc_one", "no paper"})
	b.giveUp(t, []string{"card.post", "gc_two", "no stamp"})
	dead, err := job.ListDead(ctx, b.DB, job.Key{}, 2)
	check(t, err)
	on, off := b.page(t, "acme-on"), b.page(t, "acme-off")
	me := b.do(account.RoleAdmin, "GET", "/operator/v1/me", "").Body.String()
	_, me, _ = strings.Cut(me, `"operator_id":"`)
	me, _, _ = strings.Cut(me, `"`)
	const base = "/operator/v1"
	book, customer := base+"/books/"+string(b.customer.Test), base+"/customers/"+string(b.customer.ID)
	webhooks := book + "/webhooks"
	all := map[string]repeatable{
		"customers.create":     {target: base + "/customers", body: `{"name":"New"}`},
		"wallet.load":          {target: customer + "/wallet/loads", body: `{"realm":"test","amount":"1.00","currency":"USD","reference":"bank-1"}`},
		"quotas.change":        {method: http.MethodPatch, target: customer + "/quota", body: `{"checks_per_month":5000}`},
		"quotas.reset":         {method: http.MethodDelete, target: customer + "/quota"},
		"keys.create":          {target: book + "/keys", body: `{"name":"New","scopes":["*"]}`},
		"keys.rotate":          {target: book + "/keys/" + string(key.ID) + "/rotate", body: `{}`},
		"seeds.create":         {target: book + "/seeds", body: `{"name":"New"}`},
		"seeds.rotate":         {target: book + "/seeds/" + string(seed.ID) + "/rotate", body: `{}`},
		"merchants.create":     {target: book + "/merchants", body: `{"name":"New","client_id":"shop-two"}`},
		"merchants.rotate":     {target: book + "/merchants/" + string(merchant.ClientID) + "/rotate", body: `{}`},
		"operators.create":     {target: base + "/operators", body: `{"name":"New","role":"support"}`},
		"operator_keys.create": {target: base + "/operators/" + me + "/keys", body: `{"name":"New"}`},
		"templates.create":     {target: base + "/templates", body: `{"name":"New","cover":"` + base64.StdEncoding.EncodeToString(cover(t)) + `"}`},
		"giftcards.cancel":     {target: book + "/giftcards/" + string(cards[0]) + "/cancel", body: `{"reason":"wrong amount"}`, again: true},
		"accounts.freeze":      {target: book + "/accounts/freeze", body: `{"account_id":"giftcard/` + string(cards[1]) + `","reason":"review"}`},
		"accounts.unfreeze":    {target: book + "/accounts/unfreeze", body: `{"account_id":"giftcard/` + string(cards[2]) + `","reason":"review"}`},
		"transactions.reverse": {target: book + "/transactions/" + string(b.redeemed.Transaction) + "/reverse", body: `{"reason":"till error"}`},
		"clock.advance":        {target: base + "/clock/advance", body: `{"by":"1h"}`},
		"networks.create": {target: base + "/networks", body: `{"realm":"test","network_id":"carla","name":"Carla","type":"closed_loop","kind":"http",` +
			`"config":{"url":"https://partner.example"}}`},
		"prices.create":     {target: base + "/catalog/prices", body: `{"basis":"face","percent":"98"}`},
		"networks.change":   {method: http.MethodPatch, target: base + "/networks/test/acme", body: `{"name":"Acme Gift Card"}`},
		"networks.delete":   {method: http.MethodDelete, target: base + "/networks/test/bella"},
		"honey.create":      {target: base + "/honey", body: `{"realm":"test","network_id":"scrip","number":"GC0000000000000033"}`},
		"honey.delete":      {method: http.MethodDelete, target: base + "/honey/" + string(honey[1])},
		"checks.label":      {target: book + "/checks/" + string(checks[0].ID) + "/label", body: `{"label":"fraud"}`},
		"suspensions.lift":  {target: book + "/suspensions/lift", body: `{"caller":"key_desk","reason":"their own test"}`},
		"locks.lift":        {target: base + "/locks/lift", body: `{"realm":"test","network_id":"scrip","number":"GC0000000000004712","reason":"the owner mistyped"}`},
		"portals.disable":   {target: book + "/portals/" + string(on.ID) + "/disable", body: `{"reason":"phishing"}`},
		"portals.enable":    {target: book + "/portals/" + string(off.ID) + "/enable", body: `{"reason":"cleared"}`},
		"jobs.retry":        {target: base + "/jobs/" + dead[0].ID + "/retry"},
		"jobs.delete":       {method: http.MethodDelete, target: base + "/jobs/" + dead[1].ID},
		"webhooks.create":   {target: webhooks, body: `{"url":"` + b.receiver.URL + `/hook","events":["*"]}`},
		"webhooks.rotate":   {target: webhooks + "/" + string(hook.ID) + "/rotate", body: `{}`},
		"webhooks.test":     {target: webhooks + "/" + string(hook.ID) + "/test"},
		"deliveries.resend": {target: webhooks + "/" + string(hook.ID) + "/deliveries/" + string(sent.Event) + "/resend"},
	}
	maps.Copy(all, b.remedies(t))
	maps.Copy(all, b.suppliers(t))
	maps.Copy(all, b.judgements(t))
	maps.Copy(all, b.virtual(t, base, book))
	maps.Copy(all, b.cashouts(t, me))
	maps.Copy(all, b.gaps(t))
	return all
}

// virtual are the calls about virtual cards, each with a card of its own.
func (b *bundle) virtual(t testing.TB, base, book string) map[string]repeatable {
	t.Helper()
	ctx, h := t.Context(), issuing.Holder{Book: b.customer.Test, Realm: realm.Test, Actor: seeder}
	_, err := b.Wallets.Load(ctx, wallet.Load{Book: h.Book, Realm: h.Realm, Amount: money.New(50000, money.USD), Reference: "cards", Actor: seeder})
	check(t, err)
	var cards []string
	for range 5 {
		card, err := b.Issuing.Issue(ctx, h, issuing.NewCard{BIN: "491653", Amount: money.New(1000, money.USD)})
		check(t, err)
		cards = append(cards, book+"/cards/"+string(card.ID))
	}
	_, err = b.Issuing.Freeze(ctx, h, issuing.Step{Card: issuing.CardID(strings.TrimPrefix(cards[4], book+"/cards/"))})
	check(t, err)
	person, err := b.Issuing.Cardholders.Create(ctx, cardholder.Owner{Book: h.Book, Realm: h.Realm, Actor: seeder},
		cardholder.NewPerson{Name: "Ada", Address: b.Issuing.Programme.Billing})
	check(t, err)
	contested, err := b.Disputes.Open(ctx, dispute.Opening{Holder: h, Payment: b.bought(t, "11.00"), Reason: dispute.Fraud})
	check(t, err)
	other, err := b.Disputes.Open(ctx, dispute.Opening{Holder: h, Payment: b.bought(t, "12.00"), Reason: dispute.Fraud})
	check(t, err)
	disputes := book + "/disputes"
	return map[string]repeatable{
		"disputes.open":         {target: disputes, body: `{"authorization_id":"` + string(b.bought(t, "13.00")) + `","reason":"fraud"}`},
		"disputes.move":         {target: disputes + "/" + string(contested.ID) + "/move", body: `{"to":"won"}`},
		"disputes.add_evidence": {target: disputes + "/" + string(other.ID) + "/evidence", body: `{"media_type":"text/plain","content":"bm8="}`},
		"bins.put": {method: http.MethodPut, target: base + "/bins/45320012", body: `{"network":"visa","type":"travel","issuer_country":"DE","currency":"EUR",` +
			`"max_transaction":"100","max_monthly":"1000","acceptance_rate":99}`},
		"deciders.put":       {method: http.MethodPut, target: book + "/decider", body: `{"url":"` + b.receiver.URL + `"}`},
		"spending_tiers.put": {method: http.MethodPut, target: base + "/spending-tiers/gold", body: `{"currency":"USD"}`},
		"cards.issue":        {target: book + "/cards", body: `{"bin_id":"491653","amount":"20.00","label":"Desk"}`},
		"cards.change":       {method: http.MethodPatch, target: cards[0], body: `{"label":"Travel"}`},
		"cards.freeze":       {target: cards[1] + "/freeze", body: `{"reason":"fraud"}`},
		"cards.replace":      {target: cards[2] + "/replace", body: `{"reason":"lost"}`},
		"cards.terminate":    {target: cards[3] + "/terminate", body: `{}`},
		"cards.unfreeze":     {target: cards[4] + "/unfreeze", body: `{}`},
		"cardholders.create": {target: book + "/cardholders", body: `{"name":"Bo","address":{"line1":"1 Main St","city":"Oslo","country":"NO"}}`},
		"cardholders.judge":  {target: book + "/cardholders/" + string(person.ID) + "/judge", body: `{"state":"rejected"}`, again: true},
	}
}

func first(method, otherwise string) string {
	if method == "" {
		return otherwise
	}
	return method
}

// repeat sends a call under a key, through handler.
func (b *bundle) repeat(handler http.Handler, key string, call repeatable) string {
	r, w := b.raw(first(call.method, http.MethodPost), call.target, []byte(call.body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Idempotency-Key", key)
	handler.ServeHTTP(w, r)
	return fmt.Sprint(w.Code, " ", w.Body)
}

// rows returns what every table holds, but for the audit log, which is also told of what
// is about to be done, and for when credentials were last used.
func rows(t *testing.T, db *storage.DB) map[string]string {
	t.Helper()
	m, err := dump.Backup(t.Context(), db, filepath.Join(t.TempDir(), "backup"), dump.Options{})
	check(t, err)
	tables := map[string]string{}
	for _, table := range m.Tables {
		if !strings.HasPrefix(table.Name, "audit_") {
			tables[table.Name] = fmt.Sprint(table.Rows, " ", table.SHA256)
		}
	}
	return tables
}

// No answer can be stored while its table is a view that takes no rows.
var (
	hideAnswers = storage.SQL("operatortest.hide_answers", `ALTER TABLE idempotency_answers RENAME TO answers_away`)
	viewAnswers = storage.SQL("operatortest.view_answers", `CREATE VIEW idempotency_answers AS SELECT DISTINCT * FROM answers_away`)
	dropAnswers = storage.SQL("operatortest.drop_answers", `DROP VIEW idempotency_answers`)
	showAnswers = storage.SQL("operatortest.show_answers", `ALTER TABLE answers_away RENAME TO idempotency_answers`)
)

func run(t *testing.T, db *storage.DB, statements ...*storage.Statement) {
	t.Helper()
	check(t, db.Write(t.Context(), func(ctx context.Context, tx *storage.Tx) error {
		for _, s := range statements {
			if _, err := tx.Exec(ctx, s); err != nil {
				return err
			}
		}
		return nil
	}))
}

// What a call does and its answer are one: where the answer cannot be stored nothing is
// done, and where it is stored the call does nothing any more.
func TestAnswerOrNothing(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		calls := b.repeatables(t)
		for _, r := range b.surface.Routes() {
			if _, known := calls[r.Name]; known != r.Idempotent {
				t.Errorf("%s: it may be repeated is %t, it is tried is %t", r.Name, r.Idempotent, known)
			}
		}
		names := slices.Sorted(maps.Keys(calls))
		fail := func(again bool) {
			for _, name := range names {
				if calls[name].again != again {
					continue
				}
				if answer := b.repeat(b.handler, name, calls[name]); !strings.HasPrefix(answer, "500 ") {
					t.Errorf("%s: an answer that cannot be stored: %s", name, answer)
				}
			}
		}
		before := rows(t, db)
		run(t, db, hideAnswers, viewAnswers)
		fail(false)
		run(t, db, dropAnswers, showAnswers)
		if diff := cmp.Diff(before, rows(t, db)); diff != "" {
			t.Errorf("something was done without an answer:\n%s", diff)
		}
		run(t, db, hideAnswers, viewAnswers)
		fail(true)
		run(t, db, dropAnswers, showAnswers)
		answers := map[string]string{}
		for _, name := range names {
			if answers[name] = b.repeat(b.handler, name, calls[name]); !strings.HasPrefix(answers[name], "20") {
				t.Errorf("%s: %s", name, answers[name])
			}
		}
		done := rows(t, db)
		for _, name := range names {
			if again := b.repeat(b.handler, name, calls[name]); again != answers[name] {
				t.Errorf("%s: %s\nand again %s", name, answers[name], again)
			}
		}
		if diff := cmp.Diff(done, rows(t, db)); diff != "" {
			t.Errorf("something was done twice:\n%s", diff)
		}
	})
}

// Of the same call made at once in several processes one acts, and all get its answer.
func TestRepeatsAcrossProcesses(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		calls := b.repeatables(t)
		for name, call := range calls {
			answers := make([]string, 8)
			var all sync.WaitGroup
			for i := range answers {
				all.Go(func() {
					mux := http.NewServeMux() // with a kit of its own, as another process has
					operator.New(wire.NewKit(wire.Options{Clock: b.clock}), b.Deps).Mount(mux)
					answers[i] = b.repeat(mux, name, call)
				})
			}
			all.Wait()
			for _, answer := range answers {
				if answer != answers[0] || !strings.HasPrefix(answer, "20") {
					t.Errorf("%s: %s\nand %s", name, answers[0], answer)
				}
			}
		}
		hooks, err := b.Webhooks.List(t.Context(), b.customer.Test)
		check(t, err)
		if len(hooks) != 2 {
			t.Errorf("%d webhooks were made, one of them before", len(hooks))
		}
	})
}
