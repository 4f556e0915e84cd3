package server_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ping"
	"github.com/scripcards/scrip/internal/server"
)

func open(t *testing.T, o server.Options) *server.App {
	t.Helper()
	o.Data, o.Logger = t.TempDir(), slog.New(slog.DiscardHandler)
	app, err := server.Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := app.Close(); err != nil {
			t.Error(err)
		}
	})
	return app
}

// partner is a network whose endpoint is at an address, with a token from a file.
func partner(address, file string) ping.Setup {
	return ping.Setup{Actor: "opr_test", Configured: ping.Configured{Realm: realm.Test, ID: "partner", Name: "Partner", Type: ping.ClosedLoop, Kind: "http", Active: true},
		Config: []byte(`{"url":"` + address + `/balance?card={{number}}","allow_plain":true,"headers":{"X-Token":"{{secret.token}}"},` +
			`"secret_files":{"token":"` + file + `"},"answer":{"balance":"amount","balance_format":"minor"}}`)}
}

// A configured network takes its secrets from the operator's folder and from nowhere else;
// without a folder it can name no file, and the refusal says what to set.
func TestNetworkSecrets(t *testing.T) {
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Token") != "hush" {
			w.WriteHeader(http.StatusUnauthorized)
		}
		_, _ = io.WriteString(w, `{"amount":4750}`)
	}))
	t.Cleanup(endpoint.Close)
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "token"), []byte("hush\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	app := open(t, server.Options{Secrets: folder})
	if _, err := app.Pings.AddNetwork(t.Context(), partner(endpoint.URL, "../token")); fault.CodeOf(err) != fault.InvalidRequest {
		t.Errorf("a file outside of the folder: %v", err)
	}
	if _, err := app.Pings.AddNetwork(t.Context(), partner(endpoint.URL, "token")); err != nil {
		t.Fatal(err)
	}
	customer, err := app.Accounts.CreateCustomer(t.Context(), "opr_test", account.NewCustomer{Name: "Desk"})
	if err != nil {
		t.Fatal(err)
	}
	check := ping.Check{Caller: ping.Caller{Book: customer.Test, Realm: realm.Test, Credential: "key_desk"}, Network: "partner", Number: pan.NewSecret("6006491300000011")}
	got, err := app.Pings.Ping(t.Context(), check)
	if err != nil || got.Balance != money.New(4750, money.USD) || got.Status != ping.Active {
		t.Errorf("the partner's card: %s %s, %v", got.Status, got.Balance, err)
	}

	bare := open(t, server.Options{})
	_, err = bare.Pings.AddNetwork(t.Context(), partner(endpoint.URL, filepath.Join(folder, "token")))
	if fault.CodeOf(err) != fault.InvalidRequest || !strings.Contains(err.Error(), "setting secrets") {
		t.Errorf("a file without a folder: %v", err)
	}
}

// Checks from an address on the operator's list say so; a list that cannot be read, or has
// a line that is no network, keeps the server from starting.
func TestProxyList(t *testing.T) {
	list := filepath.Join(t.TempDir(), "proxies")
	write := func(text string) {
		if err := os.WriteFile(list, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for text, want := range map[string]string{"192.0.2.1\nmany\n": "line 2: want an address", "fe80::1%eth0": "line 1: want an address"} {
		write(text)
		if app, err := server.Open(t.Context(), server.Options{Data: t.TempDir(), ProxyList: list, Logger: slog.New(slog.DiscardHandler)}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v", text, app, err)
		}
	}
	if _, err := server.Open(t.Context(), server.Options{Data: t.TempDir(), ProxyList: list + ".gone", Logger: slog.New(slog.DiscardHandler)}); err == nil || !strings.Contains(err.Error(), "proxy list") {
		t.Errorf("no list: %v", err)
	}
	write("# exits\n\n192.0.2.0/24\n198.51.100.7 # one\n")
	app := open(t, server.Options{ProxyList: list})
	customer, err := app.Accounts.CreateCustomer(t.Context(), "opr_test", account.NewCustomer{Name: "Desk"})
	if err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]string{"192.0.2.9": "proxy_ip_detected", "198.51.100.7": "proxy_ip_detected", "198.51.100.8": ""} {
		check := ping.Check{Caller: ping.Caller{Book: customer.Test, Realm: realm.Test, Credential: "key_desk", Address: netip.MustParseAddr(address)},
			Network: "visa_gift", Number: pan.NewSecret("6006491300004711")}
		got, err := app.Pings.Ping(t.Context(), check)
		if err != nil {
			t.Fatal(err)
		}
		found := ""
		for _, signal := range got.Score.Signals {
			if signal.Name == "proxy_ip_detected" {
				found = signal.Name
			}
		}
		if found != want {
			t.Errorf("from %s: signals %+v, want %q", address, got.Score.Signals, want)
		}
	}
}
