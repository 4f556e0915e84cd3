// Package destination reads where bitcoin is to be paid: an address in any of its forms,
// a Lightning invoice without an amount, or a Lightning Address.
//
// It promises that what it accepts belongs to the network that was asked for, and is
// spendable by whoever gave it as far as its form can tell. It must never ask a node.
package destination

import (
	"strings"
	"time"

	"github.com/btcsuite/btcd/address/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	"github.com/btcsuite/btcd/chaincfg/v2"

	"github.com/scripcards/scrip/internal/cashout/payout/invoice"
	"github.com/scripcards/scrip/internal/core/fault"
)

// Network is one of bitcoin's networks.
type Network string

// The networks.
const (
	Main    Network = "main"
	Test    Network = "test" // testnet 3 and 4
	Signet  Network = "signet"
	Regtest Network = "regtest"
)

// Networks returns the closed list, the one whose coins are money first.
func Networks() []Network { return []Network{Main, Test, Signet, Regtest} }

// ParseNetwork reads the name of a network.
func ParseNetwork(text string) (Network, error) {
	for _, n := range Networks() {
		if string(n) == text {
			return n, nil
		}
	}
	return "", fault.New(fault.InvalidRequest, "want main, test, signet or regtest").At("network")
}

// prefixes are what invoices of a network begin with, after "ln".
var prefixes = map[Network]string{Main: "bc", Test: "tb", Signet: "tbs", Regtest: "bcrt"}

// Prefix returns what the network's invoices begin with after "ln".
func (n Network) Prefix() string { return prefixes[n] }

// params returns the library's description of a network, and whether it is one.
func (n Network) params() (chaincfg.Params, bool) {
	switch n {
	case Main:
		return chaincfg.MainNetParams, true
	case Test:
		return chaincfg.TestNet3Params, true
	case Signet:
		return chaincfg.SigNetParams, true
	case Regtest:
		return chaincfg.RegressionNetParams, true
	}
	return chaincfg.Params{}, false
}

// Kind is the form of a destination.
type Kind string

// The kinds. Segwit that is wrapped looks like any other P2SH.
const (
	P2PKH   Kind = "p2pkh"
	P2SH    Kind = "p2sh"
	P2WPKH  Kind = "p2wpkh" // bech32
	P2WSH   Kind = "p2wsh"  // bech32
	P2TR    Kind = "p2tr"   // bech32m
	Invoice Kind = "invoice"
	Handle  Kind = "lightning_address"
)

// Kinds returns the closed list in its documented order.
func Kinds() []Kind { return []Kind{P2PKH, P2SH, P2WPKH, P2WSH, P2TR, Invoice, Handle} }

// IsLightning reports whether payments of the kind go over Lightning.
func (k Kind) IsLightning() bool { return k == Invoice || k == Handle }

// Destination is where to pay to. It is comparable with ==: what means the same is equal,
// in whichever case it was written.
type Destination struct {
	Kind    Kind
	Network Network
	Text    string
}

// maxText bounds what is read, in bytes: the prefix of a URI and an invoice.
const maxText = invoice.MaxText + len(scheme)

// scheme may begin an invoice or a Lightning Address, onChain an address.
const (
	scheme  = "lightning:"
	onChain = "bitcoin:"
)

// Parse reads a destination on a network. Whether an invoice is still to be paid at a
// moment is Payable's to say. It returns invalid_request, with what is wrong.
func Parse(n Network, text string) (Destination, error) {
	text = strings.TrimSpace(text)
	_, known := n.params()
	switch {
	case !known:
		return Destination{}, fault.New(fault.InvalidRequest, "there is no network %q", n)
	case text == "" || len(text) > maxText:
		return Destination{}, fault.New(fault.InvalidRequest, "want an address, an invoice or a Lightning Address")
	}
	if strings.Contains(text, "@") || hasPrefix(text, scheme) || hasPrefix(text, "ln") {
		return ParseLightning(n, text)
	}
	if hasPrefix(text, onChain) {
		text = text[len(onChain):]
	}
	if strings.Contains(text, "?") {
		return Destination{}, fault.New(fault.InvalidRequest, "give the address alone, without what follows its question mark").At("address")
	}
	return ParseAddress(n, text)
}

