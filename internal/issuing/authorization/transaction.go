package authorization

import (
	"context"
	"crypto/sha256"
	"math"
	"strconv"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/plain"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/issuing/category"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/webhook"
)

// Type is what a line of a card's history is.
type Type string

// The types of lines, and of steps that stand in timelines alone.
const (
	TypeAuthorization Type = "authorization"
	TypeSettlement    Type = "settlement"
	TypeRefund        Type = "refund"
	TypeDecline       Type = "decline"

	StepReversal Type = "reversal"
	StepExpiry   Type = "expiry"
	StepRefusal  Type = "refusal" // a message about the payment that changed nothing
	// stepUnseen stands under the key of a message that was reversed before it came.
	stepUnseen Type = "unseen"
)

// Transaction is one line of a card's history.
type Transaction struct {
	Book    ledger.BookID
	ID      TransactionID
	Payment ID
	Card    issuing.CardID
	Type    Type
	// Amount is below zero for what is, or would have been, spent and above for refunds.
	Amount money.Amount
	// Original is what the merchant charged, when in another currency.
	Original money.Amount
	Merchant Merchant
	// Category is the name of the merchant's category, by its MCC.
	Category string
	Entry    Entry
	// Balance is what could be spent after it.
	Balance money.Amount
	// Reason says why it was declined; Sentence and Advice say it in words.
	Reason           Reason
	Sentence, Advice string
	Code             string
	AVS              AVS
	Score            int // hundredths
	StoodIn          bool
	// Challenge is the 3-D Secure challenge that was completed for the payment; may be empty.
	Challenge ChallengeID
	// State is where the payment is now.
	State State
	// Books is the transaction in the books; empty when nothing moved.
	Books ledger.TransactionID
	// PresentedAt is when the merchant says that it was; zero when it did not.
	PresentedAt time.Time
	At          time.Time
	// Timeline is all that happened to the payment, oldest first; of Get alone.
	Timeline []Step
}

// Step is something that happened to a payment.
type Step struct {
	Transaction TransactionID
	Type        Type
	Amount      money.Amount // without a sign
	Balance     money.Amount
	Reason      Reason
	At          time.Time
}

// line is a line as it is stored.
type line struct {
	message
	payment     payment
	ID          TransactionID
	Type        Type
	amount      money.Amount
	Balance     money.Amount
	Original    money.Amount
	Reason      Reason
	Code        string
	AVS         AVS
	Score       int
	StoodIn     bool
	Books       ledger.TransactionID
	PresentedAt time.Time
	At          time.Time
}

// message names what was sent, so that it is answered once.
type message struct {
	key   string
	print [16]byte // tells a repeated message from another under its key
}

func newMessage(key string, parts ...string) message {
	h := sha256.New()
	for _, part := range parts {
		_, _ = h.Write(strconv.AppendInt(nil, int64(len(part)), 10)) // a hash never returns an error
		_, _ = h.Write([]byte(":" + part))
	}
	return message{key, [16]byte(h.Sum(nil)[:16])}
}

// intent is the print as the ledger is told it.
func (m *message) intent() string { return string(appendHex(nil, m.print[:])) }

func appendHex(to, from []byte) []byte {
	const digits = "0123456789abcdef"
	for _, b := range from {
		to = append(to, digits[b>>4], digits[b&15])
	}
	return to
}

// declined reports whether the line says no.
func (l *line) declined() bool { return l.Type == TypeDecline || l.Type == StepRefusal }

// ahead reports whether the line is of a message that was reversed before it came.
func (l *line) ahead() bool { return l.Type == stepUnseen || l.Reason == ReasonReversed }

// increment reports whether the line added to a payment: those that begin one have a code.
func (l *line) increment() bool { return l.Type == TypeAuthorization && l.Code == "" }

// decision is the answer that the line is kept for.
func (l *line) decision() Decision {
	d := Decision{ID: l.payment.ID, Transaction: l.ID, Book: l.payment.Book, Card: l.payment.Card, Approved: !l.declined(), Amount: l.amount,
		Code: l.Code, Reason: l.Reason, Balance: l.Balance, AVS: l.AVS, Score: l.Score, StoodIn: l.StoodIn, At: l.At}
	if l.declined() {
		d.Amount.Minor = 0
	}
	d.Sentence, d.Advice = l.Reason.words()
	return d
}

// begins is the answer that a new payment's first line is kept for.
func (l *line) begins() Decision {
	d := l.decision()
	d.begun = l
	return d
}

