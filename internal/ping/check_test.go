package ping_test

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/giftcard"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/ping"
	"github.com/scripcards/scrip/internal/ping/sandbox"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/wallet"
)

// The published sample comes out as it is printed, as a result and as an event.
func TestPublishedSample(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *storage.DB) {
		p := setup(t, db)
		r, err := p.Ping(t.Context(), asking(developer, "visa_gift", "6006-4913-0000-0011", "1234"))
		check.OK(t, err)
		text := `{"id":"` + string(r.ID) + `","status":"active","balance":47.50,"currency":"USD","expiry":"2027-03","fraud_score":0.02,` +
			`"fraud_signals":[],"ai_verified":true,"network":"visa_gift","latency_ms":68}`
		check.Equal(t, "result", string(r.AppendJSON(nil)), text)
		check.Equal(t, "events", p.events(developer.Book, "ping.completed", "fraud.high_risk"), []string{"ping.completed " + text})
	})
}

// Every documented number of every sandbox network has its outcome, and every other number the rule's.
func TestSandboxNumbers(t *testing.T) {
	outcomes := map[string]string{
		"0011": "active 47.50 2027-03 2", "0022": "inactive 0.00 2027-03 2", "0033": "expired 0.00 2024-01 2", "0044": "active 250.00 2027-03 89",
		"0055": "unavailable", "0066": "card_invalid", "0088": "invalid 0.00  2", "0099": "invalid 0.00  2", "0100": "active 0.00 2027-03 2",
	}
	p := setup(t, openSQLite(t))
	show := func(network, number, pin string) string {
		r, err := p.Ping(t.Context(), asking(developer, network, number, pin))
		if err != nil {
			return string(fault.CodeOf(err))
		}
		if r.Score.Model == "" {
			return strings.Join([]string{string(r.Status), r.Balance.String(), r.Expiry}, " ")
		}
		return strings.Join([]string{string(r.Status), r.Balance.String(), r.Expiry, strconv.Itoa(r.Score.Hundredths)}, " ")
	}
	for _, n := range sandbox.Networks() {
		for _, c := range sandbox.Cards() {
			if c.Wait > 0 {
				continue // TestSlowNumber
			}
			if got := show(n.ID, n.Number(c), sandbox.PIN); got != outcomes[c.Ending] {
				t.Errorf("%s %s: %q, want %q", n.ID, c.Ending, got, outcomes[c.Ending])
			}
		}
		sample := n.Number(sandbox.Cards()[0])
		check.Equal(t, n.ID+" PIN between spaces", show(n.ID, sample, "\u00a0 "+sandbox.PIN+"\t"), outcomes[sandbox.Cards()[0].Ending])
		check.Equal(t, n.ID+" wrong PIN", show(n.ID, sample, "4321"), "invalid 0.00  2")
		other := sample[:len(sample)-4] + "1234"
		check.Equal(t, n.ID+" other", show(n.ID, other, "7777"), "active 12.34 2030-12")
		check.Equal(t, n.ID+" other, wrong PIN", show(n.ID, other, sandbox.WrongPIN), "invalid 0.00 ")
		check.Equal(t, n.ID+" none", show(n.ID, sample[:len(sample)-4]+"1299", "7777"), "invalid 0.00 ")
	}
	high, err := p.Ping(t.Context(), asking(developer, "visa_gift", "6006491300000044", ""))
	check.OK(t, err)
	var names []string
	for _, s := range high.Score.Signals {
		names = append(names, s.Name)
	}
	check.Equal(t, "signals", names, []string{"velocity_anomaly", "proxy_ip_detected", "sequential_pan_pattern"})
	if risks := p.events(developer.Book, "fraud.high_risk"); len(risks) == 0 || !strings.Contains(risks[0], `"card_id":"card_`) {
		t.Errorf("events of high risk: %q", risks)
	}
}

