package balance

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ping"
)

// What no error may hold.
const (
	testNumber = "6006491300000011"
	testPIN    = `12"34&5`
	testToken  = "tok-5b1d7e9a"
)

// patience bounds how long a test waits for what must happen.
const patience = 20 * time.Second

// object is a JSON object.
type object map[string]any

// with returns a copy of o whose dotted keys have other values; nil removes one.
func (o object) with(changes object) object {
	content, err := json.Marshal(o)
	if err != nil {
		return nil
	}
	var copied map[string]any
	if json.Unmarshal(content, &copied) != nil {
		return nil
	}
	for key, value := range changes {
		at := copied
		names := strings.Split(key, ".")
		for _, name := range names[:len(names)-1] {
			at = at[name].(map[string]any)
		}
		if at[names[len(names)-1]] = value; value == nil {
			delete(at, names[len(names)-1])
		}
	}
	return copied
}

// usual is a configuration that uses everything.
func usual(t *testing.T, url string) object {
	t.Helper()
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte(testToken+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return object{
		"url":          url + "/v2/balance",
		"allow_plain":  true,
		"headers":      object{"Authorization": "Bearer {{secret.token}}"},
		"body":         object{"card": object{"number": "{{number}}", "pin": "{{pin}}"}, "currency": "{{currency}}"},
		"secret_files": object{"token": token},
		"checks_pin":   true,
		"http_statuses": object{
			"403": "wrong_pin", "404": "invalid", "410": "expired", "422": "card_invalid", "423": "inactive", "503": "unavailable",
		},
		"answer": object{
			"status": "data.card.0.state",
			"words": object{
				"OPEN": "active", "LOCKED": "inactive", "PAST": "expired", "NONE": "invalid", "BADPIN": "wrong_pin",
				"ALIEN": "card_invalid", "BUSY": "unavailable", "1": "active", "true": "active",
			},
			"balance": "data.card.0.balance", "balance_format": "decimal",
			"currency": "data.currency", "currencies": []string{"USD", "JPY"},
			"expiry": "data.card.0.ends", "expiry_format": "YYYY-MM",
			"as_of": "data.at", "as_of_format": "rfc3339",
		},
	}
}

func mustOpen(t *testing.T, config object) *network {
	t.Helper()
	text, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := Open("", text)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	n := opened.(*network)
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

func inquiry(t testing.TB) ping.Inquiry {
	t.Helper()
	number, err := pan.Parse(testNumber)
	if err != nil {
		t.Fatal(err)
	}
	usd, err := money.Parse("USD")
	if err != nil {
		t.Fatal(err)
	}
	return ping.Inquiry{Book: "bk_1", Realm: realm.Live, Number: number, PIN: pan.NewSecret(testPIN), Currency: usd}
}

func inquire(t *testing.T, n *network) (ping.Balance, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return n.Inquire(ctx, inquiry(t))
}

// wantFault checks the code of an error, and that it says nothing that it may not.
func wantFault(t *testing.T, err error, code fault.Code) {
	t.Helper()
	if fault.CodeOf(err) != code {
		t.Fatalf("error = %v, want %s", err, code)
	}
	for _, secret := range []string{testNumber, testPIN, testToken, testNumber[6:12], testNumber[4:8]} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("the error holds a secret: %v", err)
		}
	}
}

// says starts a partner who always gives the same answer.
func says(t *testing.T, status int, body string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func currency(t testing.TB, code string) money.Currency {
	t.Helper()
	c, err := money.Parse(code)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
