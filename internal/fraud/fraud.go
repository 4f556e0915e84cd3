// Package fraud says how much an event looks like theft: a score from 0 to 1 with
// the signals that made it. It keeps streaming counters, in bounded memory, of what
// was seen of a card, its neighbours, a credential and an address.
//
// It promises an answer in microseconds without I/O, and that every score names its
// strongest signals with value, threshold and window. It must never see a card number
// or a PIN: what it is given are keyed hashes. It decides nothing: products do.
package fraud

import (
	"net/netip"
	"time"

	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
)

// Kind is what happened.
type Kind string

// The kinds of events.
const (
	Ping Kind = "ping"
)

// Hash is a keyed hash that stands for a number; the zero value stands for none.
type Hash [32]byte

// Event is something to be scored.
type Event struct {
	Kind  Kind
	At    time.Time
	Realm realm.Realm
	Book  ledger.BookID
	// Caller is the credential that asks ("key_…").
	Caller  string
	Address netip.Addr
	Network string
	Card    Hash
	// Before and After stand for the numbers next to the card's.
	Before, After Hash
	// Block stands for the hundred numbers around the card's.
	Block Hash
}

// Outcome is what came of an event, told when it is known.
type Outcome struct {
	// Found says that the card exists and the PIN, if one was given, was right.
	Found bool
	// WrongPIN says that the card exists and the PIN was wrong.
	WrongPIN bool
}

// Score is how much an event looks like theft.
type Score struct {
	// Hundredths is 0, clean, to 100.
	Hundredths int
	// Signals are those that spoke, the strongest first.
	Signals []Signal
	// Model names the trained model that made the score; empty when rules alone did.
	Model string
}

// Signal is one reason for a score.
type Signal struct {
	// Name is the contract's word, such as "velocity_anomaly".
	Name string
	// Value was seen within Window, and Threshold is where it begins to count.
	Value, Threshold int64
	Window           time.Duration
	// Points, in hundredths, is what it added to the score.
	Points int
}
