package ledger

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"

	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Report is what Verify looked at and what it found wrong.
type Report struct {
	Books        int
	Accounts     int
	Transactions int
	Entries      int
	Holds        int
	// Problems is empty when the books are right. At most MaxProblems are listed.
	Problems []string
	// Found counts all problems, listed or not.
	Found int
}

// MaxProblems bounds the problems that a report lists.
const MaxProblems = 100

func (r *Report) problem(format string, args ...any) {
	r.Found++
	if len(r.Problems) < MaxProblems {
		r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
	}
}

var (
	verifyBooks = storage.SQL("ledger.verify_books",
		`SELECT book_id, realm, opened_at, transactions, head_hash, last_at FROM ledger_books WHERE book_id > $1 ORDER BY book_id LIMIT 1`)
	// nextUsed finds the first book after another in which there is anything, whether it exists or not.
	nextUsed = storage.SQL("ledger.next_used", `SELECT MIN(v.book_id) FROM (
		SELECT MIN(book_id) AS book_id FROM ledger_accounts WHERE book_id > $1
		UNION ALL SELECT MIN(book_id) FROM ledger_transactions WHERE book_id > $1
		UNION ALL SELECT MIN(book_id) FROM ledger_entries WHERE book_id > $1
		UNION ALL SELECT MIN(book_id) FROM ledger_counters WHERE book_id > $1) AS v`)
	verifyTransactions = storage.SQL("ledger.verify_transactions",
		`SELECT seq, transaction_id, kind, COALESCE(key, ''), reference, COALESCE(reverses, ''), body, hash, posted_at
		FROM ledger_transactions WHERE book_id = $1 ORDER BY seq`)
	verifyAccounts = storage.SQL("ledger.verify_accounts", `SELECT `+accountColumns+` FROM `+fromAccounts+` WHERE a.book_id = $1 ORDER BY a.account_id`)
	verifyEntries  = storage.SQL("ledger.verify_entries", `SELECT e.account_id, e.seq, e.transaction_seq, e.side, e.posted_minor, e.held_minor,
		`+sumColumns+`, e.posted_at FROM ledger_entries e WHERE e.book_id = $1 ORDER BY e.account_id, e.seq`)
	countHolds     = storage.SQL("ledger.count_holds", `SELECT COUNT(*) FROM ledger_holds`)
	countByBook    = storage.SQL("ledger.count_holds_by_book", `SELECT book_id, '', COUNT(*) FROM ledger_holds GROUP BY book_id ORDER BY book_id`)
	verifyHolds    = storage.SQL("ledger.verify_holds", `SELECT `+holdColumns+` FROM ledger_holds h WHERE h.book_id = $1 ORDER BY h.hold_id`)
	findBooks      = storage.Lookup("ledger.find_books", `SELECT book_id FROM ledger_books WHERE book_id IN ({values})`, "TEXT")
	verifyCounters = storage.SQL("ledger.verify_counters", `SELECT book_id, name, value FROM ledger_counters WHERE book_id = $1 ORDER BY name`)
)

// Verify proves the books in q: the chain of hashes is unbroken from the book's header
// on, every transaction sums to zero per currency, every entry is the one that its
// transaction made, every balance is the sum of its entries, every account is as it was
// opened, in the state it was put into and not below its floor but by force, every hold is what its
// movements made and ended at most once, every counter is what guards counted, and nothing is in
// a book that does not exist.
// q should be a snapshot. What is wrong is in the report; the error is for a database
// that does not answer. Memory is that of the accounts, holds and counters of one book;
// progress, when not nil, is told after each book.
func Verify(ctx context.Context, q storage.Queryer, progress func(Report)) (Report, error) {
	report := Report{}
	last := ""
	for {
		head, ok, err := storage.One(ctx, q, scanHeader, verifyBooks, last)
		if err != nil {
			return report, err
		}
		used, _, err := storage.One(ctx, q, storage.Scalar[sql.NullString], nextUsed, last)
		if err != nil {
			return report, err
		}
		if used.Valid && (!ok || used.String < string(head.ID)) {
			report.problem("book %s: it has accounts, transactions, entries or counters and does not exist", used.String)
			last = used.String
			continue
		}
		if !ok {
			return report, strays(ctx, q, &report)
		}
		v := &verifier{q: q, report: &report, book: head, replay: newReplay()}
		if err := v.run(ctx); err != nil {
			return report, fmt.Errorf("verify book %s: %w", head.ID, err)
		}
		report.Books++
		last = string(head.ID)
		if progress != nil {
			progress(report)
		}
	}
}

// Expect adds a problem for each of some books that their owners know of and that is gone, with
// all that was in it.
func (r *Report) Expect(ctx context.Context, q storage.Queryer, books []BookID) error {
	values := make([][]any, len(books))
	for i, id := range books {
		values[i] = []any{string(id)}
	}
	there, err := storage.AllOf(ctx, q, storage.Scalar[string], findBooks, values)
	if err != nil {
		return err
	}
	for _, id := range books {
		if !slices.Contains(there, string(id)) {
			r.problem("book %s: a customer has it, and it does not exist", id)
		}
	}
	return nil
}

