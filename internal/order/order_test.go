package order_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/catalog/stock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/order"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/wallet"
	"github.com/scripcards/scrip/internal/webhook"
)

// Every pair of statuses is either in the transition table or a fault that changes nothing, and what is over stays so.
func TestTransitions(t *testing.T) {
	legal := map[[2]order.Status]bool{
		{order.Pending, order.Processing}: true, {order.Pending, order.Completed}: true, {order.Pending, order.Failed}: true,
		{order.Pending, order.Cancelled}: true, {order.Processing, order.Completed}: true, {order.Processing, order.Failed}: true,
		{order.Processing, order.Cancelled}: true,
		{order.Completed, order.Refunded}:   true,
	}
	for _, from := range order.Statuses() {
		for _, to := range order.Statuses() {
			want := from
			if legal[[2]order.Status{from, to}] {
				want = to
			}
			if got, err := from.Become(to); got != want || (err == nil) != legal[[2]order.Status{from, to}] {
				t.Errorf("%s to %s: %s, %v", from, to, got, err)
			}
		}
	}
	for from, to := range map[order.Status]order.Status{"": order.Pending, order.Pending: "lost"} {
		if got, err := from.Become(to); err == nil {
			t.Errorf("%q became %q", from, got)
		}
	}
}

// The table of orders takes exactly the statuses of the list.
func TestStatusesAreStored(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		b.fill("GPLAY", 1)
		placed, err := b.Place(t.Context(), b.buyer("Acme", 500), order.Purchase{Item: item, Quantity: 1})
		check.OK(b.t, err)
		for _, status := range append(order.Statuses(), "lost") {
			err := b.db.Write(t.Context(), func(ctx context.Context, tx *storage.Tx) error {
				_, err := tx.Exec(ctx, setStatus, string(placed.Book), int64(placed.Number), string(status))
				return err
			})
			if (err == nil) != (status != "lost") {
				t.Errorf("%s: %v", status, err)
			}
		}
	})
}

var setStatus = storage.SQL("order_test.set_status", `UPDATE orders SET status = $3 WHERE book_id = $1 AND order_id = $2`)

// An order takes its price from the wallet and its codes from the stock, tells of itself
// without a code, and is found again with its codes by its own book alone.
func TestPlace(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		b.fill("GPLAY", 5)
		acme, rival := b.buyer("Acme", 10050), b.buyer("Rival", 10050)
		placed, err := b.Place(t.Context(), acme, order.Purchase{Item: item, Quantity: 3, Email: "buyer@shop.example"})
		check.OK(b.t, err)
		if diff := cmp.Diff([]string{"GPLAY-0001", "GPLAY-0002", "GPLAY-0003"}, texts(placed.Codes)); diff != "" {
			t.Error(diff)
		}
		if placed.Name() != "ORD-2026-001" || placed.Number != 1 || placed.Amount != catalog.NewCharged(1470, money.USD) ||
			placed.TotalFace != catalog.NewFace(1500, money.USD) || placed.Status != order.Completed {
			t.Errorf("%+v", placed.Order)
		}
		if left := b.balance(acme); left != 10050-1470 {
			t.Errorf("the wallet has %d", left)
		}
		found, err := b.Reveal(t.Context(), acme, 1)
		check.OK(b.t, err)
		if diff := cmp.Diff(placed.Order, found.Order); diff != "" {
			t.Errorf("the order read again: %s", diff)
		}
		if diff := cmp.Diff(texts(placed.Codes), texts(found.Codes)); diff != "" {
			t.Errorf("the codes read again: %s", diff)
		}
		for _, number := range []order.Number{0, -1, 2} {
			if _, err := b.Reveal(t.Context(), acme, number); fault.CodeOf(err) != fault.NotFound {
				t.Errorf("order %d: %v", number, err)
			}
		}
		if _, err := b.Reveal(t.Context(), rival, 1); fault.CodeOf(err) != fault.NotFound {
			t.Errorf("another's order: %v", err)
		}
		events, err := b.hooks.Outbox.List(t.Context(), webhook.EventFilter{Book: acme.Book, Limit: 10})
		check.OK(b.t, err)
		if len(events) != 2 || events[0].Type != "order.completed" || strings.Contains(string(events[0].Data), "GPLAY") {
			t.Errorf("the events are %+v", events)
		}
		b.verified()
	})
}

