package cardcoins_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/api/cardcoins"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/api/wiretest"
	"github.com/scripcards/scrip/internal/cashout"
	"github.com/scripcards/scrip/internal/cashout/customer"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit/cashdesk"
	"github.com/scripcards/scrip/internal/webhook"
)

// front is the dialect before a desk of the test realm.
type front struct {
	*cashdesk.Desk
	handler http.Handler
	surface interface {
		Routes() []wire.Route
		Table() map[fault.Code]wire.Verdict
	}
	banned   bool
	broken   error
	seen     map[webhook.EventID]bool
	moved    int64
	tokens   []string
	perLimit int
}

func setup(t testing.TB, db *storage.DB) *front {
	t.Helper()
	f := &front{Desk: cashdesk.Open(t, db), seen: map[webhook.EventID]bool{}, perLimit: 100_000}
	f.mount()
	return f
}

// mount makes the handler from what the desk is now.
func (f *front) mount() {
	kit := wire.NewKit(wire.Options{Clock: f.Clock, Logger: slog.New(slog.NewTextHandler(f.Log, nil)), Take: f.Limits.Take, Block: f.Limits.Block, Blocked: f.Limits.Blocked})
	s := cardcoins.New(kit, cardcoins.Deps{Orders: f.Service, Realm: realm.Test, Take: f.Limits.Take, Look: f.Limits.Look, Block: f.Limits.Block, Clock: f.Clock, PerMinute: f.perLimit,
		Place: func(context.Context, netip.Addr) error {
			if f.broken != nil {
				return f.broken
			}
			if f.banned {
				return fault.New(fault.PermissionDenied, "not there")
			}
			return nil
		}})
	mux := http.NewServeMux()
	s.Mount(mux)
	f.surface, f.handler = s, mux
}

// send makes a request as curl does: JSON sent as a form.
func (f *front) send(method, target, body, from string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.RemoteAddr = from + ":4711"
	if body != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	w := httptest.NewRecorder()
	f.handler.ServeHTTP(w, r)
	return w
}

var tokenOf = regexp.MustCompile(`"order_id":"([A-Za-z0-9]{20})"`)

// golden plays a file with what a test does between requests.
func (f *front) golden() wiretest.Golden {
	return wiretest.Golden{
		Handler: http.HandlerFunc(f.listen), AnyMedia: true,
		Rules: []wiretest.Rule{{Name: "order", Pattern: tokenOf}},
		Prepare: func(_ testing.TB, r *http.Request, body []byte) {
			r.RemoteAddr = "192.0.2.7:4711"
			if len(body) > 0 && r.Header.Get("Content-Type") == "" {
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			}
		},
		Sections: map[string]func(testing.TB, string) string{
			"events":  func(testing.TB, string) string { return f.events() },
			"entries": func(testing.TB, string) string { return f.entries() },
		},
		Actions: f.actions(),
	}
}

// listen serves a request and remembers the orders that were made, whose codes are 4321.
func (f *front) listen(w http.ResponseWriter, r *http.Request) {
	got := httptest.NewRecorder()
	f.handler.ServeHTTP(got, r)
	for name, values := range got.Header() {
		w.Header()[name] = values
	}
	if m := tokenOf.FindStringSubmatch(got.Body.String()); m != nil {
		f.tokens = append(f.tokens, m[1])
	}
	w.WriteHeader(got.Code)
	_, _ = io.WriteString(w, got.Body.String()) // a recorder takes everything
}

// last is the newest order.
func (f *front) last() cashout.View {
	return f.Look(pan.NewSecret(f.tokens[len(f.tokens)-1]))
}

