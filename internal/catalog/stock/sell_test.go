package stock_test

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
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/webhook"
)

func openLite(t testing.TB) *storage.DB {
	t.Helper()
	return testkit.Open(t, testkit.Database(t, "sqlite"))
}

// Codes are picked by their end, those without one last, and not after it; what is sold is
// not picked again.
func TestPick(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		report, err := p.upload("code,expires\nNEVER,\nLATE,2027-06-01\nSOON,2026-11-21\nMIDDLE,2026-12-24\n", batch)
		check.OK(t, err)
		if report.Added != 4 {
			t.Fatalf("%+v", report)
		}
		check.List(t, "all", p.picked(10, 0), "SOON", "MIDDLE", "LATE", "NEVER")
		check.List(t, "two after one", p.picked(2, 1), "MIDDLE", "LATE")
		soon := p.pick(1, 0)
		check.OK(t, p.clocks.SetOffset(15*time.Hour)) // the next day begins
		check.List(t, "the next day", p.picked(10, 0), "MIDDLE", "LATE", "NEVER")
		p.count(3)
		if err := p.sell(soon, sale, buyer); !errors.Is(err, storage.ErrStale) {
			t.Errorf("an expired code is sold: %v", err)
		}
		check.OK(t, p.sell(p.pick(2, 0), sale, buyer))
		check.List(t, "the rest", p.picked(10, 0), "NEVER")
		have, err := p.InStock(t.Context(), realm.Test, []catalog.ItemCode{other, play, "NONE"})
		if err != nil || len(have) != 1 || !have[play] {
			t.Errorf("in stock: %v, %v", have, err)
		}
		check.OK(t, p.sell(p.pick(1, 0), "ord_2", buyer))
		have, err = p.InStock(t.Context(), realm.Test, []catalog.ItemCode{play})
		if err != nil || have[play] || len(p.pick(1, 0)) != 0 {
			t.Errorf("sold out: %v, %v", have, err)
		}
		for _, w := range []stock.Wanted{{Realm: realm.Test, Item: play}, {Realm: realm.Test, Item: play, N: 1001}, {Realm: realm.Test, Item: play, N: 1, Skip: -1}} {
			_, err := p.Pick(t.Context(), w)
			check.Code(t, fmt.Sprintf("%+v", w), err, fault.InvalidRequest)
		}
		if _, err := p.InStock(t.Context(), realm.Test, nil); err != nil {
			t.Error(err)
		}
	})
}

// An order that cannot have all of its codes has none.
func TestTakeAllOrNothing(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		p.stocked(batch, "A", "B", "C")
		ids := p.pick(3, 0)
		check.OK(t, p.sell(ids[1:2], sale, rival))
		if err := p.sell(ids, "ord_2", buyer); !errors.Is(err, storage.ErrStale) {
			t.Errorf("a code is sold twice: %v", err)
		}
		p.count(2)
	})
}

// Only an order's owner sees its codes, and every look is recorded.
func TestReveal(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		_, err := p.upload("code,pin\nA,1\nB,\nC,3\n", batch)
		check.OK(t, err)
		look := stock.Reveal{Book: buyer, Realm: realm.Test, Order: sale, Actor: "key/1"}
		check.OK(t, p.DB.Write(t.Context(), func(ctx context.Context, tx *storage.Tx) error {
			effects := stock.Take(p.pick(2, 0), sale, buyer, epoch)
			return tx.Apply(ctx, append(effects, stock.Revealed(look, epoch)...))
		}))
		check.OK(t, p.clocks.SetOffset(time.Hour))
		look.Actor = "key/2"
		codes, err := p.Reveal(t.Context(), look)
		check.OK(t, err)
		check.List(t, "codes", texts(codes), "A/1", "B")
		if codes[0].State != stock.Sold || !codes[0].SoldAt.Equal(epoch) {
			t.Errorf("%+v", codes[0])
		}
		for what, r := range map[string]stock.Reveal{"another's": {Book: rival, Realm: realm.Test, Order: sale}, "none": {Book: buyer, Realm: realm.Test, Order: "ord_2"},
			"the other realm": {Book: buyer, Realm: realm.Live, Order: sale}, "nobody's": {Realm: realm.Test}} {
			_, err := p.Reveal(t.Context(), r)
			check.Code(t, what, err, fault.NotFound)
		}
		looks, err := p.Looks(t.Context(), buyer, sale)
		check.OK(t, err)
		var got []string
		for _, l := range looks {
			got = append(got, l.Actor+" "+l.At.Format(time.TimeOnly))
		}
		check.List(t, "looks", got, "key/1 09:00:00", "key/2 10:00:00")
		if looks, err := p.Looks(t.Context(), rival, sale); err != nil || len(looks) != 0 {
			t.Errorf("another's looks: %v, %v", looks, err)
		}
	})
}

