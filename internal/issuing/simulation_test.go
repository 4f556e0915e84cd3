package issuing_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/check"
)

// model is what a simple program says of the wallet and the cards, in cents.
type model struct {
	wallet, owed, debt int64
	cards              []*modelCard
}

type modelCard struct {
	id      issuing.CardID
	status  issuing.Status
	by      issuing.Holder // who froze it
	balance int64
	holds   map[ledger.HoldID]int64
	expires time.Time
}

func (c *modelCard) held() (sum int64) {
	for _, n := range c.holds {
		sum += n
	}
	return sum
}

// Long random histories of calls by the holder and an operator, with restarts, sweeps and a
// clock that jumps, leave the cards and the wallet as a simple model of them says.
func TestSimulation(t *testing.T) {
	seeds, steps := 3, 250
	if testing.Short() {
		seeds, steps = 1, 120
	}
	for _, engine := range testkit.Engines() {
		for seed := range seeds {
			t.Run(fmt.Sprint(engine, "/", seed), func(t *testing.T) {
				config := testkit.Database(t, engine)
				s := &simulation{process: setup(t, testkit.Open(t, config)), dice: rand.New(rand.NewPCG(uint64(seed), 18245))}
				for i := range steps {
					s.step(i)
					if s.dice.IntN(40) == 0 {
						s.process = &process{Service: join(t, s.DB, s.base).Service, t: t, base: s.base, wallets: s.wallets, loads: s.loads}
					}
					if t.Failed() {
						t.Fatalf("seed %d, step %d", seed, i)
					}
				}
				s.compare()
				s.verify()
			})
		}
	}
}

type simulation struct {
	*process
	model
	dice *rand.Rand
}

// some returns one of the model's cards, new ones more often.
func (s *simulation) some() *modelCard {
	n := len(s.cards)
	return s.cards[n-1-s.dice.IntN(min(n, 6))]
}

func (s *simulation) step(i int) {
	ctx, amount := context.Background(), int64(100+s.dice.IntN(4000))
	choice := s.dice.IntN(20)
	if len(s.cards) == 0 {
		choice = i % 2
	}
	switch choice {
	case 0, 1:
		if choice == 0 || s.wallet < 500 {
			s.load(ann, amount)
			s.wallet += amount
			return
		}
		c, err := s.Issue(ctx, ann, issuing.NewCard{BIN: visa, Amount: usd(amount)})
		if s.afford("issue", amount, err) {
			s.cards = append(s.cards, &modelCard{id: c.ID, status: issuing.Active, balance: amount, holds: map[ledger.HoldID]int64{}, expires: c.ExpiresAt})
		}
	case 2:
		p, err := s.Preview(ctx, ann, "", nil)
		check.OK(s.t, err)
		s.cards = append(s.cards, &modelCard{id: p.Card.ID, status: issuing.PendingTopUp, holds: map[ledger.HoldID]int64{}, expires: p.Card.ExpiresAt})
	case 3:
		s.sweep()
	case 4:
		s.forward(time.Duration(s.dice.IntN(90)) * day)
	case 5, 6, 7:
		s.tryFund(s.some(), amount)
	case 8, 9:
		s.tryWithdraw(s.some(), amount)
	case 10, 11, 12:
		s.pay(s.some(), amount)
	case 13, 14:
		s.settleOne(s.some())
	default:
		s.turn(s.some(), choice)
	}
	if i%10 == 0 {
		s.compare()
	}
}

// live is the model's card as it stands now.
func (s *simulation) live(c *modelCard) issuing.Status {
	if c.status != issuing.Terminated && !s.Clocks.Now(ann.Realm).Before(c.expires) {
		return issuing.Terminated
	}
	return c.status
}

// afford takes an amount and the debt off the model's wallet, if it has them.
func (s *simulation) afford(what string, amount int64, err error) bool {
	s.t.Helper()
	want := fault.Code("")
	if s.wallet < amount+s.debt {
		want = fault.InsufficientFunds
	}
	check.Code(s.t, what, err, want)
	if want != "" || err != nil {
		return false
	}
	s.wallet -= amount + s.debt
	s.debt = 0
	return true
}

func (s *simulation) tryFund(c *modelCard, amount int64) {
	_, err := s.fund(ann, c.id, amount)
	if s.live(c) == issuing.Terminated {
		check.Code(s.t, "fund an ended card", err, fault.InvalidState)
		return
	}
	if s.afford("fund", amount, err) {
		c.balance += amount
		if c.status == issuing.PendingTopUp {
			c.status = issuing.Active
		}
	}
}

