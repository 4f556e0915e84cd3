package server_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/platform/telemetry"
	"github.com/scripcards/scrip/internal/server"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/testkit/faultproxy"
)

// running serves a new installation with demonstration data on engine and returns its address.
func running(t *testing.T, engine string) string {
	t.Helper()
	return serving(t, server.Options{Data: t.TempDir(), Database: testkit.Database(t, engine).URL, Logger: slog.New(slog.DiscardHandler),
		Metrics: telemetry.NewMetrics()}, true)
}

// serving serves an installation and returns its address. It must stop without an error.
func serving(t *testing.T, o server.Options, demo bool) string {
	t.Helper()
	app, err := server.Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	if demo {
		if _, err := app.Demo(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	ctx, stop := context.WithCancel(context.Background())
	address, ended := make(chan string, 1), make(chan error, 1)
	go func() { ended <- app.Serve(ctx, "127.0.0.1:0", server.HTTP{}, func(a string) { address <- a }) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("serve: %v", err)
		}
		if err := app.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	select {
	case a := <-address:
		return "http://" + a
	case err := <-ended:
		ended <- err
		t.Fatal(err)
	}
	return ""
}

func fetch(t *testing.T, url string, header ...string) (int, string) {
	t.Helper()
	request, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header) && header[i] != ""; i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

// An address that is taken keeps a server from beginning, before any of its work has begun.
func TestAddressIsTaken(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	check.OK(t, err)
	defer func() { check.OK(t, taken.Close()) }()
	for name, h := range map[string]server.HTTP{
		"metrics": {Metrics: taken.Addr().String()}, "card networks": {ISO8583: server.ISO8583{Listen: taken.Addr().String()}},
	} {
		app, err := server.Open(t.Context(), server.Options{Data: t.TempDir(), Logger: slog.New(slog.DiscardHandler), Metrics: telemetry.NewMetrics()})
		check.OK(t, err)
		err = app.Serve(t.Context(), "127.0.0.1:0", h, func(string) { t.Errorf("%s: it serves", name) })
		if err == nil || !strings.Contains(err.Error(), taken.Addr().String()) {
			t.Errorf("%s: %v", name, err)
		}
		if err := app.Jobs.Start(t.Context()); err != nil {
			t.Errorf("%s: its jobs had begun: %v", name, err)
		}
		check.OK(t, app.Jobs.Stop(t.Context()))
		check.OK(t, app.Close())
	}
}

// A server is not ready while its database cannot be reached, and once a restore into it was
// begun; either way it names the database, once.
func TestReadiness(t *testing.T) {
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			config, data := testkit.Empty(t, engine), t.TempDir()
			var proxy *faultproxy.Proxy
			if engine == "postgres" {
				u, err := url.Parse(config.URL)
				check.OK(t, err)
				proxy = faultproxy.New(t, u.Host)
				u.Host = proxy.Addr()
				config.URL = u.String()
			}
			base := serving(t, server.Options{Data: data, Database: config.URL, Logger: slog.New(slog.DiscardHandler)}, false)
			want := func(text string) {
				t.Helper()
				if _, body := fetch(t, base+"/readyz"); body != text+"\n" {
					t.Errorf("%q, want %q", body, text)
				}
			}
			want("ready")
			if proxy != nil {
				proxy.Cut()
				want("not ready: database")
				proxy.Restore(t)
				for range 64 { // each of its connections finds out for itself
					if code, _ := fetch(t, base+"/readyz"); code == http.StatusOK {
						break
					}
				}
				want("ready")
			}
			db, err := server.OpenDatabase(t.Context(), server.Options{Data: data, Database: config.URL})
			check.OK(t, err)
			check.OK(t, db.Write(t.Context(), func(ctx context.Context, tx *storage.Tx) error { return tx.BeginRestore(ctx) }))
			check.OK(t, db.Close())
			want("not ready: database")
		})
	}
}

