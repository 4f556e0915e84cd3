package balance

import (
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/platform/keyfile"
	"github.com/scripcards/scrip/internal/provider/call"
)

// Limits of a configuration.
const (
	maxConfig  = 64 << 10 // bytes
	maxEntries = 64       // of a list or map
	maxURL     = 2048     // bytes
)

// The bounds of what an operator may set, and what holds where nothing is set.
const (
	defaultTimeout = 5_000 // milliseconds
	leastTimeout   = 50
	mostTimeout    = 60_000
	defaultAnswer  = 64 << 10 // bytes
	leastAnswer    = 64
	mostAnswer     = 1 << 20
	defaultConns   = 16
	mostConns      = 256
)

// settings are the JSON of a configuration; docs/operate/networks.md explains each key.
type settings struct {
	URL              string             `json:"url"`
	Method           string             `json:"method"`
	Headers          map[string]string  `json:"headers"`
	Body             jsontext.Value     `json:"body"`
	Form             map[string]string  `json:"form"`
	AllowPlain       bool               `json:"allow_plain"`
	SecretFiles      map[string]string  `json:"secret_files"`
	TLS              call.TLS           `json:"tls"`
	TimeoutMS        int                `json:"timeout_ms"`
	MaxResponseBytes int                `json:"max_response_bytes"`
	MaxConnections   int                `json:"max_connections"`
	HTTPStatuses     map[string]outcome `json:"http_statuses"`
	ChecksPIN        bool               `json:"checks_pin"`
	Answer           answerSettings     `json:"answer"`
}

type answerSettings struct {
	Status         string             `json:"status"`
	Words          map[string]outcome `json:"words"`
	Balance        string             `json:"balance"`
	BalanceFormat  string             `json:"balance_format"`
	NegativeIsZero bool               `json:"negative_is_zero"`
	Currency       string             `json:"currency"`
	Currencies     []string           `json:"currencies"`
	Expiry         string             `json:"expiry"`
	ExpiryFormat   string             `json:"expiry_format"`
	AsOf           string             `json:"as_of"`
	AsOfFormat     string             `json:"as_of_format"`
}

func parse(config []byte) (*settings, error) {
	var s settings
	return &s, call.Config(config, maxConfig, &s)
}

