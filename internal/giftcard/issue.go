package giftcard

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/plain"
	"github.com/scripcards/scrip/internal/fraud/notice"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Issue asks for a new card.
type Issue struct {
	Title      string
	TemplateID string
	Amount     money.Amount
	AmountText string // Amount as the merchant wrote it; empty: its canonical text
	// Reference makes the call repeatable; empty: it is not.
	Reference string
}

// Issued is a new card with its secrets, which are shown this once.
type Issued struct {
	Card *Card
	Key  pan.Secret
	// Replayed is true when the card had been made before, under the same reference.
	Replayed bool
}

// MaxIssues bounds the cards that are made in one transaction.
const MaxIssues = 100_000

// Limits of what a merchant writes.
const (
	maxTitle     = 128
	maxReference = 64
	// numberDigits and keyBytes: "GC" and 16 digits, "KEY_" and 128 bits.
	numberDigits = 16
	keyBytes     = 16
	// collisionTries bounds new numbers drawn after one that exists.
	collisionTries = 4
)

// Create makes a card and loads it. It returns invalid_request, invalid_amount,
// template_inactive, or idempotency_conflict when the reference made another card.
func (s *Service) Create(ctx context.Context, m Merchant, issue Issue) (Issued, error) {
	if err := s.admit(ctx, m, issue); err != nil {
		return Issued{}, err
	}
	for try := 1; ; try++ {
		issued, op, err := s.prepare(m, issue)
		if err != nil {
			return Issued{}, err
		}
		outcome, err := s.Books.Submit(ctx, op)
		if storage.IsUnique(err) && try < collisionTries {
			continue // the number exists: draw another
		}
		if err != nil {
			return Issued{}, fmt.Errorf("create gift card: %w", err)
		}
		if outcome.Replayed {
			return s.reissue(ctx, m, outcome)
		}
		return issued, nil
	}
}

// CreateNoted is Create by somebody who is not the merchant: the audit log has it before the
// card is made, and before the secrets of one that was made under the reference are shown again.
func (s *Service) CreateNoted(ctx context.Context, m Merchant, issue Issue) (Issued, error) {
	if err := s.admit(ctx, m, issue); err != nil {
		return Issued{}, err
	}
	repeated, err := s.repeated(ctx, s.operation(m, kindCreate, issue.Reference))
	if err != nil {
		return Issued{}, err
	}
	if !repeated {
		detail := map[string]string{"amount": issue.Amount.String() + " " + issue.Amount.Currency.String(),
			"template": issue.TemplateID, "reference": audit.Clean(issue.Reference)}
		if err := s.note(ctx, m, audited{action: kindCreate, detail: detail}); err != nil {
			return Issued{}, err
		}
	}
	issued, err := s.Create(ctx, m, issue)
	if fault.CodeOf(err) == fault.IdempotencyConflict {
		err = fault.Wrap(err, fault.IdempotencyConflict, "the reference was used for something else").At("reference")
	}
	if err == nil && issued.Replayed {
		err = s.note(ctx, m, audited{action: actionReveal, card: issued.Card.ID})
	}
	if err != nil {
		return Issued{}, err
	}
	return issued, nil
}

// admit returns why an issue is refused, unless it is repeated.
func (s *Service) admit(ctx context.Context, m Merchant, issue Issue) error {
	if err := issue.check(); err != nil {
		return err
	}
	return s.unlessRepeated(ctx, s.operation(m, kindCreate, issue.Reference), s.allowed(ctx, issue))
}

// Prepare draws a card and describes the operation that makes it, for a caller who submits
// it together with others. The card exists once that is done, and what is repeatable about
// it is the caller's: the issue has no reference. A number that is taken refuses the
// operation, as storage.IsUnique tells: prepare another card then. It returns
// invalid_request, invalid_amount or template_inactive.
func (s *Service) Prepare(ctx context.Context, m Merchant, issue Issue) (Issued, ledger.Operation, error) {
	if err := s.Check(ctx, issue); err != nil {
		return Issued{}, ledger.Operation{}, err
	}
	return s.prepare(m, issue)
}

