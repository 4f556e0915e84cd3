package dispute

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/issuing/authorization"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Opening contests a payment.
type Opening struct {
	Holder  issuing.Holder
	Payment authorization.ID
	// Transaction names the payment by a line of its card's history instead.
	Transaction authorization.TransactionID
	Reason      Reason
	// Note is required where the reason is Other.
	Note string
	// Amount is how much; without a currency: all that was captured and not given back.
	Amount money.Amount
	// Text is the first piece of evidence; may be empty.
	Text string
	Also storage.Also[Dispute]
}

func (o *Opening) check() error {
	var names []string
	for _, r := range Reasons() {
		names = append(names, string(r))
	}
	switch {
	case !slices.Contains(Reasons(), o.Reason):
		return fault.New(fault.InvalidRequest, "reason must be one of %s", strings.Join(names, ", ")).At("reason")
	case len(o.Note) > MaxNote || audit.Clean(o.Note) != o.Note:
		return fault.New(fault.InvalidRequest, "the note must be text of at most %d bytes without card numbers or other secrets", MaxNote).At("note")
	case o.Reason == Other && strings.TrimSpace(o.Note) == "":
		return fault.New(fault.InvalidRequest, "say in the note what is wrong").At("note")
	case o.Amount.Currency.IsValid() && !o.Amount.IsPositive():
		return fault.New(fault.InvalidAmount, "the amount must be above zero").At("amount")
	}
	if o.Text == "" {
		return nil
	}
	e := Evidence{MediaType: text, Content: []byte(o.Text)}
	return e.check()
}

// Open contests a payment of the holder's, and credits what is contested. It returns
// not_found as for another's payment, invalid_request, invalid_amount for more than was
// captured and not given back, currency_mismatch, invalid_state when nothing was captured
// or its time is over, and already_exists for a payment that is contested or was in vain.
func (s *Service) Open(ctx context.Context, o Opening) (Dispute, error) {
	if err := o.check(); err != nil {
		return Dispute{}, err
	}
	if o.Transaction != "" {
		line, err := s.Payments.Get(ctx, o.Holder.Book, o.Transaction)
		if err != nil {
			return Dispute{}, err
		}
		o.Payment = line.Payment
	}
	for try := 1; ; try++ {
		d, err := s.tryOpen(ctx, &o)
		switch {
		case storage.IsUnique(err):
			if taken, findErr := s.contested(ctx, o.Holder.Book, o.Payment); findErr != nil || taken {
				return Dispute{}, orContested(findErr)
			}
			return Dispute{}, err
		case try < maxTries && moved(err):
			continue
		case fault.CodeOf(err) == fault.GuardExceeded:
			return Dispute{}, tooMuch()
		}
		return d, err
	}
}

func tooMuch() error {
	return fault.New(fault.InvalidAmount, "the amount is above what was captured and not given back").At("amount")
}

// moved reports whether the books came out otherwise than an operation was made for, so
// that it is made again.
func moved(err error) bool {
	code := fault.CodeOf(err)
	return errors.Is(err, errMoved) || errors.Is(err, storage.ErrStale) || code == fault.AccountClosed || code == fault.AlreadyReversed
}

var errMoved = errors.New("the books moved meanwhile")

// tryOpen makes one try.
func (s *Service) tryOpen(ctx context.Context, o *Opening) (Dispute, error) {
	paid, err := s.Payments.Paid(ctx, o.Holder.Book, o.Payment)
	if err != nil {
		return Dispute{}, err
	}
	now, left, amount := s.Clocks.Now(paid.Realm), paid.Left(), o.Amount
	if amount.IsZero() {
		amount = left
	}
	switch {
	case paid.Captured.IsZero():
		return Dispute{}, fault.New(fault.InvalidState, "nothing of the payment was captured")
	case now.Sub(paid.SettledAt) > s.Policy.Within:
		return Dispute{}, fault.New(fault.InvalidState, "payments can be contested for %d days", int(s.Policy.Within/day))
	case amount.Currency != left.Currency:
		return Dispute{}, fault.New(fault.CurrencyMismatch, "the card is in %s", left.Currency).At("amount")
	case !amount.IsPositive() || amount.Minor > left.Minor:
		if taken, err := s.contested(ctx, o.Holder.Book, o.Payment); err != nil || taken {
			return Dispute{}, orContested(err)
		}
		return Dispute{}, tooMuch()
	}
	d := Dispute{Book: o.Holder.Book, Realm: paid.Realm, ID: ID(id.New(Prefix)), Payment: paid.Payment, Card: paid.Card, Reason: o.Reason, Note: o.Note,
		Amount: amount, Refunded: money.New(0, left.Currency), Credited: s.Policy.Provisional, State: Opened, Revision: 1, OpenedBy: o.Holder.Actor}
	op := ledger.Operation{Book: d.Book, Kind: kindCredit, Key: d.creditKey(), Reference: string(d.Payment), Actor: o.Holder.Actor, At: now, Follows: paid.Captures,
		Guards: []ledger.Guard{paid.Returns(d.Amount)}}
	if d.Credited {
		if err := s.give(ctx, &op, &d, issuing.Disputed(d.Amount.Currency)); err != nil {
			return Dispute{}, err
		}
	}
	if err := s.audited(ctx, &d, "dispute.open", o.Holder.Actor); err != nil {
		return Dispute{}, err
	}
	op.Effects = func(out ledger.Outcome) ([]storage.Effect, error) {
		d.CreatedAt, d.ChangedAt = out.At, out.At
		d.DueAt, _ = s.Policy.due(Opened, out.At)
		var effects []storage.Effect
		if o.Text != "" {
			d.Evidence = 1
			sealed, err := s.sealed(&d, &Evidence{Place: 1, MediaType: text, Content: []byte(o.Text), Actor: o.Holder.Actor, At: out.At})
			if err != nil {
				return nil, err
			}
			effects = append(effects, sealed)
		}
		effects = append([]storage.Effect{insertDispute.Row(d.row()...)}, effects...)
		if d.Credited {
			effects = append(effects, issuing.GivenBack(&issuing.Card{Book: d.Book, ID: d.Card}, d.Amount))
		}
		return o.Also.With(append(effects, s.event(eventOpened, &d, out.Transaction)...), d)
	}
	_, err = s.Books.Submit(ctx, op)
	return d, err
}

// orContested refuses a payment that has a dispute, unless looking for it failed.
func orContested(err error) error {
	if err != nil {
		return err
	}
	return fault.New(fault.AlreadyExists, "the payment is contested already, or was in vain").At("authorization_id")
}

// audited writes down what is about to be done to a dispute.
func (s *Service) audited(ctx context.Context, d *Dispute, action, actor string) error {
	return s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		return s.Audit.Append(ctx, tx, audit.Record{Actor: actor, Action: action, Subject: string(d.ID), Book: string(d.Book), At: s.Clocks.Now(d.Realm),
			Detail: map[string]string{"payment": string(d.Payment), "amount": d.Left().String(), "reason": audit.Clean(d.Decision)}})
	})
}