// Of 64 buyers who want the last ten codes ten get one each, whichever process serves them,
// the others are refused, and only the ten are charged.
func TestLastCodes(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		const buyers, codes = 64, 10
		var names []string
		for i := range codes {
			names = append(names, fmt.Sprintf("CODE-%d", i))
		}
		p.stocked(batch, names...)
		check.OK(t, p.DB.Write(t.Context(), func(ctx context.Context, tx *storage.Tx) error {
			for i := range buyers {
				if err := ledger.OpenBook(ctx, tx, ledger.Book{ID: bookOf(i), Realm: realm.Test, OpenedAt: epoch}); err != nil {
					return err
				}
			}
			return nil
		}))
		processes := []*process{p, join(t, p.DB, p.Catalog)}
		var books []*ledger.Ledger
		for range processes {
			b := ledger.New(p.DB, p.clocks, ledger.Config{})
			t.Cleanup(b.Close)
			books = append(books, b)
		}
		var (
			group sync.WaitGroup
			mu    sync.Mutex
			sold  = map[stock.CodeID]int{}
			none  int
		)
		for i := range buyers {
			group.Go(func() {
				code, err := processes[i%2].buy(books[i%2], bookOf(i))
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err != nil:
					t.Error(err)
				case code == "":
					none++
				default:
					sold[code]++
				}
			})
		}
		group.Wait()
		if len(sold) != codes || none != buyers-codes {
			t.Errorf("%d codes sold, %d buyers refused: %v", len(sold), none, sold)
		}
		p.count(0)
		p.settled(books[0], buyers, codes)
	})
}

func bookOf(i int) ledger.BookID { return ledger.BookID(fmt.Sprintf("bk_%02d", i)) }

// The accounts of a sale.
const (
	paid    = ledger.AccountID("wallet.bank/USD")
	revenue = ledger.AccountID("wallet/USD")
)

// buy buys one code in one ledger operation, picking again while others are faster, or
// returns none when there is none left.
func (p *process) buy(books *ledger.Ledger, book ledger.BookID) (stock.CodeID, error) {
	for try := 0; ; try++ {
		ids, err := p.Pick(p.t.Context(), stock.Wanted{Realm: realm.Test, Item: play, N: 1, Skip: try % 5})
		if err != nil {
			return "", err
		}
		if len(ids) == 0 && try%5 == 0 {
			return "", nil
		}
		if len(ids) == 0 {
			continue
		}
		_, err = books.Submit(p.t.Context(), ledger.Operation{Book: book, Kind: "wallet.load", Actor: ada, At: epoch,
			Open: []ledger.NewAccount{{ID: paid, Currency: money.USD, Side: ledger.Debit, Unbounded: true},
				{ID: revenue, Currency: money.USD, Side: ledger.Credit}},
			Postings: []ledger.Posting{{Debit: paid, Credit: revenue, Amount: money.New(490, money.USD)}},
			Effects:  func(ledger.Outcome) ([]storage.Effect, error) { return stock.Take(ids, sale, book, epoch), nil }})
		if !errors.Is(err, storage.ErrStale) {
			return ids[0].ID, err
		}
	}
}

