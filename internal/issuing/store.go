package issuing

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/issuing/cardholder"
	"github.com/scripcards/scrip/internal/issuing/spending"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
)

const (
	cardColumns = `c.book_id, c.card_id, c.realm, c.bin_id, c.currency, c.number_sealed, c.number_hash, c.last4, c.status, c.reason, c.label,
	c.metadata, c.controls, c.cardholder_id, c.version, c.spent_minor, c.transactions, c.created_at, c.expires_at, c.due_at, c.last_used_at,
	c.used_up_at, c.frozen_at, c.ended_at, c.closed_at`
	fromCards = ` FROM issuing_cards c WHERE c.book_id = $1`
	// filtered cards have, at the time $2, the status $3, the BIN $4 and the text $5 in their label.
	filtered = fromCards + ` AND ($3 = '' OR CASE WHEN c.due_at <= $2 THEN 'terminated' ELSE c.status END = $3)
		AND ($4 = '' OR c.bin_id = $4) AND ($5 = '' OR REPLACE(c.label_folded, $5, '') <> c.label_folded)`
	paged = ` LIMIT $6 OFFSET $7`
)

var (
	insertCard = storage.Insert("issuing.insert_card", "issuing_cards", "book_id", "card_id", "realm", "bin_id", "currency", "number_sealed",
		"number_hash", "last4", "status", "reason", "label", "label_folded", "metadata", "controls", "cardholder_id", "version", "spent_minor",
		"transactions", "created_at", "expires_at", "due_at", "last_used_at", "used_up_at", "frozen_at", "ended_at", "closed_at")
	insertLookup = storage.Insert("issuing.insert_lookup", "issuing_lookup", "hash", "book_id", "card_id", "reason", "replaced_at")

	findCards = storage.Lookup("issuing.find_cards", `SELECT `+cardColumns+` FROM ({values}) AS v
		CROSS JOIN issuing_cards c WHERE c.book_id = v.column1 AND c.card_id = v.column2`, "TEXT", "TEXT")
	lockCard = storage.SQL("issuing.lock_card", `SELECT `+cardColumns+fromCards+` AND c.card_id = $2 {lock}`)
	// nearestOwner is the card behind a number's hash, or else behind the one after it, or
	// behind the first: there is one as long as there is any card, and it takes as long
	// whether the hash is there or not.
	nearestOwner = storage.SQL("issuing.nearest_owner", `SELECT hash, book_id, card_id FROM issuing_lookup WHERE hash = COALESCE(
		(SELECT n.hash FROM issuing_lookup n WHERE n.hash >= $1 ORDER BY n.hash LIMIT 1),
		(SELECT n.hash FROM issuing_lookup n ORDER BY n.hash LIMIT 1))`)
	findOwner  = storage.SQL("issuing.find_owner", `SELECT book_id, card_id, reason, replaced_at FROM issuing_lookup WHERE hash = $1`)
	countCards = storage.SQL("issuing.count_cards", `SELECT COUNT(*)`+filtered)
	dueCards   = storage.SQL("issuing.due_cards", `SELECT `+cardColumns+` FROM issuing_cards c
		WHERE c.closed_at IS NULL AND c.realm = $2 AND c.due_at <= $1
		AND c.due_at >= $3 AND (c.due_at, c.book_id, c.card_id) > ($3, $4, $5)
		ORDER BY c.due_at, c.book_id, c.card_id LIMIT $6`)
	listOf = storage.SQL("issuing.list_of_cardholder", `SELECT `+cardColumns+fromCards+` AND c.cardholder_id = $2
		AND c.closed_at IS NULL AND c.card_id > $3 ORDER BY c.card_id LIMIT $4`)

	listNewest   = storage.SQL("issuing.list_newest", `SELECT `+cardColumns+filtered+` ORDER BY c.card_id DESC`+paged)
	listOldest   = storage.SQL("issuing.list_oldest", `SELECT `+cardColumns+filtered+` ORDER BY c.card_id`+paged)
	listAfter    = storage.SQL("issuing.list_after", `SELECT `+cardColumns+filtered+` AND c.card_id > $7 ORDER BY c.card_id LIMIT $6`)
	listUsed     = storage.SQL("issuing.list_used", `SELECT `+cardColumns+filtered+` ORDER BY COALESCE(c.last_used_at, 0) DESC, c.card_id DESC`+paged)
	listUnused   = storage.SQL("issuing.list_unused", `SELECT `+cardColumns+filtered+` ORDER BY COALESCE(c.last_used_at, 0), c.card_id`+paged)
	listOpen     = storage.SQL("issuing.list_open", `SELECT `+cardColumns+filtered+` AND c.closed_at IS NULL ORDER BY c.card_id`+paged)
	countClosed  = storage.SQL("issuing.count_closed", `SELECT COUNT(*)`+filtered+` AND c.closed_at IS NOT NULL`)
	listClosed   = storage.SQL("issuing.list_closed", `SELECT `+cardColumns+filtered+` AND c.closed_at IS NOT NULL ORDER BY c.card_id DESC`+paged)
	listClosedUp = storage.SQL("issuing.list_closed_up", `SELECT `+cardColumns+filtered+` AND c.closed_at IS NOT NULL ORDER BY c.card_id`+paged)
)