// verifier re-does one book from its transactions and holds every table against it.
type verifier struct {
	q      storage.Queryer
	report *Report
	book   header
	replay *replayed
}

// header is a book's row.
type header struct {
	Book
	seq    int64
	head   []byte
	lastAt int64
}

func scanHeader(r storage.Row) (h header, err error) {
	var opened int64
	err = r.Scan((*string)(&h.ID), (*string)(&h.Realm), &opened, &h.seq, &h.head, &h.lastAt)
	h.OpenedAt = storage.Time(opened)
	return h, err
}

func (v *verifier) problem(format string, args ...any) {
	v.report.problem("book %s "+format, append([]any{v.book.ID}, args...)...)
}

func (v *verifier) run(ctx context.Context) error {
	for _, step := range []func(context.Context) error{v.accounts, v.transactions, v.entries, v.holds, v.counters} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	v.balances()
	return nil
}

// accounts reads the accounts as they are stored, to be compared at the end.
func (v *verifier) accounts(ctx context.Context) error {
	type stored struct {
		account  *Account
		currency string
	}
	scan := func(r storage.Row) (s stored, err error) {
		s.account, s.currency, err = scanAccountText(r)
		return s, err
	}
	return storage.Each(ctx, v.q, scan, func(s stored) error {
		v.report.Accounts++
		var err error
		if s.account.Currency, err = money.Parse(s.currency); err != nil {
			v.problem("account %s: its currency %q is unknown", s.account.ID, s.currency)
		}
		v.replay.expect(s.account)
		return nil
	}, verifyAccounts, string(v.book.ID))
}

type storedTransaction struct {
	columns Outcome
	body    []byte
	hash    []byte
}

func scanStored(r storage.Row) (s storedTransaction, err error) {
	var at int64
	c := &s.columns
	err = r.Scan(&c.Seq, (*string)(&c.Transaction), &c.Kind, &c.Key, &c.Reference, (*string)(&c.Reverses), &s.body, &s.hash, &at)
	c.At = storage.Time(at)
	return s, err
}

// transactions follows the chain and replays every link of it.
func (v *verifier) transactions(ctx context.Context) error {
	start := genesis(v.book.Book)
	seq, at, head := int64(0), storage.Micros(v.book.OpenedAt), start[:]
	err := storage.Each(ctx, v.q, scanStored, func(s storedTransaction) error {
		seq++
		v.report.Transactions++
		if hash := chainHash(head, s.body); !bytes.Equal(hash[:], s.hash) {
			v.problem("transaction %d: the chain of hashes is broken", s.columns.Seq)
		}
		head = s.hash
		o, err := parseBody(s.body)
		if err != nil {
			v.problem("transaction %d: its body cannot be read: %v", s.columns.Seq, err)
			return nil
		}
		v.checkColumns(s.columns, o, seq)
		if now := storage.Micros(o.At); now < at {
			v.problem("transaction %d: it goes back in time", seq)
		} else {
			at = now
		}
		for _, wrong := range v.replay.add(o) {
			v.problem("transaction %d: %s", seq, wrong)
		}
		return nil
	}, verifyTransactions, string(v.book.ID))
	if err != nil {
		return err
	}
	if seq != v.book.seq || !bytes.Equal(head, v.book.head) {
		v.problem("says it has %d transactions; there are %d, or its header or the last hash differs", v.book.seq, seq)
	}
	if at != v.book.lastAt {
		v.problem("says its last transaction was at another time than it was")
	}
	return nil
}

// checkColumns holds what is indexed against what was hashed.
func (v *verifier) checkColumns(c, o Outcome, seq int64) {
	number, isID := o.Transaction.seq()
	if c.Seq != seq || o.Seq != seq || o.Book != v.book.ID || c.Transaction != o.Transaction || c.Kind != o.Kind ||
		c.Key != o.Key || c.Reference != o.Reference || c.Reverses != o.Reverses || !c.At.Equal(o.At) || !isID || number != seq {
		v.problem("transaction %d: its columns contradict its body", c.Seq)
	}
}

type storedEntry struct {
	entry
	transaction int64
	at          int64
}

func scanEntry(r storage.Row) (e storedEntry, err error) {
	err = r.Scan((*string)(&e.account), &e.seq, &e.transaction, (*string)(&e.side), &e.posted, &e.held,
		&e.after.PostedDebits, &e.after.PostedCredits, &e.after.HeldDebits, &e.after.HeldCredits, &e.at)
	return e, err
}