// MaxTitle is the longest title, in characters.
const MaxTitle = maxTitle

// reissue answers a repeated Create with the card that the first one made, as it made it.
func (s *Service) reissue(ctx context.Context, m Merchant, first ledger.Outcome) (Issued, error) {
	found, err := s.behind(ctx, m.Book, first.Moves[0].Credit)
	if err != nil {
		return Issued{}, err
	}
	after, _ := first.Balance(found.Account())
	card := found.before().at(after, found.CreatedAt)
	card.Blocked, card.Reason = false, ""
	var key pan.Secret
	card.Number, key, err = s.unseal(ctx, m.Book, found.ID)
	return Issued{Card: card, Key: key, Replayed: true}, err
}

// createAll makes all the cards or none, in one transaction: at most MaxIssues, which were
// checked. progress, when not nil, is told how many are done; it starts again when the
// transaction has to.
func (s *Service) createAll(ctx context.Context, m Merchant, issues []Issue, progress func(done int)) ([]Issued, error) {
	for try := 1; ; try++ {
		issued, err := s.tryAll(ctx, m, issues, progress)
		if storage.IsUnique(err) && try < collisionTries {
			continue
		}
		return issued, err
	}
}

func (s *Service) tryAll(ctx context.Context, m Merchant, issues []Issue, progress func(done int)) ([]Issued, error) {
	issued := make([]Issued, len(issues))
	ops := make([]ledger.Operation, len(issues))
	for i, issue := range issues {
		var err error
		if issued[i], ops[i], err = s.prepare(m, issue); err != nil {
			return nil, fmt.Errorf("row %d: %w", i+1, err)
		}
		effects := ops[i].Effects
		ops[i].Effects = func(o ledger.Outcome) ([]storage.Effect, error) {
			if err := ctx.Err(); err != nil { // nobody waits for so many rows any more
				return nil, fault.Wrap(err, fault.Timeout, "the caller left")
			}
			return effects(o)
		}
	}
	outcomes, err := s.Books.SubmitAll(ctx, ops, progress)
	if err != nil {
		return nil, fmt.Errorf("create gift cards: %w", err)
	}
	for i, outcome := range outcomes {
		if !outcome.Replayed {
			continue
		}
		if issued[i], err = s.reissue(ctx, m, outcome); err != nil {
			return nil, err
		}
	}
	return issued, nil
}

// Check returns what is wrong with an issue, without making a card.
func (s *Service) Check(ctx context.Context, issue Issue) error {
	if err := issue.check(); err != nil {
		return err
	}
	return s.allowed(ctx, issue)
}

// check returns what is wrong with how an issue is written.
func (issue *Issue) check() error {
	if err := issue.checkTitle(); err != nil {
		return err
	}
	if issue.Reference != "" {
		if err := checkReference(issue.Reference); err != nil {
			return err
		}
	}
	if !plain.LineBytes(issue.AmountText, 0, money.MaxText) {
		return fault.New(fault.InvalidAmount, "the amount must have at most %d characters", money.MaxText).At("amount")
	}
	return nil
}

func (issue *Issue) checkTitle() error {
	if !plain.Line(issue.Title, 1, maxTitle) {
		return fault.New(fault.InvalidRequest, "the title must have 1 to %d characters of plain text", maxTitle).At("title")
	}
	return nil
}

// allowed returns why the operator's rules do not allow an issue.
func (s *Service) allowed(ctx context.Context, issue Issue) error {
	if err := s.bounded(issue.Amount); err != nil {
		return err
	}
	return s.usable(ctx, issue.TemplateID)
}