// Codes stand in the answer as they do when the order is read again, whichever expires
// first: their places are their numbers.
func TestCodesKeepTheirPlaces(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		file := "code,expires\nLATE,2027-06-01\nNEVER,\nSOON,2026-12-24\n"
		_, err := b.Stock.Import(t.Context(), strings.NewReader(file), stock.Options{Realm: realm.Test, Item: item, Supplier: "house", Batch: "mixed", Actor: seeder})
		check.OK(b.t, err)
		acme := b.buyer("Acme", 10_000)
		placed, err := b.Place(t.Context(), acme, order.Purchase{Item: item, Quantity: 2})
		check.OK(b.t, err)
		found, err := b.Reveal(t.Context(), acme, placed.Number)
		check.OK(b.t, err)
		for _, codes := range [][]stock.Code{placed.Codes, found.Codes} {
			if diff := cmp.Diff([]string{"LATE", "SOON"}, texts(codes)); diff != "" {
				t.Error(diff)
			}
		}
	})
}

// What stands in the way of an order leaves everything as it was.
func TestRefusals(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		b.fill("GPLAY", 3)
		rich, poor, empty := b.buyer("Rich", 100_000), b.buyer("Poor", 489), b.buyer("Empty", 0)
		face := catalog.NewFace(100, money.USD)
		_, _, err := b.Catalog.Put(t.Context(), catalog.Product{Code: "RANGE-1", Name: "Any amount", Brand: "Range", Category: "Apps", Face: face,
			FaceMax: catalog.NewFace(9900, money.USD), Region: "global", Delivery: catalog.Digital, State: catalog.Active}, seeder)
		check.OK(b.t, err)
		undone := errors.New("undone")
		for name, c := range map[string]struct {
			buyer order.Buyer
			what  order.Purchase
			want  fault.Code
		}{
			"none":           {rich, order.Purchase{Item: item}, fault.InvalidRequest},
			"too many":       {rich, order.Purchase{Item: item, Quantity: 101}, fault.InvalidRequest},
			"email":          {rich, order.Purchase{Item: item, Quantity: 1, Email: "a@b.example, c@d.example"}, fault.InvalidRequest},
			"long email":     {rich, order.Purchase{Item: item, Quantity: 1, Email: strings.Repeat("a", 250) + "@b.example"}, fault.InvalidRequest},
			"unknown":        {rich, order.Purchase{Item: "NOTHING", Quantity: 1}, fault.NotFound},
			"no value":       {rich, order.Purchase{Item: "RANGE-1", Quantity: 1}, fault.InvalidRequest},
			"below a range":  {rich, order.Purchase{Item: "RANGE-1", Quantity: 1, Value: value("0.99")}, fault.InvalidAmount},
			"too fine":       {rich, order.Purchase{Item: "RANGE-1", Quantity: 1, Value: value("1.005")}, fault.InvalidAmount},
			"no supply":      {rich, order.Purchase{Item: "RANGE-1", Quantity: 1, Value: value("99")}, fault.OutOfStock},
			"other value":    {rich, order.Purchase{Item: item, Quantity: 1, Value: value("5.01")}, fault.InvalidAmount},
			"out of stock":   {rich, order.Purchase{Item: item, Quantity: 4}, fault.OutOfStock},
			"a cent short":   {poor, order.Purchase{Item: item, Quantity: 1}, fault.InsufficientFunds},
			"a wallet short": {empty, order.Purchase{Item: item, Quantity: 1}, fault.InsufficientFunds},
			"undone": {rich, order.Purchase{Item: item, Quantity: 1,
				Also: func(*order.Placed) ([]storage.Effect, error) { return nil, undone }}, fault.Internal},
		} {
			_, err := b.Place(t.Context(), c.buyer, c.what)
			if got := fault.CodeOf(err); got != c.want {
				t.Errorf("%s: %s, want %s", name, got, c.want)
			}
			if f := fault.From(err); c.want == fault.InsufficientFunds && (f.Details["required"] != "4.90" || f.Details["balance"] == "") {
				t.Errorf("%s: %v", name, f.Details)
			}
		}
		if b.balance(rich) != 100_000 || b.balance(poor) != 489 {
			t.Error("a refusal cost something")
		}
		// The codes that refusals held are free again, and no number was used up.
		placed, err := b.Place(t.Context(), rich, order.Purchase{Item: item, Quantity: 3, Value: value("5")})
		check.OK(b.t, err)
		if placed.Number != 1 {
			t.Errorf("the first order is number %d", placed.Number)
		}
		b.verified()
	})
}

