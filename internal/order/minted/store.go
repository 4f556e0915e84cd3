package minted

import (
	"database/sql"

	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/giftcard"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
)

var (
	insertCard = storage.Insert("minted.insert_card", "order_giftcards", "book_id", "code_id", "issuer", "card_id", "currency", "voided_at", "voided_minor", "transaction_id")
	loadCards  = storage.Lookup("minted.load_cards", `SELECT g.book_id, g.code_id, g.issuer, g.card_id, g.voided_at, g.voided_minor, g.transaction_id
		FROM ({values}) AS v CROSS JOIN order_giftcards g WHERE g.book_id = v.column1 AND g.code_id = v.column2`, "TEXT", "TEXT")
	voidCard = storage.SQL("minted.void_card", `UPDATE order_giftcards SET voided_at = $3, voided_minor = $4, transaction_id = $5
		WHERE book_id = $1 AND code_id = $2 AND voided_at IS NULL`)
)

// link is which card a code is.
type link struct {
	Code
	issuer ledger.BookID
	card   giftcard.ID
	void   Void
}

// at is the link's card as it stands.
func (l *link) at(use giftcard.Use) *Card {
	c := &Card{Use: use}
	if !l.void.At.IsZero() {
		v := l.void
		v.Code, v.Amount.Currency = l.ID, use.Amount.Currency
		c.Void = &v
	}
	return c
}

func scanLink(r storage.Row) (l link, err error) {
	var voided sql.NullInt64
	var left int64
	err = r.Scan((*string)(&l.Book), (*string)(&l.ID), (*string)(&l.issuer), (*string)(&l.card), &voided, &left, (*string)(&l.void.Transaction))
	l.void.At, l.void.Amount = storage.NullTime(voided), money.Amount{Minor: left}
	return l, err
}
