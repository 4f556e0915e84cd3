package solana

import (
	"time"

	"github.com/scripcards/scrip/internal/provider/call"
)

// Config says how a node is reached and which chain it must be of.
type Config struct {
	// URL is that of the node's RPC: https anywhere, http on this machine alone. URLFile is a
	// file whose first line is the URL, for one with a key in it.
	URL     string `json:"url"`
	URLFile string `json:"url_file"`
	// Network is what the node must be on: main, dev, test or local.
	Network string `json:"network"`
	// Genesis is the genesis hash of a local network; the others' are known.
	Genesis string `json:"genesis"`
	// Mint is the token that counts as USDT; the main network's is known.
	Mint string `json:"usdt_mint"`
	// TimeoutSeconds bounds a call: 30.
	TimeoutSeconds int `json:"timeout_seconds"`
}

const (
	mainNetwork    = "main"
	localNetwork   = "local"
	mainMint       = "Es9vMFrzaCERmJfrF4H2FYD4KCoNkY11McCe8BenwNYB"
	defaultTimeout = 30
	longestTimeout = 600
	maxConfig      = 16 << 10
)

// genesis are the hashes of the first blocks of the networks that everybody shares.
var genesis = map[string]string{
	mainNetwork: "5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d",
	"dev":       "EtWTRABZaYq6iMfeYKouRu166VU2xqa1wcaWoxPkrZBG",
	"test":      "4uhcVJyU9pJkvQyS88uRDiswHXSCkY3zQawwpjk2NsNY",
}

func parseConfig(text []byte) (c Config, err error) {
	if err := call.Config(text, maxConfig, &c); err != nil {
		return c, err
	}
	if c.TimeoutSeconds == 0 {
		c.TimeoutSeconds = defaultTimeout
	}
	if c.TimeoutSeconds < 1 || c.TimeoutSeconds > longestTimeout {
		return c, call.Refuse("timeout_seconds", "want 1 to %d", longestTimeout)
	}
	if err := c.setChain(); err != nil {
		return c, err
	}
	return c, c.setURL()
}

// setChain fills in what is known of a network, and checks what is not.
func (c *Config) setChain() error {
	known, shared := genesis[c.Network]
	switch {
	case !shared && c.Network != localNetwork:
		return call.Refuse("network", "want main, dev, test or local")
	case shared && c.Genesis != "":
		return call.Refuse("genesis", "it is known of the network %s", c.Network)
	case shared:
		c.Genesis = known
	case !isKey(c.Genesis):
		return call.Refuse("genesis", "want the genesis hash of the local network")
	}
	switch {
	case c.Network == mainNetwork && c.Mint != "":
		return call.Refuse("usdt_mint", "it is known of the main network")
	case c.Network == mainNetwork:
		c.Mint = mainMint
	case !isKey(c.Mint):
		return call.Refuse("usdt_mint", "want the address of the token that counts as USDT")
	}
	return nil
}

// setURL reads the URL where it is, and checks it. No error repeats it.
func (c *Config) setURL() error {
	field := "url"
	if (c.URL == "") == (c.URLFile == "") {
		return call.Refuse(field, "want either url or url_file")
	}
	if c.URLFile != "" {
		field = "url_file"
		text, err := call.FirstLine(c.URLFile)
		if err != nil {
			return call.Refuse(field, "the file with the node's address cannot be read")
		}
		c.URL = text
	}
	return call.CheckNode(field, c.URL)
}

func (c *Config) timeout() time.Duration { return time.Duration(c.TimeoutSeconds) * time.Second }
