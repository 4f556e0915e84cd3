package issuing

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/fraud/notice"
	"github.com/scripcards/scrip/internal/issuing/cardholder"
	"github.com/scripcards/scrip/internal/issuing/spending"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/wallet"
	"github.com/scripcards/scrip/internal/webhook"
)

// NewCard asks for a card.
type NewCard struct {
	BIN    string
	Amount money.Amount // what the wallet puts on it at once
	Label  string       // at most 64 characters
	// SpendingLimit, Categories and AutoFreezeAt are parts of Controls under the names
	// that callers know; zero: as Controls has them.
	SpendingLimit money.Amount
	Categories    []string
	AutoFreezeAt  money.Amount
	Metadata      map[string]string // at most 20 keys
	Controls      Controls
	Cardholder    cardholder.ID // empty: nobody in particular
	// Key makes the call repeatable; empty: it is not.
	Key  string
	Also storage.Also[Card]
}

// Issued is a card with its number, for the holder's eyes.
type Issued struct {
	Card   Card
	Number pan.Number
}

// The counters of a book's cards that are not terminated: all of them, and those of one
// cardholder.
const counterCards = "cards/live"

func counterOf(cardholder string) string { return counterCards + "/" + cardholder }

// previewed is what previews are in: deposits, which fund them, are credited in dollars.
const previewed = money.USD

// Preview makes a card that waits for its first funding, of the first active BIN of a
// network in dollars, visa or mastercard; empty: of any. It returns feature_disabled while
// issuing is off, invalid_request, currency_mismatch, or quota_exceeded.
func (s *Service) Preview(ctx context.Context, h Holder, network pan.Network, also storage.Also[Issued]) (Issued, error) {
	d, err := s.preview(ctx, network)
	if err != nil {
		return Issued{}, err
	}
	d.holder, d.also = h, also
	return s.make(ctx, &d)
}

// MayPreview returns why nobody gets a preview of a network, or nil.
func (s *Service) MayPreview(ctx context.Context, network pan.Network) error {
	_, err := s.preview(ctx, network)
	return err
}

// preview is a draft for anybody.
func (s *Service) preview(ctx context.Context, network pan.Network) (draft, error) {
	all, err := s.BINs(ctx)
	if err != nil {
		return draft{}, err
	}
	at := slices.IndexFunc(all, func(b BIN) bool {
		return b.Active && b.Currency == previewed && (network == "" || b.Network == network)
	})
	if at < 0 {
		return draft{}, fault.New(fault.InvalidRequest, "there are no cards of this network: want visa or mastercard").At("card")
	}
	d := draft{bin: all[at], status: PendingTopUp, new: NewCard{BIN: all[at].ID, Amount: money.New(0, all[at].Currency)}}
	return d, s.allow(ctx, &d)
}

// Issue makes an active card and has the wallet pay what is on it at first, and before
// that what the customer owes. It returns feature_disabled while issuing is off,
// invalid_request, invalid_amount, currency_mismatch, insufficient_funds as Fund does,
// quota_exceeded, or idempotency_conflict.
func (s *Service) Issue(ctx context.Context, h Holder, n NewCard) (Card, error) {
	d := draft{holder: h, status: Active, new: n}
	if n.Also != nil {
		d.also = func(i Issued) ([]storage.Effect, error) { return n.Also(i.Card) }
	}
	refusal := s.check(ctx, &d)
	if err := s.unlessRepeated(ctx, &ledger.Operation{Book: h.Book, Key: keyOf(kindIssue, n.Key)}, refusal); err != nil {
		return Card{}, err
	}
	if refusal != nil {
		return s.reissue(ctx, h, n)
	}
	issued, err := s.make(ctx, &d)
	return issued.Card, err
}

// reissue answers a repeated call that would be refused today.
func (s *Service) reissue(ctx context.Context, h Holder, n NewCard) (Card, error) {
	first, _, err := s.Books.FindByKey(ctx, h.Book, keyOf(kindIssue, n.Key))
	if err != nil {
		return Card{}, err
	}
	if paid := first.Moves[len(first.Moves)-1].Posted; paid != n.Amount {
		return Card{}, fault.New(fault.IdempotencyConflict, "the key was used for another card")
	}
	return s.behind(ctx, h.Book, first)
}

// draft is a card to be made.
type draft struct {
	holder Holder
	bin    BIN
	status Status
	new    NewCard
	tier   cardholder.Tier
	also   storage.Also[Issued]
}

// check completes a draft, or returns what is wrong with it.
func (s *Service) check(ctx context.Context, d *draft) error {
	n := &d.new
	if err := checkKey(n.Key); err != nil {
		return err
	}
	bin, err := s.BIN(ctx, n.BIN)
	if fault.CodeOf(err) == fault.NotFound || err == nil && !bin.Active {
		return fault.New(fault.InvalidRequest, "no such BIN").At("bin_id")
	}
	if err != nil {
		return err
	}
	d.bin = bin
	if err := s.Programme.bounded(n.Amount, bin.Currency); err != nil {
		return err
	}
	if err := checkLabel(n.Label); err != nil {
		return err
	}
	if n.Metadata, err = mergeMetadata(nil, pointers(n.Metadata)); err != nil {
		return err
	}
	if err := d.controls(); err != nil {
		return err
	}
	return s.allow(ctx, d)
}

