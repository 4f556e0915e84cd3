package issuing

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/wallet"
	"github.com/scripcards/scrip/internal/webhook"
)

// Ending asks to terminate a card.
type Ending struct {
	Card CardID
	// Reason and Note are as in Step.
	Reason string
	Note   string
	Also   storage.Also[Ended]
}

// Ended is a card that was terminated.
type Ended struct {
	Card     Card
	Refunded money.Amount // what went back to the wallet at once
	Wallet   money.Amount // what the wallet has available afterwards
	At       time.Time
}

// Terminate ends a card for good and returns what can be spent with it to the wallet at
// once. What authorizations hold stays until they are captured or released: a merchant
// who has an approval is paid. What is left then goes to the wallet by itself. It returns
// not_found, or invalid_state for a card that has ended, and to a customer whose card an
// operator froze.
func (s *Service) Terminate(ctx context.Context, h Holder, e Ending) (Ended, error) {
	st := Step{Card: e.Card, Reason: e.Reason, Note: e.Note}
	if err := h.reasonFor(&st); err != nil {
		return Ended{}, err
	}
	if err := s.noteStep(ctx, h, kindTerminate, st); err != nil {
		return Ended{}, err
	}
	e.Reason = st.Reason
	return s.end(ctx, h, e, s.asKept(ctx, func(c *record, op *ledger.Operation) error {
		card := c.at(op.At)
		switch {
		case card.Status == Terminated:
			return ended(card)
		case card.Status == Frozen && !h.mayLift(card.Reason):
			return kept(card)
		}
		op.Kind = kindTerminate
		return nil
	}))
}

// end terminates a card that may be: with its account, unless something is held on it.
func (s *Service) end(ctx context.Context, h Holder, e Ending, may plan) (Ended, error) {
	done, err := s.tryEnd(ctx, h, end{e, may, closing})
	if fault.CodeOf(err) == fault.AccountNotEmpty {
		done, err = s.tryEnd(ctx, h, end{e, may, holding})
	}
	return done, err
}

// end is one try to terminate a card.
type end struct {
	Ending
	may    plan
	states []ledger.State // of its account, one after the other
}

// How an account ends: at once, or once its holds do. The first state lets a frozen one
// pay out.
var (
	closing = []ledger.State{ledger.Closed}
	holding = []ledger.State{ledger.Open, ledger.Frozen}
)

func (s *Service) tryEnd(ctx context.Context, h Holder, e end) (Ended, error) {
	var done Ended
	_, _, err := s.perform(ctx, h, e.Card, func(c *record, op *ledger.Operation) error {
		if err := e.may(c, op); err != nil {
			return err
		}
		to := wallet.Account(c.currency)
		op.Reference = e.Reason
		op.Open = []ledger.NewAccount{to}
		op.Postings = []ledger.Posting{{Debit: c.Account().ID, Credit: to.ID, All: true}}
		op.Guards = []ledger.Guard{{Counter: counterCards, Add: -1}}
		if c.Holder != "" {
			op.Guards = append(op.Guards, ledger.Guard{Counter: counterOf(c.Holder), Add: -1})
		}
		for _, state := range e.states {
			op.States = append(op.States, ledger.StateChange{Account: c.Account().ID, To: state})
		}
		op.Effects = func(o ledger.Outcome) ([]storage.Effect, error) {
			var err error
			if done, err = c.ended(&o, e.Reason); err != nil {
				return nil, err
			}
			var closed any
			if len(e.states) == 1 {
				closed = storage.Micros(o.At)
			}
			mark := markEnded.With(string(c.Book), string(c.ID), c.Version, e.Reason, storage.Micros(o.At), closed).Exactly(1)
			effects := append(s.event(webhook.Event{Type: eventTerminated}, &done.Card, &o, func(d *webhook.Data) {
				d.Text("reason", e.Reason).Text("refunded_amount", done.Refunded.String()).Text("wallet_balance", done.Wallet.String())
			}), mark)
			return e.Also.With(effects, done)
		}
		return nil
	})
	if err != nil {
		return Ended{}, err
	}
	return done, nil
}

