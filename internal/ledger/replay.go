package ledger

import (
	"crypto/sha256"
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
}

type replayedAccount struct {
	stored  *Account // nil: there is none
	now     Account
	entries digest
	opened  bool // a transaction knows of it
	seen    bool // its entries were compared
}

func newReplay() *replayed {
	return &replayed{accounts: map[AccountID]*replayedAccount{}, holds: map[HoldID]*replayedHold{}}
}

// expect notes a stored account, whose side and currency the replay takes over.
func (r *replayed) expect(a *Account) {
	r.accounts[a.ID] = &replayedAccount{stored: a, now: Account{ID: a.ID, Currency: a.Currency, Side: a.Side, State: Open}}
}

func (r *replayed) account(id AccountID, currency money.Currency) *replayedAccount {
	a := r.accounts[id]
	if a == nil {
		a = &replayedAccount{now: Account{ID: id, Currency: currency, Side: Credit, State: Open}}
		r.accounts[id] = a
	}
	return a
}

// add replays a transaction and returns what cannot be so.
func (r *replayed) add(o Outcome) (wrong []string) {
	sums := map[money.Currency]int64{}
	for _, m := range o.Moves {
		for _, side := range []Side{Debit, Credit} {
			id, sign := m.Debit, int64(1)
			if side == Credit {
				id, sign = m.Credit, -1
			}
			a := r.account(id, m.Posted.Currency)
			if a.now.Currency != m.Posted.Currency || !a.now.apply(side, m.Posted.Minor, m.Held) {
				wrong = append(wrong, fmt.Sprintf("account %s cannot have moved so", id))
			}
			sums[m.Posted.Currency] += sign * m.Posted.Minor
			a.entries = a.entries.add(&storedEntry{transaction: o.Seq, at: storage.Micros(o.At),
				entry: entry{seq: a.now.Entries, side: side, posted: m.Posted.Minor, held: m.Held, balance: a.now.posted(), available: a.now.available()}})
		}
		if m.Hold != "" && !r.addHold(m, o.At) {
			wrong = append(wrong, fmt.Sprintf("hold %s cannot have changed so", m.Hold))
		}
	}
	for currency, sum := range sums {
		if sum != 0 {
			wrong = append(wrong, fmt.Sprintf("it sums to %d %s", sum, currency))
		}
	}
	for _, b := range o.After {
		a := r.account(b.Account, b.Posted.Currency)
		a.opened = true
		if a.now.posted() != b.Posted.Minor || a.now.available() != b.Available.Minor {
			wrong = append(wrong, fmt.Sprintf("it left account %s otherwise than it says", b.Account))
		}
	}
	for _, s := range o.States {
		r.account(s.Account, money.NoCurrency).now.State = s.To
	}
	return wrong
}

// matches reports whether the stored entries of an account, digested, are those that were replayed.
func (r *replayed) matches(id AccountID, stored digest) bool {
	a := r.accounts[id]
	if a == nil {
		return false
	}
	a.seen = true
	return a.entries == stored
}

// digest stands for a sequence of entries.
type digest [32]byte

func (d digest) add(e *storedEntry) digest {
	buf := make([]byte, 0, 128)
	buf = append(buf, d[:]...)
	for _, n := range []int64{e.seq, e.transaction, e.posted, e.held, e.balance, e.available, e.at} {
		buf = binary.BigEndian.AppendUint64(buf, uint64(n))
	}
	return sha256.Sum256(append(buf, e.side...))
}

// replayedHold is a hold as its movements make it.
type replayedHold struct {
	debit, credit                       AccountID
	currency                            money.Currency
	placed, captured, released, placeAt int64
	endAt                               int64 // 0: pending
	ends                                int
}

func (r *replayed) addHold(m Move, at time.Time) bool {
	h := r.holds[m.Hold]
	if h == nil {
		h = &replayedHold{debit: m.Debit, credit: m.Credit, currency: m.Posted.Currency, placeAt: storage.Micros(at)}
		r.holds[m.Hold] = h
	}
	if h.ends > 0 || h.debit != m.Debit || h.credit != m.Credit || h.currency != m.Posted.Currency {
		return false
	}
	if m.Held > 0 {
		h.placed += m.Held
		return true
	}
	h.captured += m.Posted.Minor
	h.released += -m.Held - m.Posted.Minor
	if h.captured+h.released == h.placed {
		h.ends++
		h.endAt = storage.Micros(at)
	}
	return h.captured+h.released <= h.placed
}

// is reports whether a stored hold is this one. Released and expired look alike in the movements.
func (h *replayedHold) is(stored *Hold, currency string) bool {
	endAt := int64(0)
	if !stored.EndedAt.IsZero() {
		endAt = storage.Micros(stored.EndedAt)
	}
	state := stored.State
	switch {
	case h.ends == 0:
		if state != HoldPending {
			return false
		}
	case h.captured > 0:
		if state != HoldCaptured {
			return false
		}
	case state != HoldReleased && state != HoldExpired:
		return false
	}
	return h.debit == stored.Debit && h.credit == stored.Credit && h.currency.String() == currency && h.placed == stored.Amount.Minor &&
		h.captured == stored.Captured.Minor && h.released == stored.Released.Minor && h.placeAt == storage.Micros(stored.PlacedAt) && h.endAt == endAt
}
