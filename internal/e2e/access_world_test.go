package e2e

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/core/pan"
)

// gate is an installation with three customers, of whom the first has one of everything.
type gate struct {
	t                 *testing.T
	base              string
	client            *http.Transport
	calls             int
	operators         map[string]string // keys: of a role, or of what is wrong with them
	alpha, beta, gone owner
	documents         map[string][]documented
}

// owner is a customer with credentials by realm, by scope, or by what is wrong with them.
type owner struct {
	books, keys, seeds map[string]string
	things             things
}

func openGate(t *testing.T, at *installation) *gate {
	t.Helper()
	server := at.start(t, "--demo", "--trusted-proxies", "127.0.0.1", "--allow-private-webhooks", "--dns-server", "127.0.0.1:9")
	g := &gate{t: t, base: server.base, client: &http.Transport{}, operators: map[string]string{}, documents: map[string][]documented{}}
	t.Cleanup(g.client.CloseIdleConnections)
	g.staff()
	g.alpha, g.beta, g.gone = g.customer("alpha"), g.customer("beta"), g.customer("gone")
	g.equip(&g.alpha)
	for _, scope := range account.AllScopes()[1:] {
		var key secretOf
		g.operate("/books/"+g.beta.books["test"]+"/keys", `{"name":"one","scopes":["`+scope.String()+`"]}`, &key)
		g.beta.keys[scope.String()] = key.Secret
	}
	g.operate("/customers/"+g.gone.things["customer_id"]+"/suspend", `{"reason":"gone"}`, nil)
	g.until("the end of keys", func() bool {
		e := exchanged{method: http.MethodGet, path: "/operator/v1/me", headers: map[string]string{"Authorization": "Bearer " + g.operators["expired"]}}
		key := exchanged{method: http.MethodGet, path: "/v1/networks", headers: map[string]string{"X-API-Key": g.alpha.keys["expired"]}}
		return g.dial(e).status == http.StatusUnauthorized && g.dial(key).status == http.StatusUnauthorized
	})
	return g
}

// likes are like things, and nobody has them.
func (g *gate) likes(about things) things {
	nothing := things{}
	for name, value := range about {
		nothing[name] = nobodys(value)
		if shared[name] {
			nothing[name] = value
		}
	}
	return nothing
}

var (
	cardForm   = regexp.MustCompile(`^GC\d{16}$`)
	numberForm = regexp.MustCompile(`^\d+$`)
)

// nobodys changes the end of an id, so that it keeps its form.
func nobodys(value string) string {
	switch {
	case cardForm.MatchString(value):
		for n := range 10 {
			other := fmt.Sprintf("%s%c%d", value[:16], '0'+(value[16]-'0'+1)%10, n)
			if pan.Luhn(other[2:]) {
				return other
			}
		}
	case numberForm.MatchString(value):
		return "1" + strings.Repeat("0", 5) + value
	}
	last := value[len(value)-1]
	if last == '0' {
		return value[:len(value)-1] + "1"
	}
	return value[:len(value)-1] + "0"
}

func (g *gate) must(e exchanged, out any) {
	g.t.Helper()
	got := g.dial(e)
	if got.status >= 300 {
		g.t.Fatalf("%s %s %s: %d %s", e.method, e.path, e.body, got.status, got.body)
	}
	decode(g.t, []byte(got.body), out)
}

// operate makes a call as an administrator.
func (g *gate) operate(path, body string, out any) {
	g.t.Helper()
	method := http.MethodPost
	if body == "" {
		method = http.MethodGet
	}
	g.must(exchanged{method: method, path: "/operator/v1" + path, body: body, headers: map[string]string{"Authorization": "Bearer op_demo"}}, out)
}

type secretOf struct {
	Secret, Seed string
	KeyID        string `json:"key_id"`
	SeedID       string `json:"seed_id"`
}

// staff hires operators of every role, and makes keys that work no more.
func (g *gate) staff() {
	hire := func(role, body string) (string, secretOf) {
		var made struct {
			OperatorID string `json:"operator_id"`
		}
		g.operate("/operators", `{"name":"`+role+`","role":"`+strings.Fields(role)[0]+`"}`, &made)
		var key secretOf
		g.operate("/operators/"+made.OperatorID+"/keys", body, &key)
		return made.OperatorID, key
	}
	for _, role := range []string{"admin", "support", "auditor"} {
		_, key := hire(role, `{"name":"desk"}`)
		g.operators[role] = key.Secret
	}
	_, key := hire("admin expired", g.soon(`"name":"desk"`))
	g.operators["expired"] = key.Secret
	who, key := hire("admin revoked", `{"name":"desk"}`)
	g.operators["revoked"] = key.Secret
	g.operate("/operators/"+who+"/keys/"+key.KeyID+"/revoke", `{}`, nil)
	who, key = hire("admin disabled", `{"name":"desk"}`)
	g.operators["disabled"] = key.Secret
	g.operate("/operators/"+who+"/disable", `{}`, nil)
}