// A caller who leaves while the slow number takes its time is told so, and nothing is kept.
func TestSlowNumber(t *testing.T) {
	p := setup(t, openSQLite(t))
	ctx, leave := context.WithCancel(t.Context())
	leave()
	_, err := p.Ping(ctx, asking(developer, "visa_gift", "6006491300000077", ""))
	check.Code(t, "left", err, fault.Timeout)
	check.Equal(t, "kept", p.pings(developer.Book), 0)
}

// What cannot be a network's number, PIN or currency is refused before anything is asked.
func TestRulesOfNetworks(t *testing.T) {
	p := setup(t, openSQLite(t))
	for _, c := range []struct {
		about  string
		check  ping.Check
		code   fault.Code
		blames string
	}{
		{"no such network", asking(developer, "acme", "6006491300000011", ""), fault.InvalidRequest, "network"},
		{"a sandbox network in the live realm", asking(desk, "visa_gift", "6006491300000011", ""), fault.InvalidRequest, "network"},
		{"too short", asking(developer, "visa_gift", "600649130000001", ""), fault.CardInvalid, "number"},
		{"letters", asking(developer, "visa_gift", "60064913000000AB", ""), fault.CardInvalid, "number"},
		{"no number", asking(developer, "visa_gift", "", ""), fault.CardInvalid, "number"},
		{"another prefix", asking(developer, "northgate", "XX000000000011", ""), fault.CardInvalid, "number"},
		{"no PIN", asking(developer, "brambleberry", "7001000000000000011", ""), fault.CardInvalid, "pin"},
		{"a PIN of spaces", asking(developer, "brambleberry", "7001000000000000011", " \t"), fault.CardInvalid, "pin"},
		{"a long PIN", asking(developer, "visa_gift", "6006491300000011", strings.Repeat("1", 65)), fault.CardInvalid, "pin"},
		{"scrip's prefix", asking(desk, "scrip", "XX0000000000000000", ""), fault.CardInvalid, "number"},
	} {
		_, err := p.Ping(t.Context(), c.check)
		check.Code(t, c.about, err, c.code)
		check.Equal(t, c.about, fault.From(err).Field, c.blames)
	}
	euro := asking(developer, "visa_gift", "6006491300000011", "")
	euro.Currency = money.EUR
	_, err := p.Ping(t.Context(), euro)
	check.Code(t, "currency", err, fault.InvalidRequest)
	grouped := asking(developer, "visa_gift", "\ufeff 6006\u00a04913-0000\u20110011\t", "")
	_, err = p.Ping(t.Context(), grouped)
	check.Code(t, "grouped", err, "")
	small, err := p.Ping(t.Context(), asking(developer, "northgate", "ng00-0000-0000-11", ""))
	check.Code(t, "small letters", err, "")
	check.Equal(t, "small letters", small.Status, ping.Active)
	check.Equal(t, "kept", p.pings(developer.Book), 2)
}

// The networks of each realm are listed with their rules: live has scrip alone.
func TestNetworks(t *testing.T) {
	p := setup(t, openSQLite(t))
	ids := func(r realm.Realm) (all []string) {
		for _, n := range p.Networks(r) {
			all = append(all, n.ID+" "+string(n.Type)+" "+string(n.State))
		}
		return all
	}
	check.Equal(t, "live", ids(realm.Live), []string{"scrip closed_loop operational"})
	check.Equal(t, "test", ids(realm.Test), []string{"amex_gift open_loop operational", "brambleberry closed_loop operational", "lumen_coffee closed_loop operational",
		"mastercard_gift open_loop operational", "northgate closed_loop operational", "scrip closed_loop operational", "visa_gift open_loop operational"})
	for _, n := range p.Networks(realm.Test) {
		if n.ID == "visa_gift" {
			check.Equal(t, "rules", n.Rules, ping.Rules{Lengths: []int{16}, Currencies: []money.Currency{money.USD}}, alikeRules)
		}
	}
}