// Changes of a card, each of the version that it was decided on.
var (
	checkVersion = storage.SQL("issuing.check_version", `UPDATE issuing_cards SET version = $3 WHERE book_id = $1 AND card_id = $2 AND version = $3`)
	markStatus   = storage.SQL("issuing.mark_status", `UPDATE issuing_cards SET status = $4, reason = $5, frozen_at = $6, version = version + 1
		WHERE book_id = $1 AND card_id = $2 AND version = $3`)
	markEnded = storage.SQL("issuing.mark_ended", `UPDATE issuing_cards SET status = 'terminated', reason = $4, ended_at = $5, due_at = $5,
		closed_at = $6, frozen_at = NULL, version = version + 1 WHERE book_id = $1 AND card_id = $2 AND version = $3`)
	markClosed = storage.SQL("issuing.mark_closed", `UPDATE issuing_cards SET closed_at = $3, version = version + 1
		WHERE book_id = $1 AND card_id = $2 AND ended_at IS NOT NULL AND closed_at IS NULL`)
	changeNumber = storage.SQL("issuing.change_number", `UPDATE issuing_cards SET number_sealed = $4, number_hash = $5, last4 = $6, expires_at = $7,
		due_at = $7, version = version + 1 WHERE book_id = $1 AND card_id = $2 AND version = $3`)
	retireNumber = storage.SQL("issuing.retire_number", `UPDATE issuing_lookup SET reason = $2, replaced_at = $3 WHERE hash = $1 AND replaced_at IS NULL`)
	setControls  = storage.SQL("issuing.set_controls", `UPDATE issuing_cards SET label = $4, label_folded = $5, metadata = $6, controls = $7,
		version = version + 1 WHERE book_id = $1 AND card_id = $2 AND version = $3`)

	markUsed = storage.SQL("issuing.mark_used", `UPDATE issuing_cards SET last_used_at = $4, spent_minor = spent_minor + $5,
		transactions = transactions + 1 WHERE book_id = $1 AND card_id = $2 AND version = $3`)
	giveBack   = storage.SQL("issuing.give_back", `UPDATE issuing_cards SET spent_minor = spent_minor - $3 WHERE book_id = $1 AND card_id = $2`)
	markUsedUp = storage.SQL("issuing.mark_used_up", `UPDATE issuing_cards SET used_up_at = $3, version = version + 1,
		due_at = CASE WHEN due_at < $3 THEN due_at ELSE $3 END
		WHERE book_id = $1 AND card_id = $2 AND used_up_at IS NULL AND status <> 'terminated'`)
)

// record is a stored card; its money is added from its account.
type record struct {
	Card
	bin      string
	currency money.Currency
	dueAt    time.Time // expired, used up or, once terminated, to be closed
	usedUpAt time.Time
	closedAt time.Time
}

func scanCard(r storage.Row) (*record, error) {
	var (
		c                                    record
		currency, metadata, controls         string
		created, expires, due                int64
		lastUsed, usedUp, frozen, end, close sql.NullInt64
	)
	err := r.Scan((*string)(&c.Book), (*string)(&c.ID), (*string)(&c.Realm), &c.bin, &currency, &c.sealed, &c.hash, &c.Last4, (*string)(&c.Status),
		&c.Reason, &c.Label, &metadata, &controls, &c.Holder, &c.Version, &c.Spent.Minor, &c.Transactions, &created, &expires, &due, &lastUsed,
		&usedUp, &frozen, &end, &close)
	if err != nil {
		return nil, err
	}
	if c.currency, err = money.Parse(currency); err != nil {
		return nil, err
	}
	c.Spent.Currency = c.currency
	c.CreatedAt, c.ExpiresAt, c.dueAt = storage.Time(created), storage.Time(expires), storage.Time(due)
	c.LastUsedAt, c.usedUpAt, c.FrozenAt = storage.NullTime(lastUsed), storage.NullTime(usedUp), storage.NullTime(frozen)
	c.EndedAt, c.closedAt = storage.NullTime(end), storage.NullTime(close)
	if err := json.Unmarshal([]byte(metadata), &c.Metadata); err != nil {
		return nil, fmt.Errorf("card %s: metadata: %w", c.ID, err)
	}
	c.Controls, err = decodeControls(controls, c.currency)
	return &c, err
}

// row is the card as it is inserted.
func (c *record) row() []any {
	return []any{string(c.Book), string(c.ID), string(c.Realm), c.bin, c.currency.String(), c.sealed, c.hash, c.Last4, string(c.Status), c.Reason,
		c.Label, fold(c.Label), encodeMetadata(c.Metadata), encodeControls(&c.Controls), c.Holder, c.Version, int64(0), int64(0),
		storage.Micros(c.CreatedAt), storage.Micros(c.ExpiresAt), storage.Micros(c.dueAt), nil, nil, nil, nil, nil}
}

