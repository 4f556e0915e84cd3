package payment_test

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/bench"
	"github.com/scripcards/scrip/internal/bench/payment"
	"github.com/scripcards/scrip/internal/issuing/authorization"
	"github.com/scripcards/scrip/internal/server"
	"github.com/scripcards/scrip/internal/testkit"
)

// Both scenarios pay with the cards that were made: every request and every message is
// approved, beside the no-op of its own kind, and the server tells how long each took it.
func TestScenarios(t *testing.T) {
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			rules := authorization.DefaultPolicy()
			rules.DeclineAt, rules.ChallengeAt = 0, 0
			own := new(bench.Own)
			app, err := server.Open(t.Context(), server.Options{Data: t.TempDir(), Database: testkit.Database(t, engine).URL, Logger: slog.New(slog.DiscardHandler),
				Issuing: server.Issuing{On: true}, Payments: &rules, Answered: own.Answered})
			if err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(context.Background())
			network, ready, served := "", make(chan string, 1), make(chan error, 1)
			h := server.HTTP{ISO8583: server.ISO8583{Listen: "127.0.0.1:0", Ready: func(address string) { network = address }},
				Extra: func(mux *http.ServeMux) { mux.Handle(bench.NoopPath, bench.NoopHandler()) }}
			go func() { served <- app.Serve(ctx, "127.0.0.1:0", h, func(address string) { ready <- address }) }()
			t.Cleanup(func() {
				stop()
				if err := <-served; err != nil {
					t.Error(err)
				}
				if err := app.Close(); err != nil {
					t.Error(err)
				}
			})
			base := "http://" + <-ready
			shelf := payment.Shelf{Accounts: app.Accounts, Wallets: app.Wallets, Cards: app.Issuing, Network: network}
			if _, err := payment.Prepare(t.Context(), shelf, 0); err == nil {
				t.Error("no cards were prepared")
			}
			l, err := payment.Prepare(t.Context(), shelf, 5)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			report, err := (&bench.Runner{Own: own}).Run(t.Context(), []bench.Scenario{l.Authorize(), l.Network()},
				bench.Options{BaseURL: base, Workers: 20, Rounds: 1, Duration: time.Hour, Count: 100, Warmup: -1})
			if err != nil {
				t.Fatal(err)
			}
			for _, row := range report.Rows {
				if row.Requests != 100 || row.Errors != 0 || row.Noop == nil || row.Noop.Errors != 0 {
					t.Errorf("row %+v: %s", row, strings.Join(row.Reasons, ", "))
				}
				if row.Own == nil || row.Own.Answers != 100 || row.Own.P50 <= 0 || row.Own.P50 > row.Own.P99 {
					t.Errorf("%s: the server's part is %+v", row.Scenario, row.Own)
				}
			}
		})
	}
}
