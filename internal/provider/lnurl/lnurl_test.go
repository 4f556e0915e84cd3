package lnurl_test

import (
	"context"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/scripcards/scrip/internal/cashout/payout"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/provider/lnurl"
	"github.com/scripcards/scrip/internal/webhook"
)

// service is a host of Lightning Addresses that answers as a test wants.
type service struct {
	*httptest.Server
	terms, bill string // HOST stands for its own
	asked       []string
}

func serve(t *testing.T) *service {
	t.Helper()
	s := &service{terms: `{"tag":"payRequest","callback":"https://HOST/pay?id=7","minSendable":1000,"maxSendable":9000,"metadata":"[]","commentAllowed":5}`,
		bill: `{"pr":"lnbcrt1abc","routes":[]}`}
	s.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked = append(s.asked, r.Method+" "+r.URL.String())
		text := s.terms
		switch {
		case strings.HasPrefix(r.URL.Path, "/.well-known/lnurlp/switch"):
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = conn.Close() }()
			_, _ = fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: silence\r\n\r\n")
			_, _ = conn.Read(make([]byte, 1)) // until it is closed
			return
		case r.URL.Path == "/pay":
			text = s.bill
		case strings.HasPrefix(r.URL.Path, "/.well-known/lnurlp/round"):
			http.Redirect(w, r, "/.well-known/lnurlp/round", http.StatusFound)
			return
		case strings.HasPrefix(r.URL.Path, "/.well-known/lnurlp/moved"):
			http.Redirect(w, r, "/.well-known/lnurlp/ada", http.StatusFound)
			return
		case strings.HasPrefix(r.URL.Path, "/.well-known/lnurlp/plain"):
			http.Redirect(w, r, "http://"+r.Host+"/.well-known/lnurlp/ada", http.StatusFound)
			return
		}
		_, _ = fmt.Fprint(w, strings.ReplaceAll(text, "HOST", r.Host))
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *service) client(guard *webhook.Guard) *lnurl.Client {
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return lnurl.New(guard, roots)
}

func (s *service) ask(user string, msat int64) payout.Ask {
	return payout.Ask{User: user, Host: strings.TrimPrefix(s.URL, "https://"), MilliSatoshi: msat}
}

// An invoice is asked for in two steps, with the amount beside whatever the service wants
// to be told again; a redirect is followed.
func TestResolve(t *testing.T) {
	s := serve(t)
	for _, user := range []string{"ada", "moved"} {
		s.asked = nil
		offer, err := s.client(&webhook.Guard{AllowPrivate: true}).Resolve(t.Context(), s.ask(user, 5000))
		if err != nil || offer.Invoice != "lnbcrt1abc" || offer.Metadata != "[]" {
			t.Fatalf("%s: %+v, %v", user, offer, err)
		}
		if got := strings.Join(s.asked, ", "); !strings.HasSuffix(got, "GET /.well-known/lnurlp/ada, GET /pay?amount=5000&id=7") {
			t.Errorf("%s: asked %s", user, got)
		}
	}
}

