package catalog_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/testkit/check"
)

// stocked returns a catalog of n products.
func stocked(b *testing.B, n int) *process {
	b.Helper()
	p := join(b, testkitOpen(b))
	products := crowd(n)
	var text strings.Builder
	text.WriteString(strings.Join(catalog.Columns(), ",") + "\n")
	for i := range products {
		text.WriteString(strings.Join(products[i].ExportRow(), ",") + "\n")
	}
	_, err := p.Import(context.Background(), strings.NewReader(text.String()), catalog.ImportOptions{Format: catalog.CSV, Actor: ada})
	check.OK(b, err)
	return p
}

// BenchmarkSearch shows that pages take as long over 100,000 products as over 1,000, with
// the 99th percentile of every kind of search beside the mean.
func BenchmarkSearch(b *testing.B) {
	low, high := value(b, "5"), value(b, "20")
	searches := map[string]catalog.Filter{
		"all":     {PerPage: 100},
		"deep":    {PerPage: 100, Page: 9, Sort: catalog.ByBrand, Descending: true},
		"code":    {Item: "ITEM-000500"},
		"brand":   {Brand: "Brand 7", Sort: catalog.ByValue},
		"words":   {Query: "gift card brand 1", PerPage: 100},
		"letter":  {Query: "g", Sort: catalog.ByValue},
		"values":  {ValueMin: low, ValueMax: high, Sort: catalog.ByValue, PerPage: 100},
		"several": {Query: "gift", Country: "DE", Currency: money.USD, Delivery: catalog.Digital, ValueMin: low, Region: "global", Sort: catalog.ByCategory, PerPage: 100},
		"recent":  {UpdatedSince: epoch, Query: "card"},
	}
	for _, n := range []int{1_000, 100_000} {
		p := stocked(b, n)
		for name, f := range searches {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				b.ReportAllocs()
				var took []time.Duration
				for b.Loop() {
					watch := clock.Start()
					if _, err := p.Search(context.Background(), f); err != nil {
						b.Fatal(err)
					}
					took = append(took, watch.Elapsed())
				}
				slices.Sort(took)
				b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
			})
		}
	}
}

// BenchmarkPut is how long one change of a catalog of 100,000 products takes, the index included.
func BenchmarkPut(b *testing.B) {
	p := stocked(b, 100_000)
	for i := 0; b.Loop(); i++ {
		p.put(item("CHANGING", fmt.Sprintf("Name %d", i), "Brand", 100))
	}
}
