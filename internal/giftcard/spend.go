package giftcard

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Movement is what one call did to a card's money.
type Movement struct {
	Transaction ledger.TransactionID
	Card        *Card // without its number; Balance and Status as the call left them
	Amount      money.Amount
	Reference   string
	Hold        ledger.HoldID // the hold that was placed, captured or voided
	At          time.Time
	Replayed    bool
}

// Spend asks to take money from a card, at once or by a hold.
type Spend struct {
	Secret    Secret
	Amount    money.Amount
	Reference string // required: the merchant's own number for it
	// HoldFor shortens how long a hold lasts; zero means the operator's rule.
	HoldFor time.Duration
}

// Redeem takes money from a card. It returns insufficient_funds, currency_mismatch,
// card_expired, card_cancelled, card_blocked, not_found or idempotency_conflict.
func (s *Service) Redeem(ctx context.Context, m Merchant, spend Spend) (Movement, error) {
	return s.spend(ctx, m, spend, kindRedeem, func(card *record, op *ledger.Operation) {
		op.Postings = []ledger.Posting{{Debit: card.Account(), Credit: op.Open[0].ID, Amount: spend.Amount}}
	})
}

// Hold reserves money on a card until it is captured, voided or expires, with the same faults as Redeem.
func (s *Service) Hold(ctx context.Context, m Merchant, spend Spend) (Movement, error) {
	return s.spend(ctx, m, spend, kindHold, func(card *record, op *ledger.Operation) {
		lasts := s.Rules.HoldFor
		if spend.HoldFor > 0 {
			lasts = min(lasts, spend.HoldFor)
		}
		expires := op.At.Add(lasts)
		if expires.After(card.ExpiresAt) {
			expires = card.ExpiresAt // a hold must not outlive its card
		}
		op.Holds = []ledger.HoldChange{{Action: ledger.Place, ID: ledger.HoldID(id.New("hold")), Amount: spend.Amount,
			Debit: card.Account(), Credit: op.Open[0].ID, ExpiresAt: expires}}
	})
}

func (s *Service) spend(ctx context.Context, m Merchant, spend Spend, kind string, fill func(*record, *ledger.Operation)) (Movement, error) {
	if err := checkReference(spend.Reference); err != nil {
		return Movement{}, err
	}
	card, refusal, err := s.toSpend(ctx, m, spend.Secret)
	if err != nil {
		return Movement{}, err
	}
	op := s.operation(m, kind, spend.Reference)
	if err := s.unlessRepeated(ctx, op, refusal); err != nil {
		return Movement{}, err
	}
	if spend.Amount.Currency != card.Amount.Currency {
		return Movement{}, wrongCurrency(card)
	}
	op.Open = []ledger.NewAccount{contra(redeemed, card.Amount.Currency)}
	fill(card, &op)
	return s.submit(ctx, m, card, op, spend.Amount)
}

// Reload asks to add money to a card.
type Reload struct {
	Secret    Secret
	Amount    money.Amount
	Reference string
}

// Reload adds money to a card, up to the operator's limit, with the same faults as Redeem.
func (s *Service) Reload(ctx context.Context, m Merchant, reload Reload) (Movement, error) {
	if err := checkReference(reload.Reference); err != nil {
		return Movement{}, err
	}
	card, refusal, err := s.toSpend(ctx, m, reload.Secret)
	if err != nil {
		return Movement{}, err
	}
	op := s.operation(m, kindReload, reload.Reference)
	if err := s.unlessRepeated(ctx, op, refusal); err != nil {
		return Movement{}, err
	}
	if reload.Amount.Currency != card.Amount.Currency {
		return Movement{}, wrongCurrency(card)
	}
	from := contra(funding, card.Amount.Currency)
	op.Open = []ledger.NewAccount{from}
	op.Postings = []ledger.Posting{{Debit: from.ID, Credit: card.Account(), Amount: reload.Amount}}
	return s.submit(ctx, m, card, op, reload.Amount)
}

// Refund asks to give back what a redemption or a capture took.
type Refund struct {
	// Original is the reference of the redemption or capture.
	Original  string
	Amount    money.Amount
	Reference string
}

// Refund returns money to the card it was taken from: several times, never more
// than was taken (guard_exceeded). A card that has ended takes nothing back.
func (s *Service) Refund(ctx context.Context, m Merchant, refund Refund) (Movement, error) {
	if err := checkReference(refund.Reference); err != nil {
		return Movement{}, err
	}
	original, taken, err := s.taken(ctx, m, refund.Original)
	if err != nil {
		return Movement{}, err
	}
	card, err := s.recordOf(ctx, m, taken.Debit)
	if err != nil {
		return Movement{}, err
	}
	op := s.operation(m, kindRefund, refund.Reference)
	ended := card.spendable(op.At)
	if fault.CodeOf(ended) == fault.CardBlocked {
		ended = nil // a blocked card may receive
	}
	if err := s.unlessRepeated(ctx, op, ended); err != nil {
		return Movement{}, err
	}
	if refund.Amount.Currency != card.Amount.Currency {
		return Movement{}, wrongCurrency(card)
	}
	op.Postings = []ledger.Posting{{Debit: taken.Credit, Credit: taken.Debit, Amount: refund.Amount}}
	op.Guards = []ledger.Guard{{Counter: "giftcard.refund/" + string(original.Transaction), Add: refund.Amount.Minor, Limit: taken.Posted.Minor}}
	return s.submit(ctx, m, card, op, refund.Amount)
}

