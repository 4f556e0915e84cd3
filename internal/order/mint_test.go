package order_test

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/png"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/catalog/stock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/giftcard"
	"github.com/scripcards/scrip/internal/order"
	"github.com/scripcards/scrip/internal/order/supply"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/testkit/shop"
)

const minted = catalog.ItemCode("OWN-25USD")

// mint sets up an item whose codes are gift cards of a customer, who is returned.
func (b *bundle) mint(cost catalog.Cost) giftcard.Merchant {
	b.t.Helper()
	var picture bytes.Buffer
	check.OK(b.t, png.Encode(&picture, image.NewRGBA(image.Rect(0, 0, 20, 16))))
	_, err := b.Cards.AddTemplate(b.t.Context(), giftcard.NewTemplate{ID: "template_001", Name: "Aurora", Image: picture.Bytes(), Actor: seeder})
	check.OK(b.t, err)
	issuer := b.buyer("Issuer", 0)
	face := catalog.NewFace(2500, money.USD)
	_, _, err = b.Catalog.Put(b.t.Context(), catalog.Product{Code: minted, Name: "Own 25 USD", Brand: "Own", Face: face, Mint: "template_001", Cost: cost}, seeder)
	check.OK(b.t, err)
	_, err = b.Catalog.PutPrice(b.t.Context(), catalog.Rule{Item: minted, Basis: catalog.OfFace, Percent: 9800}, seeder)
	check.OK(b.t, err)
	_, err = b.Supply.Add(b.t.Context(), supply.Setup{Config: fmt.Appendf(nil, `{"customer":%q}`, issuer.Customer), Actor: seeder,
		Configured: supply.Configured{Realm: realm.Test, ID: "house", Name: "The house", Kind: supply.KindGiftcard, Active: true}})
	check.OK(b.t, err)
	check.OK(b.t, b.Supply.PutRoute(b.t.Context(), supply.Route{Realm: realm.Test, Item: minted, Supplier: "house"}, seeder))
	return giftcard.Merchant{Book: issuer.Book, Realm: realm.Test, Actor: "key_issuer"}
}

func (b *bundle) buyMinted(buyer order.Buyer, n int) (order.Placed, error) {
	return b.Place(b.t.Context(), buyer, order.Purchase{Item: minted, Quantity: n})
}

// Gift cards are made as they are sold, in the transaction that pays for them: their buyer
// has the number and the key, their issuer redeems them, and what they cost is owed.
func TestMinted(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		issuer := b.mint(catalog.NewCost(2400, money.USD))
		buyer := b.buyer("Acme", 10_000)
		if _, err := b.Check(t.Context(), buyer, order.Wanted{Item: minted, Quantity: 100}); err != nil {
			t.Errorf("check: %v", err)
		}
		placed, err := b.buyMinted(buyer, 3)
		check.OK(b.t, err)
		if len(placed.Codes) != 3 || placed.Status != order.Completed || placed.Hold != "" {
			t.Fatalf("%+v", placed.Order)
		}
		found, err := b.Reveal(t.Context(), buyer, placed.Number)
		check.OK(b.t, err)
		if diff := cmp.Diff(texts(placed.Codes), texts(found.Codes)); diff != "" {
			t.Error(diff)
		}
		number, err := pan.ParseAlnum(found.Codes[1].Text.Reveal())
		check.OK(b.t, err)
		card, err := b.Cards.Find(t.Context(), issuer, giftcard.Secret{Number: number})
		check.OK(b.t, err)
		if card.Balance != money.New(2500, money.USD) || card.Title != "Own 25 USD" {
			t.Errorf("the card is %+v", card)
		}
		spent, err := b.Cards.Redeem(t.Context(), issuer, giftcard.Transfer{Secret: giftcard.Secret{Key: found.Codes[1].PIN}, Amount: money.New(2500, money.USD), Reference: "sale"})
		if err != nil || spent.Card.ID != card.ID {
			t.Errorf("redeemed by its key: %v", err)
		}
		if diff := cmp.Diff([]string{
			"order.purchase wallet/USD>order.payable/house/USD 72.00 held 0",
			"order.purchase wallet/USD>order.revenue/USD 1.50 held 0",
		}, b.moves(buyer, placed.Number)); diff != "" {
			t.Error(diff)
		}
		b.sound(funds{buyer: 10_000})
	})
}

