package authorization

import (
	"context"
	"database/sql"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
)

const (
	paymentColumns = `p.book_id, p.payment_id, p.realm, p.card_id, p.state, p.revision, p.merchant_id, p.merchant_name, p.mcc, p.city, p.country,
		p.terminal, p.acquirer, p.entry, p.challenge_id, p.counted, p.created_at, p.expires_at, p.ended_at`
	lineColumns = `t.transaction_id, t.type, t.print, t.currency, t.amount_minor, t.balance_minor, t.original_currency, t.original_minor,
		t.reason, t.code, t.avs, t.score, t.stood_in, t.books_id, t.presented_at, t.created_at`
	fromLines = ` FROM authorization_transactions t
		JOIN authorization_payments p ON p.book_id = t.book_id AND p.payment_id = t.payment_id `
	// listed are a history: steps of payments are in their timelines alone.
	listed = ` AND t.type IN ('authorization', 'settlement', 'refund', 'decline')
		AND ($3 = '' OR t.type = $3) AND t.created_at >= $4 AND t.created_at < $5 AND t.amount_minor >= $6 AND t.amount_minor <= $7
		AND ($8 = '' OR EXISTS (SELECT 1 FROM authorization_payments m WHERE m.book_id = t.book_id AND m.payment_id = t.payment_id
			AND m.merchant_search LIKE $8 ESCAPE '\'))`
	// Of one card they are found by the index of cards. $2 is empty for all cards.
	ofAll   = `WHERE t.book_id = $1 AND $2 = ''` + listed
	ofCard  = `WHERE t.book_id = $1 AND t.card_id = $2` + listed
	newest  = ` ORDER BY t.transaction_id DESC LIMIT $9 OFFSET $10`
	counted = `SELECT COUNT(*) FROM authorization_transactions t `
)

var (
	insertPayment = storage.Insert("authorization.insert_payment", "authorization_payments", "book_id", "payment_id", "realm", "card_id", "state",
		"revision", "merchant_id", "merchant_name", "merchant_search", "mcc", "city", "country", "terminal", "acquirer", "entry", "challenge_id",
		"counted", "created_at", "expires_at", "ended_at")
	insertLine = storage.Insert("authorization.insert_transaction", "authorization_transactions", "book_id", "transaction_id", "payment_id",
		"card_id", "type", "message_key", "print", "currency", "amount_minor", "balance_minor", "original_currency", "original_minor", "reason",
		"code", "avs", "score", "stood_in", "books_id", "presented_at", "created_at")

	findPayment = storage.SQL("authorization.find_payment", `SELECT `+paymentColumns+` FROM authorization_payments p
		WHERE p.book_id = $1 AND p.payment_id = $2`)
	findPaymentByKey = storage.SQL("authorization.find_payment_by_key", `SELECT `+paymentColumns+fromLines+`
		WHERE t.book_id = $1 AND t.message_key = $2`)
	loadPayments = storage.Lookup("authorization.load_payments", `SELECT `+paymentColumns+` FROM authorization_payments p
		WHERE p.book_id = $1 AND p.payment_id IN ({values})`, "TEXT")
	duePayments = storage.SQL("authorization.due_payments", `SELECT `+paymentColumns+` FROM authorization_payments p
		WHERE p.state = 'open' AND p.realm = $1 AND p.expires_at <= $2 AND p.expires_at >= $3 AND (p.expires_at, p.book_id, p.payment_id) > ($3, $4, $5)
		ORDER BY p.expires_at, p.book_id, p.payment_id LIMIT $6`)
	// dueOfCard lists those of a card's book whose time is over, the card's own first: others of
	// the same person count against the same limits.
	dueOfCard = storage.SQL("authorization.due_of_card", `SELECT `+paymentColumns+` FROM authorization_payments p
		WHERE p.state = 'open' AND p.realm = $1 AND p.expires_at <= $2 AND p.book_id = $3
		ORDER BY CASE WHEN p.card_id = $4 THEN 0 ELSE 1 END, p.expires_at LIMIT $5`)
	changePayment = storage.SQL("authorization.change_payment", `UPDATE authorization_payments SET revision = revision + 1, state = $4, ended_at = $5
		WHERE book_id = $1 AND payment_id = $2 AND revision = $3`)
	// A payment that was reversed before it came is told of when it comes.
	seePayment = storage.SQL("authorization.see_payment", `UPDATE authorization_payments SET state = 'declined', revision = revision + 1,
		merchant_id = $3, merchant_name = $4, merchant_search = $5, mcc = $6, city = $7, country = $8, terminal = $9, acquirer = $10, entry = $11,
		challenge_id = $12 WHERE book_id = $1 AND payment_id = $2 AND state = 'unseen'`)
	seeLine = storage.SQL("authorization.see_transaction", `UPDATE authorization_transactions SET type = 'decline', print = $3, amount_minor = $4,
		balance_minor = $5, original_currency = $6, original_minor = $7, reason = $8, presented_at = $9, created_at = $10
		WHERE book_id = $1 AND transaction_id = $2 AND type = 'unseen'`)

	findByKeys = storage.Lookup("authorization.find_by_keys", `SELECT t.message_key, `+paymentColumns+`, `+lineColumns+` FROM ({values}) AS v
		CROSS JOIN authorization_transactions t JOIN authorization_payments p ON p.book_id = t.book_id AND p.payment_id = t.payment_id
		WHERE t.book_id = v.column1 AND t.message_key = v.column2`, "TEXT", "TEXT")
	findLine = storage.SQL("authorization.find_transaction", `SELECT `+paymentColumns+`, `+lineColumns+fromLines+`
		WHERE t.book_id = $1 AND t.transaction_id = $2`)
	listSteps = storage.SQL("authorization.list_steps", `SELECT `+paymentColumns+`, `+lineColumns+fromLines+`
		WHERE t.book_id = $1 AND t.payment_id = $2 ORDER BY t.transaction_id LIMIT $3`)
	listLines   = storage.SQL("authorization.list_transactions", `SELECT `+paymentColumns+`, `+lineColumns+fromLines+ofAll+newest)
	countLines  = storage.SQL("authorization.count_transactions", counted+ofAll)
	listOfCard  = storage.SQL("authorization.list_transactions_of_card", `SELECT `+paymentColumns+`, `+lineColumns+fromLines+ofCard+newest)
	countOfCard = storage.SQL("authorization.count_transactions_of_card", counted+ofCard)
	lastLine    = storage.SQL("authorization.last_transaction", `SELECT COALESCE(MAX(created_at), 0) FROM authorization_transactions
		WHERE book_id = $1 AND payment_id = $2 AND type = $3`)
	listTaken = storage.SQL("authorization.list_taken", `SELECT transaction_id, books_id, amount_minor FROM authorization_transactions
		WHERE book_id = $1 AND payment_id = $2 AND type = $3 AND ($4 = '' OR transaction_id < $4) ORDER BY transaction_id DESC LIMIT $5`)
	countOfType = storage.SQL("authorization.count_of_type", `SELECT COUNT(*) FROM authorization_transactions
		WHERE book_id = $1 AND payment_id = $2 AND type = $3`)
	sumLines = storage.SQL("authorization.sum_transactions", `SELECT COALESCE(SUM(amount_minor), 0) FROM authorization_transactions
		WHERE book_id = $1 AND payment_id = $2 AND type = $3`)
)

