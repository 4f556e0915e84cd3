package issuing

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/plain"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/memo"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/webhook"
)

// The kinds of ledger transactions that a card has, beside its payments.
const (
	kindIssue     = "card.issue"
	kindFund      = "card.fund"
	kindWithdraw  = "card.withdraw"
	kindFreeze    = "card.freeze"
	kindUnfreeze  = "card.unfreeze"
	kindReplace   = "card.replace"
	kindTerminate = "card.terminate"
	kindExpire    = "card.expire"
	kindClear     = "card.clear"
)

// The events that tell of them.
const (
	eventCreated    = "card.created"
	eventFunded     = "card.funded"
	eventFrozen     = "card.frozen"
	eventUnfrozen   = "card.unfrozen"
	eventReplaced   = "card.replaced"
	eventTerminated = "card.terminated"
)

// EventTypes returns the types of this package's events.
func EventTypes() []string {
	return []string{eventCreated, eventFunded, eventFrozen, eventUnfrozen, eventReplaced, eventTerminated}
}

// maxTries bounds how often a change is decided anew because the card changed meanwhile.
const maxTries = 8

// errUnchanged is what a plan returns when the card is already as it shall be.
var errUnchanged = errors.New("nothing changes")

// plan describes what to do with a card as it stands, on an operation that has its book,
// actor and time.
type plan func(c *record, op *ledger.Operation) error

// perform carries a plan out. Where the card changed since it was read, it is read and
// decided on again.
func (s *Service) perform(ctx context.Context, h Holder, card CardID, p plan) (*record, ledger.Outcome, error) {
	for try := 1; ; try++ {
		c, err := s.stored(ctx, h.Book, card)
		if err != nil {
			return nil, ledger.Outcome{}, err
		}
		op := ledger.Operation{Book: h.Book, Actor: h.Actor, At: s.Clocks.Now(h.Realm)}
		if err := p(c, &op); err != nil {
			return c, ledger.Outcome{}, err
		}
		o, err := s.Books.Submit(ctx, op)
		s.forget(c.Book, c.ID)
		if err == nil {
			return c, o, nil
		}
		if !changed(&op, err) || try == maxTries {
			return c, o, fmt.Errorf("%s %s: %w", op.Kind, card, refused(err))
		}
	}
}

// changed reports whether an operation was refused for a card that is not any more, or
// not yet, what it was decided on.
func changed(op *ledger.Operation, err error) bool {
	switch code := fault.CodeOf(err); code {
	case fault.AccountClosed, fault.AccountFrozen:
		return true
	case fault.GuardExceeded: // of what is given back, somebody gave it back already
		return slices.ContainsFunc(op.Guards, func(g ledger.Guard) bool { return g.Add < 0 })
	default:
		return errors.Is(err, storage.ErrStale)
	}
}

// refused says in a card's words why the books refused.
func refused(err error) error {
	switch code := fault.CodeOf(err); code {
	case fault.AccountFrozen, fault.AccountClosed:
		return fault.Wrap(err, fault.InvalidState, "an operator keeps the money where it is")
	default:
		return err
	}
}

// unlessRepeated returns refusal, but lets a call that was made before through to its
// first answer, whatever became of the card since.
func (s *Service) unlessRepeated(ctx context.Context, op *ledger.Operation, refusal error) error {
	if refusal == nil || op.Key == "" {
		return refusal
	}
	_, done, err := s.Books.FindByKey(ctx, op.Book, op.Key)
	if err != nil || done {
		return err
	}
	return refusal
}

// keyOf is the ledger's key for a caller's; empty for none.
func keyOf(kind, key string) string {
	if key == "" {
		return ""
	}
	return kind + "/" + key
}

// maxKey bounds a caller's key, in bytes.
const maxKey = 200

func checkKey(key string) error {
	if !plain.LineBytes(key, 0, maxKey) {
		return fault.New(fault.InvalidRequest, "the key must have at most %d bytes of plain text", maxKey).At("key")
	}
	return nil
}

// forget has the next look at a card read it again.
func (s *Service) forget(book ledger.BookID, card CardID) { s.recent.Drop(cardKey(book, card)) }

func cardKey(book ledger.BookID, card CardID) memo.Key {
	return sha256.Sum256([]byte(string(book) + "/" + string(card)))
}

// settle is the effect that undoes an operation unless the card is as it was read.
func (c *Card) settle() storage.Effect {
	return checkVersion.With(string(c.Book), string(c.ID), c.Version).Exactly(1)
}

// after completes a card with what an outcome left on its account.
func (c *Card) after(o *ledger.Outcome) *Card {
	b, ok := o.Balance(c.Account().ID)
	if !ok {
		none := money.New(0, c.BIN.Currency)
		b = ledger.Balance{Posted: none, Available: none}
	}
	return c.withMoney(b.Posted, b.Available)
}

// event returns the row that tells of a change. There is no number and no CVV in it.
func (s *Service) event(e webhook.Event, c *Card, o *ledger.Outcome, more func(*webhook.Data)) []storage.Effect {
	data := (&webhook.Data{}).Text("card_id", string(c.ID)).Text("bin_id", c.BIN.ID).Text("network", string(c.BIN.Network)).
		Text("last4", c.Last4).Text("status", string(c.Status)).Text("balance", c.Balance.String()).Text("currency", c.BIN.Currency.String()).
		Text("label", c.Label).Text("cardholder_id", c.Holder)
	if o != nil {
		data.Text("transaction_id", string(o.Transaction))
		e.At = o.At
	}
	if more != nil {
		more(data)
	}
	e.Book, e.Realm, e.Data = c.Book, c.Realm, data.JSON()
	return s.Outbox.Effects(e)
}

// audited is what is about to be done to a card.
type audited struct {
	action string
	card   CardID
	detail map[string]string
}

// note writes down who does what, before it is done: that a card was shown, or that an
// operator changed it, must not go unseen.
func (s *Service) note(ctx context.Context, h Holder, a audited) error {
	r := audit.Record{Actor: h.Actor, Action: a.action, Subject: string(a.card), Book: string(h.Book), Detail: a.detail, At: s.Clocks.Now(h.Realm)}
	return s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error { return s.Audit.Append(ctx, tx, r) })
}

// fold is a text as it is searched.
func fold(text string) string { return strings.ToLower(text) }
