package wire

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/platform/limit"
)

// drawLimits are limits that allow a call of ten at once.
func drawLimits(t *rapid.T, name string, by By) Limit {
	l := Limit{Name: name, By: by}
	for i := range rapid.IntRange(1, 2).Draw(t, name+" windows") {
		most := rapid.IntRange(10, 40).Draw(t, name+" limit")
		l.Windows = append(l.Windows, Window{Limit: most, Per: time.Duration(rapid.IntRange(1, 120).Draw(t, name+" seconds"))*time.Second + time.Duration(i)*time.Hour})
	}
	return l
}

// Who comes again when a call that counts several times said so is not refused once more. That
// it is one is not known to what is refused before its body was read.
func TestChargeAgain(t *testing.T) {
	at := clock.NewManual(time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC))
	rapid.Check(t, func(r *rapid.T) {
		limits := limit.NewLocal(at)
		b := setup(t, Options{Take: limits.Take, Look: limits.Look, Clock: at}, func(d *Dialect[string]) {
			d.Limits = []Limit{drawLimits(r, "address", ByAddress), drawLimits(r, "key", ByPrincipal)}
		})
		counted := false
		Handle(b.Surface, Spec{Name: "batch", Method: "POST", Path: "/v1/batch"}, func(ctx context.Context, c *Call[string], in struct {
			Items int `json:"items"`
		}) (None, error) {
			counted = true
			return None{}, c.Charge(ctx, in.Items-1)
		})
		b.mount()
		for range 20 {
			at.Advance(time.Duration(rapid.IntRange(0, 20_000).Draw(r, "pause")) * time.Millisecond)
			body := fmt.Sprintf(`{"items":%d}`, rapid.IntRange(1, 10).Draw(r, "items"))
			counted = false
			w := b.do("POST", "/v1/batch", body)
			if w.Code != http.StatusTooManyRequests || !counted {
				continue
			}
			seconds, err := strconv.Atoi(w.Header().Get("Retry-After"))
			if err != nil {
				r.Fatal(err)
			}
			at.Advance(time.Duration(seconds) * time.Second)
			if again := b.do("POST", "/v1/batch", body); again.Code != http.StatusOK {
				r.Fatalf("%s, again after %d seconds: %d, and after %s more", body, seconds, again.Code, again.Header().Get("Retry-After"))
			}
		}
	})
}
