package cryptocardy_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/api/wiretest"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/testkit/trace"
)

// Every call and every rule of the contract answers as its golden file says, on both
// engines and as the document says, and leaves behind the movements and events shown.
func TestGoldens(t *testing.T) {
	wiretest.RunAll(t, contract(t), func(t *testing.T, db *storage.DB) wiretest.Golden {
		b := setup(t, db)
		t.Cleanup(func() {
			b.quiet()
			b.verified()
		})
		return b.golden()
	})
}

func (b *bundle) golden() wiretest.Golden {
	told, moved := trace.Events(b.Webhooks.Outbox, b.acme.Test, b.acme.Live, b.rival.Test, b.rival.Live), trace.Transactions(b.books)
	told(b.t, "")
	b.moved(b.t, moved)
	vars := map[string]string{"receiver": b.receiver.URL}
	for name, seed := range b.seeds {
		vars[name] = seed
	}
	return wiretest.Golden{
		Handler: b.masked(), Vars: vars, Headers: []string{"Cache-Control"},
		Rules: []wiretest.Rule{
			{Name: "challenge", Pattern: regexp.MustCompile(`\b3ds_[0-7][0-9a-hjkmnp-tv-z]{25}\b`)},
			{Name: "seed", Pattern: regexp.MustCompile(`"seed":"([0-9a-f]{4}(?:-[0-9a-f]{4}){3})"`)},
			{Name: "secret", Pattern: regexp.MustCompile(`"secret":"(whsec_[^"]+)"`)},
			{Name: "number", Pattern: regexp.MustCompile(`"(?:card_number|pan)":"([0-9 ]+)"`)},
			{Name: "last", Pattern: regexp.MustCompile(`"last4":"([0-9]{4})"`)},
			{Name: "tx", Pattern: regexp.MustCompile(`"tx_hash":"([^"]+)"`)},
			{Name: "code", Pattern: regexp.MustCompile(`"(?:otp|approval_code)":"([0-9]{6})"`)},
		},
		Prepare: wiretest.AsJSON,
		Sections: map[string]func(testing.TB, string) string{
			"events":  told,
			"entries": func(t testing.TB, _ string) string { return b.moved(t, moved) },
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
			check.OK(b.t, err)
			b.clock.Advance(d)
		},
		"revoke": func(t testing.TB, args []string) {
			check.OK(b.t, b.Accounts.RevokeSeed(t.Context(), seeder, b.refs[args[0]]))
		},
		"suspend": func(t testing.TB, _ []string) {
			check.OK(b.t, second(b.Accounts.Suspend(t.Context(), seeder, b.acme.ID, "unpaid")))
		},
		"stop": func(testing.TB, []string) { b.Cards.Programme.IssuingOn = false },
		"sweep": func(t testing.TB, _ []string) {
			check.OK(b.t, second(b.Payments.Expire(t.Context())))
			check.OK(b.t, second(b.Cards.Expire(t.Context())))
		},
	}
}

func second[T any](_ T, err error) error { return err }

// moved lists the movements since it was last asked.
func (b *bundle) moved(t testing.TB, fresh func(testing.TB, ledger.BookID) []ledger.Outcome) string {
	var out strings.Builder
	for _, customer := range []account.Customer{b.acme, b.rival} {
		for _, o := range fresh(t, customer.Test) {
			for _, m := range o.Moves {
				fmt.Fprintf(&out, "%s %s %s > %s posted %s held %s\n", customer.Name, o.Kind, m.Debit, m.Credit, m.Posted, money.New(m.Held, m.Posted.Currency))
			}
		}
	}
	return out.String()
}

var wordOf = regexp.MustCompile(`"error":"([a-z_]+)"`)

// elsewhere are the routes whose answers are not text, and the words that no golden request
// leads to, with the reason or the test that does; TestErrorTable renders all words.
var elsewhere = map[string]string{"cards.statement_pdf": "TestStatementPDF", "wallet.statement_pdf": "TestStatementPDF",
	"rate_limited": "TestLimits", "internal_error": "a mistake", "unavailable": "TestRatesAreDown"}

// No route is without a golden success, and no word that can be reached without a golden refusal.
func TestGoldensCover(t *testing.T) {
	s := newSurface(t)
	wiretest.CheckCover(t, wiretest.Cover{Routes: s.Routes(), Refusals: wiretest.Words(s.Table()), Word: wordOf, Elsewhere: elsewhere})
}
