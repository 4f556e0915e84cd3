package webhook

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/testkit"
)

// BenchmarkDeliver measures how fast events reach one endpoint that takes so long for each.
func BenchmarkDeliver(b *testing.B) {
	for _, engine := range testkit.Engines() {
		for _, takes := range []time.Duration{time.Millisecond, 100 * time.Millisecond} {
			b.Run(fmt.Sprintf("%s/%s", engine, takes), func(b *testing.B) {
				p := setup(b, testkit.Open(b, testkit.Database(b, engine)), Config{})
				r := newReceiver(b, func(w http.ResponseWriter, q *http.Request) {
					if clock.Wait(q.Context(), takes) == nil {
						w.WriteHeader(http.StatusNoContent)
					}
				})
				p.create(r, SchemeCardPing, "*")
				for range b.N {
					p.emit("ping.completed")
				}
				b.ResetTimer()
				p.start()
				for range b.N {
					<-r.arrived
				}
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
			})
		}
	}
}
