package issuing

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/plain"
	"github.com/scripcards/scrip/internal/issuing/cardholder"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/webhook"
)

// Step asks for a change of a card's status.
type Step struct {
	Card CardID
	// Reason is an operator's: ReasonOperator unless set, ReasonFraud or ReasonCardholder. A
	// customer's is ReasonCustomer.
	Reason string
	// Note is what an operator writes into the audit log; at most 200 bytes.
	Note string
	Also storage.Also[Card]
}

// maxNote bounds what an operator writes, in bytes.
const maxNote = 200

// reasonFor completes and checks the reason for a step.
func (h *Holder) reasonFor(st *Step) error {
	switch {
	case !h.Operator && st.Reason == "":
		st.Reason = ReasonCustomer
	case h.Operator && st.Reason == "":
		st.Reason = ReasonOperator
	}
	allowed := []string{ReasonCustomer}
	if h.Operator {
		allowed = []string{ReasonOperator, ReasonFraud, ReasonCardholder}
	}
	if !slices.Contains(allowed, st.Reason) {
		return fault.New(fault.InvalidRequest, "the reason %q is none of %s", st.Reason, strings.Join(allowed, ", ")).At("reason")
	}
	if !plain.LineBytes(st.Note, 0, maxNote) {
		return fault.New(fault.InvalidRequest, "the note must have at most %d bytes of plain text", maxNote).At("note")
	}
	return nil
}

// mayLift reports whether the holder may let a card go that was frozen for a reason, or
// end it: a customer what the customer did, an operator everything.
func (h *Holder) mayLift(reason string) bool {
	return h.Operator || reason == ReasonCustomer || reason == ReasonAutoFreeze
}

// shown is a card as it stands, with its money. One that is active while its account is frozen
// was frozen by an operator in the books: so it is shown, and so it is kept from its holder.
func (s *Service) shown(ctx context.Context, c *record, account *ledger.Account, now time.Time) (*Card, error) {
	card := c.at(now).withMoney(account.Posted(), account.Available())
	if card.Status != Active || account.State != ledger.Frozen {
		return card, nil
	}
	again, err := s.stored(ctx, c.Book, c.ID) // what freezes a card freezes its account with it
	if err == nil && again.Version == c.Version {
		card.Status, card.Reason = Frozen, ReasonOperator
	}
	return card, err
}

// asKept has a plan see a card that an operator froze in the books as one that is frozen.
func (s *Service) asKept(ctx context.Context, p plan) plan {
	return func(c *record, op *ledger.Operation) error {
		account, err := s.Books.FindAccount(ctx, c.Book, accountOf(c.ID))
		if err != nil {
			return err
		}
		now, err := s.shown(ctx, c, account, op.At)
		if err != nil {
			return err
		}
		if c.Status == Active && now.Status == Frozen {
			c.Status, c.Reason = now.Status, now.Reason
		}
		return p(c, op)
	}
}

func kept(c *Card) error {
	return fault.New(fault.InvalidState, "the card was frozen by the operator (%s)", c.Reason)
}

// Freeze keeps a card from being used until it is unfrozen; holds that it has can still be
// captured and released, and it takes money. A card that is frozen stays as it is, but for
// an operator's reason, which outweighs a customer's; one that is frozen in the books alone
// is from then on. It returns not_found or invalid_state.
func (s *Service) Freeze(ctx context.Context, h Holder, st Step) (Card, error) {
	if err := h.reasonFor(&st); err != nil {
		return Card{}, err
	}
	return s.toggle(ctx, h, st, s.asKept(ctx, func(c *record, op *ledger.Operation) error {
		card := c.at(op.At)
		fresh := card.Status != Frozen || card.FrozenAt.IsZero() // frozen in the books alone
		reason := st.Reason
		if card.Status == Frozen && !h.mayLift(card.Reason) {
			reason = card.Reason
		}
		switch {
		case card.Status == Terminated:
			return ended(card)
		case card.Status == PendingTopUp:
			return notFunded()
		case !fresh && (reason == card.Reason || (&Holder{}).mayLift(reason)):
			return errUnchanged
		}
		op.Kind, op.Reference = kindFreeze, reason
		op.States = []ledger.StateChange{{Account: c.Account().ID, To: ledger.Frozen}}
		op.Effects = func(o ledger.Outcome) ([]storage.Effect, error) {
			after := *card
			if fresh {
				after.FrozenAt = o.At
			}
			if card.Status != Frozen { // else another reason
				if err := after.Status.become(Frozen); err != nil {
					return nil, err
				}
			}
			after.Reason, after.Version = reason, c.Version+1
			effects := s.froze(&after, &o)
			if !fresh { // a graver reason is no second event
				effects = effects[:1]
			}
			return st.Also.With(effects, after)
		}
		return nil
	}))
}

