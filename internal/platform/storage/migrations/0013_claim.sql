-- What became of orders after they were sold: dead codes, and the days that were checked.

CREATE UNIQUE INDEX orders_by_transaction ON orders (book_id, transaction_id) WHERE transaction_id <> '';

-- What the books did for an order beside the transaction that is in its row, by the
-- number of the transaction in its book: its kind, how many codes it was for, and how
-- much of what was charged it gave back.
CREATE TABLE order_changes (
	book_id TEXT NOT NULL,
	seq BIGINT NOT NULL CHECK (seq > 0),
	order_id BIGINT NOT NULL,
	transaction_id TEXT NOT NULL,
	kind TEXT NOT NULL,
	codes BIGINT NOT NULL CHECK (codes > 0),
	currency TEXT NOT NULL,
	refunded_minor BIGINT NOT NULL CHECK (refunded_minor >= 0),
	changed_at BIGINT NOT NULL,
	PRIMARY KEY (book_id, seq),
	FOREIGN KEY (book_id, order_id) REFERENCES orders (book_id, order_id)
) {heap};

CREATE INDEX order_changes_by_order ON order_changes (book_id, order_id, seq);

-- Replacements of dead codes that a supplier delivers, by the key of their remedy, and which
-- codes are dead. tries counts what was asked of suppliers; given_up is 1 when nobody else is
-- to be asked; left_minor is what a code that is a gift card had when it was decided, which has
-- no currency where it is none.
CREATE TABLE order_replacements (
	book_id TEXT NOT NULL,
	remedy TEXT NOT NULL,
	order_id BIGINT NOT NULL,
	realm TEXT NOT NULL CHECK (realm IN ('live', 'test')),
	actor TEXT NOT NULL,
	tries BIGINT NOT NULL CHECK (tries > 0),
	given_up BIGINT NOT NULL CHECK (given_up IN (0, 1)),
	status TEXT NOT NULL CHECK (status IN ('processing', 'completed', 'failed', 'cancelled')),
	created_at BIGINT NOT NULL,
	changed_at BIGINT NOT NULL,
	PRIMARY KEY (book_id, remedy),
	FOREIGN KEY (book_id, order_id) REFERENCES orders (book_id, order_id)
);

CREATE INDEX order_replacements_by_order ON order_replacements (book_id, order_id) WHERE status = 'processing';

CREATE TABLE order_replacement_codes (
	book_id TEXT NOT NULL,
	remedy TEXT NOT NULL,
	place BIGINT NOT NULL CHECK (place > 0),
	code_id TEXT NOT NULL,
	currency TEXT NOT NULL,
	left_minor BIGINT NOT NULL CHECK (left_minor >= 0),
	PRIMARY KEY (book_id, remedy, place),
	FOREIGN KEY (book_id, remedy) REFERENCES order_replacements (book_id, remedy)
);

-- The gift cards that codes are which were made when they were sold, each with its book and
-- id; and when, how much and by which transaction of that book it was voided, because its
-- code was dead.
CREATE TABLE order_giftcards (
	book_id TEXT NOT NULL,
	code_id TEXT NOT NULL,
	issuer TEXT NOT NULL,
	card_id TEXT NOT NULL,
	currency TEXT NOT NULL,
	voided_at BIGINT,
	voided_minor BIGINT NOT NULL CHECK (voided_minor >= 0),
	transaction_id TEXT NOT NULL,
	PRIMARY KEY (book_id, code_id),
	CHECK ((transaction_id = '') = (voided_at IS NULL))
);

-- Claims of buyers that codes of an order are dead. A decision raises the revision.
CREATE TABLE claims (
	book_id TEXT NOT NULL,
	claim_id TEXT NOT NULL,
	realm TEXT NOT NULL CHECK (realm IN ('live', 'test')),
	order_id BIGINT NOT NULL,
	ordered_at BIGINT NOT NULL,
	reason TEXT NOT NULL CHECK (reason IN ('invalid', 'used', 'expired', 'wrong_value', 'wrong_region', 'other')),
	note TEXT NOT NULL,
	credential TEXT NOT NULL,
	state TEXT NOT NULL CHECK (state IN ('open', 'processing', 'accepted', 'rejected')),
	revision BIGINT NOT NULL CHECK (revision > 0),
	created_at BIGINT NOT NULL,
	changed_at BIGINT NOT NULL,
	PRIMARY KEY (book_id, claim_id),
	FOREIGN KEY (book_id, order_id) REFERENCES orders (book_id, order_id)
) {heap};

