package ledger

import (
	"bytes"
	"context"
	"fmt"
	"time"

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
		`SELECT book_id, transactions, head_hash, last_at FROM ledger_books WHERE book_id > $1 ORDER BY book_id LIMIT 1`)
	verifyTransactions = storage.SQL("ledger.verify_transactions",
		`SELECT seq, transaction_id, kind, COALESCE(key, ''), reference, COALESCE(reverses, ''), body, hash, posted_at
		FROM ledger_transactions WHERE book_id = $1 ORDER BY seq`)
	verifyAccounts = storage.SQL("ledger.verify_accounts", `SELECT `+accountColumns+` FROM ledger_accounts a WHERE a.book_id = $1 ORDER BY a.account_id`)
	verifyEntries  = storage.SQL("ledger.verify_entries", `SELECT account_id, seq, transaction_seq, side, posted_minor, held_minor,
		balance_minor, available_minor, posted_at FROM ledger_entries WHERE book_id = $1 ORDER BY account_id, seq`)
	verifyHolds = storage.SQL("ledger.verify_holds", `SELECT `+holdColumns+` FROM ledger_holds h WHERE h.book_id = $1 ORDER BY h.hold_id`)
)

// Verify proves the books in q: the chain of hashes is unbroken, every transaction
// sums to zero per currency, every entry follows from the one before it, every
// balance is the sum of its entries, no account is below its floor, and every hold
// is worth what its movements say and ends at most once. q should be a snapshot.
// It reads one book at a time; progress, when not nil, is told after each.
func Verify(ctx context.Context, q storage.Queryer, progress func(Report)) (Report, error) {
	report := Report{}
	last := ""
	for {
		head, ok, err := storage.One(ctx, q, scanBookState, verifyBooks, last)
		if err != nil || !ok {
			return report, err
		}
		v := &verifier{q: q, report: &report, book: head, holds: map[HoldID]*holdSums{}, accounts: map[AccountID]*Account{}}
		if err := v.run(ctx); err != nil {
			return report, fmt.Errorf("verify book %s: %w", head.id, err)
		}
		report.Books++
		last = string(head.id)
		if progress != nil {
			progress(report)
		}
	}
}

// verifier re-does one book from its transactions and holds every table against it.
type verifier struct {
	q      storage.Queryer
	report *Report
	book   *bookState
	// What the transactions say.
	accounts map[AccountID]*Account
	holds    map[HoldID]*holdSums
	// digest of the entries that the transactions imply, by account
}

type holdSums struct{ placed, captured, released, ends int64 }

