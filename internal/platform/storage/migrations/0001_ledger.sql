-- The books. A book is one customer in one realm; nothing here is shared by two.

CREATE TABLE ledger_books (
	book_id TEXT NOT NULL PRIMARY KEY,
	realm TEXT NOT NULL CHECK (realm IN ('live', 'test')),
	transactions BIGINT NOT NULL CHECK (transactions >= 0),
	head_hash BYTEA NOT NULL,
	last_at BIGINT NOT NULL,
	opened_at BIGINT NOT NULL
);

-- What an account is. What is on it, its last entry says: sums are never kept beside the entries.
CREATE TABLE ledger_accounts (
	book_id TEXT NOT NULL,
	account_id TEXT NOT NULL,
	currency TEXT NOT NULL,
	side TEXT NOT NULL CHECK (side IN ('debit', 'credit')),
	floor_minor BIGINT,
	state TEXT NOT NULL CHECK (state IN ('open', 'frozen', 'closed')),
	opened_at BIGINT NOT NULL,
	PRIMARY KEY (book_id, account_id),
	FOREIGN KEY (book_id) REFERENCES ledger_books (book_id)
);

-- A transaction's body is its canonical text; the hash covers it and the hash before it.
-- Its id carries its seq, so that it is found by the primary key.
CREATE TABLE ledger_transactions (
	book_id TEXT NOT NULL,
	seq BIGINT NOT NULL CHECK (seq > 0),
	transaction_id TEXT NOT NULL,
	kind TEXT NOT NULL,
	key TEXT,
	reference TEXT NOT NULL,
	reverses TEXT,
	body TEXT NOT NULL,
	hash BYTEA NOT NULL,
	posted_at BIGINT NOT NULL,
	PRIMARY KEY (book_id, seq)
) {heap};

CREATE UNIQUE INDEX ledger_transactions_by_key ON ledger_transactions (book_id, key) WHERE key IS NOT NULL;
CREATE UNIQUE INDEX ledger_transactions_by_reversal ON ledger_transactions (book_id, reverses) WHERE reverses IS NOT NULL;

-- Each movement makes two entries: what it posted and what it held on that account, and the account's four sums after it.
CREATE TABLE ledger_entries (
	book_id TEXT NOT NULL,
	account_id TEXT NOT NULL,
	seq BIGINT NOT NULL CHECK (seq > 0),
	transaction_seq BIGINT NOT NULL,
	side TEXT NOT NULL CHECK (side IN ('debit', 'credit')),
	posted_minor BIGINT NOT NULL CHECK (posted_minor >= 0),
	held_minor BIGINT NOT NULL,
	posted_debits_minor BIGINT NOT NULL CHECK (posted_debits_minor >= 0),
	posted_credits_minor BIGINT NOT NULL CHECK (posted_credits_minor >= 0),
	held_debits_minor BIGINT NOT NULL CHECK (held_debits_minor >= 0),
	held_credits_minor BIGINT NOT NULL CHECK (held_credits_minor >= 0),
	posted_at BIGINT NOT NULL,
	PRIMARY KEY (book_id, account_id, seq)
);

-- The realm repeats the book's: by its clock a hold is due.
CREATE TABLE ledger_holds (
	book_id TEXT NOT NULL,
	hold_id TEXT NOT NULL,
	realm TEXT NOT NULL CHECK (realm IN ('live', 'test')),
	debit_account TEXT NOT NULL,
	credit_account TEXT NOT NULL,
	currency TEXT NOT NULL,
	amount_minor BIGINT NOT NULL CHECK (amount_minor > 0),
	captured_minor BIGINT NOT NULL CHECK (captured_minor >= 0),
	released_minor BIGINT NOT NULL CHECK (released_minor >= 0),
	state TEXT NOT NULL CHECK (state IN ('pending', 'captured', 'released', 'expired')),
	placed_at BIGINT NOT NULL,
	expires_at BIGINT,
	ended_at BIGINT,
	PRIMARY KEY (hold_id, book_id),
	FOREIGN KEY (book_id, debit_account) REFERENCES ledger_accounts (book_id, account_id),
	FOREIGN KEY (book_id, credit_account) REFERENCES ledger_accounts (book_id, account_id),
	CHECK (captured_minor + released_minor <= amount_minor),
	CHECK ((state = 'pending') = (ended_at IS NULL)),
	CHECK (state = 'pending' OR captured_minor + released_minor = amount_minor)
);

CREATE INDEX ledger_holds_by_expiry ON ledger_holds (realm, expires_at) WHERE state = 'pending' AND expires_at IS NOT NULL;

-- Counters are what guards count: a spending window, the refunds of one sale.
CREATE TABLE ledger_counters (
	book_id TEXT NOT NULL,
	name TEXT NOT NULL,
	value BIGINT NOT NULL CHECK (value >= 0),
	PRIMARY KEY (book_id, name)
);
