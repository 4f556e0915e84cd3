package ping

import (
	"context"
	"time"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/fraud"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// wrongPINs within lockWithin lock a card.
const (
	wrongPINs  = 5
	lockWithin = time.Hour
)

// lock is what is known of the wrong PINs of one number.
type lock struct {
	card  fraud.Hash
	times [wrongPINs]int64 // of the last ones, the newest first; 0: none
	until int64
	asked int64
}

func (l *lock) locked(at time.Time) bool { return storage.Micros(at) < l.until }

// wrong counts a wrong PIN. While the card is locked it counts none, so that the lock ends.
func (l *lock) wrong(at time.Time, lockFor time.Duration) {
	now := storage.Micros(at)
	l.asked = now
	if l.locked(at) {
		return
	}
	copy(l.times[1:], l.times[:wrongPINs-1])
	l.times[0] = now
	if oldest := l.times[wrongPINs-1]; oldest != 0 && now-oldest < lockWithin.Microseconds() {
		l.until = storage.Micros(at.Add(lockFor))
	}
}

func (l *lock) row() []any {
	return []any{l.card[:], l.times[0], l.times[1], l.times[2], l.times[3], l.times[4], l.until, l.asked}
}

// Unlocking ends the lock of a card before its time, for an owner who mistyped the PIN.
type Unlocking struct {
	Realm   realm.Realm
	Network string
	Number  pan.Secret
	Reason  string
	Actor   string
	Also    storage.Also[Unlocked]
}

// Unlocked is a card that was locked.
type Unlocked struct {
	Card    string // as events and checks name it
	Realm   realm.Realm
	Network string
	Until   time.Time // when the lock would have ended
}

// Unlock ends a card's lock and forgets the wrong PINs that led to it. It returns
// card_invalid for a number that cannot be the network's, and not_found for a card that is
// not locked, be there one or not.
func (s *Service) Unlock(ctx context.Context, u Unlocking) (Unlocked, error) {
	c, err := s.networks.find(u.Realm, u.Network)
	if err != nil {
		return Unlocked{}, err
	}
	number, err := c.rules.number(u.Number)
	if err != nil {
		return Unlocked{}, err
	}
	card := s.cardHash(u.Realm, u.Network, number.Reveal())
	ended := Unlocked{Card: cardID(card), Realm: u.Realm, Network: u.Network}
	err = s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		rows, err := storage.AllOf(ctx, tx, scanLock, lockCards, [][]any{{card[:]}})
		if err != nil {
			return err
		}
		if len(rows) == 0 || !rows[0].locked(s.Clocks.Now(u.Realm)) {
			return fault.New(fault.NotFound, "the card is not locked").At("number")
		}
		ended.Until = storage.Time(rows[0].until)
		fresh := lock{card: card}
		if err := tx.ExecRows(ctx, writeCard, [][]any{fresh.row()}); err != nil {
			return err
		}
		entry := audit.Record{Actor: u.Actor, Action: "card.unlock", Subject: ended.Card, At: s.now(),
			Detail: map[string]string{"network": u.Network, "realm": string(u.Realm), "reason": audit.Clean(u.Reason)}}
		if err := s.Audit.Append(ctx, tx, entry); err != nil {
			return err
		}
		return u.Also.Apply(ctx, tx, ended)
	})
	return ended, err
}
