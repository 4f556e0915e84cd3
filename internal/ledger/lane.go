package ledger

import (
	"bytes"
	"context"
	"slices"

	"github.com/scripcards/scrip/internal/platform/lane"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// work is one operation and what came of it.
type work struct {
	op      *Operation
	outcome Outcome
}

// newLane returns a lane of the ledger, with what it remembers between batches. A batch
// that is remembered whole is decided without asking, so that on PostgreSQL it is one
// round trip.
func newLane(db *storage.DB, config Config) *lane.Lane[work] {
	remembered := newMemory()
	run := func(ctx context.Context, tx *storage.Tx, tasks []*lane.Task[work]) error {
		ops := make([]*Operation, len(tasks))
		for i, t := range tasks {
			ops[i] = t.Work.op
		}
		n := needsOf(ops)
		remembered.begin()
		state := remembered.assume(n)
		if state == nil || !state.decideAll(tasks, config.Watch) {
			var err error
			remembered.assumed = false
			if state, err = load(ctx, tx, n, remembered); err != nil {
				return err
			}
			state.decideAll(tasks, config.Watch)
		}
		return state.write(ctx, tx)
	}
	return lane.New(lane.Config[work]{DB: db, Name: "the ledger", Run: run, Observe: config.Observe,
		Committed: func([]*lane.Task[work]) { remembered.committed() }, Again: remembered.wrong,
		Whose: func(w work) string { return string(w.op.Book) }})
}

// decideAll decides the tasks in order and reports whether none was refused.
func (l *loaded) decideAll(tasks []*lane.Task[work], watch func(*Outcome) []storage.Effect) bool {
	l.watch = watch
	l.transactions = slices.Grow(l.transactions, len(tasks))
	all := true
	for _, t := range tasks {
		t.Work.outcome, t.Err = l.decide(t.Work.op)
		all = all && t.Err == nil
	}
	return all
}

// submit has op done in its book's lane.
func (l *Ledger) submit(ctx context.Context, op *Operation) (Outcome, error) {
	done, err := l.laneOf(op.Book).Do(ctx, work{op: op})
	if err != nil {
		return Outcome{}, err
	}
	return done.outcome, nil
}

// laneOf keeps a book in one lane, so that its operations never wait for each other's locks.
func (l *Ledger) laneOf(book BookID) *lane.Lane[work] {
	hash := uint32(2166136261)
	for i := range len(book) {
		hash = (hash ^ uint32(book[i])) * 16777619
	}
	return l.lanes[hash%uint32(len(l.lanes))]
}

const (
	// maxRemembered bounds the accounts and counters that one lane remembers.
	maxRemembered = 65_536
	// doubtFor is how many batches ask the database after one that assumed wrongly.
	doubtFor = 16
)

// memory is what a lane remembers of its books between batches: how each was left, its
// accounts and its counters. Every change of one adds a transaction to its book, with the
// next number, and changes the hash of its header. So whoever has the header locked
// compares it, and a batch that was decided by what is remembered cannot be written where
// somebody else wrote, nor where a server lost what it had committed before it crashed: it
// is written only if the header is the one that was assumed. A commit that failed, another
// ledger or another process therefore make a memory forget, never err. A nil memory
// remembers nothing.
type memory struct {
	books   map[BookID]*rememberedBook
	count   int
	pending bool // the last batch is not known to be committed, and what it left is remembered
	assumed bool // it was decided by what is remembered
	doubt   int  // how many batches are still to ask
}

type rememberedBook struct {
	state    bookState
	accounts map[AccountID]Account
	counters map[string]int64
}

func newMemory() *memory { return &memory{books: map[BookID]*rememberedBook{}} }

// begin is called before each try at a batch: what a try before it remembered, and was not
// committed, is forgotten.
func (m *memory) begin() {
	if m.pending || m.assumed {
		m.forget()
	}
}

// committed says that the last batch is.
func (m *memory) committed() { m.pending, m.assumed = false, false }

// wrong reports whether a batch that failed was decided by what is remembered: then that
// may be why, and it is forgotten.
func (m *memory) wrong() bool {
	was := m.assumed
	if was {
		m.forget()
	}
	return was
}

func (m *memory) forget() { *m = memory{books: map[BookID]*rememberedBook{}, doubt: doubtFor} }

// assume returns what a batch needs as it is remembered, or nil where that is not all of
// it. Keys and holds that are placed are taken for new ones: the database refuses to write
// one twice, and what is refused under an assumption is to be decided again without it.
func (m *memory) assume(n *needs) *loaded {
	if m.doubt > 0 {
		m.doubt--
		return nil
	}
	if len(n.originals.names) > 0 || n.changes || n.exact {
		return nil
	}
	l := newLoaded(m)
	for _, id := range n.books {
		b := m.books[id]
		if b == nil {
			return nil
		}
		state := b.state
		l.books[state.id] = &state
	}
	for _, key := range n.accounts.names {
		a, ok := m.account(key)
		if !ok {
			return nil
		}
		l.accounts[key] = &a
	}
	for _, key := range n.counters.names {
		sum, ok := m.books[key.book].counters[key.text]
		if !ok {
			return nil
		}
		l.counters[key] = sum
	}
	m.assumed = true
	return l
}

// check forgets a book that is not as it was left.
func (m *memory) check(now *bookState) {
	if m == nil {
		return
	}
	if b := m.books[now.id]; b != nil && (b.state.seq != now.seq || !bytes.Equal(b.state.head, now.head)) {
		m.count -= len(b.accounts) + len(b.counters)
		delete(m.books, now.id)
	}
}

func (m *memory) account(key name) (Account, bool) {
	if m == nil || m.books[key.book] == nil {
		return Account{}, false
	}
	a, ok := m.books[key.book].accounts[AccountID(key.text)]
	return a, ok
}

// keep remembers the books, accounts and counters of a batch as it leaves them.
func (m *memory) keep(l *loaded) {
	if m == nil {
		return
	}
	m.pending = true
	for _, state := range l.books {
		b := m.books[state.id]
		if b == nil {
			b = &rememberedBook{accounts: map[AccountID]Account{}, counters: map[string]int64{}}
			m.books[state.id] = b
		}
		b.state = *state
		b.state.dirty, b.state.foundSeq, b.state.foundHead = false, state.seq, state.head
		m.count -= len(b.accounts) + len(b.counters)
	}
	for key, account := range l.accounts {
		m.books[key.book].accounts[account.ID] = *account
	}
	for key, sum := range l.counters {
		m.books[key.book].counters[key.text] = sum
	}
	for id := range l.books {
		m.count += len(m.books[id].accounts) + len(m.books[id].counters)
	}
	m.shrink()
}

// shrink forgets books, whichever come first, until there is room.
func (m *memory) shrink() {
	for id, b := range m.books {
		if m.count <= maxRemembered {
			return
		}
		m.count -= len(b.accounts) + len(b.counters)
		delete(m.books, id)
	}
}
