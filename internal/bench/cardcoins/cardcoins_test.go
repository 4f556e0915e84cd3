package cardcoins_test

import (
	"strings"
	"testing"

	"github.com/scripcards/scrip/internal/bench/cardcoins"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/cashdesk"
)

// The scenarios read every order that was prepared, in turn, and ask for new ones as clients do.
func TestScenarios(t *testing.T) {
	d := cashdesk.Open(t, testkit.Open(t, testkit.Database(t, "sqlite")))
	orders, err := cardcoins.Prepare(t.Context(), d.Service, 40)
	if err != nil {
		t.Fatal(err)
	}
	seen, read := map[string]bool{}, orders.Read()
	for n := range int64(80) {
		r := read.Make(0, n)
		if seen[r.Path] = true; r.Method != "GET" || !strings.HasPrefix(r.Path, "/v2/orders/") || len(r.Path) != len("/v2/orders/")+20 {
			t.Errorf("%s %s", r.Method, r.Path)
		}
	}
	if len(seen) != 40 {
		t.Errorf("%d orders are read", len(seen))
	}
	if r := orders.Create().Make(0, 1); r.Method != "POST" || r.Path != "/v2/orders" || string(r.Body) != `{"amount":5500,"currency":"bitcoin"}` {
		t.Errorf("%s %s %s", r.Method, r.Path, r.Body)
	}
	if _, err := cardcoins.Prepare(t.Context(), d.Service, 0); err == nil {
		t.Error("no orders are prepared")
	}
}
