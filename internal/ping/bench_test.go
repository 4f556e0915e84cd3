package ping_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/scripcards/scrip/internal/ping"
	"github.com/scripcards/scrip/internal/testkit"
)

// BenchmarkPing measures durable checks of one book's cards, quota and events included, by
// so many callers at once: through the lanes, and each in a transaction of its own.
func BenchmarkPing(b *testing.B) {
	for _, engine := range testkit.Engines() {
		for _, callers := range []int{1, 64, 256} {
			b.Run(fmt.Sprintf("%s/folded/%d", engine, callers), func(b *testing.B) {
				benchmarkPing(b, engine, callers, func(p *process, c ping.Check) error {
					_, err := p.Ping(context.Background(), c)
					return err
				})
			})
			b.Run(fmt.Sprintf("%s/alone/%d", engine, callers), func(b *testing.B) {
				benchmarkPing(b, engine, callers, func(p *process, c ping.Check) error { return p.RecordAlone(context.Background(), c) })
			})
		}
	}
}

func benchmarkPing(b *testing.B, engine string, callers int, do func(*process, ping.Check) error) {
	p := setup(b, testkit.Open(b, testkit.Database(b, engine)), with(strict), with(func(p *ping.Policy) { p.Quota = 1 << 40 }))
	cards := p.pool(desk)
	var next atomic.Int64
	b.ReportAllocs()
	b.ResetTimer()
	b.SetParallelism(max(1, callers/2))
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			n := int(next.Add(1))
			if err := do(p, asking(desk, "scrip", cards[n%len(cards)].number, "")); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "pings/s")
}
