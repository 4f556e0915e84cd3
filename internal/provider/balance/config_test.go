package balance

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/platform/keyfile"
)

// A configuration that could not work, or not as it reads, is refused when it is
// opened, with the key that is to blame.
func TestMalformedConfigurations(t *testing.T) {
	dir := t.TempDir()
	line := filepath.Join(dir, "line")
	if err := os.WriteFile(line, []byte("two\nlines"), 0o600); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(dir, "binary")
	if err := os.WriteFile(binary, []byte("\xff\xfe"), 0o600); err != nil {
		t.Fatal(err)
	}
	many := object{}
	for i := range maxEntries + 1 {
		many["h"+strings.Repeat("x", i)] = "answer"
	}
	long := strings.Repeat("x", 20000)
	cases := []struct {
		name   string
		change object
		key    string
	}{
		{"unknown key", object{"retries": 3}, "retries"},
		{"unknown key below", object{"answer.path": "x"}, "answer.path"},
		{"key in another case", object{"URL": "https://x.example"}, "URL"},
		{"wrong type", object{"timeout_ms": "5s"}, "timeout_ms"},
		{"fraction", object{"timeout_ms": 1.5}, "timeout_ms"},
		{"no URL", object{"url": nil}, "url"},
		{"no scheme", object{"url": "partner.example/x"}, "url"},
		{"another scheme", object{"url": "ftp://partner.example/x"}, "url"},
		{"plain outside", object{"url": "http://partner.example/x"}, "url"},
		{"plain not allowed", object{"allow_plain": false}, "url"},
		{"plain near loopback", object{"url": "http://localhost.example/x"}, "url"},
		{"no host", object{"url": "https:///x"}, "url"},
		{"host by a placeholder", object{"url": "https://{{number}}.example/"}, "url"},
		{"user", object{"url": "https://me:secret@partner.example/"}, "url"},
		{"fragment", object{"url": "https://partner.example/#a"}, "url"},
		{"space", object{"url": "https://partner.example/a b"}, "url"},
		{"escape", object{"url": "https://partner.example/%zz"}, "url"},
		{"query escape", object{"url": "https://partner.example/?a=%zz"}, "url"},
		{"brace", object{"url": "https://partner.example/{number}"}, "url"},
		{"long URL", object{"url": "https://partner.example/" + long}, "url"},
		{"PIN in the path", object{"url": "https://partner.example/{{pin}}"}, "url"},
		{"secret in the path", object{"url": "https://partner.example/{{secret.token}}"}, "url"},
		{"port", object{"url": "https://partner.example:x/"}, "url"},
		{"method", object{"method": "DELETE"}, "method"},
		{"method in small letters", object{"method": "post"}, "method"},
		{"GET with a body", object{"method": "GET"}, "method"},
		{"header name", object{"headers": object{"X Y": "a"}}, "headers.X Y"},
		{"header of ours", object{"headers": object{"host": "a"}}, "headers.host"},
		{"header twice", object{"headers": object{"X-A": "a", "x-a": "b"}}, "headers."},
		{"header value", object{"headers": object{"X-A": "a\r\nX-B: b"}}, "headers.X-A"},
		{"number in a header", object{"headers": object{"X-A": "{{number}}"}}, "headers.X-A"},
		{"PIN in a header", object{"headers": object{"X-A": "{{pin}}"}}, "headers.X-A"},
		{"secret unfit for a header", object{"secret_files.token": line}, "headers.Authorization"},
		{"headers", object{"headers": many}, "headers"},
		{"unknown placeholder", object{"body": object{"a": "{{card}}"}}, "body"},
		{"spaces in a placeholder", object{"body": object{"a": "{{ number }}"}}, "body"},
		{"open placeholder", object{"body": object{"a": "{{number"}}, "body"},
		{"placeholder over two strings", object{"body": []string{"{{number", "}}"}}, "body"},
		{"unknown secret", object{"body": object{"a": "{{secret.other}}"}}, "body"},
		{"secret without a name", object{"body": object{"a": "{{secret.}}"}}, "body"},
		{"many placeholders", object{"body": strings.Repeat("x{{number}}", 65)}, "body"},
		{"long body", object{"body": long}, "body"},
		{"body and form", object{"form": object{"a": "b"}}, "form"},
		{"empty form", object{"body": nil, "form": object{}}, "form"},
		{"form placeholder", object{"body": nil, "form": object{"a": "{{nothing}}"}}, "form.a"},
		{"long form", object{"body": nil, "form": many}, "form"},
		{"secret name", object{"secret_files.Token!": "/x"}, "secret_files.Token!"},
		{"secret file", object{"secret_files.token": filepath.Join(dir, "gone")}, "secret_files.token"},
		{"binary secret", object{"headers": nil, "secret_files.token": binary}, "secret_files.token"},
		{"secret of a relative path", object{"secret_files.token": "token"}, "secret_files.token"},
		{"authority", object{"tls": object{"ca_file": line}}, "tls"},
		{"key alone", object{"tls": object{"key_file": line}}, "tls"},
		{"timeout", object{"timeout_ms": 60001}, "timeout_ms"},
		{"negative timeout", object{"timeout_ms": -1}, "timeout_ms"},
		{"size", object{"max_response_bytes": 1 << 30}, "max_response_bytes"},
		{"connections", object{"max_connections": 1000}, "max_connections"},
		{"HTTP status", object{"http_statuses": object{"4xx": "invalid"}}, "http_statuses.4xx"},
		{"informational", object{"http_statuses": object{"100": "invalid"}}, "http_statuses.100"},
		{"status means", object{"http_statuses": object{"404": "gone"}}, "http_statuses.404"},
		{"active by status", object{"http_statuses": object{"404": "active"}}, "http_statuses.404"},
		{"HTTP statuses", object{"http_statuses": many}, "http_statuses"},
		{"words alone", object{"answer.status": nil}, "answer.words"},
		{"status alone", object{"answer.words": nil}, "answer.words"},
		{"word means", object{"answer.words": object{"OPEN": "fine"}}, "answer.words.OPEN"},
		{"word means answer", object{"answer.words": object{"OPEN": "answer"}}, "answer.words.OPEN"},
		{"empty word", object{"answer.words": object{"": "active"}}, "answer.words."},
		{"words", object{"answer.words": many}, "answer.words"},
		{"no balance", object{"answer.balance": nil}, "answer.balance"},
		{"empty segment", object{"answer.balance": "data..balance"}, "answer.balance"},
		{"deep path", object{"answer.balance": strings.Repeat("a.", 16) + "a"}, "answer.balance"},
		{"long path", object{"answer.balance": long}, "answer.balance"},
		{"status path", object{"answer.status": "."}, "answer.status"},
		{"currency path", object{"answer.currency": "a."}, "answer.currency"},
		{"expiry path", object{"answer.expiry": "a."}, "answer.expiry"},
		{"time path", object{"answer.as_of": ".a"}, "answer.as_of"},
		{"no format", object{"answer.balance_format": nil}, "answer.balance_format"},
		{"format", object{"answer.balance_format": "float"}, "answer.balance_format"},
		{"currency", object{"answer.currencies": []string{"usd"}}, "answer.currencies"},
		{"no expiry format", object{"answer.expiry_format": nil}, "answer.expiry_format"},
		{"expiry format", object{"answer.expiry_format": "YY"}, "answer.expiry_format"},
		{"expiry format alone", object{"answer.expiry": nil}, "answer.expiry_format"},
		{"unknown expiry format alone", object{"answer.expiry": nil, "answer.expiry_format": "YY"}, "answer.expiry_format"},
		{"no time format", object{"answer.as_of_format": nil}, "answer.as_of_format"},
		{"time format", object{"answer.as_of_format": "iso"}, "answer.as_of_format"},
		{"time format alone", object{"answer.as_of": nil}, "answer.as_of_format"},
	}
	base := usual(t, "http://127.0.0.1:1")
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			text, err := json.Marshal(base.with(c.change))
			if err != nil {
				t.Fatal(err)
			}
			wantRefused(t, text, c.key)
		})
	}
	for name, text := range map[string]string{
		"nothing": "", "text": "https", "array": "[]", "null": "null", "twice": `{"url":"https://a.example","url":"https://b.example"}`,
		"rest": `{} {}`, "broken": `{"url":`, "long": `{"url":"` + strings.Repeat("x", maxConfig) + `"}`,
	} {
		t.Run(name, func(t *testing.T) { wantRefused(t, []byte(text), "") })
	}
}