func (f *front) actions() map[string]func(testing.TB, []string) {
	return map[string]func(testing.TB, []string){
		"wait": func(_ testing.TB, args []string) {
			d, err := time.ParseDuration(args[0])
			f.Must(err)
			f.Clock.Advance(d)
		},
		"price":  func(_ testing.TB, args []string) { f.Market.Price = args[0] },
		"lost":   func(testing.TB, []string) { f.Market.Price = "" },
		"upload": func(testing.TB, []string) { f.Upload(pan.NewSecret(f.tokens[len(f.tokens)-1])) },
		"of": func(_ testing.TB, args []string) {
			n, err := strconv.Atoi(args[0])
			f.Must(err)
			f.tokens = append(f.tokens, f.tokens[n-1])
		},
		"phone": func(testing.TB, []string) { f.Phone.Down = !f.Phone.Down },
		"ban":   func(testing.TB, []string) { f.banned = !f.banned },
		"approve": func(t testing.TB, _ []string) {
			v := f.last()
			_, err := f.Approve(t.Context(), cashout.Decision{Book: v.Book, Order: v.ID, Actor: "ada"})
			f.Must(err)
		},
		"cancel": func(t testing.TB, _ []string) {
			v := f.last()
			_, err := f.Cancel(t.Context(), cashout.Decision{Book: v.Book, Order: v.ID, Actor: "ada", Reason: "stolen"})
			f.Must(err)
		},
		"list":   func(testing.TB, []string) { f.Screen.Match = customer.Match{List: "sdn", Kind: "name"} },
		"reject": f.reject,
		"paid":   func(_ testing.TB, args []string) { f.end(args[0], "") },
		"unpaid": func(testing.TB, []string) { f.end("", "no route") },
	}
}

// reject finds fault with pictures by their kinds, and with no other one.
func (f *front) reject(t testing.TB, kinds []string) {
	v := f.last()
	pictures, err := f.Service.Pictures(t.Context(), &v.Order)
	f.Must(err)
	d := cashout.Decision{Book: v.Book, Order: v.ID, Actor: "ada"}
	for _, m := range pictures {
		verdict := cashout.Verdict{Kind: m.Kind, Image: m.ID, Accepted: true, Actor: "ada", At: f.Clock.Now()}
		for _, k := range kinds {
			if string(m.Kind) == k {
				verdict.Accepted, verdict.Reason, verdict.Note = false, cashout.Blurred, "Hold it still."
			}
		}
		d.Verdicts = append(d.Verdicts, verdict)
	}
	_, err = f.Reject(t.Context(), d)
	f.Must(err)
}

// end has the node say what became of the newest order's payout.
func (f *front) end(proof, reason string) {
	v := f.last()
	action := ledger.Capture
	if proof == "" {
		action = ledger.Release
	}
	_, err := f.Ledger.Submit(f.T.Context(), ledger.Operation{Book: v.Book, Kind: "payout.end", At: f.Clock.Now(),
		Holds: []ledger.HoldChange{{Action: action, ID: ledger.HoldID("hold_" + v.Payout)}},
		Effects: func(out ledger.Outcome) ([]storage.Effect, error) {
			return f.PayoutEnded(cashout.Ended{Book: v.Book, Realm: v.Realm, Order: v.ID, Payout: v.Payout, Amount: v.Bitcoin, Proof: proof, Reason: reason, At: out.At}), nil
		}})
	f.Must(err)
}

// events lists what happened since it was last asked.
func (f *front) events() string {
	book, err := f.Book(f.T.Context(), realm.Test)
	f.Must(err)
	found, err := f.Hooks.Outbox.List(f.T.Context(), webhook.EventFilter{Book: book, Limit: webhook.MaxLimit})
	f.Must(err)
	var out strings.Builder
	for i := range found {
		e := found[len(found)-1-i]
		if !f.seen[e.ID] {
			f.seen[e.ID] = true
			fmt.Fprintf(&out, "%s %s\n", e.Type, e.Data)
		}
	}
	return out.String()
}

// entries lists what moved since it was last asked.
func (f *front) entries() string {
	book, err := f.Book(f.T.Context(), realm.Test)
	f.Must(err)
	found, err := f.Ledger.ListTransactions(f.T.Context(), book, math.MaxInt64, 200)
	f.Must(err)
	var out strings.Builder
	for i := range found {
		o := found[len(found)-1-i]
		if o.Seq <= f.moved {
			continue
		}
		f.moved = o.Seq
		fmt.Fprintf(&out, "%s (%s)\n", o.Kind, o.Reference)
		for _, m := range o.Moves {
			fmt.Fprintf(&out, "  %s > %s posted %s %s held %s\n", m.Debit, m.Credit, m.Posted, m.Posted.Currency, money.New(m.Held, m.Posted.Currency))
		}
	}
	return out.String()
}