func (v *verifier) run(ctx context.Context) error {
	for _, step := range []func(context.Context) error{v.transactions, v.balances, v.entries, v.endedHolds} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

type storedTransaction struct {
	outcome Outcome
	columns Outcome
	body    []byte
	hash    []byte
}

func scanStored(r storage.Row) (s storedTransaction, err error) {
	var at int64
	c := &s.columns
	err = r.Scan(&c.Seq, (*string)(&c.Transaction), &c.Kind, &c.Key, &c.Reference, (*string)(&c.Reverses), &s.body, &s.hash, &at)
	if err != nil {
		return s, err
	}
	c.At = storage.Time(at)
	s.outcome, err = parseBody(s.body)
	return s, err
}

func (v *verifier) transactions(ctx context.Context) error {
	var (
		seq  int64
		head []byte
		at   time.Time
	)
	err := storage.Each(ctx, v.q, scanStored, func(s storedTransaction) error {
		seq++
		v.report.Transactions++
		v.checkColumns(s, seq)
		if hash := chainHash(head, s.body); !bytes.Equal(hash[:], s.hash) {
			v.report.problem("book %s transaction %d: the chain of hashes is broken", v.book.id, s.columns.Seq)
		}
		if s.outcome.At.Before(at) {
			v.report.problem("book %s transaction %d: it goes back in time", v.book.id, seq)
		}
		head, at = s.hash, s.outcome.At
		v.replay(s.outcome)
		return nil
	}, verifyTransactions, string(v.book.id))
	if err != nil {
		return err
	}
	if seq != v.book.seq || !bytes.Equal(head, v.book.head) {
		v.report.problem("book %s: its head says %d transactions, there are %d, or the last hash differs", v.book.id, v.book.seq, seq)
	}
	return nil
}

// checkColumns holds what is indexed against what was hashed.
func (v *verifier) checkColumns(s storedTransaction, seq int64) {
	c, o := s.columns, s.outcome
	if c.Seq != seq || o.Seq != seq || o.Book != v.book.id || c.Transaction != o.Transaction || c.Kind != o.Kind ||
		c.Key != o.Key || c.Reference != o.Reference || c.Reverses != o.Reverses || !c.At.Equal(o.At) {
		v.report.problem("book %s transaction %d: its columns contradict its body", v.book.id, c.Seq)
	}
}

// replay adds a transaction's movements to the accounts and holds as they must now stand.
func (v *verifier) replay(o Outcome) {
	sums := map[money.Currency]int64{}
	for _, m := range o.Moves {
		for _, side := range []Side{Debit, Credit} {
			id := m.Debit
			sign := int64(1)
			if side == Credit {
				id, sign = m.Credit, -1
			}
			a := v.accounts[id]
			if a == nil {
				a = &Account{ID: id, Currency: m.Posted.Currency}
				v.accounts[id] = a
			}
			if a.Currency != m.Posted.Currency || !a.apply(side, m.Posted.Minor, m.Held) {
				v.report.problem("book %s transaction %d: account %s cannot have moved so", v.book.id, o.Seq, id)
			}
			sums[m.Posted.Currency] += sign * m.Posted.Minor
		}
		v.replayHold(m)
	}
	for currency, sum := range sums {
		if sum != 0 {
			v.report.problem("book %s transaction %d: it sums to %d %s", v.book.id, o.Seq, sum, currency)
		}
	}
}

func (v *verifier) replayHold(m Move) {
	if m.Hold == "" {
		return
	}
	h := v.holds[m.Hold]
	if h == nil {
		h = &holdSums{}
		v.holds[m.Hold] = h
	}
	if m.Held > 0 {
		if h.ends > 0 {
			v.report.problem("book %s hold %s: it grew after its end", v.book.id, m.Hold)
		}
		h.placed += m.Held
		return
	}
	h.captured += m.Posted.Minor
	h.released += -m.Held - m.Posted.Minor
	if h.captured+h.released == h.placed {
		h.ends++
	}
}

// balances holds every account against the sum of its transactions.
func (v *verifier) balances(ctx context.Context) error {
	err := storage.Each(ctx, v.q, scanAccount, func(a *Account) error {
		v.report.Accounts++
		want := v.accounts[a.ID]
		if want == nil {
			want = &Account{}
			v.accounts[a.ID] = want
		} else if want.Currency != a.Currency {
			v.report.problem("book %s account %s: it is in %s, its movements in %s", v.book.id, a.ID, a.Currency, want.Currency)
		}
		if a.PostedDebits != want.PostedDebits || a.PostedCredits != want.PostedCredits ||
			a.HeldDebits != want.HeldDebits || a.HeldCredits != want.HeldCredits || a.Entries != want.Entries {
			v.report.problem("book %s account %s: balance %s and holds %s do not follow from its transactions", v.book.id, a.ID, a.Posted(), a.Held())
		}
		if !a.Unbounded && a.available() < a.Floor {
			v.report.problem("book %s account %s: %s available is below its floor", v.book.id, a.ID, a.Available())
		}
		if a.State == Closed && (a.posted() != 0 || a.held() != 0) {
			v.report.problem("book %s account %s: it is closed and not empty", v.book.id, a.ID)
		}
		*want = *a
		return nil
	}, verifyAccounts, string(v.book.id))
	if err != nil {
		return err
	}
	for id, a := range v.accounts {
		if a.Book == "" {
			v.report.problem("book %s account %s: it has transactions and does not exist", v.book.id, id)
		}
	}
	return nil
}

type storedEntry struct {
	entry
	transaction int64
	at          int64
}

func scanEntry(r storage.Row) (e storedEntry, err error) {
	err = r.Scan((*string)(&e.account), &e.seq, &e.transaction, (*string)(&e.side), &e.posted, &e.held, &e.balance, &e.available, &e.at)
	return e, err
}

// entries walks every account's entries and checks each against the one before it.
func (v *verifier) entries(ctx context.Context) error {
	var running *Account
	finish := func() {
		if running == nil {
			return
		}
		a := v.accounts[running.ID]
		if a == nil || running.Entries != a.Entries || running.PostedDebits != a.PostedDebits || running.PostedCredits != a.PostedCredits ||
			running.HeldDebits != a.HeldDebits || running.HeldCredits != a.HeldCredits {
			v.report.problem("book %s account %s: its entries do not add up to its balance", v.book.id, running.ID)
		}
	}
	seen := 0
	err := storage.Each(ctx, v.q, scanEntry, func(e storedEntry) error {
		v.report.Entries++
		if running == nil || running.ID != e.account {
			finish()
			running = &Account{ID: e.account}
			if a := v.accounts[e.account]; a != nil {
				running.Side = a.Side
			}
			seen++
		}
		fits := running.apply(e.side, e.posted, e.held)
		if !fits || running.Entries != e.seq || running.posted() != e.balance || running.available() != e.available || e.transaction > v.book.seq {
			v.report.problem("book %s account %s entry %d: it does not follow from the one before it", v.book.id, e.account, e.seq)
		}
		return nil
	}, verifyEntries, string(v.book.id))
	finish()
	for _, a := range v.accounts {
		if a.Entries > 0 {
			seen--
		}
	}
	if err == nil && seen != 0 {
		v.report.problem("book %s: the accounts with entries are not those that have transactions", v.book.id)
	}
	return err
}

// endedHolds holds every hold against the movements made under its name.
func (v *verifier) endedHolds(ctx context.Context) error {
	err := storage.Each(ctx, v.q, scanHold, func(h *Hold) error {
		v.report.Holds++
		sums := v.holds[h.ID]
		delete(v.holds, h.ID)
		switch {
		case sums == nil:
			v.report.problem("book %s hold %s: no transaction placed it", v.book.id, h.ID)
		case sums.placed != h.Amount.Minor || sums.captured != h.Captured.Minor || sums.released != h.Released.Minor:
			v.report.problem("book %s hold %s: its sums do not follow from its transactions", v.book.id, h.ID)
		case sums.ends > 1 || (sums.ends == 1) != (h.State != HoldPending):
			v.report.problem("book %s hold %s: it is %s and ended %d times", v.book.id, h.ID, h.State, sums.ends)
		}
		return nil
	}, verifyHolds, string(v.book.id))
	for id := range v.holds {
		v.report.problem("book %s hold %s: it has transactions and does not exist", v.book.id, id)
	}
	return err
}
