package giftcard

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/plain"
	"github.com/scripcards/scrip/internal/fraud/notice"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/webhook"
)

// The kinds of ledger transactions that a card has, and of the events that tell of them.
const (
	kindCreate  = "giftcard.create"
	kindRedeem  = "giftcard.redeem"
	kindRefund  = "giftcard.refund"
	kindHold    = "giftcard.hold"
	kindCapture = "giftcard.capture"
	kindVoid    = "giftcard.void"
	kindReload  = "giftcard.reload"
	kindExpire  = "giftcard.expire"
	kindCancel  = "giftcard.cancel"

	kindPrefix = "giftcard."
)

// EventTypes returns the types of this package's events.
func EventTypes() []string {
	return []string{kindCreate, kindRedeem, kindRefund, kindHold, kindCapture, kindVoid, kindReload, kindExpire, kindCancel}
}

// keyOf is the ledger's key for a merchant's reference. References are unique per kind
// of call, but redemptions and captures share theirs: a refund names either by it.
func keyOf(kind, reference string) string {
	if reference == "" {
		return ""
	}
	if kind == kindRedeem || kind == kindCapture {
		kind = "giftcard.take"
	}
	return kind + "/" + reference
}

// change is one operation on a card while it is made.
type change struct {
	merchant Merchant
	card     *record
	asked    money.Amount
	op       ledger.Operation
	// reloaded is what the fraud engine hears of a reload.
	reloaded notice.Notice
}

func (s *Service) operation(m Merchant, kind, reference string) ledger.Operation {
	return ledger.Operation{Book: m.Book, Kind: kind, Key: keyOf(kind, reference), Reference: reference, Actor: m.Actor, At: s.Clocks.Now(m.Realm)}
}

// begin finds the card that a call names and starts the operation on it.
func (s *Service) begin(ctx context.Context, m Merchant, kind string, transfer Transfer) (*change, error) {
	if err := checkReference(transfer.Reference); err != nil {
		return nil, err
	}
	op := s.operation(m, kind, transfer.Reference)
	card, err := s.named(ctx, m, op, transfer.Secret)
	if err != nil {
		return nil, err
	}
	refusal := card.ended(op.At) // a block the ledger knows, which refuses
	if kind == kindReload {
		refusal = card.spendable(op.At)
	}
	if err := s.unlessRepeated(ctx, op, refusal); err != nil {
		return nil, err
	}
	c := &change{merchant: m, card: card, asked: transfer.Amount, op: op}
	return c, c.checkCurrency()
}

// named finds the card of an operation, as it is remembered where that is good enough.
func (s *Service) named(ctx context.Context, m Merchant, op ledger.Operation, secret Secret) (*record, error) {
	if op.Kind != kindReload {
		return s.toSpend(ctx, m, secret, op.At)
	}
	card, err := s.read(ctx, m, s.hash(secret))
	if err != nil {
		return nil, err
	}
	// A frozen account may receive: the ledger would not correct what is stored.
	account, err := s.Books.FindAccount(ctx, card.Book, card.Account())
	if err == nil {
		card.follow(account)
	}
	return card, err
}

func (c *change) checkCurrency() error {
	if want := c.card.Amount.Currency; c.asked.Currency != want {
		return fault.New(fault.CurrencyMismatch, "the gift card is in %s", want).At("currency")
	}
	return nil
}

// unlessRepeated returns refusal, but lets a call that was made before through to its
// first answer, whatever became of the card since.
func (s *Service) unlessRepeated(ctx context.Context, op ledger.Operation, refusal error) error {
	if refusal == nil {
		return nil
	}
	if done, err := s.repeated(ctx, op); err != nil || done {
		return err
	}
	return refusal
}

// repeated reports whether something was done under an operation's key.
func (s *Service) repeated(ctx context.Context, op ledger.Operation) (bool, error) {
	if op.Key == "" {
		return false, nil
	}
	_, done, err := s.Books.FindByKey(ctx, op.Book, op.Key)
	return done, err
}

// submit runs the operation with its event and describes what it did.
func (s *Service) submit(ctx context.Context, c *change) (Movement, error) {
	c.op.Effects = func(o ledger.Outcome) ([]storage.Effect, error) {
		effects, err := s.event(c.merchant, &c.card.Card, o, moved(o, c.asked))
		if err != nil || c.op.Kind != kindReload {
			return effects, err
		}
		if after, ok := o.Balance(c.card.Account()); ok {
			err = s.fits(after.Posted)
		}
		return append(effects, c.reloaded.Effect(o.At)), err
	}
	c.op.Speculative = true
	o, err := s.post(ctx, c)
	if err != nil {
		return Movement{}, fmt.Errorf("%s: %w", c.op.Kind, s.refused(ctx, c, err))
	}
	return c.movement(o), nil
}

