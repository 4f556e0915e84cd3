package deposit

import (
	"context"
	"errors"
	"fmt"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/wallet/address"
)

// maxTries bounds how often a sighting is judged again because others changed the deposit.
const maxTries = 16

// Observe takes account of a sighting: it notes a payment to an address of a wallet's,
// credits it when it is confirmed often enough, and takes the credit back when the chain
// gave it up. It may be told the same any number of times. It returns the deposit as it
// stands, with an empty id for a payment that is nobody's or nothing; invalid_request for
// a sighting that cannot be; and idempotency_conflict for one that contradicts an earlier
// one of what is the same in every block.
func (s *Service) Observe(ctx context.Context, r realm.Realm, seen Sighting) (Deposit, error) {
	if err := seen.check(); err != nil {
		return Deposit{}, err
	}
	for try := 1; ; try++ {
		d, err := s.observe(ctx, r, seen)
		if !errors.Is(err, storage.ErrStale) || try == maxTries {
			if err != nil {
				err = fmt.Errorf("observe payment %s/%d: %w", seen.TxID, seen.Index, err)
			}
			return d, err
		}
	}
}

// observe makes one try. It returns storage.ErrStale, wrapped, when somebody else changed
// the deposit meanwhile.
func (s *Service) observe(ctx context.Context, r realm.Realm, seen Sighting) (Deposit, error) {
	d, found, err := storage.One(ctx, s.DB, scanDeposit, findPayment, string(r), string(seen.Chain), seen.TxID, seen.Index)
	switch {
	case err != nil:
		return Deposit{}, err
	case found && seen.Address != "" && (d.Address != seen.Address || d.Amount != seen.Amount):
		if !seen.isMade() {
			return Deposit{}, fault.New(fault.IdempotencyConflict, "it was of %s to %s before, and is of %s to %s", d.Amount, d.Address, seen.Amount, seen.Address)
		}
		// It is in another block: what it paid is gone, and what it pays is another deposit.
		d.Confirmations = max(d.Confirmations, 1)
		if _, err := s.advance(ctx, d, &Sighting{Payment: seen.Payment, Gone: true}); err != nil {
			return Deposit{}, err
		}
		return s.begin(ctx, r, seen, d.ID)
	case !found:
		return s.begin(ctx, r, seen, "")
	}
	return s.advance(ctx, d, &seen)
}

// begin makes a deposit of a payment that nobody saw before, or that takes another one's place.
func (s *Service) begin(ctx context.Context, r realm.Realm, seen Sighting, instead ID) (Deposit, error) {
	if seen.Gone || seen.Amount.IsZero() {
		return Deposit{}, nil
	}
	book, ours, err := s.AddressBook.Find(ctx, address.Place{Realm: r, Chain: seen.Chain}, seen.Address)
	if err != nil || !ours {
		return Deposit{}, err
	}
	d, err := s.note(ctx, address.Wallet{Book: book, Realm: r}, seen, instead)
	if err != nil || d.ID == "" {
		return Deposit{}, err
	}
	return s.advance(ctx, d, &seen)
}

// note writes down a payment, at the rate of the moment: one that nobody saw before, or that
// takes another one's name. It does nothing, and returns no id, where what was left at the
// address has it already.
func (s *Service) note(ctx context.Context, w address.Wallet, seen Sighting, instead ID) (Deposit, error) {
	now := s.Clocks.Now(w.Realm)
	band := s.Policy.Rules[seen.Amount.Asset].band(seen.Amount)
	d := Deposit{Book: w.Book, ID: ID(id.New("dep")), Realm: w.Realm, Payment: seen.Payment, Address: seen.Address, Amount: seen.Amount, Status: Pending,
		Required: band.Confirmations, Final: band.Final, SeenAt: now, ChangedAt: now, watched: true, version: 1}
	s.appraise(ctx, &d)
	d.Confirmations = min(seen.Confirmations, d.Required-1) // the rest is advance's to find
	if seen.Rest {
		d.rest = seen.Height
	}
	old := false
	err := s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) (err error) {
		if old, err = isOld(ctx, tx, &d, &seen); err != nil || old {
			return err
		}
		key := []any{string(d.Realm), string(d.Chain), d.TxID, d.Index, string(d.Book), string(d.ID)}
		named := insertPayment.With(key...)
		if instead != "" {
			named = movePayment.With(append(key, string(instead))...)
		}
		return tx.Apply(ctx, append([]storage.Effect{named.Exactly(1), insertDeposit.Row(d.row()...)}, s.event(eventPending, &d)...))
	})
	switch {
	case err != nil:
		return Deposit{}, fmt.Errorf("note deposit: %w", err)
	case old:
		return Deposit{}, nil
	}
	return d, nil
}

