package giftcard

import (
	"context"
	"crypto/subtle"
	"database/sql"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
)

const cardColumns = `c.book_id, c.card_id, c.last4, c.title, c.template_id, c.currency, c.amount_minor, c.amount_text,
	c.created_at, c.expires_at, c.blocked_at, c.ended_at, c.ended_as, c.reason`

const isNearest = `l.hash = COALESCE((SELECT n.hash FROM giftcard_lookup n WHERE n.hash >= v.column1 ORDER BY n.hash LIMIT 1),
	(SELECT n.hash FROM giftcard_lookup n ORDER BY n.hash LIMIT 1))`

var (
	insertCard = storage.Insert("giftcard.insert_card", "giftcards", "book_id", "card_id", "realm", "number_sealed", "key_sealed", "last4", "title",
		"template_id", "currency", "amount_minor", "amount_text", "created_at", "expires_at", "blocked_at", "ended_at", "ended_as", "reason")
	insertLookup = storage.Insert("giftcard.insert_lookup", "giftcard_lookup", "hash", "book_id", "card_id")

	findByHash = storage.SQL("giftcard.find_by_hash", `SELECT `+cardColumns+` FROM giftcard_lookup l
		JOIN giftcards c ON c.book_id = l.book_id AND c.card_id = l.card_id WHERE l.hash = $1 AND l.book_id = $2`)
	findAnywhere = storage.SQL("giftcard.find_anywhere", `SELECT `+cardColumns+` FROM giftcard_lookup l
		JOIN giftcards c ON c.book_id = l.book_id AND c.card_id = l.card_id WHERE l.hash = $1`)
	// nearest and nearestKeys are, for each of some hashes, the card behind it, or else behind
	// the one after it, or behind the first: there is one as long as there is any card, and
	// it takes as long whether the hash is there or not.
	nearest = storage.Lookup("giftcard.nearest", `SELECT v.column1, l.hash, `+cardColumns+` FROM ({values}) AS v
		CROSS JOIN giftcard_lookup l JOIN giftcards c ON c.book_id = l.book_id AND c.card_id = l.card_id WHERE `+isNearest, "BYTEA")
	nearestKeys = storage.Lookup("giftcard.nearest_keys", `SELECT v.column1, l.hash, l.book_id, l.card_id FROM ({values}) AS v
		CROSS JOIN giftcard_lookup l WHERE `+isNearest, "BYTEA")

	findCard   = storage.SQL("giftcard.find_card", `SELECT `+cardColumns+` FROM giftcards c WHERE c.book_id = $1 AND c.card_id = $2`)
	loadCards  = storage.Lookup("giftcard.load_cards", `SELECT `+cardColumns+` FROM giftcards c WHERE (c.book_id, c.card_id) IN ({values})`, "TEXT", "TEXT")
	findSealed = storage.SQL("giftcard.find_sealed", `SELECT number_sealed, key_sealed FROM giftcards WHERE book_id = $1 AND card_id = $2`)
	listCards  = storage.SQL("giftcard.list_cards", `SELECT `+cardColumns+` FROM giftcards c
		WHERE c.book_id = $1 AND c.card_id < $2 ORDER BY c.card_id DESC LIMIT $3`)
	dueCards = storage.SQL("giftcard.due_cards", `SELECT `+cardColumns+` FROM giftcards c
		WHERE c.ended_at IS NULL AND c.realm = $2 AND c.expires_at <= $1
		AND c.expires_at >= $3 AND (c.expires_at, c.book_id, c.card_id) > ($3, $4, $5)
		ORDER BY c.expires_at, c.book_id, c.card_id LIMIT $6`)

	markEnded = storage.SQL("giftcard.mark_ended",
		`UPDATE giftcards SET ended_at = $3, ended_as = $4, reason = COALESCE($5, reason) WHERE book_id = $1 AND card_id = $2 AND ended_at IS NULL`)
	markBlocked = storage.SQL("giftcard.mark_blocked",
		`UPDATE giftcards SET blocked_at = $3, reason = $4 WHERE book_id = $1 AND card_id = $2 AND ended_at IS NULL`)
)

// record is a stored card; its money is added from its account.
type record struct {
	Card
	endedAs sql.NullString
}

func scanCard(r storage.Row) (*record, error) {
	var (
		c                record
		currency         string
		created, expires int64
		blocked, ended   sql.NullInt64
	)
	err := r.Scan((*string)(&c.Book), (*string)(&c.ID), &c.Last4, &c.Title, &c.TemplateID, &currency, &c.Amount.Minor, &c.AmountText,
		&created, &expires, &blocked, &ended, &c.endedAs, &c.Reason)
	if err != nil {
		return nil, err
	}
	c.CreatedAt, c.ExpiresAt, c.EndedAt, c.Blocked = storage.Time(created), storage.Time(expires), storage.NullTime(ended), blocked.Valid
	c.Amount.Currency, err = money.Parse(currency)
	return &c, err
}

