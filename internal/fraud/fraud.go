// Package fraud says how much an event looks like theft: a score from 0 to 1 with
// the signals that made it. It keeps streaming counters, in bounded memory, of what
// was seen of a card, its neighbours, a credential and an address.
//
// It promises an answer in microseconds without I/O, and that every score names its
// strongest signals with value, threshold and window. It must never see a card number
// or a PIN: what it is given are keyed hashes. It decides nothing: products do.
package fraud

import (
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"slices"
	"time"

	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
)

// Kind is what happened.
type Kind string

// The kinds of events.
const (
	// Ping is a balance check.
	Ping Kind = "ping"
	// Authorization is a payment with a card.
	Authorization Kind = "authorization"
	// Activation says that a card can be used from now on, Reload that money was put on
	// it. They are heard of, not scored.
	Activation Kind = "activation"
	Reload     Kind = "reload"
)

// Kinds returns those that are scored.
func Kinds() []Kind { return []Kind{Ping, Authorization} }

// Hash is a keyed hash that stands for a number; the zero value stands for none. Its
// first eight bytes alone must tell numbers apart.
type Hash [32]byte

// HashOf returns the hash of names that are not secret, such as a book's and a card's id.
func HashOf(names ...string) Hash {
	h := sha256.New()
	for _, name := range names {
		var size [8]byte
		binary.BigEndian.PutUint64(size[:], uint64(len(name)))
		_, _ = h.Write(size[:]) // a hash never returns an error
		_, _ = h.Write([]byte(name))
	}
	return Hash(h.Sum(nil))
}

// Event is something to be scored. What it lacks is not counted: a zero Address, Card,
// Before, After or Block, an empty Caller.
type Event struct {
	Kind  Kind
	At    time.Time
	Realm realm.Realm
	Book  ledger.BookID
	// Caller is the credential that asks ("key_…").
	Caller string
	// Public says that the caller is a page that anybody can use, such as a portal:
	// the address is one consumer's, and not that of a customer's servers.
	Public  bool
	Address netip.Addr
	Network string
	Card    Hash
	// Before and After stand for the numbers next to the card's.
	Before, After Hash
	// Block stands for the hundred numbers around the card's, check digits included.
	Block Hash
	// Hundred and Range stand for the hundred and the 5000 serial numbers around the
	// card's. Rules do not look at them, models do.
	Hundred, Range Hash
	// Device stands for what the event came from: of a payment, the terminal; of a check,
	// the browser or program by all that it says of itself. Agent stands for what it calls
	// itself, its user agent. Rules do not look at them, models do.
	Device, Agent Hash
	// Merchant, Country (ISO 3166-1 alpha-2), Category (ISO 18245) and Amount are a payment's.
	Merchant Hash
	Country  string
	Category string
	Amount   money.Amount
	// Remote says that the card was not there: online, typed in or stored.
	Remote bool
	// Payer is what payments call the card of an activation or a reload; zero where it does
	// not pay.
	Payer Hash
}

// Outcome is what came of an event, told when it is known. Where the network gave no
// answer there is none.
type Outcome struct {
	// Found says that the card exists and the PIN, if one was given, was right; of a
	// payment, that it was approved.
	Found bool
	// WrongPIN says that the card exists and the PIN was wrong; of a payment, the CVC.
	WrongPIN bool
}

// Label is what somebody found out about an event later.
type Label struct {
	// At is when they said so, in the time of the event's realm.
	At time.Time
	// Fraud says that it was theft; else it was genuine, which takes back an earlier label.
	Fraud bool
}

// Score is how much an event looks like theft.
type Score struct {
	// Hundredths is 0, clean, to 99.
	Hundredths int
	// Signals are those that spoke, the strongest first; each name is there once.
	Signals []Signal
	// Model names the trained model that made the score; empty when rules alone did.
	Model string
	// Told is what Uniform returns where a model has a say in it; nil: what the signals say.
	Told *Told
	// Shown is what Found returns; nil: the whole score.
	Shown *Told
	// Decision names what is kept of the score; empty: nothing is.
	Decision string
}

// Told is a score as a caller may see it.
type Told struct {
	Hundredths int
	Signals    []Signal
}

// Signal is one reason for a score.
type Signal struct {
	// Name is the contract's word, such as "velocity_anomaly".
	Name string
	// Of is whose events were counted: credential, address, network, card or neighbourhood.
	Of string
	// Value was seen within Window, and Threshold is where it begins to count; 0 where a
	// model says so, which has no thresholds. Shares are in hundredths.
	Value, Threshold int64
	Window           time.Duration
	// Points, in hundredths, is what it added to the score.
	Points int
	// Telling says that it depends on whether the card exists, or on what strangers
	// did with it. See Score.Uniform.
	Telling bool
}

// Quiet is what of the signals is not telling, in room as far as it has some.
func (s Score) Quiet(room []Signal) Told {
	for i := range s.Signals {
		if !s.Signals[i].Telling {
			room = append(room, s.Signals[i])
		}
	}
	return Told{Hundredths: total(room), Signals: room}
}

// Uniform returns the score as a caller may see it beside an answer that must not
// tell an unknown number from a wrong PIN or a locked card: without what is telling.
// Two callers who did the same and got the same answers get the same uniform scores.
func (s Score) Uniform() Score {
	told := s.Told
	if told == nil {
		quiet := s.Quiet(nil)
		told = &quiet
	}
	signals := told.Signals
	if len(signals) == 0 {
		signals = nil // an empty list and none are the same
	}
	return Score{Hundredths: told.Hundredths, Signals: signals, Model: s.Model, Decision: s.Decision}
}

// Found returns the score as a caller may see it beside an answer that shows a card: all
// that is known of that card, and nothing that depends on which of the other numbers exist
// that the caller asked for. Two callers who did the same, got the same answers and find
// the same card get the same.
func (s Score) Found() Score {
	if s.Shown == nil {
		return s
	}
	signals := s.Shown.Signals
	if len(signals) == 0 {
		signals = nil
	}
	return Score{Hundredths: s.Shown.Hundredths, Signals: signals, Model: s.Model, Decision: s.Decision}
}

// Clone returns the score with signals of its own.
func (s Score) Clone() Score {
	s.Signals = slices.Clone(s.Signals)
	s.Told, s.Shown = s.Told.clone(), s.Shown.clone()
	return s
}

func (t *Told) clone() *Told {
	if t == nil {
		return nil
	}
	return &Told{t.Hundredths, slices.Clone(t.Signals)}
}
