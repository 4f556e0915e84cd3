package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// HoldState is where a hold is in its life.
type HoldState string

// The states: pending ends once, in one of the other three. A hold that was
// captured in part and then ended is captured.
const (
	HoldPending  HoldState = "pending"
	HoldCaptured HoldState = "captured"
	HoldReleased HoldState = "released"
	HoldExpired  HoldState = "expired"
)

// Hold reserves money between two accounts until it is captured, released or expired.
type Hold struct {
	Book      BookID
	ID        HoldID
	Realm     realm.Realm // of the book, by whose clock it expires
	Debit     AccountID
	Credit    AccountID
	Amount    money.Amount // as placed and increased
	Captured  money.Amount
	Released  money.Amount
	State     HoldState
	PlacedAt  time.Time
	ExpiresAt time.Time // zero: never
	EndedAt   time.Time // zero while pending
}

// Remaining returns what is still reserved.
func (h *Hold) Remaining() money.Amount {
	return money.New(h.Amount.Minor-h.Captured.Minor-h.Released.Minor, h.Amount.Currency)
}

// change applies one step and returns the movement it makes.
func (h *Hold) change(c *HoldChange, at time.Time) (Move, error) {
	if h.State != HoldPending {
		return Move{}, fault.New(fault.HoldEnded, "hold %s is %s", h.ID, h.State)
	}
	overdue := !h.ExpiresAt.IsZero() && !at.Before(h.ExpiresAt)
	if overdue && (c.Action == Capture || c.Action == Increase || c.InTime) {
		return Move{}, fault.New(fault.HoldEnded, "hold %s expired at %s", h.ID, h.ExpiresAt.Format(time.RFC3339))
	}
	if c.Action == Expire && !overdue {
		return Move{}, fault.New(fault.InvalidState, "hold %s is not due to expire", h.ID)
	}
	if !c.Amount.IsZero() && c.Amount.Currency != h.Amount.Currency {
		return Move{}, fault.New(fault.CurrencyMismatch, "hold %s is in %s", h.ID, h.Amount.Currency)
	}
	move := Move{Debit: h.Debit, Credit: h.Credit, Posted: money.New(0, h.Amount.Currency), Hold: h.ID}
	if c.Action == Increase {
		h.Amount.Minor += c.Amount.Minor
		move.Held = c.Amount.Minor
		return move, h.inRange()
	}
	return h.end(c, move, at)
}

// end takes from what remains, by capture or release, and ends the hold when nothing is left.
func (h *Hold) end(c *HoldChange, move Move, at time.Time) (Move, error) {
	remaining, taken := h.Remaining().Minor, c.Amount.Minor
	if taken == 0 || c.Action == Expire {
		taken = remaining
	}
	if taken > remaining {
		return Move{}, fault.New(fault.HoldExceeded, "hold %s has %s %s left", h.ID, h.Remaining(), h.Amount.Currency).With("remaining", h.Remaining().String())
	}
	move.Held, move.Expired = -taken, c.Action == Expire
	if c.Action == Capture {
		h.Captured.Minor += taken
		move.Posted.Minor = taken
		if c.Final {
			h.Released.Minor += remaining - taken
			move.Held = -remaining
		}
	} else {
		h.Released.Minor += taken
	}
	if h.Remaining().IsZero() {
		h.EndedAt = at
		h.State = endState(h.Captured.Minor, c.Action == Expire)
	}
	return move, nil
}

func endState(captured int64, overdue bool) HoldState {
	switch {
	case captured > 0:
		return HoldCaptured
	case overdue:
		return HoldExpired
	}
	return HoldReleased
}

func (h *Hold) inRange() error {
	if h.Amount.Minor > maxSum { // the sum of two that are not
		return fault.New(fault.InvalidAmount, "hold %s: the amount is out of range", h.ID)
	}
	return nil
}

// Bounds of a sweep of holds that are due.
const (
	sweepPage   = 500
	sweepAtOnce = 64 // they share batches
)

// ExpireHolds ends the holds that are due, by the clock of each realm, and returns
// how many it ended. A hold that cannot be ended does not keep the others from it. A
// background job calls it; calling it twice at once is harmless.
func (l *Ledger) ExpireHolds(ctx context.Context) (int, error) { return l.expiry.Run(ctx) }

// ExpireHoldsOn ends the holds of an account that are due, sixty-four at the most, where nobody
// else does: for an operation that is refused for what they hold. One that cannot be ended is
// left to the sweep, which tells of it.
func (l *Ledger) ExpireHoldsOn(ctx context.Context, r realm.Realm, book BookID, account AccountID) error {
	due, err := storage.All(ctx, l.db, scanDue, dueHoldsOn, storage.Micros(l.clocks.Now(r)), string(r), string(book), string(account), sweepAtOnce)
	if err != nil {
		return fmt.Errorf("find expired holds on %s: %w", account, err)
	}
	for _, h := range due {
		_, failed := l.expire(ctx, r, h)
		if failed != nil && (ctx.Err() != nil || fault.CodeOf(failed) == fault.Unavailable) {
			return failed // nor are the others
		}
	}
	return nil
}

// Overdue returns how much of what an account has held is free, because the time of the holds
// is over at the given instant: no sweep came by yet.
func (l *Ledger) Overdue(ctx context.Context, r realm.Realm, account *Account, now time.Time) (money.Amount, error) {
	free := money.New(0, account.Currency)
	if !account.Held().IsPositive() {
		return free, nil
	}
	sum, _, err := storage.One(ctx, l.db, storage.Scalar[int64], sumOverdue, storage.Micros(now), string(r), string(account.Book), string(account.ID))
	if err != nil {
		return free, fmt.Errorf("find expired holds on %s: %w", account.ID, err)
	}
	free.Minor = min(sum, account.Held().Minor) // others may have ended between the two readings
	return free, nil
}

// dueHold names a hold that is due to expire.
type dueHold struct {
	book  BookID
	id    HoldID
	dueAt int64
}

// due lists holds that are due, in the order in which they expire.
func (l *Ledger) due(ctx context.Context, r realm.Realm, after dueHold, most int) ([]dueHold, error) {
	due, err := storage.All(ctx, l.db, scanDue, dueHolds, storage.Micros(l.clocks.Now(r)), string(r),
		after.dueAt, string(after.book), string(after.id), most)
	if err != nil {
		return nil, fmt.Errorf("find expired holds: %w", err)
	}
	return due, nil
}

// expire ends one hold and reports whether this call did.
func (l *Ledger) expire(ctx context.Context, r realm.Realm, h dueHold) (bool, error) {
	outcome, err := l.Submit(ctx, Operation{Book: h.book, Kind: "hold.expire", Key: "hold.expire/" + string(h.id),
		Reference: string(h.id), At: l.clocks.Now(r), Holds: []HoldChange{{Action: Expire, ID: h.id}}})
	switch fault.CodeOf(err) {
	case "":
		return !outcome.Replayed, nil
	case fault.HoldEnded: // captured or released since it was listed
		return false, nil
	default:
		return false, fmt.Errorf("expire hold %s: %w", h.id, err)
	}
}
