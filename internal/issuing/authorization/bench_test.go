package authorization_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/issuing/authorization"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/crowd"
)

// BenchmarkAuthorize decides payments by many callers at once: with one card, and with a
// thousand cards of two books.
func BenchmarkAuthorize(b *testing.B) {
	for _, engine := range testkit.Engines() {
		for _, cards := range []int{1, 1000} {
			b.Run(fmt.Sprintf("%s/cards=%d", engine, cards), func(b *testing.B) {
				p := setup(b, testkit.Open(b, testkit.Database(b, engine)))
				requests := benchCards(b, p, cards)
				var next atomic.Int64
				b.SetParallelism(64)
				b.ResetTimer()
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						n := next.Add(1)
						r := requests[int(n)%len(requests)]
						r.Key = fmt.Sprint("bench-", n)
						d, err := p.Authorize(context.Background(), r)
						if err != nil || !d.Approved {
							b.Errorf("payment %d: %+v, %v", n, d, err)
							return
						}
					}
				})
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "payments/s")
			})
		}
	}
}

// BenchmarkDecline declines payments for want of money.
func BenchmarkDecline(b *testing.B) {
	p := setup(b, testkit.Open(b, testkit.Database(b, "sqlite")))
	r := benchCards(b, p, 1)[0]
	r.Amount = usd(500_000)
	var next atomic.Int64
	b.SetParallelism(64)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			one := r
			one.Key = fmt.Sprint("bench-", next.Add(1))
			if d, err := p.Authorize(context.Background(), one); err != nil || d.Reason != authorization.ReasonFunds {
				b.Errorf("%+v, %v", d, err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "declines/s")
}

// BenchmarkHistory reads a page of a card that paid twenty times, in a book in which another
// one paid so many times.
func BenchmarkHistory(b *testing.B) {
	for _, engine := range testkit.Engines() {
		for _, others := range []int{1_000, 10_000} {
			b.Run(fmt.Sprintf("%s/others=%d", engine, others), func(b *testing.B) {
				p := setup(b, testkit.Open(b, testkit.Database(b, engine)))
				busy, quiet := p.issue(ann, binAds, 50_000), p.issue(ann, binAds, 50_000)
				pay := func(c card, times int) {
					crowd.AtOnce(min(times, 64), func(worker int) {
						for n := worker; n < times; n += 64 {
							one := p.request(c, 1, ads)
							one.Key = fmt.Sprint(c.ID, n)
							if d, err := p.Authorize(b.Context(), one); err != nil || !d.Approved {
								b.Errorf("%+v, %v", d, err)
							}
						}
					})
				}
				pay(busy, others)
				pay(quiet, 20)
				for b.Loop() {
					page, err := p.List(b.Context(), authorization.Filter{Book: ann.Book, Card: quiet.ID})
					if err != nil || page.Total != 20 || len(page.Transactions) != 20 {
						b.Fatalf("%d of %d, %v", len(page.Transactions), page.Total, err)
					}
				}
			})
		}
	}
}

// benchCards returns requests for a cent of each of as many cards.
func benchCards(b *testing.B, p *process, n int) []authorization.Request {
	b.Helper()
	requests := make([]authorization.Request, n)
	for i := range requests {
		h := []issuing.Holder{ann, bob}[i%2]
		c := p.issue(h, binAds, 50_000)
		requests[i] = p.request(c, 1, ads)
	}
	return requests
}
