package monero

import (
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/provider/call"
)

// Config says how a wallet and its node are reached, and which ones they are.
type Config struct {
	// URL is that of monero-wallet-rpc, on this machine and without a login.
	URL string `json:"url"`
	// NodeURL is that of the monerod which the wallet uses: https anywhere, http on this
	// machine alone. Its restricted RPC is enough.
	NodeURL string `json:"node_url"`
	// Address is the primary address of the wallet that must be open.
	Address string `json:"address"`
	// Network is what the node must be on: main, stage, test or regtest.
	Network string `json:"network"`
	// TimeoutSeconds bounds a call: 30.
	TimeoutSeconds int `json:"timeout_seconds"`
}

const (
	mainNetwork    = "main"
	defaultTimeout = 30
	longestTimeout = 600
)

// network is what a node calls its network, and what addresses there begin with.
type network struct {
	name                string
	primary, subaddress string
}

// networks are the networks by the names of the configuration. A regtest chain writes its
// addresses as the main network does.
var networks = map[string]network{
	mainNetwork: {"mainnet", "4", "8"},
	"stage":     {"stagenet", "5", "7"},
	"test":      {"testnet", "9A", "B"},
	"regtest":   {"fakechain", "4", "8"},
}

// addressLength is how long an address with two keys is: 69 bytes in base 58.
const addressLength = 95

const digits58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"

// isAddress reports whether text has the form of an address that begins with one of some
// digits.
func isAddress(text, first string) bool {
	return len(text) == addressLength && strings.Contains(first, text[:1]) && strings.Trim(text, digits58) == ""
}

// maxConfig bounds a configuration, in bytes.
const maxConfig = 64 << 10

func parseConfig(text []byte) (c Config, err error) {
	if err := call.Config(text, maxConfig, &c); err != nil {
		return c, err
	}
	if c.TimeoutSeconds == 0 {
		c.TimeoutSeconds = defaultTimeout
	}
	on, ok := networks[c.Network]
	switch {
	case !ok:
		return c, call.Refuse("network", "want main, stage, test or regtest")
	case !isAddress(c.Address, on.primary):
		return c, call.Refuse("address", "want the wallet's primary address, of the network %s", c.Network)
	case c.TimeoutSeconds < 1 || c.TimeoutSeconds > longestTimeout:
		return c, call.Refuse("timeout_seconds", "want 1 to %d", longestTimeout)
	}
	if call.CheckNode("url", c.URL) != nil || !strings.HasPrefix(c.URL, "http:") {
		return c, call.Refuse("url", "want the address of monero-wallet-rpc on this machine, such as http://127.0.0.1:18083")
	}
	c.URL, c.NodeURL = strings.TrimSuffix(c.URL, "/"), strings.TrimSuffix(c.NodeURL, "/")
	return c, call.CheckNode("node_url", c.NodeURL)
}

func (c *Config) timeout() time.Duration { return time.Duration(c.TimeoutSeconds) * time.Second }
