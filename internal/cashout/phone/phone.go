// Package phone proves that somebody has a telephone: codes of four digits, sent by text
// message or spoken by a call, and entered again.
//
// It promises that a code is kept as a keyed hash, holds for ten minutes, ends with the next
// one, and is tried a few times at most, however many try at once; that numbers, ranges,
// addresses, countries and days have limits, a day's spending a cap; and that an alarm is
// raised where codes are sent and not entered. It must never log a code or a whole number.
package phone

import (
	"context"
	"io"
	"log/slog"
	"net/netip"
	"time"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/limit"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/platform/vault"
)

// Channel is how a code reaches a phone.
type Channel string

// The channels.
const (
	Text  Channel = "sms"
	Voice Channel = "voice"
)

// Message is one code on its way.
type Message struct {
	To      Number
	Channel Channel
	// Code is what is asked for; a driver puts it into words.
	Code pan.Secret
}

// Sender delivers messages: a provider of text messages and calls. Send makes one attempt
// and returns unavailable when it is not known to have been taken.
type Sender interface {
	// Has reports whether messages can be sent by a channel.
	Has(c Channel) bool
	Send(ctx context.Context, m Message) error
}

// Policy is the limits. Counts of 0 forbid.
type Policy struct {
	// Resend is how long the next code of an order has to wait for; Sends how many an order gets.
	Resend time.Duration
	Sends  int
	// Tries is how often one code may be tried; after Failures in all an answer to a captcha is needed.
	Tries, Failures int
	// How many messages there are to one number, one range of numbers and one country, and
	// from one address.
	Number, Range, Country, Address []limit.Window
	// Countries are those that codes are sent to, as ISO 3166 codes; none: all.
	Countries []string
	// CostText and CostVoice are what a message and a call cost, Cap what a day may, in cents.
	CostText, CostVoice, Cap int64
	// AlarmFrom is how many codes must have been sent to a country on a day before the share
	// of those that were entered counts; AlarmBelow is that share, in percent.
	AlarmFrom, AlarmBelow int64
	// Strict takes only numbers that are given out somewhere.
	Strict bool
}

// Lifetime is how long a code holds.
const Lifetime = 10 * time.Minute

// Digits is how many a code has.
const Digits = 4

// DefaultPolicy returns the rules for real messages.
func DefaultPolicy() Policy {
	const day = 24 * time.Hour
	return Policy{
		Resend: 30 * time.Second, Sends: 5, Tries: 5, Failures: 3,
		Number:   []limit.Window{{Limit: 4, Per: time.Hour}, {Limit: 8, Per: day}},
		Range:    []limit.Window{{Limit: 20, Per: time.Hour}, {Limit: 60, Per: day}},
		Country:  []limit.Window{{Limit: 300, Per: time.Hour}, {Limit: 2_000, Per: day}},
		Address:  []limit.Window{{Limit: 10, Per: time.Hour}, {Limit: 30, Per: day}},
		CostText: 5, CostVoice: 10, Cap: 100_00, AlarmFrom: 20, AlarmBelow: 40, Strict: true,
	}
}

// SandboxPolicy returns the rules where no message leaves the machine: as the real ones, but
// any possible number, no cost, and room to try things out.
func SandboxPolicy() Policy {
	p := DefaultPolicy()
	p.Strict, p.CostText, p.CostVoice, p.AlarmFrom = false, 0, 0, 1<<62
	p.Resend, p.Sends = time.Second, 50
	for _, windows := range []*[]limit.Window{&p.Number, &p.Range, &p.Country, &p.Address} {
		*windows = []limit.Window{{Limit: 1_000, Per: time.Hour}}
	}
	return p
}

// Line is how the phones of one realm are reached.
type Line struct {
	Sender Sender
	Policy Policy
	// Code is what every code is: of a demonstration alone. Empty: each is drawn.
	Code pan.Secret
}

// Deps is what a Service stands on.
type Deps struct {
	DB     *storage.DB
	Vault  *vault.Vault
	Limits *limit.Limiter
	Clocks *clock.Realms
	Logger *slog.Logger
	// Random is where codes come from: crypto/rand.Reader.
	Random io.Reader
}

// Service is the codes of one installation. It is safe for concurrent use.
type Service struct {
	Deps
	lines map[realm.Realm]Line
}

// New returns the service. A realm without a line sends nothing.
func New(d Deps, lines map[realm.Realm]Line) *Service { return &Service{d, lines} }

// Place is the order that a code is for.
type Place struct {
	Book  ledger.BookID
	Realm realm.Realm
	Order string
}

// Request asks for a code.
type Request struct {
	Place
	To    Number
	Voice bool
	// From is the address that asks; may be invalid.
	From netip.Addr
}

// Attempt is one try to enter a code.
type Attempt struct {
	Place
	To   Number
	Code pan.Secret
	// Person says that whoever tries has shown to be one.
	Person bool
}

// Purposes of what the vault seals and hashes.
const (
	purposeNumber = "cashout.phone"
	purposeHash   = "cashout.phone_hash"
	purposeCode   = "cashout.phone_code"
)

// Hash returns what a number is found by.
func (s *Service) Hash(n Number) []byte { return s.Vault.Hash(purposeHash, n.text) }

// Seal returns a number as it is stored in a row.
func (s *Service) Seal(row string, n Number) ([]byte, error) {
	return s.Vault.Seal(purposeNumber, row, []byte(n.text))
}

// Unseal opens what Seal made; no bytes are no number.
func (s *Service) Unseal(row string, sealed []byte) (Number, error) {
	if len(sealed) == 0 {
		return Number{}, nil
	}
	text, err := s.Vault.Unseal(purposeNumber, row, sealed)
	return restored(string(text)), err
}

// Parse reads a number by the rules of a realm.
func (s *Service) Parse(r realm.Realm, text string) (Number, error) {
	return Parse(text, s.lines[r].Policy.Strict)
}

// hashOf is a code as it is stored: it fits its order and its number alone.
func (s *Service) hashOf(p Place, to Number, code pan.Secret) []byte {
	return s.Vault.Hash(purposeCode, string(p.Book)+"\x00"+p.Order+"\x00"+to.text+"\x00"+code.Reveal())
}
