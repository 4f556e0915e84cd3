package giftcard

import (
	"context"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/memo"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Purposes of what the vault seals and hashes for this package.
const (
	purposeNumber = "giftcard.number"
	purposeKey    = "giftcard.key"
)

// Secret is how a merchant names a card: by its number or by its key, never both.
type Secret struct {
	Number pan.Number
	Key    pan.Secret
}

func (s *Service) hash(secret Secret) []byte {
	if secret.Number.IsZero() {
		return s.Vault.Hash(purposeKey, secret.Key.Reveal())
	}
	return s.Vault.Hash(purposeNumber, secret.Number.Reveal())
}

func unknownCard() error { return fault.New(fault.NotFound, "no such gift card") }

// Find returns the merchant's card with its number, or not_found: for a card that
// does not exist and for another merchant's card alike.
func (s *Service) Find(ctx context.Context, m Merchant, secret Secret) (*Card, error) {
	found, err := s.record(ctx, m, secret)
	if err != nil {
		return nil, err
	}
	if found.Number = secret.Number; found.Number.IsZero() {
		if found.Number, _, err = s.unseal(ctx, found.Book, found.ID); err != nil {
			return nil, err
		}
	}
	return s.complete(ctx, found, s.Clocks.Now(m.Realm))
}

func (s *Service) record(ctx context.Context, m Merchant, secret Secret) (*record, error) {
	return s.read(ctx, m, s.hash(secret))
}

func (s *Service) read(ctx context.Context, m Merchant, hash []byte) (*record, error) {
	found, ok, err := storage.One(ctx, s.DB, scanCard, findByHash, hash, string(m.Book))
	if err == nil && !ok {
		err = unknownCard()
	}
	return found, err
}

// toSpend returns the merchant's card as it is remembered, and why it cannot be spent,
// if it cannot; that is looked up again before it is believed.
func (s *Service) toSpend(ctx context.Context, m Merchant, secret Secret) (*record, error, error) {
	hash := s.hash(secret)
	now := s.Clocks.Now(m.Realm)
	query := memo.Query{Key: [32]byte(hash), Now: s.Clocks.Now(realm.Live)}
	remembered, _, err := s.recent.Find(ctx, query, func(ctx context.Context) (*record, bool, error) {
		found, err := s.read(ctx, m, hash)
		return found, err == nil, err
	})
	if err != nil {
		return nil, nil, err
	}
	if remembered.Book != m.Book {
		return nil, nil, unknownCard()
	}
	if remembered.spendable(now) == nil {
		copied := *remembered
		return &copied, nil, nil
	}
	found, err := s.read(ctx, m, hash)
	if err != nil {
		return nil, nil, err
	}
	return found, found.spendable(now), nil
}

// FindAnywhere returns the card with the given number, whoever issued it, or not_found.
func (s *Service) FindAnywhere(ctx context.Context, number pan.Number) (*Card, error) {
	found, ok, err := storage.One(ctx, s.DB, scanCard, findAnywhere, s.Vault.Hash(purposeNumber, number.Reveal()))
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, unknownCard()
	}
	found.Number = number
	return s.completeIn(ctx, found)
}

// Get returns a card by its id, without its number, or not_found.
func (s *Service) Get(ctx context.Context, book ledger.BookID, id ID) (*Card, error) {
	found, ok, err := storage.One(ctx, s.DB, scanCard, findCard, string(book), string(id))
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, unknownCard()
	}
	return s.completeIn(ctx, found)
}

// completeIn completes a card by the clock of its own book's realm.
func (s *Service) completeIn(ctx context.Context, found *record) (*Card, error) {
	book, err := s.Books.FindBook(ctx, found.Book)
	if err != nil {
		return nil, err
	}
	return s.complete(ctx, found, s.Clocks.Now(book.Realm))
}

// List returns up to limit cards of a book made before the given one, newest first; "" begins at the newest.
func (s *Service) List(ctx context.Context, book ledger.BookID, before ID, limit int) ([]*Card, error) {
	if before == "" {
		before = "gc~" // after every id
	}
	records, err := storage.All(ctx, s.DB, scanCard, listCards, string(book), string(before), min(max(limit, 1), ledger.MaxPage))
	if err != nil {
		return nil, err
	}
	cards := make([]*Card, 0, len(records))
	for _, r := range records {
		card, err := s.completeIn(ctx, r)
		if err != nil {
			return nil, err
		}
		cards = append(cards, card)
	}
	return cards, nil
}

// Reveal returns a card's number and key. It is written to the audit log first.
func (s *Service) Reveal(ctx context.Context, book ledger.BookID, id ID, actor string) (pan.Number, pan.Secret, error) {
	card, err := s.Get(ctx, book, id)
	if err != nil {
		return pan.Number{}, pan.Secret{}, err
	}
	record := audit.Record{Actor: actor, Action: "giftcard.reveal", Subject: string(card.ID), Book: string(book), At: s.Clocks.Now(realm.Live)}
	if err := s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error { return s.Audit.Append(ctx, tx, record) }); err != nil {
		return pan.Number{}, pan.Secret{}, err
	}
	return s.unseal(ctx, book, id)
}

func (s *Service) unseal(ctx context.Context, book ledger.BookID, id ID) (pan.Number, pan.Secret, error) {
	found, ok, err := storage.One(ctx, s.DB, scanSealed, findSealed, string(book), string(id))
	if err == nil && !ok {
		err = unknownCard()
	}
	if err != nil {
		return pan.Number{}, pan.Secret{}, err
	}
	text, err := s.Vault.Unseal(purposeNumber, string(id), found.number)
	if err != nil {
		return pan.Number{}, pan.Secret{}, err
	}
	number, err := pan.ParseAlnum(string(text))
	if err != nil {
		return pan.Number{}, pan.Secret{}, err
	}
	key, err := s.Vault.Unseal(purposeKey, string(id), found.key)
	return number, pan.NewSecret(string(key)), err
}
