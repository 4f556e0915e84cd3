// Package feature turns a stream of events into numbers: what is known of an event's
// card, its neighbours, its address, its merchant and all the others at the moment it
// happens, from what was seen before and which labels have arrived by then.
//
// One code serves training and scoring: a replay of the same events, outcomes and labels
// in the same order makes the same numbers, bit for bit. State is bounded: what came
// once goes first, what keeps coming stays. It must never see a number or a PIN, but
// keyed hashes, nor look ahead: a label counts when it arrives.
package feature

import (
	"crypto/sha256"
	"math"
	"strings"
)

// Kind is what happened.
type Kind uint8

// The kinds of events.
const (
	Ping Kind = iota + 1
	Authorization
	Activation
	Reload
)

// Key stands for one of a role: a card, an address, a merchant. 0 stands for none.
type Key uint64

// Role is what a key is of.
type Role uint8

// The roles. Ten, Hundred and Range are the card's neighbourhoods of numbers; Net is the
// address's /24 or /48; Operator runs the network that the address belongs to. Pair is
// a card at a merchant.
const (
	Card Role = iota
	Ten
	Hundred
	Range
	Address
	Net
	Operator
	Device
	Agent
	Caller
	Merchant
	Category
	Place
	Pair
	Roles
)

var roleNames = [Roles]string{"card", "ten", "hundred", "range", "address", "net", "operator", "device", "agent", "caller",
	"merchant", "category", "place", "pair"}

// String returns the role's name, as it stands in the names of features.
func (r Role) String() string { return roleNames[r] }

// Event is something to be looked at. What it lacks has no key.
type Event struct {
	// At is microseconds since 1970.
	At   int64
	Kind Kind
	Keys [Roles]Key
	// Amount is in minor units; 0 where there is none.
	Amount int64
}

// Outcome is what came of an event.
type Outcome struct {
	// Missed says that there is no such card, or that its PIN was wrong, or that it was declined.
	Missed bool
	// WrongSecret says that the card exists and its PIN or CVC was wrong.
	WrongSecret bool
}

// Mark is what a label needs of the event it is about, as it was when it happened.
type Mark struct {
	Event Event
	// Ratio is the amount as a multiple of the card's usual one.
	Ratio float32
	// Plain says that the amount was nothing special, for the card and for all.
	Plain bool
}

// Vector is the numbers of one event, in the order of Names. NaN is unknown.
type Vector [Width]float32

// Names returns the names of the numbers: "merchant.frauds_7d".
func Names() []string {
	w := writer{names: make([]string, 0, Width)}
	w.describe()
	return w.names
}

// Schema identifies what the numbers mean and how they are made: a model that was trained
// under one does not fit another.
func Schema() [32]byte {
	return sha256.Sum256([]byte("2\n" + strings.Join(Names(), "\n")))
}

// unknown is the number that stands for none.
var unknown = float32(math.NaN())
