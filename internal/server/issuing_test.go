package server_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/issuing/cardholder"
	"github.com/scripcards/scrip/internal/server"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/check"
)

// Without the setting nobody gets a seed; with it cards have the name and the address of
// the settings, and seeds their realm, which has no addresses until it is set up.
func TestIssuing(t *testing.T) {
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			o := server.Options{Data: t.TempDir(), Database: testkit.Database(t, engine).URL, Logger: slog.New(slog.DiscardHandler)}
			if status, body := fetch(t, serving(t, o, false)+"/v1/api/"); status != http.StatusNotFound || !strings.Contains(body, `"not_found"`) {
				t.Errorf("off: %d %s", status, body)
			}
			o.Data, o.Database = t.TempDir(), testkit.Database(t, engine).URL
			o.Issuing = server.Issuing{On: true, HolderName: "EXAMPLE HOLDINGS",
				Billing: cardholder.Address{Line1: "1 Mill Lane", City: "Kendal", State: "Cumbria", Zip: "LA9 4BD", Country: "GB"}}
			base := serving(t, o, false)
			_, body := fetch(t, base+"/v1/api/")
			var made struct {
				Seed string
				Card struct{ ID string }
			}
			if err := json.Unmarshal([]byte(body), &made); err != nil {
				t.Fatalf("%s: %v", body, err)
			}
			const holder = `"holder_name":"EXAMPLE HOLDINGS","billing_address":{"line1":"1 Mill Lane","city":"Kendal","state":"Cumbria","zip":"LA9 4BD","country":"GB"}`
			if status, body := fetch(t, base+"/v1/api/cards/"+made.Card.ID+"/details", "X-Seed", made.Seed); status != http.StatusOK || !strings.Contains(body, holder) {
				t.Errorf("details: %d %s", status, body)
			}
			o.Data, o.Database, o.Issuing.Seeds = t.TempDir(), testkit.Database(t, engine).URL, realm.Live
			if status, body := fetch(t, serving(t, o, false)+"/v1/api/"); status != http.StatusNotFound || !strings.Contains(body, "Nothing can be deposited here") {
				t.Errorf("live: %d %s", status, body)
			}
			// Where cards are for cardholders whom an operator knows, nobody in particular gets one.
			o.Data, o.Database, o.Issuing.Seeds, o.Issuing.Known = t.TempDir(), testkit.Database(t, engine).URL, realm.Test, true
			if status, body := fetch(t, serving(t, o, false)+"/v1/api/"); status != http.StatusBadRequest || !strings.Contains(body, "cards are for verified cardholders") {
				t.Errorf("for cardholders alone: %d %s", status, body)
			}
		})
	}
}

// What is contested is credited when its dispute is opened, or when it is won, as the setting says.
func TestDisputeCredit(t *testing.T) {
	for _, late := range []bool{false, true} {
		o := server.Options{Data: t.TempDir(), Logger: slog.New(slog.DiscardHandler), Issuing: server.Issuing{LateCredit: late}}
		app, err := server.Open(t.Context(), o)
		check.OK(t, err)
		if app.Disputes.Policy.Provisional == late {
			t.Errorf("late %v: %+v", late, app.Disputes.Policy)
		}
		check.OK(t, app.Close())
	}
}
