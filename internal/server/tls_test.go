package server_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/telemetry"
	"github.com/scripcards/scrip/internal/portal"
	"github.com/scripcards/scrip/internal/server"
	"github.com/scripcards/scrip/internal/testkit/nameserver"
)

const ownDomain = "cards.shop.example"

// A visitor of a domain that a portal claims finds it over TLS with a certificate of its
// own, had from a real ACME server when the first one came; for other names there is none. The
// operator API and the figures are not to be had there.
func TestCertificateOnDemand(t *testing.T) {
	if testing.Short() {
		t.Skip("a short run builds no ACME server")
	}
	authority := newAuthority(t)
	data := t.TempDir()
	dns := nameserver.Start(t)
	app, err := server.Open(context.Background(), server.Options{Data: data, DNS: dns.Address(), Logger: slog.New(slog.DiscardHandler), Metrics: telemetry.NewMetrics()})
	if err != nil {
		t.Fatal(err)
	}
	claim(t, app, dns)
	address := serveTLS(t, app, server.TLS{Listen: "127.0.0.1:0", Directory: authority.directory, Email: "ops@shop.example", Roots: authority.roots})
	authority.start(address)
	first, body, err := visit(address, ownDomain)
	if err != nil {
		t.Fatal(err)
	}
	if first.VerifyHostname(ownDomain) != nil || !strings.Contains(first.Issuer.CommonName, "Pebble") || !strings.Contains(body, "Own Domain") {
		t.Errorf("certificate for %v by %s, page %.200s", first.DNSNames, first.Issuer, body)
	}
	again, _, err := visit(address, ownDomain)
	if err != nil || again.SerialNumber.Cmp(first.SerialNumber) != 0 {
		t.Errorf("the second visitor: %v, another certificate", err)
	}
	for _, name := range []string{"nobody.example", "www." + ownDomain, "127.0.0.1"} {
		if _, _, err := visit(address, name); err == nil {
			t.Errorf("%s has a certificate", name)
		}
	}
	stored, err := filepath.Glob(filepath.Join(data, "certificates", "certificates", "*", "*"))
	if err != nil || len(stored) != 1 || filepath.Base(stored[0]) != ownDomain {
		t.Errorf("stored: %v, %v", stored, err)
	}
	for path, want := range map[string]string{"/openapi/gatepay.yaml": "200 OK", "/operator/v1/openapi.yaml": "404 Not Found", "/operator": "404 Not Found", "/%6fperator/v1/me": "404 Not Found",
		"/metrics": "404 Not Found", "/%6detrics": "404 Not Found"} {
		if status, err := ask(address, "cards.scrip.example", path); err != nil || status != want {
			t.Errorf("%s of the installation's own host: %s, %v, want %s", path, status, err, want)
		}
	}
}

// TLS at an address that cannot be had, or with roots that cannot be read, does not begin.
func TestTLSRefuses(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "roots.pem")
	if err := os.WriteFile(bad, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, set := range map[string]func(*server.TLS){
		"no such file":         func(s *server.TLS) { s.Roots = bad + ".gone" },
		"no certificate in":    func(s *server.TLS) { s.Roots = bad },
		"listen on nowhere:no": func(s *server.TLS) { s.Listen = "nowhere:no" },
	} {
		app, err := server.Open(context.Background(), server.Options{Data: t.TempDir(), Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		s := server.TLS{Listen: "127.0.0.1:0"}
		set(&s)
		err = app.Serve(t.Context(), "127.0.0.1:0", server.HTTP{TLS: s}, func(string) { t.Errorf("%s: it serves", want) })
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
		if err := app.Close(); err != nil {
			t.Error(err)
		}
	}
}

// claim makes a customer with a portal on the domain, and shows whose that is.
func claim(t *testing.T, app *server.App, dns *nameserver.Server) {
	t.Helper()
	customer, err := app.Accounts.CreateCustomer(t.Context(), "opr_test", account.NewCustomer{Name: "Shop"})
	if err != nil {
		t.Fatal(err)
	}
	made, err := app.Portals.Create(t.Context(), portal.NewPortal{Book: customer.Live, Realm: realm.Live, Name: "Own Domain", Slug: "own", CustomDomain: ownDomain, Actor: "key/k1"})
	if err != nil {
		t.Fatal(err)
	}
	dns.Set(made.Record())
	if made, err = app.Portals.VerifyDomain(t.Context(), portal.Change{Book: made.Book, Portal: made.ID, Actor: "key/k1"}); err != nil || !made.Proof.Verified {
		t.Fatal(made.Proof, err)
	}
}

// serveTLS runs the app until the test ends and returns where TLS is ended.
func serveTLS(t *testing.T, app *server.App, s server.TLS) string {
	t.Helper()
	opened, ended := make(chan string, 1), make(chan error, 1)
	s.Ready = func(address string) { opened <- address }
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		ended <- app.Serve(ctx, "127.0.0.1:0", server.HTTP{TLS: s, BaseURL: "https://cards.scrip.example"}, func(string) {})
	}()
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
	case address := <-opened:
		return address
	case err := <-ended:
		ended <- err
		t.Fatal(err)
	}
	return ""
}

