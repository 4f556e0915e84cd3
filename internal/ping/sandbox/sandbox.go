// Package sandbox is the networks of the test realm as data: which there are, which
// numbers have an outcome of their own, and what every other number answers.
//
// The tables are the documentation: whoever lists them says what the networks do. The
// same number answers the same for ever. Nothing here is a card: the numbers are made
// up, and no figure of them is money.
package sandbox

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// Network is one network of the test realm.
type Network struct {
	ID, Name string
	// Type is "open_loop" or "closed_loop".
	Type string
	// Length is that of its numbers; they begin with Prefix and have A–Z if Letters.
	Length  int
	Prefix  string
	Letters bool
	// PINRequired: a check without a PIN is refused.
	PINRequired bool
	// Currencies are ISO 4217 codes; a card is in the one that is asked for.
	Currencies []string
	// First begins its magic numbers; their last four digits are a Card's.
	First string
}

// networks: the brands of the closed loops are invented.
var networks = [...]Network{
	{ID: "visa_gift", Name: "Visa Gift Card", Type: "open_loop", Length: 16, Currencies: []string{"USD"}, First: "600649130000"},
	{ID: "mastercard_gift", Name: "Mastercard Gift Card", Type: "open_loop", Length: 16, Currencies: []string{"USD"}, First: "600649140000"},
	{ID: "amex_gift", Name: "American Express Gift Card", Type: "open_loop", Length: 15, Currencies: []string{"USD"}, First: "60064915000"},
	{ID: "brambleberry", Name: "Brambleberry Books", Type: "closed_loop", Length: 19, Prefix: "70", PINRequired: true,
		Currencies: []string{"USD", "CAD", "GBP"}, First: "700100000000000"},
	{ID: "northgate", Name: "Northgate Outfitters", Type: "closed_loop", Length: 14, Prefix: "NG", Letters: true,
		Currencies: []string{"USD", "CAD"}, First: "NG00000000"},
	{ID: "lumen_coffee", Name: "Lumen Coffee", Type: "closed_loop", Length: 10, Prefix: "5",
		Currencies: []string{"USD", "EUR", "GBP"}, First: "500000"},
}

// Networks returns the networks, in the order in which they are listed.
func Networks() []Network { return slices.Clone(networks[:]) }

// Refusal is what a magic number gets in place of an answer.
type Refusal string

// The refusals. None is an answer.
const (
	None        Refusal = ""
	Unavailable Refusal = "network_unavailable"
	CardInvalid Refusal = "card_invalid"
)

// PIN is that of every magic number; a check that gives another is a wrong PIN.
const PIN = "1234"

// WrongPIN is the one that is wrong for every number that is not magic.
const WrongPIN = "0000"

// Answer is what a network of the test realm says.
type Answer struct {
	// Status is active, inactive, expired or invalid.
	Status string
	Minor  int64 // of the currency that was asked for
	Expiry string
	// Score is in hundredths, with the names of its signals.
	Score   int
	Signals []string
	// Latency is what the answer says it took.
	Latency time.Duration
	// Wait is what it takes.
	Wait time.Duration
	// PINWrong: a PIN was given and was wrong.
	PINWrong bool
	Refusal  Refusal
}

// Card is the numbers that end in Ending, one in each network.
type Card struct {
	// Ending is the last four digits.
	Ending string
	Answer
}

// SlowWait is how long the slow number takes.
const SlowWait = 3 * time.Second

const usualLatency = 68 * time.Millisecond

// cards are the magic numbers. The first is the published sample.
var cards = [...]Card{
	{"0011", Answer{Status: "active", Minor: 4750, Expiry: "2027-03", Score: 2, Latency: usualLatency}},
	{"0022", Answer{Status: "inactive", Expiry: "2027-03", Score: 2, Latency: usualLatency}},
	{"0033", Answer{Status: "expired", Expiry: "2024-01", Score: 2, Latency: usualLatency}},
	{"0044", Answer{Status: "active", Minor: 25000, Expiry: "2027-03", Score: 89,
		Signals: []string{"velocity_anomaly", "proxy_ip_detected", "sequential_pan_pattern"}, Latency: usualLatency}},
	{"0055", Answer{Refusal: Unavailable}},
	{"0066", Answer{Refusal: CardInvalid}},
	{"0077", Answer{Status: "active", Minor: 4750, Expiry: "2027-03", Score: 2, Latency: SlowWait, Wait: SlowWait}},
	{"0088", Answer{Status: "invalid", Score: 2, Latency: usualLatency, PINWrong: true}},
	{"0099", Answer{Status: "invalid", Score: 2, Latency: usualLatency}},
	{"0100", Answer{Status: "active", Expiry: "2027-03", Score: 2, Latency: usualLatency}},
}

// Cards returns the magic numbers' endings and what they answer.
func Cards() []Card { return slices.Clone(cards[:]) }

// Number returns the number of a network that has an ending.
func (n *Network) Number(c Card) string { return n.First + c.Ending }

// Ask returns what the network says of a number that fits it, given without separators,
// and whether the number is a magic one, whose score and latency the answer has too.
// Any other number is active with its last four digits as its balance in minor units,
// to the end of 2030; one that ends in 99 does not exist, and the PIN 0000 is wrong.
func (n *Network) Ask(number, pin string) (Answer, bool) {
	for _, c := range cards {
		if number != n.First+c.Ending {
			continue
		}
		a := c.Answer
		if pin != "" && pin != PIN && a.Refusal == None {
			a.Status, a.Minor, a.Expiry, a.PINWrong = "invalid", 0, "", true
		}
		if pin == "" {
			a.PINWrong = false
		}
		return a, true
	}
	switch {
	case strings.HasSuffix(number, "99"):
		return Answer{Status: "invalid"}, false
	case pin == WrongPIN:
		return Answer{Status: "invalid", PINWrong: true}, false
	}
	minor, err := strconv.ParseInt(number[len(number)-4:], 10, 64)
	if err != nil {
		return Answer{Status: "invalid"}, false // letters at its end: nothing that was issued
	}
	return Answer{Status: "active", Minor: minor, Expiry: "2030-12"}, false
}
