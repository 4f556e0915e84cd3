package sms

import (
	"encoding/base64"
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
)

// gate stands for a provider: what it was asked, and what it does about it.
type gate struct {
	*httptest.Server
	asked  []string // path, authorization, type and body of each request
	answer http.HandlerFunc
}

func newGate(t *testing.T) *gate {
	t.Helper()
	g := &gate{}
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		g.asked = append(g.asked, strings.Join([]string{r.URL.Path, r.Header.Get("Authorization"), r.Header.Get("Content-Type"), string(body)}, "\n"))
		g.answer(w, r)
	}))
	t.Cleanup(g.Close)
	return g
}

// says answers with a status and a text; a redirect leads to where all is well.
func says(status int, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/elsewhere") {
			status, text = http.StatusOK, `{"messages":[{"status":"0"}]}`
		}
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text) // the client may have left
	}
}

// hosts are the providers' own.
var hosts = strings.NewReplacer("https://api.twilio.com", "", "https://rest.nexmo.com", "", "https://api.plivo.com", "")

// preset opens a known provider as it is, but for its host.
func preset(t *testing.T, name, base string, timeoutMS int) phone.Sender {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "secret"), []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := presets[name]
	s.Account, s.From, s.SecretFile, s.AllowPlain, s.TimeoutMS = "AC1", "+15005550006", "secret", true, timeoutMS
	for _, c := range []**channel{&s.Text, &s.Voice} {
		if *c == nil {
			continue
		}
		here := **c
		if here.URL = base + hosts.Replace(here.URL); strings.Contains(here.URL, "https") {
			t.Fatalf("%s: %s is on another host", name, here.URL)
		}
		*c = &here
	}
	sender, err := s.provider(keyfile.Folder(dir))
	if err != nil {
		t.Fatal(err)
	}
	return sender
}

// known are the channels of each preset: what it is asked, and what it answers when it took a message.
var known = []struct {
	name    string
	channel phone.Channel
	asked   []string
	status  int
	taken   string
}{
	{"twilio", phone.Text, []string{"/2010-04-01/Accounts/AC1/Messages.json", "Basic " + basic, "application/x-www-form-urlencoded",
		"Body=Your+verification+code+is+4071.+It+is+valid+for+10+minutes.&From=%2B15005550006&To=%2B14155550123"}, 201, `{"sid":"SM1","status":"queued"}`},
	{"twilio", phone.Voice, []string{"/2010-04-01/Accounts/AC1/Calls.json", "Basic " + basic, "application/x-www-form-urlencoded",
		"From=%2B15005550006&To=%2B14155550123&Twiml=%3CResponse%3E%3CSay%3EYour+verification+code+is+4%2C+0%2C+7%2C+1.+Again%3A+4%2C+0%2C+7%2C+1.%3C%2FSay%3E%3C%2FResponse%3E"},
		201, `{"sid":"CA1","status":"queued"}`},
	{"vonage", phone.Text, []string{"/sms/json", "", "application/x-www-form-urlencoded",
		"api_key=AC1&api_secret=s3cret&from=%2B15005550006&text=Your+verification+code+is+4071.+It+is+valid+for+10+minutes.&to=14155550123"},
		200, `{"message-count":"1","messages":[{"to":"14155550123","status":"0"}]}`},
	{"plivo", phone.Text, []string{"/v1/Account/AC1/Message/", "Basic " + basic, "application/json",
		`{"dst":"14155550123","src":"+15005550006","text":"Your verification code is 4071. It is valid for 10 minutes."}`}, 202, `{"message":"message(s) queued"}`},
}

var basic = base64.StdEncoding.EncodeToString([]byte("AC1:s3cret"))

func code(t *testing.T, c phone.Channel) phone.Message {
	t.Helper()
	to, err := phone.Parse("+14155550123", false)
	if err != nil {
		t.Fatal(err)
	}
	return phone.Message{To: to, Channel: c, Code: pan.NewSecret("4071")}
}

// Each preset asks its provider as that wants to be asked, on every channel that it has, and has no others.
func TestPresetsAsk(t *testing.T) {
	channels := map[string]bool{}
	for _, k := range known {
		g := newGate(t)
		g.answer = says(k.status, k.taken)
		if err := preset(t, k.name, g.URL, 2000).Send(t.Context(), code(t, k.channel)); err != nil {
			t.Errorf("%s by %s: %v", k.name, k.channel, err)
		}
		if want := strings.Join(k.asked, "\n"); len(g.asked) != 1 || g.asked[0] != want {
			t.Errorf("%s by %s is asked\n%q, want\n%q", k.name, k.channel, g.asked, want)
		}
		channels[k.name+string(k.channel)] = true
	}
	for _, name := range Presets() {
		for _, c := range []phone.Channel{phone.Text, phone.Voice} {
			g := newGate(t)
			g.answer = says(200, "{}")
			err := preset(t, name, g.URL, 2000).Send(t.Context(), code(t, c))
			if !channels[name+string(c)] && (fault.CodeOf(err) != fault.Unavailable || len(g.asked) != 0) {
				t.Errorf("%s by %s: %v, asked %d times", name, c, err, len(g.asked))
			}
		}
	}
}

// Whatever else a provider does, its message was not taken: it is asked once and given up after the time that is set, nothing is sent elsewhere, and no error holds the code, the number, the secret or a word of its.
func TestPresetsRefused(t *testing.T) {
	hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	for _, k := range known {
		odd := map[string]http.HandlerFunc{
			"a wrong number": says(400, `{"code":21211,"message":"hush"}`), "a wrong secret": says(401, "hush"), "too many": says(429, "hush"), "its mistake": says(503, "hush"),
			"a redirect": says(302, k.taken), "a lasting redirect": says(308, k.taken), "too much": says(k.status, k.taken+strings.Repeat(" ", maxReply)),
			silence: hang,
			endless: func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.WriteString(w, k.taken)
				_ = http.NewResponseController(w).Flush() // the client may have left
				hang(w, r)
			},
			"half an answer": func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Length", "1000")
				_, _ = io.WriteString(w, k.taken)
			},
		}
		if k.name == "vonage" { // which says in the body of a 200
			for name, text := range map[string]string{"throttled": `{"messages":[{"status":"1","error-text":"hush"}]}`, "no messages": `{"messages":[]}`, "a list": `[]`,
				"a page": "<html>hush</html>", "nothing": "", "null": `{"messages":[{"status":null}]}`, "a truth": `{"messages":[{"status":false}]}`} {
				odd[name] = says(200, text)
			}
		}
		for name, answer := range odd {
			g := newGate(t)
			g.answer = answer
			patience := 2000
			if name == silence || name == endless {
				patience = 50
			}
			err := preset(t, k.name, g.URL, patience).Send(t.Context(), code(t, k.channel))
			if fault.CodeOf(err) != fault.Unavailable || len(g.asked) != 1 {
				t.Errorf("%s by %s, %s: %v, asked %d times", k.name, k.channel, name, err, len(g.asked))
			}
			for _, secret := range []string{"4071", "4155550123", "s3cret", "hush"} {
				if err != nil && strings.Contains(err.Error(), secret) {
					t.Errorf("%s, %s: the error holds %q: %v", k.name, name, secret, err)
				}
			}
		}
	}
}

// What takes as long as may be.
const silence, endless = "silence", "an answer without end"
