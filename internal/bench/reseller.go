package bench

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strconv"

	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/catalog/stock"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/wallet"
)

// Reseller makes the scenarios of the cardpluspay dialect: orders of one code, with the
// money, the stock and the answer, and pages of the catalog.
type Reseller struct {
	Key pan.Secret // an X-API-Key of the test realm

	run   string // keeps the codes of two runs apart
	items int
}

// NewReseller returns the scenarios without anything to sell; PrepareCodes and PrepareItems
// make some.
func NewReseller(key pan.Secret) *Reseller {
	name := id.New("b")
	return &Reseller{Key: key, run: name[len(name)-12:]}
}

// Shelf is where something to sell is put, and whose wallet pays for it.
type Shelf struct {
	Catalog *catalog.Service
	Stock   *stock.Stock
	Wallets *wallet.Service
	Book    ledger.BookID
}

const (
	orderItem = catalog.ItemCode("BENCH-ORDER")
	codeCents = 100
	actor     = "bench"
	// Bounds of what is prepared.
	maxItems = 400_000
	maxCodes = 5_000_000
)

// PrepareCodes puts n codes of one item into the test realm's stock, and their price into
// the wallet.
func (r *Reseller) PrepareCodes(ctx context.Context, s Shelf, n int) error {
	if n < 1 || n > maxCodes {
		return fmt.Errorf("prepare %d codes: want 1 to %d", n, maxCodes)
	}
	face := catalog.NewFace(codeCents, money.USD)
	_, _, err := s.Catalog.Put(ctx, catalog.Product{Code: orderItem, Name: "Bench card 1 USD", Brand: "Bench", Category: "Bench", Face: face}, actor)
	if err != nil {
		return fmt.Errorf("prepare the item: %w", err)
	}
	// The price of the moment may be less than the face value.
	load := wallet.Load{Book: s.Book, Realm: realm.Test, Amount: money.New(int64(n)*codeCents, money.USD), Reference: actor + " " + r.run, Actor: actor}
	if _, err := s.Wallets.Load(ctx, load); err != nil {
		return fmt.Errorf("prepare the wallet: %w", err)
	}
	file := written(func(w *bufio.Writer) {
		_, _ = w.WriteString("code\n") // an error stays in the writer
		for i := range n {
			fmt.Fprintf(w, "%s-%08d\n", r.run, i)
		}
	})
	report, err := s.Stock.Import(ctx, file, stock.Options{Realm: realm.Test, Item: orderItem, Batch: r.run, Supplier: actor, Actor: actor})
	if err == nil && report.Added != n {
		err = fmt.Errorf("%d of %d were added", report.Added, n)
	}
	if err != nil {
		return fmt.Errorf("prepare codes: %w", err)
	}
	return nil
}

// PrepareItems puts n items into the catalog, or finds those that an earlier run put there.
func (r *Reseller) PrepareItems(ctx context.Context, s Shelf, n int) error {
	if n < 1 || n > maxItems {
		return fmt.Errorf("prepare %d items: want 1 to %d", n, maxItems)
	}
	file := written(func(w *bufio.Writer) {
		_, _ = w.WriteString("item_code,name,brand,category,currency,value,region,countries\n") // an error stays in the writer
		for i := range n {
			fmt.Fprintf(w, "%s,Gift card %d of brand %d,Brand %d,Category %d,USD,%d.50,global,%s\n",
				itemCode(i), i, i%brands, i%brands, i%10, i%200+1, [3]string{"US", "DE FR", ""}[i%3])
		}
	})
	if _, err := s.Catalog.Import(ctx, file, catalog.ImportOptions{Format: catalog.CSV, Actor: actor}); err != nil {
		return fmt.Errorf("prepare items: %w", err)
	}
	r.items = n
	return nil
}

const brands = 100

func itemCode(i int) string { return fmt.Sprintf("BENCH-%07d", i) }

// written returns what a function writes, as it is read.
func written(write func(*bufio.Writer)) io.Reader {
	reader, writer := io.Pipe()
	go func() {
		w := bufio.NewWriter(writer)
		write(w)
		_ = writer.CloseWithError(w.Flush()) // never fails
	}()
	return reader
}

// Order buys one code with every request.
func (r *Reseller) Order() Scenario {
	headers := []Header{{"X-API-Key", r.Key.Reveal()}, {"Content-Type", "application/json"}}
	body := object(nil, "item_code", string(orderItem))
	return Scenario{Name: "cardpluspay order", Expect: Expect{Contains: `"status":"completed"`}, Make: func(int, int64) Request {
		return Request{Method: "POST", Path: "/v1/orders", Headers: headers, Body: body}
	}}
}

// Browse reads pages of the catalog, each of another kind than the one before: a plain
// page, words, a brand, values, one item.
func (r *Reseller) Browse() Scenario {
	headers := []Header{{"X-API-Key", r.Key.Reveal()}}
	return Scenario{Name: fmt.Sprintf("cardpluspay catalog of %d", r.items), Expect: Expect{Contains: `"state":"success"`}, Make: func(_ int, n int64) Request {
		return Request{Method: "GET", Path: "/v1/catalog?" + r.query(n), Headers: headers}
	}}
}

// query is what the nth page asks for.
func (r *Reseller) query(n int64) string {
	const kinds = 5
	at := n / kinds
	switch n % kinds {
	case 0:
		return "per_page=100&page=" + strconv.FormatInt(at%100+1, 10)
	case 1:
		return "per_page=50&q=gift+card+" + strconv.FormatInt(at%1000, 10)
	case 2:
		return "sort_by=value&brand=Brand+" + strconv.FormatInt(at%brands, 10)
	case 3:
		return "per_page=50&sort_by=brand&order=desc&value_min=5&value_max=20&country_code=DE"
	}
	return "item_id=" + itemCode(int(at)%max(r.items, 1))
}
