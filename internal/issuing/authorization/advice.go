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
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// matter is a message about a payment while it is decided.
type matter struct {
	message
	kind    string
	advice  *Advice
	card    *issuing.Card
	payment payment
	hold    *ledger.Hold // of an open payment
	at      time.Time
	sure    bool // the card was read past what is remembered
	score   int  // of an increment
	stoodIn bool
	ended   bool // the card's payments whose time is over were ended for it
}

// open reports whether the payment still holds money that can be taken. One whose time is
// over does not, swept or not.
func (m *matter) open() bool { return m.payment.State == StateOpen && m.at.Before(m.payment.ExpiresAt) }

// authorized is what an open payment comes to: what it holds, and what was captured of it.
func (m *matter) authorized() money.Amount {
	return money.New(m.hold.Amount.Minor-m.hold.Released.Minor, m.hold.Amount.Currency)
}

// about decides a message about a payment: planned says what it does to the payment as it
// is, and is asked again when that has changed before it was done.
func (s *Service) about(ctx context.Context, a *Advice, kind string, planned func(context.Context, *matter) (plan, Reason, error)) (Decision, error) {
	if err := a.check(); err != nil {
		return Decision{}, err
	}
	named, err := s.located(ctx, a)
	if err == nil && named != nil && !named.Number.IsZero() && kind != kindIncrement {
		named, err = s.Cards.Find(ctx, named.Book, named.ID) // its number may be an old one: what is owed is of the card as it is
	}
	if err != nil {
		return Decision{}, err
	}
	m := &matter{kind: kind, advice: a, card: named}
	m.message = newMessage(a.Key, m.says()...)
	for range maxTries {
		first, err := s.known(ctx, a.Book, &m.message)
		if err == nil && first != nil {
			if first.Type == stepUnseen {
				return s.overtaken(ctx, m, first)
			}
			return s.again(ctx, first)
		}
		if err != nil {
			return Decision{}, err
		}
		d, done, err := s.attend(ctx, m, planned)
		if done || err != nil {
			return d, err
		}
	}
	return Decision{}, fault.New(fault.Unavailable, "the payment is in use by too many at once")
}

// overtaken declines a message because it was reversed before it came.
func (s *Service) overtaken(ctx context.Context, m *matter, unseen *line) (Decision, error) {
	if m.card == nil {
		return Decision{}, fault.New(fault.IdempotencyConflict, "the key is that of a message which was reversed before it came").At("key")
	}
	if m.advice.Amount.Currency != m.card.BIN.Currency {
		return Decision{}, offCurrency(m.card)
	}
	a := s.begin(m.card, &Request{Amount: m.advice.Amount, Original: m.advice.Charged, Merchant: m.advice.Merchant, At: m.advice.At})
	a.message = m.message
	return s.see(ctx, a, unseen)
}

// says is what a repeated message must say again. Who begins a payment names the card by it.
func (m *matter) says() []string {
	a := m.advice
	parts := []string{m.kind, string(a.Payment), a.Original, a.Amount.String(), a.Amount.Currency.String(), fmt.Sprint(a.Final)}
	if a.Stands.IsPositive() {
		parts = append(parts, "stands", a.Stands.String())
	}
	if m.alone() {
		parts = append(parts, a.Merchant.ID, a.Merchant.Name, a.Merchant.MCC)
		if m.card != nil {
			parts = append(parts, string(m.card.ID))
		}
	}
	return parts
}

// located says in which book a message belongs, and returns the card that it names, if it does.
func (s *Service) located(ctx context.Context, a *Advice) (*issuing.Card, error) {
	switch {
	case a.Card != "":
		return s.Cards.Find(ctx, a.Book, a.Card)
	case !a.Number.IsZero():
		card, err := s.Cards.FindByNumber(ctx, a.Realm, a.Number)
		if err != nil {
			return nil, err
		}
		if a.Book != "" && a.Book != card.Book {
			return nil, fault.New(fault.NotFound, "no such card")
		}
		a.Book = card.Book
		return card, nil
	case a.Book == "":
		return nil, fault.New(fault.NotFound, "no such payment")
	}
	return nil, nil
}

