package authorization

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/fraud"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/issuing/cardholder"
	"github.com/scripcards/scrip/internal/issuing/category"
	"github.com/scripcards/scrip/internal/issuing/spending"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/wallet"
)

// attempt is one request while it is decided.
type attempt struct {
	message
	request *Request
	card    *issuing.Card
	payment payment
	at      time.Time
	found   finding // what speaks against it, but for what the books know
	avs     AVS
	held    money.Amount // what the payment holds already; none of a new one
	event   fraud.Event
	score   int
	judged  bool    // the scorer was asked
	verdict Verdict // the decider's; empty: it was not asked
	stoodIn bool
	ended   bool          // the card's payments whose time is over were ended for it
	again   *issuing.Card // the card, once it was read past what is remembered
}

// shape is what an operation on a card turns out to need once the books are seen.
type shape struct {
	amount int64 // minor units: less than was asked for when a part is approved
	lend   int64 // what the card lacks, lent from the receivable
	freeze bool  // the balance is below the card's threshold afterwards
	wallet bool  // the card's account is closed: its book pays, and its wallet is given
	thaw   bool  // the card's account is frozen, and holds all the same
}

// refused is how the effects of an operation say no after the books said yes.
type refused struct{ reason Reason }

func (e *refused) Error() string { return "declined: " + string(e.reason) }

// errShape is how they say that the books came out otherwise than the operation was made for.
var errShape = errors.New("the books moved meanwhile")

// Authorize decides a payment and holds its money, or takes it. A decline is a result. It returns the
// faults invalid_request, invalid_amount, currency_mismatch when the amount is not in the
// card's currency, and idempotency_conflict.
func (s *Service) Authorize(ctx context.Context, r Request) (Decision, error) {
	if err := r.check(); err != nil {
		return Decision{}, err
	}
	card, err := s.find(ctx, &r)
	if fault.CodeOf(err) == fault.NotFound {
		return s.unknown(&r), nil
	}
	if err != nil {
		return Decision{}, err
	}
	if r.Amount.Currency != card.BIN.Currency {
		return Decision{}, offCurrency(card)
	}
	a := s.begin(card, &r)
	if first, done, err := s.first(ctx, a); done || err != nil {
		return first, err
	}
	s.judge(a)
	d, err := s.decide(ctx, a)
	if err != nil {
		return Decision{}, fmt.Errorf("authorize %s: %w", a.payment.ID, err)
	}
	s.learn(a, &d)
	return d, nil
}

// learn has the scorer know what came of a message.
func (s *Service) learn(a *attempt, d *Decision) {
	if s.Fraud != nil && !d.Repeated {
		s.Fraud.Learn(a.event, fraud.Outcome{Found: d.Approved, WrongPIN: d.Reason == ReasonCVCWrong})
	}
}

// find returns the card that a request names.
func (s *Service) find(ctx context.Context, r *Request) (*issuing.Card, error) {
	if r.Card != "" {
		return s.Cards.Find(ctx, r.Book, r.Card)
	}
	if r.Number.IsZero() {
		return nil, fault.New(fault.NotFound, "no such card")
	}
	return s.Cards.FindByNumber(ctx, r.Realm, r.Number)
}

// unknown declines a payment with a card that does not exist. It is in nobody's book, so it is not kept.
func (s *Service) unknown(r *Request) Decision {
	in := r.Realm
	if in == "" {
		in = realm.Live
	}
	none := money.New(0, r.Amount.Currency)
	d := Decision{Amount: none, Reason: ReasonCardUnknown, Balance: none, At: s.Clocks.Now(in)}
	d.Sentence, d.Advice = d.Reason.words()
	return d
}

