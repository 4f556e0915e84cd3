package stock_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/catalog/stock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit/check"
)

// worth gives an item of 5 dollars another value, or makes it.
func (p *process) worth(item catalog.ItemCode, cents int64) error {
	_, _, err := p.Catalog.Put(p.t.Context(), catalog.Product{Code: item, Name: "Card", Brand: "Brand", Face: catalog.NewFace(cents, money.USD)}, ada)
	return err
}

// meanwhile is a file in which something happens after its first line.
type meanwhile struct {
	io.Reader
	happens func()
}

func (m *meanwhile) Read(text []byte) (int, error) {
	n, err := m.Reader.Read(text[:1])
	if n == 1 && text[0] == '\n' && m.happens != nil {
		m.happens()
		m.happens = nil
	}
	return n, err
}

// Codes of an item that got another value while they were read are not put on sale: nobody
// knows which value they have. They are once they are uploaded again.
func TestValueChangesMeanwhile(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		o := stock.Options{Realm: realm.Test, Item: play, Batch: batch, Actor: ada}
		file := &meanwhile{strings.NewReader("code\nA\nB\n"), func() { check.OK(t, p.worth(play, 1000)) }}
		report, err := p.Import(t.Context(), file, o)
		check.Code(t, "of the value before", err, fault.InvalidState)
		if p.count(0); report.Added != 0 {
			t.Errorf("%+v", report)
		}
		report, err = p.Import(t.Context(), strings.NewReader("code\nA\nB\n"), o)
		if p.count(2); err != nil || report.Added != 2 {
			t.Errorf("of the value now: %+v, %v", report, err)
		}
	})
}

// Codes that were delivered before their item got another value are not put on sale, and do not
// wait for an order to be. What is sold, or kept apart, is nobody else's.
func TestValueChangesBeforeDelivered(t *testing.T) {
	for name, c := range map[string]struct {
		n     int
		as    stock.State
		spare stock.State
		want  error
	}{
		"sold, all of them":    {2, stock.Sold, stock.Available, nil},
		"sold, and one over":   {1, stock.Sold, stock.Available, storage.ErrStale},
		"sold, and one apart":  {1, stock.Sold, stock.Quarantined, nil},
		"reserved, as usual":   {2, stock.Reserved, stock.Available, storage.ErrStale},
		"reserved, with apart": {2, stock.Reserved, stock.Quarantined, nil},
	} {
		t.Run(name, func(t *testing.T) {
			eachEngine(t, func(t *testing.T, p *process) {
				received, err := p.Receive(t.Context(), stock.Delivery{Realm: realm.Test, Item: play, Supplier: "acme", Book: "bk_1", Order: "7", Spare: c.spare,
					Face: catalog.NewFace(500, money.USD), Codes: []stock.Delivered{{Text: pan.NewSecret("A")}, {Text: pan.NewSecret("B")}}})
				check.OK(t, err)
				check.OK(t, p.worth(play, 1000))
				if err := p.apply(received.Keep(c.n, c.as, p.clocks.Now(realm.Test))); !errors.Is(err, c.want) {
					t.Errorf("%v, want %v", err, c.want)
				}
				p.count(0)
			})
		})
	}
}

// Deliveries of several items, which share a transaction in whatever order they came, keep the
// items' values in one order: two of them never wait for each other.
func TestValuesKeptInOneOrder(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		const each = 300
		var (
			both sync.WaitGroup
			runs atomic.Int64 // more than once where one was a deadlock's victim
		)
		for _, items := range [][]catalog.ItemCode{{play, other}, {other, play}} {
			var effects []storage.Effect
			for _, item := range items {
				effects = append(effects, catalog.Keeps(item, catalog.NewFace(500, money.USD)))
			}
			both.Go(func() {
				for range each {
					if err := p.DB.Write(t.Context(), func(ctx context.Context, tx *storage.Tx) error {
						runs.Add(1)
						return tx.Apply(ctx, effects)
					}); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		both.Wait()
		if n := runs.Load(); n != 2*each {
			t.Errorf("%d transactions were %d", 2*each, n)
		}
	})
}

// Of an upload and another value for its item that come at once, in two processes, one is
// refused: no code is for sale as worth something else than it was uploaded as.
func TestValueChangesAtOnce(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		items := catalog.New(catalog.Deps{DB: p.DB, Audit: p.Audit, Clocks: p.Clocks, Logger: p.Logger})
		check.OK(t, items.Refresh(t.Context()))
		elsewhere := join(t, p.DB, items)
		for n := range 20 {
			item, start := catalog.ItemCode(fmt.Sprint("AT-ONCE-", n)), make(chan struct{})
			check.OK(t, p.worth(item, 500))
			check.OK(t, items.Refresh(t.Context()))
			lines := "code\n"
			for k := range 200 {
				lines += fmt.Sprintf("%sx%d\n", item, k)
			}
			var both sync.WaitGroup
			both.Go(func() {
				file := &meanwhile{strings.NewReader(lines), func() { close(start) }}
				_, err := elsewhere.Import(t.Context(), file, stock.Options{Realm: realm.Test, Item: item, Batch: batch, Actor: ada})
				if err != nil && fault.CodeOf(err) != fault.InvalidState {
					t.Error(err)
				}
			})
			both.Go(func() {
				<-start
				for range n { // sooner or later
					check.OK(t, p.worth(item, 500))
				}
				if err := p.worth(item, 1000); err != nil && fault.CodeOf(err) != fault.InvalidState {
					t.Error(err)
				}
			})
			both.Wait()
			now, err := p.Catalog.Find(t.Context(), item)
			check.OK(t, err)
			if count, err := p.Count(t.Context(), realm.Test, item); err != nil || now.Face.Minor == 1000 && count > 0 {
				t.Errorf("%d codes of 5 dollars are for sale as worth %s, %v", count, now.Face, err)
			}
		}
	})
}
