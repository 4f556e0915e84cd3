package captcha_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/provider/captcha"
)

const secret = "the-secret-of-the-account"

// desk is a service: it answers with what answer says and keeps what it was asked.
type desk struct {
	*httptest.Server
	answer func(w http.ResponseWriter, r *http.Request)
	asked  chan url.Values
}

func newDesk(t *testing.T, answer func(w http.ResponseWriter, r *http.Request)) *desk {
	t.Helper()
	d := &desk{answer: answer, asked: make(chan url.Values, 16)}
	d.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		d.asked <- r.PostForm
		d.answer(w, r)
	}))
	t.Cleanup(d.Close)
	return d
}

// says answers with a text.
func says(text string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
}

func open(t *testing.T, kind captcha.Kind, endpoint string) *captcha.Captcha {
	t.Helper()
	c, err := captcha.Open(captcha.Config{Kind: kind, SiteKey: "site-1", Secret: pan.NewSecret(secret), Endpoint: endpoint})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// kinds are the services that there are.
func kinds() []captcha.Kind {
	return []captcha.Kind{captcha.ReCAPTCHA, captcha.HCaptcha, captcha.Turnstile}
}

// Each service is asked in its own words, once, with the address where that is one.
func TestAsks(t *testing.T) {
	for _, kind := range kinds() {
		d := newDesk(t, says(`{"success":true,"challenge_ts":"2026-11-21T09:00:00Z","hostname":"cards.example"}`))
		c := open(t, kind, d.URL)
		want := url.Values{"secret": {secret}, "response": {"an-answer"}}
		if kind == captcha.HCaptcha {
			want.Set("sitekey", "site-1")
		}
		for address, told := range map[string]string{"198.51.100.7": "198.51.100.7", "198.51.100.7:4000": "198.51.100.7", "[2001:db8::1]:4000": "2001:db8::1",
			"::ffff:198.51.100.7": "198.51.100.7", "": "", "nowhere": ""} {
			if err := c.Verify(t.Context(), "an-answer", address); err != nil {
				t.Errorf("%s, %q: %v", kind, address, err)
			}
			want.Del("remoteip")
			if told != "" {
				want.Set("remoteip", told)
			}
			if diff := cmp.Diff(want, <-d.asked); diff != "" {
				t.Errorf("%s, %q: %s", kind, address, diff)
			}
		}
		if len(d.asked) > 0 {
			t.Errorf("%s is asked %d times more", kind, len(d.asked))
		}
	}
}

// Only a clear yes passes, of each service: a no is the visitor's, everything else is nobody's,
// and no error repeats what was sent or what came.
func TestFailsClosed(t *testing.T) {
	status := func(code int) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(code)
			_, _ = io.WriteString(w, `{"success":true}`)
		}
	}
	for name, c := range map[string]struct {
		answer func(http.ResponseWriter, *http.Request)
		want   fault.Code
	}{
		"no":                {says(`{"success":false,"error-codes":["invalid-input-response"]}`), fault.InvalidRequest},
		"used":              {says(`{"success":false,"error-codes":["timeout-or-duplicate"]}`), fault.InvalidRequest},
		"no without a code": {says(`{}`), fault.InvalidRequest},
		"a wrong secret":    {says(`{"success":false,"error-codes":["invalid-input-secret"]}`), fault.Unavailable},
		"a mistake of its":  {says(`{"success":false,"error-codes":["internal-error","invalid-input-response"]}`), fault.Unavailable},
		"a text":            {says(`yes ` + secret), fault.Unavailable},
		"a yes as a text":   {says(`{"success":"true"}`), fault.Unavailable},
		"half an answer":    {says(`{"success":true`), fault.Unavailable},
		"a flood":           {says(`{"success":true,"x":"` + strings.Repeat("x", 80<<10) + `"}`), fault.Unavailable},
		"an error":          {status(500), fault.Unavailable},
		"another yes":       {status(201), fault.Unavailable},
		"somewhere else": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/other", http.StatusTemporaryRedirect)
		}, fault.Unavailable},
		"a broken line":      {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, fault.Unavailable},
		"codes with a trick": {says(`{"success":false,"error-codes":["invalid-input-secret","` + secret + `"]}`), fault.Unavailable},
	} {
		for _, kind := range kinds() {
			d := newDesk(t, c.answer)
			err := open(t, kind, d.URL).Verify(t.Context(), "an-answer", "198.51.100.7")
			if fault.CodeOf(err) != c.want {
				t.Errorf("%s, %s: %v, want %s", kind, name, err, c.want)
			}
			for e := err; e != nil; e = errors.Unwrap(e) {
				if text := fmt.Sprintf("%v %+v", e, e); strings.Contains(text, secret) || strings.Contains(text, "an-answer") || strings.Contains(text, "198.51.100.7") {
					t.Errorf("%s, %s: %s", kind, name, text)
				}
			}
			if len(d.asked) != 1 {
				t.Errorf("%s, %s: asked %d times", kind, name, len(d.asked))
			}
		}
	}
}