// soon is a body of a key that ends in a moment, though not before it has reached a server that
// has a lot to do.
func (g *gate) soon(members string) string {
	return `{` + members + `,"expires_at":"` + time.Now().Add(10*time.Second).UTC().Format("2006-01-02T15:04:05.000Z") + `"}`
}

// customer makes a customer with credentials of all kinds.
func (g *gate) customer(name string) owner {
	o := owner{books: map[string]string{}, keys: map[string]string{}, seeds: map[string]string{}, things: things{}}
	var made struct {
		CustomerID string `json:"customer_id"`
		LiveBook   string `json:"live_book_id"`
		TestBook   string `json:"test_book_id"`
	}
	g.operate("/customers", `{"name":"`+name+`","email":"`+name+`@shop.example"}`, &made)
	o.books["live"], o.books["test"] = made.LiveBook, made.TestBook
	o.things["customer_id"], o.things["book_id"] = made.CustomerID, made.TestBook
	for _, realm := range []string{"live", "test"} {
		at := "/books/" + o.books[realm]
		var key, seed secretOf
		g.operate(at+"/keys", `{"name":"all","scopes":["*"]}`, &key)
		g.operate(at+"/seeds", `{"name":"all"}`, &seed)
		o.keys[realm], o.seeds[realm] = key.Secret, seed.Seed
		if realm == "test" {
			o.things["key_id"], o.things["seed_id"] = key.KeyID, seed.SeedID
		}
		g.operate("/customers/"+made.CustomerID+"/wallet/loads", `{"realm":"`+realm+`","amount":"500.00","currency":"USD","reference":"bank-1"}`, nil)
	}
	g.worn(o)
	return o
}

// worn makes credentials of the test realm that work no more, or not everywhere.
func (g *gate) worn(o owner) {
	at := "/books/" + o.books["test"]
	key := func(name, body string) secretOf {
		var made secretOf
		g.operate(at+"/keys", body, &made)
		o.keys[name] = made.Secret
		return made
	}
	const all = `"name":"worn","scopes":["*"]`
	key("expired", g.soon(all))
	key("elsewhere", `{`+all+`,"networks":["198.51.100.0/24"]}`)
	g.operate(at+"/keys/"+key("revoked", `{`+all+`}`).KeyID+"/revoke", `{}`, nil)
	g.operate(at+"/keys/"+key("rotated", `{`+all+`}`).KeyID+"/rotate", `{"grace":"0s"}`, nil)
	for _, end := range []string{"revoke", "rotate"} {
		var seed secretOf
		g.operate(at+"/seeds", `{"name":"worn"}`, &seed)
		o.seeds[end+"d"] = seed.Seed
		g.operate(at+"/seeds/"+seed.SeedID+"/"+end, map[string]string{"revoke": `{}`, "rotate": `{"grace":"0s"}`}[end], nil)
	}
}

// equip gives a customer one of everything, in the test realm.
func (g *gate) equip(o *owner) {
	have := o.things
	maps.Copy(have, things{"network": "scrip", "currency": "USD", "account_id": "wallet/USD", "evidence/number": "1"})
	g.sells(o)
	g.holds(o)
	g.watches(o)
}

