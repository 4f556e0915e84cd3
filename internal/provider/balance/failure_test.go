package balance

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/ping"
	"github.com/scripcards/scrip/internal/platform/line"
	"github.com/scripcards/scrip/internal/platform/reply"
	"github.com/scripcards/scrip/internal/provider/call"
	"github.com/scripcards/scrip/internal/testkit/faultproxy"
)

const goodAnswer = `{"data":{"currency":"USD","card":[{"state":"OPEN","balance":47.5}]}}`

// What the network or the partner's host may do to an inquiry ends it with
// unavailable, within its time, in bounded memory, while another network answers all
// along and the failing one answers as soon as it behaves again.
func TestFaults(t *testing.T) {
	partner := says(t, 200, goodAnswer)
	proxy := faultproxy.New(t, strings.TrimPrefix(partner, "http://"))
	failing := mustOpen(t, usual(t, "http://"+proxy.Addr()).with(object{"timeout_ms": 300, "max_connections": 4}))
	healthy := mustOpen(t, usual(t, partner))
	stopped := make(chan struct{})
	var others sync.WaitGroup
	others.Go(func() {
		for {
			select {
			case <-stopped:
				return
			default:
			}
			if _, err := inquire(t, healthy); err != nil {
				t.Errorf("the healthy network: %v", err)
				return
			}
		}
	})
	defer func() {
		close(stopped)
		others.Wait()
	}()
	faults := []struct {
		kind       faultproxy.Kind
		attributes faultproxy.Attributes
	}{
		{faultproxy.Silence, faultproxy.Attributes{"timeout": 0}},
		{faultproxy.Silence, faultproxy.Attributes{"timeout": 20}},
		{faultproxy.Latency, faultproxy.Attributes{"latency": 60000}},
		{faultproxy.Reset, nil},
		{faultproxy.Half, faultproxy.Attributes{"bytes": 150}},
		{faultproxy.Half, faultproxy.Attributes{"bytes": 0}},
		{faultproxy.Drip, faultproxy.Attributes{"average_size": 1, "delay": 20000}},
		{faultproxy.Garbage, nil},
	}
	for _, f := range faults {
		t.Run(string(f.kind), func(t *testing.T) {
			proxy.Add(t, f.kind, f.attributes)
			var group sync.WaitGroup
			for range 8 {
				group.Go(func() {
					_, err := inquire(t, failing)
					wantFault(t, err, fault.Unavailable)
				})
			}
			group.Wait()
			proxy.Cut() // what is left of the connections that the fault has seen
			_, err := inquire(t, failing)
			wantFault(t, err, fault.Unavailable)
			proxy.Restore(t)
			if b := inquireUntil(t, failing); b.Amount.Minor != 4750 {
				t.Errorf("behaving again: %+v", b)
			}
		})
	}
	wantNoGoroutines(t, failing)
}

// inquireUntil asks until there is an answer: a kept connection may turn out to be
// broken, and an inquiry is one attempt.
func inquireUntil(t *testing.T, n *network) ping.Balance {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		b, err := inquire(t, n)
		if err == nil {
			return b
		}
		if time.Now().After(deadline) {
			t.Fatalf("no answer any more: %v", err)
		}
		runtime.Gosched()
	}
}

// wantNoGoroutines waits until nothing runs for n but what the runtime keeps.
func wantNoGoroutines(t *testing.T, n *network) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
		stacks := make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		waiting := 0
		for stack := range strings.SplitSeq(string(stacks), "\n\n") {
			if strings.Contains(stack, "balance.(*network).Inquire") {
				waiting++
			}
		}
		if waiting <= 1 { // the healthy network's caller
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d inquiries are still under way:\n%s", waiting, stacks)
		}
		runtime.Gosched()
	}
}

// An answer without an end is cut off at the bound, and memory with it.
func TestEndlessAnswer(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		block := []byte(strings.Repeat(" ", 64<<10))
		for {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	}))
	t.Cleanup(server.Close)
	n := mustOpen(t, usual(t, server.URL))
	_, err := inquire(t, n)
	wantFault(t, err, fault.Unavailable)
	endlessHeader := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Long", strings.Repeat("x", call.MaxHeader+4096))
	}))
	t.Cleanup(endlessHeader.Close)
	_, err = inquire(t, mustOpen(t, usual(t, endlessHeader.URL)))
	wantFault(t, err, fault.Unavailable)
}

// A caller who gives up is told at once, with the reason in the chain.
func TestGivenUp(t *testing.T) {
	asked := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // else the server does not notice that the client is gone
		close(asked)
		<-r.Context().Done()
	}))
	t.Cleanup(server.Close)
	n := mustOpen(t, usual(t, server.URL).with(object{"timeout_ms": 60000}))
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-asked
		cancel()
	}()
	_, err := n.Inquire(ctx, inquiry(t))
	wantFault(t, err, fault.Unavailable)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v, want the cancellation in it", err)
	}
}

