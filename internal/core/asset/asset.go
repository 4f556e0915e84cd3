// Package asset is what customers deposit: the assets with their chains, and exact
// amounts of them as counts of the smallest unit, of which a currency's 63 bits would
// hold nine ETH.
//
// It must never use a float, and knows no price.
package asset

import (
	"fmt"
	"slices"
	"strings"
)

// Asset is something of value on one chain. The same token on two chains is two assets.
type Asset string

// The assets.
const (
	BTC       Asset = "BTC"
	ETH       Asset = "ETH"
	USDTERC20 Asset = "USDT-ERC20"
	USDTSOL   Asset = "USDT-SOL"
	SOL       Asset = "SOL"
	XMR       Asset = "XMR"
)

// Symbol is what an asset is priced and called as, whichever chain it is on: "USDT".
type Symbol string

// Chain is the network that moves an asset.
type Chain string

// The chains.
const (
	Bitcoin  Chain = "bitcoin"
	Ethereum Chain = "ethereum"
	Solana   Chain = "solana"
	Monero   Chain = "monero"
)

// entry is one row of the table; digits are the decimals of the smallest unit.
type entry struct {
	asset  Asset
	symbol Symbol
	chain  Chain
	digits int
}

var entries = [...]entry{
	{BTC, "BTC", Bitcoin, 8},   // satoshi
	{ETH, "ETH", Ethereum, 18}, // wei
	{USDTERC20, "USDT", Ethereum, 6},
	{USDTSOL, "USDT", Solana, 6},
	{SOL, "SOL", Solana, 9},  // lamport
	{XMR, "XMR", Monero, 12}, // piconero
}

// All returns every asset in its documented order.
func All() []Asset {
	all := make([]Asset, len(entries))
	for i := range entries {
		all[i] = entries[i].asset
	}
	return all
}

// Chains returns every chain, in the order of the assets.
func Chains() []Chain {
	var all []Chain
	for i := range entries {
		if !slices.Contains(all, entries[i].chain) {
			all = append(all, entries[i].chain)
		}
	}
	return all
}

// Parse reads the name of an asset, such as "USDT-ERC20".
func Parse(text string) (Asset, error) {
	if a := Asset(text); a.IsValid() {
		return a, nil
	}
	return "", fmt.Errorf("asset %q: want one of %s", text, listed(All()))
}

// ParseChain reads the name of a chain, such as "bitcoin".
func ParseChain(text string) (Chain, error) {
	if c := Chain(text); slices.Contains(Chains(), c) {
		return c, nil
	}
	return "", fmt.Errorf("chain %q: want one of %s", text, listed(Chains()))
}

// listed is names as a sentence has them.
func listed[T ~string](names []T) string {
	texts := make([]string, len(names))
	for i, name := range names {
		texts[i] = string(name)
	}
	return strings.Join(texts, ", ")
}

func (a Asset) entry() entry {
	for _, e := range entries {
		if e.asset == a {
			return e
		}
	}
	return entry{}
}

// IsValid reports whether a is one of the assets.
func (a Asset) IsValid() bool { return a.entry().asset != "" }

// Symbol returns what a is priced as; empty for none of the assets.
func (a Asset) Symbol() Symbol { return a.entry().symbol }

// Chain returns the chain that a is on; empty for none of the assets.
func (a Asset) Chain() Chain { return a.entry().chain }

// Digits returns how many decimals the smallest unit has: 8 where a hundred million
// of them make one.
func (a Asset) Digits() int { return a.entry().digits }

// On returns the assets of a chain.
func (c Chain) On() []Asset {
	var all []Asset
	for _, e := range entries {
		if e.chain == c {
			all = append(all, e.asset)
		}
	}
	return all
}
