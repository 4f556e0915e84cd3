package sms_test

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/scripcards/scrip/internal/cashout/phone"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/platform/keyfile"
	"github.com/scripcards/scrip/internal/provider/sms"
)

// provider stands for one; it answers what a test wants and keeps what it was asked.
type provider struct {
	*httptest.Server
	status         int
	answer         string
	path, auth     string
	media, request string
}

func start(t *testing.T) *provider {
	p := &provider{status: 201, answer: "{}"}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		p.path, p.auth, p.media, p.request = r.URL.Path, r.Header.Get("Authorization"), r.Header.Get("Content-Type"), string(body)
		w.WriteHeader(p.status)
		_, _ = io.WriteString(w, p.answer) // the client may have left
	}))
	t.Cleanup(p.Close)
	return p
}

func message(t *testing.T, c phone.Channel) phone.Message {
	t.Helper()
	n, err := phone.Parse("+14155550123", false)
	if err != nil {
		t.Fatal(err)
	}
	return phone.Message{To: n, Channel: c, Code: pan.NewSecret("4071")}
}

func folder(t *testing.T) keyfile.Folder {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "secret"), []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return keyfile.Folder(dir)
}

// Each known provider gets what its documentation asks for: form or JSON, and the secret where it belongs.
func TestProviders(t *testing.T) {
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("AC1:s3cret"))
	words := "Your+verification+code+is+4071.+It+is+valid+for+10+minutes."
	for _, c := range []struct {
		name, text, voice string // the channels as the preset has them, on another host
		channel           phone.Channel
		answer            string
		path, auth, body  string
	}{
		{"twilio", `{"url":"%s/2010-04-01/Accounts/{account}/Messages.json","user":"{account}","form":{"To":"{to}","From":"{from}","Body":"{text}"}}`, "",
			phone.Text, "{}", "/2010-04-01/Accounts/AC1/Messages.json", basic, "Body=" + words + "&From=%2B15005550006&To=%2B14155550123"},
		{"twilio calls", `{"url":"%[1]s/x","form":{"a":"b"}}`,
			`{"url":"%s/Calls.json","user":"{account}","form":{"To":"{to}","Twiml":"<Response><Say>{text}</Say></Response>"},"words":"{digits}"}`,
			phone.Voice, "{}", "/Calls.json", basic, "To=%2B14155550123&Twiml=%3CResponse%3E%3CSay%3E4%2C+0%2C+7%2C+1%3C%2FSay%3E%3C%2FResponse%3E"},
		{"vonage", `{"url":"%s/sms/json","taken":"messages.0.status","is":"0","form":{"api_key":"{account}","api_secret":"{secret}","to":"{number}"}}`, "",
			phone.Text, `{"messages":[{"status":"0"}]}`, "/sms/json", "", "api_key=AC1&api_secret=s3cret&to=14155550123"},
		{"plivo", `{"url":"%s/v1/Account/{account}/Message/","user":"{account}","json":{"dst":"{number}","src":"{from}","text":"{code} {text}"},"words":"code {code}"}`, "",
			phone.Text, "{}", "/v1/Account/AC1/Message/", basic, `{"dst":"14155550123","src":"+15005550006","text":"{code} code 4071"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := start(t)
			p.answer = c.answer
			config := fmt.Sprintf(`{"driver":"http","account":"AC1","from":"+15005550006","secret_file":"secret","allow_plain":true,"text":`+c.text, p.URL)
			if c.voice != "" {
				config += fmt.Sprintf(`,"voice":`+c.voice, p.URL)
			}
			sender, err := sms.Open([]byte(config+"}"), folder(t))
			if err != nil {
				t.Fatal(err)
			}
			if err := sender.Send(t.Context(), message(t, c.channel)); err != nil {
				t.Fatal(err)
			}
			if p.path != c.path || p.auth != c.auth || p.request != c.body {
				t.Errorf("%s\n%s\n%s, want\n%s\n%s\n%s", p.path, p.auth, p.request, c.path, c.auth, c.body)
			}
		})
	}
}

// What is not taken for sure was not taken, and no error holds the code, the number, the secret or what the provider said.
func TestRefusals(t *testing.T) {
	p := start(t)
	sender, err := sms.Open(fmt.Appendf(nil, `{"driver":"http","secret_file":"secret","allow_plain":true,"timeout_ms":2000,"text":{"url":"%s/","taken":"ok","is":"true","form":{"to":"{to}","k":"{secret}"}}}`, p.URL), folder(t))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		status int
		answer string
	}{
		"status": {500, `{"ok":true,"say":"hush"}`}, "redirect": {302, ""}, "no JSON": {200, "hush"}, "no word": {200, "{}"}, "another word": {200, `{"ok":"hush"}`},
		"too long": {200, strings.Repeat(" ", 70_000)},
	} {
		p.status, p.answer = c.status, c.answer
		err := sender.Send(t.Context(), message(t, phone.Text))
		if fault.CodeOf(err) != fault.Unavailable {
			t.Errorf("%s: %v", name, err)
		}
		for _, secret := range []string{"4071", "4155550123", "s3cret", "hush"} {
			if err != nil && strings.Contains(err.Error(), secret) {
				t.Errorf("%s: the error holds %q: %v", name, secret, err)
			}
		}
	}
	p.status, p.answer = 200, `{"ok":true}`
	if err := sender.Send(t.Context(), message(t, phone.Text)); err != nil {
		t.Error(err)
	}
	if sender.Has(phone.Voice) || !sender.Has(phone.Text) {
		t.Error("calls are made without a way, or no messages are sent with one")
	}
	if err := sender.Send(t.Context(), message(t, phone.Voice)); fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("a call without a channel for it: %v", err)
	}
	p.Close()
	if err := sender.Send(t.Context(), message(t, phone.Text)); fault.CodeOf(err) != fault.Unavailable || strings.Contains(err.Error(), "4071") {
		t.Error(err)
	}
}

// The presets compile, each with its secret.
func TestPresets(t *testing.T) {
	for _, name := range sms.Presets() {
		if _, err := sms.Open([]byte(`{"driver":"http","preset":"`+name+`","account":"AC1","from":"+15005550006","secret_file":"secret"}`), folder(t)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What is wrong with a configuration is named.
func TestOpenRefuses(t *testing.T) {
	for config, field := range map[string]string{
		`[]`: "", `{"driver":"pigeon"}`: "driver", `{"driver":"file","path":"x"}`: "path", `{"driver":"http"}`: "text", `{"driver":"http","preset":"x"}`: "preset",
		`{"driver":"http","color":1}`: "color", `{"driver":"http","preset":"twilio","secret_file":"gone"}`: "secret_file",
		`{"driver":"http","text":{"url":"http://x.example/","form":{"a":"b"}}}`:                             "text.url",
		`{"driver":"http","allow_plain":true,"text":{"url":"http://x.example/","form":{"a":"b"}}}`:          "text.url",
		`{"driver":"http","text":{"url":"https://u:p@x.example/","form":{"a":"b"}}}`:                        "text.url",
		`{"driver":"http","text":{"url":"https://x.example/"}}`:                                             "text.form",
		`{"driver":"http","text":{"url":"https://x.example/","form":{"a":"b"},"words":"hello"}}`:            "text.words",
		`{"driver":"http","text":{"url":"https://x.example/","form":{"a":"b"},"taken":"a..b"}}`:             "text.taken",
		`{"driver":"http","timeout_ms":-1,"text":{"url":"https://x.example/","form":{"a":"b"}}}`:            "text.timeout_ms",
		`{"driver":"http","text":{"url":"https://x.example/","form":{"a":"b"},"json":{"a":"b"}},"from":""}`: "text.form",
	} {
		_, err := sms.Open([]byte(config), folder(t))
		if f := fault.From(err); err == nil || f.Code != fault.InvalidRequest || f.Field != field {
			t.Errorf("%s: %v", config, err)
		}
	}
}

// The file has one message a line, and is its owner's alone.
func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "messages")
	sender, err := sms.Open([]byte(`{"driver":"file","path":"`+path+`"}`), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []phone.Channel{phone.Text, phone.Voice} {
		if err := sender.Send(t.Context(), message(t, c)); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	want := `{"to":"+14155550123","channel":"sms","code":"4071"}` + "\n" + `{"to":"+14155550123","channel":"voice","code":"4071"}` + "\n"
	if err != nil || string(text) != want {
		t.Errorf("%s, %v", text, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}