func (s *Service) begin(card *issuing.Card, r *Request) *attempt {
	at := s.Clocks.Now(card.Realm)
	a := &attempt{request: r, card: card, at: at, payment: payment{Book: card.Book, ID: ID(id.New(paymentPrefix)), Realm: card.Realm, Card: card.ID,
		Merchant: r.Merchant, Entry: r.Entry, CreatedAt: at, revision: 1}}
	a.message = newMessage(r.Key, kindAuthorize, string(card.ID), r.Amount.String(), r.Original.String(), r.Original.Currency.String(),
		r.Merchant.ID, r.Merchant.Name, r.Merchant.MCC, string(r.Entry), fmt.Sprint(r.PartialAllowed), fmt.Sprint(r.Captured), string(r.Challenge))
	a.event = fraud.Event{Kind: fraud.Authorization, At: at, Realm: card.Realm, Book: card.Book, Card: card.Alias(),
		Merchant: fraud.HashOf(r.Merchant.Acquirer, r.Merchant.ID, r.Merchant.Name), Country: r.Merchant.Country, Category: r.Merchant.MCC, Amount: r.Amount,
		Remote: r.Entry.remote()}
	if r.Merchant.Terminal != "" {
		a.event.Device = fraud.HashOf(r.Merchant.Acquirer, r.Merchant.ID, r.Merchant.Terminal)
	}
	return a
}

// first returns the first answer to a message that was seen before, and whether there is
// one. That it was reversed before it came is its answer, too.
func (s *Service) first(ctx context.Context, a *attempt) (Decision, bool, error) {
	found, err := s.known(ctx, a.card.Book, &a.message)
	if err != nil || found == nil {
		return Decision{}, false, err
	}
	if found.Type == stepUnseen {
		d, err := s.see(ctx, a, found)
		return d, true, err
	}
	d, err := s.again(ctx, found)
	return d, true, err
}

// other returns the answer that somebody else's same message got meanwhile.
func (s *Service) other(ctx context.Context, a *attempt) (Decision, error) {
	d, done, err := s.first(ctx, a)
	if err == nil && !done {
		err = fault.New(fault.Unavailable, "the message was decided and is not found")
	}
	return d, err
}

// judge takes the fraud score.
func (s *Service) judge(a *attempt) {
	a.judged = true
	if s.Fraud != nil {
		a.score = s.Fraud.Score(a.event).Hundredths
	}
}

// decide decides an attempt, and once more where the card changed since it was found.
func (s *Service) decide(ctx context.Context, a *attempt) (Decision, error) {
	for range maxTries {
		if err := s.weigh(ctx, a); err != nil {
			return Decision{}, err
		}
		d, reason, err := s.try(ctx, a)
		switch {
		case errors.Is(err, storage.ErrStale):
			if err := s.reread(ctx, a); err != nil {
				return Decision{}, err
			}
			continue
		case err != nil || reason == ReasonNone:
			return d, err
		}
		if was := a.card; reason.ofCard() && a.again == nil {
			if err := s.reread(ctx, a); err != nil {
				return Decision{}, err
			}
			if a.card.Version != was.Version || a.card.Status != was.Status {
				continue
			}
		}
		return s.decline(ctx, a, reason)
	}
	return Decision{}, fault.New(fault.Unavailable, "the card is in use by too many at once")
}

// reread reads the card past what is remembered of it.
func (s *Service) reread(ctx context.Context, a *attempt) (err error) {
	if a.again, err = s.Cards.Reread(ctx, a.card); err == nil {
		a.card = a.again
	}
	return err
}

// weigh gathers what can be known of a payment without the books: what its card allows,
// what was presented, the score, and what the book's own decider says.
func (s *Service) weigh(ctx context.Context, a *attempt) error {
	whole := *a.request
	whole.Amount.Minor += a.held.Minor
	a.found, a.stoodIn, a.payment.Challenge = examine(a.card, &whole, a.at), false, ""
	billing, err := s.billing(ctx, a)
	if err != nil {
		return err
	}
	a.avs = compare(billing, &a.request.Presented)
	if a.found.reason != ReasonNone {
		return nil
	}
	reason := ReasonNone
	if a.request.Amount.IsZero() { // of one that holds money the books know: see Operation.Solvent
		if reason, err = s.owed(ctx, a.card); err != nil {
			return err
		}
	}
	if reason == ReasonNone {
		reason = s.presented(a)
	}
	if reason == ReasonNone && a.held.IsZero() { // whoever is asked for more is not there to be challenged
		if reason, err = s.challenged(ctx, a); err != nil {
			return err
		}
	}
	if reason == ReasonNone {
		reason = s.asked(ctx, a)
	}
	a.found = finding{reason, last}
	return nil
}