// A server answers health, figures, contracts and all dialects, keeps figures from whom a
// proxy speaks for, and stops in order.
func TestServe(t *testing.T) {
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			base := running(t, engine)
			for _, want := range []struct {
				path, header, value string
				status              int
				text                string
			}{
				{"/healthz", "", "", 200, "ok"},
				{"/readyz", "", "", 200, "ready"},
				{"/v1/pay/giftcard/template/list", "X-API-Key", "cp_test_sk_demo", 200, "template_001"},
				{"/v1/pay/giftcard/template/list", "", "", 401, "401001"},
				{"/v1/networks", "X-API-Key", "cp_test_sk_demo", 200, "visa_gift"},
				{"/v1/networks", "X-API-Key", "cp_live_sk_demo", 200, "scrip"},
				{"/v1/webhooks", "", "", 401, "auth_invalid"},
				{"/v1/", "", "", 200, `"version":"v1"`},
				{"/v1", "", "", 200, `"version":"v1"`},
				{"/v1/api", "", "", 200, `"seed":"`},
				{"/v1/pay", "", "", 404, `"code"`},
				{"/v2", "", "", 404, `{"message":"no such path","data":{}}`},
				{"/operator/v1", "", "", 404, "urn:scrip:problem:"},
				{"/uploads", "", "", 404, "<Error>"},
				{"/v1/balance", "X-API-Key", "cp_test_sk_demo", 200, `"balance":"100.50"`},
				{"/v1/catalog?q=google", "X-API-Key", "cp_test_sk_demo", 200, "GOOGLE-5USD-KOXx"},
				{"/v1/orders", "", "", 401, `"success":false`},
				{"/v1/api/cards", "X-Seed", account.DemoSeed, 200, `"label":"Ad Spend"`},
				{"/v1/api/?asset=ETH", "", "", 200, `"seed":"`},
				{"/v1/api/bins", "X-Seed", "dec0-de00-dec0-de01", 401, `"invalid_seed"`},
				{"/operator/v1/status", "Authorization", "Bearer op_demo", 200, engine},
				{"/metrics", "", "", 200, "scrip_http_requests_total"},
				{"/metrics", "X-Forwarded-For", "192.0.2.7", 404, "not_found"},
				{"/openapi/gatepay.yaml", "", "", 200, "openapi:"},
				{"/openapi/operator.yaml", "", "", 200, "openapi:"},
				{"/openapi/cardping.yaml", "", "", 200, "openapi:"},
				{"/openapi/cardpluspay.yaml", "", "", 200, "openapi:"},
				{"/openapi/cryptocardy.yaml", "", "", 200, "openapi:"},
				{"/openapi/nobody.yaml", "", "", 404, "not_found"},
				{"/nothing", "", "", 404, "not_found"},
				{"/v1//nothing", "", "", 404, `{"error":{"code":"not_found"`},
				{"/v1/api//cards", "X-Seed", account.DemoSeed, 404, `{"error":"not_found","message":"no such path","code":404,"request_id":"req_`},
				{"/v1/api/cards//details", "X-Seed", account.DemoSeed, 404, `{"error":"not_found","message":"no such path","code":404,"request_id":"req_`},
				{"/v2/orders//payment", "", "", 404, `{"message":"no such path","data":{}}`},
				{"/v2/orders/%2e%2e/%2e%2e/tickers", "", "", 404, `{"error":{"code":"not_found"`},
				{"/v2//tickers", "", "", 404, `{"message":"no such path","data":{}}`},
				{"/v1/orders//cancel", "", "", 404, `"success":false`},
				{"/v1/pay//giftcard", "", "", 404, `"code"`},
				{"//v1/", "", "", 404, `{"error":{"code":"not_found"`},
				{"/v1/../v1/", "", "", 404, `{"error":{"code":"not_found"`},
				{"/./", "", "", 404, `{"error":{"code":"not_found"`},
				{"/openapi//gatepay.yaml", "", "", 404, `{"error":{"code":"not_found"`},
				{"/v1/cards/./ping", "", "", 404, `"error"`},
				{"/operator/v1//status", "Authorization", "Bearer op_demo", 404, "urn:scrip:problem:"},
				{"/%6fperator/v1/status", "Authorization", "Bearer op_demo", 404, "urn:scrip:problem:"},
				{"/operator%2Fv1/status", "Authorization", "Bearer op_demo", 404, "no such path"},
				{"/operator/v1/%73tatus", "Authorization", "Bearer op_demo", 200, engine},
				{"/%6detrics", "", "", 404, "not_found"},
				{"/v1/p%61y/giftcard/template/list", "X-API-Key", "cp_test_sk_demo", 200, "template_001"},
			} {
				status, body := fetch(t, base+want.path, want.header, want.value)
				if status != want.status || !strings.Contains(body, want.text) {
					t.Errorf("%s (%s %s): %d %.120s, want %d and %s", want.path, want.header, want.value, status, body, want.status, want.text)
				}
			}
		})
	}
}

// That nothing is at a path is kept by nobody: it holds for now, and for this caller.
func TestUnknownPathsAreNotKept(t *testing.T) {
	base := running(t, "sqlite")
	for _, path := range []string{"/", "/nothing", "/v1/orders/1/", "//v1/", "/openapi/nobody.yaml", "/metrics"} {
		request, err := http.NewRequest(http.MethodGet, base+path, nil)
		check.OK(t, err)
		request.Header.Set("X-Forwarded-For", "192.0.2.7")
		response, err := http.DefaultTransport.RoundTrip(request)
		check.OK(t, err)
		check.OK(t, response.Body.Close())
		if cache := response.Header.Get("Cache-Control"); response.StatusCode != http.StatusNotFound || cache != "no-store" {
			t.Errorf("%s: %d, Cache-Control %q", path, response.StatusCode, cache)
		}
	}
}

