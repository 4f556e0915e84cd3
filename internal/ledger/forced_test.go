package ledger

import (
	"testing"

	"github.com/scripcards/scrip/internal/core/money"
)

// A transaction that took what an account did not have is found when the books are
// re-done, even if it says so consistently; one that was forced is not a fault.
func TestReplayFindsOverdraft(t *testing.T) {
	for _, c := range []struct {
		name   string
		takes  []int64 // from an account with 10, one transaction each; below zero: gives
		forced int     // which of them is forced; -1: none
		wrong  int     // how many are impossible
	}{
		{"within", []int64{4, 6}, -1, 0},
		{"below", []int64{4, 7}, -1, 1},
		{"forced", []int64{4, 7}, 1, 0},
		{"made up in part", []int64{15, -3}, 0, 0},
		{"below again", []int64{15, -3, 1}, 0, 1},
		{"below after it was made up", []int64{15, -6, 2}, 0, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newReplay()
			posted, cash, wrong := int64(10), int64(10), r.add(move(0, Move{Debit: "cash", Credit: "wallet"}, 10, 10))
			for i, take := range c.takes {
				m := Move{Debit: "wallet", Credit: "cash", Forced: i == c.forced}
				if take < 0 {
					m.Debit, m.Credit = m.Credit, m.Debit
				}
				posted, cash = posted-take, cash-take
				wrong = append(wrong, r.add(move(max(take, -take), m, posted, cash))...)
			}
			if len(wrong) != c.wrong {
				t.Errorf("found %q, want %d", wrong, c.wrong)
			}
		})
	}
}

// move is a transaction of one movement that leaves the wallet and cash with so much. The
// first one, of nothing but what they have, opens them.
func move(minor int64, m Move, wallet, cash int64) Outcome {
	o := Outcome{After: []Balance{
		{Account: "wallet", Posted: money.New(wallet, money.USD), Available: money.New(wallet, money.USD)},
		{Account: "cash", Posted: money.New(cash, money.USD), Available: money.New(cash, money.USD)},
	}}
	if minor == 0 {
		minor, o.After[0].Opened, o.After[1].Opened, o.After[1].Unbounded = wallet, Credit, Debit, true
	}
	m.Posted = money.New(minor, money.USD)
	o.Moves = []Move{m}
	return o
}