// owed keeps a card from paying while its customer's wallet is below zero: what was spent of
// a deposit that was undone is owed, and must not be spent a second time from a card.
func (s *Service) owed(ctx context.Context, c *issuing.Card) (Reason, error) {
	account, err := s.Books.FindAccount(ctx, c.Book, wallet.Account(c.BIN.Currency).ID)
	switch {
	case fault.CodeOf(err) == fault.NotFound: // never loaded
		return ReasonNone, nil
	case err != nil:
		return ReasonNone, err
	case account.Available().IsNegative():
		return ReasonWallet, nil
	}
	return ReasonNone, nil
}

// billing returns the address that merchants may compare; none where they did not ask.
func (s *Service) billing(ctx context.Context, a *attempt) (issuing.Address, error) {
	if p := &a.request.Presented; p.Postcode == "" && p.Address == "" {
		return issuing.Address{}, nil
	}
	if a.card.Holder == "" {
		return s.Cards.Programme.Billing, nil
	}
	person, err := s.Cards.Cardholders.Recall(ctx, a.card.Book, cardholder.ID(a.card.Holder))
	return person.Address, err
}

// asked asks the book's decider about a payment that nothing speaks against so far. What
// is down is stood in for.
func (s *Service) asked(ctx context.Context, a *attempt) Reason {
	if r := a.request; s.Decider != nil && a.verdict == "" {
		a.verdict = s.Decider.Decide(ctx, Question{Book: a.card.Book, Realm: a.card.Realm, Payment: a.payment.ID, Card: a.card.ID, Last4: a.card.Last4,
			Amount: r.Amount, Held: a.held, Original: r.Original, Merchant: r.Merchant, Category: category.Of(r.Merchant.MCC), Entry: r.Entry, Score: a.score,
			At: a.at})
	}
	if a.verdict == Deny {
		return ReasonDecisionWebhook
	}
	a.stoodIn = a.verdict == Absent
	if a.stoodIn && a.held.Minor+a.request.Amount.Minor > minorUnits(s.Policy.StandIn.MaxMajor, a.card.BIN.Currency) {
		return ReasonStandIn
	}
	return ReasonNone
}

// try has the books decide, or says why the payment is declined. It returns
// storage.ErrStale when the card changed since it was found.
func (s *Service) try(ctx context.Context, a *attempt) (Decision, Reason, error) {
	if a.found.reason != ReasonNone && (a.found.rank == outright || a.request.Amount.IsZero()) {
		return Decision{}, a.found.reason, nil
	}
	if a.request.Amount.IsZero() {
		d, err := s.verified(ctx, a)
		return d, ReasonNone, err
	}
	sh := shape{amount: a.request.Amount.Minor}
	for range maxTries {
		var l line
		code, err := s.draw(approvalDigits)
		if err != nil {
			return Decision{}, ReasonNone, err
		}
		_, err = s.Books.Submit(ctx, s.placing(a, sh, code, &l))
		switch {
		case err == nil:
			return l.begins(), ReasonNone, nil
		case storage.IsUnique(err): // the same message was decided meanwhile
			d, err := s.other(ctx, a)
			return d, ReasonNone, err
		}
		if reason, err := s.refusal(ctx, a, &sh, err); reason != ReasonNone || err != nil {
			return Decision{}, reason, err
		}
	}
	return Decision{}, ReasonNone, fault.New(fault.Unavailable, "the card is in use by too many at once")
}

// bounds are the guards of an attempt.
func (s *Service) bounds(a *attempt, amount int64) bounds {
	b := boundsOf(a.card, a.at, amount)
	a.payment.counted = b.counted()
	if a.stoodIn {
		b.add(s.blind(a, amount), ReasonStandIn)
	}
	return b
}

// blind is the guard of a card's day for what is approved while a part of what decides is
// down. What was approved so stays counted, whatever becomes of it.
func (s *Service) blind(a *attempt, amount int64) ledger.Guard {
	return ledger.Guard{Counter: "card/" + string(a.card.ID) + "/stood_in/" + spending.PerDay.Period(a.at), Add: amount,
		Limit: minorUnits(s.Policy.StandIn.MaxDayMajor, a.card.BIN.Currency)}
}

