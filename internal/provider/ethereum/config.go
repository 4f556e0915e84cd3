package ethereum

import (
	"net/http"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/provider/call"
)

// Config says how a node is reached and what is watched.
type Config struct {
	// URL is that of the node's RPC: https anywhere, http on this machine alone.
	URL string `json:"url"`
	// BearerFile is a file whose first line the node wants as a bearer token.
	BearerFile string `json:"bearer_file"`
	// ChainID is what the node must be on: 1 for the chain whose coins are money.
	ChainID int64 `json:"chain_id"`
	// Token is the contract of USDT; on the main chain it is Tether's.
	Token string `json:"token"`
	// FromHeight is the first block to look at; 0: where the chain ends at the first look.
	FromHeight int64 `json:"from_height"`
	// CompareBlocks is after how many blocks balances are compared: 32.
	CompareBlocks int64 `json:"compare_blocks"`
	// StaleSeconds is how old the newest block may be; 0: on the main chain 600, elsewhere any age.
	StaleSeconds int `json:"stale_seconds"`
	// TimeoutSeconds bounds a call: 30.
	TimeoutSeconds int `json:"timeout_seconds"`
}

const (
	mainChain      = 1
	mainToken      = "0xdAC17F958D2ee523a2206206994597C13D831ec7"
	mainStale      = 600
	longestStale   = 24 * 3600
	defaultCompare = 32
	mostCompare    = 64
	defaultTimeout = 30
	longestTimeout = 600
)

// maxConfig bounds a configuration, in bytes.
const maxConfig = 64 << 10

func parseConfig(text []byte) (c Config, err error) {
	if err := call.Config(text, maxConfig, &c); err != nil {
		return c, err
	}
	c.complete()
	if err := call.CheckNode("url", c.URL); err != nil {
		return c, err
	}
	token, known := canonical(c.Token)
	switch {
	case c.ChainID < 1:
		return c, call.Refuse("chain_id", "want the number of the chain: 1 for Ethereum's own")
	case !known || c.Token != token && c.Token != strings.ToLower(token):
		return c, call.Refuse("token", "want the address of USDT's contract on this chain, without a typing error")
	case c.FromHeight < 0:
		return c, call.Refuse("from_height", "want the height of a block")
	case c.CompareBlocks < 1 || c.CompareBlocks > mostCompare:
		return c, call.Refuse("compare_blocks", "want 1 to %d", mostCompare)
	case c.StaleSeconds < 0 || c.StaleSeconds > longestStale:
		return c, call.Refuse("stale_seconds", "want 0 to %d", longestStale)
	case c.TimeoutSeconds < 1 || c.TimeoutSeconds > longestTimeout:
		return c, call.Refuse("timeout_seconds", "want 1 to %d", longestTimeout)
	}
	c.Token = strings.ToLower(token)
	return c, nil
}

// complete fills in what was left out.
func (c *Config) complete() {
	if c.Token == "" && c.ChainID == mainChain {
		c.Token = mainToken
	}
	if c.StaleSeconds == 0 && c.ChainID == mainChain {
		c.StaleSeconds = mainStale
	}
	if c.CompareBlocks == 0 {
		c.CompareBlocks = defaultCompare
	}
	if c.TimeoutSeconds == 0 {
		c.TimeoutSeconds = defaultTimeout
	}
}

func (c *Config) timeout() time.Duration { return time.Duration(c.TimeoutSeconds) * time.Second }

// login says in a request's header who calls.
func (c *Config) login(header http.Header) error {
	if c.BearerFile == "" {
		return nil
	}
	token, err := call.FirstLine(c.BearerFile)
	if err != nil {
		return unavailable("the file with the node's token cannot be read")
	}
	header.Set("Authorization", "Bearer "+token)
	return nil
}