// keptControls are controls as they are stored: amounts in the card's currency.
type keptControls struct {
	Limits       json.RawMessage
	Categories   []string
	Countries    []string
	Currencies   []money.Currency
	Merchant     string
	SingleUse    bool
	AutoFreezeAt int64
}

func encodeControls(c *Controls) string {
	text, err := json.Marshal(keptControls{json.RawMessage(spending.Encode(c.Limits)), c.Categories, c.Countries, c.Currencies, c.Merchant, c.SingleUse,
		c.AutoFreezeAt.Minor})
	if err != nil { // checked currencies always have a text
		return "{}"
	}
	return string(text)
}

func decodeControls(text string, currency money.Currency) (Controls, error) {
	var k keptControls
	if err := json.Unmarshal([]byte(text), &k); err != nil {
		return Controls{}, fmt.Errorf("read controls: %w", err)
	}
	limits, err := spending.Decode(string(k.Limits), currency)
	return Controls{Limits: limits, Categories: k.Categories, Countries: k.Countries, Currencies: k.Currencies, Merchant: k.Merchant,
		SingleUse: k.SingleUse, AutoFreezeAt: money.New(k.AutoFreezeAt, currency)}, err
}

func encodeMetadata(m map[string]string) string {
	if len(m) == 0 {
		return "{}"
	}
	text, err := json.Marshal(m) // sorts the names
	if err != nil {
		return "{}"
	}
	return string(text)
}

func unknownCard() error { return fault.New(fault.NotFound, "no such card") }

// cardName names a card in its book.
type cardName struct {
	book ledger.BookID
	card CardID
}

// read returns the rows of some cards.
func (s *Service) read(ctx context.Context, names []cardName) ([]record, error) {
	values := make([][]any, len(names))
	for i, n := range names {
		values[i] = []any{string(n.book), string(n.card)}
	}
	return storage.AllOf(ctx, s.DB, storage.Values(scanCard), findCards, values)
}

// stored finds a card by its id within its book, or returns not_found. Those who look at
// once share a look.
func (s *Service) stored(ctx context.Context, book ledger.BookID, card CardID) (*record, error) {
	if !id.Valid(idPrefix, string(card)) {
		return nil, unknownCard()
	}
	found, err := s.rows.Ask(ctx, cardName{book, card})
	if err == nil && !found.Found {
		err = unknownCard()
	}
	if err != nil {
		return nil, err
	}
	return &found.Value, s.complete(ctx, &found.Value)
}

// complete adds what is kept elsewhere: the BIN and the tier.
func (s *Service) complete(ctx context.Context, c *record) error {
	all, err := s.BINs(ctx)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(all, func(b BIN) bool { return b.ID == c.bin })
	if at < 0 {
		return fmt.Errorf("card %s: there is no BIN %s", c.ID, c.bin)
	}
	c.BIN = all[at]
	c.Balance, c.Held = money.New(0, c.currency), money.New(0, c.currency)
	c.Tier, err = s.Cardholders.TierOf(ctx, c.Book, cardholder.ID(c.Holder))
	return err
}

// at returns the card as it is at an instant: one that expired or was used up is
// terminated, whether or not a sweep came by.
func (c *record) at(now time.Time) *Card {
	card := c.Card
	if card.Status != Terminated && !now.Before(c.dueAt) {
		card.Status, card.EndedAt, card.FrozenAt, card.Reason = Terminated, c.dueAt, time.Time{}, c.dueReason()
	}
	return &card
}

// dueReason is why the card ends when it is due.
func (c *record) dueReason() string {
	if !c.usedUpAt.IsZero() {
		return ReasonUsedUp
	}
	return ReasonExpired
}

// withMoney adds what is on the account.
func (c *Card) withMoney(posted, available money.Amount) *Card {
	c.Balance, c.Held = available, money.New(posted.Minor-available.Minor, available.Currency)
	return c
}

// owner is the card behind a number.
type owner struct {
	book ledger.BookID
	card CardID
	// reason and replacedAt are of a number that was replaced.
	reason     string
	replacedAt time.Time
}

func scanOwner(r storage.Row) (o owner, err error) {
	var replaced sql.NullInt64
	err = r.Scan((*string)(&o.book), (*string)(&o.card), &o.reason, &replaced)
	o.replacedAt = storage.NullTime(replaced)
	return o, err
}

// neighbour is the card behind a hash, or behind the one after it.
type neighbour struct {
	hash []byte
	owner
}

func scanNeighbour(r storage.Row) (n neighbour, err error) {
	err = r.Scan(&n.hash, (*string)(&n.book), (*string)(&n.card))
	return n, err
}

// hasNumber reports whether the card's number is the one with a hash.
func (c *Card) hasNumber(hash []byte) bool { return bytes.Equal(c.hash, hash) }