// Begun returns what Get would of a payment that began with this decision, and whether it
// did: what was decided before, or about a payment that was there, is to be read.
func (d *Decision) Begun() (Transaction, bool) {
	if d.begun == nil {
		return Transaction{}, false
	}
	t := d.begun.transaction()
	t.Timeline = []Step{d.begun.step()}
	return t, true
}

func (l *line) step() Step {
	return Step{Transaction: l.ID, Type: l.Type, Amount: l.amount, Balance: l.Balance, Reason: l.Reason, At: l.At}
}

func (l *line) transaction() Transaction {
	t := Transaction{Book: l.payment.Book, ID: l.ID, Payment: l.payment.ID, Card: l.payment.Card, Type: l.Type, Amount: l.amount, Original: l.Original,
		Merchant: l.payment.Merchant, Category: category.Of(l.payment.Merchant.MCC), Entry: l.payment.Entry, Balance: l.Balance, Reason: l.Reason,
		Code: l.Code, AVS: l.AVS, Score: l.Score, StoodIn: l.StoodIn, Challenge: l.payment.Challenge, State: l.payment.State, Books: l.Books,
		PresentedAt: l.PresentedAt, At: l.At}
	if l.Type != TypeRefund && l.Type != StepReversal && l.Type != StepExpiry {
		t.Amount.Minor = -t.Amount.Minor
	}
	t.Sentence, t.Advice = l.Reason.words()
	return t
}

// events returns the row that tells of a line; none for steps. There is no card number in it.
func (s *Service) events(l *line) []storage.Effect {
	kind := ""
	switch l.Type {
	case TypeAuthorization:
		kind = eventAuthorized
	case TypeSettlement:
		kind = eventSettled
	case TypeRefund:
		kind = eventRefunded
	case TypeDecline:
		kind = eventDeclined
	case StepReversal, StepExpiry, StepRefusal, stepUnseen:
		return nil
	}
	m := &l.payment.Merchant
	data := (&webhook.Data{}).Text("transaction_id", string(l.ID)).Text("authorization_id", string(l.payment.ID)).Text("card_id", string(l.payment.Card)).
		Text("type", string(l.Type)).Text("amount", l.amount.String()).Text("currency", l.amount.Currency.String()).
		Text("balance_after", l.Balance.String()).Text("merchant_name", m.Name).Text("merchant_category", category.Of(m.MCC)).
		Text("mcc", m.MCC).Text("merchant_country", m.Country)
	if l.Original.Currency.IsValid() {
		data.Text("original_amount", l.Original.String()).Text("original_currency", l.Original.Currency.String())
	}
	if l.Reason != ReasonNone {
		sentence, advice := l.Reason.words()
		data.Text("reason", string(l.Reason)).Text("message", sentence).Text("advice", advice)
	}
	return s.Outbox.Effects(webhook.Event{Book: l.payment.Book, Realm: l.payment.Realm, Type: kind, Data: data.JSON(), At: l.At})
}

// messageName is a message's key in its book.
type messageName struct {
	book ledger.BookID
	key  string
}

// underKeys returns the lines that stand under some keys.
func (s *Service) underKeys(ctx context.Context, names []messageName) ([]line, error) {
	values := make([][]any, len(names))
	for i, n := range names {
		values[i] = []any{string(n.book), n.key}
	}
	scan := func(r storage.Row) (*line, error) {
		var key string
		found, err := scanLineAfter(r, &key)
		if err == nil {
			found.key = key
		}
		return found, err
	}
	return storage.AllOf(ctx, s.DB, storage.Values(scan), findByKeys, values)
}

// underKey returns the line that stands under a key, if one does. Those who look at once
// share a look.
func (s *Service) underKey(ctx context.Context, book ledger.BookID, key string) (*line, bool, error) {
	row, err := s.keyed.Ask(ctx, messageName{book, key})
	return &row.Value, err == nil && row.Found, err
}

// known returns what stands under a message's key, or nil. It returns
// idempotency_conflict when the key was used for something else.
func (s *Service) known(ctx context.Context, book ledger.BookID, m *message) (*line, error) {
	if m.key == "" {
		return nil, nil
	}
	found, ok, err := s.underKey(ctx, book, m.key)
	if err != nil || !ok {
		return nil, err
	}
	if found.Type != stepUnseen && found.print != m.print {
		return nil, fault.New(fault.IdempotencyConflict, "the key was used for something else, transaction %s", found.ID).At("key")
	}
	return found, nil
}

// again answers with the line that a message left before, once that is on disk.
func (s *Service) again(ctx context.Context, first *line) (Decision, error) {
	d := first.decision()
	d.Repeated = true
	return d, storage.Settle(ctx, s.DB)
}