// entries holds every account's entries against those that the transactions made.
func (v *verifier) entries(ctx context.Context) error {
	var (
		current AccountID
		sum     digest
	)
	finish := func() {
		if current != "" && !v.replay.matches(current, sum) {
			v.problem("account %s: its entries are not those that its transactions made", current)
		}
	}
	err := storage.Each(ctx, v.q, scanEntry, func(e storedEntry) error {
		v.report.Entries++
		if e.account != current {
			finish()
			current, sum = e.account, digest{}
		}
		sum = sum.add(&e)
		return nil
	}, verifyEntries, string(v.book.ID))
	finish()
	return err
}

// balances holds every account against the sum of its transactions.
func (v *verifier) balances() {
	for id, a := range v.replay.accounts {
		stored := a.stored
		if stored == nil {
			v.problem("account %s: it has transactions and does not exist", id)
			continue
		}
		if stored.PostedDebits != a.now.PostedDebits || stored.PostedCredits != a.now.PostedCredits ||
			stored.HeldDebits != a.now.HeldDebits || stored.HeldCredits != a.now.HeldCredits || stored.Entries != a.now.Entries {
			v.problem("account %s: balance %d and holds %d do not follow from its transactions", id, stored.posted(), stored.held())
		}
		if !a.opened {
			v.problem("account %s: no transaction opened it", id)
			continue
		}
		if stored.Currency != a.now.Currency || stored.Side != a.now.Side || stored.Unbounded != a.now.Unbounded ||
			stored.Floor != a.now.Floor || !stored.OpenedAt.Equal(a.now.OpenedAt) {
			v.problem("account %s: it is not the one that was opened", id)
		}
		if stored.State != a.now.State {
			v.problem("account %s: it is %s, and its transactions left it %s", id, stored.State, a.now.State)
		}
		if stored.State == Closed && (stored.posted() != 0 || stored.HeldDebits != 0 || stored.HeldCredits != 0) {
			v.problem("account %s: it is closed and not empty", id)
		}
	}
}

// storedHold is a hold with its currency as it is written.
type storedHold struct {
	hold     *Hold
	currency string
}

func scanStoredHold(r storage.Row) (s storedHold, err error) {
	s.hold, s.currency, err = scanHoldText(r)
	return s, err
}

// pageOfHolds is how many holds are read at once.
const pageOfHolds = 1000

// holds holds every hold that was placed against the movements made under its name. Those
// that nobody placed are in nobody's way here: see strays.
func (v *verifier) holds(ctx context.Context) error {
	for page := range slices.Chunk(slices.Sorted(maps.Keys(v.replay.holds)), pageOfHolds) {
		values := make([][]any, len(page))
		for i, id := range page {
			values[i] = []any{string(v.book.ID), string(id)}
		}
		found, err := storage.AllOf(ctx, v.q, scanStoredHold, loadHolds, values)
		if err != nil {
			return err
		}
		for _, s := range found {
			want := v.replay.holds[s.hold.ID]
			if want == nil { // a look-up may find a row more than once
				continue
			}
			v.report.Holds++
			delete(v.replay.holds, s.hold.ID)
			if s.hold.Realm != v.book.Realm || !want.is(s.hold, s.currency) {
				v.problem("hold %s: it is not what its transactions made", s.hold.ID)
			}
		}
	}
	for id := range v.replay.holds {
		v.problem("hold %s: it has transactions and does not exist", id)
	}
	return nil
}

// strays names the holds that no transaction placed, where there are more than were found.
// Holds lie in the order of their making, not by book: only then are they looked for there.
func strays(ctx context.Context, q storage.Queryer, report *Report) error {
	all, _, err := storage.One(ctx, q, storage.Scalar[int], countHolds)
	if err != nil || all == report.Holds {
		return err
	}
	books, err := storage.All(ctx, q, scanCounter, countByBook)
	if err != nil {
		return err
	}
	for _, held := range books {
		again := &verifier{q: q, report: &Report{}, replay: newReplay()} // what else is wrong was told before
		again.book.ID = held.name.book
		if err := again.transactions(ctx); err != nil {
			return err
		}
		placed := maps.Clone(again.replay.holds)
		if err := again.holds(ctx); err != nil {
			return err
		}
		if int64(again.report.Holds) == held.value {
			continue
		}
		err := storage.Each(ctx, q, scanStoredHold, func(s storedHold) error {
			if placed[s.hold.ID] == nil {
				report.Holds++
				report.problem("book %s hold %s: no transaction placed it", s.hold.Book, s.hold.ID)
			}
			return nil
		}, verifyHolds, string(held.name.book))
		if err != nil {
			return err
		}
	}
	return nil
}

// counters holds every counter against what guards counted.
func (v *verifier) counters(ctx context.Context) error {
	err := storage.Each(ctx, v.q, scanCounter, func(c counter) error {
		counted, known := v.replay.counters[c.name.text]
		delete(v.replay.counters, c.name.text)
		if !known || counted != c.value {
			v.problem("counter %s: it is %d, and its transactions counted %d", c.name.text, c.value, counted)
		}
		return nil
	}, verifyCounters, string(v.book.ID))
	for counter := range v.replay.counters {
		v.problem("counter %s: it has transactions and does not exist", counter)
	}
	return err
}