// Without a PIN a caller sees the cards of its own book, with the card's key any card of
// its realm. Whatever else is asked has one answer.
func TestWhoSeesWhat(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *storage.DB) {
		p := setup(t, db)
		own, other, tested := p.issue(desk, 5000), p.issue(shop, 2500), p.issue(developer, 1000)
		seen := func(c ping.Caller, number, pin string) string {
			r := p.look(c, number, pin)
			return string(r.Status) + " " + r.Balance.String() + " " + r.Expiry
		}
		const invalid = "invalid 0.00 "
		visitor := desk
		visitor.Credential = "portal_desk"
		for _, c := range []struct {
			about            string
			who              ping.Caller
			number, pin, see string
		}{
			{"own", desk, own.number, "", "active 50.00 2031-11"},
			{"own with its key", desk, own.number, own.key, "active 50.00 2031-11"},
			{"own with another's key", desk, own.number, other.key, invalid},
			{"another's", desk, other.number, "", invalid},
			{"another's with its key", desk, other.number, other.key, "active 25.00 2031-11"},
			{"another's with no key", desk, other.number, "KEY_00000000000000000000000000000000", invalid},
			{"another's with the own key", desk, other.number, own.key, invalid},
			{"nobody's", desk, unknownNumber(1), "", invalid},
			{"nobody's with a key", desk, unknownNumber(1), own.key, invalid},
			{"the other realm's with its key", desk, tested.number, tested.key, invalid},
			{"the other realm's, from there", developer, tested.number, "", "active 10.00 2031-11"},
			{"a visitor's look", visitor, own.number, "", invalid},
			{"a visitor with the key", visitor, own.number, own.key, "active 50.00 2031-11"},
		} {
			check.Equal(t, c.about, seen(c.who, c.number, c.pin), c.see)
		}
	})
}

// Unknown number, wrong PIN, locked card and another's card are one answer in all but its id.
func TestInvalidIsOneAnswer(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *storage.DB) {
		p := setup(t, db)
		card, locked := p.issue(shop, 2500), p.issue(shop, 2500)
		for i := range 5 {
			p.look(desk, locked.number, "KEY_"+strings.Repeat(string(rune('a'+i)), 32))
		}
		unknown := gist(p.look(desk, unknownNumber(7), card.key))
		for about, r := range map[string]ping.Result{"wrong PIN": p.look(desk, card.number, "KEY_wrong"), "no PIN": p.look(desk, card.number, ""),
			"locked, right PIN": p.look(desk, locked.number, locked.key), "locked, wrong PIN": p.look(desk, locked.number, "KEY_wrong")} {
			check.Equal(t, about, gist(r), unknown)
			plain := gist(r)
			check.Equal(t, about+" on the wire", string(plain.AppendJSON(nil)), string(unknown.AppendJSON(nil)))
		}
	})
}

// The state of a card shows as its status.
func TestStatusOfGiftCards(t *testing.T) {
	p := setup(t, openSQLite(t))
	m := giftcard.Merchant{Book: developer.Book, Realm: developer.Realm, Actor: "key/dev"}
	secret := func(c issued) giftcard.Secret {
		number, err := pan.ParseAlnum(c.number)
		check.OK(t, err)
		return giftcard.Secret{Number: number}
	}
	find := func(c issued) *giftcard.Card {
		card, err := p.cards.Find(t.Context(), m, secret(c))
		check.OK(t, err)
		return card
	}
	used, blocked, cancelled, old := p.issue(developer, 100), p.issue(developer, 200), p.issue(developer, 300), p.issue(developer, 400)
	_, err := p.cards.Redeem(t.Context(), m, giftcard.Transfer{Secret: secret(used), Amount: usd(100), Reference: "r1"})
	check.OK(t, err)
	check.OK(t, p.cards.Block(t.Context(), m, find(blocked).ID, "lost"))
	_, err = p.cards.Cancel(t.Context(), m, find(cancelled).ID, "gone")
	check.OK(t, err)
	status := func(c issued) string {
		r := p.look(developer, c.number, "")
		return string(r.Status) + " " + r.Balance.String()
	}
	check.Equal(t, "used", status(used), "active 0.00")
	check.Equal(t, "blocked", status(blocked), "inactive 2.00")
	check.Equal(t, "cancelled", status(cancelled), "inactive 0.00")
	check.OK(t, p.clocks.SetOffset(6*365*24*time.Hour))
	for range 2 { // before the sweep and after it
		check.Equal(t, "old", status(old), "expired 0.00")
		check.Equal(t, "used and old", status(used), "expired 0.00")
		check.Equal(t, "cancelled and old", status(cancelled), "inactive 0.00")
		_, err = p.cards.Expire(t.Context())
		check.OK(t, err)
	}
}

