// Package ethereum watches the chain of Ethereum over the JSON-RPC of a node, for ETH and
// for one token, USDT, that are paid to addresses of ours.
//
// It promises that every block between two looks is read by its hash and held against the
// one before it, that a reorganisation is walked back, that transactions which were undone
// and look-alikes of the token are nothing, that what contracts pay is found by the
// balances that it changes or, where the node has forgotten those, by what addresses that
// never sent anything have, and that a node which is behind, loading or on another chain is
// an error and never an answer.
//
// It must never hold a private key, or let any text of the node's into an error.
package ethereum

import (
	"context"
	"encoding/hex"
	"log/slog"
	"math/big"
	"strings"
	"sync"

	"golang.org/x/crypto/sha3"

	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/wallet/deposit"
)

// Deps are what a Chain needs beside its node.
type Deps struct {
	// Ours returns those of the given addresses that payments are watched for.
	Ours func(ctx context.Context, addresses []string) (map[string]bool, error)
	// Recent returns the addresses whose balances are compared.
	Recent func(ctx context.Context) ([]string, error)
	// Paid returns all deposits of ether to some addresses.
	Paid func(ctx context.Context, addresses []string) (map[string][]deposit.Deposit, error)
	// Clock tells whether the node's newest block is new.
	Clock  clock.Clock
	Logger *slog.Logger
}

// Chain watches one node. It is safe for concurrent use.
type Chain struct {
	Deps
	node   *node
	config Config

	mu      sync.Mutex
	reached int64    // the highest block that there was
	missed  bool     // it was said that the node keeps too little
	last    balances // what addresses had when they were compared last
}

var _ deposit.Chain = (*Chain)(nil)

// Open returns the chain of a node, which it does not call.
func Open(config []byte, deps Deps) (*Chain, error) {
	c, err := parseConfig(config)
	if err != nil {
		return nil, err
	}
	n := newNode(&c)
	return &Chain{Deps: deps, node: n, config: c}, nil
}

// IsMain reports whether the node is to be on the chain whose coins are money.
func (c *Chain) IsMain() bool { return c.config.ChainID == mainChain }

func unavailable(format string, args ...any) error {
	return fault.New(fault.Unavailable, format, args...)
}

// addressDigits are the hexadecimal digits of an address, and wordDigits those of a word of
// 32 bytes: a hash, or an argument.
const (
	addressDigits = 40
	wordDigits    = 64
)

// digits returns the lower-case digits of a 0x… text of exactly so many.
func digits(text string, count int) (string, bool) {
	rest, ok := strings.CutPrefix(strings.ToLower(text), "0x")
	return rest, ok && len(rest) == count && strings.Trim(rest, "0123456789abcdef") == ""
}

// canonical writes an address as the address book does: with the capitals of EIP-55.
func canonical(text string) (string, bool) {
	plain, ok := digits(text, addressDigits)
	if !ok {
		return "", false
	}
	h := sha3.NewLegacyKeccak256()
	h.Write([]byte(plain))
	proof := hex.EncodeToString(h.Sum(nil))
	out := []byte(plain)
	for i, digit := range out {
		if digit >= 'a' && proof[i] >= '8' {
			out[i] = digit - 'a' + 'A'
		}
	}
	return "0x" + string(out), true
}

// argument returns the address that a word of 32 bytes holds.
func argument(word string) (string, bool) {
	plain, ok := digits(word, wordDigits)
	if !ok || strings.Trim(plain[:wordDigits-addressDigits], "0") != "" {
		return "", false
	}
	return canonical("0x" + plain[wordDigits-addressDigits:])
}

// number reads a quantity, such as 0x1b4.
func number(text string) (*big.Int, bool) {
	rest, ok := strings.CutPrefix(text, "0x")
	if !ok || rest == "" || len(rest) > wordDigits || strings.Trim(strings.ToLower(rest), "0123456789abcdef") != "" {
		return nil, false
	}
	return new(big.Int).SetString(rest, 16)
}

// height reads the number of a block.
func height(text string) (int64, bool) {
	n, ok := number(text)
	if !ok || !n.IsInt64() {
		return 0, false
	}
	return n.Int64(), true
}

// quantity writes a number as nodes read it.
func quantity(n int64) string { return "0x" + big.NewInt(n).Text(16) }

// amount is so much of an asset; false for nothing, and for more than there can be.
func amount(units *big.Int, a asset.Asset) (asset.Amount, bool) {
	m, err := asset.FromBig(units, a)
	return m, err == nil && !m.IsZero()
}