// row is the payment as it is stored first.
func (p *payment) row() []any {
	m := &p.Merchant
	return []any{string(p.Book), string(p.ID), string(p.Realm), string(p.Card), string(p.State), p.revision, m.ID, m.Name, searchable(m.Name), m.MCC,
		m.City, m.Country, m.Terminal, m.Acquirer, string(p.Entry), string(p.Challenge), p.counted, storage.Micros(p.CreatedAt),
		storage.NullMicros(p.ExpiresAt), storage.NullMicros(p.EndedAt)}
}

// row is the line as it is stored.
func (l *line) row() []any {
	stoodIn := int64(0)
	if l.StoodIn {
		stoodIn = 1
	}
	return []any{string(l.payment.Book), string(l.ID), string(l.payment.ID), string(l.payment.Card), string(l.Type), storage.NullText(l.key), l.print[:],
		l.amount.Currency.String(), l.amount.Minor, l.Balance.Minor, l.Original.Currency.String(), l.Original.Minor, string(l.Reason), l.Code,
		string(l.AVS), l.Score, stoodIn, string(l.Books), storage.NullMicros(l.PresentedAt), storage.Micros(l.At)}
}

// paymentTargets are where a payment's columns are scanned to.
type paymentTargets struct {
	payment
	created        int64
	expires, ended sql.NullInt64
}

func (p *paymentTargets) dest() []any {
	m := &p.Merchant
	return []any{(*string)(&p.Book), (*string)(&p.ID), (*string)(&p.Realm), (*string)(&p.Card), (*string)(&p.State), &p.revision, &m.ID, &m.Name,
		&m.MCC, &m.City, &m.Country, &m.Terminal, &m.Acquirer, (*string)(&p.Entry), (*string)(&p.Challenge), &p.counted, &p.created, &p.expires, &p.ended}
}

func (p *paymentTargets) done() payment {
	p.CreatedAt, p.ExpiresAt, p.EndedAt = storage.Time(p.created), storage.NullTime(p.expires), storage.NullTime(p.ended)
	return p.payment
}

func scanPayment(r storage.Row) (*payment, error) {
	var to paymentTargets
	if err := r.Scan(to.dest()...); err != nil {
		return nil, err
	}
	p := to.done()
	return &p, nil
}