// Of gift cards that are not paid for, none is made; and none is sold below its cost, or
// with a template that is not active.
func TestMintedOrNothing(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		issuer := b.mint(catalog.Cost{})
		poor, rich := b.buyer("Poor", 2449), b.buyer("Rich", 100_000)
		if _, err := b.buyMinted(poor, 1); fault.CodeOf(err) != fault.InsufficientFunds || fault.From(err).Details["required"] != "24.50" {
			t.Errorf("a cent short: %v", err)
		}
		undone := errors.New("undone")
		_, err := b.Place(t.Context(), rich, order.Purchase{Item: minted, Quantity: 1, Also: func(*order.Placed) ([]storage.Effect, error) { return nil, undone }})
		if !errors.Is(err, undone) {
			t.Errorf("undone: %v", err)
		}
		cards, err := b.Cards.List(t.Context(), issuer.Book, "", 10)
		if err != nil || len(cards) != 0 {
			t.Errorf("%d cards, %v", len(cards), err)
		}
		listed := func(what string, want bool) {
			t.Helper()
			shelf, err := b.Browse(t.Context(), rich, catalog.Filter{Item: minted})
			check.OK(b.t, err)
			if got := shelf.Listings[0].InStock; got != want {
				t.Errorf("%s: in stock is %t", what, got)
			}
		}
		listed("that can be made", true)
		p, err := b.Catalog.Find(t.Context(), minted)
		check.OK(b.t, err)
		p.Cost = catalog.NewCost(2451, money.USD)
		_, _, err = b.Catalog.Put(t.Context(), p, seeder)
		check.OK(b.t, err)
		if _, err := b.buyMinted(rich, 1); fault.CodeOf(err) != fault.OutOfStock {
			t.Errorf("below cost: %v", err)
		}
		listed("below cost", false)
		p.Cost = catalog.Cost{}
		_, _, err = b.Catalog.Put(t.Context(), p, seeder)
		check.OK(b.t, err)
		inactive := false
		_, err = b.Cards.ChangeTemplate(t.Context(), "template_001", giftcard.TemplateChange{Active: &inactive, Actor: seeder})
		check.OK(b.t, err)
		if _, err := b.Check(t.Context(), rich, order.Wanted{Item: minted, Quantity: 1}); fault.CodeOf(err) != fault.OutOfStock {
			t.Errorf("check without a template: %v", err)
		}
		listed("without a template", false)
		b.sound(funds{poor: 2449, rich: 100_000})
	})
}

// Buyers in two processes who have gift cards made by one issuer at once each get their own.
func TestMintedAtOnce(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		issuer := b.mint(catalog.Cost{})
		processes, began := []*bundle{b, b.another()}, funds{}
		var group sync.WaitGroup
		for i := range 16 {
			buyer := b.buyer(fmt.Sprintf("Buyer%d", i), 10_000)
			began[buyer] = 10_000
			group.Go(func() {
				if _, err := processes[i%2].buyMinted(buyer, 2); err != nil {
					t.Errorf("buyer %d: %v", i, err)
				}
			})
		}
		group.Wait()
		cards, err := b.Cards.List(t.Context(), issuer.Book, "", 100)
		if err != nil || len(cards) != 32 {
			t.Errorf("%d cards, %v", len(cards), err)
		}
		b.sound(began)
	})
}