// settled checks that whoever has a code paid for it, and nobody else did.
func (p *process) settled(books *ledger.Ledger, buyers, want int) {
	p.t.Helper()
	charged := 0
	for i := range buyers {
		account, err := books.FindAccount(p.t.Context(), bookOf(i), revenue)
		if err != nil && fault.CodeOf(err) != fault.NotFound {
			p.t.Fatal(err)
		}
		codes, reveal := p.Reveal(p.t.Context(), stock.Reveal{Book: bookOf(i), Realm: realm.Test, Order: sale, Actor: ada})
		has := fault.CodeOf(reveal) != fault.NotFound
		if pays := err == nil && account.Posted().Minor == 490; pays != has || (has && len(codes) != 1) {
			p.t.Errorf("%s: paid %t, has %d codes (%v)", bookOf(i), pays, len(codes), reveal)
		}
		if has {
			charged++
		}
	}
	if charged != want {
		p.t.Errorf("%d were charged, want %d", charged, want)
	}
}

// Codes of a batch in quarantine are not sold, not even those that were picked before, and
// what is uploaded into it neither; released they are for sale again.
func TestQuarantine(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		p.stocked(batch, "A", "B", "C")
		p.stocked("second", "X")
		check.OK(t, p.sell(p.pick(1, 0), sale, buyer))
		before := p.pick(1, 0)
		name := stock.BatchName{Realm: realm.Test, Item: play, Name: batch}
		b, err := p.Quarantine(t.Context(), name, "complaints", ada)
		if err != nil || b.State != stock.BatchQuarantined {
			t.Fatalf("%+v, %v", b, err)
		}
		if err := p.sell(before, "ord_2", buyer); !errors.Is(err, storage.ErrStale) {
			t.Errorf("a code in quarantine is sold: %v", err)
		}
		report, err := p.upload("code\nA\nB\nC\nD\n", batch)
		if err != nil || report.Added != 1 {
			t.Errorf("%+v, %v", report, err)
		}
		check.List(t, "for sale", p.picked(10, 0), "X")
		p.count(1)
		p.batches("second open  available 1", "first quarantined complaints quarantined 3 sold 1")
		if codes, err := p.Reveal(t.Context(), stock.Reveal{Book: buyer, Realm: realm.Test, Order: sale, Actor: ada}); err != nil || len(codes) != 1 {
			t.Errorf("what was sold before: %v, %v", codes, err)
		}
		_, err = p.Release(t.Context(), name, ada)
		check.OK(t, err)
		p.count(4)
		p.batches("second open  available 1", "first open  available 3 sold 1")
		_, err = p.Quarantine(t.Context(), name, "", ada)
		check.Code(t, "without a reason", err, fault.InvalidRequest)
		name.Item = other
		_, err = p.Quarantine(t.Context(), name, "none", ada)
		check.Code(t, "an unknown batch", err, fault.NotFound)
		_, err = p.Release(t.Context(), name, ada)
		check.Code(t, "release an unknown batch", err, fault.NotFound)
		done := slices.DeleteFunc(p.audited(), func(did string) bool { return strings.Contains(did, "import") })
		check.List(t, "audit", done, ada+" stock.quarantine", ada+" stock.release")
	})
}

