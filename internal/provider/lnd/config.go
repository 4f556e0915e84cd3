package lnd

import (
	"net/url"
	"time"

	"github.com/scripcards/scrip/internal/cashout/payout/destination"
	"github.com/scripcards/scrip/internal/provider/call"
)

// Config says how a node is reached.
type Config struct {
	// URL is that of the REST interface, which is https.
	URL string `json:"url"`
	// MacaroonFile is a macaroon in binary form; it is read for every call.
	MacaroonFile string `json:"macaroon_file"`
	// CertificateFile is the node's certificate in PEM form, and no other one is trusted;
	// empty: those that the system trusts.
	CertificateFile string `json:"certificate_file"`
	// Network is what the node must be on: main, test, signet or regtest.
	Network destination.Network `json:"network"`
	// TimeoutSeconds bounds a call, but for payments over Lightning, which say it themselves: 30.
	TimeoutSeconds int `json:"timeout_seconds"`
}

const (
	maxConfig      = 16 << 10
	defaultTimeout = 30
	longestTimeout = 600
)

func parseConfig(text []byte) (c Config, err error) {
	if err := call.Config(text, maxConfig, &c); err != nil {
		return c, err
	}
	if c.TimeoutSeconds == 0 {
		c.TimeoutSeconds = defaultTimeout
	}
	at, err := url.Parse(c.URL)
	switch {
	case err != nil || at.Scheme != "https" || at.Host == "" || at.User != nil || at.RawQuery != "" || at.Fragment != "":
		return c, invalid("url", "want the address of the node's REST interface, such as https://127.0.0.1:8080")
	case at.Path != "" && at.Path != "/":
		return c, invalid("url", "want an address without a path")
	case c.MacaroonFile == "":
		return c, invalid("macaroon_file", "want the file of a macaroon")
	case c.TimeoutSeconds < 1 || c.TimeoutSeconds > longestTimeout:
		return c, invalid("timeout_seconds", "want 1 to %d", longestTimeout)
	}
	c.URL = at.Scheme + "://" + at.Host
	if c.Network, err = destination.ParseNetwork(string(c.Network)); err != nil {
		return c, invalid("network", "want main, test, signet or regtest")
	}
	return c, nil
}

func (c *Config) timeout() time.Duration { return time.Duration(c.TimeoutSeconds) * time.Second }
