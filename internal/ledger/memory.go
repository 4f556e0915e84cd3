package ledger

import "bytes"

// maxRemembered bounds the accounts that one lane remembers.
const maxRemembered = 65_536

// memory is what a lane remembers of its books' accounts between batches. It is
// believed only while a book's header in the database, which is locked by then, is
// the one that the memory was left with: every change of an account adds a
// transaction to its book and so changes the header's hash. A commit that failed,
// another ledger or another process therefore make it forget, never err. A nil
// memory remembers nothing.
type memory struct {
	books map[BookID]*rememberedBook
	count int
}

type rememberedBook struct {
	seq      int64
	head     []byte
	accounts map[AccountID]Account
}

// check forgets a book that is not as it was left.
func (m *memory) check(now *bookState) {
	if m == nil {
		return
	}
	if b := m.books[now.id]; b != nil && (b.seq != now.seq || !bytes.Equal(b.head, now.head)) {
		m.count -= len(b.accounts)
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

// keep remembers the accounts of a batch as it left them.
func (m *memory) keep(l *loaded) {
	if m == nil {
		return
	}
	for key, account := range l.accounts {
		state := l.books[key.book]
		b := m.books[key.book]
		if b == nil {
			b = &rememberedBook{accounts: map[AccountID]Account{}}
			m.books[key.book] = b
		}
		b.seq, b.head = state.seq, state.head
		if _, known := b.accounts[account.ID]; !known {
			m.count++
		}
		b.accounts[account.ID] = *account
	}
	m.shrink()
}

// shrink forgets accounts, whichever come first, until there is room.
func (m *memory) shrink() {
	for book, b := range m.books {
		for account := range b.accounts {
			if m.count <= maxRemembered {
				return
			}
			delete(b.accounts, account)
			m.count--
		}
		delete(m.books, book)
	}
}
