package ledger

import (
	"context"
	"maps"
	"slices"

	"github.com/scripcards/scrip/internal/platform/storage"
)

// wanted collects the names that a batch concerns, each once.
type wanted struct {
	seen  map[name]bool
	names []name
}

func (w *wanted) add(book BookID, text string) {
	n := name{book, text}
	if text == "" || w.seen[n] {
		return
	}
	if w.seen == nil {
		w.seen = map[name]bool{}
	}
	w.seen[n] = true
	w.names = append(w.names, n)
}

// values returns the names as a statement takes them.
func (w *wanted) values() [][]any { return valuesOf(w.names) }

func valuesOf(names []name) [][]any {
	values := make([][]any, 0, len(names))
	for _, n := range names {
		values = append(values, []any{string(n.book), n.text})
	}
	return values
}

// numbers returns the transactions that are named, as book and number. What is no
// transaction's id names none.
func (w *wanted) numbers() [][]any {
	var values [][]any
	for _, n := range w.names {
		if seq, ok := TransactionID(n.text).seq(); ok {
			values = append(values, []any{string(n.book), seq})
		}
	}
	return values
}

// needs is everything to be loaded before a batch can be decided.
type needs struct {
	books     []BookID
	accounts  wanted
	holds     wanted
	changes   bool // of holds that are there
	exact     bool // whether keys were used is to be known
	counters  wanted
	keys      wanted
	originals wanted
	asked     map[name]bool // accounts that were looked for, there or not
}

func needsOf(ops []*Operation) *needs {
	n := &needs{asked: map[name]bool{}}
	for _, op := range ops {
		n.books = append(n.books, op.Book)
		n.add(op)
	}
	// Locks are taken in one order everywhere, so that two processes never wait for each other.
	slices.Sort(n.books)
	n.books = slices.Compact(n.books)
	return n
}

func (n *needs) add(op *Operation) {
	n.keys.add(op.Book, op.Key)
	n.exact = n.exact || op.Key != "" && !op.Speculative
	for _, original := range append([]TransactionID{op.Reverses}, op.Follows...) {
		if original != "" {
			n.originals.add(op.Book, string(original))
			n.counters.add(op.Book, followers(original))
		}
	}
	for _, a := range op.Open {
		n.accounts.add(op.Book, string(a.ID))
	}
	for _, p := range op.Postings {
		n.accounts.add(op.Book, string(p.Debit))
		n.accounts.add(op.Book, string(p.Credit))
	}
	for _, h := range op.Holds {
		n.holds.add(op.Book, string(h.ID))
		n.changes = n.changes || h.Action != Place
		n.accounts.add(op.Book, string(h.Debit))
		n.accounts.add(op.Book, string(h.Credit))
	}
	for _, id := range op.Solvent {
		n.accounts.add(op.Book, string(id))
	}
	for _, s := range op.States {
		n.accounts.add(op.Book, string(s.Account))
	}
	for _, g := range op.Guards {
		n.counters.add(op.Book, g.Counter)
	}
}

func newLoaded(m *memory) *loaded {
	return &loaded{books: map[BookID]*bookState{}, accounts: map[name]*Account{}, holds: map[name]*Hold{}, counters: map[name]int64{},
		byKey: map[name]*Outcome{}, byID: map[name]*Outcome{}, reversed: map[name]bool{}, memory: m}
}

// load reads what is needed, locking the books first. What m remembers of books that are
// as it left them is not read again; m may be nil.
func load(ctx context.Context, tx *storage.Tx, n *needs, m *memory) (*loaded, error) {
	l := newLoaded(m)
	if err := l.loadAll(ctx, tx, n); err != nil {
		return nil, err
	}
	return l, l.loadAccounts(ctx, tx, n)
}

// loadAll asks for everything at once, the books first: their locks are held when the
// rest is read. Accounts that are remembered are not asked for.
func (l *loaded) loadAll(ctx context.Context, tx *storage.Tx, n *needs) error {
	var (
		books           []*bookState
		done, originals []Outcome
		reversed        []name
		holds           []*Hold
		counters        []counter
		accounts        []*Account
		locked          = make([][]any, 0, len(n.books))
	)
	for _, id := range n.books {
		locked = append(locked, []any{string(id)})
	}
	err := tx.Ask(ctx,
		storage.Ask(&books, scanBookState, lockBooks, locked),
		storage.Ask(&done, scanOutcome, loadByKey, n.keys.values()),
		storage.Ask(&originals, scanOutcome, loadByID, n.originals.numbers()),
		storage.Ask(&reversed, scanName, loadReversals, n.originals.values()),
		storage.Ask(&holds, scanHold, loadHolds, n.holds.values()),
		storage.Ask(&counters, scanCounter, loadCounters, n.counters.values()),
		storage.Ask(&accounts, scanAccount, loadAccounts, l.unknown(n)))
	if err != nil {
		return err
	}
	for _, b := range books {
		l.books[b.id] = b
		l.memory.check(b)
	}
	for i := range done {
		o := &done[i]
		l.byKey[name{o.Book, o.Key}] = o
	}
	for i := range originals {
		o := &originals[i]
		l.byID[name{o.Book, string(o.Transaction)}] = o
		for _, m := range o.Moves {
			n.accounts.add(o.Book, string(m.Debit))
			n.accounts.add(o.Book, string(m.Credit))
		}
	}
	for _, r := range reversed {
		l.reversed[r] = true
	}
	for _, h := range holds {
		l.holds[name{h.Book, string(h.ID)}] = h
		n.accounts.add(h.Book, string(h.Debit))
		n.accounts.add(h.Book, string(h.Credit))
	}
	for _, c := range counters {
		l.counters[c.name] = c.value
	}
	l.found(accounts)
	return nil
}

