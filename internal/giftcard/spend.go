package giftcard

import (
	"context"
	"fmt"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/fraud/notice"
	"github.com/scripcards/scrip/internal/ledger"
)

// Movement is what one call did to a card's money.
type Movement struct {
	Transaction ledger.TransactionID
	Card        *Card // without its number; Balance, Held and Status as the call left them
	Amount      money.Amount
	Reference   string
	Hold        ledger.HoldID // the hold that was placed, captured or voided
	At          time.Time
	Replayed    bool
}

// Transfer asks to take money from a card, at once or by a hold, or to add some.
type Transfer struct {
	Secret    Secret
	Amount    money.Amount
	Reference string // required: the merchant's own number for it
	// HoldFor shortens how long a hold lasts; zero means the operator's rule. Only Hold reads it.
	HoldFor time.Duration
}

// Redeem takes money from a card. It returns insufficient_funds, currency_mismatch,
// card_expired, card_cancelled, card_blocked, not_found or idempotency_conflict.
func (s *Service) Redeem(ctx context.Context, m Merchant, transfer Transfer) (Movement, error) {
	c, err := s.begin(ctx, m, kindRedeem, transfer)
	if err != nil {
		return Movement{}, err
	}
	to := contra(redeemed, c.card.Amount.Currency)
	c.op.Open = []ledger.NewAccount{to}
	c.op.Postings = []ledger.Posting{{Debit: c.card.Account(), Credit: to.ID, Amount: transfer.Amount}}
	return s.submit(ctx, c)
}

// Hold reserves money on a card until it is captured, voided or expires, with the same faults as Redeem.
func (s *Service) Hold(ctx context.Context, m Merchant, transfer Transfer) (Movement, error) {
	c, err := s.begin(ctx, m, kindHold, transfer)
	if err != nil {
		return Movement{}, err
	}
	lasts := s.Rules.HoldFor
	if transfer.HoldFor > 0 {
		lasts = min(lasts, transfer.HoldFor)
		// How long was asked for is part of the call, when that ends is not: it differs between tries.
		c.op.Intent = fmt.Sprintf("%s %s %s for %s", c.card.ID, transfer.Amount, transfer.Amount.Currency, transfer.HoldFor)
	}
	expires := c.op.At.Add(lasts)
	if expires.After(c.card.ExpiresAt) {
		expires = c.card.ExpiresAt // a hold must not outlive its card
	}
	to := contra(redeemed, c.card.Amount.Currency)
	c.op.Open = []ledger.NewAccount{to}
	c.op.Holds = []ledger.HoldChange{{Action: ledger.Place, ID: ledger.HoldID(id.New("hold")), Amount: transfer.Amount,
		Debit: c.card.Account(), Credit: to.ID, ExpiresAt: expires}}
	return s.submit(ctx, c)
}

// Reload adds money to a card, up to the operator's limit, with the same faults as Redeem.
func (s *Service) Reload(ctx context.Context, m Merchant, transfer Transfer) (Movement, error) {
	c, err := s.begin(ctx, m, kindReload, transfer)
	if err != nil {
		return Movement{}, err
	}
	number := transfer.Secret.Number
	if number.IsZero() {
		if number, _, err = s.unseal(ctx, m.Book, c.card.ID); err != nil {
			return Movement{}, err
		}
	}
	c.reloaded = notice.Reloaded(s.Vault, notice.Card{Book: m.Book, Realm: m.Realm, Number: number})
	from := contra(funding, c.card.Amount.Currency)
	c.op.Open = []ledger.NewAccount{from}
	c.op.Postings = []ledger.Posting{{Debit: from.ID, Credit: c.card.Account(), Amount: transfer.Amount}}
	return s.submit(ctx, c)
}

// Refund asks to give back what a redemption or a capture took.
type Refund struct {
	// Original is the reference of the redemption or capture.
	Original  string
	Amount    money.Amount
	Reference string
}