// controls puts the controls together and checks them.
func (d *draft) controls() (err error) {
	c := d.new.Controls
	if !d.new.SpendingLimit.IsZero() {
		c.Limits = spending.With(c.Limits, spending.Limit{Window: spending.PerMonth, Amount: d.new.SpendingLimit})
	}
	if len(d.new.Categories) > 0 {
		c.Categories = d.new.Categories
	}
	if !d.new.AutoFreezeAt.IsZero() {
		c.AutoFreezeAt = d.new.AutoFreezeAt
	}
	d.new.Controls, err = c.checked(&d.bin)
	return err
}

// allow returns why the programme does not allow a card for whom it is meant.
func (s *Service) allow(ctx context.Context, d *draft) error {
	if !s.Programme.IssuingOn {
		return fault.New(fault.FeatureDisabled, "no cards are issued at the moment")
	}
	verified := false
	if d.new.Cardholder != "" {
		person, err := s.Cardholders.Get(ctx, d.holder.Book, d.new.Cardholder)
		if fault.CodeOf(err) == fault.NotFound {
			return fault.New(fault.InvalidRequest, "no such cardholder").At("cardholder_id")
		}
		if err != nil {
			return err
		}
		if !person.State.MayHold() {
			return fault.New(fault.InvalidState, "the cardholder is %s", person.State).At("cardholder_id")
		}
		verified = person.State == cardholder.Verified
	}
	if s.Programme.RequireCardholder && !verified {
		return fault.New(fault.InvalidRequest, "cards are for verified cardholders").At("cardholder_id")
	}
	var err error
	if d.tier, err = s.Cardholders.TierOf(ctx, d.holder.Book, d.new.Cardholder); err != nil {
		return err
	}
	if len(d.tier.Limits) > 0 && d.tier.Currency != d.bin.Currency {
		return fault.New(fault.CurrencyMismatch, "cards of the tier %s are in %s", d.tier.Name, d.tier.Currency).At("bin_id")
	}
	return nil
}

// bounded refuses to move less or more at once than the programme allows.
func (p *Programme) bounded(amount money.Amount, currency money.Currency) error {
	if amount.Currency != currency {
		return fault.New(fault.CurrencyMismatch, "the card is in %s", currency).At("amount")
	}
	unit := int64(1)
	for range currency.Digits() {
		unit *= 10
	}
	least, most := money.New(p.MinMajor*unit, currency), money.New(p.MaxMajor*unit, currency)
	if amount.Minor < least.Minor || amount.Minor > most.Minor {
		return fault.New(fault.InvalidAmount, "the amount must be %s to %s", least, most).At("amount")
	}
	return nil
}

// make carries a draft out.
func (s *Service) make(ctx context.Context, d *draft) (Issued, error) {
	for try := 1; ; try++ {
		owed, err := s.owed(ctx, d.holder.Book, d.bin.Currency)
		if err != nil {
			return Issued{}, err
		}
		issued, err := s.tryMake(ctx, d, owed)
		switch {
		case storage.IsUnique(err) && try < collisionTries: // the number exists: draw another
		case s.owesOther(ctx, d.holder.Book, owed, err) && try < maxTries:
		default:
			return issued, err
		}
	}
}

func (s *Service) tryMake(ctx context.Context, d *draft, owed money.Amount) (Issued, error) {
	n, h := &d.new, d.holder
	op := ledger.Operation{Book: h.Book, Actor: h.Actor, At: s.Clocks.Now(h.Realm), Key: keyOf(kindIssue, n.Key)}
	op.Kind = kindIssue
	card := Card{Book: h.Book, Realm: h.Realm, ID: CardID(id.New(idPrefix)), BIN: d.bin, Status: d.status, Label: n.Label, Metadata: n.Metadata,
		Controls: n.Controls, Holder: string(n.Cardholder), Tier: d.tier, Spent: money.New(0, d.bin.Currency), Version: 1}
	fresh, err := s.draw(d.bin.ID, card.ID)
	if err != nil {
		return Issued{}, err
	}
	card.Number, card.Last4, card.sealed, card.hash = fresh.number, fresh.number.Last4(), fresh.sealed, fresh.hash
	if h.Operator {
		if err := s.note(ctx, h, audited{kindIssue, card.ID, map[string]string{"bin": d.bin.ID, "amount": n.Amount.String(), "cardholder": card.Holder}}); err != nil {
			return Issued{}, err
		}
	}
	op.Intent = fmt.Sprintf("%q %s %q %q %s %s", n.BIN, n.Amount, n.Label, n.Cardholder, encodeMetadata(n.Metadata), encodeControls(&n.Controls))
	op.Open = []ledger.NewAccount{card.Account()}
	op.Guards = []ledger.Guard{{Counter: counterCards, Add: 1, Limit: s.Programme.MaxCards}}
	if card.Holder != "" {
		op.Guards = append(op.Guards, ledger.Guard{Counter: counterOf(card.Holder), Add: 1, Limit: orAny(d.tier.MaxCards)})
	}
	s.pay(&op, &card, n.Amount, owed)
	activated := notice.Activated(s.Vault, card.noticed())
	var issued Issued
	op.Effects = func(o ledger.Outcome) ([]storage.Effect, error) {
		card.CreatedAt, card.ExpiresAt = o.At, s.Programme.expiresAt(o.At)
		issued = Issued{Card: *card.after(&o), Number: fresh.number}
		row := record{Card: card, bin: d.bin.ID, currency: d.bin.Currency, dueAt: card.ExpiresAt}
		effects := []storage.Effect{insertCard.Row(row.row()...), insertLookup.Row(fresh.hash, string(card.Book), string(card.ID), "", nil)}
		if card.Status == Active {
			effects = append(effects, activated.Effect(o.At))
		}
		effects = append(effects, s.event(webhook.Event{Type: eventCreated}, &card, &o, nil)...)
		return d.also.With(effects, issued)
	}
	o, err := s.Books.Submit(ctx, op)
	switch fault.CodeOf(err) {
	case "":
	case fault.GuardExceeded:
		return Issued{}, fault.Wrap(err, fault.QuotaExceeded, "there are as many cards as there may be; terminate some")
	default:
		return Issued{}, fmt.Errorf("issue card: %w", owing(poor(refused(err), "wallet"), owed))
	}
	if o.Replayed {
		first, err := s.behind(ctx, h.Book, o)
		return Issued{Card: first, Number: first.Number}, err
	}
	return issued, nil
}

