package cashdesk_test

import (
	"crypto/sha256"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/cashout"
	"github.com/scripcards/scrip/internal/cashout/customer"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/provider/captcha"
	"github.com/scripcards/scrip/internal/rate"
	"github.com/scripcards/scrip/internal/server/cashdesk"
	"github.com/scripcards/scrip/internal/testkit"
	kit "github.com/scripcards/scrip/internal/testkit/cashdesk"
)

// open opens a desk with a file of the given text.
func open(t *testing.T, text string, c cashout.Captcha) (*cashdesk.Desk, error) {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	list := write("list", "name: Ivan Petrov\n")
	b := kit.Open(t, testkit.Open(t, testkit.Database(t, "sqlite")))
	rates := map[realm.Realm]*rate.Service{}
	for _, r := range realm.All() {
		rates[r] = rate.New(rate.Deps{Sources: []rate.Named{{Name: "sandbox", Source: rate.Sandbox()}}, Clock: b.Clocks.Of(r), Logger: slog.New(slog.DiscardHandler),
			Policy: rate.Policy{Least: 1, Refresh: time.Minute, Fresh: time.Hour, Stale: time.Hour, Timeout: time.Second, Outlier: 100, Spread: 100}})
	}
	text = strings.NewReplacer("$DIR", dir, "$LIST", list, "$SECRET", write("secret", "wJalrXUtnFEMI\n")).Replace(text)
	return cashdesk.Open(cashdesk.Deps{DB: b.DB, Books: b.Ledger, Vault: b.Vault, Accounts: b.Accounts, Outbox: b.Hooks.Outbox, Jobs: b.Jobs, Clocks: b.Clocks,
		Audit: b.Audit, Limits: b.Limits, Rates: rates, Logger: slog.New(slog.DiscardHandler)}, cashdesk.Options{File: write("cashout.json", text), Captcha: c})
}

const messages = `"messages":{"driver":"file","path":"$DIR/codes"}`

// What a file says holds, what it leaves out is as published, and the fee is in the price.
func TestConfigure(t *testing.T) {
	k, err := open(t, `{"realm":"test","fee":"8.5","network":"regtest",`+messages+`,"message_limits":{"countries":["US"],"cents_per_day":700},
		"lists":[{"name":"sdn","file":"$LIST"}],"review":{"two_above":"100","hold_minutes":5},"keep_images_days":7,
		"tiers":{"window_days":30,"largest":"500","steps":[{"above":"200","asks":["names","document"]}]}}`, nil)
	if err != nil {
		t.Fatal(err)
	}
	d := k.Orders.Desks[realm.Test]
	if k.Realm != realm.Test || d == nil || k.Orders.Desks[realm.Live] != nil {
		t.Fatalf("served: %s", k.Realm)
	}
	if p, err := d.Ticker.Price(t.Context()); err != nil || p.Cents.Minor != 7_144_725 {
		t.Errorf("price %d, %v", p.Cents.Minor, err)
	}
	if d.Tiers.Window != 30*24*time.Hour || d.Tiers.Largest.Minor != 500_00 || d.Tiers.Most.Minor != 10_000_00 || len(d.Tiers.Steps) != 1 {
		t.Errorf("tiers %+v", d.Tiers)
	}
	if k.Reviews.Policy.TwoAbove != money.New(100_00, money.USD) || k.Reviews.Policy.Hold != 5*time.Minute || d.KeepImages != 7*24*time.Hour || d.KeepBlocked != 5*365*24*time.Hour {
		t.Errorf("reviews %+v, pictures %s", k.Reviews.Policy, d.KeepImages)
	}
	if m, err := d.Screener.Screen(t.Context(), customer.Subject{Name: customer.Name{First: "Ivan", Last: "Petrov"}}); err != nil || !m.Found() {
		t.Errorf("%+v, %v", m, err)
	}
	if _, err := d.Payouts.Parse(realm.Test, "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"); err != nil {
		t.Error(err)
	}
	if err := d.Captcha.Verify(t.Context(), captcha.DemoAnswer, ""); err != nil {
		t.Error(err)
	}
}