// loadAccounts takes the accounts that are remembered, and reads those that turned out to
// be concerned, or not to be remembered after all.
func (l *loaded) loadAccounts(ctx context.Context, tx *storage.Tx, n *needs) error {
	for _, key := range n.accounts.names {
		if remembered, ok := l.memory.account(key); ok && l.accounts[key] == nil {
			l.accounts[key] = &remembered
		}
	}
	var accounts []*Account
	err := tx.Ask(ctx, storage.Ask(&accounts, scanAccount, loadAccounts, l.unknown(n)))
	l.found(accounts)
	return err
}

func (l *loaded) found(accounts []*Account) {
	for _, a := range accounts {
		l.accounts[name{a.Book, string(a.ID)}] = a
	}
}

// unknown returns the accounts that are neither loaded nor remembered nor looked for before.
func (l *loaded) unknown(n *needs) [][]any {
	var missing []name
	for _, key := range n.accounts.names {
		if _, remembered := l.memory.account(key); !remembered && l.accounts[key] == nil && !n.asked[key] {
			missing = append(missing, key)
			n.asked[key] = true
		}
	}
	return valuesOf(missing)
}

// write stores everything that was decided, a few statements for the whole batch. The books
// are first: a batch that was decided by what is remembered holds no lock before, and takes
// those of its books in the order in which every other batch does.
func (l *loaded) write(ctx context.Context, tx *storage.Tx) error {
	if len(l.transactions) == 0 {
		return nil
	}
	for _, id := range slices.Sorted(maps.Keys(l.books)) { // in the order of lockBooks
		if b := l.books[id]; b.dirty {
			if err := tx.Queue(ctx, updateBook, string(id), b.seq, b.head, b.lastAt, b.foundSeq, b.foundHead); err != nil {
				return err
			}
		}
	}
	transactions, entries := make([][]any, 0, len(l.transactions)), make([][]any, 0, 2*len(l.transactions))
	for i := range l.transactions {
		d := &l.transactions[i]
		o, at := d.outcome, storage.Micros(d.outcome.At)
		transactions = append(transactions, []any{string(o.Book), o.Seq, string(o.Transaction), o.Kind, storage.NullText(o.Key),
			o.Reference, storage.NullText(string(o.Reverses)), d.body, d.hash[:], at})
		for _, e := range d.entries {
			entries = append(entries, []any{string(o.Book), string(e.account), e.seq, o.Seq, string(e.side),
				e.posted, e.held, e.after.PostedDebits, e.after.PostedCredits, e.after.HeldDebits, e.after.HeldCredits, at})
		}
	}
	for _, set := range []struct {
		bulk *storage.Bulk
		rows [][]any
	}{
		{upsertAccounts, rowsOnce(l.touchedAccounts, (*Account).row)},
		{insertHolds, rowsOnce(l.placedHolds, (*Hold).row)},
		{upsertHolds, rowsOnce(l.touchedHolds, (*Hold).row)},
		{insertTransactions, transactions},
		{insertEntries, entries},
		{upsertCounters, rowsOnce(l.touchedCounters, func(n name) []any { return []any{string(n.book), n.text, l.counters[n]} })},
	} {
		if err := tx.ExecRows(ctx, set.bulk, set.rows); err != nil {
			return err
		}
	}
	if err := tx.Apply(ctx, l.effects); err != nil {
		return err
	}
	l.memory.keep(l)
	return nil
}

// rowsOnce makes one row of each thing that was touched, however often.
func rowsOnce[T comparable](touched []T, row func(T) []any) [][]any {
	seen := make(map[T]bool, len(touched))
	var rows [][]any
	for _, t := range touched {
		if !seen[t] {
			seen[t] = true
			rows = append(rows, row(t))
		}
	}
	return rows
}