// The network of this installation has virtual cards, too: the callers of a card's own book
// see it as it stands, with or without a PIN, which it has none of. Everybody else gets the
// answer that an unknown number gets, the right CVV included, and the owner is told.
func TestVirtualCards(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *storage.DB) {
		ctx, p := t.Context(), setup(t, db)
		card := p.issueVirtual(shop)
		unknown := gist(p.look(desk, "4916530000000000", ""))
		if unknown.Status != ping.Invalid {
			t.Fatalf("an unknown number is %s", unknown.Status)
		}
		check.Equal(t, "an unknown number beside a card of the caller's own", gist(p.look(shop, "4916530000000000", "")), unknown)
		none, err := p.Probes.Tell(ctx)
		check.OK(t, err)
		check.Equal(t, "owners who are told of an unknown number", none, 0)
		see := func(what string, c ping.Caller, pin string, expected string) {
			t.Helper()
			r := p.look(c, card.number, pin)
			check.Equal(t, what, strings.Join([]string{string(r.Status), r.Balance.String(), r.Expiry}, " "), expected)
		}
		see("before its first funding", shop, "", "inactive 0.00 2029-11")
		wallets := wallet.New(p.cards.Books, p.cards.Outbox, p.clocks)
		_, err = wallets.Load(ctx, wallet.Load{Book: shop.Book, Realm: shop.Realm, Amount: usd(10_000), Reference: "r", Actor: "op/1"})
		check.OK(t, err)
		_, err = p.virtual.Fund(ctx, card.holder, issuing.Transfer{Card: card.id, Amount: usd(6000)})
		check.OK(t, err)
		see("funded", shop, "", "active 60.00 2029-11")
		see("with a PIN", shop, "9999", "active 60.00 2029-11")
		_, err = p.virtual.Freeze(ctx, card.holder, issuing.Step{Card: card.id})
		check.OK(t, err)
		see("frozen", shop, "", "inactive 60.00 2029-11")

		details, err := p.virtual.Details(ctx, card.holder, card.id)
		check.OK(t, err)
		public := shop
		public.Credential = "portal_1"
		for what, c := range map[string]ping.Check{
			"a stranger":                asking(desk, "scrip", card.number, ""),
			"a stranger with the CVV":   asking(desk, "scrip", card.number, details.CVC.Reveal()),
			"a developer":               asking(developer, "scrip", card.number, ""),
			"a page of the card's book": asking(public, "scrip", card.number, ""),
		} {
			r, err := p.Ping(ctx, c)
			check.OK(t, err)
			check.Equal(t, what, gist(r), unknown)
		}
		n, err := p.Probes.Tell(ctx)
		check.OK(t, err)
		check.Equal(t, "cards whose owners are told", n, 1)
		check.Equal(t, "events", len(p.events(shop.Book, "card.probed")), 1)

		for _, number := range []string{"491653000000000A", "49165300000000001", "GC49165300000000", "GC000000000000000A"} {
			_, err := p.Ping(ctx, asking(desk, "scrip", number, ""))
			check.Code(t, number, err, fault.CardInvalid)
		}
	})
}
