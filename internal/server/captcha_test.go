package server_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/portal"
	"github.com/scripcards/scrip/internal/server"
)

const captchaSecret = "the-secret-of-the-account"

// A captcha that is configured takes the place of the proof of work: visitors who look like
// machines are shown it, and its service is asked about their answer with the file's secret.
func TestCaptcha(t *testing.T) {
	asked := make(chan url.Values, 4)
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		asked <- r.PostForm
		_, _ = io.WriteString(w, map[string]string{"solved": `{"success":true}`}[r.PostForm.Get("response")])
	}))
	t.Cleanup(service.Close)
	secret := filepath.Join(t.TempDir(), "captcha.secret")
	if err := os.WriteFile(secret, []byte(captchaSecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	base := withPortal(t, server.Captcha{Kind: "turnstile", SiteKey: "site-1", SecretFile: secret, Endpoint: service.URL})
	form := url.Values{"network": {"visa_gift"}, "number": {"6006-4913-0000-0011"}, "pin": {"1234"}}
	for n := range 5 {
		if status, body := submit(t, base, form); status != 200 || !strings.Contains(body, "47.50") {
			t.Fatalf("check %d: %d %s", n, status, body)
		}
	}
	if status, body := submit(t, base, form); status != 429 || !strings.Contains(body, `<div class="cf-turnstile" data-sitekey="site-1">`) {
		t.Errorf("beyond a person's pace: %d %s", status, body)
	}
	form.Set("cf-turnstile-response", "nonsense")
	if status, _ := submit(t, base, form); status != 503 {
		t.Errorf("the service says nothing: %d", status)
	}
	form.Set("cf-turnstile-response", "solved")
	if status, body := submit(t, base, form); status != 200 || !strings.Contains(body, "47.50") {
		t.Errorf("solved: %d %s", status, body)
	}
	for range 2 {
		if got := <-asked; got.Get("secret") != captchaSecret || got.Get("remoteip") != "127.0.0.1" {
			t.Errorf("asked %v", got)
		}
	}
}

// withPortal serves an installation with a portal of the test realm, and returns the portal's address.
func withPortal(t *testing.T, captcha server.Captcha) string {
	t.Helper()
	app, err := server.Open(context.Background(), server.Options{Data: t.TempDir(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	customer, err := app.Accounts.CreateCustomer(t.Context(), "opr_test", account.NewCustomer{Name: "Shop"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := app.Portals.Create(t.Context(), portal.NewPortal{Book: customer.Test, Realm: "test", Name: "Shop", Slug: "shop", Actor: "key/k1"}); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	address, ended := make(chan string, 1), make(chan error, 1)
	go func() {
		ended <- app.Serve(ctx, "127.0.0.1:0", server.HTTP{Captcha: captcha}, func(a string) { address <- a })
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("serve: %v", err)
		}
		if err := app.Close(); err != nil {
			t.Error(err)
		}
	})
	select {
	case a := <-address:
		return "http://" + a + "/p/shop"
	case err := <-ended:
		ended <- err
		t.Fatal(err)
	}
	return ""
}

// submit sends the form of a page as its own browser would.
func submit(t *testing.T, address string, form url.Values) (int, string) {
	t.Helper()
	request, err := http.NewRequest(http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Sec-Fetch-Site", "same-origin")
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

// A captcha that is set by half does not begin, and the error tells no secret.
func TestCaptchaRefuses(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "captcha.secret")
	if err := os.WriteFile(secret, []byte(captchaSecret), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, c := range map[string]server.Captcha{
		"does not exist":                      {Kind: "turnstile", SiteKey: "site-1", SecretFile: secret + ".gone"},
		"captcha_secret_file are required":    {Kind: "turnstile", SiteKey: "site-1"},
		"captcha turnstile: captcha_site_key": {Kind: "turnstile", SecretFile: secret},
		"want recaptcha, hcaptcha or turns":   {Kind: "other", SiteKey: "site-1", SecretFile: secret},
		"want an https URL":                   {Kind: "hcaptcha", SiteKey: "site-1", SecretFile: secret, Endpoint: "http://captcha.example"},
	} {
		app, err := server.Open(context.Background(), server.Options{Data: t.TempDir(), Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		err = app.Serve(t.Context(), "127.0.0.1:0", server.HTTP{Captcha: c}, func(string) { t.Errorf("%s: it serves", want) })
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), captchaSecret) {
			t.Errorf("%v, want %s", err, want)
		}
		if err := app.Close(); err != nil {
			t.Error(err)
		}
	}
}