func hasPrefix(text, prefix string) bool {
	return len(text) > len(prefix) && strings.EqualFold(text[:len(prefix)], prefix)
}

// ParseLightning reads an invoice or a Lightning Address, with or without "lightning:"
// before it. It returns invalid_request for anything else.
func ParseLightning(n Network, text string) (Destination, error) {
	if hasPrefix(text, scheme) {
		text = text[len(scheme):]
	}
	switch {
	case strings.Contains(text, "@"):
		return parseHandle(n, text)
	case hasPrefix(text, "lno1"):
		return Destination{}, unpaid("offers (BOLT 12)")
	case hasPrefix(text, "lni1"), hasPrefix(text, "lnr1"):
		return Destination{}, unpaid("invoices and their requests of BOLT 12")
	case hasPrefix(text, "lnurl"):
		return Destination{}, unpaid("LNURLs")
	}
	return parseInvoice(n, text)
}

// unpaid says what is paid over Lightning in the place of what is not.
func unpaid(what string) error {
	return fault.New(fault.InvalidRequest, "%s are not paid: give an invoice (BOLT 11) or a Lightning Address", what).At("ln_invoice")
}

// ParseAddress reads an address of a network. It returns invalid_request for anything else.
func ParseAddress(n Network, text string) (Destination, error) {
	params, known := n.params()
	if !known || len(text) > maxAddress {
		return Destination{}, fault.New(fault.InvalidRequest, "want an address").At("address")
	}
	decoded, err := address.DecodeAddress(text, &params)
	kind := kindOf(decoded)
	switch {
	case err != nil && isElsewhere(text):
		return Destination{}, elsewhere(n)
	case err != nil:
		return Destination{}, fault.New(fault.InvalidRequest, "the address has a typing error in it, or a form that is unknown").At("address")
	case kind == "", !strings.EqualFold(decoded.EncodeAddress(), text): // the library reads 20 bytes of version 1 as those of version 0
		return Destination{}, fault.New(fault.InvalidRequest, "addresses of that form are not paid").At("address")
	case !decoded.IsForNet(&params):
		return Destination{}, elsewhere(n)
	}
	return Destination{Kind: kind, Network: n, Text: decoded.EncodeAddress()}, nil
}

func elsewhere(n Network) error {
	return fault.New(fault.InvalidRequest, "the address is not one of the %s network", n).At("address")
}

// isElsewhere reports whether a text is an address of some network.
func isElsewhere(text string) bool {
	for _, n := range Networks() {
		params, _ := n.params()
		if a, err := address.DecodeAddress(text, &params); err == nil && a.IsForNet(&params) && kindOf(a) != "" {
			return true
		}
	}
	return false
}

// maxAddress is how long an address is at most (BIP 173).
const maxAddress = 90

// kindOf returns the form of an address; empty: nobody is paid there.
func kindOf(a address.Address) Kind {
	switch a := a.(type) {
	case *address.AddressPubKeyHash:
		return P2PKH
	case *address.AddressScriptHash:
		return P2SH
	case *address.AddressWitnessPubKeyHash:
		return P2WPKH
	case *address.AddressWitnessScriptHash:
		return P2WSH
	case *address.AddressTaproot:
		if _, err := schnorr.ParsePubKey(a.ScriptAddress()); err == nil { // BIP 341: what is no key is nobody's to spend
			return P2TR
		}
	}
	return ""
}