// Get returns a line of a book's history with the timeline of its payment, or not_found.
func (s *Service) Get(ctx context.Context, book ledger.BookID, transaction TransactionID) (Transaction, error) {
	unknown := fault.New(fault.NotFound, "no such transaction")
	if !id.Valid(transactionPrefix, string(transaction)) {
		return Transaction{}, unknown
	}
	var found Transaction
	err := s.DB.Snapshot(ctx, func(ctx context.Context, q storage.Queryer) error {
		l, ok, err := storage.One(ctx, q, scanLine, findLine, string(book), string(transaction))
		if err == nil && (!ok || l.Type == stepUnseen) {
			err = unknown
		}
		if err != nil {
			return err
		}
		found = l.transaction()
		steps, err := storage.All(ctx, q, scanLine, listSteps, string(book), string(l.payment.ID), maxTimeline)
		for _, step := range steps {
			if step.Type != stepUnseen {
				found.Timeline = append(found.Timeline, step.step())
			}
		}
		return err
	})
	return found, err
}

// Bounds of a page.
const (
	DefaultPerPage = 50
	MaxPerPage     = 100
	maxOffset      = 1_000_000
	maxTimeline    = 1000
	maxSearch      = 100 // bytes
)

// Filter says which lines of a book's history to list, newest first.
type Filter struct {
	Book ledger.BookID
	Card issuing.CardID // empty: of all cards
	Type Type           // empty: all four
	// From is included, To is not; zero: unbounded.
	From, To time.Time
	// Merchant is a part of a merchant's name, in whatever case.
	Merchant string
	// Min and Max bound the amount without its sign, in minor units; without a Max: any.
	Min    int64
	Max    *int64
	Offset int // at most a million
	Limit  int // DefaultPerPage when 0, MaxPerPage at most
}

// Page is some of the lines that a filter finds.
type Page struct {
	Transactions []Transaction
	// Total is how many there are on all pages.
	Total int
}

func (f *Filter) check() error {
	switch f.Type {
	case "", TypeAuthorization, TypeSettlement, TypeRefund, TypeDecline:
	case StepReversal, StepExpiry, StepRefusal, stepUnseen:
		return fault.New(fault.InvalidRequest, "type must be authorization, settlement, refund or decline").At("type")
	default:
		return fault.New(fault.InvalidRequest, "type must be authorization, settlement, refund or decline").At("type")
	}
	if f.Limit < 1 || f.Limit > MaxPerPage || f.Offset < 0 || f.Offset > maxOffset {
		return fault.New(fault.InvalidRequest, "want 1 to %d lines a page and at most %d before it", MaxPerPage, maxOffset).At("page")
	}
	if f.Min < 0 || f.Max != nil && *f.Max < 0 {
		return fault.New(fault.InvalidAmount, "amounts are without a sign here").At("amount")
	}
	if !plain.LineBytes(f.Merchant, 0, maxSearch) {
		return fault.New(fault.InvalidRequest, "a part of a merchant's name has at most %d bytes of plain text", maxSearch).At("merchant")
	}
	return nil
}

// List returns a page of a book's history and how many lines there are. It returns
// invalid_request or invalid_amount for a filter outside its bounds.
func (s *Service) List(ctx context.Context, f Filter) (Page, error) {
	if f.Limit == 0 {
		f.Limit = DefaultPerPage
	}
	if err := f.check(); err != nil {
		return Page{}, err
	}
	from, to, most := int64(math.MinInt64), int64(math.MaxInt64), int64(math.MaxInt64)
	if !f.From.IsZero() {
		from = storage.Micros(f.From)
	}
	if !f.To.IsZero() {
		to = storage.Micros(f.To)
	}
	if f.Max != nil {
		most = *f.Max
	}
	args := []any{string(f.Book), string(f.Card), string(f.Type), from, to, f.Min, most, pattern(f.Merchant)}
	list, count := listLines, countLines
	if f.Card != "" {
		list, count = listOfCard, countOfCard
	}
	var page Page
	err := s.DB.Snapshot(ctx, func(ctx context.Context, q storage.Queryer) error {
		lines, err := storage.All(ctx, q, scanLine, list, append(args, f.Limit, f.Offset)...)
		if err != nil {
			return err
		}
		page.Transactions = make([]Transaction, len(lines))
		for i, l := range lines {
			page.Transactions[i] = l.transaction()
		}
		page.Total, err = storage.Total(ctx, q, storage.Read{Offset: f.Offset, Limit: f.Limit, Rows: len(lines)}, count, args...)
		return err
	})
	return page, err
}