// at completes the card with the money on its account and its status at now.
func (c *record) at(account ledger.Balance, now time.Time) *Card {
	card := &c.Card
	card.Balance, card.Held = account.Available, money.New(account.Posted.Minor-account.Available.Minor, card.Amount.Currency)
	switch {
	case c.endedAs.Valid:
		card.Status = Status(c.endedAs.String)
	case account.Posted.IsZero():
		card.Status = Redeemed
	case c.expired(now):
		card.Status = Expired
	default:
		card.Status = Created
		return card
	}
	card.Balance = money.New(0, card.Amount.Currency)
	return card
}

// before is the card as it was before it ended: what a call that came earlier saw.
func (c *record) before() *record {
	then := *c
	then.endedAs, then.EndedAt = sql.NullString{}, time.Time{}
	return &then
}

func (c *record) expired(now time.Time) bool { return !now.Before(c.ExpiresAt) }

// ended returns why nothing can be done with the stored card at now, if it has ended.
func (c *record) ended(now time.Time) error {
	switch {
	case c.endedAs.String == string(Cancelled):
		return fault.New(fault.CardCancelled, "the gift card was cancelled")
	case c.endedAs.Valid || c.expired(now):
		return fault.New(fault.CardExpired, "the gift card expired on %s", c.ExpiresAt.Format(time.DateOnly))
	}
	return nil
}

// spendable returns why the stored card cannot be spent at now, if it cannot. Its
// balance is the ledger's to judge, and so is at last whether it is blocked.
func (c *record) spendable(now time.Time) error {
	if err := c.ended(now); err != nil {
		return err
	}
	if c.Blocked {
		return fault.New(fault.CardBlocked, "the gift card is blocked")
	}
	return nil
}

// near is the card that was found for a hash.
type near struct {
	asked []byte
	known bool // it is the hash's
	card  *record
}

func scanNear(r storage.Row) (n near, err error) {
	var hash []byte
	n.card, err = scanCard(prefixed{r, []any{&n.asked, &hash}})
	n.known = subtle.ConstantTimeCompare(hash, n.asked) == 1
	return n, err
}

// nearKey is whose the key is that was found for a hash.
type nearKey struct {
	asked []byte
	known bool
	card  cardKey
}

// cardKey names a card among those of all books.
type cardKey struct {
	book ledger.BookID
	id   ID
}

func scanNearKey(r storage.Row) (n nearKey, err error) {
	var hash []byte
	err = r.Scan(&n.asked, &hash, (*string)(&n.card.book), (*string)(&n.card.id))
	n.known = subtle.ConstantTimeCompare(hash, n.asked) == 1
	return n, err
}

// prefixed scans other columns before those of a card.
type prefixed struct {
	storage.Row
	first []any
}

func (p prefixed) Scan(dest ...any) error { return p.Row.Scan(append(p.first, dest...)...) }

type sealed struct{ number, key []byte }

func scanSealed(r storage.Row) (s sealed, err error) {
	err = r.Scan(&s.number, &s.key)
	return s, err
}

// stored finds a card by its id within its book, or returns not_found.
func (s *Service) stored(ctx context.Context, book ledger.BookID, card ID) (*record, error) {
	if !id.Valid(idPrefix, string(card)) {
		return nil, unknownCard()
	}
	found, ok, err := storage.One(ctx, s.DB, scanCard, findCard, string(book), string(card))
	if err == nil && !ok {
		err = unknownCard()
	}
	return found, err
}

// behind finds the card behind a ledger account.
func (s *Service) behind(ctx context.Context, book ledger.BookID, account ledger.AccountID) (*record, error) {
	card, ok := strings.CutPrefix(string(account), accountPrefix)
	if !ok {
		return nil, unknownCard()
	}
	return s.stored(ctx, book, ID(card))
}

// complete adds the money to a stored card.
func (s *Service) complete(ctx context.Context, c *record, in realm.Realm) (*Card, error) {
	account, err := s.Books.FindAccount(ctx, c.Book, c.Account())
	if err != nil {
		return nil, err
	}
	return s.completeWith(ctx, c, account, in)
}

// follow has a card blocked while its account is frozen, whoever froze it.
func (c *record) follow(account *ledger.Account) {
	if account.State != ledger.Closed {
		c.Blocked = account.State == ledger.Frozen
	}
}

// completeWith adds the money on its account, which was read after it, to a stored card, by the
// clock of its realm. What holds have whose time is over is not held any more, swept or not.
func (s *Service) completeWith(ctx context.Context, c *record, account *ledger.Account, in realm.Realm) (*Card, error) {
	if account.State == ledger.Closed && !c.endedAs.Valid { // it ended between the two readings
		again, err := s.stored(ctx, c.Book, c.ID)
		if err != nil {
			return nil, err
		}
		again.Number = c.Number
		c = again
	}
	c.follow(account)
	now := s.Clocks.Now(in)
	free, err := s.Books.Overdue(ctx, in, account, now)
	if err != nil {
		return nil, err
	}
	free.Minor += account.Available().Minor
	return c.at(ledger.Balance{Posted: account.Posted(), Available: free}, now), nil
}
