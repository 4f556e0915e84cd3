package lnd

import (
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/scripcards/scrip/internal/core/fault"
)

// secret is in every text that a node of these tests answers with besides what is read.
const secret = "a word of the node's"

// answer is what a node answers to a path.
type answer struct {
	status int
	body   string
}

// fake is a node that answers as a test wants.
type fake struct {
	*httptest.Server
	t      *testing.T
	config string
	mu     sync.Mutex
	// answers are by method and path; calls are what was asked, with the bodies.
	answers map[string]func(r *http.Request, body []byte) answer
	calls   []string
}

func start(t *testing.T) *fake {
	t.Helper()
	f := &fake{t: t, answers: map[string]func(*http.Request, []byte) answer{}}
	f.Server = httptest.NewTLSServer(http.HandlerFunc(f.serve))
	t.Cleanup(f.Close)
	dir := t.TempDir()
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.Certificate().Raw})
	for name, content := range map[string][]byte{"tls.cert": certificate, "macaroon": {0xca, 0xfe}} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f.config = fmt.Sprintf(`{"url":%q,"macaroon_file":%q,"certificate_file":%q,"network":"regtest"}`, f.URL, filepath.Join(dir, "macaroon"), filepath.Join(dir, "tls.cert"))
	f.say("GET /v1/getinfo", `{"synced_to_chain":true,"chains":[{"chain":"bitcoin","network":"regtest"}],"alias":"`+secret+`"}`)
	return f
}

func (f *fake) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		f.t.Error(err)
	}
	if r.Header.Get("Grpc-Metadata-Macaroon") != "cafe" {
		f.t.Errorf("%s has the macaroon %q", r.URL.Path, r.Header.Get("Grpc-Metadata-Macaroon"))
	}
	what := r.Method + " " + r.URL.Path
	f.mu.Lock()
	f.calls = append(f.calls, what+" "+r.URL.RawQuery+string(body))
	say := f.answers[what]
	f.mu.Unlock()
	if say == nil {
		w.WriteHeader(http.StatusNotFound)
		_, _ = fmt.Fprint(w, `{"code":5,"message":"Not Found"}`)
		return
	}
	a := say(r, body)
	w.WriteHeader(a.status)
	_, _ = fmt.Fprint(w, a.body)
}

// say has the node answer so.
func (f *fake) say(what, body string) { f.refuse(what, http.StatusOK, body) }

func (f *fake) refuse(what string, status int, body string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers[what] = func(*http.Request, []byte) answer { return answer{status, body} }
}

// asked returns the last call that began so.
func (f *fake) asked(what string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := len(f.calls) - 1; i >= 0; i-- {
		if strings.HasPrefix(f.calls[i], what) {
			return strings.TrimPrefix(f.calls[i], what+" ")
		}
	}
	f.t.Fatalf("nobody asked %s", what)
	return ""
}

func (f *fake) open() *Node {
	f.t.Helper()
	n, err := Open([]byte(f.config), "")
	if err != nil {
		f.t.Fatal(err)
	}
	return n
}

// want fails unless an error has a code, and none of the node's words.
func want(t *testing.T, name string, err error, code fault.Code) {
	t.Helper()
	if fault.CodeOf(err) != code || err != nil && strings.Contains(err.Error(), secret) {
		t.Errorf("%s: %v, want %s", name, err, code)
	}
}

// A configuration that cannot hold is refused with the name of what is wrong, and a file
// that is not there at the start is told then.
func TestConfig(t *testing.T) {
	good := start(t).config
	swap := func(old, with string) string { return strings.Replace(good, old, with, 1) }
	for name, c := range map[string]struct{ text, field string }{
		"no JSON":          {"{", ""},
		"two objects":      {good + "{}", ""},
		"unknown key":      {swap(`{"url"`, `{"colour":1,"url"`), "colour"},
		"a key twice":      {swap(`{"url"`, `{"url":"https://127.0.0.1:1","url"`), ""},
		"plain":            {swap("https://", "http://"), "url"},
		"no host":          {`{"url":"https:///","macaroon_file":"/a","network":"regtest"}`, "url"},
		"a password":       {swap("https://", "https://a:b@"), "url"},
		"a path":           {swap(`","macaroon_file`, `/v1","macaroon_file`), "url"},
		"no macaroon":      {swap("macaroon_file", "macaroon"), "macaroon"},
		"macaroon is gone": {swap(`/macaroon"`, `/gone"`), "macaroon_file"},
		"no certificate":   {swap(`/tls.cert"`, `/macaroon"`), "certificate_file"},
		"cert is gone":     {swap(`/tls.cert"`, `/gone"`), "certificate_file"},
		"relative":         {`{"url":"https://node.example","macaroon_file":"macaroon","network":"regtest"}`, "macaroon_file"},
		"simnet":           {swap("regtest", "simnet"), "network"},
		"timeout":          {swap(`{"url"`, `{"timeout_seconds":601,"url"`), "timeout_seconds"},
	} {
		_, err := Open([]byte(c.text), "")
		want(t, name, err, fault.InvalidRequest)
		var f *fault.Error
		if !errors.As(err, &f) || f.Field != c.field {
			t.Errorf("%s: the field of %v, want %q", name, err, c.field)
		}
		if strings.Count(err.Error(), string(fault.InvalidRequest)) != 1 || name == "relative" && !strings.Contains(err.Error(), "absolute") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n, err := Open([]byte(good), ""); err != nil || n.Network() != "regtest" {
		t.Errorf("%v, %v", n, err)
	}
}

// A node that is behind, locked, or on another network does nothing and knows nothing.
func TestReady(t *testing.T) {
	for name, a := range map[string]answer{
		"behind":          {200, `{"synced_to_chain":false,"chains":[{"network":"regtest"}]}`},
		"another network": {200, `{"synced_to_chain":true,"chains":[{"network":"mainnet"}]}`},
		"no network":      {200, `{"synced_to_chain":true,"chains":[]}`},
		"locked":          {500, `{"code":2,"message":"wallet locked ` + secret + `"}`},
		"no macaroon":     {500, `{"code":2,"message":"permission denied ` + secret + `"}`},
		"no JSON":         {200, secret},
		"a page":          {502, "<html>" + secret},
		"twice":           {200, `{"synced_to_chain":false,"synced_to_chain":true,"chains":[{"network":"regtest"}]}`},
	} {
		f := start(t)
		f.refuse("GET /v1/getinfo", a.status, a.body)
		n := f.open()
		_, err := Wallet{n}.Build(t.Context(), order())
		want(t, name+": build", plain(err), fault.Unavailable)
		_, err = Chain{n}.Look(t.Context(), [][]byte{hexBytes(t, rawOf(order()))})
		want(t, name+": look", plain(err), fault.Unavailable)
		want(t, name+": publish", plain(Chain{n}.Publish(t.Context(), hexBytes(t, rawOf(order())))), fault.Unavailable)
		_, err = Lightning{n}.Pay(t.Context(), transfer())
		want(t, name+": pay", plain(err), fault.Unavailable)
		_, err = Lightning{n}.Track(t.Context(), transfer().Hash)
		want(t, name+": track", plain(err), fault.Unavailable)
		if len(f.calls) != 5 {
			t.Errorf("%s: calls %q", name, f.calls)
		}
	}
}

func hexBytes(t *testing.T, text string) []byte {
	t.Helper()
	raw, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
