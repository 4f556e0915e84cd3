package issuing

import (
	"context"
	"fmt"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/fraud/notice"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/wallet"
	"github.com/scripcards/scrip/internal/webhook"
)

// Transfer asks to move money between the wallet and a card.
type Transfer struct {
	Card   CardID
	Amount money.Amount
	// Key makes the call repeatable; empty: it is not.
	Key string
	// Also is not asked when the call was made before.
	Also storage.Also[Moved]
}

// Moved is what a transfer did.
type Moved struct {
	Card          Card         // as the transfer left it
	Amount        money.Amount // what was moved
	Previous, New money.Amount // what could be spent with the card before and after
	Wallet        money.Amount // what the wallet has available afterwards
	// Repaid is what the wallet paid beside Amount, for payments beyond what was on a card.
	Repaid      money.Amount
	Transaction ledger.TransactionID
	At          time.Time
	Replayed    bool
}

// Fund has the wallet put an amount on a card, and before that repay what the customer
// owes. A card that waited for it becomes active; a frozen one takes it. It returns
// not_found, invalid_amount, currency_mismatch, invalid_state for a card that has ended,
// insufficient_funds with the details available, required and, unless nothing is, owed,
// or idempotency_conflict.
func (s *Service) Fund(ctx context.Context, h Holder, t Transfer) (Moved, error) {
	if err := checkKey(t.Key); err != nil {
		return Moved{}, err
	}
	for try := 1; ; try++ {
		owed, err := s.owed(ctx, h.Book, t.Amount.Currency)
		if err != nil {
			return Moved{}, err
		}
		moved, err := s.fund(ctx, h, t, owed)
		if try == maxTries || !s.owesOther(ctx, h.Book, owed, err) {
			return moved, err
		}
	}
}

func (s *Service) fund(ctx context.Context, h Holder, t Transfer, owed money.Amount) (Moved, error) {
	c, o, err := s.perform(ctx, h, t.Card, func(c *record, op *ledger.Operation) error {
		op.Kind, op.Key = kindFund, keyOf(kindFund, t.Key)
		if err := s.unlessRepeated(ctx, op, s.fundable(c, t, op.At)); err != nil {
			return err
		}
		op.Intent = fmt.Sprintf("%s %s %s", t.Card, t.Amount, t.Amount.Currency)
		s.pay(op, &c.Card, t.Amount, owed)
		told, err := s.funded(&c.Card)
		if err != nil {
			return err
		}
		op.Effects = func(o ledger.Outcome) ([]storage.Effect, error) {
			moved := c.moved(&o, t)
			settle := c.settle()
			if after := c.Status; after == PendingTopUp {
				if err := after.become(Active); err != nil {
					return nil, err
				}
				settle = markStatus.With(string(c.Book), string(c.ID), c.Version, string(after), "", nil).Exactly(1)
			}
			effects := append(s.event(webhook.Event{Type: eventFunded}, &moved.Card, &o, func(d *webhook.Data) {
				d.Text("amount", t.Amount.String()).Text("wallet_balance", moved.Wallet.String())
			}), settle, told.Effect(o.At))
			return t.Also.With(effects, moved)
		}
		return nil
	})
	if err != nil {
		return Moved{}, owing(poor(err, "wallet"), owed)
	}
	return c.moved(&o, t), nil
}

// funded is what the fraud engine hears of a transfer to a card: the first activates it.
func (s *Service) funded(c *Card) (notice.Notice, error) {
	number, err := s.unseal(c)
	if err != nil {
		return notice.Notice{}, err
	}
	named := *c
	named.Number = number
	if c.Status == PendingTopUp {
		return notice.Activated(s.Vault, named.noticed()), nil
	}
	return notice.Reloaded(s.Vault, named.noticed()), nil
}

// fundable returns why a transfer to a card is refused at an instant.
func (s *Service) fundable(c *record, t Transfer, now time.Time) error {
	if err := s.Programme.bounded(t.Amount, c.currency); err != nil {
		return err
	}
	if card := c.at(now); card.Status == Terminated {
		return ended(card)
	}
	return nil
}

// Withdraw moves an amount from a card back to the wallet. It returns not_found,
// invalid_amount, currency_mismatch, invalid_state for a card that was not funded yet, is
// frozen or has ended, insufficient_funds with the details available and required, or
// idempotency_conflict.
func (s *Service) Withdraw(ctx context.Context, h Holder, t Transfer) (Moved, error) {
	if err := checkKey(t.Key); err != nil {
		return Moved{}, err
	}
	c, o, err := s.perform(ctx, h, t.Card, func(c *record, op *ledger.Operation) error {
		op.Kind, op.Key = kindWithdraw, keyOf(kindWithdraw, t.Key)
		if err := s.unlessRepeated(ctx, op, withdrawable(c, t, op.At)); err != nil {
			return err
		}
		to := wallet.Account(t.Amount.Currency)
		op.Intent = fmt.Sprintf("%s %s %s", t.Card, t.Amount, t.Amount.Currency)
		op.Open = []ledger.NewAccount{to}
		op.Postings = []ledger.Posting{{Debit: c.Account().ID, Credit: to.ID, Amount: t.Amount}}
		op.Effects = func(o ledger.Outcome) ([]storage.Effect, error) {
			return t.Also.With([]storage.Effect{c.settle()}, c.moved(&o, t))
		}
		return nil
	})
	if err != nil {
		return Moved{}, poor(err, "card")
	}
	return c.moved(&o, t), nil
}

func withdrawable(c *record, t Transfer, now time.Time) error {
	switch {
	case t.Amount.Currency != c.currency:
		return fault.New(fault.CurrencyMismatch, "the card is in %s", c.currency).At("amount")
	case !t.Amount.IsPositive():
		return fault.New(fault.InvalidAmount, "the amount must be above zero").At("amount")
	}
	switch card := c.at(now); card.Status {
	case PendingTopUp:
		return notFunded()
	case Frozen:
		if !(&Holder{}).mayLift(card.Reason) {
			return kept(card)
		}
		return fault.New(fault.InvalidState, "the card is frozen: unfreeze or terminate it")
	case Terminated:
		return ended(card)
	case Active:
	}
	return nil
}

// moved describes what a transfer did, from its transaction alone: a repeated one is told
// what the first was.
func (c *record) moved(o *ledger.Outcome, t Transfer) Moved {
	card, account := c.Card, c.Account().ID
	if card.Status == PendingTopUp {
		card.Status, card.Version = Active, c.Version+1
	}
	card.after(o)
	purse, _ := o.Balance(wallet.Account(c.currency).ID)
	m := Moved{Card: card, Amount: t.Amount, New: card.Balance, Previous: card.Balance, Wallet: purse.Available, Repaid: money.New(0, c.currency),
		Transaction: o.Transaction, At: o.At, Replayed: o.Replayed}
	for _, move := range o.Moves {
		switch {
		case move.Credit == account:
			m.Previous.Minor -= move.Posted.Minor
		case move.Debit == account:
			m.Previous.Minor += move.Posted.Minor
		default:
			m.Repaid.Minor += move.Posted.Minor
		}
	}
	return m
}

func ended(c *Card) error {
	return fault.New(fault.InvalidState, "the card is terminated (%s)", c.Reason)
}

func notFunded() error {
	return fault.New(fault.InvalidState, "the card waits for its first funding")
}
