package s3_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/cashout/image"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/platform/keyfile"
	"github.com/scripcards/scrip/internal/platform/sigv4"
	"github.com/scripcards/scrip/internal/provider/s3"
)

var began = time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC)

var credential = sigv4.Credential{AccessKey: "AKIDEXAMPLE", Secret: pan.NewSecret("wJalrXUtnFEMI"), Region: "eu-central-1"}

// store answers as a store does that checks signatures.
type store struct {
	mu      sync.Mutex
	objects map[string]string
	t       *testing.T
}

func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	again := httptest.NewRequestWithContext(context.Background(), r.Method, "http://"+r.Host+r.URL.Path, nil)
	credential.SignRequest(again, began)
	object, found := s.objects[r.URL.Path]
	switch {
	case r.Header.Get("Authorization") != again.Header.Get("Authorization") || r.Header.Get("X-Amz-Date") != "20261128T090000Z":
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, "<Error><Code>SignatureDoesNotMatch</Code><Message>wJalr</Message></Error>")
	case object == "redirect":
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(http.StatusTemporaryRedirect)
	case !found && r.Method == http.MethodGet:
		w.WriteHeader(http.StatusNotFound)
	case r.Method == http.MethodDelete:
		delete(s.objects, r.URL.Path)
		w.WriteHeader(http.StatusNoContent)
	default:
		_, _ = io.WriteString(w, object)
	}
}

func open(t *testing.T, objects map[string]string) (*s3.Bucket, *store, *httptest.Server) {
	t.Helper()
	s := &store{objects: objects, t: t}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	b, err := s3.New(s3.Config{Endpoint: server.URL + "/", Bucket: "card-images", PathStyle: true, Credential: credential}, clock.NewManual(began))
	if err != nil {
		t.Fatal(err)
	}
	if want := server.URL + "/card-images"; b.Address() != want {
		t.Fatalf("forms are sent to %s, not %s", b.Address(), want)
	}
	return b, s, server
}

// An object is fetched and removed with signed requests; one that is not there is neither
// found nor an error.
func TestObjects(t *testing.T) {
	var bucket image.Bucket
	bucket, s, _ := open(t, map[string]string{"/card-images/ab_Image1": "pixels", "/elsewhere": "no"})
	object, found, err := bucket.Fetch(t.Context(), "ab_Image1", 6)
	if err != nil || !found || string(object) != "pixels" {
		t.Fatalf("%q, %t, %v", object, found, err)
	}
	for range 2 {
		if err := bucket.Remove(t.Context(), "ab_Image1"); err != nil {
			t.Fatal(err)
		}
	}
	if _, found, err := bucket.Fetch(t.Context(), "ab_Image1", 6); found || err != nil || len(s.objects) != 1 {
		t.Errorf("after it was removed: %t, %v", found, err)
	}
}

// What is too large, refused, sent elsewhere or not answered at all is an error that tells
// neither key nor secret.
func TestErrors(t *testing.T) {
	bucket, _, server := open(t, map[string]string{"/card-images/large": "seven77", "/card-images/moved": "redirect", "/elsewhere": "no"})
	other, err := s3.New(s3.Config{Endpoint: server.URL, Bucket: "card-images", PathStyle: true, Credential: sigv4.Credential{AccessKey: "AKIDEXAMPLE", Secret: pan.NewSecret("another"), Region: "eu-central-1"}}, clock.NewManual(began))
	if err != nil {
		t.Fatal(err)
	}
	check := func(name string, err error, want string) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "wJalr") || strings.Contains(err.Error(), "large") {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
	_, _, err = bucket.Fetch(t.Context(), "large", 6)
	check("too large", err, "it has more than 6 bytes")
	_, _, err = bucket.Fetch(t.Context(), "moved", 6)
	check("redirected", err, "get object: status 307")
	_, _, err = other.Fetch(t.Context(), "large", 6)
	check("refused", err, "get object: 403 SignatureDoesNotMatch")
	check("refused", other.Remove(t.Context(), "large"), "delete object: 403 SignatureDoesNotMatch")
	_, _, err = bucket.Fetch(t.Context(), "../others/large", 6)
	check("no key", err, "want a key")
	server.Close()
	_, _, err = bucket.Fetch(t.Context(), "large", 6)
	check("away", err, "s3: get object:")
}

