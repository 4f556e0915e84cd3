package ledger

import (
	"testing"
	"time"

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

// A movement of a hold that the ledger never makes is found when the books are re-done, even
// if everything else was made to fit.
func TestReplayFindsImpossibleHolds(t *testing.T) {
	at := func(minute int) time.Time { return time.Date(2026, 1, 1, 0, minute, 0, 0, time.UTC) }
	of := func(posted, held int64) Move {
		return Move{Debit: "wallet", Credit: "cash", Posted: money.New(posted, money.USD), Held: held, Hold: "h"}
	}
	with := func(m Move, change func(*Move)) Move {
		change(&m)
		return m
	}
	expired := func(m *Move) { m.Expired = true }
	placed := with(of(0, 10), func(m *Move) { m.Expires = at(10) })
	for _, c := range []struct {
		name   string
		before []Move // at once, all of them possible
		minute int
		move   Move
		want   bool
	}{
		{"placed", nil, 0, placed, true},
		{"placed with money", nil, 0, with(placed, func(m *Move) { m.Posted.Minor = 1 }), false},
		{"placed late", nil, 10, placed, false},
		{"nobody's", nil, 0, of(0, -1), false},
		{"captured in part", []Move{placed}, 9, of(4, -4), true},
		{"captured, and the rest given back", []Move{placed}, 9, of(4, -10), true},
		{"captured too late", []Move{placed}, 10, of(4, -4), false},
		{"captured beyond it", []Move{placed}, 9, of(11, -11), false},
		{"captured in parts, beyond it", []Move{placed, of(4, -4)}, 9, of(7, -7), false},
		{"released late", []Move{placed}, 10, of(0, -10), true},
		{"released beyond it", []Move{placed}, 9, of(0, -11), false},
		{"increased", []Move{placed}, 9, of(0, 5), true},
		{"increased too late", []Move{placed}, 10, of(0, 5), false},
		{"increased with money", []Move{placed}, 9, of(1, 5), false},
		{"increased as it expires", []Move{placed}, 9, with(of(0, 5), expired), false},
		{"expired", []Move{placed, of(4, -4)}, 10, with(of(0, -6), expired), true},
		{"expired too early", []Move{placed}, 9, with(of(0, -10), expired), false},
		{"expired in part", []Move{placed}, 10, with(of(0, -9), expired), false},
		{"expired with money", []Move{placed}, 10, with(of(10, -10), expired), false},
		{"expired that never does", []Move{of(0, 10)}, 10, with(of(0, -10), expired), false},
		{"another time", []Move{placed}, 9, with(of(0, 5), func(m *Move) { m.Expires = at(20) }), false},
		{"another account that pays", []Move{placed}, 9, with(of(4, -4), func(m *Move) { m.Debit = "till" }), false},
		{"another account that is paid", []Move{placed}, 9, with(of(4, -4), func(m *Move) { m.Credit = "till" }), false},
		{"another currency", []Move{placed}, 9, with(of(4, -4), func(m *Move) { m.Posted.Currency = money.EUR }), false},
		{"increased after its end", []Move{placed, of(10, -10)}, 9, of(0, 5), false},
		{"nothing after its end", []Move{placed, of(0, -10)}, 9, of(0, 0), false},
		{"no hold", nil, 0, with(of(4, 0), func(m *Move) { m.Hold = "" }), true},
		{"held by none", nil, 0, with(of(0, 4), func(m *Move) { m.Hold = "" }), false},
		{"a time of none", nil, 0, with(of(4, 0), func(m *Move) { m.Hold, m.Expires = "", at(10) }), false},
		{"expired none", nil, 0, with(of(4, 0), func(m *Move) { m.Hold, m.Expired = "", true }), false},
	} {
		r := newReplay()
		for _, m := range c.before {
			if !r.addHold(m, at(0)) {
				t.Fatalf("%s: %+v is impossible", c.name, m)
			}
		}
		if got := r.addHold(c.move, at(c.minute)); got != c.want {
			t.Errorf("%s: possible is %t", c.name, got)
		}
	}
}