// Batches are read some at a time with their codes counted, and one by its id.
func TestBatchPages(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		for i, name := range []string{"first", "second", "third"} {
			p.stocked(name, fmt.Sprintf("A%d", i), fmt.Sprintf("B%d", i))
		}
		q := stock.Batches{Realm: realm.Test, Item: play, Limit: 2}
		var got []string
		for {
			page, err := p.Page(t.Context(), q)
			check.OK(t, err)
			for _, b := range page {
				got = append(got, fmt.Sprintf("%s %d", b.Name, b.Codes[stock.Available]))
				one, err := p.FindBatch(t.Context(), b.ID)
				if diff := cmp.Diff(b, one); diff != "" || err != nil {
					t.Errorf("by its id: %s %v", diff, err)
				}
				q.After = b.ID
			}
			if len(page) < q.Limit {
				break
			}
		}
		check.List(t, "batches", got, "third 2", "second 2", "first 2")
		_, err := p.FindBatch(t.Context(), "batch_none")
		check.Code(t, "no batch", err, fault.NotFound)
		if page, err := p.Page(t.Context(), stock.Batches{Realm: realm.Live, Item: play, Limit: 9}); err != nil || len(page) != 0 {
			t.Errorf("the other realm has %d, %v", len(page), err)
		}
	})
}

// The operator sees where an order's codes came from and how long ones end, never a whole
// code, and the look is none: it is not recorded.
func TestMasked(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		report, err := p.upload("code,pin,cost\nGPLAY-AAAA-0001,7694269,4.60\nSHORT-12345,,\n", batch)
		check.OK(t, err)
		check.OK(t, p.sell(p.pick(2, 0), sale, buyer))
		found, err := p.Masked(t.Context(), buyer, sale)
		check.OK(t, err)
		var got []string
		for _, m := range found {
			got = append(got, fmt.Sprintf("%d %q %s %s %s %t", m.Place, m.Ending, m.BatchName, m.Supplier, m.State, m.Batch == report.Batch && !m.SoldAt.IsZero()))
		}
		check.List(t, "masked", got, `1 "0001" first Acme sold true`, `2 "" first Acme sold true`)
		if text := fmt.Sprintf("%+v", found); strings.Contains(text, "AAAA") || strings.Contains(text, "7694269") || strings.Contains(text, "SHORT") {
			t.Errorf("it shows %s", text)
		}
		if looks, err := p.Looks(t.Context(), buyer, sale); err != nil || len(looks) != 0 {
			t.Errorf("%d looks, %v", len(looks), err)
		}
		if found, err := p.Masked(t.Context(), "bk_other", sale); err != nil || len(found) != 0 {
			t.Errorf("another book has %d, %v", len(found), err)
		}
	})
}

// batches checks the batches, the newest first.
func (p *process) batches(want ...string) {
	p.t.Helper()
	all, err := p.List(p.t.Context(), realm.Test, play)
	check.OK(p.t, err)
	var got []string
	for _, b := range all {
		text := fmt.Sprint(b.Name, " ", b.State, " ", b.Reason)
		for _, state := range []stock.State{stock.Available, stock.Quarantined, stock.Sold} {
			if n := b.Codes[state]; n > 0 {
				text += fmt.Sprint(" ", state, " ", n)
			}
		}
		got = append(got, text)
	}
	check.List(p.t, "batches", got, want...)
}

