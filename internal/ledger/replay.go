package ledger

import (
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// replayed is one book as its transactions make it, for comparison with what is stored.
type replayed struct {
	accounts map[AccountID]*replayedAccount
	holds    map[HoldID]*replayedHold
	counters map[string]int64
}

type replayedAccount struct {
	stored  *Account // nil: there is none
	now     Account
	entries digest
	opened  bool  // a transaction says so
	low     int64 // what it may have available at the least: its floor, or less after a forced posting
}

func newReplay() *replayed {
	return &replayed{accounts: map[AccountID]*replayedAccount{}, holds: map[HoldID]*replayedHold{}, counters: map[string]int64{}}
}

// expect notes a stored account.
func (r *replayed) expect(a *Account) { r.account(a.ID).stored = a }

func (r *replayed) account(id AccountID) *replayedAccount {
	a := r.accounts[id]
	if a == nil {
		a = &replayedAccount{now: Account{ID: id}}
		r.accounts[id] = a
	}
	return a
}

// open opens the accounts that a transaction opened, before anything moves.
func (r *replayed) open(o Outcome) (wrong []string) {
	for _, b := range o.After {
		if b.Opened == "" {
			continue
		}
		a := r.account(b.Account)
		if a.opened {
			wrong = append(wrong, fmt.Sprintf("account %s was open already", b.Account))
			continue
		}
		a.opened = true
		a.now = Account{ID: b.Account, Currency: b.Posted.Currency, Side: b.Opened, Unbounded: b.Unbounded, State: Open, OpenedAt: o.At}
	}
	return wrong
}

// add replays a transaction and returns what cannot be so.
func (r *replayed) add(o Outcome) (wrong []string) {
	wrong = r.open(o)
	forced := map[AccountID]bool{}
	for _, m := range o.Moves {
		forced[m.Debit] = forced[m.Debit] || m.Forced
		for _, side := range []Side{Debit, Credit} {
			id := m.Debit
			if side == Credit {
				id = m.Credit
			}
			a := r.account(id)
			if a.now.Currency != m.Posted.Currency || !a.now.apply(side, m.Posted.Minor, m.Held) {
				wrong = append(wrong, fmt.Sprintf("account %s cannot have moved so", id))
			}
			a.entries = a.entries.add(&storedEntry{transaction: o.Seq, at: storage.Micros(o.At),
				entry: entry{seq: a.now.Entries, side: side, posted: m.Posted.Minor, held: m.Held, after: a.now.sums}})
		}
		if !r.addHold(m, o.At) {
			wrong = append(wrong, fmt.Sprintf("hold %s cannot have changed so", m.Hold))
		}
	}
	for _, b := range o.After {
		a := r.account(b.Account)
		if a.now.posted() != b.Posted.Minor || a.now.available() != b.Available.Minor {
			wrong = append(wrong, fmt.Sprintf("it left account %s otherwise than it says", b.Account))
		}
		if !a.settle(forced[b.Account]) {
			wrong = append(wrong, fmt.Sprintf("it took what account %s did not have", b.Account))
		}
	}
	for _, m := range o.Moves {
		for _, id := range []AccountID{m.Debit, m.Credit} {
			if _, told := o.Balance(id); !told {
				wrong = append(wrong, fmt.Sprintf("it does not say what it left account %s", id))
			}
		}
	}
	for _, s := range o.States {
		r.account(s.Account).now.State = s.To
	}
	for _, c := range o.Counts {
		r.counters[c.Counter] += c.Add
	}
	return wrong
}

// settle takes account of what a transaction left and reports whether it could: an account
// below its floor only comes nearer to it, but by force.
func (a *replayedAccount) settle(forced bool) bool {
	left := a.now.available()
	possible := a.now.Unbounded || forced || left >= a.low
	a.low = min(a.now.Floor, left)
	return possible
}

// matches reports whether the stored entries of an account, digested, are those that were replayed.
func (r *replayed) matches(id AccountID, stored digest) bool {
	a := r.accounts[id]
	return a != nil && a.entries == stored
}

// digest stands for a sequence of entries.
type digest [32]byte

func (d digest) add(e *storedEntry) digest {
	buf := make([]byte, 0, 160)
	buf = append(buf, d[:]...)
	for _, n := range []int64{e.seq, e.transaction, e.posted, e.held, e.after.PostedDebits, e.after.PostedCredits, e.after.HeldDebits, e.after.HeldCredits, e.at} {
		buf = binary.BigEndian.AppendUint64(buf, uint64(n))
	}
	return sha256.Sum256(append(buf, e.side...))
}

// replayedHold is a hold as its movements make it.
type replayedHold struct {
	debit, credit                       AccountID
	currency                            money.Currency
	placed, captured, released, placeAt int64
	until                               sql.NullInt64
	endAt                               int64 // 0: pending
	state                               HoldState
}

// addHold replays what a movement did to its hold, if it has one, and reports whether it can be so.
func (r *replayed) addHold(m Move, at time.Time) bool {
	if m.Hold == "" {
		return m.Held == 0 && m.Expires.IsZero() && !m.Expired
	}
	h := r.holds[m.Hold]
	if h == nil {
		h = &replayedHold{debit: m.Debit, credit: m.Credit, currency: m.Posted.Currency, placeAt: storage.Micros(at),
			until: storage.NullMicros(m.Expires), state: HoldPending}
		r.holds[m.Hold] = h
	} else if !m.Expires.IsZero() {
		return false
	}
	if h.state != HoldPending || h.debit != m.Debit || h.credit != m.Credit || h.currency != m.Posted.Currency {
		return false
	}
	overdue := h.until.Valid && storage.Micros(at) >= h.until.Int64
	if m.Held > 0 {
		h.placed += m.Held
		return !overdue && !m.Expired && m.Posted.IsZero()
	}
	h.captured += m.Posted.Minor
	h.released += -m.Held - m.Posted.Minor
	if h.captured+h.released == h.placed {
		h.state, h.endAt = endState(h.captured, m.Expired), storage.Micros(at)
	}
	allowed := !m.Expired && (m.Posted.IsZero() || !overdue)
	if m.Expired {
		allowed = overdue && m.Posted.IsZero() && h.state != HoldPending
	}
	return allowed && h.captured+h.released <= h.placed
}

// is reports whether a stored hold is this one.
func (h *replayedHold) is(stored *Hold, currency string) bool {
	endAt := int64(0)
	if !stored.EndedAt.IsZero() {
		endAt = storage.Micros(stored.EndedAt)
	}
	return h.debit == stored.Debit && h.credit == stored.Credit && h.currency.String() == currency && h.placed == stored.Amount.Minor &&
		h.captured == stored.Captured.Minor && h.released == stored.Released.Minor && h.state == stored.State &&
		h.placeAt == storage.Micros(stored.PlacedAt) && h.until == storage.NullMicros(stored.ExpiresAt) && h.endAt == endAt
}