// attend decides a message once. It reports whether that did it.
func (s *Service) attend(ctx context.Context, m *matter, planned func(context.Context, *matter) (plan, Reason, error)) (Decision, bool, error) {
	if err := s.look(ctx, m); err != nil {
		return s.missing(ctx, m, err)
	}
	for _, amount := range []money.Amount{m.advice.Amount, m.advice.Stands} {
		if !amount.IsZero() && amount.Currency != m.card.BIN.Currency {
			return Decision{}, false, offCurrency(m.card)
		}
	}
	p, reason, err := planned(ctx, m)
	if err != nil {
		return Decision{}, false, err
	}
	if reason != ReasonNone {
		return s.refuse(ctx, m, reason)
	}
	return s.carry(ctx, m, &p)
}

// look reads the payment that a message is about as it stands, and its hold and its card.
func (s *Service) look(ctx context.Context, m *matter) error {
	if m.alone() && m.card != nil {
		m.begin(s.Clocks.Now(m.card.Realm))
		return nil
	}
	found, err := s.toPayment(ctx, m.advice)
	if err != nil {
		return err
	}
	over := found.State == StateOpen && !s.Clocks.Now(found.Realm).Before(found.ExpiresAt)
	if over && m.kind != kindExpire && m.kind != kindReverse { // its money is free, swept or not
		if _, err = s.expire(ctx, found.Realm, found); err == nil {
			found, err = s.toPayment(ctx, m.advice)
		}
		if err != nil {
			return err
		}
	}
	if m.card == nil {
		if m.card, err = s.Cards.Find(ctx, found.Book, found.Card); err != nil {
			return err
		}
	}
	m.payment, m.hold, m.at = *found, nil, s.Clocks.Now(found.Realm)
	if m.card.ID != found.Card {
		return fault.New(fault.NotFound, "no such payment with this card").At("payment")
	}
	switch {
	case m.alone():
		m.begin(m.at)
	case found.State == StateOpen:
		m.hold, err = s.Books.FindHold(ctx, found.Book, found.hold())
	}
	return err
}

// alone reports whether the message begins a payment of its own.
func (m *matter) alone() bool {
	return m.kind == kindPost || (m.kind == kindRefund || m.kind == kindStandIn) && m.advice.Payment == "" && m.advice.Original == ""
}

// begin makes the payment that the message begins. It has the merchant of the one that the
// message names, unless it has one of its own.
func (m *matter) begin(at time.Time) {
	merchant := m.advice.Merchant
	if merchant == (Merchant{}) {
		merchant = m.payment.Merchant
	}
	m.at = at
	m.payment = payment{Book: m.card.Book, ID: ID(id.New(paymentPrefix)), Realm: m.card.Realm, Card: m.card.ID, Merchant: merchant, CreatedAt: at, revision: 1}
}

// missing answers a message about a payment that does not exist: a reversal is remembered.
func (s *Service) missing(ctx context.Context, m *matter, err error) (Decision, bool, error) {
	a := m.advice
	if fault.CodeOf(err) != fault.NotFound || m.card == nil || m.payment.ID != "" || a.Payment != "" || a.Original == "" || m.kind != kindReverse {
		return Decision{}, false, err
	}
	d, came, err := s.neverSeen(ctx, a, m.message, m.card)
	return d, !came, err
}

// refuse keeps that a message changed nothing, and why. An increment that is declined is
// a line of the card's history.
func (s *Service) refuse(ctx context.Context, m *matter, reason Reason) (Decision, bool, error) {
	if reason.ofCard() && !m.sure {
		return Decision{}, false, s.reconsider(ctx, m)
	}
	l := m.line(StepRefusal, m.advice.Amount, m.at)
	if l.amount.Currency != m.card.BIN.Currency {
		l.amount = money.New(0, m.card.BIN.Currency)
	}
	l.Reason = reason
	if m.kind == kindIncrement && reason != ReasonEnded {
		l.Type = TypeDecline
	}
	var err error
	if l.Balance, err = s.available(ctx, m.card); err != nil {
		return Decision{}, false, err
	}
	effects := append([]storage.Effect{insertLine.Row(l.row()...)}, s.events(&l)...)
	err = s.DB.Apply(ctx, effects)
	if storage.IsUnique(err) {
		return Decision{}, false, nil
	}
	return l.decision(), true, err
}

// reconsider reads the card past what is remembered of it.
func (s *Service) reconsider(ctx context.Context, m *matter) (err error) {
	m.card, err = s.Cards.Reread(ctx, m.card)
	m.sure = true
	return err
}

func (m *matter) line(t Type, amount money.Amount, at time.Time) line {
	return line{message: m.message, payment: m.payment, ID: TransactionID(id.New(transactionPrefix)), Type: t, amount: amount,
		Balance: money.New(0, m.card.BIN.Currency), Original: m.advice.Charged, Score: m.score, StoodIn: m.stoodIn, PresentedAt: m.advice.At, At: at}
}

