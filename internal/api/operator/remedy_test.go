package operator_test

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/catalog/stock"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/giftcard"
	"github.com/scripcards/scrip/internal/order"
	"github.com/scripcards/scrip/internal/order/claim"
	"github.com/scripcards/scrip/internal/order/report"
	"github.com/scripcards/scrip/internal/order/supply"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/wallet"
)

const google = catalog.ItemCode("GOOGLE-5USD-KOXx")

// sell N STOCK: the customer buys N codes of an item of which STOCK are left.
func (b *bundle) sell(t testing.TB, args []string) {
	t.Helper()
	n, err := strconv.Atoi(args[0])
	check(t, err)
	left, err := strconv.Atoi(args[1])
	check(t, err)
	face := catalog.NewFace(500, money.USD)
	_, _, err = b.Stock.Catalog.Put(t.Context(), catalog.Product{Code: google, Name: "Google Play 5 USD", Brand: "Google Play", Face: face}, seeder)
	check(t, err)
	var file strings.Builder
	file.WriteString("code\n")
	for i := range n + left {
		fmt.Fprintf(&file, "GPLAY-%04d\n", i+1)
	}
	_, err = b.Stock.Import(t.Context(), strings.NewReader(file.String()), stock.Options{Realm: realm.Test, Item: google, Supplier: "house", Batch: "first", Actor: seeder})
	check(t, err)
	_, err = b.Wallets.Load(t.Context(), wallet.Load{Book: b.customer.Test, Realm: realm.Test, Amount: money.New(10_000, money.USD), Reference: "transfer", Actor: seeder})
	check(t, err)
	_, err = b.Orders.Place(t.Context(), b.buyer(), order.Purchase{Item: google, Quantity: n})
	check(t, err)
}

// mint N: a reseller sells N gift cards of the customer's, which are made with the order.
func (b *bundle) mint(t testing.TB, args []string) {
	t.Helper()
	n, err := strconv.Atoi(args[0])
	check(t, err)
	_, _, err = b.Stock.Catalog.Put(t.Context(), catalog.Product{Code: "OWN-5USD", Name: "Own 5 USD", Brand: "Own", Face: catalog.NewFace(500, money.USD), Mint: "aurora"}, seeder)
	check(t, err)
	_, err = b.Supply.Add(t.Context(), supply.Setup{Config: fmt.Appendf(nil, `{"customer":%q}`, b.customer.ID), Actor: seeder,
		Configured: supply.Configured{Realm: realm.Test, ID: "house", Name: "The house", Kind: supply.KindGiftcard, Active: true}})
	check(t, err)
	check(t, b.Supply.PutRoute(t.Context(), supply.Route{Realm: realm.Test, Item: "OWN-5USD", Supplier: "house"}, seeder))
	_, err = b.Wallets.Load(t.Context(), wallet.Load{Book: b.customer.Test, Realm: realm.Test, Amount: money.New(10_000, money.USD), Reference: "transfer", Actor: seeder})
	check(t, err)
	_, err = b.Orders.Place(t.Context(), b.buyer(), order.Purchase{Item: "OWN-5USD", Quantity: n})
	check(t, err)
}

// redeem PLACE CENTS: somebody spends a gift card of the order.
func (b *bundle) redeemSold(t testing.TB, args []string) {
	t.Helper()
	place, err := strconv.Atoi(args[0])
	check(t, err)
	cents, err := strconv.ParseInt(args[1], 10, 64)
	check(t, err)
	found, err := b.Orders.Reveal(t.Context(), b.buyer(), 1)
	check(t, err)
	_, err = b.Cards.Redeem(t.Context(), giftcard.Merchant{Book: b.customer.Test, Realm: realm.Test, Actor: seeder},
		giftcard.Transfer{Secret: giftcard.Secret{Key: found.Codes[place-1].PIN}, Amount: money.New(cents, money.USD), Reference: "R-1"})
	check(t, err)
}

func (b *bundle) buyer() order.Buyer {
	return order.Buyer{Customer: b.customer.ID, Book: b.customer.Test, Realm: realm.Test, Credential: "key_desk"}
}

// claim PLACE…: the customer claims codes of the order.
func (b *bundle) claim(t testing.TB, args []string) {
	t.Helper()
	r := claim.Report{Order: 1, Reason: claim.Used, Note: "the shop says so"}
	for _, text := range args {
		place, err := strconv.Atoi(text)
		check(t, err)
		r.Places = append(r.Places, place)
	}
	_, err := b.Claims.Create(t.Context(), b.buyer(), r)
	check(t, err)
}

// report DAY: the test realm's report of a day is made.
func (b *bundle) report(t testing.TB, args []string) {
	t.Helper()
	_, err := b.Reports.Make(t.Context(), realm.Test, report.Day(args[0]))
	check(t, err)
}

// remedies are the repeatable decisions about codes of an order, each with a claim of its own.
func (b *bundle) remedies(t *testing.T) map[string]repeatable {
	t.Helper()
	b.sell(t, []string{"3", "3"})
	all := map[string]repeatable{}
	for i, verb := range []string{"replace", "refund", "reject"} {
		made, err := b.Claims.Create(t.Context(), b.buyer(), claim.Report{Order: 1, Places: []int{i + 1}, Reason: claim.Used})
		check(t, err)
		all["claims."+verb] = repeatable{target: "/operator/v1/books/" + string(b.customer.Test) + "/claims/" + string(made.ID) + "/" + verb,
			body: `{"reason":"checked with the shop"}`, again: true}
	}
	return all
}

// Of decisions that operators send at once, under keys of their own and the same one, one
// takes effect: the wallet is paid back once, and every repetition gets the same bytes.
func TestDecisionsAtOnce(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		b.sell(t, []string{"2", "2"})
		b.claim(t, []string{"1"})
		var claims struct {
			Data []struct {
				ClaimID string `json:"claim_id"`
			}
		}
		check(t, json.Unmarshal(b.do(account.RoleAuditor, "GET", "/operator/v1/claims?realm=test", "").Body.Bytes(), &claims))
		path := "/operator/v1/books/" + string(b.customer.Test) + "/claims/" + claims.Data[0].ClaimID
		var mu sync.Mutex
		answers := map[string]int{}
		var all sync.WaitGroup
		for i := range 12 {
			verb, key := []string{"refund", "replace", "reject"}[i%3], "same"+strconv.Itoa(i%3)
			all.Go(func() {
				answer := b.repeat(b.handler, key, repeatable{target: path + "/" + verb, body: `{"reason":"checked"}`})
				mu.Lock()
				defer mu.Unlock()
				if strings.HasPrefix(answer, "200 ") {
					answers[answer]++
				} else if !strings.HasPrefix(answer, "409 ") {
					t.Errorf("%s: %s", verb, answer)
				}
			})
		}
		all.Wait()
		if len(answers) != 1 {
			t.Errorf("%d different decisions were made: %v", len(answers), answers)
		}
		found, err := b.Claims.OfOrder(t.Context(), b.customer.Test, 1)
		check(t, err)
		balance, err := b.Wallets.Balance(t.Context(), b.customer.Test, money.USD)
		check(t, err)
		want := int64(9000)
		if found[0].Lines[0].Verdict == claim.Refund {
			want += 500
		}
		if found[0].State == claim.Open || balance.Minor != want {
			t.Errorf("%+v, and the wallet has %s", found[0], balance)
		}
	})
}