func wantRefused(t *testing.T, config []byte, key string) {
	t.Helper()
	_, err := Open("", config)
	if fault.CodeOf(err) != fault.InvalidRequest {
		t.Fatalf("error = %v, want invalid_request", err)
	}
	if got := fault.From(err).Field; key != "" && !strings.HasPrefix(got, key) {
		t.Errorf("blames %q, want %q: %v", got, key, err)
	}
	if strings.Contains(err.Error(), testToken) {
		t.Errorf("the error holds a secret: %v", err)
	}
}

// Files outside of the folder are not read, wherever the configuration names them.
func TestFolder(t *testing.T) {
	base := usual(t, "http://127.0.0.1:1")
	text, err := json.Marshal(base)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open("/nowhere", text); fault.CodeOf(err) != fault.InvalidRequest || fault.From(err).Field != "secret_files.token" {
		t.Errorf("another folder: %v", err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "token"), []byte(testToken), 0o600); err != nil {
		t.Fatal(err)
	}
	if text, err = json.Marshal(base.with(object{"secret_files.token": "token"})); err != nil {
		t.Fatal(err)
	}
	if _, err := Open("", text); fault.CodeOf(err) != fault.InvalidRequest {
		t.Errorf("a relative name without a folder: %v", err)
	}
	for _, ok := range []string{"token", filepath.Join(dir, "token")} {
		if text, err = json.Marshal(base.with(object{"secret_files.token": ok})); err != nil {
			t.Fatal(err)
		}
		opened, err := Open(keyfile.Folder(dir), text)
		if err != nil {
			t.Fatal(err)
		}
		if n := opened.(*network); n.secrets["token"].Reveal() != testToken {
			t.Error("another secret")
		}
	}
}
