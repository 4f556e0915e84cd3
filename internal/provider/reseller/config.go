package reseller

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/platform/keyfile"
)

// Bounds of what an operator may set, and what holds where nothing is set.
const (
	maxConfig      = 64 << 10 // bytes
	maxURL         = 2048     // bytes
	defaultAnswer  = 1 << 20  // bytes
	leastAnswer    = 1 << 10
	mostAnswer     = 16 << 20
	defaultConns   = 16
	mostConns      = 256
	defaultRepeat  = 23 * 60 * 60 // seconds; the dialect keeps answers for 24 hours
	mostRepeat     = 365 * 24 * 60 * 60
	leastSignature = 2048 // bits
)

// settings are the JSON of a configuration; docs/operate/suppliers.md explains each key.
type settings struct {
	URL              string      `json:"url"`
	AllowPlain       bool        `json:"allow_plain"`
	KeyFile          string      `json:"key_file"`
	SigningKeyFile   string      `json:"signing_key_file"`
	Currency         string      `json:"currency"`
	TLS              tlsSettings `json:"tls"`
	MaxResponseBytes int         `json:"max_response_bytes"`
	MaxConnections   int         `json:"max_connections"`
	// RepeatableS is in seconds; absent: the default, 0: orders cannot be repeated.
	RepeatableS *int `json:"repeatable_s"`
}

type tlsSettings struct {
	CAFile     string `json:"ca_file"`
	CertFile   string `json:"cert_file"`
	KeyFile    string `json:"key_file"`
	ServerName string `json:"server_name"`
}

// parse reads the JSON, strictly.
func parse(config []byte) (*settings, error) {
	if len(config) > maxConfig {
		return nil, refuse("", "the configuration is longer than %d bytes", maxConfig)
	}
	var s settings
	err := json.Unmarshal(config, &s, json.RejectUnknownMembers(true))
	var semantic *json.SemanticError
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		return nil, refuse("", "the configuration holds a name twice")
	case errors.As(err, &semantic):
		at := strings.ReplaceAll(strings.TrimPrefix(string(semantic.JSONPointer), "/"), "/", ".")
		return nil, refuse(at, "the configuration has a key that does not exist, or a value of the wrong type")
	case err != nil:
		return nil, refuse("", "the configuration is no JSON object")
	}
	return &s, nil
}

// address takes the URL below which the dialect is.
func (s *settings) address(u *upstream) error {
	at, err := url.Parse(s.URL)
	switch {
	case err != nil || len(s.URL) > maxURL || at.Hostname() == "" || at.RawQuery != "" || at.Fragment != "" || at.User != nil:
		return refuse("url", "want the address of the API, such as https://cards.example/v1, without user, query and fragment")
	case at.Scheme == "https":
	case at.Scheme != "http" || !s.AllowPlain || !isLoopback(at.Hostname()):
		return refuse("url", "the URL must begin with https://, or with http:// on a loopback host if allow_plain is set")
	}
	u.base = strings.TrimRight(at.String(), "/")
	return nil
}

func isLoopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && a.IsLoopback())
}

func (s *settings) limits(u *upstream) error {
	if s.MaxResponseBytes == 0 {
		s.MaxResponseBytes = defaultAnswer
	}
	if s.MaxConnections == 0 {
		s.MaxConnections = defaultConns
	}
	repeat := defaultRepeat
	if s.RepeatableS != nil {
		repeat = *s.RepeatableS
	}
	switch {
	case s.MaxResponseBytes < leastAnswer || s.MaxResponseBytes > mostAnswer:
		return refuse("max_response_bytes", "want %d to %d", leastAnswer, mostAnswer)
	case s.MaxConnections < 1 || s.MaxConnections > mostConns:
		return refuse("max_connections", "want 1 to %d", mostConns)
	case repeat < 0 || repeat > mostRepeat:
		return refuse("repeatable_s", "want 0 to %d seconds", mostRepeat)
	}
	u.maxAnswer, u.repeatable = int64(s.MaxResponseBytes), time.Duration(repeat)*time.Second
	return nil
}

func (s *settings) money(u *upstream) error {
	var err error
	if u.currency, err = money.Parse(s.Currency); err != nil {
		return refuse("currency", "want the ISO 4217 code of the balance at the upstream")
	}
	return nil
}

// secrets reads the files and makes the clients.
func (s *settings) secrets(folder keyfile.Folder, u *upstream) error {
	if s.KeyFile == "" {
		return refuse("key_file", "want the file that holds the API key")
	}
	var err error
	if u.key, err = folder.Secret(s.KeyFile); err != nil {
		return at("key_file", err)
	}
	if strings.IndexFunc(u.key.Reveal(), func(char rune) bool { return char <= ' ' || char > '~' }) >= 0 {
		return refuse("key_file", "the key has a character that no header may have")
	}
	if s.SigningKeyFile != "" {
		pemText, err := folder.Secret(s.SigningKeyFile)
		if err != nil {
			return at("signing_key_file", err)
		}
		if u.signing, err = parseSigning(pemText); err != nil {
			return err
		}
	}
	tlsConfig, err := folder.TLS(keyfile.TLS{Roots: s.TLS.CAFile, Certificate: s.TLS.CertFile, Key: s.TLS.KeyFile, ServerName: s.TLS.ServerName})
	if err != nil {
		return at("tls", err)
	}
	limits := clientLimits{tls: tlsConfig, conns: s.MaxConnections, loopback: strings.HasPrefix(u.base, "http://")}
	u.asks = newClient(limits)
	limits.fresh = true
	u.orders = newClient(limits)
	return nil
}

// parseSigning reads an RSA key as openssl writes it.
func parseSigning(text pan.Secret) (*rsa.PrivateKey, error) {
	block, _ := pem.Decode([]byte(text.Reveal()))
	if block == nil {
		return nil, refuse("signing_key_file", "the file holds no PEM")
	}
	key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err != nil {
		parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			return nil, refuse("signing_key_file", "the file holds no private key")
		}
		key, _ = parsed.(*rsa.PrivateKey)
	}
	if key == nil || key.N.BitLen() < leastSignature {
		return nil, refuse("signing_key_file", "want an RSA key of at least %d bits", leastSignature)
	}
	return key, nil
}

// at names the key of the configuration that a fault is about.
func at(key string, err error) error { return fault.From(err).At(key) }

func refuse(key, format string, args ...any) error {
	return fault.New(fault.InvalidRequest, format, args...).At(key)
}
