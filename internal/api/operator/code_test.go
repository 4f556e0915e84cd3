package operator_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/wallet"
)

// sold is an item whose codes the tests sell.
const sold = "GOOGLE-5USD-KOXx"

// stocked puts the item on sale with codes in as many batches, and money on the wallet.
func (b *bundle) stocked(t *testing.T, batches int) {
	t.Helper()
	_, _, err := b.Catalog.Put(t.Context(), catalog.Product{Code: sold, Name: "Google Play 5 USD", Brand: "Google Play", Face: catalog.NewFace(500, money.USD)}, seeder)
	check(t, err)
	for i := range batches {
		target := fmt.Sprintf("/operator/v1/stock/test/%s/imports?batch=batch-%d&supplier=Acme", sold, i)
		w := b.send(account.RoleAdmin, http.MethodPost, target, "text/csv", fmt.Sprintf("code,pin\nHUSHHUSH-%04d-AAAA,7694269%d\n", i, i))
		if w != 200 {
			t.Fatalf("import: %d", w)
		}
	}
	_, err = b.Wallets.Load(t.Context(), wallet.Load{Book: b.customer.Test, Realm: realm.Test, Amount: money.New(10_000, money.USD), Reference: "bank", Actor: seeder})
	check(t, err)
}

// send sends a body of a media type and returns the status.
func (b *bundle) send(role account.Role, method, target, media, body string) int {
	r, w := b.raw(method, target, []byte(body))
	r.Header.Set("Authorization", "Bearer "+b.keys[role])
	r.Header.Set("Content-Type", media)
	b.handler.ServeHTTP(w, r)
	return w.Code
}

// Lists of items, brands, prices, tiers, batches and orders give each of theirs once, in
// order, whatever the page size.
func TestCodePaging(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		b.stocked(t, 5)
		for i := range 5 {
			_, _, err := b.Catalog.Put(t.Context(), catalog.Product{Code: catalog.ItemCode(fmt.Sprintf("item-%d", i)), Name: "Card", Brand: "Brand",
				Face: catalog.NewFace(500, money.USD)}, seeder)
			check(t, err)
			_, err = b.Catalog.SetBrandImage(t.Context(), fmt.Sprintf("Brand %d", i), cover(t), seeder)
			check(t, err)
			_, err = b.Catalog.PutPrice(t.Context(), catalog.Rule{Tier: fmt.Sprintf("tier-%d", i), Basis: catalog.OfFace, Percent: 9800}, seeder)
			check(t, err)
			customer, err := b.Accounts.CreateCustomer(t.Context(), seeder, account.NewCustomer{Name: "Member"})
			check(t, err)
			check(t, b.Catalog.SetTier(t.Context(), customer.ID, "gold", seeder))
			b.order(t, []string{sold, "1"})
		}
		for list, items := range map[string]int{"/operator/v1/catalog/items": 6, "/operator/v1/catalog/items?q=card&state=active": 5, "/operator/v1/catalog/brands": 5,
			"/operator/v1/catalog/prices": 5, "/operator/v1/catalog/tiers": 5, "/operator/v1/stock/test/" + sold + "/batches": 5,
			"/operator/v1/orders?realm=test": 5, "/operator/v1/orders?realm=test&customer_id=" + string(b.customer.ID): 5} {
			whole := b.walk(t, list, 200)
			if got := strings.Count(whole, "\n"); got != items {
				t.Errorf("%s has %d, want %d", list, got, items)
			}
			for _, size := range []int{1, 2, 3, 5} {
				if got := b.walk(t, list, size); got != whole {
					t.Errorf("%s by %d:\n%s\nwant\n%s", list, size, got, whole)
				}
			}
		}
	})
}

// No call that reads shows a code or its PIN, before or after it was sold, whoever asks.
func TestNoCodeIsShown(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		b.stocked(t, 2)
		b.order(t, []string{sold, "1"})
		batches := b.do(account.RoleAdmin, http.MethodGet, "/operator/v1/stock/test/"+sold+"/batches", "").Body.String()
		_, batch, _ := strings.Cut(batches, `"batch_id":"`)
		batch, _, _ = strings.Cut(batch, `"`)
		known := strings.NewReplacer("{book_id}", string(b.customer.Test), "{customer_id}", string(b.customer.ID), "{item_code}", sold, "{realm}", "test",
			"{order_id}", "1", "{batch_id}", batch)
		answers := 0
		for _, r := range b.surface.Routes() {
			if r.Method != http.MethodGet || r.Public {
				continue
			}
			target := wildcard.ReplaceAllString(known.Replace(r.Path), "nothing") + "?"
			if r.Name == "orders.list" || r.Name == "events.feed" {
				target += "realm=test"
			}
			for _, role := range []account.Role{account.RoleAdmin, account.RoleSupport, account.RoleAuditor} {
				w := b.do(role, http.MethodGet, target, "")
				if w.Code == http.StatusOK {
					answers++
				}
				if text := w.Body.String(); strings.Contains(text, "HUSHHUSH") || strings.Contains(text, "7694269") {
					t.Errorf("%s as %s: %s", r.Name, role, text)
				}
			}
		}
		if answers < 60 {
			t.Errorf("%d answers were looked at", answers)
		}
		if strings.Contains(b.log.String(), "HUSHHUSH") {
			t.Error("a code is in the log")
		}
	})
}