// Of 64 buyers who race for the last ten codes, in two processes, ten get one each and
// the others are told; nobody pays for nothing, and no code is sold twice.
func TestLastCodes(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		const buyers, codes = 64, 10
		b.fill("GPLAY", codes)
		processes := []*bundle{b, b.another()}
		var all []order.Buyer
		for i := range buyers {
			all = append(all, b.buyer("Buyer"+string(rune('A'+i%26))+string(rune('a'+i/26)), 10_000))
		}
		var mu sync.Mutex
		sold, refused := map[string]ledger.BookID{}, 0
		var group sync.WaitGroup
		for i, buyer := range all {
			group.Go(func() {
				placed, err := processes[i%2].Place(t.Context(), buyer, order.Purchase{Item: item, Quantity: 1})
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil && len(placed.Codes) == 1:
					text := placed.Codes[0].Text.Reveal()
					if sold[text] != "" {
						t.Errorf("%s was sold twice", text)
					}
					sold[text] = buyer.Book
				case fault.CodeOf(err) == fault.OutOfStock:
					refused++
				default:
					t.Errorf("buyer %d: %v", i, err)
				}
			})
		}
		group.Wait()
		if len(sold) != codes || refused != buyers-codes {
			t.Errorf("%d were sold, %d refused", len(sold), refused)
		}
		for _, buyer := range all {
			page, err := b.List(t.Context(), order.Filter{Book: buyer.Book})
			check.OK(b.t, err)
			if paid := 10_000 - b.balance(buyer); paid != int64(490*page.Total) {
				t.Errorf("%s paid %d for %d orders", buyer.Book, paid, page.Total)
			}
			for _, o := range page.Orders {
				found, err := b.Reveal(t.Context(), buyer, o.Number)
				check.OK(b.t, err)
				if len(found.Codes) != 1 || sold[found.Codes[0].Text.Reveal()] != buyer.Book {
					t.Errorf("%s has the codes %v", buyer.Book, texts(found.Codes))
				}
			}
		}
		b.verified()
	})
}

// A buyer who cannot pay holds the last code for a moment only: another one, who waits
// for it meanwhile, gets it.
func TestPoorBuyersDoNotBlock(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		b.fill("GPLAY", 1)
		rich := b.buyer("Rich", 10_000)
		var group sync.WaitGroup
		for i := range 16 {
			poor := b.buyer("Poor"+string(rune('A'+i)), 100)
			group.Go(func() {
				if _, err := b.Place(t.Context(), poor, order.Purchase{Item: item, Quantity: 1}); fault.CodeOf(err) != fault.InsufficientFunds && fault.CodeOf(err) != fault.OutOfStock {
					t.Errorf("a poor buyer: %v", err)
				}
			})
		}
		if _, err := b.Place(t.Context(), rich, order.Purchase{Item: item, Quantity: 1}); err != nil {
			t.Errorf("the rich one: %v", err)
		}
		group.Wait()
	})
}

// Codes are read ahead, and still the right ones are sold: those that a refused order gave
// back go first, those of a batch that was withdrawn not at all, those that expire before
// the others first within a second, and those that another process sold to nobody again.
func TestReadAhead(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		b.fill("GPLAY", 6)
		rich, poor := b.buyer("Rich", 100_000), b.buyer("Poor", 100)
		buys := func(at *bundle, want string) {
			t.Helper()
			placed, err := at.Place(t.Context(), rich, order.Purchase{Item: item, Quantity: 1})
			check.OK(b.t, err)
			if got := texts(placed.Codes)[0]; got != want {
				t.Errorf("%s was sold, want %s", got, want)
			}
		}
		buys(b, "GPLAY-0001")
		if _, err := b.Place(t.Context(), poor, order.Purchase{Item: item, Quantity: 1}); fault.CodeOf(err) != fault.InsufficientFunds {
			t.Errorf("the poor one: %v", err)
		}
		buys(b, "GPLAY-0002")
		other := b.another()
		buys(other, "GPLAY-0003")
		buys(b, "GPLAY-0004")

		_, err := b.Stock.Import(t.Context(), strings.NewReader("code,expires\nEARLY-0001,2099-01-01\nEARLY-0002,2099-01-01\n"),
			stock.Options{Realm: realm.Test, Item: item, Supplier: "house", Batch: "EARLY", Actor: seeder})
		check.OK(b.t, err)
		b.clock.Advance(2 * time.Second)
		buys(b, "EARLY-0001")
		_, err = b.Stock.Quarantine(t.Context(), stock.BatchName{Realm: realm.Test, Item: item, Name: "EARLY"}, "complaints", seeder)
		check.OK(b.t, err)
		buys(b, "GPLAY-0005")
		buys(other, "GPLAY-0006")
		if _, err := b.Place(t.Context(), rich, order.Purchase{Item: item, Quantity: 1}); fault.CodeOf(err) != fault.OutOfStock {
			t.Errorf("nothing is left: %v", err)
		}
		b.verified()
	})
}

