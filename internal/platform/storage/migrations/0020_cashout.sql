-- Prepaid cards turned into bitcoin: orders, those who place them, codes to their phones,
-- and what reviewers said about their pictures.

-- The book of each realm in which all of its orders are.
CREATE TABLE cashout_desks (
	realm TEXT NOT NULL PRIMARY KEY CHECK (realm IN ('live', 'test')),
	book_id TEXT NOT NULL
);

-- Who confirmed a phone: its number and the person's names are sealed.
CREATE TABLE cashout_customers (
	book_id TEXT NOT NULL,
	customer_id TEXT NOT NULL,
	phone_hash BYTEA NOT NULL,
	phone BYTEA NOT NULL,
	names BYTEA,
	revision BIGINT NOT NULL CHECK (revision > 0),
	created_at BIGINT NOT NULL,
	changed_at BIGINT NOT NULL,
	PRIMARY KEY (book_id, customer_id)
);

CREATE UNIQUE INDEX cashout_customers_by_phone ON cashout_customers (book_id, phone_hash);

-- Orders. Callers know a token, which is kept as a keyed hash. The price is for one bitcoin:
-- with the fee as it was promised, and as the market had it. Satoshis are what is owed once
-- the price is locked, which it is for pictures that are submitted in time. Every change
-- raises the revision.
CREATE TABLE cashout_orders (
	book_id TEXT NOT NULL,
	order_id TEXT NOT NULL,
	token_hash BYTEA NOT NULL,
	realm TEXT NOT NULL CHECK (realm IN ('live', 'test')),
	status TEXT NOT NULL CHECK (status IN ('created', 'confirmed', 'authorized', 'processing', 'approved', 'completed', 'blocked', 'cancelled', 'expired')),
	revision BIGINT NOT NULL CHECK (revision > 0),
	currency TEXT NOT NULL,
	amount_minor BIGINT NOT NULL CHECK (amount_minor > 0),
	price_minor BIGINT NOT NULL CHECK (price_minor >= 0),
	market_minor BIGINT NOT NULL CHECK (market_minor >= 0),
	priced_at BIGINT,
	locked_until BIGINT,
	satoshis BIGINT NOT NULL CHECK (satoshis >= 0),
	phone BYTEA,
	destination TEXT NOT NULL,
	method TEXT NOT NULL CHECK (method IN ('', 'address', 'lightning')),
	customer_id TEXT NOT NULL,
	needs_document BIGINT NOT NULL CHECK (needs_document IN (0, 1)),
	round BIGINT NOT NULL CHECK (round >= 0),
	payout_id TEXT NOT NULL,
	proof TEXT NOT NULL,
	reason TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	changed_at BIGINT NOT NULL,
	authorized_at BIGINT,
	submitted_at BIGINT,
	decided_at BIGINT,
	expires_at BIGINT NOT NULL,
	PRIMARY KEY (book_id, order_id)
) {heap};

CREATE UNIQUE INDEX cashout_orders_by_token ON cashout_orders (book_id, token_hash);
CREATE INDEX cashout_orders_by_status ON cashout_orders (book_id, status, expires_at);
CREATE INDEX cashout_orders_by_customer ON cashout_orders (book_id, customer_id, authorized_at) WHERE customer_id <> '';

-- What was said last about each kind of picture of an order, and about which picture.
CREATE TABLE cashout_verdicts (
	book_id TEXT NOT NULL,
	order_id TEXT NOT NULL,
	kind TEXT NOT NULL,
	image_id TEXT NOT NULL,
	verdict TEXT NOT NULL CHECK (verdict IN ('accepted', 'rejected')),
	reason TEXT NOT NULL,
	note TEXT NOT NULL,
	actor TEXT NOT NULL,
	decided_at BIGINT NOT NULL,
	PRIMARY KEY (book_id, order_id, kind),
	FOREIGN KEY (book_id, order_id) REFERENCES cashout_orders (book_id, order_id)
);

-- The code that was last sent for an order: hashed, and how often it was tried.
CREATE TABLE cashout_codes (
	book_id TEXT NOT NULL,
	order_id TEXT NOT NULL,
	phone_hash BYTEA NOT NULL,
	code_hash BYTEA NOT NULL,
	country TEXT NOT NULL,
	sends BIGINT NOT NULL CHECK (sends > 0),
	tries BIGINT NOT NULL CHECK (tries >= 0),
	failures BIGINT NOT NULL CHECK (failures >= 0),
	sent_at BIGINT NOT NULL,
	expires_at BIGINT NOT NULL,
	PRIMARY KEY (book_id, order_id),
	FOREIGN KEY (book_id, order_id) REFERENCES cashout_orders (book_id, order_id)
);

-- How many codes went to each country on each day, how many were entered, and whether
-- somebody was told that too few were.
CREATE TABLE cashout_messages (
	book_id TEXT NOT NULL,
	day TEXT NOT NULL,
	country TEXT NOT NULL,
	sent BIGINT NOT NULL CHECK (sent >= 0),
	verified BIGINT NOT NULL CHECK (verified >= 0),
	alarmed BIGINT NOT NULL CHECK (alarmed IN (0, 1)),
	PRIMARY KEY (book_id, day, country)
);

-- What the lists said about orders that are blocked, or were: the list and what is on it, a
-- keyed hash of whom or where it was about, and the transaction of the books that blocked the
-- order. A match is false when one person asked to clear it and another one did.
CREATE TABLE cashout_matches (
	book_id TEXT NOT NULL,
	order_id TEXT NOT NULL,
	revision BIGINT NOT NULL CHECK (revision > 0),
	list TEXT NOT NULL,
	kind TEXT NOT NULL,
	subject BYTEA NOT NULL,
	transaction_id TEXT NOT NULL,
	found_at BIGINT NOT NULL,
	asked_by TEXT NOT NULL,
	asked_why TEXT NOT NULL,
	asked_at BIGINT,
	cleared_by TEXT NOT NULL,
	cleared_why TEXT NOT NULL,
	cleared_at BIGINT,
	PRIMARY KEY (book_id, order_id, revision),
	FOREIGN KEY (book_id, order_id) REFERENCES cashout_orders (book_id, order_id)
);

-- Who has an order under review, until when, and who approved it first where two have to.
-- A picture with something that nobody else may see is open to one reviewer alone.
CREATE TABLE cashout_reviews (
	book_id TEXT NOT NULL,
	order_id TEXT NOT NULL,
	reviewer TEXT NOT NULL,
	held_until BIGINT NOT NULL,
	first_reviewer TEXT NOT NULL,
	PRIMARY KEY (book_id, order_id),
	FOREIGN KEY (book_id, order_id) REFERENCES cashout_orders (book_id, order_id)
);

CREATE TABLE cashout_hidden (
	book_id TEXT NOT NULL,
	image_id TEXT NOT NULL,
	order_id TEXT NOT NULL,
	actor TEXT NOT NULL,
	hidden_at BIGINT NOT NULL,
	PRIMARY KEY (book_id, image_id)
);
