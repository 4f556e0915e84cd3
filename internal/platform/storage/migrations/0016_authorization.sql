-- Payments with virtual cards. Nothing here is a balance: a payment's money is its hold and the card's account.

-- A payment, from its authorization to its refunds. The realm repeats the book's: by its clock an authorization is
-- due. Whoever changes a payment counts its revision up, so that no two do it at once. Its limits were counted in
-- the month of created_at and in what counted names. unseen: it was reversed before it came.
CREATE TABLE authorization_payments (
	book_id TEXT NOT NULL,
	payment_id TEXT NOT NULL,
	realm TEXT NOT NULL CHECK (realm IN ('live', 'test')),
	card_id TEXT NOT NULL,
	state TEXT NOT NULL CHECK (state IN ('open', 'settled', 'reversed', 'expired', 'refunded', 'declined', 'unseen')),
	revision BIGINT NOT NULL CHECK (revision > 0),
	merchant_id TEXT NOT NULL,
	merchant_name TEXT NOT NULL,
	merchant_search TEXT NOT NULL,
	mcc TEXT NOT NULL,
	city TEXT NOT NULL,
	country TEXT NOT NULL,
	terminal TEXT NOT NULL,
	acquirer TEXT NOT NULL,
	entry TEXT NOT NULL,
	challenge_id TEXT NOT NULL,
	counted TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	expires_at BIGINT,
	ended_at BIGINT,
	PRIMARY KEY (payment_id, book_id),
	FOREIGN KEY (book_id) REFERENCES ledger_books (book_id),
	CHECK ((state = 'open') = (ended_at IS NULL))
) {heap};

CREATE INDEX authorization_payments_by_expiry ON authorization_payments (realm, expires_at) WHERE state = 'open';

-- What happened to a payment, each message once: what is asked again under its key is answered from here. The last
-- four types are not in a card's history: they are steps of a payment, or refusals of messages about one.
CREATE TABLE authorization_transactions (
	book_id TEXT NOT NULL,
	transaction_id TEXT NOT NULL,
	payment_id TEXT NOT NULL,
	card_id TEXT NOT NULL,
	type TEXT NOT NULL CHECK (type IN ('authorization', 'settlement', 'refund', 'decline', 'reversal', 'expiry', 'refusal', 'unseen')),
	message_key TEXT,
	print BYTEA NOT NULL,
	currency TEXT NOT NULL,
	amount_minor BIGINT NOT NULL CHECK (amount_minor >= 0),
	balance_minor BIGINT NOT NULL,
	original_currency TEXT NOT NULL,
	original_minor BIGINT NOT NULL,
	reason TEXT NOT NULL,
	code TEXT NOT NULL,
	avs TEXT NOT NULL,
	score BIGINT NOT NULL,
	stood_in BIGINT NOT NULL CHECK (stood_in IN (0, 1)),
	books_id TEXT NOT NULL,
	presented_at BIGINT,
	created_at BIGINT NOT NULL,
	PRIMARY KEY (book_id, transaction_id),
	FOREIGN KEY (book_id) REFERENCES ledger_books (book_id)
) {heap};

CREATE UNIQUE INDEX authorization_transactions_by_key ON authorization_transactions (message_key, book_id) WHERE message_key IS NOT NULL;
CREATE INDEX authorization_transactions_by_card ON authorization_transactions (book_id, card_id, transaction_id);
CREATE INDEX authorization_transactions_by_payment ON authorization_transactions (payment_id, transaction_id);

-- 3-D Secure challenges. The code is sealed, and gone once the challenge has ended.
CREATE TABLE authorization_challenges (
	book_id TEXT NOT NULL,
	challenge_id TEXT NOT NULL,
	realm TEXT NOT NULL CHECK (realm IN ('live', 'test')),
	card_id TEXT NOT NULL,
	status TEXT NOT NULL CHECK (status IN ('pending', 'completed', 'expired')),
	message_key TEXT,
	payment_id TEXT NOT NULL,
	merchant_id TEXT NOT NULL,
	merchant_name TEXT NOT NULL,
	mcc TEXT NOT NULL,
	country TEXT NOT NULL,
	currency TEXT NOT NULL,
	amount_minor BIGINT NOT NULL CHECK (amount_minor >= 0),
	code_sealed BYTEA,
	attempts BIGINT NOT NULL CHECK (attempts >= 0),
	created_at BIGINT NOT NULL,
	expires_at BIGINT NOT NULL,
	ended_at BIGINT,
	PRIMARY KEY (book_id, challenge_id),
	FOREIGN KEY (book_id) REFERENCES ledger_books (book_id),
	CHECK ((status = 'pending') = (ended_at IS NULL)),
	CHECK (status = 'pending' OR code_sealed IS NULL)
);

CREATE UNIQUE INDEX authorization_challenges_by_key ON authorization_challenges (book_id, message_key) WHERE message_key IS NOT NULL;
CREATE INDEX authorization_challenges_by_card ON authorization_challenges (book_id, card_id, challenge_id);
CREATE INDEX authorization_challenges_by_expiry ON authorization_challenges (realm, expires_at) WHERE status = 'pending';

-- Whom a book wants asked about payments that the rules allow.
CREATE TABLE decision_servers (
	book_id TEXT NOT NULL PRIMARY KEY,
	url TEXT NOT NULL,
	secret_sealed BYTEA NOT NULL,
	deadline_ms BIGINT NOT NULL CHECK (deadline_ms > 0),
	otherwise TEXT NOT NULL CHECK (otherwise IN ('approve', 'decline', 'stand_in')),
	changed_at BIGINT NOT NULL,
	FOREIGN KEY (book_id) REFERENCES ledger_books (book_id)
);