// post submits the operation, and once more where holds may have stood in its way whose time is
// over: what they hold is free, swept or not, and whoever else ends them.
func (s *Service) post(ctx context.Context, c *change) (ledger.Outcome, error) {
	o, err := s.Books.Submit(ctx, c.op)
	if code := fault.CodeOf(err); code != fault.InsufficientFunds && code != fault.AccountNotEmpty {
		return o, err
	}
	if err := s.Books.ExpireHoldsOn(ctx, c.merchant.Realm, c.card.Book, c.card.Account()); err != nil {
		return o, err
	}
	return s.Books.Submit(ctx, c.op)
}

// movement describes what the operation did, and the card as it left it.
func (c *change) movement(o ledger.Outcome) Movement {
	m := Movement{Transaction: o.Transaction, Amount: moved(o, c.asked), Reference: o.Reference, At: o.At, Replayed: o.Replayed}
	after, _ := o.Balance(c.card.Account())
	m.Card = c.card.before().at(after, o.At)
	if len(o.Moves) > 0 {
		m.Hold = o.Moves[0].Hold
	}
	return m
}

// moved is what a transaction did to a card: what it posted, else what it held or freed.
func moved(o ledger.Outcome, asked money.Amount) money.Amount {
	if len(o.Moves) == 0 {
		return asked
	}
	m := o.Moves[0]
	if m.Posted.IsZero() {
		return money.New(max(m.Held, -m.Held), m.Posted.Currency)
	}
	return m.Posted
}

// refused says in a gift card's words why the ledger refused.
func (s *Service) refused(ctx context.Context, c *change, err error) error {
	code, pays := fault.CodeOf(err), c.op.Kind == kindRefund || c.op.Kind == kindCancel
	switch {
	case code == fault.AccountFrozen && pays: // not the card's, which takes a refund and is emptied all the same
		return fault.Wrap(err, fault.InvalidState, "the operator has frozen the account that pays for this")
	case code == fault.AccountFrozen || code == fault.AccountClosed:
		return s.changed(ctx, c, err)
	}
	switch code {
	case fault.InsufficientFunds:
		available := fault.From(err).Details["available"]
		return fault.Wrap(err, fault.InsufficientFunds, "the gift card has %s %s available", available, c.card.Amount.Currency).
			With("available", available)
	case fault.GuardExceeded: // a refund's, the one with a guard
		used, _ := strconv.ParseInt(fault.From(err).Details["used"], 10, 64) // the ledger wrote it
		left := money.New(c.op.Guards[0].Limit-used, c.card.Amount.Currency)
		return fault.Wrap(err, fault.GuardExceeded, "%s %s can still be refunded", left, left.Currency).With("available", left.String())
	default:
		return err
	}
}

// changed looks at a card again that was blocked or ended since it was read.
func (s *Service) changed(ctx context.Context, c *change, err error) error {
	now, again := s.stored(ctx, c.card.Book, c.card.ID)
	if again != nil {
		return again
	}
	if refusal := now.spendable(s.Clocks.Now(c.merchant.Realm)); refusal != nil {
		return refusal
	}
	if fault.CodeOf(err) == fault.AccountFrozen { // and was unblocked since the refusal
		return fault.Wrap(err, fault.CardBlocked, "the gift card was blocked")
	}
	return err
}

// event returns the row that tells of a transaction on card. It holds no number and no key.
func (s *Service) event(m Merchant, card *Card, o ledger.Outcome, amount money.Amount) ([]storage.Effect, error) {
	after, _ := o.Balance(card.Account())
	data := &webhook.Data{}
	data.Text("card_id", string(card.ID)).Text("last4", card.Last4).Text("transaction_id", string(o.Transaction)).
		Text("type", strings.TrimPrefix(o.Kind, kindPrefix)).Text("amount", amount.String()).Text("balance", after.Available.String()).
		Text("currency", amount.Currency.String()).Text("reference", o.Reference).
		Text("transaction_at", o.At.Format("2006-01-02T15:04:05.000000Z07:00"))
	if len(o.Moves) > 0 {
		data.Text("hold_id", string(o.Moves[0].Hold))
	}
	return s.Outbox.Effects(webhook.Event{Book: m.Book, Realm: m.Realm, Type: o.Kind, Data: data.JSON(), At: o.At}), nil
}

func checkReference(reference string) error {
	if !plain.LineBytes(reference, 1, maxReference) {
		return fault.New(fault.InvalidRequest, "the reference must have 1 to %d bytes of plain text", maxReference).At("reference")
	}
	return nil
}