// taken finds what a redemption or capture moved.
func (s *Service) taken(ctx context.Context, m Merchant, reference string) (ledger.Outcome, ledger.Move, error) {
	for _, kind := range []string{kindRedeem, kindCapture} {
		original, ok, err := s.Books.FindByKey(ctx, m.Book, keyOf(kind, reference))
		if err != nil {
			return ledger.Outcome{}, ledger.Move{}, err
		}
		if ok && reference != "" && len(original.Moves) > 0 {
			return original, original.Moves[0], nil
		}
	}
	return ledger.Outcome{}, ledger.Move{}, fault.New(fault.NotFound, "no redemption has this reference")
}

// End asks to capture or void a hold.
type End struct {
	Hold      ledger.HoldID
	Amount    money.Amount // zero: all that is left
	Final     bool         // a capture that also frees what it does not take
	Reference string
}

// Capture takes what a hold reserved, in one or several parts. It returns hold_ended,
// hold_exceeded, not_found or idempotency_conflict.
func (s *Service) Capture(ctx context.Context, m Merchant, end End) (Movement, error) {
	return s.end(ctx, m, end, kindCapture, ledger.Capture)
}

// Void frees what a hold still reserves.
func (s *Service) Void(ctx context.Context, m Merchant, end End) (Movement, error) {
	return s.end(ctx, m, end, kindVoid, ledger.Release)
}

func (s *Service) end(ctx context.Context, m Merchant, end End, kind string, action ledger.HoldAction) (Movement, error) {
	if err := checkReference(end.Reference); err != nil {
		return Movement{}, err
	}
	hold, err := s.Books.FindHold(ctx, m.Book, end.Hold)
	if err != nil {
		return Movement{}, err
	}
	card, err := s.recordOf(ctx, m, hold.Debit)
	if err != nil {
		return Movement{}, err
	}
	op := s.operation(m, kind, end.Reference)
	op.Holds = []ledger.HoldChange{{Action: action, ID: hold.ID, Amount: end.Amount, Final: end.Final}}
	return s.submit(ctx, m, card, op, end.Amount)
}

func (s *Service) operation(m Merchant, kind, reference string) ledger.Operation {
	return ledger.Operation{Book: m.Book, Kind: kind, Key: keyOf(kind, reference), Reference: reference, Actor: m.Actor, At: s.Clocks.Now(m.Realm)}
}

// submit runs the operation with its event and describes what it did.
func (s *Service) submit(ctx context.Context, m Merchant, card *record, op ledger.Operation, amount money.Amount) (Movement, error) {
	op.Effects = func(o ledger.Outcome) ([]storage.Effect, error) {
		if after, ok := o.Balance(card.Account()); ok && op.Kind == kindReload {
			if err := s.bounded(after.Posted); err != nil {
				return nil, err
			}
		}
		return s.event(m, &card.Card, o, moved(o, amount)), nil
	}
	o, err := s.Books.Submit(ctx, op)
	if err != nil {
		return Movement{}, fmt.Errorf("%s: %w", op.Kind, s.asCard(ctx, m, card, err))
	}
	result := card.Card
	if after, ok := o.Balance(card.Account()); ok {
		result.Balance, result.Status = after.Available, Created
		if after.Posted.IsZero() {
			result.Status = Redeemed
		}
	}
	movement := Movement{Transaction: o.Transaction, Card: &result, Amount: moved(o, amount), Reference: o.Reference, At: o.At, Replayed: o.Replayed}
	if len(o.Moves) > 0 {
		movement.Hold = o.Moves[0].Hold
	}
	return movement, nil
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

// asCard says in a gift card's words why the ledger refused.
func (s *Service) asCard(ctx context.Context, m Merchant, card *record, err error) error {
	switch fault.CodeOf(err) {
	case fault.AccountFrozen, fault.AccountClosed: // since the card was read
		now, again := s.recordOf(ctx, m, card.Account())
		if again != nil {
			return again
		}
		if refusal := now.spendable(s.Clocks.Now(m.Realm)); refusal != nil {
			return refusal
		}
	case fault.InsufficientFunds:
		available := fault.From(err).Details["available"]
		return fault.Wrap(err, fault.InsufficientFunds, "the gift card has %s %s available", available, card.Amount.Currency).
			With("available", available)
	}
	return err
}

// unlessRepeated lets a call that was made before through to its first answer, whatever became of the card since.
func (s *Service) unlessRepeated(ctx context.Context, op ledger.Operation, refusal error) error {
	if refusal == nil {
		return nil
	}
	_, done, err := s.Books.FindByKey(ctx, op.Book, op.Key)
	if err != nil {
		return err
	}
	if done {
		return nil
	}
	return refusal
}

// recordOf finds the card behind a ledger account.
func (s *Service) recordOf(ctx context.Context, m Merchant, account ledger.AccountID) (*record, error) {
	card, ok := strings.CutPrefix(string(account), "giftcard/")
	if !ok {
		return nil, unknownCard()
	}
	found, ok, err := storage.One(ctx, s.DB, scanCard, findCard, string(m.Book), card)
	if err == nil && !ok {
		err = unknownCard()
	}
	return found, err
}

func checkReference(reference string) error {
	if reference == "" || len(reference) > maxReference {
		return fault.New(fault.InvalidRequest, "the reference must have 1 to %d characters", maxReference).At("reference")
	}
	return nil
}

func wrongCurrency(card *record) error {
	return fault.New(fault.CurrencyMismatch, "the gift card is in %s", card.Amount.Currency).At("currency")
}
