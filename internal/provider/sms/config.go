package sms

import (
	"maps"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/scripcards/scrip/internal/cashout/phone"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/platform/keyfile"
	"github.com/scripcards/scrip/internal/provider/call"
)

// Bounds of a configuration, and what holds where nothing is set.
const (
	maxConfig      = 16 << 10 // bytes
	maxFields      = 32
	maxURL         = 2048
	maxWords       = 300
	defaultTimeout = 10_000 // milliseconds
	mostTimeout    = 60_000
	connections    = 16
)

// settings are the JSON of a configuration; docs/cashout.md explains each key.
type settings struct {
	Driver     string            `json:"driver"`
	Path       string            `json:"path"`
	Preset     string            `json:"preset"`
	Account    string            `json:"account"`
	From       string            `json:"from"`
	SecretFile string            `json:"secret_file"`
	AllowPlain bool              `json:"allow_plain"`
	TimeoutMS  int               `json:"timeout_ms"`
	Text       *channel          `json:"text"`
	Voice      *channel          `json:"voice"`
	Headers    map[string]string `json:"headers"`
}

// channel is how one kind of message is handed over. {to}, {number} (without +), {from},
// {account}, {text} and {secret} stand in its values for what they say.
type channel struct {
	URL   string            `json:"url"`
	Form  map[string]string `json:"form"`
	JSON  map[string]string `json:"json"`
	User  string            `json:"user"`
	Words string            `json:"words"`
	// Taken is a path into the answer, and Is what must stand there; empty: the status is enough.
	Taken string `json:"taken"`
	Is    string `json:"is"`
}

// What a message says unless it is configured.
const (
	usualText  = "Your verification code is {code}. It is valid for 10 minutes."
	usualVoice = "Your verification code is {digits}. Again: {digits}."
)

// presets are as the providers' documentation says: Twilio's "Messages resource" and "Calls
// resource", Vonage's "SMS API", Plivo's "Message API".
var presets = map[string]settings{
	"twilio": {
		Text: &channel{URL: "https://api.twilio.com/2010-04-01/Accounts/{account}/Messages.json", User: "{account}",
			Form: map[string]string{"To": "{to}", "From": "{from}", "Body": "{text}"}},
		Voice: &channel{URL: "https://api.twilio.com/2010-04-01/Accounts/{account}/Calls.json", User: "{account}",
			Form: map[string]string{"To": "{to}", "From": "{from}", "Twiml": "<Response><Say>{text}</Say></Response>"}},
	},
	"vonage": {
		Text: &channel{URL: "https://rest.nexmo.com/sms/json", Taken: "messages.0.status", Is: "0",
			Form: map[string]string{"api_key": "{account}", "api_secret": "{secret}", "to": "{number}", "from": "{from}", "text": "{text}"}},
	},
	"plivo": {
		Text: &channel{URL: "https://api.plivo.com/v1/Account/{account}/Message/", User: "{account}",
			JSON: map[string]string{"src": "{from}", "dst": "{number}", "text": "{text}"}},
	},
}

// Presets returns the names of the providers that are known, sorted.
func Presets() []string { return slices.Sorted(maps.Keys(presets)) }

// Open returns the sender that a JSON object describes; files with secrets are read from
// folder. It calls nobody. It returns the fault invalid_request, with the key that is wrong.
func Open(config []byte, folder keyfile.Folder) (phone.Sender, error) {
	var s settings
	if err := call.Config(config, maxConfig, &s); err != nil {
		return nil, err
	}
	switch s.Driver {
	case "file":
		if !filepath.IsAbs(s.Path) {
			return nil, call.Refuse("path", "want the absolute path of the file that messages are written to")
		}
		return &File{path: s.Path}, nil
	case "http":
		return s.provider(folder)
	}
	return nil, call.Refuse("driver", "want http or file")
}

func (s settings) provider(folder keyfile.Folder) (phone.Sender, error) {
	if s.Preset != "" {
		preset, known := presets[s.Preset]
		if !known {
			return nil, call.Refuse("preset", "want one of %s", strings.Join(Presets(), ", "))
		}
		if s.Text == nil {
			s.Text = preset.Text
		}
		if s.Voice == nil {
			s.Voice = preset.Voice
		}
	}
	if s.Text == nil {
		return nil, call.Refuse("text", "say how text messages are sent, or name a preset")
	}
	var secret pan.Secret
	if s.SecretFile != "" {
		read, err := folder.Secret(s.SecretFile)
		if err != nil {
			return nil, fault.From(err).At("secret_file")
		}
		secret = read
	}
	p := provider{}
	for _, c := range []struct {
		channel phone.Channel
		name    string
		from    *channel
		words   string
	}{{phone.Text, "text", s.Text, usualText}, {phone.Voice, "voice", s.Voice, usualVoice}} {
		if c.from == nil {
			continue
		}
		g, err := s.gateway(c.from, secret)
		if err != nil {
			f := fault.From(err)
			return nil, f.At(c.name + "." + f.Field)
		}
		if g.words == "" {
			g.words = c.words
		}
		p[c.channel] = g
	}
	return p, nil
}

// gateway compiles one channel.
func (s settings) gateway(c *channel, secret pan.Secret) (*gateway, error) {
	g := &gateway{form: c.Form, object: c.JSON, headers: s.Headers, secret: secret, words: c.Words, is: c.Is,
		fixed: []string{"{from}", s.From, "{account}", s.Account}}
	fixed := strings.NewReplacer("{from}", url.PathEscape(s.From), "{account}", url.PathEscape(s.Account))
	g.url, g.user = fixed.Replace(c.URL), strings.ReplaceAll(c.User, "{account}", s.Account)
	u, err := url.Parse(g.url)
	loopback := err == nil && call.IsLoopback(u.Hostname())
	switch {
	case err != nil || len(g.url) > maxURL || u.Hostname() == "" || u.User != nil || u.Fragment != "":
		return nil, call.Refuse("url", "want a URL without user and fragment")
	case u.Scheme != "https" && (u.Scheme != "http" || !s.AllowPlain || !loopback):
		return nil, call.Refuse("url", "the URL must begin with https://, or with http:// on a loopback host if allow_plain is set")
	case (len(c.Form) == 0) == (len(c.JSON) == 0) || len(c.Form)+len(c.JSON) > maxFields || len(s.Headers) > maxFields:
		return nil, call.Refuse("form", "want either form or json, of at most %d members", maxFields)
	case len(c.Words) > maxWords || c.Words != "" && !strings.Contains(c.Words, "{code}") && !strings.Contains(c.Words, "{digits}"):
		return nil, call.Refuse("words", "want at most %d bytes with {code} or {digits} in them", maxWords)
	}
	if c.Taken != "" {
		if g.path, err = call.ParsePath(c.Taken); err != nil {
			return nil, fault.From(err).At("taken")
		}
	}
	timeout := s.TimeoutMS
	if timeout == 0 {
		timeout = defaultTimeout
	}
	if timeout < 1 || timeout > mostTimeout {
		return nil, call.Refuse("timeout_ms", "the value is not between 1 and %d", mostTimeout)
	}
	g.timeout = time.Duration(timeout) * time.Millisecond
	g.client = call.NewClient(call.Limits{Timeout: g.timeout, Conns: connections, Loopback: u.Scheme == "http"})
	return g, nil
}

// jsonValue is an answer as a value that paths lead into; nil for what is no JSON.
func jsonValue(text []byte) jsontext.Value {
	value := jsontext.Value(text)
	if !value.IsValid() {
		return nil
	}
	return value
}
