package cashdesk_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/telemetry"
)

// A scrape shows the payouts of the realm that has nodes, what its nodes had when they were
// last asked, and the switch.
func TestMeasure(t *testing.T) {
	k, err := open(t, `{"realm":"test",`+messages+`}`, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Payouts.CheckBalances(t.Context(), realm.Test); err != nil {
		t.Fatal(err)
	}
	if err := k.Payouts.Stop(t.Context(), "operator/ann", realm.Test); err != nil {
		t.Fatal(err)
	}
	m := telemetry.NewMetrics()
	if err := k.Measure(m); err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	for _, figure := range []string{`scrip_payouts_open{realm="test",state="held"} 0`, `scrip_payouts_oldest_seconds{realm="test"} 0`, `scrip_payouts_stopped{realm="test"} 1`,
		`scrip_payout_node_satoshis{node="chain",realm="test"} 0`, `scrip_payout_node_low{node="lightning",realm="test"} 1`,
		`scrip_payout_node_checked_seconds{node="chain",realm="test"} 0`, `scrip_payouts_total{outcome="settled"} 0`, `scrip_payout_differences_total 0`} {
		if !strings.Contains(w.Body.String(), "\n"+figure+"\n") {
			t.Errorf("the scrape lacks %s", figure)
		}
	}
	if strings.Contains(w.Body.String(), `realm="live"`) {
		t.Error("a realm without nodes is shown")
	}
}