// froze returns the effects of a card having been frozen: its row's first, then the event's.
func (s *Service) froze(after *Card, o *ledger.Outcome) []storage.Effect {
	after.after(o)
	mark := markStatus.With(string(after.Book), string(after.ID), after.Version-1, string(after.Status), after.Reason, storage.Micros(after.FrozenAt)).Exactly(1)
	return append([]storage.Effect{mark},
		s.event(webhook.Event{Type: eventFrozen}, after, o, func(d *webhook.Data) { d.Text("reason", after.Reason) })...)
}

// AutoFreeze returns the change of state and the effects that freeze an active card within
// an operation that takes money from it: for whoever sees that its balance will be below
// the threshold, and refuses the operation in its Effects when the balance comes out
// otherwise. The effect of Used belongs before these. They are refused with
// storage.ErrStale when the card changed since it was read.
func (s *Service) AutoFreeze(card *Card) (ledger.StateChange, func(ledger.Outcome) ([]storage.Effect, error)) {
	change := ledger.StateChange{Account: card.Account().ID, To: ledger.Frozen}
	return change, func(o ledger.Outcome) ([]storage.Effect, error) {
		after := *card
		if err := after.Status.become(Frozen); err != nil {
			return nil, err
		}
		after.Reason, after.FrozenAt, after.Version = ReasonAutoFreeze, o.At, card.Version+1
		return s.froze(&after, &o), nil
	}
}

// Unfreeze lets a frozen card be used again. A card that is active stays as it is. It
// returns not_found or invalid_state, also for a customer whose card an operator froze.
func (s *Service) Unfreeze(ctx context.Context, h Holder, st Step) (Card, error) {
	if err := h.reasonFor(&st); err != nil {
		return Card{}, err
	}
	return s.toggle(ctx, h, st, s.asKept(ctx, func(c *record, op *ledger.Operation) error {
		card := c.at(op.At)
		switch {
		case card.Status == Terminated:
			return ended(card)
		case card.Status == PendingTopUp:
			return notFunded()
		case card.Status == Active:
			return errUnchanged
		case !h.mayLift(card.Reason):
			return kept(card)
		}
		if err := s.mayBeUsed(ctx, card); err != nil {
			return err
		}
		op.Kind, op.Reference = kindUnfreeze, st.Reason
		op.States = []ledger.StateChange{{Account: c.Account().ID, To: ledger.Open}}
		op.Effects = func(o ledger.Outcome) ([]storage.Effect, error) {
			after := *card
			if err := after.Status.become(Active); err != nil {
				return nil, err
			}
			after.Reason, after.FrozenAt, after.Version = "", time.Time{}, c.Version+1
			after.after(&o)
			effects := append(s.event(webhook.Event{Type: eventUnfrozen}, &after, &o, nil),
				markStatus.With(string(c.Book), string(c.ID), c.Version, string(after.Status), "", nil).Exactly(1))
			return st.Also.With(effects, after)
		}
		return nil
	}))
}

// toggle performs a plan that may find nothing to do; what belongs with it is written all
// the same. What an operator does is written down before it is tried.
func (s *Service) toggle(ctx context.Context, h Holder, st Step, p plan) (Card, error) {
	noted := false
	c, o, err := s.perform(ctx, h, st.Card, func(c *record, op *ledger.Operation) error {
		if err := p(c, op); err != nil || noted {
			return err
		}
		noted = true
		return s.noteStep(ctx, h, op.Kind, st)
	})
	if errors.Is(err, errUnchanged) {
		now, err := s.Get(ctx, h, st.Card)
		if err != nil || st.Also == nil {
			return now, err
		}
		return now, s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error { return st.Also.Apply(ctx, tx, now) })
	}
	if err != nil {
		return Card{}, err
	}
	done, err := s.stored(ctx, h.Book, c.ID)
	if err != nil {
		return Card{}, err
	}
	return *done.at(o.At).after(&o), nil
}