// Orders of one book at once are numbered without gaps and pay for what they got.
func TestNumbers(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		const n = 40
		b.fill("GPLAY", n)
		acme := b.buyer("Acme", 490*(n-5))
		var mu sync.Mutex
		var numbers []order.Number
		short := 0
		var group sync.WaitGroup
		for range n {
			group.Go(func() {
				placed, err := b.Place(t.Context(), acme, order.Purchase{Item: item, Quantity: 1})
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					numbers = append(numbers, placed.Number)
				case fault.CodeOf(err) == fault.InsufficientFunds:
					short++
				default:
					t.Error(err)
				}
			})
		}
		group.Wait()
		slices.Sort(numbers)
		for i, number := range numbers {
			if number != order.Number(i+1) {
				t.Fatalf("the numbers are %v", numbers)
			}
		}
		if len(numbers) != n-5 || short != 5 || b.balance(acme) != 0 {
			t.Errorf("%d orders, %d refused, %d left", len(numbers), short, b.balance(acme))
		}
		b.verified()
	})
}

// Lists are cut into pages, sorted in both directions, filtered by status, and hold
// nobody else's orders; a filter outside its bounds is refused.
func TestList(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		b.fill("GPLAY", 12)
		acme, rival := b.buyer("Acme", 100_000), b.buyer("Rival", 100_000)
		for _, quantity := range []int{2, 1, 3} {
			_, err := b.Place(t.Context(), acme, order.Purchase{Item: item, Quantity: quantity})
			check.OK(b.t, err)
		}
		_, err := b.Place(t.Context(), rival, order.Purchase{Item: item, Quantity: 4})
		check.OK(b.t, err)
		b.become(acme, 2, order.Refunded)
		for _, c := range []struct {
			filter order.Filter
			want   []order.Number
			total  int
		}{
			{order.Filter{}, []order.Number{3, 2, 1}, 3},
			{order.Filter{Ascending: true}, []order.Number{1, 2, 3}, 3},
			{order.Filter{Sort: order.ByAmount}, []order.Number{3, 1, 2}, 3},
			{order.Filter{Sort: order.ByAmount, Ascending: true}, []order.Number{2, 1, 3}, 3},
			{order.Filter{Sort: order.ByStatus, Ascending: true}, []order.Number{1, 3, 2}, 3},
			{order.Filter{Sort: order.ByStatus}, []order.Number{2, 3, 1}, 3},
			{order.Filter{Status: order.Refunded}, []order.Number{2}, 1},
			{order.Filter{Status: order.Completed}, []order.Number{3, 1}, 2},
			{order.Filter{Status: order.Completed, Sort: order.ByAmount, Ascending: true}, []order.Number{1, 3}, 2},
			{order.Filter{Status: order.Completed, Sort: order.ByAmount}, []order.Number{3, 1}, 2},
			{order.Filter{Status: order.Completed, Sort: order.ByStatus, Ascending: true, Limit: 1, Offset: 1}, []order.Number{3}, 2},
			{order.Filter{Status: order.Failed}, nil, 0},
			{order.Filter{Limit: 2}, []order.Number{3, 2}, 3},
			{order.Filter{Limit: 2, Offset: 2}, []order.Number{1}, 3},
			{order.Filter{Offset: 3}, nil, 3},
		} {
			c.filter.Book = acme.Book
			page, err := b.List(t.Context(), c.filter)
			check.OK(b.t, err)
			var got []order.Number
			for _, o := range page.Orders {
				got = append(got, o.Number)
			}
			if diff := cmp.Diff(c.want, got); diff != "" || page.Total != c.total {
				t.Errorf("%+v: %d in total %s", c.filter, page.Total, diff)
			}
		}
		for _, f := range []order.Filter{{Sort: "price"}, {Limit: 101}, {Limit: -1}, {Offset: -1}, {Offset: 1_000_001}} {
			if _, err := b.List(t.Context(), f); fault.CodeOf(err) != fault.InvalidRequest {
				t.Errorf("%+v: %v", f, err)
			}
		}
		b.verified()
	})
}