// What a service may not answer is refused; nothing that it says gets into an error.
func TestRefused(t *testing.T) {
	s := serve(t)
	terms, bill := s.terms, s.bill
	for name, c := range map[string]struct {
		terms, bill string
		msat        int64
		want        fault.Code
	}{
		"too little":         {terms, bill, 999, fault.InvalidRequest},
		"too much":           {terms, bill, 9001, fault.InvalidRequest},
		"nobody":             {`{"status":"ERROR","reason":"secret"}`, bill, 5000, fault.InvalidRequest},
		"another tag":        {strings.Replace(terms, "payRequest", "withdrawRequest", 1), bill, 5000, fault.Unavailable},
		"impossible bounds":  {strings.Replace(terms, "9000", "1", 1), bill, 5000, fault.Unavailable},
		"a float":            {strings.Replace(terms, "9000", "9000.5", 1), bill, 5000, fault.Unavailable},
		"no JSON":            {"<html>secret", bill, 5000, fault.Unavailable},
		"twice the same":     {strings.Replace(terms, `"tag"`, `"tag":"secret","tag"`, 1), bill, 5000, fault.Unavailable},
		"endless":            {terms, strings.Repeat(" ", 1<<20+1), 5000, fault.Unavailable},
		"plain callback":     {strings.Replace(terms, "https://HOST", "ftp://HOST", 1), bill, 5000, fault.InvalidRequest},
		"callback with user": {strings.Replace(terms, "https://HOST", "https://secret@HOST", 1), bill, 5000, fault.InvalidRequest},
		"no callback":        {strings.Replace(terms, "https://HOST/pay?id=7", "", 1), bill, 5000, fault.InvalidRequest},
		"no invoice":         {terms, `{"status":"ERROR","reason":"secret"}`, 5000, fault.InvalidRequest},
		"a long invoice":     {terms, `{"pr":"` + strings.Repeat("l", 8000) + `"}`, 5000, fault.InvalidRequest},
	} {
		s.terms, s.bill = c.terms, c.bill
		offer, err := s.client(&webhook.Guard{AllowPrivate: true}).Resolve(t.Context(), s.ask("ada", c.msat))
		if fault.CodeOf(err) != c.want || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %+v, %v; want %s", name, offer, err, c.want)
		}
	}
}

// Private addresses are not asked, whatever name leads there, nor is anybody after too many redirects,
// and nobody is waited for who makes another protocol of the connection.
func TestGuarded(t *testing.T) {
	s := serve(t)
	for host, want := range map[string]fault.Code{
		strings.TrimPrefix(s.URL, "https://"): fault.InvalidRequest, "10.0.0.1": fault.InvalidRequest, "[::1]": fault.InvalidRequest, "localhost": fault.InvalidRequest,
		"169.254.169.254": fault.InvalidRequest, "2130706433": fault.InvalidRequest, "pay.internal": fault.InvalidRequest,
	} {
		_, err := s.client(&webhook.Guard{}).Resolve(t.Context(), payout.Ask{User: "ada", Host: host, MilliSatoshi: 5000})
		if fault.CodeOf(err) != want {
			t.Errorf("%s: %v", host, err)
		}
	}
	if _, err := s.client(&webhook.Guard{AllowPrivate: true}).Resolve(t.Context(), s.ask("round", 5000)); fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("round and round: %v", err)
	}
	if n := len(s.asked); n > 5 {
		t.Errorf("%d requests were made", n)
	}
	if _, err := s.client(&webhook.Guard{AllowPrivate: true}).Resolve(t.Context(), s.ask("switch", 5000)); fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("another protocol: %v", err)
	}
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.client(&webhook.Guard{AllowPrivate: true}).Resolve(stopped, s.ask("ada", 5000)); fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("after its end: %v", err)
	}
}

// Whatever two answers hold, there is an offer within the bounds or a fault, and no panic.
func FuzzAnswers(f *testing.F) {
	f.Add(`{"tag":"payRequest","callback":"https://HOST/pay?id=7","minSendable":1000,"maxSendable":9000,"metadata":"[]"}`, `{"pr":"lnbcrt1abc"}`)
	f.Add(`{"status":"ERROR"}`, `{}`)
	f.Add(`[]`, `null`)
	f.Fuzz(func(t *testing.T, terms, bill string) {
		if strings.Count(terms, "/") != 3*strings.Count(terms, "https://HOST/") || strings.Contains(terms, `\`) {
			return // it could lead to somebody else's host
		}
		s := serve(t)
		s.terms, s.bill = terms, bill
		offer, err := s.client(&webhook.Guard{AllowPrivate: true}).Resolve(t.Context(), s.ask("ada", 5000))
		if err == nil && (offer.Invoice == "" || len(offer.Invoice) > 7089) || err != nil && fault.CodeOf(err) == fault.Internal {
			t.Errorf("%+v, %v", offer, err)
		}
	})
}
