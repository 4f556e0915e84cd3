package reseller

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"net/url"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/platform/keyfile"
	"github.com/scripcards/scrip/internal/provider/call"
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
	URL              string   `json:"url"`
	AllowPlain       bool     `json:"allow_plain"`
	KeyFile          string   `json:"key_file"`
	SigningKeyFile   string   `json:"signing_key_file"`
	Currency         string   `json:"currency"`
	TLS              call.TLS `json:"tls"`
	MaxResponseBytes int      `json:"max_response_bytes"`
	MaxConnections   int      `json:"max_connections"`
	// RepeatableS is in seconds; absent: the default, 0: orders cannot be repeated.
	RepeatableS *int `json:"repeatable_s"`
	// Extensions is true when absent.
	Extensions *bool `json:"extensions"`
}

func parse(config []byte) (*settings, error) {
	var s settings
	return &s, call.Config(config, maxConfig, &s)
}

// address takes the URL below which the dialect is.
func (s *settings) address(u *upstream) error {
	at, err := url.Parse(s.URL)
	switch {
	case err != nil || len(s.URL) > maxURL || at.Hostname() == "" || at.RawQuery != "" || at.Fragment != "" || at.User != nil:
		return call.Refuse("url", "want the address of the API, such as https://cards.example/v1, without user, query and fragment")
	case at.Scheme == "https":
	case at.Scheme != "http" || !s.AllowPlain || !call.IsLoopback(at.Hostname()):
		return call.Refuse("url", "the URL must begin with https://, or with http:// on a loopback host if allow_plain is set")
	}
	u.base = strings.TrimRight(at.String(), "/")
	return nil
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
		return call.Refuse("max_response_bytes", "want %d to %d", leastAnswer, mostAnswer)
	case s.MaxConnections < 1 || s.MaxConnections > mostConns:
		return call.Refuse("max_connections", "want 1 to %d", mostConns)
	case repeat < 0 || repeat > mostRepeat:
		return call.Refuse("repeatable_s", "want 0 to %d seconds", mostRepeat)
	}
	u.plain = s.Extensions != nil && !*s.Extensions
	u.maxAnswer, u.repeatable = int64(s.MaxResponseBytes), time.Duration(repeat)*time.Second
	return nil
}

func (s *settings) money(u *upstream) error {
	var err error
	if u.currency, err = money.Parse(s.Currency); err != nil {
		return call.Refuse("currency", "want the ISO 4217 code of the balance at the upstream")
	}
	return nil
}

// secrets reads the files and makes the clients.
func (s *settings) secrets(folder keyfile.Folder, u *upstream) error {
	if s.KeyFile == "" {
		return call.Refuse("key_file", "want the file that holds the API key")
	}
	var err error
	if u.key, err = folder.Secret(s.KeyFile); err != nil {
		return at("key_file", err)
	}
	if strings.IndexFunc(u.key.Reveal(), func(char rune) bool { return char <= ' ' || char > '~' }) >= 0 {
		return call.Refuse("key_file", "the key has a character that no header may have")
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
	tlsConfig, err := s.TLS.Read(folder)
	if err != nil {
		return err
	}
	limits := call.Limits{TLS: tlsConfig, Timeout: dialTimeout, Conns: s.MaxConnections, Loopback: strings.HasPrefix(u.base, "http://")}
	u.asks = call.NewClient(limits)
	limits.Fresh = true
	u.orders = call.NewClient(limits)
	return nil
}

// parseSigning reads an RSA key as openssl writes it.
func parseSigning(text pan.Secret) (*rsa.PrivateKey, error) {
	block, _ := pem.Decode([]byte(text.Reveal()))
	if block == nil {
		return nil, call.Refuse("signing_key_file", "the file holds no PEM")
	}
	key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err != nil {
		parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			return nil, call.Refuse("signing_key_file", "the file holds no private key")
		}
		key, _ = parsed.(*rsa.PrivateKey)
	}
	if key == nil || key.N.BitLen() < leastSignature {
		return nil, call.Refuse("signing_key_file", "want an RSA key of at least %d bits", leastSignature)
	}
	return key, nil
}

// at names the key of the configuration that a fault is about.
func at(key string, err error) error { return fault.From(err).At(key) }