// What a supplier does not deliver of an order is made here.
func TestMintsTheRest(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		b.mint(catalog.NewCost(2400, money.USD))
		acme := b.upstream("acme", 2300, 1)
		acme.AtMost(1)
		check.OK(b.t, b.Supply.PutRoute(t.Context(), supply.Route{Realm: realm.Test, Item: minted, Supplier: "acme", Priority: 1}, seeder))
		check.OK(b.t, b.Supply.PutRoute(t.Context(), supply.Route{Realm: realm.Test, Item: minted, Supplier: "house", Priority: 2}, seeder))
		buyer := b.buyer("Acme", 10_000)
		placed, err := b.buyMinted(buyer, 3)
		check.OK(b.t, err)
		if placed.Status != order.Completed || acme.Sold() != 1 {
			t.Errorf("%s, %d sold", placed.Status, acme.Sold())
		}
		if diff := cmp.Diff([]string{
			"order.hold wallet/USD>order.clearing/USD 0.00 held 7350",
			"order.capture wallet/USD>order.clearing/USD 73.50 held -7350",
			"order.capture order.clearing/USD>order.payable/acme/USD 23.00 held 0",
			"order.capture order.clearing/USD>order.payable/house/USD 48.00 held 0",
			"order.capture order.clearing/USD>order.revenue/USD 2.50 held 0",
		}, b.moves(buyer, placed.Number)); diff != "" {
			t.Error(diff)
		}
		b.sound(funds{buyer: 10_000})
	})
}

// Items with a range of denominations are delivered in the one that the buyer chose, by
// suppliers and by gift cards that are made, and never from stock; what is left over of such
// an order is not sold to anybody else.
func TestRanges(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		issuer := b.mint(catalog.NewCost(2400, money.USD))
		p, err := b.Catalog.Find(t.Context(), minted)
		check.OK(b.t, err)
		p.FaceMax = catalog.NewFace(9900, money.USD)
		_, _, err = b.Catalog.Put(t.Context(), p, seeder)
		check.OK(b.t, err)
		buyer := b.buyer("Acme", 100_000)
		buy := func(n int) (order.Placed, error) {
			return b.Place(t.Context(), buyer, order.Purchase{Item: minted, Quantity: n, Value: value("32.5")})
		}
		placed, err := buy(1)
		check.OK(b.t, err)
		number, err := pan.ParseAlnum(placed.Codes[0].Text.Reveal())
		check.OK(b.t, err)
		card, err := b.Cards.Find(t.Context(), issuer, giftcard.Secret{Number: number})
		if err != nil || card.Balance != money.New(3250, money.USD) || placed.Amount != catalog.NewCharged(3185, money.USD) {
			t.Errorf("%+v for %s, %v", card, placed.Amount, err)
		}
		acme := b.upstream("acme", 2300, 1)
		acme.OnSubmit = func(c shop.Call) (supply.Answer, error) {
			if c.Denomination != "32.5" {
				t.Errorf("the denomination is %q", c.Denomination)
			}
			return c.Do(), nil
		}
		check.OK(b.t, b.Supply.RemoveRoute(t.Context(), supply.Route{Realm: realm.Test, Item: minted, Supplier: "house"}, seeder))
		if _, err := buy(1); fault.CodeOf(err) != fault.OutOfStock || fault.From(err).Details["reason"] != order.NoSupply {
			t.Errorf("from nobody: %v", err)
		}
		check.OK(b.t, b.Supply.PutRoute(t.Context(), supply.Route{Realm: realm.Test, Item: minted, Supplier: "acme"}, seeder))
		if placed, err = buy(2); err != nil || placed.Status != order.Completed || placed.TotalFace != catalog.NewFace(6500, money.USD) {
			t.Errorf("%+v, %v", placed.Order, err)
		}
		// What it does not sell in one denomination it may in all the others.
		acme.OnQuote = func(supply.Wanted) (supply.Quote, error) { return supply.Quote{Unfit: true}, nil }
		if _, err := buy(1); fault.CodeOf(err) != fault.OutOfStock {
			t.Errorf("in a denomination that it does not have: %v", err)
		}
		inStock := func() bool {
			shelf, err := b.Browse(t.Context(), buyer, catalog.Filter{Item: minted})
			check.OK(t, err)
			return shelf.Listings[0].InStock
		}
		ask := func(denomination string) error {
			_, err := b.Check(t.Context(), buyer, order.Wanted{Item: minted, Quantity: 1, Value: value(denomination)})
			return err
		}
		if !inStock() {
			t.Error("what it lacks of one denomination takes all of them off the shelf")
		}
		if err := ask("25"); fault.CodeOf(err) != fault.OutOfStock || !inStock() {
			t.Errorf("what it lacks of the least denomination takes all of them off the shelf: %v", err)
		}
		const told = "supplier does not sell the item like that"
		before := strings.Count(b.log.String(), told)
		if err := ask("25"); fault.CodeOf(err) != fault.OutOfStock || before != 2 || strings.Count(b.log.String(), told) != before {
			t.Errorf("the operator was told %d times before a second buyer asked for the same: %v", before, err)
		}
		// That it has none it says of all.
		acme.OnQuote = func(supply.Wanted) (supply.Quote, error) { return supply.Quote{}, nil }
		if err := ask("32.5"); fault.CodeOf(err) != fault.OutOfStock || inStock() {
			t.Errorf("what it has none of stays on the shelf: %v", err)
		}
		acme.OnQuote = nil
		if err := ask("30"); err != nil || !inStock() {
			t.Errorf("what it has again is not on the shelf: %v", err)
		}
		acme.AtMost(1)
		if _, err := buy(2); fault.CodeOf(err) != fault.OutOfStock {
			t.Errorf("a part: %v", err)
		}
		if n, err := b.Stock.Count(t.Context(), realm.Test, minted); err != nil || n != 0 {
			t.Errorf("%d codes are on sale, %v", n, err)
		}
		b.sound(funds{buyer: 100_000})
	})
}