// appraise sets what a pending deposit is worth at the moment, or that it is too little.
func (s *Service) appraise(ctx context.Context, d *Deposit) {
	switch {
	case d.Amount.Less(s.Policy.Rules[d.Amount.Asset].Minimum):
		d.Reason = BelowMinimum
		d.price(zero(), zero())
	case d.Rate.IsZero():
		d.price(zero(), zero())
		s.estimate(ctx, d)
	default:
		s.value(d)
	}
}

// zero is no money.
func zero() money.Amount { return money.New(0, currency) }

// price sets what a deposit is worth and what is kept of it.
func (d *Deposit) price(value, fee money.Amount) {
	d.Value, d.Fee, d.Credited = value, fee, money.New(value.Minor-fee.Minor, currency)
}

// action is what a sighting asks for.
type action int

// The actions.
const (
	nothing action = iota
	update         // the row alone
	revive         // an expired one is pending again
	expire         // a pending one is over
	credit
	reverse
)

// judge says what a sighting asks for, and changes d as far as that is sure by then.
func (d *Deposit) judge(seen *Sighting, settled int64) (action, error) {
	before := *d
	if !seen.Gone {
		d.Confirmations = seen.Confirmations
	}
	switch d.Status {
	case Expired:
		switch {
		case seen.Gone:
			return nothing, nil
		case d.Reason == BelowMinimum:
		case d.rest > 0: // meanwhile others may have taken its place
			return nothing, nil
		default:
			d.Reason, d.ReplacedBy, d.watched = None, "", true
			return revive, d.Status.become(Pending)
		}
	case Confirmed:
		switch {
		case seen.Gone:
			return reverse, d.leave(seen, before.Confirmations)
		case seen.Confirmations == 0:
			d.Reason, d.watched = Reorganised, true
			return reverse, d.Status.become(Pending)
		}
		d.watched = seen.Confirmations < settled
	case Pending:
		switch {
		case seen.Gone:
			return expire, d.leave(seen, before.Confirmations)
		case seen.Confirmations < d.Required || d.Final && !seen.Final:
		case d.Reason == BelowMinimum:
			d.watched = false
			return expire, d.Status.become(Expired)
		default:
			return credit, nil
		}
	}
	if d.Confirmations == before.Confirmations && d.watched == before.watched {
		return nothing, nil
	}
	return update, nil
}

// leave makes a deposit an expired one that is gone from its chain.
func (d *Deposit) leave(seen *Sighting, confirmations int64) error {
	d.Confirmations, d.watched, d.ReplacedBy = 0, false, seen.ReplacedBy
	switch {
	case seen.ReplacedBy != "":
		d.Reason = Replaced
	case confirmations > 0:
		d.Reason = Reorganised
	default:
		d.Reason = Dropped
	}
	return d.Status.become(Expired)
}

// advance does what a sighting asks for. What a deposit becomes may ask for more: one that
// is back may be confirmed already.
func (s *Service) advance(ctx context.Context, d Deposit, seen *Sighting) (Deposit, error) {
	before := d
	todo, err := d.judge(seen, s.Policy.Rules[d.Amount.Asset].Settled)
	if err != nil || todo == nothing {
		return before, err
	}
	d.ChangedAt = s.Clocks.Now(d.Realm)
	switch todo {
	case nothing:
	case credit:
		return s.credit(ctx, before, d)
	case reverse:
		return s.reverse(ctx, before, d)
	case update:
		return s.save(ctx, d, nil)
	case expire:
		d.price(zero(), zero())
		return s.save(ctx, d, s.event(eventExpired, &d))
	case revive:
		d.Confirmations = min(d.Confirmations, d.Required-1)
		s.appraise(ctx, &d)
		d, err := s.save(ctx, d, s.event(eventPending, &d))
		if err != nil {
			return Deposit{}, err
		}
		return s.advance(ctx, d, seen)
	}
	return Deposit{}, fmt.Errorf("deposit %s: unknown action %d", d.ID, todo)
}

// save writes a changed row with its events.
func (s *Service) save(ctx context.Context, d Deposit, events []storage.Effect) (Deposit, error) {
	err := s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		return tx.Apply(ctx, append([]storage.Effect{d.save()}, events...))
	})
	if err != nil {
		return Deposit{}, err
	}
	d.version++
	return d, nil
}
