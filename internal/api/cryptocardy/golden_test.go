package cryptocardy_test

import (
	"context"
	"fmt"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/api/wiretest"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/webhook"
)

const goldens = "testdata/*.txtar"

// Every call and every rule of the contract answers as its golden file says, on both
// engines and as the document says, and leaves behind the movements and events shown.
func TestGoldens(t *testing.T) {
	document := wiretest.Load(t, contract(t))
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		engine := db.Engine()
		wiretest.RunAll(t, goldens, func(t *testing.T) wiretest.Golden {
			b := setup(t, testkit.Open(t, testkit.Database(t, engine)))
			t.Cleanup(func() {
				b.quiet()
				b.verified()
			})
			return b.golden(document)
		})
	})
}

func (b *bundle) golden(document *wiretest.Document) wiretest.Golden {
	told, moved := map[webhook.EventID]bool{}, map[ledger.BookID]int64{}
	b.told(told)
	b.moved(moved)
	vars := map[string]string{"receiver": b.receiver.URL}
	for name, seed := range b.seeds {
		vars[name] = seed
	}
	return wiretest.Golden{
		Handler: b.masked(), Document: document, Vars: vars, Headers: []string{"Cache-Control"},
		Rules: []wiretest.Rule{
			{Name: "challenge", Pattern: regexp.MustCompile(`\b3ds_[0-7][0-9a-hjkmnp-tv-z]{25}\b`)},
			{Name: "seed", Pattern: regexp.MustCompile(`"seed":"([0-9a-f]{4}(?:-[0-9a-f]{4}){3})"`)},
			{Name: "secret", Pattern: regexp.MustCompile(`"secret":"(whsec_[^"]+)"`)},
			{Name: "number", Pattern: regexp.MustCompile(`"(?:card_number|pan)":"([0-9 ]+)"`)},
			{Name: "last", Pattern: regexp.MustCompile(`"last4":"([0-9]{4})"`)},
			{Name: "tx", Pattern: regexp.MustCompile(`"tx_hash":"([^"]+)"`)},
			{Name: "code", Pattern: regexp.MustCompile(`"(?:otp|approval_code)":"([0-9]{6})"`)},
		},
		Prepare: func(_ testing.TB, r *http.Request, body []byte) {
			if len(body) > 0 && r.Header.Get("Content-Type") == "" {
				r.Header.Set("Content-Type", "application/json")
			}
		},
		Sections: map[string]func(testing.TB, string) string{
			"events":  func(testing.TB, string) string { return b.told(told) },
			"entries": func(testing.TB, string) string { return b.moved(moved) },
		},
		Actions: b.actions(),
	}
}

// masked hides what no rule can: a CVV is too short to be told from other digits.
func (b *bundle) masked() http.Handler {
	code := regexp.MustCompile(`"cvv":"[0-9]{3}"`)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got := httptest.NewRecorder()
		b.handler.ServeHTTP(got, r)
		maps.Copy(w.Header(), got.Header())
		w.WriteHeader(got.Code)
		_, _ = w.Write(code.ReplaceAll(got.Body.Bytes(), []byte(`"cvv":"000"`))) // a recorder takes everything
	})
}

// actions are what happens between requests.
func (b *bundle) actions() map[string]func(testing.TB, []string) {
	return map[string]func(testing.TB, []string){
		"wait": func(_ testing.TB, args []string) {
			d, err := time.ParseDuration(args[0])
			b.must(err)
			b.clock.Advance(d)
		},
		"revoke": func(t testing.TB, args []string) { b.must(b.Accounts.RevokeSeed(t.Context(), seeder, b.refs[args[0]])) },
		"suspend": func(t testing.TB, _ []string) {
			b.must(second(b.Accounts.Suspend(t.Context(), seeder, b.acme.ID, "unpaid")))
		},
		"stop": func(testing.TB, []string) { b.Cards.Programme.IssuingOn = false },
		"sweep": func(t testing.TB, _ []string) {
			b.must(second(b.Payments.Expire(t.Context())))
			b.must(second(b.Cards.Expire(t.Context())))
		},
	}
}

func second[T any](_ T, err error) error { return err }

func (b *bundle) customers() []account.Customer { return []account.Customer{b.acme, b.rival} }

// told lists the events since it was last asked.
func (b *bundle) told(told map[webhook.EventID]bool) string {
	var out strings.Builder
	for _, customer := range b.customers() {
		for _, book := range []ledger.BookID{customer.Test, customer.Live} {
			found, err := b.Webhooks.Outbox.List(context.Background(), webhook.EventFilter{Book: book, Limit: webhook.MaxLimit})
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

// moved lists the movements since it was last asked.
func (b *bundle) moved(seen map[ledger.BookID]int64) string {
	var out strings.Builder
	for _, customer := range b.customers() {
		found, err := b.books.ListTransactions(context.Background(), customer.Test, math.MaxInt64, 200)
		b.must(err)
		for i := range found {
			o := found[len(found)-1-i]
			if o.Seq <= seen[customer.Test] {
				continue
			}
			seen[customer.Test] = o.Seq
			for _, m := range o.Moves {
				fmt.Fprintf(&out, "%s %s %s > %s posted %s held %s\n", customer.Name, o.Kind, m.Debit, m.Credit, m.Posted, money.New(m.Held, m.Posted.Currency))
			}
		}
	}
	return out.String()
}

var wordOf = regexp.MustCompile(`"error":"([a-z_]+)"`)

// unreachable are the words that no golden request leads to, with the reason or the test
// that does; TestErrorTable renders them all.
var unreachable = map[string]string{"rate_limited": "TestLimits", "internal_error": "a mistake", "unavailable": "TestRatesAreDown"}

// elsewhere names the routes whose answers are not text, with the test that has them.
var elsewhere = map[string]string{"cards.statement_pdf": "TestStatementPDF", "wallet.statement_pdf": "TestStatementPDF"}

// No route is without a golden success, and no word that can be reached without a golden refusal.
func TestGoldensCover(t *testing.T) {
	surface := newSurface(t)
	mux, missing, names := http.NewServeMux(), map[string]bool{}, map[string]string{}
	for _, r := range surface.Routes() {
		mux.Handle(r.Method+" "+r.Path, http.NotFoundHandler())
		names[r.Method+" "+r.Path] = r.Name
		missing[r.Name] = elsewhere[r.Name] == ""
	}
	for _, verdict := range surface.Table() {
		missing[verdict.Code] = unreachable[verdict.Code] == ""
	}
	for _, x := range wiretest.Steps(t, goldens, wordOf) {
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
		t.Errorf("routes without a golden success and words without a golden refusal: %s", diff)
	}
}