// What was bought before its item got another value is delivered in the one that was bought,
// by whoever was asked then and by gift cards that are made, or not at all; what is left over
// of it is not sold as what the item is now.
func TestValueChanged(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		issuer := b.mint(catalog.Cost{})
		acme, other := b.upstream("acme", 450, 1), b.upstream("other", 460, 2)
		for supplier, priority := range map[string]int{"acme": 1, "house": 2} {
			check.OK(b.t, b.Supply.PutRoute(t.Context(), supply.Route{Realm: realm.Test, Item: minted, Supplier: supplier, Priority: priority}, seeder))
		}
		acme.OnSubmit = func(shop.Call) (supply.Answer, error) { return supply.Answer{State: supply.Working}, nil }
		acme.OnQuery = func(c shop.Call) (supply.Answer, error) { return c.Do(), nil }
		acme.AtMost(1)
		buyer := b.buyer("Acme", 100_000)
		_, err := b.buy(buyer, 2)
		check.OK(b.t, err)
		_, err = b.buyMinted(buyer, 2)
		check.OK(b.t, err)
		for _, code := range []catalog.ItemCode{item, minted} {
			p, err := b.Catalog.Find(t.Context(), code)
			check.OK(b.t, err)
			p.Face, p.FaceMax = catalog.NewFace(1000, money.USD), catalog.NewFace(1000, money.USD)
			_, _, err = b.Catalog.Put(t.Context(), p, seeder)
			check.OK(b.t, err)
		}
		b.fill("TEN", 3)
		b.later()
		if got := b.status(buyer, 1); got != order.Failed || len(other.Submitted()) != 0 {
			t.Errorf("of the other value: %s, and %d were asked of the other supplier", got, len(other.Submitted()))
		}
		if n, err := b.Stock.Count(t.Context(), realm.Test, item); err != nil || n != 3 {
			t.Errorf("%d codes are on sale, %v", n, err)
		}
		if _, err := b.Stock.Release(t.Context(), stock.BatchName{Realm: realm.Test, Item: item, Name: "supplier acme"}, seeder); fault.CodeOf(err) != fault.NotFound {
			t.Errorf("what is left over of the old value is among what is for sale: %v", err)
		}
		found, err := b.Reveal(t.Context(), buyer, 2)
		check.OK(b.t, err)
		if found.Status != order.Completed || len(found.Codes) != 2 {
			t.Fatalf("%+v", found.Order)
		}
		cards, err := b.Cards.List(t.Context(), issuer.Book, "", 10)
		if err != nil || len(cards) != 1 || cards[0].Amount != money.New(2500, money.USD) {
			t.Errorf("made were %+v, %v", cards, err)
		}
		b.sound(funds{buyer: 100_000})
	})
}
