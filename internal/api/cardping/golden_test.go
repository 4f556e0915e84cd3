package cardping_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/api/wiretest"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/testkit/trace"
	"github.com/scripcards/scrip/internal/webhook"
)

// Every call and every rule of the contract answers as its golden file says, on both
// engines and as the document says, and leaves behind the events shown.
func TestGoldens(t *testing.T) {
	wiretest.RunAll(t, contract(t), func(t *testing.T, db *storage.DB) wiretest.Golden {
		b := setup(t, db)
		t.Cleanup(b.quiet)
		return b.golden()
	})
}

func (b *bundle) golden() wiretest.Golden {
	told := trace.Events(b.Webhooks.Outbox, b.acme.Test, b.acme.Live, b.rival.Test, b.rival.Live)
	vars := map[string]string{"receiver": b.receiver.URL, "unknown_key": "cp_test_sk_" + strings.Repeat("x", 32)}
	for name, key := range b.keys {
		vars[name] = key
	}
	return wiretest.Golden{
		Handler: b.counted(), Vars: vars, Headers: []string{"Age"},
		Rules: []wiretest.Rule{
			{Name: "secret", Pattern: regexp.MustCompile(`"secret":"([^"]+)"`)},
			{Name: "proof", Pattern: regexp.MustCompile(`"scrip-portal=([a-z2-7]{26})"`)},
			{Name: "card", Pattern: regexp.MustCompile(`"card_id":"([^"]+)"`)},
		},
		Prepare: wiretest.AsJSON,
		Sections: map[string]func(testing.TB, string) string{"events": func(t testing.TB, step string) string {
			if strings.HasPrefix(step, "batch_") {
				return "" // in any order
			}
			return told(t, step)
		}},
		Actions: map[string]func(testing.TB, []string){
			"wait": func(_ testing.TB, args []string) {
				d, err := time.ParseDuration(args[0])
				check.OK(b.t, err)
				b.clock.Advance(d)
			},
			"dns":     func(_ testing.TB, args []string) { b.dns.Set(args[0], args[1:]...) },
			"silence": func(testing.TB, []string) { b.dns.Break(true) },
			"revoke": func(t testing.TB, args []string) {
				check.OK(b.t, b.Accounts.RevokeKey(t.Context(), seeder, b.refs[args[0]]))
			},
			"suspend": func(t testing.TB, _ []string) {
				_, err := b.Accounts.Suspend(t.Context(), seeder, b.acme.ID, "unpaid")
				check.OK(b.t, err)
			},
			"disable": func(t testing.TB, args []string) {
				_, err := b.Webhooks.Disable(t.Context(), webhook.Change{Book: b.acme.Test, Endpoint: webhook.EndpointID(args[0]), Actor: seeder}, "complaints")
				check.OK(b.t, err)
			},
		},
	}
}

// counted fails the test when an answer does not say where its caller is in the limits.
func (b *bundle) counted() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.handler.ServeHTTP(w, r)
		for _, name := range []string{"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"} {
			if value := w.Header().Get(name); !regexp.MustCompile(`^[0-9]+$`).MatchString(value) {
				b.t.Errorf("%s %s: %s is %q", r.Method, r.URL.Path, name, value)
			}
		}
	})
}

var codeOf = regexp.MustCompile(`"code":"([a-z_]+)"`)

// unreachable are the codes that no golden request leads to, with the reason or the
// test that does; TestErrorTable renders them all.
var unreachable = map[string]string{
	"body_too_large": "TestBodyTooLarge",
	"rate_limited":   "TestLimits",
	"quota_exceeded": "TestQuota",
	"internal_error": "a mistake",
	"overloaded":     "TestOverloaded",
	"timeout":        "time",
}

// No route is without a golden success, and no code that can be reached without a golden refusal.
func TestGoldensCover(t *testing.T) {
	s := newSurface(t)
	wiretest.CheckCover(t, wiretest.Cover{Routes: s.Routes(), Refusals: wiretest.Words(s.Table()), Word: codeOf, Elsewhere: unreachable})
}
