package ledger

import (
	"time"

	"github.com/scripcards/scrip/internal/core/money"
)

// Side is one side of a posting, and the side on which an account normally stands.
type Side string

// The sides. What is owed to others (a wallet, a gift card) is credit-normal;
// what is owned or spent (cash, custody) is debit-normal.
const (
	Debit  Side = "debit"
	Credit Side = "credit"
)

// State says what an account lets happen.
type State string

// The states. A frozen account may receive money and finish the holds it has; a
// closed one, which is empty, nothing.
const (
	Open   State = "open"
	Frozen State = "frozen"
	Closed State = "closed"
)

// NewAccount describes an account to be opened when it does not exist yet.
type NewAccount struct {
	ID       AccountID
	Currency money.Currency
	Side     Side
	// Unbounded lifts the floor, which is zero: for contra accounts such as cash or settlement.
	Unbounded bool
}

// Account is one account with its four sums, in minor units of its currency.
type Account struct {
	Book     BookID
	ID       AccountID
	Currency money.Currency
	Side     Side
	// Unbounded accounts have no floor. The others may not go below Floor.
	Unbounded bool
	Floor     int64
	State     State

	sums

	// Entries is how many entries the account has; the last one's sequence number.
	Entries  int64
	OpenedAt time.Time
}

// sums are what was posted to and what is held on each side of an account. An account
// keeps none: they are those of its last entry.
type sums struct {
	PostedDebits  int64
	PostedCredits int64
	HeldDebits    int64
	HeldCredits   int64
}

// Posted returns the balance on the account's normal side, holds left out.
func (a *Account) Posted() money.Amount { return money.New(a.posted(), a.Currency) }

// Held returns what pending holds will take from the account.
func (a *Account) Held() money.Amount { return money.New(a.held(), a.Currency) }

// Available returns what can be spent: posted less held.
func (a *Account) Available() money.Amount { return money.New(a.available(), a.Currency) }

func (a *Account) posted() int64    { return a.sums.posted(a.Side) }
func (a *Account) held() int64      { return a.sums.held(a.Side) }
func (a *Account) available() int64 { return a.sums.available(a.Side) }

func (s *sums) posted(normal Side) int64 {
	if normal == Debit {
		return s.PostedDebits - s.PostedCredits
	}
	return s.PostedCredits - s.PostedDebits
}

func (s *sums) held(normal Side) int64 {
	if normal == Debit {
		return s.HeldCredits
	}
	return s.HeldDebits
}

func (s *sums) available(normal Side) int64 { return s.posted(normal) - s.held(normal) }

// apply adds a movement's effect on one side and reports whether the sums stayed in range.
func (a *Account) apply(side Side, posted, held int64) bool {
	sum, reserved := &a.PostedDebits, &a.HeldDebits
	if side == Credit {
		sum, reserved = &a.PostedCredits, &a.HeldCredits
	}
	*sum += posted
	*reserved += held
	a.Entries++
	// Sums stay under half the range, so that no difference of two of them overflows.
	return *sum >= 0 && *sum <= maxSum && *reserved >= 0 && *reserved <= maxSum
}

// maxSum bounds each of an account's sums: 2^61 minor units.
const maxSum = int64(1) << 61