// An answer that cannot be one is refused without asking.
func TestAsksNobody(t *testing.T) {
	d := newDesk(t, says(`{"success":true}`))
	for _, answer := range []string{"", strings.Repeat("x", 8<<10+1)} {
		if err := open(t, captcha.ReCAPTCHA, d.URL).Verify(t.Context(), answer, ""); fault.CodeOf(err) != fault.InvalidRequest || fault.From(err).Field != "captcha" {
			t.Errorf("%d bytes: %v", len(answer), err)
		}
	}
	if len(d.asked) != 0 {
		t.Errorf("asked %d times", len(d.asked))
	}
}

// A service that is not there, or hangs, is waited for no longer than was said, and than the caller does.
func TestGivesUp(t *testing.T) {
	hang := make(chan struct{})
	d := newDesk(t, func(http.ResponseWriter, *http.Request) { <-hang })
	t.Cleanup(func() { close(hang) })
	c, err := captcha.Open(captcha.Config{Kind: captcha.HCaptcha, SiteKey: "s", Secret: pan.NewSecret(secret), Endpoint: d.URL, Timeout: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Verify(t.Context(), "an-answer", ""); fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("hangs: %v", err)
	}
	ctx, leave := context.WithCancel(t.Context())
	go func() {
		<-d.asked // the first
		<-d.asked
		leave()
	}()
	if err := open(t, captcha.HCaptcha, d.URL).Verify(ctx, "an-answer", ""); fault.CodeOf(err) != fault.Unavailable || !errors.Is(err, context.Canceled) {
		t.Errorf("the caller left: %v", err)
	}
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	if err := open(t, captcha.HCaptcha, gone.URL).Verify(t.Context(), "an-answer", ""); fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("not there: %v", err)
	}
}

// A configuration that cannot be right is refused with the field to blame.
func TestOpenRefuses(t *testing.T) {
	good := captcha.Config{Kind: captcha.Turnstile, SiteKey: "site-1", Secret: pan.NewSecret(secret)}
	if _, err := captcha.Open(good); err != nil {
		t.Fatal(err)
	}
	for field, edits := range map[string][]func(*captcha.Config){
		"kind":     {func(c *captcha.Config) { c.Kind = "" }, func(c *captcha.Config) { c.Kind = "other" }},
		"site_key": {func(c *captcha.Config) { c.SiteKey = "" }, func(c *captcha.Config) { c.SiteKey = "a b" }, func(c *captcha.Config) { c.SiteKey = strings.Repeat("x", 257) }},
		"secret":   {func(c *captcha.Config) { c.Secret = pan.Secret{} }},
		"endpoint": {
			func(c *captcha.Config) { c.Endpoint = "http://captcha.example/verify" }, func(c *captcha.Config) { c.Endpoint = "https://u:p@captcha.example" },
			func(c *captcha.Config) { c.Endpoint = "https://captcha.example/?a=b" }, func(c *captcha.Config) { c.Endpoint = "captcha.example" },
			func(c *captcha.Config) { c.Endpoint = "http://localhost/verify" }, func(c *captcha.Config) { c.Endpoint = "ftp://127.0.0.1/verify" },
		},
		"timeout": {func(c *captcha.Config) { c.Timeout = -1 }, func(c *captcha.Config) { c.Timeout = time.Hour }},
	} {
		for i, edit := range edits {
			c := good
			edit(&c)
			if _, err := captcha.Open(c); fault.CodeOf(err) != fault.InvalidRequest || fault.From(err).Field != field {
				t.Errorf("%s %d: %v", field, i, err)
			}
		}
	}
}

// What a page needs comes from the service's own hosts alone, over TLS, with the account's key.
func TestWidget(t *testing.T) {
	for kind, hosts := range map[captcha.Kind][]string{
		captcha.ReCAPTCHA: {"www.google.com", "www.gstatic.com", "recaptcha.google.com"},
		captcha.HCaptcha:  {"hcaptcha.com", "js.hcaptcha.com", "*.hcaptcha.com"},
		captcha.Turnstile: {"challenges.cloudflare.com"},
	} {
		w := open(t, kind, "").Widget()
		if w.SiteKey != "site-1" || w.Class == "" || w.Field == "" || len(w.Scripts) == 0 || len(w.Frames) == 0 {
			t.Errorf("%s: %+v", kind, w)
		}
		for _, source := range append([]string{w.Script}, append(append(append(w.Scripts, w.Styles...), w.Frames...), w.Connects...)...) {
			u, err := url.Parse(source)
			known := false
			for _, host := range hosts {
				known = known || u.Host == host
			}
			if err != nil || u.Scheme != "https" || !known {
				t.Errorf("%s lets in %s", kind, source)
			}
		}
	}
}

// For demonstrations one answer passes.
func TestDemo(t *testing.T) {
	var demo captcha.Demo
	if err := demo.Verify(t.Context(), captcha.DemoAnswer, "198.51.100.7"); err != nil {
		t.Error(err)
	}
	if err := demo.Verify(t.Context(), "other", ""); fault.CodeOf(err) != fault.InvalidRequest {
		t.Errorf("another answer: %v", err)
	}
}
