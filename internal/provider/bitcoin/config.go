package bitcoin

import (
	"net/http"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/provider/call"
)

// Config says how a node is reached and where to begin.
type Config struct {
	// URL is that of the node's RPC: https anywhere, http on this machine alone.
	URL string `json:"url"`
	// CookieFile is a file with user:password, which the node writes anew at every start; or
	// User with the first line of PasswordFile.
	CookieFile   string `json:"cookie_file"`
	User         string `json:"user"`
	PasswordFile string `json:"password_file"`
	// CertificateFile is a certificate in PEM form to trust, and no other one.
	CertificateFile string `json:"certificate_file"`
	// Network is what the node must be on: main, test, testnet4, signet, regtest or simnet.
	Network string `json:"network"`
	// FromHeight is the first block to look at; 0: where the chain ends at the first look.
	FromHeight int64 `json:"from_height"`
	// TimeoutSeconds bounds a call: 30.
	TimeoutSeconds int `json:"timeout_seconds"`
}

const (
	mainNetwork    = "main"
	defaultTimeout = 30
	longestTimeout = 600
)

// networks are what nodes call theirs.
var networks = map[string]bool{mainNetwork: true, "test": true, "testnet4": true, "signet": true, "regtest": true, "simnet": true}

// maxConfig bounds a configuration, in bytes.
const maxConfig = 64 << 10

func parseConfig(text []byte) (c Config, err error) {
	if err := call.Config(text, maxConfig, &c); err != nil {
		return c, err
	}
	if c.TimeoutSeconds == 0 {
		c.TimeoutSeconds = defaultTimeout
	}
	if err := call.CheckNode("url", c.URL); err != nil {
		return c, err
	}
	switch {
	case !networks[c.Network]:
		return c, call.Refuse("network", "want main, test, testnet4, signet, regtest or simnet")
	case (c.CookieFile == "") == (c.PasswordFile == ""):
		return c, call.Refuse("cookie_file", "want either cookie_file, or user and password_file")
	case c.PasswordFile != "" && c.User == "":
		return c, call.Refuse("user", "want the user whose password is in password_file")
	case c.FromHeight < 0:
		return c, call.Refuse("from_height", "want the height of a block")
	case c.TimeoutSeconds < 1 || c.TimeoutSeconds > longestTimeout:
		return c, call.Refuse("timeout_seconds", "want 1 to %d", longestTimeout)
	}
	return c, nil
}

func (c *Config) timeout() time.Duration { return time.Duration(c.TimeoutSeconds) * time.Second }

// login says in a request's header who calls.
func (c *Config) login(header http.Header) error {
	user, password, err := c.credentials()
	if err != nil {
		return err
	}
	r := http.Request{Header: header}
	r.SetBasicAuth(user, password)
	return nil
}

// credentials reads the user and the password, which may change while the program runs.
func (c *Config) credentials() (user, password string, err error) {
	name := c.PasswordFile
	if c.CookieFile != "" {
		name = c.CookieFile
	}
	line, err := call.FirstLine(name)
	if err != nil {
		return "", "", unavailable("the file with the node's password cannot be read")
	}
	if c.CookieFile == "" {
		return c.User, line, nil
	}
	user, password, ok := strings.Cut(line, ":")
	if !ok {
		return "", "", unavailable("the node's cookie file has no user and password")
	}
	return user, password, nil
}
