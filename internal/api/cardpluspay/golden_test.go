package cardpluspay_test

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/api/wiretest"
	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/order/claim"
	"github.com/scripcards/scrip/internal/order/supply"
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
			t.Cleanup(b.quiet)
			return b.golden(document)
		})
	})
}

func (b *bundle) golden(document *wiretest.Document) wiretest.Golden {
	told, moved := map[webhook.EventID]bool{}, map[ledger.BookID]int64{}
	b.told(told)
	b.moved(moved)
	vars := map[string]string{"unknown_key": "cp_test_sk_" + strings.Repeat("x", 32)}
	for name, key := range b.keys {
		vars[name] = key
	}
	return wiretest.Golden{
		Handler: b.signedFor(), Document: document, Vars: vars, Headers: []string{"ETag"},
		Rules: []wiretest.Rule{
			{Name: "etag", Pattern: regexp.MustCompile(`ETag: ("[0-9a-f]{32}")`)},
			{Name: "picture", Pattern: regexp.MustCompile(`/images/([0-9a-f]{64})"`)},
			{Name: "chl", Pattern: regexp.MustCompile(`"(chl_[A-Za-z0-9_-]+)"`)},
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
		Actions: map[string]func(testing.TB, []string){
			"wait": func(_ testing.TB, args []string) {
				d, err := time.ParseDuration(args[0])
				b.must(err)
				b.clock.Advance(d)
			},
			"revoke": func(t testing.TB, args []string) {
				b.must(b.Accounts.RevokeKey(t.Context(), seeder, b.refs[args[0]]))
			},
			"suspend": func(t testing.TB, _ []string) {
				_, err := b.Accounts.Suspend(t.Context(), seeder, b.acme.ID, "unpaid")
				b.must(err)
			},
			"sign": func(testing.TB, []string) { b.sign(b.acme.Test) },
			// decide CLAIM replaced|refunded|rejected: an operator's decision
			"decide": func(t testing.TB, args []string) {
				found, err := b.Claims.OfOrder(t.Context(), b.acme.Test, 1)
				b.must(err)
				n, err := strconv.Atoi(args[0])
				b.must(err)
				_, err = b.Claims.Decide(t.Context(), claim.Decision{Book: b.acme.Test, Claim: found[n-1].ID, Verdict: claim.Verdict(args[1]),
					Reason: "redeemed by its holder", Actor: seeder})
				b.must(err)
			},
			"freeze": func(t testing.TB, _ []string) {
				_, err := b.books.Submit(t.Context(), ledger.Operation{Book: b.acme.Test, Kind: "test.freeze", At: b.clock.Now(),
					States: []ledger.StateChange{{Account: "wallet/USD", To: ledger.Frozen}}})
				b.must(err)
			},
			"supplied": func(_ testing.TB, args []string) {
				b.supplied()
				b.slow.behave(supply.State(args[0]))
			},
			"delivers": func(testing.TB, []string) {
				b.slow.behave(supply.Delivered)
				b.later()
			},
			"range": func(testing.TB, []string) { b.spread() },
			"picture": func(t testing.TB, args []string) {
				_, err := b.catalog.SetImage(t.Context(), catalog.ItemCode(args[0]), drawing(t), seeder)
				b.must(err)
			},
			"retire": func(t testing.TB, _ []string) {
				_, err := b.catalog.Retire(t.Context(), google, seeder)
				b.must(err)
			},
		},
	}
}

// signedFor signs a request's challenge where the request says so.
func (b *bundle) signedFor() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-API-Signature") == "right" {
			r.Header.Set("X-API-Signature", b.signature(r.Header.Get("X-API-Challenge")))
		}
		b.handler.ServeHTTP(w, r)
	})
}

func (b *bundle) customers() []account.Customer { return []account.Customer{b.acme, b.rival} }

// told lists the events since it was last asked.
func (b *bundle) told(told map[webhook.EventID]bool) string {
	var out strings.Builder
	for _, customer := range b.customers() {
		for _, book := range []ledger.BookID{customer.Test, customer.Live} {
			found, err := b.hooks.Outbox.List(context.Background(), webhook.EventFilter{Book: book, Limit: webhook.MaxLimit})
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
				fmt.Fprintf(&out, "%s %s %s > %s %s %s\n", customer.Name, o.Kind, m.Debit, m.Credit, m.Posted, m.Posted.Currency)
			}
		}
	}
	return out.String()
}

// No route is without a golden success, and no status of the error table that can be
// reached without a golden refusal.
func TestGoldensCover(t *testing.T) {
	surface := newSurface(t)
	mux, missing, names := http.NewServeMux(), map[string]bool{}, map[string]string{}
	for _, r := range surface.Routes() {
		mux.Handle(r.Method+" "+r.Path, http.NotFoundHandler())
		names[r.Method+" "+r.Path] = r.Name
		missing[r.Name] = true
	}
	// Of the others, 429, 500, 503 and 504 need load, a mistake or time: TestErrorTable renders them.
	for _, status := range []string{"400", "401", "403", "404", "405", "409", "413", "415", "422"} {
		missing[status] = status != "413" // TestBodyTooLarge
	}
	for _, x := range wiretest.Steps(t, goldens, nil) {
		missing[x.Status] = false
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
		t.Errorf("routes without a golden success and statuses without a golden refusal: %s", diff)
	}
}