// The operator is told once that an item runs out, and once that it does not any more,
// whichever process looks.
func TestLevels(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		second := join(t, p.DB, p.Catalog)
		look := func(what string, changed int, low ...string) {
			t.Helper()
			n, err := p.CheckLevels(t.Context())
			check.OK(t, err)
			again, err := second.CheckLevels(t.Context())
			check.OK(t, err)
			levels, err := p.Low(t.Context(), realm.Test)
			check.OK(t, err)
			var got []string
			for _, l := range levels {
				got = append(got, fmt.Sprint(l.Item, " ", l.Codes))
			}
			if n != changed || again != 0 {
				t.Errorf("%s: %d and then %d changed, want %d and 0", what, n, again, changed)
			}
			check.List(t, what, got, low...)
		}
		told := func(what string, want ...string) {
			t.Helper()
			events, err := p.Outbox.List(t.Context(), webhook.EventFilter{Book: webhook.House(realm.Test)})
			check.OK(t, err)
			var got []string
			for _, e := range events {
				got = append(got, e.Type+" "+string(e.Data))
			}
			check.List(t, what, got, want...)
		}
		look("never stocked", 0)
		p.stocked(batch, "A", "B", "C")
		look("enough", 0)
		check.OK(t, p.sell(p.pick(1, 0), sale, buyer))
		look("low", 1, string(play)+" 2")
		for _, state := range []catalog.State{catalog.Retired, catalog.Active} {
			_, err := p.Catalog.SetState(t.Context(), play, state, ada)
			check.OK(t, err)
			if state == catalog.Retired {
				look("not sold any more", 0)
			}
		}
		check.OK(t, p.sell(p.pick(1, 0), "ord_2", buyer))
		look("lower", 0, string(play)+" 2")
		fixed, err := p.Catalog.Find(t.Context(), play)
		check.OK(t, err)
		ranged := fixed
		ranged.FaceMax = catalog.NewFace(900, money.USD)
		for _, item := range []catalog.Product{ranged, fixed} {
			_, _, err := p.Catalog.Put(t.Context(), item, ada)
			check.OK(t, err)
			if item.IsRange() {
				look("of which no codes can be uploaded", 0)
			}
		}
		p.stocked("second", "D", "E")
		look("enough again", 1)
		told("events", `stock.enough {"item_code":"`+string(play)+`","codes":3,"low_stock":3}`, `stock.low {"item_code":"`+string(play)+`","codes":2,"low_stock":3}`)
		check.List(t, "audit", p.audited(), ada+" stock.import", ada+" stock.imported", "system stock.low", ada+" stock.import", ada+" stock.imported", "system stock.enough")
	})
}

// Of two processes that find at once that an item runs out, one tells.
func TestLevelsAtOnce(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		p.stocked(batch, "A")
		second := join(t, p.DB, p.Catalog)
		tell := func(by *process, want int) {
			t.Helper()
			if n, err := by.CheckLevels(t.Context()); err != nil || n != want {
				t.Errorf("%d changed, want %d, %v", n, want, err)
			}
		}
		p.Clocks = testkit.Meanwhile(clock.NewManual(epoch), func() { tell(second, 1) })
		tell(p, 0)
		check.List(t, "audit", p.audited(), ada+" stock.import", ada+" stock.imported", "system stock.low")
	})
}

// An item keeps its value while codes of it are for sale: they are of that value. Once they
// are in quarantine it may have another one.
func TestValueStays(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		p.stocked(batch, "A")
		item, err := p.Catalog.Find(t.Context(), play)
		check.OK(t, err)
		item.Face, item.FaceMax = catalog.NewFace(5000, money.USD), catalog.NewFace(5000, money.USD)
		put := func() error {
			_, _, err := p.Catalog.Put(t.Context(), item, ada)
			return err
		}
		load := func(dry bool) (catalog.ImportReport, error) {
			const file = "item_code,name,brand,currency,value\n" + string(other) + ",Card,Brand,USD,7.00\n" + string(play) + ",Card,Brand,USD,50.00\n"
			return p.Catalog.Import(t.Context(), strings.NewReader(file), catalog.ImportOptions{Format: catalog.CSV, DryRun: dry, Actor: ada})
		}
		if err := put(); fault.CodeOf(err) != fault.InvalidState || fault.From(err).Field != "value" {
			t.Errorf("put: %v", err)
		}
		for _, dry := range []bool{true, false} {
			if report, err := load(dry); fault.CodeOf(err) != fault.InvalidRequest || len(report.Bad) != 1 || report.Bad[0].Row != 3 || report.Bad[0].Field != "value" {
				t.Errorf("import: %+v, %v", report, err)
			}
		}
		if now, err := p.Catalog.Find(t.Context(), other); err != nil || now.Face != catalog.NewFace(500, money.USD) {
			t.Errorf("the other one is worth %s, %v", now.Face, err)
		}
		_, err = p.Quarantine(t.Context(), stock.BatchName{Realm: realm.Test, Item: play, Name: batch}, "the item is another one", ada)
		check.OK(t, err)
		if report, err := load(false); err != nil || report.Count(catalog.Changed) != 2 {
			t.Errorf("in quarantine: %+v, %v", report, err)
		}
		check.OK(t, put()) // as it is by now
	})
}

