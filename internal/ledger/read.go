package ledger

import (
	"cmp"
	"context"
	"math"
	"slices"
	"time"

	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// MaxPage bounds what one listing returns.
const MaxPage = 1000

// FindBook returns a book's header, or not_found.
func (l *Ledger) FindBook(ctx context.Context, book BookID) (Book, error) {
	b, ok, err := storage.One(ctx, l.db, scanBook, findBook, string(book))
	if err == nil && !ok {
		err = notFound("book", string(book))
	}
	return b, err
}

// FindAccount returns an account with its balance, or not_found.
func (l *Ledger) FindAccount(ctx context.Context, book BookID, account AccountID) (*Account, error) {
	a, ok, err := storage.One(ctx, l.db, scanAccount, findAccount, string(book), string(account))
	if err == nil && !ok {
		err = notFound("account", string(account))
	}
	return a, err
}

// FindAccounts returns those of some accounts of a book that exist, in no order.
func (l *Ledger) FindAccounts(ctx context.Context, book BookID, accounts []AccountID) ([]*Account, error) {
	values := make([][]any, len(accounts))
	for i, account := range accounts {
		values[i] = []any{string(book), string(account)}
	}
	return storage.AllOf(ctx, l.db, scanAccount, loadAccounts, values)
}

// ListAccounts returns up to limit accounts whose id begins with prefix and comes after the given one, by id.
func (l *Ledger) ListAccounts(ctx context.Context, book BookID, prefix string, after AccountID, limit int) ([]*Account, error) {
	from := max(prefix, string(after)) // one bound: SQLite looks from the first of several, however far before the others
	return storage.All(ctx, l.db, scanAccount, listAccount, string(book), from, string(after), prefix+"\U0010ffff", page(limit))
}

// FindHold returns a hold, or not_found.
func (l *Ledger) FindHold(ctx context.Context, book BookID, hold HoldID) (*Hold, error) {
	h, ok, err := storage.One(ctx, l.db, scanHold, findHold, string(book), string(hold))
	if err == nil && !ok {
		err = notFound("hold", string(hold))
	}
	return h, err
}

// FindTransaction returns one transaction as it was posted, or not_found.
func (l *Ledger) FindTransaction(ctx context.Context, book BookID, transaction TransactionID) (Outcome, error) {
	seq, valid := transaction.seq()
	if !valid {
		return Outcome{}, notFound("transaction", string(transaction))
	}
	o, ok, err := storage.One(ctx, l.db, scanOutcome, findTransaction, string(book), seq)
	if err == nil && (!ok || o.Transaction != transaction) {
		return Outcome{}, notFound("transaction", string(transaction))
	}
	return o, err
}

// FindByKey returns the transaction made under key, and whether there is one. It is on disk then.
func (l *Ledger) FindByKey(ctx context.Context, book BookID, key string) (Outcome, bool, error) {
	o, ok, err := storage.One(ctx, l.db, scanOutcome, findByKey, string(book), key)
	if err != nil || !ok {
		return Outcome{}, false, err
	}
	return o, true, storage.Settle(ctx, l.db)
}

// ListTransactions returns up to limit transactions before the given sequence number, newest first; 0 begins at the newest.
func (l *Ledger) ListTransactions(ctx context.Context, book BookID, before int64, limit int) ([]Outcome, error) {
	return storage.All(ctx, l.db, scanOutcome, listTransaction, string(book), orNewest(before), page(limit))
}

// Line is one entry of an account's statement.
type Line struct {
	Seq         int64
	Transaction TransactionID
	Kind        string
	Reference   string
	Side        Side
	Posted      money.Amount // moved on Side
	Held        int64        // change of what is held on Side, in minor units
	Balance     money.Amount // posted balance after it
	Available   money.Amount // available after it
	At          time.Time
}

// Statement returns up to limit entries of an account before the given sequence number,
// newest first; 0 begins at the newest. The last line's Seq is the cursor of the next page.
func (l *Ledger) Statement(ctx context.Context, account *Account, before int64, limit int) ([]Line, error) {
	scan := func(r storage.Row) (Line, error) {
		line := Line{Posted: money.New(0, account.Currency), Balance: money.New(0, account.Currency), Available: money.New(0, account.Currency)}
		var (
			at    int64
			after sums
		)
		err := r.Scan(&line.Seq, (*string)(&line.Transaction), &line.Kind, &line.Reference, (*string)(&line.Side),
			&line.Posted.Minor, &line.Held, &after.PostedDebits, &after.PostedCredits, &after.HeldDebits, &after.HeldCredits, &at)
		line.Balance.Minor, line.Available.Minor, line.At = after.posted(account.Side), after.available(account.Side), storage.Time(at)
		return line, err
	}
	return storage.All(ctx, l.db, scan, listEntries, string(account.Book), string(account.ID), orNewest(before), page(limit))
}

// Position is how far an account had come at an instant.
type Position struct {
	// Seq is the number of its last entry; 0 before the first.
	Seq               int64
	Posted, Available money.Amount
}

// PositionAt returns where an account stood at an instant, that instant's own entries
// included. Entries of a book never go back in time, so a binary search over their numbers
// finds the last one. What came after the account was read is not looked at.
func (l *Ledger) PositionAt(ctx context.Context, account *Account, at time.Time) (Position, error) {
	p := Position{Posted: money.New(0, account.Currency), Available: money.New(0, account.Currency)}
	for high := account.Entries; p.Seq < high; {
		middle := p.Seq + (high-p.Seq+1)/2
		e, ok, err := storage.One(ctx, l.db, scanInstant, entryAt, string(account.Book), string(account.ID), middle)
		if err != nil || !ok {
			return p, err
		}
		if e.at > storage.Micros(at) {
			high = middle - 1
			continue
		}
		p.Seq, p.Posted.Minor, p.Available.Minor = middle, e.after.posted(account.Side), e.after.available(account.Side)
	}
	return p, nil
}

type instant struct {
	after sums
	at    int64
}

func scanInstant(r storage.Row) (i instant, err error) {
	err = r.Scan(&i.after.PostedDebits, &i.after.PostedCredits, &i.after.HeldDebits, &i.after.HeldCredits, &i.at)
	return i, err
}

// Counters returns what the counters of a book stand at that operations' guards counted
// under some names, as q sees it; those that were never counted are missing.
func Counters(ctx context.Context, q storage.Queryer, book BookID, names ...string) (map[string]int64, error) {
	rows := make([][]any, len(names))
	for i, n := range names {
		rows[i] = []any{string(book), n}
	}
	found, err := storage.AllOf(ctx, q, scanCounter, loadCounters, rows)
	sums := make(map[string]int64, len(found))
	for _, c := range found {
		sums[c.name.text] = c.value
	}
	return sums, err
}

// Period is the time of a realm from one instant until another, which is not in it.
type Period struct {
	Realm       realm.Realm
	From, Until time.Time
}

// BusyBooks returns up to MaxPage books of a period's realm, by id after the given one,
// whose last transaction is not before the period.
func BusyBooks(ctx context.Context, q storage.Queryer, p Period, after BookID) ([]BookID, error) {
	return storage.All(ctx, q, storage.Scalar[BookID], busyBooks, string(p.Realm), storage.Micros(p.From), string(after), MaxPage)
}

// Stretch is the transactions of a book after one number, up to and with another.
type Stretch struct {
	Book        BookID
	After, Last int64
}

// Within returns the stretch of a book that a period has. Transactions of a book never go
// back in time, so a binary search over their numbers finds both ends.
func Within(ctx context.Context, q storage.Queryer, book BookID, p Period) (Stretch, error) {
	last, _, err := storage.One(ctx, q, storage.Scalar[int64], countTransaction, string(book))
	if err != nil {
		return Stretch{}, err
	}
	s := Stretch{Book: book}
	if s.After, err = lastBefore(ctx, q, Stretch{book, 0, last}, p.From); err != nil {
		return s, err
	}
	s.Last, err = lastBefore(ctx, q, Stretch{book, s.After, last}, p.Until)
	return s, err
}

// lastBefore returns the number of the last transaction of a stretch that was posted
// before an instant; the one before the stretch, if none was.
func lastBefore(ctx context.Context, q storage.Queryer, s Stretch, at time.Time) (int64, error) {
	for low, high := s.After, s.Last; ; {
		if low == high {
			return low, nil
		}
		middle := low + (high-low+1)/2
		posted, _, err := storage.One(ctx, q, storage.Scalar[int64], postedAt, string(s.Book), middle)
		if err != nil {
			return 0, err
		}
		if posted < storage.Micros(at) {
			low = middle
		} else {
			high = middle - 1
		}
	}
}

// OfKinds returns the first transactions of a stretch whose kind begins with prefix, by
// number, MaxPage at most.
func OfKinds(ctx context.Context, q storage.Queryer, s Stretch, prefix string) ([]Outcome, error) {
	return storage.All(ctx, q, scanOutcome, listKinds, string(s.Book), s.After, s.Last, prefix+"%", MaxPage)
}

// Transactions returns those transactions of a book, among some, that there are, in no order.
func Transactions(ctx context.Context, q storage.Queryer, book BookID, ids []TransactionID) ([]Outcome, error) {
	wanted := make(map[TransactionID]bool, len(ids))
	var rows [][]any
	for _, transaction := range ids {
		if seq, valid := transaction.seq(); valid {
			rows, wanted[transaction] = append(rows, []any{string(book), seq}), true
		}
	}
	found, err := storage.AllOf(ctx, q, scanOutcome, loadByID, rows)
	return slices.DeleteFunc(found, func(o Outcome) bool {
		first := wanted[o.Transaction]
		wanted[o.Transaction] = false // a row is asked for as often as it fills a statement
		return !first
	}), err
}

// Reversals returns what reversed some transactions of a book, by number.
func Reversals(ctx context.Context, q storage.Queryer, book BookID, originals []TransactionID) ([]Outcome, error) {
	rows := make([][]any, len(originals))
	for i, original := range originals {
		rows[i] = []any{string(book), string(original)}
	}
	found, err := storage.AllOf(ctx, q, scanOutcome, findReversals, rows)
	slices.SortFunc(found, func(a, b Outcome) int { return cmp.Compare(a.Seq, b.Seq) })
	// A row is asked for as often as it fills a statement.
	return slices.CompactFunc(found, func(a, b Outcome) bool { return a.Seq == b.Seq }), err
}

func page(limit int) int { return min(max(limit, 1), MaxPage) }

func orNewest(before int64) int64 {
	if before <= 0 {
		return math.MaxInt64
	}
	return before
}