// A configuration that cannot work is refused at once.
func TestConfig(t *testing.T) {
	good := s3.Config{Endpoint: "https://s3.example", Bucket: "card-images", PathStyle: true, Credential: credential}
	for name, change := range map[string]func(c *s3.Config){
		"no endpoint":      func(c *s3.Config) { c.Endpoint = "" },
		"another scheme":   func(c *s3.Config) { c.Endpoint = "ftp://s3.example" },
		"with credentials": func(c *s3.Config) { c.Endpoint = "https://a:b@s3.example" },
		"with a path":      func(c *s3.Config) { c.Endpoint = "https://s3.example/card-images" },
		"a bucket's name":  func(c *s3.Config) { c.Bucket = "Card/../x" },
		"no access key":    func(c *s3.Config) { c.Credential.AccessKey = "" },
		"no secret":        func(c *s3.Config) { c.Credential.Secret = pan.Secret{} },
		"no region":        func(c *s3.Config) { c.Credential.Region = "" },
	} {
		c := good
		change(&c)
		if _, err := s3.New(c, clock.System()); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// A configuration names the bucket in the path or in the host, reads the secret of a file,
// and says which of its keys is wrong. It never repeats the secret.
func TestOpen(t *testing.T) {
	folder := keyfile.Folder(t.TempDir())
	if err := os.WriteFile(filepath.Join(string(folder), "secret"), []byte("wJalrXUtnFEMI\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	whole := func(change string) []byte {
		all := map[string]any{"endpoint": "https://s3.example:9000", "region": "eu-central-1", "bucket": "card-images", "key_id": "AKIDEXAMPLE", "secret_file": "secret"}
		if err := json.Unmarshal([]byte(change), &all); err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(all)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	for change, address := range map[string]string{
		`{}`:                  "https://card-images.s3.example:9000",
		`{"path_style":true}`: "https://s3.example:9000/card-images",
		`{"endpoint":"http://127.0.0.1:9000/","allow_plain":true,"path_style":true}`: "http://127.0.0.1:9000/card-images",
	} {
		b, err := s3.Open(whole(change), folder, clock.System())
		if err != nil {
			t.Fatal(change, err)
		}
		if b.Address() != address || b.Name() != "card-images" || b.Credential().Secret.Reveal() != "wJalrXUtnFEMI" || b.Credential().Region != "eu-central-1" {
			t.Errorf("%s: %s", change, b.Address())
		}
	}
	for change, field := range map[string]string{
		`{"endpoint":""}`: "endpoint", `{"endpoint":"https://s3.example/cards"}`: "endpoint", `{"endpoint":"http://s3.example","allow_plain":true}`: "endpoint",
		`{"endpoint":"http://127.0.0.1:9000"}`: "endpoint", `{"region":"a/b"}`: "region", `{"bucket":"A"}`: "bucket", `{"key_id":""}`: "key_id",
		`{"secret_file":""}`: "secret_file", `{"secret_file":"gone"}`: "secret_file", `{"secret_file":"/etc/passwd"}`: "secret_file",
		`{"tls":{"ca_file":"secret"}}`: "tls", `{"tls":{"roots":"x"}}`: "tls.roots", `{"timeout_ms":-1}`: "timeout_ms", `{"colour":1}`: "colour", `{"path_style":"yes"}`: "path_style",
	} {
		_, err := s3.Open(whole(change), folder, clock.System())
		if fault.CodeOf(err) != fault.InvalidRequest || fault.From(err).Field != field || strings.Contains(err.Error(), "wJalr") {
			t.Errorf("%s: %v at %q", change, err, fault.From(err).Field)
		}
	}
	if _, err := s3.Open(whole(`{"bucket":"card.images"}`), folder, clock.System()); fault.CodeOf(err) != fault.InvalidRequest {
		t.Errorf("a bucket with dots in a host of TLS: %v", err)
	}
}