// A mistake keeps the desk from opening, and names its place.
func TestConfigureRefuses(t *testing.T) {
	for text, want := range map[string]string{
		`{}`: "realm", `{"realm":"test"}`: "messages", `{"realm":"test","colour":1}`: "colour", `{"realm":"test",` + messages + `}x`: "cashout.json",
		`{"realm":"live",` + messages + `}`:                                                              "captcha",
		`{"realm":"test","captcha":"riddle",` + messages + `}`:                                           "captcha",
		`{"realm":"test","fee":"a",` + messages + `}`:                                                    "fee",
		`{"realm":"test","fee":"51",` + messages + `}`:                                                   "fee",
		`{"realm":"test","network":"moon",` + messages + `}`:                                             "network",
		`{"realm":"test","messages":{"driver":"pigeon"}}`:                                                "messages",
		`{"realm":"test","tiers":{"most":"1"},` + messages + `}`:                                         "tiers",
		`{"realm":"test","tiers":{"steps":[{"above":"x"}]},` + messages + `}`:                            "tiers.steps.0.above",
		`{"realm":"test","lists":[{"name":"a","file":"$DIR/gone"}],` + messages + `}`:                    "lists.0",
		`{"realm":"test","lists":[{"name":"a","file":"relative"}],` + messages + `}`:                     "lists.0",
		`{"realm":"test","services":[{"name":"a"}],` + messages + `}`:                                    "services.0",
		`{"realm":"test","places":{"deny":["CU"]},` + messages + `}`:                                     "places.database",
		`{"realm":"test","places":{"database":"$LIST","deny":["CU"]},` + messages + `}`:                  "places.database",
		`{"realm":"test","places":{"database":"$LIST","deny":["Cuba"]},` + messages + `}`:                "places",
		`{"realm":"test","review":{"two_above":"-"},` + messages + `}`:                                   "review.two_above",
		`{"realm":"test","review":{"hold_minutes":-1},` + messages + `}`:                                 "review.hold_minutes",
		`{"realm":"test","keep_images_days":99999,` + messages + `}`:                                     "keep_images_days",
		`{"realm":"test","message_limits":{"cents_per_day":-1},` + messages + `}`:                        "message_limits",
		`{"realm":"test","services":[{"name":"a","url":"http://x.example/"}],` + messages + `,"fee":""}`: "services.0",
		`{"realm":"test","store":{"endpoint":"s3"},` + messages + `}`:                                    "store",
	} {
		t.Run(fmt.Sprintf("%x", sha256.Sum256([]byte(text)))[:8], func(t *testing.T) {
			if _, err := open(t, text, nil); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %s", text, err, want)
			}
			path := filepath.Join(t.TempDir(), "cashout.json")
			if err := os.WriteFile(path, []byte(strings.NewReplacer("$DIR", filepath.Dir(path), "$LIST", path).Replace(text)), 0o600); err != nil {
				t.Fatal(err)
			}
			// What the live realm needs stands in other settings.
			if err := cashdesk.Check(path); !strings.Contains(text, `"live"`) && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("checked: %s: %v, want %s", text, err, want)
			}
		})
	}
}

// A proof of work stands where no captcha service is configured.
func TestWorkIsAsked(t *testing.T) {
	k, err := open(t, `{"realm":"test","captcha":"work",`+messages+`}`, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Orders.Desks[realm.Test].Captcha.Verify(t.Context(), captcha.DemoAnswer, ""); err == nil {
		t.Error("the demonstration's answer passes")
	}
}

// The live realm is not served as long as nobody pays there, whatever else is configured.
func TestLiveNeedsNode(t *testing.T) {
	if _, err := open(t, `{"realm":"live","fee":"8.5",`+messages+`,"message_limits":{"text_cents":1}}`, captcha.Demo{}); err == nil || !strings.Contains(err.Error(), "node") {
		t.Error(err)
	}
}