// ended describes the card as an outcome that ended it left it.
func (c *record) ended(o *ledger.Outcome, reason string) (Ended, error) {
	card := c.Card
	if err := card.Status.become(Terminated); err != nil {
		return Ended{}, err
	}
	card.Reason, card.EndedAt, card.FrozenAt, card.Version = reason, o.At, time.Time{}, c.Version+1
	card.after(o)
	refunded := money.New(0, c.currency)
	if len(o.Moves) > 0 {
		refunded = o.Moves[0].Posted
	}
	purse, _ := o.Balance(wallet.Account(c.currency).ID)
	return Ended{Card: card, Refunded: refunded, Wallet: purse.Available, At: o.At}, nil
}

// Expire ends the cards that expired or were used up, by the clock of each realm, returns
// what is on them to their wallets, and closes the accounts of terminated cards whose
// holds have ended. It returns how many cards it ended or closed; one that cannot be ended
// does not keep the others from it.
func (s *Service) Expire(ctx context.Context) (int, error) { return s.expiry.Run(ctx) }

// due lists cards that are due, in that order.
func (s *Service) due(ctx context.Context, r realm.Realm, after *record, most int) ([]*record, error) {
	if after == nil {
		after = &record{}
	}
	due, err := storage.All(ctx, s.DB, scanCard, dueCards, storage.Micros(s.Clocks.Now(r)), string(r),
		storage.Micros(after.dueAt), string(after.Book), string(after.ID), most)
	if err != nil {
		return nil, fmt.Errorf("find cards that are due: %w", err)
	}
	return due, nil
}

// endDue ends a card that is due, or closes the account of one that has ended.
func (s *Service) endDue(ctx context.Context, r realm.Realm, c *record) (bool, error) {
	h := Holder{Book: c.Book, Realm: r, Actor: "job/card.expire", Operator: true}
	if c.EndedAt.IsZero() {
		return s.expire(ctx, h, c)
	}
	return s.clear(ctx, h, c)
}

// expire ends one card that is due and reports whether this call did.
func (s *Service) expire(ctx context.Context, h Holder, c *record) (bool, error) {
	_, err := s.end(ctx, h, Ending{Card: c.ID, Reason: c.dueReason()}, func(now *record, op *ledger.Operation) error {
		if now.Status == Terminated || op.At.Before(now.dueAt) { // it was ended, or got a new number, since
			return errUnchanged
		}
		op.Kind = kindExpire
		return nil
	})
	if errors.Is(err, errUnchanged) {
		return false, nil
	}
	return err == nil, err
}

// clear moves what came back to a terminated card to the wallet and closes its account
// when nothing is held there any more. It reports whether it closed it.
func (s *Service) clear(ctx context.Context, h Holder, c *record) (bool, error) {
	account, err := s.Books.FindAccount(ctx, c.Book, accountOf(c.ID))
	if err != nil {
		return false, err
	}
	waits := !account.Held().IsZero()
	if waits && account.Available().IsZero() {
		return false, nil
	}
	states := closing
	if waits {
		states = holding
	}
	to := wallet.Account(c.currency)
	op := ledger.Operation{Book: h.Book, Actor: h.Actor, At: s.Clocks.Now(h.Realm), Reference: c.Reason, Open: []ledger.NewAccount{to},
		Postings: []ledger.Posting{{Debit: account.ID, Credit: to.ID, All: true}}}
	op.Kind = kindClear
	for _, state := range states {
		op.States = append(op.States, ledger.StateChange{Account: account.ID, To: state})
	}
	op.Effects = func(o ledger.Outcome) ([]storage.Effect, error) {
		if waits {
			return nil, nil
		}
		return []storage.Effect{markClosed.With(string(c.Book), string(c.ID), storage.Micros(o.At)).Exactly(1)}, nil
	}
	_, err = s.Books.Submit(ctx, op)
	switch fault.CodeOf(err) {
	case "":
		s.forget(c.Book, c.ID)
		return !waits, nil
	case fault.AccountNotEmpty, fault.AccountClosed, fault.InvalidState: // a hold came back, or another process was faster
		return false, nil
	default:
		return false, fmt.Errorf("close account of card %s: %w", c.ID, err)
	}
}

func accountOf(id CardID) ledger.AccountID { return ledger.AccountID(accountPrefix + string(id)) }

// CardOf returns the card whose money an account holds, and whether it is a card's.
func CardOf(account ledger.AccountID) (CardID, bool) {
	card, ok := strings.CutPrefix(string(account), accountPrefix)
	return CardID(card), ok
}