// placing is the operation that holds the money. What already speaks against the payment
// is told only if the books, which are asked first, have nothing against it.
func (s *Service) placing(a *attempt, sh shape, code string, l *line) ledger.Operation {
	b, account := s.bounds(a, sh.amount), a.card.Account()
	// It has no key in the books: its line, which is written with it, is the only one under the message's.
	op := ledger.Operation{Book: a.card.Book, Kind: kindAuthorize, Reference: string(a.payment.ID), Actor: actor, At: a.at, Guards: b.guards}
	if a.found.reason != ReasonNone && a.found.rank == afterMonth {
		op.Guards = b.guards[:1]
		op.Effects = func(ledger.Outcome) ([]storage.Effect, error) { return nil, &refused{a.found.reason} }
		return op
	}
	to, amount := issuing.Settlement(a.card.BIN.Currency), money.New(sh.amount, a.card.BIN.Currency)
	op.Open, op.Solvent = []ledger.NewAccount{to}, []ledger.AccountID{wallet.Account(a.card.BIN.Currency).ID}
	if a.request.Captured {
		op.Kind, op.Postings = kindPurchase, []ledger.Posting{{Debit: account.ID, Credit: to.ID, Amount: amount}}
	} else {
		op.Holds = []ledger.HoldChange{{Action: ledger.Place, ID: a.payment.hold(), Amount: amount, Debit: account.ID, Credit: to.ID}}
	}
	freeze, froze := s.Cards.AutoFreeze(a.card)
	if sh.freeze {
		op.States = []ledger.StateChange{freeze}
	}
	op.Effects = func(o ledger.Outcome) ([]storage.Effect, error) {
		if a.found.reason != ReasonNone {
			return nil, &refused{a.found.reason}
		}
		after, _ := o.Balance(account.ID)
		if below(a.card, after.Available) != sh.freeze {
			return nil, errShape
		}
		*l = a.approved(amount, o.At, s.Policy.trade(a.request.Merchant.MCC).HoldFor)
		l.Balance, l.Code, l.Books = after.Available, code, o.Transaction
		effects := append(s.rows(l), issuing.Used(a.card, o.At, l.amount))
		if sh.freeze {
			frozen, err := froze(o)
			if err != nil {
				return nil, err
			}
			effects = append(effects, frozen...)
		}
		if a.request.Captured && a.card.Controls.SingleUse { // last: the others want the version that was read
			effects = append(effects, issuing.UsedUp(a.card, o.At))
		}
		return append(effects, s.linked(l)...), nil
	}
	return op
}

// approved is what is kept of the attempt once its money is held, or taken.
func (a *attempt) approved(amount money.Amount, at time.Time, holdFor time.Duration) line {
	l := a.line(TypeAuthorization, amount, at)
	l.payment.State, l.payment.ExpiresAt, l.payment.CreatedAt = StateOpen, at.Add(holdFor), a.at
	if a.request.Captured {
		l.Type, l.payment.State, l.payment.ExpiresAt, l.payment.EndedAt = TypeSettlement, StateSettled, time.Time{}, at
	}
	return l
}

// below reports whether a balance freezes the card.
func below(c *issuing.Card, balance money.Amount) bool {
	return c.Controls.AutoFreezeAt.IsPositive() && balance.Minor < c.Controls.AutoFreezeAt.Minor
}

// line is what is kept of the attempt.
func (a *attempt) line(t Type, amount money.Amount, at time.Time) line {
	return line{message: a.message, payment: a.payment, ID: TransactionID(id.New(transactionPrefix)), Type: t, amount: amount,
		Balance: money.New(0, amount.Currency), Original: a.request.Original, AVS: a.avs, Score: a.score, StoodIn: a.stoodIn,
		PresentedAt: a.request.At, At: at}
}

// rows are what a new payment leaves: itself, its first line and its event, if it has one.
func (s *Service) rows(l *line) []storage.Effect {
	return append([]storage.Effect{insertPayment.Row(l.payment.row()...), insertLine.Row(l.row()...)}, s.events(l)...)
}
