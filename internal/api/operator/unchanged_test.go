package operator_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"testing"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
)

// A call that leaves everything as it was answers as before, and the audit log tells of none.
func TestUnchangedIsNotAudited(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		b.stocked(t, 0)
		b.spend(t, nil)
		b.suppliers(t)
		page, err := b.Issuing.List(t.Context(), issuing.Filter{Holder: issuing.Holder{Book: b.customer.Test, Realm: realm.Test}, Limit: 1})
		check(t, err)
		const base = "/operator/v1"
		book, customer := base+"/books/"+string(b.customer.Test), base+"/customers/"+string(b.customer.ID)
		card := book + "/cards/" + string(page.Cards[0].ID)
		for _, call := range []struct {
			method, target, body string
			records              int // of the first time
		}{
			{http.MethodPut, customer + "/tier", `{"tier":"gold"}`, 1},
			{http.MethodPut, customer + "/tier", `{"tier":""}`, 1},
			{http.MethodDelete, base + "/catalog/brands/Acme/image", "", 0},
			{http.MethodPut, book + "/signer", `{"public_key":` + publicKey(t) + `}`, 1},
			{http.MethodDelete, book + "/signer", "", 1},
			{http.MethodPut, book + "/alerts/USD", `{"threshold":"10.00"}`, 1},
			{http.MethodDelete, book + "/alerts/USD", "", 1},
			{http.MethodDelete, book + "/alerts/EUR", "", 0},
			{http.MethodPut, base + "/bins/45320012", `{"network":"visa","type":"travel","issuer_country":"DE","currency":"EUR","best_for":["travel"],` +
				`"max_transaction":"100","max_monthly":"1000","acceptance_rate":99}`, 1},
			{http.MethodPut, base + "/spending-tiers/gold", `{"currency":"USD","limits":[{"window":"day","amount":"10"}]}`, 1},
			{http.MethodPut, book + "/decider", `{"url":"` + b.receiver.URL + `","secret":"0123456789abcdef"}`, 1},
			{http.MethodPut, book + "/decider", `{"url":"` + b.receiver.URL + `"}`, 0},
			{http.MethodPut, book + "/decider", `{"url":"` + b.receiver.URL + `","deadline_ms":1500}`, 1},
			{http.MethodPatch, card, `{"label":"Travel","metadata":{"team":"sales","desk":null}}`, 1},
			{http.MethodPatch, card, `{"controls":{"limits":[{"window":"day","amount":"100"}],"countries":["DE"]}}`, 1},
			{http.MethodPut, base + "/stock/test/" + sold + "/suppliers/delia", `{"supplier_item":"D-5","priority":3}`, 1},
			{http.MethodPost, book + "/portals/" + string(b.page(t, "acme").ID) + "/disable", `{"reason":"phishing"}`, 1},
			{http.MethodPost, card + "/freeze", `{"reason":"fraud"}`, 1},
			{http.MethodPost, card + "/unfreeze", `{}`, 1},
		} {
			for time, records := range []int{call.records, 0} {
				before := b.records(t)
				if w := b.do(account.RoleAdmin, call.method, call.target, call.body); w.Code > 299 {
					t.Errorf("%s %s %s: %d %s", call.method, call.target, call.body, w.Code, w.Body)
				}
				if n := b.records(t) - before; n != records {
					t.Errorf("%s %s %s, time %d: %d records, want %d", call.method, call.target, call.body, time+1, n, records)
				}
			}
		}
	})
}

// records counts what is in the audit log.
func (b *bundle) records(t *testing.T) int {
	t.Helper()
	all, err := b.Audit.List(t.Context(), audit.Filter{Everywhere: true, Limit: audit.MaxLimit})
	check(t, err)
	return len(all)
}

// publicKey is a signer's key as JSON has it.
func publicKey(t *testing.T) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	check(t, err)
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	check(t, err)
	text, err := json.Marshal(string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})))
	check(t, err)
	return string(text)
}
