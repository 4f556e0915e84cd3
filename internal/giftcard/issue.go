package giftcard

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
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
}

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
	if err := s.check(ctx, issue); err != nil {
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

// reissue answers a repeated Create with the card that the first one made.
func (s *Service) reissue(ctx context.Context, m Merchant, first ledger.Outcome) (Issued, error) {
	card := ID(strings.TrimPrefix(string(first.Moves[0].Credit), "giftcard/"))
	found, err := s.Get(ctx, m.Book, card)
	if err != nil {
		return Issued{}, err
	}
	number, key, err := s.unseal(ctx, m.Book, card)
	found.Number = number
	return Issued{Card: found, Key: key}, err
}

// CreateAll makes all the cards or none, in one transaction.
func (s *Service) CreateAll(ctx context.Context, m Merchant, issues []Issue, progress func(done int)) ([]Issued, error) {
	for i, issue := range issues {
		if err := s.check(ctx, issue); err != nil {
			return nil, fmt.Errorf("row %d: %w", i+1, err)
		}
	}
	issued := make([]Issued, len(issues))
	ops := make([]ledger.Operation, len(issues))
	for i, issue := range issues {
		var err error
		if issued[i], ops[i], err = s.prepare(m, issue); err != nil {
			return nil, fmt.Errorf("row %d: %w", i+1, err)
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
func (s *Service) Check(ctx context.Context, issue Issue) error { return s.check(ctx, issue) }

func (s *Service) check(ctx context.Context, issue Issue) error {
	if n := utf8.RuneCountInString(issue.Title); n < 1 || n > maxTitle || strings.TrimSpace(issue.Title) == "" {
		return fault.New(fault.InvalidRequest, "the title must have 1 to %d characters", maxTitle).At("title")
	}
	if len(issue.Reference) > maxReference {
		return fault.New(fault.InvalidRequest, "the reference must have at most %d characters", maxReference).At("reference")
	}
	if err := s.bounded(issue.Amount); err != nil {
		return err
	}
	template, ok, err := s.findTemplate(ctx, issue.TemplateID)
	switch {
	case err != nil:
		return err
	case !ok:
		return fault.New(fault.InvalidRequest, "no such template").At("templateId")
	case !template.Active:
		return fault.New(fault.TemplateInactive, "the template is not active").At("templateId")
	}
	return nil
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
	now := s.Clocks.Now(m.Realm)
	if issue.AmountText == "" {
		issue.AmountText = issue.Amount.String()
	}
	card := &Card{Book: m.Book, ID: ID(id.New("gc")), Number: number, Last4: number.Last4(), Title: issue.Title, TemplateID: issue.TemplateID,
		Amount: issue.Amount, AmountText: issue.AmountText, Balance: issue.Amount, Held: money.New(0, issue.Amount.Currency), Status: Created,
		CreatedAt: now, ExpiresAt: now.Add(s.Rules.Validity)}
	issued := Issued{Card: card, Key: pan.NewSecret("KEY_" + hex.EncodeToString(random[:]))}
	effects, err := s.cardRows(issued)
	if err != nil {
		return Issued{}, ledger.Operation{}, err
	}
	from := contra(funding, issue.Amount.Currency)
	op := ledger.Operation{Book: m.Book, Kind: kindCreate, Key: keyOf(kindCreate, issue.Reference), Reference: issue.Reference, At: now,
		Intent:   fmt.Sprintf("%q %q %s %s", issue.Title, issue.TemplateID, issue.Amount, issue.Amount.Currency),
		Open:     []ledger.NewAccount{from, {ID: card.Account(), Currency: issue.Amount.Currency, Side: ledger.Credit}},
		Postings: []ledger.Posting{{Debit: from.ID, Credit: card.Account(), Amount: issue.Amount}}}
	op.Effects = func(o ledger.Outcome) ([]storage.Effect, error) {
		return append(effects, s.event(m, card, o, issue.Amount)...), nil
	}
	return issued, op, nil
}

// cardRows seals the secrets and returns the card's row and its two look-ups.
func (s *Service) cardRows(issued Issued) ([]storage.Effect, error) {
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
		insertCard.Row(string(c.Book), string(c.ID), number, key, c.Last4, c.Title, c.TemplateID, c.Amount.Currency.String(), c.Amount.Minor,
			c.AmountText, storage.Micros(c.CreatedAt), storage.Micros(c.ExpiresAt), nil, nil, nil, ""),
		insertLookup.Row(s.hash(Secret{Number: c.Number}), string(c.Book), string(c.ID)),
		insertLookup.Row(s.hash(Secret{Key: issued.Key}), string(c.Book), string(c.ID)),
	}, nil
}