// JudgeCardholder puts a cardholder into a state, as cardholder.Service.Judge does, and
// freezes the cards of one who may not have any. Payments with them are declined from that
// moment on; called again, it freezes what an interruption left. What belongs with it is
// written last, so that an answer which is kept keeps nobody from that. It returns
// currency_mismatch for a tier with limits in another currency than the cards are in.
func (s *Service) JudgeCardholder(ctx context.Context, h Holder, j cardholder.Judgement) (cardholder.Cardholder, error) {
	last := j.Also
	if !j.State.MayHold() {
		j.Also = nil
	} else if err := s.bound(ctx, h, j); err != nil {
		return cardholder.Cardholder{}, err
	}
	person, err := s.Cardholders.Judge(ctx, cardholder.Owner{Book: h.Book, Realm: h.Realm, Actor: h.Actor}, j)
	if err != nil || person.State.MayHold() {
		return person, err
	}
	if err := s.freezeAll(ctx, h, j.ID); err != nil || last == nil {
		return person, err
	}
	return person, s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error { return last.Apply(ctx, tx, person) })
}

// bound refuses a tier whose limits would not bound a cardholder's cards.
func (s *Service) bound(ctx context.Context, h Holder, j cardholder.Judgement) error {
	tier, err := s.Cardholders.Tier(ctx, j.Tier)
	switch {
	case fault.CodeOf(err) == fault.NotFound: // Judge says so
		return nil
	case err != nil || len(tier.Limits) == 0:
		return err
	}
	for after := CardID(""); ; {
		cards, err := s.OfCardholder(ctx, h.Book, j.ID, after)
		if err != nil || len(cards) == 0 {
			return err
		}
		for _, card := range cards {
			c, err := s.stored(ctx, h.Book, card)
			if err == nil && c.at(s.Clocks.Now(h.Realm)).Status != Terminated && c.currency != tier.Currency {
				err = fault.New(fault.CurrencyMismatch, "limits of the tier %s are in %s, and %s is in %s", tier.Name, tier.Currency, card, c.currency).At("tier")
			}
			if err != nil {
				return err
			}
		}
		after = cards[len(cards)-1]
	}
}

func (s *Service) freezeAll(ctx context.Context, h Holder, person cardholder.ID) error {
	h.Operator = true
	for after := CardID(""); ; {
		cards, err := s.OfCardholder(ctx, h.Book, person, after)
		if err != nil || len(cards) == 0 {
			return err
		}
		for _, card := range cards {
			_, err := s.Freeze(ctx, h, Step{Card: card, Reason: ReasonCardholder})
			if err != nil && fault.CodeOf(err) != fault.InvalidState { // it waits for money, or ended
				return err
			}
		}
		after = cards[len(cards)-1]
	}
}

// noteStep writes down what an operator is about to do, and why.
func (s *Service) noteStep(ctx context.Context, h Holder, action string, st Step) error {
	return s.noteOperator(ctx, h, audited{action, st.Card, map[string]string{"reason": st.Reason, "note": audit.Clean(st.Note)}})
}

// noteOperator writes down what an operator is about to do to a card that there is: what
// stands in the place of an id may be anything.
func (s *Service) noteOperator(ctx context.Context, h Holder, a audited) error {
	if !h.Operator {
		return nil
	}
	if _, err := s.stored(ctx, h.Book, a.card); err != nil {
		return err
	}
	return s.note(ctx, h, a)
}

// Used is the effect of a payment on a card: what it spent and when. It is refused with
// storage.ErrStale unless the card is as it was when it was found, so that no payment is
// ever decided by controls, or a status, that do not hold any more.
func Used(card *Card, at time.Time, spent money.Amount) storage.Effect {
	return markUsed.With(string(card.Book), string(card.ID), card.Version, storage.Micros(at), spent.Minor).Exactly(1)
}

// GivenBack is the effect of money that came back from payments: reversals, refunds.
func GivenBack(card *Card, amount money.Amount) storage.Effect {
	return giveBack.With(string(card.Book), string(card.ID), amount.Minor)
}

// UsedUp is the effect of the one payment that a card for single use has: from its
// capture on it is terminated; a sweep returns the rest to the wallet.
func UsedUp(card *Card, at time.Time) storage.Effect {
	return markUsedUp.With(string(card.Book), string(card.ID), storage.Micros(at))
}