// sells makes gift cards and orders of codes.
func (g *gate) sells(o *owner) {
	have := o.things
	call := func(path, body string, out any) {
		g.must(exchanged{method: http.MethodPost, path: "/v1" + path, body: body, headers: map[string]string{"X-API-Key": o.keys["test"]}}, &struct{ Data any }{out})
	}
	var card made
	call("/pay/giftcard/create", `{"title":"Gift","templateId":"template_001","currency":"USD","amount":"100","merchantTradeNo":"create-alpha"}`, &card)
	have["cardNumber"], have["key"] = card.CardNumber, card.Key
	var moved movement
	call("/pay/giftcard/redeem", `{"cardNumber":"`+card.CardNumber+`","amount":"5","currency":"USD","merchantTradeNo":"redeem-alpha"}`, &moved)
	have["originalMerchantTradeNo"], have["transactions/transaction_id"] = moved.MerchantTradeNo, moved.TransactionID
	call("/pay/giftcard/hold", `{"cardNumber":"`+card.CardNumber+`","amount":"5","currency":"USD","merchantTradeNo":"hold-alpha"}`, &moved)
	have["holdId"], have["holds/hold_id"] = moved.HoldID, moved.HoldID
	var found struct {
		CardID string `json:"card_id"`
	}
	g.operate("/giftcards/find", `{"number":"`+card.CardNumber+`"}`, &found)
	have["giftcards/card_id"] = found.CardID

	var bought struct {
		OrderID int `json:"order_id"`
	}
	for range 9 { // orders are counted in each book: others have not as many
		call("/orders", `{"item_code":"GOOGLE-5USD-KOXx","quantity":1}`, &bought)
	}
	have["orders/id"], have["orders/order_id"] = fmt.Sprint(bought.OrderID), fmt.Sprint(bought.OrderID)
	var claimed struct {
		ID string `json:"claim_id"`
	}
	call("/orders/"+have["orders/id"]+"/claims", `{"codes":[1],"reason":"invalid"}`, &claimed)
	have["claim_id"] = claimed.ID
}

// holds makes virtual cards, and all that comes of them.
func (g *gate) holds(o *owner) {
	have := o.things
	call := func(path, body string, out any) {
		g.must(exchanged{method: http.MethodPost, path: "/v1/api" + path, body: body, headers: map[string]string{"X-Seed": o.seeds["test"]}}, out)
	}
	type thing struct{ ID string }
	var card, dispute, challenge thing
	call("/simulate/deposit", `{"currency":"eth","amount_crypto":"1","confirmations":12}`, nil)
	call("/cards", `{"bin_id":"491653","amount":50}`, &card)
	var paid struct{ Transaction thing }
	call("/simulate/authorization", `{"card_id":"`+card.ID+`","amount":2,"merchant":{"name":"SHOP"}}`, &paid)
	call("/simulate/settlement", `{"transaction_id":"`+paid.Transaction.ID+`"}`, nil)
	call("/disputes", `{"transaction_id":"`+paid.Transaction.ID+`","reason":"fraud","evidence":"not mine"}`, &dispute)
	call("/simulate/3ds", `{"card_id":"`+card.ID+`","merchant":"SHOP","amount":1}`, &challenge)
	have["card_id"], have["txn_id"], have["transaction_id"], have["dispute_id"], have["challenge_id"] = card.ID, paid.Transaction.ID, paid.Transaction.ID, dispute.ID, challenge.ID
	have["month"] = thisMonth() // the card was there

	book := "/books/" + o.books["test"]
	var person struct {
		ID string `json:"cardholder_id"`
	}
	g.operate(book+"/cardholders", `{"name":"Alpha Holder","address":{"line1":"1 Main St","city":"Town","state":"DE","zip":"19801","country":"US"}}`, &person)
	have["cardholder_id"] = person.ID
	g.operate(book+"/merchants", `{"name":"shop","client_id":"alpha-shop"}`, nil)
	have["client_id"] = "alpha-shop"
}

func thisMonth() string { return time.Now().UTC().Format("2006-01") }

// watches makes webhooks and portals, and checks a balance.
func (g *gate) watches(o *owner) {
	have := o.things
	call := func(path, body string, out any) {
		g.must(exchanged{method: http.MethodPost, path: "/v1" + path, body: body, headers: map[string]string{"X-API-Key": o.keys["test"]}}, out)
	}
	type thing struct{ ID string }
	var hook, page, check thing
	hears := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	g.t.Cleanup(hears.Close)
	call("/webhooks", `{"url":"`+hears.URL+`","events":["ping.completed"]}`, &hook)
	call("/portals", `{"name":"Alpha","slug":"alpha-gifts","networks":["visa_gift"]}`, &page)
	call("/cards/ping", `{"card_number":"6006-4913-0000-0011","pin":"1234","network":"visa_gift"}`, &check)
	have["webhooks/id"], have["webhook_id"], have["portals/id"], have["portal_id"], have["check_id"] = hook.ID, hook.ID, page.ID, page.ID, check.ID
	var events struct {
		Data []struct {
			ID   string `json:"event_id"`
			Type string
		}
	}
	g.operate("/books/"+o.books["test"]+"/events", "", &events)
	for _, event := range events.Data {
		if event.Type == "ping.completed" {
			have["event_id"] = event.ID
		}
	}
}