// carry has the books carry out a plan. It reports false when the payment is to be looked
// at anew.
func (s *Service) carry(ctx context.Context, m *matter, p *plan) (Decision, bool, error) {
	if len(p.holds) == 0 && len(p.guards) == 0 && p.take == 0 && p.give == 0 { // it moves nothing
		return s.note(ctx, m, p)
	}
	if err := s.repaid(ctx, m, p); err != nil {
		return Decision{}, false, err
	}
	for range maxTries {
		var l line
		outcome, err := s.Books.Submit(ctx, s.operation(m, p, &l))
		switch {
		case err == nil && !outcome.Replayed:
			return l.decision(), true, nil
		case errors.Is(err, storage.ErrStale): // the payment changed, or its card, or what is beside it
			if err = s.reconsider(ctx, m); err == nil && m.advice.beside != nil {
				err = errBeside
			}
			return Decision{}, false, err
		case err == nil, storage.IsUnique(err):
			return Decision{}, false, nil
		}
		again, reason, err := s.reshape(ctx, m, p, err)
		switch {
		case reason != ReasonNone:
			return s.refuse(ctx, m, reason)
		case err != nil || !again:
			return Decision{}, false, err
		}
	}
	return Decision{}, false, nil
}

// note keeps a message that is right and moves nothing.
func (s *Service) note(ctx context.Context, m *matter, p *plan) (Decision, bool, error) {
	l := m.line(p.line, p.amount, m.at)
	var err error
	if l.Balance, err = s.available(ctx, m.card); err != nil {
		return Decision{}, false, err
	}
	effects := append([]storage.Effect{insertLine.Row(l.row()...)}, s.ahead(m, p)...)
	err = s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error { return tx.Apply(ctx, effects) })
	if storage.IsUnique(err) {
		return Decision{}, false, nil
	}
	return l.decision(), true, err
}

// reshape changes what is asked of the books after they refused, or says why that is the
// answer. It reports false when the payment itself has changed.
func (s *Service) reshape(ctx context.Context, m *matter, p *plan, err error) (bool, Reason, error) {
	code := fault.CodeOf(err)
	var no *refused
	switch {
	case errors.As(err, &no):
		return false, no.reason, nil
	case errors.Is(err, errShape), code == fault.InsufficientFunds && p.force > 0:
		return true, ReasonNone, s.measure(ctx, m, p)
	case code == fault.AccountFrozen && p.force > 0 && !p.thaw:
		p.thaw = true
		return true, ReasonNone, nil
	case code == fault.InsufficientFunds && p.repay > 0: // what was lent was repaid meanwhile
		return false, ReasonNone, nil
	case code == fault.HoldEnded, code == fault.HoldExceeded, code == fault.AlreadyReversed, code == fault.GuardExceeded && p.bounds == nil:
		return false, ReasonNone, nil
	case code == fault.AccountClosed && !p.wallet && p.bounds == nil:
		p.shape = shape{wallet: true}
		return true, ReasonNone, nil
	case p.bounds == nil:
		return false, ReasonNone, err
	}
	if errors.Is(err, ledger.ErrOverdrawn) {
		return false, ReasonWallet, nil
	}
	if wants(err) {
		if ended, failed := s.endDue(ctx, m.card, &m.ended); ended || failed != nil {
			return true, ReasonNone, failed
		}
	}
	switch code { // what is left is an increment that is declined
	case fault.GuardExceeded:
		reason, _ := p.bounds.passed(err, m.card)
		return false, reason, nil
	case fault.InsufficientFunds:
		return false, ReasonFunds, nil
	case fault.AccountFrozen:
		return false, ReasonCardFrozen, nil
	case fault.AccountClosed:
		return false, ReasonCardTerminated, nil
	default:
		return false, ReasonNone, err
	}
}

// measure looks at the card's account again: what it lacks for what is taken or held, and
// whether its balance freezes it afterwards.
func (s *Service) measure(ctx context.Context, m *matter, p *plan) error {
	available, err := s.available(ctx, m.card)
	if err == nil && p.take+p.force > available.Minor { // nothing is lent that payments hold whose time is over
		var ended bool
		if ended, err = s.endDue(ctx, m.card, &m.ended); ended && err == nil {
			available, err = s.available(ctx, m.card)
		}
	}
	if err != nil {
		return err
	}
	p.lend = max(0, p.take+p.force-available.Minor)
	available.Minor += p.lend - p.take - p.force
	if p.kind == kindIncrement {
		available.Minor -= p.amount.Minor
	}
	p.freeze = m.freezes(p, available)
	return nil
}