// It keeps it, too, while codes of it are delivered for an order under way: when that fails,
// they are for sale as what the item is.
func TestValueStaysWhileReserved(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		const book, order = ledger.BookID("bk_1"), "7"
		d := stock.Delivery{Realm: realm.Test, Item: play, Supplier: "acme", Book: book, Order: order, Codes: []stock.Delivered{{Text: pan.NewSecret("A")}}}
		received, err := p.Receive(t.Context(), d)
		check.OK(t, err)
		apply := func(effects ...storage.Effect) {
			check.OK(t, p.DB.Write(t.Context(), func(ctx context.Context, tx *storage.Tx) error { return tx.Apply(ctx, effects) }))
		}
		apply(received.Keep(1, stock.Reserved, p.clocks.Now(realm.Test))...)
		item, err := p.Catalog.Find(t.Context(), play)
		check.OK(t, err)
		item.Face, item.FaceMax = catalog.NewFace(5000, money.USD), catalog.NewFace(5000, money.USD)
		if _, _, err := p.Catalog.Put(t.Context(), item, ada); fault.CodeOf(err) != fault.InvalidState || fault.From(err).Field != "value" {
			t.Errorf("put: %v", err)
		}
		const file = "item_code,name,brand,currency,value\n" + string(play) + ",Card,Brand,USD,50.00\n"
		if report, err := p.Catalog.Import(t.Context(), strings.NewReader(file), catalog.ImportOptions{Format: catalog.CSV, Actor: ada}); len(report.Bad) != 1 {
			t.Errorf("import: %+v, %v", report, err)
		}
		for _, n := range []int{0, 2} {
			if err := p.apply([]storage.Effect{stock.SellReserved(book, order, n, p.clocks.Now(realm.Test))}); !errors.Is(err, storage.ErrStale) {
				t.Errorf("sold as %d: %v", n, err)
			}
		}
		apply(stock.SellReserved(book, order, 1, p.clocks.Now(realm.Test)))
		_, _, err = p.Catalog.Put(t.Context(), item, ada)
		check.OK(t, err)
	})
}

// What another process just made of an item is looked at: it may be of that value that there
// are codes by now.
func TestValueStaysOfOthers(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		items := catalog.New(p.Catalog.Deps)
		check.OK(t, items.Refresh(t.Context()))
		join(t, p.DB, items)
		item, err := p.Catalog.Find(t.Context(), play)
		check.OK(t, err)
		old := item.Face
		item.Face, item.FaceMax = catalog.NewFace(5000, money.USD), catalog.NewFace(5000, money.USD)
		_, _, err = p.Catalog.Put(t.Context(), item, ada)
		check.OK(t, err)
		p.stocked(batch, "A")
		item.Face, item.FaceMax = old, old
		if _, _, err := items.Put(t.Context(), item, ada); fault.CodeOf(err) != fault.InvalidState {
			t.Errorf("put by a process that knows the value of before: %v", err)
		}
	})
}

// Whether codes run out is told by all that there are, more than are counted for people.
func TestCountOf(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		var names []string
		for i := range stock.MaxCount + 2 {
			names = append(names, fmt.Sprintf("CODE-%d", i))
		}
		p.stocked(batch, names...)
		item, err := p.Catalog.Find(t.Context(), play)
		check.OK(t, err)
		for least, want := range map[int]bool{0: false, 3: false, stock.MaxCount + 2: false, stock.MaxCount + 3: true} {
			item.LowStock = least
			if n, low, err := p.CountOf(t.Context(), realm.Test, &item); err != nil || n != stock.MaxCount || low != want {
				t.Errorf("at least %d: %d codes, low is %t, %v", least, n, low, err)
			}
		}
	})
}
