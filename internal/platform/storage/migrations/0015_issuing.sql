-- Virtual cards: for whom they are, from which ranges of numbers, and what they may do. A
-- card keeps no balance: its ledger account does.

-- What persons may spend, by how well they are known. Reference data, the operator's;
-- what is not there is as the program ships it. Limits are JSON.
CREATE TABLE cardholder_tiers (
	tier_id TEXT NOT NULL PRIMARY KEY,
	currency TEXT NOT NULL,
	limits TEXT NOT NULL,
	max_cards BIGINT NOT NULL CHECK (max_cards >= 0),
	actor TEXT NOT NULL,
	changed_at BIGINT NOT NULL
);

CREATE TABLE cardholders (
	book_id TEXT NOT NULL,
	cardholder_id TEXT NOT NULL,
	name TEXT NOT NULL,
	email TEXT NOT NULL,
	reference TEXT NOT NULL,
	line1 TEXT NOT NULL,
	city TEXT NOT NULL,
	region TEXT NOT NULL,
	zip TEXT NOT NULL,
	country TEXT NOT NULL,
	tier TEXT NOT NULL,
	state TEXT NOT NULL CHECK (state IN ('pending', 'verified', 'rejected', 'suspended')),
	reason TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	changed_at BIGINT NOT NULL,
	PRIMARY KEY (book_id, cardholder_id),
	FOREIGN KEY (book_id) REFERENCES ledger_books (book_id)
);

-- Ranges of card numbers. Reference data, the operator's; what is not there is as the
-- program ships it. Features and what a BIN is best for are words with spaces between them.
CREATE TABLE issuing_bins (
	bin_id TEXT NOT NULL PRIMARY KEY,
	network TEXT NOT NULL,
	type TEXT NOT NULL,
	issuer_country TEXT NOT NULL,
	currency TEXT NOT NULL,
	features TEXT NOT NULL,
	max_transaction_minor BIGINT NOT NULL CHECK (max_transaction_minor > 0),
	max_monthly_minor BIGINT NOT NULL CHECK (max_monthly_minor >= max_transaction_minor),
	acceptance_tenths BIGINT NOT NULL CHECK (acceptance_tenths BETWEEN 0 AND 1000),
	best_for TEXT NOT NULL,
	state TEXT NOT NULL CHECK (state IN ('active', 'inactive')),
	actor TEXT NOT NULL,
	changed_at BIGINT NOT NULL
);

-- The realm repeats the book's: by its clock a card is due, to expire or to be emptied for
-- good. The version rises with every change of what a card is or may do, so that whoever
-- decides by it can make sure that nothing changed meanwhile; payments do not raise it.
-- Metadata and controls are JSON.
CREATE TABLE issuing_cards (
	book_id TEXT NOT NULL,
	card_id TEXT NOT NULL,
	realm TEXT NOT NULL CHECK (realm IN ('live', 'test')),
	bin_id TEXT NOT NULL,
	currency TEXT NOT NULL,
	number_sealed BYTEA NOT NULL,
	number_hash BYTEA NOT NULL CHECK (length(number_hash) = 32),
	last4 TEXT NOT NULL CHECK (length(last4) = 4),
	status TEXT NOT NULL CHECK (status IN ('pending_top_up', 'active', 'frozen', 'terminated')),
	reason TEXT NOT NULL,
	label TEXT NOT NULL,
	label_folded TEXT NOT NULL,
	metadata TEXT NOT NULL,
	controls TEXT NOT NULL,
	cardholder_id TEXT NOT NULL,
	version BIGINT NOT NULL CHECK (version > 0),
	spent_minor BIGINT NOT NULL,
	transactions BIGINT NOT NULL CHECK (transactions >= 0),
	created_at BIGINT NOT NULL,
	expires_at BIGINT NOT NULL,
	due_at BIGINT NOT NULL,
	last_used_at BIGINT,
	used_up_at BIGINT,
	frozen_at BIGINT,
	ended_at BIGINT,
	closed_at BIGINT,
	PRIMARY KEY (book_id, card_id),
	FOREIGN KEY (book_id) REFERENCES ledger_books (book_id),
	CHECK ((status = 'frozen') = (frozen_at IS NOT NULL)),
	CHECK ((status = 'terminated') = (ended_at IS NOT NULL)),
	CHECK (closed_at IS NULL OR ended_at IS NOT NULL)
) {heap};

CREATE INDEX issuing_cards_by_due ON issuing_cards (realm, due_at, book_id, card_id) WHERE closed_at IS NULL;
CREATE INDEX issuing_cards_open ON issuing_cards (book_id, card_id) WHERE closed_at IS NULL;
CREATE INDEX issuing_cards_by_cardholder ON issuing_cards (book_id, cardholder_id, card_id) WHERE closed_at IS NULL;

-- From a keyed hash of a number to the card that has it or, where it was replaced, had it.
CREATE TABLE issuing_lookup (
	hash BYTEA NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
	book_id TEXT NOT NULL,
	card_id TEXT NOT NULL,
	reason TEXT NOT NULL,
	replaced_at BIGINT
);