func (s *simulation) tryWithdraw(c *modelCard, amount int64) {
	_, err := s.withdraw(ann, c.id, amount)
	switch {
	case s.live(c) != issuing.Active:
		check.Code(s.t, "withdraw from a card that is not active", err, fault.InvalidState)
	case amount > c.balance:
		check.Code(s.t, "withdraw too much", err, fault.InsufficientFunds)
	default:
		check.OK(s.t, err)
		c.balance -= amount
		s.wallet += amount
	}
}

// pay holds money on an active card, or forces more than it has.
func (s *simulation) pay(c *modelCard, amount int64) {
	if s.live(c) != issuing.Active {
		return
	}
	if amount > c.balance {
		if s.dice.IntN(4) == 0 {
			s.overdraw(ann, c.id, amount)
			s.owed += amount
			s.debt += amount
		}
		return
	}
	c.holds[s.hold(ann, c.id, amount)] = amount
	c.balance -= amount
}

// settleOne captures or releases a hold of a card, whatever became of the card.
func (s *simulation) settleOne(c *modelCard) {
	for hold, amount := range c.holds {
		taken := int64(0)
		if s.dice.IntN(2) == 0 {
			taken = 1 + s.dice.Int64N(amount)
			s.endHold(ann, hold, ledger.Capture, taken)
		} else {
			s.endHold(ann, hold, ledger.Release, 0)
		}
		s.owed += taken
		c.balance += amount - taken
		delete(c.holds, hold)
		return
	}
}

// turn freezes, unfreezes, replaces or ends a card, as its holder or as an operator.
func (s *simulation) turn(c *modelCard, choice int) {
	ctx, h := context.Background(), ann
	if s.dice.IntN(3) == 0 {
		h = house
	}
	status, kept := s.live(c), c.by.Operator && !h.Operator
	var err error
	want := fault.Code("")
	switch choice {
	case 15:
		_, err = s.Freeze(ctx, h, issuing.Step{Card: c.id})
		if status != issuing.Active && status != issuing.Frozen {
			want = fault.InvalidState
		} else if c.status = issuing.Frozen; !c.by.Operator {
			c.by = h
		}
	case 16, 17:
		_, err = s.Unfreeze(ctx, h, issuing.Step{Card: c.id})
		if status == issuing.PendingTopUp || status == issuing.Terminated || status == issuing.Frozen && kept {
			want = fault.InvalidState
		} else {
			c.status, c.by = issuing.Active, issuing.Holder{}
		}
	case 18:
		var i issuing.Issued
		i, err = s.Replace(ctx, h, issuing.Replacement{Card: c.id, Reason: issuing.ReasonLost})
		if status == issuing.PendingTopUp || status == issuing.Terminated || status == issuing.Frozen && kept {
			want = fault.InvalidState
		} else {
			c.expires = i.Card.ExpiresAt
		}
	default:
		_, err = s.Terminate(ctx, h, issuing.Ending{Card: c.id})
		if status == issuing.Terminated || status == issuing.Frozen && kept {
			want = fault.InvalidState
		} else {
			c.status = issuing.Terminated
			s.wallet += c.balance
			c.balance = 0
		}
	}
	check.Code(s.t, fmt.Sprint("call ", choice, " of a card that is ", status), err, want)
}

// sweep ends the cards that expired and empties those that ended.
func (s *simulation) sweep() {
	_, err := s.Expire(context.Background())
	check.OK(s.t, err)
	for _, c := range s.cards {
		if s.live(c) == issuing.Terminated {
			c.status = issuing.Terminated
			s.wallet += c.balance
			c.balance = 0
		}
	}
}

func (s *simulation) compare() {
	for _, m := range s.cards {
		c := s.get(ann, m.id)
		if c.Status != s.live(m) || c.Balance.Minor != m.balance || c.Held.Minor != m.held() {
			s.t.Errorf("card %s is %s with %s and %s held; the model says %s with %d and %d", m.id, c.Status, c.Balance, c.Held, s.live(m), m.balance, m.held())
		}
	}
	if got := s.purse(ann); got != s.wallet {
		s.t.Errorf("the wallet has %d, the model says %d", got, s.wallet)
	}
	if owed, debt := s.posted(ann, "card.settlement/USD"), s.posted(ann, "card.receivable/USD"); owed != s.owed || debt != s.debt {
		s.t.Errorf("owed %d and due %d; the model says %d and %d", owed, debt, s.owed, s.debt)
	}
	s.balanced()
}