// ask returns the status of a path of a host, whatever certificate is shown.
func ask(address, name, path string) (string, error) {
	conn, err := tls.Dial("tcp", address, &tls.Config{ServerName: name, InsecureSkipVerify: true}) // whose it is, visit looks at
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", path, name); err != nil {
		return "", err
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return "", err
	}
	return response.Status, response.Body.Close()
}

// visit asks for the page of a name and returns the certificate that was shown.
func visit(address, name string) (*x509.Certificate, string, error) {
	conn, err := tls.Dial("tcp", address, &tls.Config{ServerName: name, InsecureSkipVerify: true}) // the test looks at the certificate itself
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = conn.Close() }()
	if _, err := fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", name); err != nil {
		return nil, "", err
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = response.Body.Close() }()
	if response.Header.Get("Strict-Transport-Security") == "" {
		return nil, "", fmt.Errorf("browsers are not told to stay with TLS: %v", response.Header)
	}
	body, err := io.ReadAll(response.Body)
	return conn.ConnectionState().PeerCertificates[0], string(body), err
}

// authority is an ACME server of its own, a process that reaches nothing but this machine.
type authority struct {
	t                          *testing.T
	dir, program, dns, listens string
	directory                  string
	roots                      string // the PEM file that its own certificate needs
}

// newAuthority builds the server that the tools pin. It does not run yet.
func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir(), listens: freeAddress(t)}
	a.program, a.roots, a.directory = filepath.Join(a.dir, "pebble"), filepath.Join(a.dir, "cert.pem"), "https://"+a.listens+"/dir"
	build := exec.Command("go", "build", "-o", a.program, "github.com/letsencrypt/pebble/v2/cmd/pebble")
	build.Dir = filepath.Join("..", "..", "scripts", "tools")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the ACME server: %v\n%s", err, out)
	}
	a.dns = answerNames(t)
	a.certify()
	return a
}

// certify gives the server's own address a certificate.
func (a *authority) certify() {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	plan := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature}
	certificate, err := x509.CreateCertificate(rand.Reader, plan, plan, key.Public(), key)
	if err != nil {
		a.t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: certificate}, "key.pem": {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(filepath.Join(a.dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			a.t.Fatal(err)
		}
	}
}

// start runs the server, which looks for proofs at the port of address, and waits until it answers.
func (a *authority) start(address string) {
	a.t.Helper()
	at, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		a.t.Fatal(err)
	}
	config, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": a.listens, "managementListenAddress": freeAddress(a.t), "certificate": a.roots, "privateKey": filepath.Join(a.dir, "key.pem"),
		"httpPort": 1, "tlsPort": at.Port, "retryAfter": map[string]int{"authz": 1, "order": 1}, "keyAlgorithm": "ecdsa",
		"profiles": map[string]any{"default": map[string]any{"description": "default", "validityPeriod": 7776000}},
	}})
	if err != nil {
		a.t.Fatal(err)
	}
	file := filepath.Join(a.dir, "config.json")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		a.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	command := exec.CommandContext(ctx, a.program, "-config", file, "-dnsserver", a.dns)
	command.Env = append(os.Environ(), "PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=0", "PEBBLE_AUTHZREUSE=0")
	said, pipe := io.Pipe()
	command.Stdout, command.Stderr = pipe, pipe
	if err := command.Start(); err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() {
		stop()
		_ = command.Wait() // it was killed
		_ = pipe.Close()
	})
	lines, listening := bufio.NewScanner(said), make(chan struct{})
	go func() {
		for seen := false; lines.Scan(); {
			a.t.Log(lines.Text())
			if !seen && strings.Contains(lines.Text(), "Listening on: "+a.listens) {
				seen = true
				close(listening)
			}
		}
		if err := lines.Err(); err != nil {
			a.t.Log(err)
		}
	}()
	<-listening
}

// freeAddress is an address that was free a moment ago, for a program that cannot tell which it took.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

// answerNames is a name server, over TCP, for which every name is this machine (RFC 1035).
func answerNames(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				for answerOne(conn) == nil {
				}
			}()
		}
	}()
	return listener.Addr().String()
}

// answerOne answers one question on a connection; each message has its length before it.
func answerOne(conn net.Conn) error {
	var size [2]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return err
	}
	query := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(conn, query); err != nil {
		return err
	}
	answer := answerName(query)
	_, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...))
	return err
}

func answerName(query []byte) []byte {
	const header = 12
	if len(query) < header {
		return nil
	}
	end := bytes.IndexByte(query[header:], 0)
	if end < 0 || len(query) < header+end+5 {
		return nil
	}
	question := query[header : header+end+5]
	answer := append([]byte{query[0], query[1], 0x84, 0, 0, 1, 0, 0, 0, 0, 0, 0}, question...)
	if question[end+2] == 1 { // the type A
		answer[7] = 1
		answer = append(answer, 0xc0, header, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 127, 0, 0, 1)
	}
	return answer
}