// usable returns why no card can be made with a template.
func (s *Service) usable(ctx context.Context, template string) error {
	if !templateID.MatchString(template) {
		return unknownTemplate()
	}
	found, ok, err := s.findTemplate(ctx, template)
	switch {
	case err != nil:
		return err
	case !ok:
		return unknownTemplate()
	case !found.Active:
		return fault.New(fault.TemplateInactive, "the template is not active").At("templateId")
	}
	return nil
}

func unknownTemplate() error {
	return fault.New(fault.InvalidRequest, "no such template").At("templateId")
}

// prepare draws the card's secrets and describes the operation that makes it.
func (s *Service) prepare(m Merchant, issue Issue) (Issued, ledger.Operation, error) {
	number, err := pan.GenerateAlnum(s.Random, "GC", numberDigits)
	if err != nil {
		return Issued{}, ledger.Operation{}, err
	}
	var random [keyBytes]byte
	if _, err := io.ReadFull(s.Random, random[:]); err != nil {
		return Issued{}, ledger.Operation{}, fmt.Errorf("draw key: %w", err)
	}
	if issue.AmountText == "" {
		issue.AmountText = issue.Amount.String()
	}
	op := s.operation(m, kindCreate, issue.Reference)
	card := &Card{Book: m.Book, ID: ID(id.New(idPrefix)), Number: number, Last4: number.Last4(), Title: issue.Title, TemplateID: issue.TemplateID,
		Amount: issue.Amount, AmountText: issue.AmountText, Balance: issue.Amount, Held: money.New(0, issue.Amount.Currency), Status: Created,
		CreatedAt: op.At, ExpiresAt: op.At.Add(s.Rules.Validity)}
	issued := Issued{Card: card, Key: pan.NewSecret("KEY_" + hex.EncodeToString(random[:]))}
	rows, err := s.cardRows(m, issued)
	if err != nil {
		return Issued{}, ledger.Operation{}, err
	}
	from := contra(funding, issue.Amount.Currency)
	op.Intent = fmt.Sprintf("%q %q %s %s", issue.Title, issue.TemplateID, issue.Amount, issue.Amount.Currency)
	op.Open = []ledger.NewAccount{from, {ID: card.Account(), Currency: issue.Amount.Currency, Side: ledger.Credit}}
	op.Postings = []ledger.Posting{{Debit: from.ID, Credit: card.Account(), Amount: issue.Amount}}
	activated := notice.Activated(s.Vault, notice.Card{Book: m.Book, Realm: m.Realm, Number: number})
	op.Effects = func(o ledger.Outcome) ([]storage.Effect, error) {
		event, err := s.event(m, card, o, issue.Amount)
		return append(append(event, activated.Effect(o.At)), rows...), err
	}
	return issued, op, nil
}

// cardRows seals the secrets and returns the card's row and its two look-ups.
func (s *Service) cardRows(m Merchant, issued Issued) ([]storage.Effect, error) {
	c := issued.Card
	number, err := s.Vault.Seal(purposeNumber, string(c.ID), []byte(c.Number.Reveal()))
	if err != nil {
		return nil, fmt.Errorf("seal number: %w", err)
	}
	key, err := s.Vault.Seal(purposeKey, string(c.ID), []byte(issued.Key.Reveal()))
	if err != nil {
		return nil, fmt.Errorf("seal key: %w", err)
	}
	return []storage.Effect{
		insertCard.Row(string(c.Book), string(c.ID), string(m.Realm), number, key, c.Last4, c.Title, c.TemplateID, c.Amount.Currency.String(), c.Amount.Minor,
			c.AmountText, storage.Micros(c.CreatedAt), storage.Micros(c.ExpiresAt), nil, nil, nil, ""),
		insertLookup.Row(s.hash(Secret{Number: c.Number}), string(c.Book), string(c.ID)),
		insertLookup.Row(s.hash(Secret{Key: issued.Key}), string(c.Book), string(c.ID)),
	}, nil
}
