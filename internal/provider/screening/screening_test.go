package screening_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/scripcards/scrip/internal/cashout/customer"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/platform/keyfile"
	"github.com/scripcards/scrip/internal/provider/screening"
)

// A service is asked with its key, true and false count, and everything else is no answer that names nobody.
func TestScreen(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "key"), []byte("k3y"), 0o600); err != nil {
		t.Fatal(err)
	}
	status, answer, asked := 200, "", ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		asked = r.Header.Get("Authorization") + " " + string(body)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer) // the client may have left
	}))
	defer server.Close()
	s, err := screening.Open(fmt.Appendf(nil, `{"name":"lists","url":"%s/screen","key_file":"key","match":"result.hit","allow_plain":true}`, server.URL), keyfile.Folder(dir))
	if err != nil {
		t.Fatal(err)
	}
	who := customer.Subject{Name: customer.Name{First: "Ada", Last: "Lovelace"}, Address: "bc1q"}
	for _, c := range []struct {
		status       int
		answer       string
		found, known bool
	}{
		{200, `{"result":{"hit":true}}`, true, true}, {200, `{"result":{"hit":false}}`, false, true}, {200, `{"result":{"hit":"false"}}`, false, false},
		{200, `{"result":{"hit":0}}`, false, false}, {200, `{"result":{}}`, false, false}, {200, "", false, false}, {500, `{"result":{"hit":false}}`, false, false},
		{302, `{"result":{"hit":false}}`, false, false}, {200, strings.Repeat(" ", 300_000) + `{"result":{"hit":false}}`, false, false},
	} {
		status, answer = c.status, c.answer
		m, err := s.Screen(t.Context(), who)
		if m.Found() != c.found || (err == nil) != c.known || err != nil && fault.CodeOf(err) != fault.Unavailable {
			t.Errorf("%d %.40s: %+v, %v", c.status, c.answer, m, err)
		}
		if err != nil && (strings.Contains(err.Error(), "Lovelace") || strings.Contains(err.Error(), "k3y")) {
			t.Errorf("the error says too much: %v", err)
		}
	}
	if asked != `Bearer k3y {"first_name":"Ada","last_name":"Lovelace","address":"bc1q"}` {
		t.Errorf("asked %s", asked)
	}
	server.Close()
	if _, err := s.Screen(t.Context(), who); fault.CodeOf(err) != fault.Unavailable {
		t.Error(err)
	}
}

// A service that hangs, before its answer or within it, is given up after the time that is set, and one that sends its caller elsewhere is not followed: nobody is cleared by that.
func TestSilence(t *testing.T) {
	elsewhere := 0
	for name, answer := range map[string]http.HandlerFunc{
		"nothing": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"half": func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, `{"match":false}`) // the client may have left
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		},
		"broken off": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, `{"match":false}`)
		},
		"elsewhere": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/cleared", http.StatusTemporaryRedirect)
		},
	} {
		mux := http.NewServeMux()
		mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // a server notices that its client left once it has read all
			answer(w, r)
		})
		mux.HandleFunc("/cleared", func(w http.ResponseWriter, _ *http.Request) {
			elsewhere++
			_, _ = io.WriteString(w, `{"match":false}`)
		})
		server := httptest.NewServer(mux)
		s, err := screening.Open(fmt.Appendf(nil, `{"name":"slow","url":"%s/","allow_plain":true,"timeout_ms":50}`, server.URL), "")
		if err != nil {
			t.Fatal(err)
		}
		if m, err := s.Screen(t.Context(), customer.Subject{Address: "bc1q"}); fault.CodeOf(err) != fault.Unavailable || m.Found() {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
		server.Close()
	}
	if elsewhere != 0 {
		t.Errorf("asked elsewhere %d times", elsewhere)
	}
}

// What is wrong with a configuration is named.
func TestOpenRefuses(t *testing.T) {
	for config, field := range map[string]string{
		`1`: "", `{"name":"A"}`: "name", `{"name":"a"}`: "url", `{"name":"a","url":"http://x.example/"}`: "url", `{"name":"a","url":"https://x.example/","match":""}`: "match",
		`{"name":"a","url":"https://x.example/","key_file":"gone"}`: "key_file", `{"name":"a","url":"https://x.example/","timeout_ms":99999}`: "timeout_ms",
		`{"name":"a","url":"https://x.example/","color":1}`: "color",
	} {
		_, err := screening.Open([]byte(config), keyfile.Folder(t.TempDir()))
		if f := fault.From(err); err == nil || f.Code != fault.InvalidRequest || f.Field != field {
			t.Errorf("%s: %v", config, err)
		}
	}
}
