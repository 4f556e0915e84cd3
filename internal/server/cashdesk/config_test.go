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

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/cashout"
	"github.com/scripcards/scrip/internal/cashout/customer"
	"github.com/scripcards/scrip/internal/cashout/payout"
	"github.com/scripcards/scrip/internal/cashout/phone"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/provider/captcha"
	"github.com/scripcards/scrip/internal/provider/simulator/node"
	"github.com/scripcards/scrip/internal/rate"
	"github.com/scripcards/scrip/internal/server/cashdesk"
	"github.com/scripcards/scrip/internal/testkit"
	kit "github.com/scripcards/scrip/internal/testkit/cashdesk"
	"github.com/scripcards/scrip/internal/testkit/crowd"
)

// open opens a desk with a file of the given text.
func open(t *testing.T, text string, c cashout.Captcha) (*cashdesk.Desk, error) {
	t.Helper()
	return openPaid(t, text, "", c)
}

// openPaid opens a desk with files of the given texts, the second one of who pays.
func openPaid(t *testing.T, text, paid string, c cashout.Captcha) (*cashdesk.Desk, error) {
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
	fill := strings.NewReplacer("$DIR", dir, "$LIST", list, "$SECRET", write("secret", "wJalrXUtnFEMI\n"))
	options := cashdesk.Options{File: write("cashout.json", fill.Replace(text)), Captcha: c}
	if paid != "" {
		write("macaroon", "m")
		options.Payouts = write("payouts.json", fill.Replace(paid))
	}
	k, err := cashdesk.Open(cashdesk.Deps{DB: b.DB, Books: b.Ledger, Vault: b.Vault, Accounts: b.Accounts, Outbox: b.Hooks.Outbox, Jobs: b.Jobs, Clocks: b.Clocks,
		Audit: b.Audit, Limits: b.Limits, Rates: rates, Logger: slog.New(slog.DiscardHandler)}, options)
	switch wrong := cashdesk.Check(options); {
	case wrong != nil && err == nil:
		t.Errorf("the check alone refuses: %v", wrong)
	case wrong == nil && err != nil && strings.HasPrefix(err.Error(), "payouts"):
		t.Errorf("the check does not tell of %v", err)
	}
	return k, err
}

const messages = `"messages":{"driver":"file","path":"$DIR/codes"}`

