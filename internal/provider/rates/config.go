package rates

import (
	"errors"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/provider/call"
	"github.com/scripcards/scrip/internal/rate"
)

// hold stands in a URL or path for what the source calls a pair.
const hold = "{pair}"

// Limits of a configuration, and what holds where nothing is set.
const (
	maxConfig      = 16 << 10 // bytes
	maxPairs       = 64
	defaultTimeout = 5_000 // milliseconds
	mostTimeout    = 30_000
)

// settings are the JSON of one source; docs/operate/deposits.md explains each key.
type settings struct {
	Preset     string            `json:"preset"`
	Name       string            `json:"name"`
	URL        string            `json:"url"`
	Price      string            `json:"price"`
	Time       string            `json:"time"`
	TimeFormat string            `json:"time_format"`
	Pairs      map[string]string `json:"pairs"`
	AllowPlain bool              `json:"allow_plain"`
	TimeoutMS  int               `json:"timeout_ms"`
}

var (
	sourceName = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,31}$`)
	pairName   = regexp.MustCompile(`^[A-Za-z0-9_:-]{1,32}$`)
)

// Open returns the source that a JSON object describes. What it says beside a preset's
// name replaces what the preset says. It calls nobody. It returns the fault
// invalid_request, with the key that is wrong.
func Open(config []byte) (rate.Named, error) {
	if len(config) > maxConfig {
		return rate.Named{}, refuse("", "a source has at most %d bytes", maxConfig)
	}
	var s settings
	err := json.Unmarshal(config, &s, json.RejectUnknownMembers(true))
	var semantic *json.SemanticError
	switch {
	case errors.As(err, &semantic):
		return rate.Named{}, refuse(strings.ReplaceAll(strings.TrimPrefix(string(semantic.JSONPointer), "/"), "/", "."), "the source has a key that does not exist, or a value of the wrong type")
	case errors.Is(err, jsontext.ErrDuplicateName):
		return rate.Named{}, refuse("", "the source holds a name twice")
	case err != nil:
		return rate.Named{}, refuse("", "the source is no JSON object")
	}
	return s.compile()
}

func (s settings) compile() (rate.Named, error) {
	if s.Preset != "" {
		preset, known := presets[s.Preset]
		if !known {
			return rate.Named{}, refuse("preset", "there is no such preset: want one of %s", strings.Join(Presets(), ", "))
		}
		s = s.over(preset)
	}
	if !sourceName.MatchString(s.Name) {
		return rate.Named{}, refuse("name", "a name has 1 to 32 small letters, digits, - and _, and begins with a letter")
	}
	for _, step := range []func() error{s.checkURL, s.checkPaths, s.checkPairs} {
		if err := step(); err != nil {
			return rate.Named{}, err
		}
	}
	timeout := s.TimeoutMS
	switch {
	case timeout == 0:
		timeout = defaultTimeout
	case timeout < 0 || timeout > mostTimeout:
		return rate.Named{}, refuse("timeout_ms", "the value is not between 1 and %d", mostTimeout)
	}
	limit := time.Duration(timeout) * time.Millisecond
	client := call.NewClient(call.Limits{Timeout: limit, Conns: maxConns, Loopback: strings.HasPrefix(s.URL, "http://")})
	return rate.Named{Name: s.Name, Source: &source{client: client, timeout: limit, url: s.URL, price: s.Price,
		at: s.Time, atForm: s.TimeFormat, pairs: s.Pairs}}, nil
}

// over fills in from the preset what s leaves out.
func (s settings) over(preset settings) settings {
	either := func(own, other string) string {
		if own != "" {
			return own
		}
		return other
	}
	if s.Time == "" && s.TimeFormat == "" && s.Price == "" { // another price has another time, if any
		s.Time, s.TimeFormat = preset.Time, preset.TimeFormat
	}
	s.Name, s.URL, s.Price = either(s.Name, s.Preset), either(s.URL, preset.URL), either(s.Price, preset.Price)
	if s.Pairs == nil {
		s.Pairs = preset.Pairs
	}
	return s
}

func (s settings) checkURL() error {
	u, err := url.Parse(strings.ReplaceAll(s.URL, hold, "x"))
	host, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(s.URL, "https://"), "http://"), "/")
	switch {
	case err != nil || u.Hostname() == "" || u.Fragment != "" || strings.Contains(host, "{"):
		return refuse("url", "want a URL such as https://rates.example/v1/{pair}")
	case u.User != nil:
		return refuse("url", "the URL holds a user name or password")
	case u.Scheme == "https", u.Scheme == "http" && s.AllowPlain && call.IsLoopback(u.Hostname()):
		return nil
	}
	return refuse("url", "the URL must begin with https://, or with http:// on a loopback host if allow_plain is set")
}

func (s settings) checkPaths() error {
	if _, err := call.ParsePath(s.Price); err != nil {
		return fault.From(err).At("price")
	}
	if (s.Time == "") != (s.TimeFormat == "") || (s.TimeFormat != "" && !slices.Contains([]string{formRFC3339, formUnix, formUnixMilli}, s.TimeFormat)) {
		return refuse("time_format", "with time goes one of the formats rfc3339, unix, unix_ms")
	}
	if s.Time != "" {
		if _, err := call.ParsePath(s.Time); err != nil {
			return fault.From(err).At("time")
		}
	}
	return nil
}

func (s settings) checkPairs() error {
	if len(s.Pairs) == 0 || len(s.Pairs) > maxPairs {
		return refuse("pairs", "want 1 to %d pairs", maxPairs)
	}
	for pair, name := range s.Pairs {
		base, code, _ := strings.Cut(pair, "/")
		_, err := money.Parse(code)
		known := slices.ContainsFunc(asset.All(), func(a asset.Asset) bool { return string(a.Symbol()) == base })
		if err != nil || !known || !pairName.MatchString(name) {
			return refuse("pairs."+pair, "want a pair such as BTC/USD, with what the source calls it in letters, digits, -, _ and :")
		}
	}
	return nil
}

func refuse(key, format string, args ...any) error {
	return fault.New(fault.InvalidRequest, format, args...).At(key)
}