// Refund returns money to the card it was taken from: several times, never more
// than was taken (guard_exceeded), and nothing where an operator reversed that in the books
// (already_reversed). A refund that was reversed there gave nothing back. A blocked card takes
// it, one that has ended does not.
func (s *Service) Refund(ctx context.Context, m Merchant, refund Refund) (Movement, error) {
	if err := checkReference(refund.Reference); err != nil {
		return Movement{}, err
	}
	original, err := s.taken(ctx, m, refund.Original)
	if err != nil {
		return Movement{}, err
	}
	taken := original.Moves[0]
	card, err := s.behind(ctx, m.Book, taken.Debit)
	if err != nil {
		return Movement{}, err
	}
	c := &change{merchant: m, card: card, asked: refund.Amount, op: s.operation(m, kindRefund, refund.Reference)}
	if err := s.unlessRepeated(ctx, c.op, card.ended(c.op.At)); err != nil {
		return Movement{}, err
	}
	if err := c.checkCurrency(); err != nil {
		return Movement{}, err
	}
	// The postings do not say what is refunded: two redemptions of one card look alike.
	c.op.Intent = fmt.Sprintf("%s %s %s", original.Transaction, refund.Amount, refund.Amount.Currency)
	c.op.Postings = []ledger.Posting{{Debit: taken.Credit, Credit: taken.Debit, Amount: refund.Amount}}
	c.op.Guards = []ledger.Guard{{Counter: refundsOf(original), Add: refund.Amount.Minor, Limit: taken.Posted.Minor}}
	c.op.Follows = []ledger.TransactionID{original.Transaction}
	done, err := s.submit(ctx, c)
	if fault.CodeOf(err) != fault.GuardExceeded {
		return done, err
	}
	undone, lost := s.undone(ctx, &card.Card, original)
	if lost != nil {
		return Movement{}, lost
	}
	if undone == 0 {
		return Movement{}, err
	}
	c.op.Guards[0].Limit += undone
	return s.submit(ctx, c)
}

// refundsOf names the counter of what was refunded of a redemption or capture.
func refundsOf(original ledger.Outcome) string {
	return "giftcard.refund/" + string(original.Transaction)
}

// reversalPages bounds the pages of a card's history in which reversed refunds are looked for.
const reversalPages = 10

// undone is what an operator reversed in the books of the refunds of a redemption or capture,
// as far as it is among what the card did last: their counter still has it.
func (s *Service) undone(ctx context.Context, card *Card, original ledger.Outcome) (minor int64, err error) {
	counter := refundsOf(original)
	before := int64(0)
	for range reversalPages {
		lines, err := s.History(ctx, card, before, ledger.MaxPage)
		if err != nil {
			return 0, err
		}
		for _, line := range lines {
			before = line.Seq
			for _, c := range line.undid {
				if c.Counter == counter {
					minor += c.Add
				}
			}
		}
		if len(lines) < ledger.MaxPage || lines[len(lines)-1].At.Before(original.At) {
			break
		}
	}
	return minor, nil
}

// taken finds the redemption or capture with a reference.
func (s *Service) taken(ctx context.Context, m Merchant, reference string) (ledger.Outcome, error) {
	unknown := fault.New(fault.NotFound, "no redemption has this reference").At("original")
	if checkReference(reference) != nil {
		return ledger.Outcome{}, unknown
	}
	original, ok, err := s.Books.FindByKey(ctx, m.Book, keyOf(kindRedeem, reference))
	if err == nil && (!ok || len(original.Moves) == 0) {
		err = unknown
	}
	return original, err
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
	return s.end(ctx, m, kindCapture, end)
}

// Void frees what a hold still reserves, all of it or a part. What a hold had whose time is over
// is free already: that is hold_ended, whether a sweep came by or not.
func (s *Service) Void(ctx context.Context, m Merchant, end End) (Movement, error) {
	return s.end(ctx, m, kindVoid, end)
}

func (s *Service) end(ctx context.Context, m Merchant, kind string, end End) (Movement, error) {
	if err := checkReference(end.Reference); err != nil {
		return Movement{}, err
	}
	if !id.Valid("hold", string(end.Hold)) {
		return Movement{}, unknownHold()
	}
	hold, err := s.Books.FindHold(ctx, m.Book, end.Hold)
	if fault.CodeOf(err) == fault.NotFound {
		return Movement{}, unknownHold()
	}
	if err != nil {
		return Movement{}, err
	}
	card, err := s.behind(ctx, m.Book, hold.Debit)
	if fault.CodeOf(err) == fault.NotFound { // another product's hold
		return Movement{}, unknownHold()
	}
	if err != nil {
		return Movement{}, err
	}
	action := ledger.Release
	if kind == kindCapture {
		action = ledger.Capture
	}
	c := &change{merchant: m, card: card, asked: end.Amount, op: s.operation(m, kind, end.Reference)}
	c.op.Holds = []ledger.HoldChange{{Action: action, ID: hold.ID, Amount: end.Amount, Final: end.Final, InTime: true}}
	moved, err := s.submit(ctx, c)
	if fault.CodeOf(err) == fault.HoldEnded {
		err = s.ended(ctx, hold, err)
	}
	return moved, err
}

// ended says of a hold that was released in the books that it is voided, as merchants call it.
func (s *Service) ended(ctx context.Context, h *ledger.Hold, err error) error {
	now, again := s.Books.FindHold(ctx, h.Book, h.ID)
	if again == nil && now.State == ledger.HoldReleased {
		return fault.Wrap(err, fault.HoldEnded, "hold %s is voided", h.ID)
	}
	return err
}

func unknownHold() error { return fault.New(fault.NotFound, "no such hold").At("hold") }
