package cardping_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/api/wiretest"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/webhook"
)

const goldens = "testdata/*.txtar"

// Every call and every rule of the contract answers as its golden file says, on both
// engines and as the document says, and leaves behind the events shown.
func TestGoldens(t *testing.T) {
	document := wiretest.Load(t, contract(t))
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		engine := db.Engine()
		wiretest.RunAll(t, goldens, func(t *testing.T) wiretest.Golden {
			b := setup(t, testkit.Open(t, testkit.Database(t, engine)))
			t.Cleanup(b.quiet)
			return b.golden(document)
		})
	})
}

func (b *bundle) golden(document *wiretest.Document) wiretest.Golden {
	told := map[webhook.EventID]bool{}
	vars := map[string]string{"receiver": b.receiver.URL, "unknown_key": "cp_test_sk_" + strings.Repeat("x", 32)}
	for name, key := range b.keys {
		vars[name] = key
	}
	return wiretest.Golden{
		Handler: b.counted(), Document: document, Vars: vars, Headers: []string{"Age"},
		Rules: []wiretest.Rule{
			{Name: "secret", Pattern: regexp.MustCompile(`"secret":"([^"]+)"`)},
			{Name: "proof", Pattern: regexp.MustCompile(`"scrip-portal=([a-z2-7]{26})"`)},
			{Name: "card", Pattern: regexp.MustCompile(`"card_id":"([^"]+)"`)},
		},
		Prepare: func(_ testing.TB, r *http.Request, body []byte) {
			if len(body) > 0 && r.Header.Get("Content-Type") == "" {
				r.Header.Set("Content-Type", "application/json")
			}
		},
		Sections: map[string]func(testing.TB, string) string{"events": func(_ testing.TB, step string) string {
			if strings.HasPrefix(step, "batch_") {
				return "" // in any order
			}
			return b.told(told)
		}},
		Actions: map[string]func(testing.TB, []string){
			"wait": func(_ testing.TB, args []string) {
				d, err := time.ParseDuration(args[0])
				b.must(err)
				b.clock.Advance(d)
			},
			"dns":     func(_ testing.TB, args []string) { b.dns.Set(args[0], args[1:]...) },
			"silence": func(testing.TB, []string) { b.dns.Break(true) },
			"revoke": func(t testing.TB, args []string) {
				b.must(b.Accounts.RevokeKey(t.Context(), seeder, b.refs[args[0]]))
			},
			"suspend": func(t testing.TB, _ []string) {
				_, err := b.Accounts.Suspend(t.Context(), seeder, b.acme.ID, "unpaid")
				b.must(err)
			},
			"disable": func(t testing.TB, args []string) {
				_, err := b.Webhooks.Disable(t.Context(), webhook.Change{Book: b.acme.Test, Endpoint: webhook.EndpointID(args[0]), Actor: seeder}, "complaints")
				b.must(err)
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

// told lists the events since it was last asked.
func (b *bundle) told(told map[webhook.EventID]bool) string {
	var out strings.Builder
	for _, customer := range []account.Customer{b.acme, b.rival} {
		for _, book := range []ledger.BookID{customer.Test, customer.Live} {
			found, err := b.Webhooks.Outbox.List(b.t.Context(), webhook.EventFilter{Book: book, Limit: webhook.MaxLimit})
			b.must(err)
			for i := range found {
				e := found[len(found)-1-i]
				if !told[e.ID] {
					told[e.ID] = true
					fmt.Fprintf(&out, "%s %s %s\n", e.Realm, e.Type, e.Data)
				}
			}
		}
	}
	return out.String()
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
	surface := newSurface(t)
	mux, missing, names := http.NewServeMux(), map[string]bool{}, map[string]string{}
	for _, r := range surface.Routes() {
		mux.Handle(r.Method+" "+r.Path, http.NotFoundHandler())
		names[r.Method+" "+r.Path] = r.Name
		missing[r.Name] = true
	}
	for _, verdict := range surface.Table() {
		missing[verdict.Code] = unreachable[verdict.Code] == ""
	}
	for _, x := range wiretest.Steps(t, goldens, codeOf) {
		missing[x.Word] = false
		if !strings.HasPrefix(x.Status, "2") {
			continue
		}
		r, err := http.NewRequest(x.Method, "http://x"+strings.NewReplacer("{{", "", "}}", "").Replace(x.Target), nil)
		if err != nil {
			t.Fatalf("%s: %v", x.Where, err)
		}
		_, pattern := mux.Handler(r)
		missing[names[pattern]] = false
	}
	var bare []string
	for name, is := range missing {
		if is {
			bare = append(bare, name)
		}
	}
	if diff := cmp.Diff([]string(nil), bare); diff != "" {
		t.Errorf("routes without a golden success and codes without a golden refusal: %s", diff)
	}
}