// compile checks everything but files.
func (s *settings) compile() (*network, error) {
	n := &network{clock: clock.System()}
	steps := []func(*network) error{s.address, s.head, s.content, s.limits, s.statuses, s.words, s.amounts, s.times}
	for _, step := range steps {
		if err := step(n); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// address takes the URL apart. Placeholders are in its path and query alone.
func (s *settings) address(n *network) error {
	if len(s.URL) > maxURL {
		return call.Refuse("url", "the URL is longer than %d bytes", maxURL)
	}
	scheme, rest, _ := strings.Cut(s.URL, "://")
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	n.origin = scheme + "://" + rest[:end]
	origin, err := url.Parse(n.origin)
	switch {
	case err != nil || origin.Hostname() == "" || strings.Contains(rest[:end], "{"):
		return call.Refuse("url", "the URL names no host")
	case origin.User != nil:
		return call.Refuse("url", "the URL holds a user name or password: send a header")
	case scheme == "http" && s.AllowPlain && call.IsLoopback(origin.Hostname()):
		n.plain = true
	case scheme != "https":
		return call.Refuse("url", "the URL must begin with https://, or with http:// on a loopback host if allow_plain is set")
	case strings.Contains(rest, "#"):
		return call.Refuse("url", "the URL has a fragment")
	}
	way, query, _ := strings.Cut(rest[end:], "?")
	if n.path, err = parseTemplate(way, func(hold string) bool { return hold == holdNumber || hold == holdCurrency }); err != nil {
		return at("url", err)
	}
	if n.query, err = parseTemplate(query, s.known); err != nil {
		return at("url", err)
	}
	return s.checkURL(n)
}

// checkURL tries the URL with what fills the places being letters.
func (s *settings) checkURL(n *network) error {
	letter := func(string) string { return "x" }
	text := n.origin + string(n.path.fill(values{}, letter)) + "?" + string(n.query.fill(values{}, letter))
	u, err := url.Parse(text)
	if err != nil || strings.ContainsAny(text, " \"<>\\^`{|}") {
		return call.Refuse("url", "the URL is malformed")
	}
	if _, err := url.ParseQuery(u.RawQuery); err != nil {
		return call.Refuse("url", "the URL's query is malformed")
	}
	return nil
}

// known says whether a placeholder may stand in a body, form or query.
func (s *settings) known(hold string) bool {
	return hold == holdNumber || hold == holdPIN || hold == holdCurrency || s.knownSecret(hold)
}

func (s *settings) knownSecret(hold string) bool {
	name, ok := strings.CutPrefix(hold, secretPrefix)
	_, listed := s.SecretFiles[name]
	return ok && listed
}

var headerName = regexp.MustCompile(`^[A-Za-z0-9-]{1,64}$`)

// ownHeaders are set by the program or by HTTP itself.
var ownHeaders = []string{"Host", "Content-Length", "Transfer-Encoding", "Connection", "Upgrade", "Te", "Trailer", "Expect", "Accept-Encoding", "Keep-Alive", "Proxy-Connection"}

// head takes the method and the headers. Numbers and PINs do not belong in headers,
// which everything on the way writes down.
func (s *settings) head(n *network) error {
	n.method = s.Method
	hasBody := s.Body != nil || s.Form != nil
	switch {
	case s.Method == "" && hasBody:
		n.method = http.MethodPost
	case s.Method == "":
		n.method = http.MethodGet
	case s.Method != http.MethodGet && s.Method != http.MethodPost && s.Method != http.MethodPut:
		return call.Refuse("method", "the method is GET, POST or PUT")
	}
	if n.method == http.MethodGet && hasBody {
		return call.Refuse("method", "a GET has no body")
	}
	if len(s.Headers) > maxEntries {
		return call.Refuse("headers", "there are more than %d headers", maxEntries)
	}
	n.headers = make(map[string]template, len(s.Headers))
	for name, text := range s.Headers {
		key := "headers." + name
		canonical := http.CanonicalHeaderKey(name)
		if !headerName.MatchString(name) || slices.Contains(ownHeaders, canonical) {
			return call.Refuse(key, "the header cannot be set")
		}
		if _, twice := n.headers[canonical]; twice {
			return call.Refuse(key, "the header is there twice")
		}
		value, err := parseTemplate(text, func(hold string) bool { return hold == holdCurrency || s.knownSecret(hold) })
		if err != nil {
			return at(key, err)
		}
		if !fitsHeader(text) {
			return call.Refuse(key, "the header has a character that no header may have")
		}
		n.headers[canonical] = value
	}
	return nil
}

// fitsHeader reports whether a text is printable ASCII.
func fitsHeader(text string) bool {
	return strings.IndexFunc(text, func(char rune) bool { return char < ' ' || char > '~' }) < 0
}

// content takes the body. A JSON body is a template as it stands: valid JSON has "{{"
// inside of strings alone, where what fills a place is escaped.
func (s *settings) content(n *network) error {
	switch {
	case s.Body != nil && s.Form != nil:
		return call.Refuse("form", "there is a body already")
	case s.Body != nil:
		compact := s.Body.Clone()
		if err := compact.Compact(); err != nil {
			return call.Refuse("body", "the body is no JSON")
		}
		body, err := parseTemplate(string(compact), s.known)
		if err != nil {
			return at("body", err)
		}
		n.body, n.mediaType = body, "application/json"
	case s.Form != nil:
		if len(s.Form) == 0 || len(s.Form) > maxEntries {
			return call.Refuse("form", "a form has 1 to %d fields", maxEntries)
		}
		for _, name := range slices.Sorted(maps.Keys(s.Form)) {
			value, err := parseTemplate(s.Form[name], s.known)
			if err != nil {
				return at("form."+name, err)
			}
			n.form = append(n.form, formField{name: name, value: value})
		}
		n.mediaType = "application/x-www-form-urlencoded"
	}
	return nil
}

func (s *settings) limits(n *network) error {
	timeout, err := within("timeout_ms", s.TimeoutMS, bound{leastTimeout, defaultTimeout, mostTimeout})
	if err != nil {
		return err
	}
	answer, err := within("max_response_bytes", s.MaxResponseBytes, bound{leastAnswer, defaultAnswer, mostAnswer})
	if err != nil {
		return err
	}
	conns, err := within("max_connections", s.MaxConnections, bound{1, defaultConns, mostConns})
	if err != nil {
		return err
	}
	n.timeout, n.maxAnswer, n.conns = time.Duration(timeout)*time.Millisecond, int64(answer), conns
	return nil
}

type bound struct{ least, usual, most int }

func within(key string, value int, b bound) (int, error) {
	if value == 0 {
		return b.usual, nil
	}
	if value < b.least || value > b.most {
		return 0, call.Refuse(key, "the value is not between %d and %d", b.least, b.most)
	}
	return value, nil
}

// statuses takes the meaning of HTTP statuses. What is not named is the network failing.
func (s *settings) statuses(n *network) error {
	n.outcomes = map[int]outcome{http.StatusOK: readAnswer}
	if len(s.HTTPStatuses) > maxEntries {
		return call.Refuse("http_statuses", "there are more than %d", maxEntries)
	}
	for text, means := range s.HTTPStatuses {
		key := "http_statuses." + text
		status, err := strconv.Atoi(text)
		if err != nil || len(text) != 3 || status < 200 || status > 599 {
			return call.Refuse(key, "an HTTP status has three digits, from 200 to 599")
		}
		if means == cardActive || !isOutcome(means) {
			return call.Refuse(key, "a status means answer, inactive, expired, invalid, wrong_pin, card_invalid or unavailable")
		}
		n.outcomes[status] = means
	}
	return nil
}

func isOutcome(o outcome) bool {
	switch o {
	case readAnswer, cardActive, cardInactive, cardExpired, cardUnknown, pinWrong, numberInvalid, networkAway:
		return true
	}
	return false
}

// words takes the partner's words for the state of a card.
func (s *settings) words(n *network) error {
	a := &s.Answer
	n.checksPIN = s.ChecksPIN
	if (a.Status == "") != (len(a.Words) == 0) {
		return call.Refuse("answer.words", "a path of the status and words go together")
	}
	if len(a.Words) > maxEntries {
		return call.Refuse("answer.words", "there are more than %d", maxEntries)
	}
	for word, means := range a.Words {
		if word == "" || len(word) > maxWord || means == readAnswer || !isOutcome(means) {
			return call.Refuse("answer.words."+word, "a word means active, inactive, expired, invalid, wrong_pin, card_invalid or unavailable")
		}
	}
	n.answer.words = maps.Clone(a.Words)
	var err error
	n.status, err = optionalPath("answer.status", a.Status)
	return err
}

func optionalPath(key, text string) (call.Path, error) {
	if text == "" {
		return nil, nil
	}
	p, err := call.ParsePath(text)
	if err != nil {
		return nil, at(key, err)
	}
	return p, nil
}

func (s *settings) amounts(n *network) error {
	a := &s.Answer
	var err error
	if n.amount, err = call.ParsePath(a.Balance); err != nil {
		return at("answer.balance", err)
	}
	if a.BalanceFormat != formDecimal && a.BalanceFormat != formMinor {
		return call.Refuse("answer.balance_format", "the format is decimal or minor")
	}
	n.amountForm, n.negativeZero = a.BalanceFormat, a.NegativeIsZero
	if n.currency, err = optionalPath("answer.currency", a.Currency); err != nil {
		return err
	}
	n.currencies = make(map[money.Currency]bool, len(a.Currencies))
	for _, code := range a.Currencies {
		currency, err := money.Parse(code)
		if err != nil {
			return call.Refuse("answer.currencies", "there is a currency that is not known")
		}
		n.currencies[currency] = true
		if len(a.Currencies) == 1 {
			n.fixed = currency
		}
	}
	return nil
}

func (s *settings) times(n *network) error {
	a := &s.Answer
	var err error
	if n.expiry, err = optionalPath("answer.expiry", a.Expiry); err != nil {
		return err
	}
	if n.asOf, err = optionalPath("answer.as_of", a.AsOf); err != nil {
		return err
	}
	if layout, ok := expiryForms[a.ExpiryFormat]; ok {
		n.expiryForm = layout
	}
	if (n.expiry != nil) != (n.expiryForm != "") || (n.expiry == nil && a.ExpiryFormat != "") {
		return call.Refuse("answer.expiry_format", "with expiry goes one of the formats %s", strings.Join(slices.Sorted(maps.Keys(expiryForms)), ", "))
	}
	n.asOfForm = a.AsOfFormat
	known := a.AsOfFormat == formRFC3339 || a.AsOfFormat == formUnix || a.AsOfFormat == formUnixMilli
	if (n.asOf != nil) != known || (n.asOf == nil && a.AsOfFormat != "") {
		return call.Refuse("answer.as_of_format", "with as_of goes one of the formats rfc3339, unix, unix_ms")
	}
	return nil
}

var secretName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,31}$`)

// loadSecrets reads the files, and checks the secrets that go into headers.
func (n *network) loadSecrets(folder keyfile.Folder, files map[string]string) error {
	if len(files) > maxEntries {
		return call.Refuse("secret_files", "there are more than %d", maxEntries)
	}
	n.secrets = make(map[string]pan.Secret, len(files))
	for name, file := range files {
		key := "secret_files." + name
		if !secretName.MatchString(name) {
			return call.Refuse(key, "a secret's name has small letters, digits and _, and begins with a letter")
		}
		secret, err := folder.Secret(file)
		if err != nil {
			return at(key, err)
		}
		n.secrets[name] = secret
	}
	for header, value := range n.headers {
		for _, p := range value {
			if name, ok := strings.CutPrefix(p.hold, secretPrefix); ok && !fitsHeader(n.secrets[name].Reveal()) {
				return fault.New(fault.InvalidRequest, "the secret has a character that no header may have").At("headers." + header)
			}
		}
	}
	for name, secret := range n.secrets {
		if !utf8.ValidString(secret.Reveal()) {
			return call.Refuse("secret_files."+name, "the file is no UTF-8 text")
		}
	}
	return nil
}