// Amounts in currencies with different decimals are sorted by the numbers that are shown.
func TestListMixedCurrencies(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		acme := b.buyer("Acme", 100_000)
		for i, c := range []struct {
			minor    int64
			currency money.Currency
		}{{1000, money.USD}, {999, money.JPY}, {10_500, money.KWD}, {1000, money.JPY}, {10_001, money.KWD}, {1_000_100_000, money.BTC}, {1000, money.EUR}} {
			reference := fmt.Sprint("transfer ", i)
			_, err := b.wallets.Load(t.Context(), wallet.Load{Book: acme.Book, Realm: acme.Realm, Amount: money.New(1_000_100_000, c.currency), Reference: reference, Actor: seeder})
			check.OK(b.t, err)
			code, face := catalog.ItemCode(fmt.Sprint("ITEM-", i)), catalog.NewFace(c.minor, c.currency)
			_, _, err = b.Catalog.Put(t.Context(), catalog.Product{Code: code, Name: "Card", Brand: "Card", Face: face}, seeder)
			check.OK(b.t, err)
			_, err = b.Stock.Import(t.Context(), strings.NewReader("code\nGPLAY-"+reference), stock.Options{Realm: acme.Realm, Item: code, Batch: "one", Actor: seeder})
			check.OK(b.t, err)
			_, err = b.Place(t.Context(), acme, order.Purchase{Item: code, Quantity: 1})
			check.OK(b.t, err)
		}
		dearest := []order.Number{4, 2, 3, 6, 5, 7, 1}
		for _, f := range []order.Filter{{}, {Status: order.Completed}} {
			for _, f.Ascending = range []bool{false, true} {
				f.Book, f.Sort = acme.Book, order.ByAmount
				page, err := b.List(t.Context(), f)
				check.OK(b.t, err)
				var got []order.Number
				for _, o := range page.Orders {
					got = append(got, o.Number)
				}
				if f.Ascending {
					slices.Reverse(got)
				}
				if diff := cmp.Diff(dearest, got); diff != "" {
					t.Errorf("%+v: %s", f, diff)
				}
			}
		}
	})
}

// What is checked is the price of the moment and whether there are as many, and nothing is reserved.
func TestCheck(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		b.fill("GPLAY", 2)
		acme := b.buyer("Acme", 10_000)
		for range 3 {
			price, err := b.Check(t.Context(), acme, order.Wanted{Item: item, Quantity: 2})
			if err != nil || price != catalog.NewCharged(490, money.USD) {
				t.Errorf("%v %v", price, err)
			}
		}
		_, err := b.Check(t.Context(), acme, order.Wanted{Item: item, Quantity: 3})
		if f := fault.From(err); f.Code != fault.OutOfStock || f.Details["requested"] != "3" {
			t.Errorf("three of two: %v", err)
		}
		for _, quantity := range []int{0, 101} {
			if _, err := b.Check(t.Context(), acme, order.Wanted{Item: item, Quantity: quantity}); fault.CodeOf(err) != fault.InvalidRequest {
				t.Errorf("%d: %v", quantity, err)
			}
		}
		if _, err := b.Check(t.Context(), acme, order.Wanted{Item: "NOTHING", Quantity: 1}); fault.CodeOf(err) != fault.NotFound {
			t.Errorf("no item: %v", err)
		}
	})
}

// Large orders at once, which together hold more codes than are ever picked at a time,
// all get theirs.
func TestLargeOrders(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		const orders = 14
		b.fill("GPLAY", orders*order.MaxQuantity)
		var mu sync.Mutex
		sold := map[string]bool{}
		var group sync.WaitGroup
		for i := range orders {
			buyer := b.buyer("Buyer"+string(rune('A'+i)), 100_000)
			group.Go(func() {
				placed, err := b.Place(t.Context(), buyer, order.Purchase{Item: item, Quantity: order.MaxQuantity})
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				for _, text := range texts(placed.Codes) {
					sold[text] = true
				}
			})
		}
		group.Wait()
		if len(sold) != orders*order.MaxQuantity {
			t.Errorf("%d different codes were sold", len(sold))
		}
		b.verified()
	})
}