// The partner is asked once for each inquiry, whatever becomes of it, and where it
// points elsewhere nobody goes.
func TestOneAttempt(t *testing.T) {
	var elsewhere string
	requests := make(chan string, 64)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests <- r.URL.Path
		switch r.URL.Path {
		case "/redirect/v2/balance":
			http.Redirect(w, r, elsewhere, http.StatusTemporaryRedirect)
		case "/drop/v2/balance":
			conn, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				_ = conn.Close()
			}
		default:
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	t.Cleanup(server.Close)
	elsewhere = server.URL + "/elsewhere"
	for _, way := range []string{"/redirect", "/drop", "/error"} {
		_, err := inquire(t, mustOpen(t, usual(t, server.URL+way)))
		wantFault(t, err, fault.Unavailable)
		if got := <-requests; got != way+"/v2/balance" || len(requests) != 0 {
			t.Errorf("%s: %s and %d more", way, got, len(requests))
		}
	}
}

// A proxy in the environment is not used, and a name that is not the machine's is not
// dialled without TLS.
func TestWayOut(t *testing.T) {
	trap := says(t, 200, goodAnswer)
	t.Setenv("HTTP_PROXY", trap)
	t.Setenv("HTTPS_PROXY", trap)
	n := mustOpen(t, usual(t, "https://127.0.0.1:1"))
	if n.client.Transport.(reply.Bounded).Proxy != nil {
		t.Error("a proxy is used")
	}
	_, err := inquire(t, n)
	wantFault(t, err, fault.Unavailable)
	plain := call.NewClient(call.Limits{Timeout: patience, Conns: 1, Loopback: true})
	_, err = plain.Get("http://192.0.2.1:9/")
	if !errors.Is(err, call.ErrNotLoopback) {
		t.Errorf("error = %v, want %v", err, call.ErrNotLoopback)
	}
}

// TLS is checked against the named authority and host, and the client shows its
// certificate where it has one.
func TestTLS(t *testing.T) {
	dir := t.TempDir()
	own := identity(t, dir, "client")
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TLS.PeerCertificates) != 1 {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		_, _ = io.WriteString(w, goodAnswer)
	}))
	clients := x509.NewCertPool()
	clients.AddCert(own)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.TLS = &tls.Config{ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: clients}
	server.StartTLS()
	t.Cleanup(server.Close)
	authority := filepath.Join(dir, "ca.pem")
	writePEM(t, authority, "CERTIFICATE", server.Certificate().Raw)
	base := usual(t, server.URL).with(object{"allow_plain": nil})
	files := func(changes object) object {
		all := object{"ca_file": authority, "cert_file": filepath.Join(dir, "client.pem"), "key_file": filepath.Join(dir, "client.key")}
		return base.with(object{"tls": all.with(changes)})
	}
	b, err := inquire(t, mustOpen(t, files(nil)))
	if err != nil || b.Amount.Minor != 4750 {
		t.Errorf("with everything: %+v, %v", b, err)
	}
	if b, err := inquire(t, mustOpen(t, files(object{"cert_file": nil, "key_file": nil}))); err != nil || b.PIN != ping.PINWrong {
		t.Errorf("without a certificate: %+v, %v, want the partner's refusal", b, err)
	}
	for name, config := range map[string]object{
		"system's authorities": base,
		"another authority":    files(object{"ca_file": filepath.Join(dir, "client.pem")}),
		"another name":         files(object{"server_name": "elsewhere.example"}),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := inquire(t, mustOpen(t, config))
			wantFault(t, err, fault.Unavailable)
		})
	}
}

// identity writes a self-signed certificate and its key.
func identity(t *testing.T, dir, name string) *x509.Certificate {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, filepath.Join(dir, name+".pem"), "CERTIFICATE", der)
	writePEM(t, filepath.Join(dir, name+".key"), "PRIVATE KEY", key)
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

