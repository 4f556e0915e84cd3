-- Resellers' orders of codes, the signed requests of those who place them, and when they are
-- told that their money runs out.

-- What a code was worth, and in which currency, is for show: face_currency is a product's own.
-- hold_id reserves the money of an order that a supplier delivers; empty: it was paid at once.
-- transaction_id paid for it, or freed the money; empty: neither yet.
-- tries counts what was asked of suppliers; given_up is 1 when nobody else is to be asked.
CREATE TABLE orders (
	book_id TEXT NOT NULL,
	order_id BIGINT NOT NULL CHECK (order_id > 0),
	realm TEXT NOT NULL CHECK (realm IN ('live', 'test')),
	transaction_id TEXT NOT NULL,
	hold_id TEXT NOT NULL,
	credential TEXT NOT NULL,
	item_code TEXT NOT NULL,
	product_name TEXT NOT NULL,
	brand TEXT NOT NULL,
	quantity BIGINT NOT NULL CHECK (quantity BETWEEN 1 AND 100),
	currency TEXT NOT NULL,
	charged_minor BIGINT NOT NULL CHECK (charged_minor >= 0),
	amount_minor BIGINT NOT NULL CHECK (amount_minor >= 0),
	face_minor BIGINT NOT NULL CHECK (face_minor >= 0),
	face_currency TEXT NOT NULL,
	email TEXT NOT NULL,
	tries BIGINT NOT NULL CHECK (tries >= 0),
	given_up BIGINT NOT NULL CHECK (given_up IN (0, 1)),
	status TEXT NOT NULL CHECK (status IN ('pending', 'processing', 'completed', 'failed', 'refunded', 'cancelled')),
	created_at BIGINT NOT NULL,
	changed_at BIGINT NOT NULL,
	PRIMARY KEY (book_id, order_id),
	FOREIGN KEY (book_id) REFERENCES ledger_books (book_id)
) {heap};

CREATE INDEX orders_by_amount ON orders (book_id, amount_minor, order_id);
CREATE INDEX orders_by_status ON orders (book_id, status, order_id);
CREATE INDEX orders_by_status_amount ON orders (book_id, status, amount_minor, order_id);

-- For the operator, who looks at the orders of all books.
CREATE INDEX orders_by_time ON orders (realm, created_at);

-- With which public key the requests of a book must be signed; an empty one: they need no signature.
CREATE TABLE account_signers (
	book_id TEXT NOT NULL PRIMARY KEY,
	public_key TEXT NOT NULL,
	changed_at BIGINT NOT NULL,
	FOREIGN KEY (book_id) REFERENCES account_books (book_id)
);

-- Challenges that were used and are not over their time.
CREATE TABLE account_challenges (
	book_id TEXT NOT NULL,
	challenge_hash BYTEA NOT NULL CHECK (length(challenge_hash) = 32),
	expires_at BIGINT NOT NULL,
	PRIMARY KEY (book_id, challenge_hash)
);

CREATE INDEX account_challenges_by_expiry ON account_challenges (expires_at);

-- Below which balance of a wallet its owner is told; zero: not any more. changed_at is the
-- machine's time in both realms: other processes look for what changed of late.
CREATE TABLE wallet_alerts (
	book_id TEXT NOT NULL,
	currency TEXT NOT NULL,
	realm TEXT NOT NULL CHECK (realm IN ('live', 'test')),
	threshold_minor BIGINT NOT NULL CHECK (threshold_minor >= 0),
	actor TEXT NOT NULL,
	version BIGINT NOT NULL CHECK (version > 0),
	changed_at BIGINT NOT NULL,
	PRIMARY KEY (book_id, currency),
	FOREIGN KEY (book_id) REFERENCES ledger_books (book_id)
);

CREATE INDEX wallet_alerts_by_change ON wallet_alerts (changed_at);