// Demo data are made once; a second start finds them and adds nothing.
func TestDemoTwice(t *testing.T) {
	o := server.Options{Data: t.TempDir(), Logger: slog.New(slog.DiscardHandler)}
	var first string
	for range 2 {
		app, err := server.Open(context.Background(), o)
		if err != nil {
			t.Fatal(err)
		}
		demo, err := app.Demo(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		books, log, err := app.Verify(context.Background(), nil)
		if err != nil || books.Found > 0 || len(log.Breaks) > 0 {
			t.Errorf("verify: %+v %+v %v", books, log, err)
		}
		if first == "" {
			first = string(demo.Customer.ID)
		}
		if string(demo.Customer.ID) != first || books.Transactions != 4 {
			t.Errorf("customer %s with %d transactions, want %s with 4", demo.Customer.ID, books.Transactions, first)
		}
		if err := app.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

var dropBook = storage.SQL("server_test.drop_book", `DELETE FROM ledger_books WHERE book_id = $1`)

// A customer's book of which nothing is left is missed.
func TestVerifyMissesBook(t *testing.T) {
	app, err := server.Open(t.Context(), server.Options{Data: t.TempDir(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = app.Close() }()
	customer, err := app.Accounts.CreateCustomer(t.Context(), "opr_test", account.NewCustomer{Name: "Shop"})
	if err != nil {
		t.Fatal(err)
	}
	book := customer.Live
	err = app.DB.Write(t.Context(), func(ctx context.Context, tx *storage.Tx) error {
		_, err := tx.Exec(ctx, dropBook, string(book)) // nothing was ever in it
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	books, _, err := app.Verify(t.Context(), nil)
	if want := "book " + string(book) + ": a customer has it, and it does not exist"; err != nil || books.Found != 1 || books.Problems[0] != want {
		t.Errorf("%+v, %v; want %q", books, err, want)
	}
}

// A server says so when another has the same embedded database open, and only then.
func TestTwoServers(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("here nobody is known to live")
	}
	data := t.TempDir()
	warned := func() bool {
		log, err := os.Create(filepath.Join(t.TempDir(), "log"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = log.Close() }) // once the server has stopped
		serving(t, server.Options{Data: data, Logger: slog.New(slog.NewTextHandler(log, nil))}, false)
		said, err := os.ReadFile(log.Name())
		if err != nil || !strings.Contains(string(said), "serving") {
			t.Fatalf("the log is %q, %v", said, err)
		}
		return strings.Contains(string(said), "another server")
	}
	if warned() {
		t.Error("the first server is warned")
	}
	if !warned() {
		t.Error("the second server is not warned")
	}
}

// A portal that a customer makes through the API is a page at once, on which a visitor
// finds the balance of the published test card and of a gift card of the installation, by
// its key, and a thief without a PIN finds nothing.
func TestPortal(t *testing.T) {
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			base := running(t, engine)
			post := func(path, body string) string {
				status, answer := send(t, base+path, body, "X-API-Key", "cp_test_sk_demo", "Content-Type", "application/json")
				if status/100 != 2 {
					t.Fatalf("%s: %d %s", path, status, answer)
				}
				return answer
			}
			post("/v1/portals", `{"name":"Example Cards","slug":"example","networks":["visa_gift","scrip"]}`)
			made := post("/v1/pay/giftcard/create", `{"title":"Gift","templateId":"template_001","currency":"EUR","amount":"12.5","merchantTradeNo":"portal-1"}`)
			number, key := regexp.MustCompile(`GC\d+`).FindString(made), regexp.MustCompile(`KEY_\w+`).FindString(made)
			for form, want := range map[string]string{
				"network=scrip&pin=" + key + "&number=" + number:        "€12.50",
				"network=scrip&number=" + number:                        "Enter the PIN of your card",
				"network=visa_gift&number=6006-4913-0000-0011&pin=1234": "$47.50",
				"network=visa_gift&number=6006-4913-0000-0011&pin=4321": "We could not confirm this card",
				"network=visa_gift&number=":                             "Enter the card number",
				"network=visa_gift&number=1":                            "Enter a card number that belongs to this type of card",
			} {
				_, body := send(t, base+"/p/example", form, "Content-Type", "application/x-www-form-urlencoded", "Sec-Fetch-Site", "same-origin")
				if !strings.Contains(body, want) {
					t.Errorf("%s: no %q in %s", form, want, body)
				}
			}
		})
	}
}

func send(t *testing.T, url, body string, header ...string) (int, string) {
	t.Helper()
	request, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(answer)
}
