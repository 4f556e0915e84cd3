package cardpluspay_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/check"
)

// crowd puts n items into the catalog.
func (b *bundle) crowd(n int) {
	b.t.Helper()
	var text strings.Builder
	text.WriteString("item_code,name,brand,category,currency,value,region,countries\n")
	for i := range n {
		fmt.Fprintf(&text, "ITEM-%06d,Gift card %d of brand %d,Brand %d,Category %d,USD,%d.50,global,%s\n", i, i, i%100, i%100, i%10, i%200+1,
			[3]string{"US", "DE FR", ""}[i%3])
	}
	_, err := b.catalog.Import(context.Background(), strings.NewReader(text.String()), catalog.ImportOptions{Format: catalog.CSV, Actor: seeder})
	check.OK(b.t, err)
}

// BenchmarkCatalog is one page of the catalog from request to answer on SQLite, without the
// network: as long over 100,000 items as over 1,000, with the 99th percentile beside the mean.
func BenchmarkCatalog(b *testing.B) {
	pages := []struct{ name, query string }{
		{"page of 10", ""},
		{"page of 100", "per_page=100&page=3"},
		{"words", "q=gift+card+brand+1&per_page=50"},
		{"brand", "brand=Brand+7&sort_by=value"},
		{"values", "value_min=5&value_max=20&country_code=DE&sort_by=brand&order=desc&per_page=50"},
		{"item", "item_id=ITEM-000500"},
	}
	for _, n := range []int{1_000, 10_000, 100_000} {
		made := setup(b, testkit.Open(b, testkit.Database(b, "sqlite")))
		made.crowd(n)
		for _, page := range pages {
			b.Run(fmt.Sprintf("%s/%d", strings.ReplaceAll(page.name, " ", "_"), n), func(b *testing.B) {
				b.ReportAllocs()
				var took []time.Duration
				for b.Loop() {
					watch := clock.Start()
					if w := made.do("acme", "GET", "/v1/catalog?"+page.query, ""); w.Code != 200 {
						b.Fatalf("%d %s", w.Code, w.Body)
					}
					took = append(took, watch.Elapsed())
				}
				slices.Sort(took)
				b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
			})
		}
	}
}