CREATE INDEX claims_by_order ON claims (book_id, order_id, claim_id);
CREATE INDEX claims_by_realm ON claims (realm, claim_id);
CREATE INDEX claims_by_state ON claims (realm, state, claim_id);

-- The codes of a claim: who first saw each and when, and what was decided. A code that was
-- replaced or refunded is so for good; one that is being replaced is open again where nobody
-- delivers; one that was rejected can be claimed again.
CREATE TABLE claim_codes (
	book_id TEXT NOT NULL,
	claim_id TEXT NOT NULL,
	place BIGINT NOT NULL CHECK (place > 0),
	order_id BIGINT NOT NULL,
	code_id TEXT NOT NULL,
	sold_at BIGINT NOT NULL,
	revealed_to TEXT NOT NULL,
	revealed_at BIGINT NOT NULL,
	state TEXT NOT NULL CHECK (state IN ('open', 'replacing', 'replaced', 'refunded', 'rejected')),
	replacement TEXT NOT NULL,
	currency TEXT NOT NULL,
	charged_minor BIGINT NOT NULL CHECK (charged_minor >= 0),
	transaction_id TEXT NOT NULL,
	decision TEXT NOT NULL,
	actor TEXT NOT NULL,
	decided_at BIGINT,
	PRIMARY KEY (book_id, claim_id, place),
	FOREIGN KEY (book_id, claim_id) REFERENCES claims (book_id, claim_id),
	CHECK ((state = 'open') = (decided_at IS NULL))
);

CREATE UNIQUE INDEX claim_codes_by_code ON claim_codes (book_id, code_id) WHERE state <> 'rejected';
CREATE INDEX claim_codes_by_order ON claim_codes (book_id, order_id);

-- The days on which orders, codes and postings were held against one another: how many
-- differences there were, the figures of each currency, and the differences by order. The
-- owner of a difference is the book of its order; empty for a sum.
CREATE TABLE report_days (
	realm TEXT NOT NULL CHECK (realm IN ('live', 'test')),
	day TEXT NOT NULL,
	differences BIGINT NOT NULL CHECK (differences >= 0),
	made_at BIGINT NOT NULL,
	PRIMARY KEY (realm, day)
);

CREATE TABLE report_rows (
	realm TEXT NOT NULL CHECK (realm IN ('live', 'test')),
	day TEXT NOT NULL,
	currency TEXT NOT NULL,
	delivered BIGINT NOT NULL,
	codes BIGINT NOT NULL,
	charged_minor BIGINT NOT NULL,
	codes_replaced BIGINT NOT NULL,
	codes_refunded BIGINT NOT NULL,
	refunded_minor BIGINT NOT NULL,
	codes_sold BIGINT NOT NULL,
	wallet_paid_minor BIGINT NOT NULL,
	wallet_refunded_minor BIGINT NOT NULL,
	revenue_minor BIGINT NOT NULL,
	other_minor BIGINT NOT NULL,
	PRIMARY KEY (realm, day, currency),
	FOREIGN KEY (realm, day) REFERENCES report_days (realm, day)
) {heap};

CREATE TABLE report_differences (
	realm TEXT NOT NULL CHECK (realm IN ('live', 'test')),
	day TEXT NOT NULL,
	place BIGINT NOT NULL CHECK (place > 0),
	kind TEXT NOT NULL CHECK (kind IN ('price', 'status', 'codes', 'replaced', 'refunded', 'wallet', 'revenue', 'missing', 'transaction', 'code', 'total')),
	owner TEXT NOT NULL,
	order_id BIGINT NOT NULL,
	subject TEXT NOT NULL,
	want TEXT NOT NULL,
	got TEXT NOT NULL,
	PRIMARY KEY (realm, day, place),
	FOREIGN KEY (realm, day) REFERENCES report_days (realm, day)
);