// Script returns the script that an output to the address has; nil where it is no address.
func (d Destination) Script() []byte {
	params, known := d.Network.params()
	if !known || d.Kind.IsLightning() {
		return nil
	}
	decoded, err := address.DecodeAddress(d.Text, &params)
	if err != nil {
		return nil
	}
	hash := decoded.ScriptAddress()
	push := append([]byte{byte(len(hash))}, hash...)
	switch d.Kind {
	case P2PKH:
		return append(append([]byte{opDup, opHash160}, push...), opEqualVerify, opCheckSig)
	case P2SH:
		return append(append([]byte{opHash160}, push...), opEqual)
	case P2WPKH, P2WSH:
		return append([]byte{op0}, push...)
	case P2TR:
		return append([]byte{op1}, push...)
	case Invoice, Handle:
	}
	return nil
}

// The operations of the scripts that are paid to.
const (
	op0           = 0x00
	op1           = 0x51
	opDup         = 0x76
	opEqual       = 0x87
	opEqualVerify = 0x88
	opHash160     = 0xa9
	opCheckSig    = 0xac
)

// Dust is the least that nodes relay to an output, in satoshis, per kind; 0 for Lightning.
func (k Kind) Dust() int64 {
	switch k {
	case P2PKH:
		return 546
	case P2SH:
		return 540
	case P2WPKH:
		return 294
	case P2WSH, P2TR:
		return 330
	case Invoice, Handle:
	}
	return 0
}

func parseInvoice(n Network, text string) (Destination, error) {
	in, err := invoice.Decode(text)
	switch {
	case err != nil:
		return Destination{}, err
	case in.Prefix != n.Prefix():
		return Destination{}, fault.New(fault.InvalidRequest, "the invoice is not one of the %s network", n).At("ln_invoice")
	case in.MilliSatoshi != 0:
		return Destination{}, fault.New(fault.InvalidRequest, "want an invoice without an amount").At("ln_invoice")
	}
	return Destination{Kind: Invoice, Network: n, Text: strings.ToLower(text)}, nil
}

// Payable returns the invoice that a destination is. It returns invalid_request for what
// is none, and for one that has less than the given time left.
func (d Destination) Payable(now time.Time, left time.Duration) (invoice.Invoice, error) {
	if d.Kind != Invoice {
		return invoice.Invoice{}, fault.New(fault.InvalidRequest, "the destination is no invoice")
	}
	in, err := invoice.Decode(d.Text)
	if err == nil && in.ExpiresAt.Before(now.Add(left)) {
		err = fault.New(fault.InvalidRequest, "the invoice has expired, or is about to: make one that is valid for longer").At("ln_invoice")
	}
	return in, err
}

// Bounds of a Lightning Address: those of an e-mail address and of a host name.
const (
	maxUser  = 64
	maxHost  = 253
	maxLabel = 63
)

// parseHandle reads a Lightning Address (LUD-16): a name of small letters, digits, "-",
// "_", "." and "+", and the name of a public host.
func parseHandle(n Network, text string) (Destination, error) {
	text = strings.ToLower(text)
	user, host, _ := strings.Cut(text, "@")
	if user == "" || len(user) > maxUser || strings.Trim(user, "abcdefghijklmnopqrstuvwxyz0123456789-_.+") != "" {
		return Destination{}, fault.New(fault.InvalidRequest, "the name before the @ of a Lightning Address has 1 to %d letters, digits and -_.+", maxUser).At("address")
	}
	labels := strings.Split(host, ".")
	good := len(host) <= maxHost && len(labels) > 1
	for _, label := range labels {
		good = good && label != "" && len(label) <= maxLabel && strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") == "" &&
			label[0] != '-' && label[len(label)-1] != '-'
	}
	// Some resolvers read a last label of digits as a part of an IP address.
	if !good || strings.Trim(labels[len(labels)-1], "0123456789") == "" {
		return Destination{}, fault.New(fault.InvalidRequest, "a Lightning Address ends with the name of a public host").At("address")
	}
	return Destination{Kind: Handle, Network: n, Text: text}, nil
}

// Split returns the name and the host of a Lightning Address; empty where it is none.
func (d Destination) Split() (user, host string) {
	if d.Kind != Handle {
		return "", ""
	}
	user, host, _ = strings.Cut(d.Text, "@")
	return user, host
}