func scanLine(r storage.Row) (*line, error) { return scanLineAfter(r) }

// scanLineAfter scans what comes before a line's columns, and them.
func scanLineAfter(r storage.Row, before ...any) (*line, error) {
	var (
		of                 paymentTargets
		l                  line
		currency, original string
		print              []byte
		stoodIn, created   int64
		presented          sql.NullInt64
	)
	err := r.Scan(append(append(before, of.dest()...), (*string)(&l.ID), (*string)(&l.Type), &print, &currency, &l.amount.Minor, &l.Balance.Minor, &original,
		&l.Original.Minor, (*string)(&l.Reason), &l.Code, (*string)(&l.AVS), &l.Score, &stoodIn, (*string)(&l.Books), &presented, &created)...)
	if err != nil {
		return nil, err
	}
	copy(l.print[:], print)
	l.payment, l.StoodIn, l.PresentedAt, l.At = of.done(), stoodIn == 1, storage.NullTime(presented), storage.Time(created)
	if l.amount.Currency, err = money.Parse(currency); err != nil {
		return nil, err
	}
	l.Balance.Currency = l.amount.Currency
	if original != "" {
		l.Original.Currency, err = money.Parse(original)
	}
	return &l, err
}

// State is where a payment is in its life.
type State string

// The states. Open ends once; an open payment's money, as far as it was not captured, is held.
const (
	StateOpen     State = "open"
	StateSettled  State = "settled"  // captured, all of it or what was wanted of it
	StateReversed State = "reversed" // ended by the merchant, nothing captured
	StateExpired  State = "expired"  // ended by time, nothing captured
	StateRefunded State = "refunded" // a refund without a payment before it
	StateDeclined State = "declined"
	// stateUnseen is a payment that was reversed before it came.
	stateUnseen State = "unseen"
)

// payment is what is stored of one.
type payment struct {
	Book      ledger.BookID
	ID        ID
	Realm     realm.Realm
	Card      issuing.CardID
	State     State
	Merchant  Merchant
	Entry     Entry
	Challenge ChallengeID
	CreatedAt time.Time
	ExpiresAt time.Time // zero: there was no authorization
	EndedAt   time.Time // zero while open
	revision  int64
	// counted names the counters that its amount was added to, beside the month's.
	counted string
}

// hold is the payment's hold in the books.
func (p *payment) hold() ledger.HoldID { return ledger.HoldID(p.ID) }

const (
	paymentPrefix     = "auth"
	transactionPrefix = "txn"
)

// toPayment finds the payment that a message is about, or returns not_found.
func (s *Service) toPayment(ctx context.Context, a *Advice) (*payment, error) {
	unknown := fault.New(fault.NotFound, "no such payment")
	var (
		found *payment
		ok    bool
		err   error
	)
	switch {
	case a.Payment != "" && id.Valid(paymentPrefix, string(a.Payment)):
		found, ok, err = storage.One(ctx, s.DB, scanPayment, findPayment, string(a.Book), string(a.Payment))
	case a.Payment == "" && a.Original != "":
		found, ok, err = storage.One(ctx, s.DB, scanPayment, findPaymentByKey, string(a.Book), a.Original)
		if err == nil && ok && found.State != StateOpen {
			found, err = s.heldBeside(ctx, a, found)
		}
	}
	if err == nil && !ok {
		err = unknown
	}
	return found, err
}

// heldBeside returns the payment that another's approval under a key holds by itself, or
// took of one that was declined, or else the one that stands under the key.
func (s *Service) heldBeside(ctx context.Context, a *Advice, found *payment) (*payment, error) {
	held, ok, err := storage.One(ctx, s.DB, scanPayment, findPaymentByKey, string(a.Book), a.Original+keyRest)
	took := ok && found.State == StateDeclined && held.State == StateSettled
	if err != nil || !ok || held.ExpiresAt.IsZero() && !took {
		return found, err
	}
	return held, nil
}

// Merchants returns who was paid by some payments of a book. Those that there are not are
// left out.
func (s *Service) Merchants(ctx context.Context, book ledger.BookID, payments []ID) (map[ID]Merchant, error) {
	rows := make([][]any, len(payments))
	for i, p := range payments {
		rows[i] = []any{string(p)}
	}
	found, err := storage.AllOf(ctx, s.DB, scanPayment, loadPayments, rows, string(book))
	paid := make(map[ID]Merchant, len(found))
	for _, p := range found {
		paid[p.ID] = p.Merchant
	}
	return paid, err
}

// searchable is a text as it is searched in: lower case.
func searchable(text string) string { return strings.ToLower(text) }

// pattern finds a part of a text that searchable made; empty finds all.
func pattern(part string) string {
	if part == "" {
		return ""
	}
	return "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(searchable(part)) + "%"
}