// orAny is a limit, of which none is any.
func orAny(limit int64) int64 {
	if limit == 0 {
		return math.MaxInt64
	}
	return limit
}

// pay has the wallet pay what is owed and put an amount on a card; nothing where it is zero.
func (s *Service) pay(op *ledger.Operation, card *Card, amount, owed money.Amount) {
	if amount.IsZero() {
		return
	}
	from, debt := wallet.Account(amount.Currency), Receivable(amount.Currency)
	op.Open = append(op.Open, from)
	if owed.IsPositive() {
		op.Postings = append(op.Postings, ledger.Posting{Debit: from.ID, Credit: debt.ID, Amount: owed})
	}
	op.Postings = append(op.Postings, ledger.Posting{Debit: from.ID, Credit: card.Account().ID, Amount: amount})
}

// owed returns what a book owes for payments beyond what was on its cards.
func (s *Service) owed(ctx context.Context, book ledger.BookID, currency money.Currency) (money.Amount, error) {
	account, err := s.Books.FindAccount(ctx, book, Receivable(currency).ID)
	if fault.CodeOf(err) == fault.NotFound {
		return money.New(0, currency), nil
	}
	if err != nil {
		return money.Amount{}, err
	}
	return account.Available(), nil
}

// Debts are what a book owes for payments beyond what was on its cards, in the currencies in
// which it owes something.
func (s *Service) Debts(ctx context.Context, book ledger.BookID) (debts []money.Amount, err error) {
	accounts, err := s.Books.ListAccounts(ctx, book, receivables, "", ledger.MaxPage)
	for _, account := range accounts {
		if owed := account.Available(); owed.IsPositive() {
			debts = append(debts, owed)
		}
	}
	return debts, err
}

// owesOther reports whether an operation may have been refused because a debt that it was
// to repay is not any more what it was.
func (s *Service) owesOther(ctx context.Context, book ledger.BookID, was money.Amount, err error) bool {
	if fault.CodeOf(err) != fault.InsufficientFunds || was.IsZero() {
		return false
	}
	now, again := s.owed(ctx, book, was.Currency)
	return again == nil && now != was
}

// poor says whose money is not enough.
func poor(err error, whose string) error {
	if fault.CodeOf(err) != fault.InsufficientFunds {
		return err
	}
	details := fault.From(err).Details
	return fault.Wrap(err, fault.InsufficientFunds, "the %s has %s available, %s are required", whose, details["available"], details["required"]).
		With("available", details["available"]).With("required", details["required"])
}

// owing says, where there is too little money, what of it is to be repaid first.
func owing(err error, owed money.Amount) error {
	if fault.CodeOf(err) != fault.InsufficientFunds || owed.IsZero() {
		return err
	}
	return fault.From(err).With("owed", owed.String())
}

// behind returns the card that an operation made, with its number, as it made it.
func (s *Service) behind(ctx context.Context, book ledger.BookID, first ledger.Outcome) (Card, error) {
	for _, b := range first.After {
		name, ok := CardOf(b.Account)
		if !ok {
			continue
		}
		c, err := s.stored(ctx, book, name)
		if err != nil {
			return Card{}, err
		}
		card := c.Card
		card.Status, card.Reason = Active, ""
		if card.Number, err = s.unseal(&card); err != nil {
			return Card{}, err
		}
		return *card.withMoney(b.Posted, b.Available), nil
	}
	return Card{}, fmt.Errorf("transaction %s made no card", first.Transaction)
}