// What a file says holds, what it leaves out is as published, and the fee is in the price.
func TestConfigure(t *testing.T) {
	k, err := open(t, `{"realm":"test","fee":"8.5","network":"regtest",`+messages+`,"message_limits":{"countries":["US"],"cents_per_day":700},
		"lists":[{"name":"sdn","file":"$LIST"}],"review":{"two_above":"100","hold_minutes":5},"price_lock_minutes":45,"keep_images_days":7,"keep_marks_days":60,
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
	if d.PriceLock != 45*time.Minute {
		t.Errorf("a price is locked for %s", d.PriceLock)
	}
	if d.Tiers.Window != 30*24*time.Hour || d.Tiers.Largest.Minor != 500_00 || d.Tiers.Most.Minor != 10_000_00 || len(d.Tiers.Steps) != 1 {
		t.Errorf("tiers %+v", d.Tiers)
	}
	if k.Reviews.Policy.TwoAbove != money.New(100_00, money.USD) || k.Reviews.Policy.Hold != 5*time.Minute || d.KeepImages != 7*24*time.Hour || d.KeepBlocked != 5*365*24*time.Hour ||
		d.KeepMarks != 60*24*time.Hour || k.Images.Config.KeepMarks != 90*24*time.Hour {
		t.Errorf("reviews %+v, pictures %s, marks %s, %s", k.Reviews.Policy, d.KeepImages, d.KeepMarks, k.Images.Config.KeepMarks)
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
		`{"realm":"test","price_lock_minutes":9,` + messages + `}`:                                       "price_lock_minutes",
		`{"realm":"test","price_lock_minutes":1441,` + messages + `}`:                                    "price_lock_minutes",
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
		`{"realm":"test","keep_marks_days":-1,` + messages + `}`:                                         "keep_marks_days",
		`{"realm":"test","keep_marks_days":29,` + messages + `}`:                                         "at least the 30 days",
		`{"realm":"test","message_limits":{"cents_per_day":-1},` + messages + `}`:                        "message_limits",
		`{"realm":"test","message_limits":{"countries":["us"]},` + messages + `}`:                        "message_limits.countries",
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
			if err := cashdesk.Check(cashdesk.Options{File: path}); !strings.Contains(text, `"live"`) && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("checked: %s: %v, want %s", text, err, want)
			}
		})
	}
}

// Messages that leave the machine have the rules of real ones in the test realm, too: only numbers that exist, the usual pauses, and a cap on what a day costs.
func TestMessagesLeave(t *testing.T) {
	for _, c := range []struct {
		messages string
		pause    time.Duration
		code     fault.Code // of a third message, where a day may cost what two do
		number   string     // the last one that is taken
	}{
		{`{"driver":"http","allow_plain":true,"text":{"url":"http://127.0.0.1:1/","form":{"to":"{to}"}}}`, 30 * time.Second, fault.QuotaExceeded, ""},
		{`{"driver":"file","path":"$DIR/codes"}`, time.Second, "", "+11231231234"},
	} {
		k, err := open(t, `{"realm":"test","messages":`+c.messages+`,"message_limits":{"cents_per_day":10}}`, nil)
		if err != nil {
			t.Fatal(err)
		}
		if n, _ := k.Phones.Parse(realm.Test, "+11231231234"); n.E164() != c.number {
			t.Errorf("%s: a number that nobody has: %s", c.messages, n)
		}
		number, err := k.Phones.Parse(realm.Test, "+442079460958")
		if err != nil {
			t.Fatal(err)
		}
		var places [3]phone.Place
		for i := range places {
			o, _, err := k.Orders.Create(t.Context(), cashout.Opening{Realm: realm.Test, Amount: 5500, Currency: cashout.Bitcoin})
			if err != nil {
				t.Fatal(err)
			}
			places[i] = phone.Place{Book: o.Book, Realm: realm.Test, Order: string(o.ID)}
		}
		send := func(order int) error {
			err := k.Phones.Send(t.Context(), phone.Request{Place: places[order], To: number})
			if fault.CodeOf(err) == fault.Unavailable { // nobody takes it, and it counts
				return nil
			}
			return err
		}
		if err := send(0); err != nil {
			t.Error(err)
		}
		if err := send(0); fault.From(err).RetryAfter != c.pause {
			t.Errorf("%s: another one at once: %v, want to wait %s", c.messages, err, c.pause)
		}
		if err := send(1); err != nil {
			t.Error(err)
		}
		if err := send(2); fault.CodeOf(err) != c.code {
			t.Errorf("%s: a third one: %v, want %q", c.messages, err, c.code)
		}
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

// lndOn is a node of lnd on a network.
func lndOn(network string) string {
	return `{"lnd":{"url":"https://127.0.0.1:8080","macaroon_file":"$DIR/macaroon","network":"` + network + `"}}`
}

// The live realm is served when a node of the main network pays there, and not without.
func TestLiveNeedsNode(t *testing.T) {
	live := `{"realm":"live","fee":"8.5",` + messages + `}`
	for paid, want := range map[string]string{
		"": "node", `{}`: "node", `{"test_nodes":` + lndOn("regtest") + `}`: "node",
		`{"nodes":` + lndOn("regtest") + `}`: "nodes.lnd", `{"nodes":` + lndOn("main") + `}`: "",
	} {
		k, err := openPaid(t, live, paid, captcha.Demo{})
		switch {
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v, want %s", paid, err, want)
		case want == "" && err != nil:
			t.Errorf("%s: %v", paid, err)
		case want == "" && (k.Realm != realm.Live || k.Payouts.Nodes[realm.Live].Network != "main"):
			t.Errorf("served: %s", k.Realm)
		}
	}
}

// The test realm is paid by the node that was named, on its network, and by the simulated
// one otherwise.
func TestTestNode(t *testing.T) {
	test := `{"realm":"test",` + messages + `}`
	k, err := openPaid(t, test, `{"test_nodes":`+lndOn("regtest")+`,"test_addresses":{"allow_private":true}}`, nil)
	if err != nil {
		t.Fatal(err)
	}
	for address, good := range map[string]bool{"bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080": true, "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4": false} {
		if _, err := k.Orders.Desks[realm.Test].Payouts.Parse(realm.Test, address); (err == nil) != good {
			t.Errorf("%s: %v", address, err)
		}
	}
	if _, simulated := k.Payouts.Nodes[realm.Test].Wallet.(node.Wallet); simulated {
		t.Error("the simulated node pays")
	}
	if k, err = openPaid(t, test, `{}`, nil); err != nil {
		t.Fatal(err)
	}
	if _, simulated := k.Payouts.Nodes[realm.Test].Wallet.(node.Wallet); !simulated {
		t.Error("the simulated node does not pay")
	}
}

// A demonstration is served as the file says, where that is about the test realm, by a node that has bitcoin from the start.
func TestDemoKeepsFile(t *testing.T) {
	k, err := open(t, `{"realm":"test","network":"regtest","fee":"8.5","tiers":{"largest":"200"},"lists":[{"name":"sdn","file":"$LIST"}],`+messages+`}`, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Demo(t.Context()); err != nil {
		t.Fatal(err)
	}
	d := k.Orders.Desks[realm.Test]
	if d.Tiers.Largest.Minor != 200_00 || d.Screener == nil || k.File == "" || k.Payouts.Nodes[realm.Test].Network != "regtest" {
		t.Errorf("%+v, network %s", d.Tiers, k.Payouts.Nodes[realm.Test].Network)
	}
	if has, _, err := k.Payouts.Nodes[realm.Test].Wallet.Balance(t.Context()); err != nil || has == 0 {
		t.Errorf("the node has %d satoshis, %v", has, err)
	}
}

// Processes that start together give the simulated node its bitcoin once.
func TestFundedOnce(t *testing.T) {
	k, err := openPaid(t, `{"realm":"test",`+messages+`}`, `{}`, nil)
	if err != nil {
		t.Fatal(err)
	}
	crowd.AtOnce(8, func(int) {
		if err := k.Begin(t.Context()); err != nil {
			t.Error(err)
		}
	})
	const bitcoins = 10
	if has, _, err := k.Payouts.Nodes[realm.Test].Wallet.Balance(t.Context()); err != nil || has != bitcoins*100_000_000 {
		t.Errorf("the node has %d satoshis, %v, want %d bitcoins", has, err, bitcoins)
	}
}

// Rules that the file names hold, and the others are the usual ones.
func TestPayoutRules(t *testing.T) {
	k, err := openPaid(t, `{"realm":"test",`+messages+`}`, `{"rules":{"least":"0.0001","most":"0.5","daily":"2","low_wallet":"0.25","low_channels":"0.02","fee_floor":2,"fee_cap":300,
		"fee_fallback":20,"target_blocks":3,"gather_seconds":0,"patience_minutes":90,"watch_seconds":5,"bump_minutes":30,"confirmations":2,"final_confirmations":12}}`, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := payout.DefaultPolicy()
	sat := func(n int64) money.Amount { return money.New(n, money.BTC) }
	want.Least, want.Most, want.Daily, want.Chain.Low, want.Lightning.Low = sat(10_000), sat(50_000_000), sat(200_000_000), sat(25_000_000), sat(2_000_000)
	c := &want.Chain
	c.Floor, c.Cap, c.Fallback, c.Target, c.Gather, c.Watch, c.Bump = 2_000, 300_000, 20_000, 3, 0, 5*time.Second, 30*time.Minute
	c.Patience, c.Confirmations, c.Final = 90*time.Minute, 2, 12
	if diff := cmp.Diff(want, k.Payouts.Policy, cmp.Comparer(func(a, b money.Amount) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
}

// A mistake in the file of who pays keeps the desk from opening, and names its place.
func TestPayoutsRefused(t *testing.T) {
	for paid, want := range map[string]string{
		`{"colour":1}`: "colour", `{}x`: "payouts.json", `{"nodes":{"lnd":{}}}`: "nodes.lnd", `{"test_nodes":` + lndOn("main") + `}`: "test_nodes.lnd",
		`{"rules":{"least":"x"}}`: "rules.least", `{"rules":{"most":"0.000001"}}`: "limits", `{"rules":{"fee_floor":-1}}`: "rules.fee_floor",
		`{"rules":{"fee_cap":5}}`: "chain.rates", `{"rules":{"bump_minutes":9000000000}}`: "rules.bump_minutes", `{"rules":{"gather_seconds":-1}}`: "rules.gather_seconds",
		`{"rules":{"watch_seconds":3601}}`: "chain.watch", `{"rules":{"watch_seconds":-1}}`: "rules.watch_seconds",
		`{"test_addresses":{"certificate_file":"$DIR/gone"}}`: "test_addresses.certificate_file", `{"test_addresses":{"certificate_file":"$LIST"}}`: "test_addresses.certificate_file",
	} {
		if _, err := openPaid(t, `{"realm":"test",`+messages+`}`, paid, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", paid, err, want)
		}
	}
	if _, err := openPaid(t, `{"realm":"test","network":"signet",`+messages+`}`, `{"test_nodes":`+lndOn("regtest")+`}`, nil); err == nil || !strings.Contains(err.Error(), "network") {
		t.Errorf("two networks: %v", err)
	}
}
