-- Branded gift cards. A card keeps no balance: its ledger account does.

-- Cover templates are reference data: few, the operator's, the same for every merchant.
CREATE TABLE giftcard_templates (
	template_id TEXT NOT NULL PRIMARY KEY,
	name TEXT NOT NULL,
	status TEXT NOT NULL CHECK (status IN ('active', 'inactive')),
	cover_type TEXT NOT NULL,
	cover_hash TEXT NOT NULL,
	cover BYTEA NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL
) {heap};

-- The realm repeats the book's: by its clock a card is due.
CREATE TABLE giftcards (
	book_id TEXT NOT NULL,
	card_id TEXT NOT NULL,
	realm TEXT NOT NULL CHECK (realm IN ('live', 'test')),
	number_sealed BYTEA NOT NULL,
	key_sealed BYTEA NOT NULL,
	last4 TEXT NOT NULL,
	title TEXT NOT NULL,
	template_id TEXT NOT NULL,
	currency TEXT NOT NULL,
	amount_minor BIGINT NOT NULL CHECK (amount_minor > 0),
	amount_text TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	expires_at BIGINT NOT NULL,
	blocked_at BIGINT,
	ended_at BIGINT,
	ended_as TEXT CHECK (ended_as IN ('redeemed', 'expired', 'cancelled')),
	reason TEXT NOT NULL,
	PRIMARY KEY (book_id, card_id),
	FOREIGN KEY (book_id) REFERENCES ledger_books (book_id),
	CHECK ((ended_at IS NULL) = (ended_as IS NULL))
) {heap};

CREATE INDEX giftcards_by_expiry ON giftcards (realm, expires_at, book_id, card_id) WHERE ended_at IS NULL;

-- From a keyed hash of a number or a key to the card and its book.
CREATE TABLE giftcard_lookup (
	hash BYTEA NOT NULL PRIMARY KEY,
	book_id TEXT NOT NULL,
	card_id TEXT NOT NULL
);
