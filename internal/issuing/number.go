package issuing

import (
	"context"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/fraud/notice"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/webhook"
)

// Purposes of what the vault seals and hashes for this package.
const (
	purposeNumber = "issuing.number"
	purposeCVC    = "issuing.cvc"
)

const (
	// numberDigits and cvcDigits are Visa's and Mastercard's.
	numberDigits = 16
	cvcDigits    = 3
	// collisionTries bounds new numbers drawn after one that exists.
	collisionTries = 4
)

// drawn is a new number as it is kept.
type drawn struct {
	number       pan.Number
	sealed, hash []byte
}

// draw makes a number within a BIN and seals it for a card.
func (s *Service) draw(bin string, card CardID) (drawn, error) {
	s.drawing.Lock()
	number, err := pan.Generate(s.Random, bin, numberDigits)
	s.drawing.Unlock()
	if err != nil {
		return drawn{}, fmt.Errorf("draw card number: %w", err)
	}
	sealed, err := s.Vault.Seal(purposeNumber, string(card), []byte(number.Reveal()))
	if err != nil {
		return drawn{}, fmt.Errorf("seal card number: %w", err)
	}
	return drawn{number, sealed, s.numberHash(number)}, nil
}

func (s *Service) numberHash(number pan.Number) []byte {
	return s.Vault.Hash(purposeNumber, number.Reveal())
}

func (s *Service) unseal(c *Card) (pan.Number, error) {
	if !c.Number.IsZero() {
		return c.Number, nil
	}
	text, err := s.Vault.Unseal(purposeNumber, string(c.ID), c.sealed)
	if err != nil {
		return pan.Number{}, err
	}
	return pan.Parse(string(text))
}

// cvc derives a card's verification value, as card networks' algorithms do with a cipher:
// the digits of a keyed hash of number and expiry, those first that are decimal, then the
// others less ten.
func (s *Service) cvc(number pan.Number, expiry string) pan.Secret {
	hash := hex.EncodeToString(s.Vault.Hash(purposeCVC, number.Reveal()+"/"+expiry))
	return pan.NewSecret(decimalize(hash, cvcDigits))
}

// decimalize returns count decimal digits of hexadecimal ones, of which there are as many
// at least.
func decimalize(digits string, count int) string {
	var decimal, rest []byte
	for _, c := range []byte(digits) {
		if c <= '9' {
			decimal = append(decimal, c)
		} else {
			rest = append(rest, c-'a'+'0')
		}
	}
	return string(append(decimal, rest...)[:count])
}

// CheckCVC reports whether a verification value is the card's, in a time that does not
// depend on it. The card may be remembered; an empty value is never right.
func (s *Service) CheckCVC(card *Card, cvc pan.Secret) bool {
	number, err := s.unseal(card)
	return err == nil && !cvc.IsZero() && s.cvc(number, card.Expiry()).Equal(cvc)
}

// expiresAt is the end of the day on which a card that is made at an instant expires.
func (p *Programme) expiresAt(made time.Time) time.Time {
	day := made.UTC().AddDate(p.ValidityYears, 0, 0)
	return time.Date(day.Year(), day.Month(), day.Day(), 23, 59, 59, 0, time.UTC)
}

// Replacement asks for a new number of a card.
type Replacement struct {
	Card   CardID
	Reason string // ReasonLost, ReasonStolen, ReasonDamaged or ReasonExpiring
	Also   storage.Also[Issued]
}

// maxReplacements bounds the numbers that a card has one after the other.
const maxReplacements = 100

// Replace gives a card a new number, CVV and expiry. It stays the card that it is: its id,
// money, holds, controls and what it spent within them. The old number is dead from then
// on. It returns not_found, invalid_request, invalid_state for a card that was not funded
// yet, has ended or was frozen by an operator, and quota_exceeded.
func (s *Service) Replace(ctx context.Context, h Holder, r Replacement) (Issued, error) {
	switch r.Reason {
	case ReasonLost, ReasonStolen, ReasonDamaged, ReasonExpiring:
	default:
		return Issued{}, fault.New(fault.InvalidRequest, "a card is replaced because it is lost, stolen, damaged or expiring").At("reason")
	}
	if err := s.noteOperator(ctx, h, audited{kindReplace, r.Card, map[string]string{"reason": r.Reason}}); err != nil {
		return Issued{}, err
	}
	for try := 1; ; try++ {
		issued, err := s.replace(ctx, h, r)
		if !storage.IsUnique(err) || try == collisionTries {
			return issued, err
		}
	}
}

func (s *Service) replace(ctx context.Context, h Holder, r Replacement) (Issued, error) {
	var issued Issued
	_, _, err := s.perform(ctx, h, r.Card, s.asKept(ctx, func(c *record, op *ledger.Operation) error {
		if err := s.replaceable(h, c, op.At); err != nil {
			return err
		}
		fresh, err := s.draw(c.BIN.ID, c.ID)
		if err != nil {
			return err
		}
		old := c.hash
		// What pays is no newer than it was: the number is.
		activated := notice.Activated(s.Vault, notice.Card{Book: c.Book, Realm: c.Realm, Number: fresh.number})
		op.Kind, op.Reference = kindReplace, r.Reason
		op.Guards = []ledger.Guard{{Counter: "card/" + string(c.ID) + "/replaced", Add: 1, Limit: maxReplacements}}
		op.States = []ledger.StateChange{{Account: c.Account().ID, To: stateOf(c.Status)}} // as it is: so the outcome knows the balance
		op.Effects = func(o ledger.Outcome) ([]storage.Effect, error) {
			card := c.Card
			card.Number, card.Last4, card.sealed, card.hash, card.Version = fresh.number, fresh.number.Last4(), fresh.sealed, fresh.hash, c.Version+1
			card.ExpiresAt = s.Programme.expiresAt(o.At)
			issued = Issued{Card: *card.after(&o), Number: fresh.number}
			effects := []storage.Effect{
				insertLookup.Row(fresh.hash, string(c.Book), string(c.ID), "", nil),
				changeNumber.With(string(c.Book), string(c.ID), c.Version, fresh.sealed, fresh.hash, card.Last4, storage.Micros(card.ExpiresAt)).Exactly(1),
				retireNumber.With(old, r.Reason, storage.Micros(o.At)).Exactly(1),
			}
			if c.Status != PendingTopUp {
				effects = append(effects, activated.Effect(o.At))
			}
			effects = append(effects, s.event(webhook.Event{Type: eventReplaced}, &card, &o, func(d *webhook.Data) { d.Text("reason", r.Reason) })...)
			return r.Also.With(effects, issued)
		}
		return nil
	}))
	if fault.CodeOf(err) == fault.GuardExceeded {
		err = fault.Wrap(err, fault.QuotaExceeded, "the card was replaced %d times", maxReplacements)
	}
	if err != nil {
		return Issued{}, err
	}
	return issued, nil
}

// stateOf is the state of the account of a card that is in use.
func stateOf(s Status) ledger.State {
	if s == Frozen {
		return ledger.Frozen
	}
	return ledger.Open
}

// replaceable returns why a card gets no new number at an instant.
func (s *Service) replaceable(h Holder, c *record, now time.Time) error {
	card := c.at(now)
	switch {
	case card.Status == Terminated:
		return ended(card)
	case card.Status == PendingTopUp:
		return notFunded()
	case card.Status == Frozen && !h.mayLift(card.Reason):
		return kept(card)
	case !c.BIN.Active:
		return fault.New(fault.InvalidState, "no new numbers are given out in the BIN %s", c.BIN.ID)
	}
	return nil
}