// freezes reports whether what a plan leaves on the card freezes it.
func (m *matter) freezes(p *plan, left money.Amount) bool {
	return p.pays && m.card.Status == issuing.Active && below(m.card, left)
}

// Bounds of a sweep of payments whose time is over.
const (
	sweepPage   = 500
	sweepAtOnce = 64 // they share the ledger's batches
	endAtOnce   = 16 // for one message
)

// Expire ends the open payments whose time is over, by the clock of each realm, and the
// challenges that nobody completed. It returns how many payments it ended. Calling it
// twice at once is harmless.
func (s *Service) Expire(ctx context.Context) (int, error) {
	done, err := s.expiry.Run(ctx)
	errs := []error{err}
	for _, r := range realm.All() {
		errs = append(errs, s.expireChallenges(ctx, r))
	}
	return done, errors.Join(errs...)
}

// due lists open payments whose time is over, in that order.
func (s *Service) due(ctx context.Context, r realm.Realm, after *payment, most int) ([]*payment, error) {
	if after == nil {
		after = &payment{}
	}
	due, err := storage.All(ctx, s.DB, scanPayment, duePayments, string(r), storage.Micros(s.Clocks.Now(r)),
		storage.Micros(after.ExpiresAt), string(after.Book), string(after.ID), most)
	if err != nil {
		return nil, fmt.Errorf("find expired payments: %w", err)
	}
	return due, nil
}

// endDue ends the payments of a card's book whose time is over, the card's own first, once for
// a message that wants money or a limit, and reports whether there were any: what they hold is
// free, swept or not.
func (s *Service) endDue(ctx context.Context, c *issuing.Card, looked *bool) (bool, error) {
	if *looked {
		return false, nil
	}
	*looked = true
	due, err := storage.All(ctx, s.DB, scanPayment, dueOfCard, string(c.Realm), storage.Micros(s.Clocks.Now(c.Realm)), string(c.Book), string(c.ID), endAtOnce)
	if err != nil {
		return false, fmt.Errorf("find expired payments of %s: %w", c.ID, err)
	}
	ended := false
	for _, p := range due {
		_, failed := s.expire(ctx, p.Realm, p) // the sweep, which tries it again, tells of it
		ended = ended || failed == nil
	}
	return ended, nil
}

// wants reports whether the books refuse something for want of money or of a limit.
func wants(refusal error) bool {
	code := fault.CodeOf(refusal)
	return code == fault.InsufficientFunds || code == fault.GuardExceeded
}

// expire ends one payment and reports whether this call did.
func (s *Service) expire(ctx context.Context, _ realm.Realm, p *payment) (did bool, err error) {
	for range maxTries {
		again := false
		if did, again, err = s.tryExpire(ctx, p); err != nil {
			return false, fmt.Errorf("expire payment %s: %w", p.ID, err)
		}
		if !again {
			break
		}
	}
	return did, nil
}

// tryExpire reports whether it ended a payment, and whether to look at it anew because what
// is owed has changed.
func (s *Service) tryExpire(ctx context.Context, p *payment) (did, again bool, err error) {
	m := &matter{kind: kindExpire, advice: &Advice{Book: p.Book, Payment: p.ID}}
	if err := s.look(ctx, m); err != nil || m.payment.State != StateOpen {
		return false, false, err
	}
	m.message = message{print: newMessage("", kindExpire, string(p.ID)).print}
	planned, err := s.release(ctx, m, plan{kind: kindExpire, line: StepExpiry, to: StateOpen}, money.Amount{})
	if err != nil {
		return false, false, err
	}
	if planned.to == StateReversed {
		planned.to = StateExpired
	}
	if err := s.repaid(ctx, m, &planned); err != nil {
		return false, false, err
	}
	var l line
	op := s.operation(m, &planned, &l)
	op.Key = kindExpire + "/" + string(p.ID)
	outcome, err := s.Books.Submit(ctx, op)
	switch code := fault.CodeOf(err); {
	case err == nil:
		return !outcome.Replayed, false, nil
	case errors.Is(err, storage.ErrStale), code == fault.HoldEnded, code == fault.HoldExceeded: // it changed since it was listed
		return false, false, nil
	case planned.repay > 0 && (code == fault.InsufficientFunds || code == fault.GuardExceeded):
		return false, true, nil
	}
	return false, false, err
}