func writePEM(t *testing.T, path, kind string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// No error and no printed form of a network holds a number, PIN or secret, not even
// where the URL holds all of them and the partner repeats them in everything.
func TestNothingLeaks(t *testing.T) {
	everything := "number=" + testNumber + "&pin=" + testPIN + "&key=" + testToken
	answers := map[string]func(w http.ResponseWriter, r *http.Request){
		"word": func(w http.ResponseWriter, _ *http.Request) {
			answerWith(w, `{"data":{"card":[{"state":`+quote(everything)+`}]}}`)
		},
		"balance": func(w http.ResponseWriter, _ *http.Request) {
			answerWith(w, `{"data":{"currency":"USD","card":[{"state":"OPEN","balance":`+quote(everything)+`}]}}`)
		},
		"currency": func(w http.ResponseWriter, _ *http.Request) {
			answerWith(w, `{"data":{"currency":`+quote(everything)+`,"card":[{"state":"OPEN","balance":1}]}}`)
		},
		"no JSON": func(w http.ResponseWriter, _ *http.Request) { answerWith(w, everything) },
		"reason": func(w http.ResponseWriter, _ *http.Request) {
			raw(w, "HTTP/1.1 500 "+everything+"\r\n\r\n")
		},
		"no HTTP": func(w http.ResponseWriter, _ *http.Request) { raw(w, everything+"\r\n\r\n") },
		"redirect": func(w http.ResponseWriter, _ *http.Request) {
			raw(w, "HTTP/1.1 302 Found\r\nLocation: http://[::1/"+everything+"\r\n\r\n")
		},
		"drop": func(w http.ResponseWriter, _ *http.Request) { raw(w, "") },
	}
	for name, handler := range answers {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(handler))
			t.Cleanup(server.Close)
			n := mustOpen(t, usual(t, server.URL).with(object{
				"body": nil, "url": server.URL + "/{{number}}?pin={{pin}}&key={{secret.token}}",
			}))
			_, err := inquire(t, n)
			wantFault(t, err, fault.Unavailable)
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
				wantFault(t, fmt.Errorf("printed as %s", fmt.Sprintf(verb, err)), fault.Internal)
				wantFault(t, fmt.Errorf("printed as %s", fmt.Sprintf(verb, n.request.secrets)), fault.Internal)
			}
		})
	}
	_, err := inquire(t, mustOpen(t, usual(t, "").with(object{"body": nil, "url": "https://127.0.0.1:1/{{number}}?pin={{pin}}&key={{secret.token}}"})))
	wantFault(t, err, fault.Unavailable)
}

// What has nothing to do with the card is told from what may be about it alone.
func TestOutages(t *testing.T) {
	reset := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { raw(w, "") }))
	defer reset.Close()
	secured := httptest.NewTLSServer(http.NotFoundHandler())
	defer secured.Close()
	for about, c := range map[string]struct {
		url    string
		outage bool
	}{
		"nobody listens":  {"http://127.0.0.1:1", true},
		"no such host":    {"https://partner.invalid", true},
		"not trusted":     {secured.URL, true},
		"401":             {says(t, 401, "{}"), true},
		"503":             {says(t, 503, "{}"), true},
		"500":             {says(t, 500, "{}"), false},
		"429":             {says(t, 429, "{}"), false},
		"no JSON":         {says(t, 200, "<html>"), false},
		"an unknown word": {says(t, 200, strings.Replace(goodAnswer, "OPEN", "ODD", 1)), false},
		"cut off":         {reset.URL, false},
	} {
		_, err := inquire(t, mustOpen(t, usual(t, c.url)))
		wantFault(t, err, fault.Unavailable)
		if line.IsOutage(err) != c.outage {
			t.Errorf("%s: %v is taken for an outage: %v", about, err, !c.outage)
		}
		guard := line.New(line.Config{Attempts: 1}, clock.System())
		_, logged := line.Ask(t.Context(), guard, func(context.Context) (struct{}, error) { return struct{}{}, err })
		if why := fault.From(err).Message; why == "" || !strings.Contains(logged.Error(), why) {
			t.Errorf("%s: the log has %v, and not %s", about, logged, why)
		}
	}
}

// Whatever the reason for no answer, it is told in words of our own.
func TestClassify(t *testing.T) {
	secret := "https://partner.example/" + testNumber
	for _, err := range []error{
		&net.DNSError{Err: secret, Name: secret}, &net.DNSError{Err: secret, IsTimeout: true},
		&net.OpError{Op: "dial", Err: errors.New(secret)}, &net.OpError{Op: "remote error", Err: errors.New(secret)},
		&net.OpError{Op: "read", Err: errors.New(secret)}, &tls.CertificateVerificationError{Err: errors.New(secret)},
		tls.RecordHeaderError{Msg: secret}, call.ErrNotLoopback, errors.New(secret), io.ErrUnexpectedEOF,
	} {
		text := call.Reason(&url.Error{Op: "Get", URL: secret, Err: err})
		if text == "" || strings.Contains(text, testNumber) {
			t.Errorf("%T: %q", err, text)
		}
	}
}

func answerWith(w http.ResponseWriter, body string) { _, _ = io.WriteString(w, body) }

// raw answers with bytes, and ends the connection.
func raw(w http.ResponseWriter, text string) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	_, _ = io.WriteString(conn, text)
	_ = conn.(*net.TCPConn).Close()
}

func quote(text string) string {
	quoted, err := json.Marshal(text)
	if err != nil {
		return `""`
	}
	return string(quoted)
}
