-- Who may call: customers and their books, their credentials, operators, and the test realm's clock.
-- An account is a customer. Secrets are kept as keyed hashes; what a signature needs is sealed.

CREATE TABLE account_customers (
	account_id TEXT NOT NULL PRIMARY KEY,
	name TEXT NOT NULL,
	email TEXT,
	state TEXT NOT NULL CHECK (state IN ('active', 'suspended')),
	live_book_id TEXT NOT NULL,
	test_book_id TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	changed_at BIGINT NOT NULL
);

-- Where customers are looked for: their names, from each word on, and addresses, in small letters.
-- They are bytes because a database may order texts by a language's rules.
CREATE TABLE account_customer_terms (
	account_id TEXT NOT NULL,
	term BYTEA NOT NULL CHECK (length(term) BETWEEN 1 AND 254),
	PRIMARY KEY (account_id, term),
	FOREIGN KEY (account_id) REFERENCES account_customers (account_id)
);

CREATE INDEX account_customer_terms_by_term ON account_customer_terms (term, account_id);

-- Whose book it is. The state repeats the customer's, so that a credential is judged beside its book.
CREATE TABLE account_books (
	book_id TEXT NOT NULL PRIMARY KEY,
	account_id TEXT NOT NULL,
	realm TEXT NOT NULL CHECK (realm IN ('live', 'test')),
	state TEXT NOT NULL CHECK (state IN ('active', 'suspended'))
);

CREATE TABLE account_keys (
	book_id TEXT NOT NULL,
	key_id TEXT NOT NULL,
	name TEXT NOT NULL,
	scopes TEXT NOT NULL,
	networks TEXT NOT NULL,
	last4 TEXT NOT NULL CHECK (length(last4) = 4),
	replaced_by TEXT,
	created_at BIGINT NOT NULL,
	expires_at BIGINT,
	revoked_at BIGINT,
	last_used_at BIGINT,
	PRIMARY KEY (book_id, key_id),
	FOREIGN KEY (book_id) REFERENCES account_books (book_id)
);

-- Look-up: the hash of a presented key gives its book.
CREATE TABLE account_key_hashes (
	secret_hash BYTEA NOT NULL PRIMARY KEY CHECK (length(secret_hash) = 32),
	book_id TEXT NOT NULL,
	key_id TEXT NOT NULL
);

-- Seeds of holders of virtual cards. Nothing of a seed's text is kept in the clear.
CREATE TABLE account_seeds (
	book_id TEXT NOT NULL,
	seed_id TEXT NOT NULL,
	name TEXT NOT NULL,
	replaced_by TEXT,
	created_at BIGINT NOT NULL,
	expires_at BIGINT,
	revoked_at BIGINT,
	last_used_at BIGINT,
	PRIMARY KEY (book_id, seed_id),
	FOREIGN KEY (book_id) REFERENCES account_books (book_id)
);

-- Look-up: the hash of a presented seed gives its book.
CREATE TABLE account_seed_hashes (
	secret_hash BYTEA NOT NULL PRIMARY KEY CHECK (length(secret_hash) = 32),
	book_id TEXT NOT NULL,
	seed_id TEXT NOT NULL
);

CREATE TABLE account_merchants (
	book_id TEXT NOT NULL,
	client_id TEXT NOT NULL CHECK (length(client_id) BETWEEN 3 AND 64),
	name TEXT NOT NULL,
	state TEXT NOT NULL CHECK (state IN ('active', 'disabled')),
	secret BYTEA NOT NULL,
	previous_secret BYTEA,
	previous_until BIGINT,
	created_at BIGINT NOT NULL,
	rotated_at BIGINT NOT NULL,
	last_used_at BIGINT,
	PRIMARY KEY (book_id, client_id),
	FOREIGN KEY (book_id) REFERENCES account_books (book_id),
	CHECK ((previous_secret IS NULL) = (previous_until IS NULL))
);

-- Look-up: the client id of a signed request gives its book.
CREATE TABLE account_merchant_clients (
	client_id TEXT NOT NULL PRIMARY KEY,
	book_id TEXT NOT NULL
);

-- Nonces that were used and could still be replayed.
CREATE TABLE account_nonces (
	book_id TEXT NOT NULL,
	client_id TEXT NOT NULL,
	nonce TEXT NOT NULL,
	used_at BIGINT NOT NULL,
	PRIMARY KEY (book_id, client_id, nonce)
);

CREATE INDEX account_nonces_by_use ON account_nonces (used_at);

CREATE TABLE account_operators (
	operator_id TEXT NOT NULL PRIMARY KEY,
	name TEXT NOT NULL,
	role TEXT NOT NULL CHECK (role IN ('admin', 'support', 'auditor')),
	state TEXT NOT NULL CHECK (state IN ('active', 'disabled')),
	created_at BIGINT NOT NULL,
	changed_at BIGINT NOT NULL
);

CREATE TABLE account_operator_keys (
	operator_id TEXT NOT NULL,
	key_id TEXT NOT NULL,
	name TEXT NOT NULL,
	networks TEXT NOT NULL,
	last4 TEXT NOT NULL CHECK (length(last4) = 4),
	created_at BIGINT NOT NULL,
	expires_at BIGINT,
	revoked_at BIGINT,
	last_used_at BIGINT,
	PRIMARY KEY (operator_id, key_id),
	FOREIGN KEY (operator_id) REFERENCES account_operators (operator_id)
);

-- Look-up: the hash of a presented operator key gives the operator.
CREATE TABLE account_operator_key_hashes (
	secret_hash BYTEA NOT NULL PRIMARY KEY CHECK (length(secret_hash) = 32),
	operator_id TEXT NOT NULL,
	key_id TEXT NOT NULL
);

-- How far the test realm is ahead of the machine's clock: at most one row.
CREATE TABLE realm_clock (
	realm TEXT NOT NULL PRIMARY KEY CHECK (realm = 'test'),
	offset_micros BIGINT NOT NULL CHECK (offset_micros >= 0),
	changed_at BIGINT NOT NULL
);
