-- Disputes of payments with virtual cards, and what speaks for them. The money is in the
-- books: what is credited until it is decided stands on card.disputed.

-- The realm repeats the book's: by its clock a dispute is due. Whoever changes one counts
-- its revision up. refunded_minor is what the merchant gave back meanwhile.
CREATE TABLE disputes (
	book_id TEXT NOT NULL,
	dispute_id TEXT NOT NULL,
	realm TEXT NOT NULL CHECK (realm IN ('live', 'test')),
	payment_id TEXT NOT NULL,
	card_id TEXT NOT NULL,
	reason TEXT NOT NULL CHECK (reason IN ('fraud', 'duplicate', 'not_received', 'not_as_described', 'cancelled', 'credit_not_processed', 'wrong_amount', 'other')),
	note TEXT NOT NULL,
	currency TEXT NOT NULL,
	amount_minor BIGINT NOT NULL CHECK (amount_minor > 0),
	refunded_minor BIGINT NOT NULL CHECK (refunded_minor >= 0),
	credited BIGINT NOT NULL CHECK (credited IN (0, 1)),
	state TEXT NOT NULL CHECK (state IN ('opened', 'under_review', 'represented', 'won', 'lost', 'withdrawn')),
	revision BIGINT NOT NULL CHECK (revision > 0),
	opened_by TEXT NOT NULL,
	decision TEXT NOT NULL,
	decided_by TEXT NOT NULL,
	evidence BIGINT NOT NULL CHECK (evidence >= 0),
	due_at BIGINT,
	created_at BIGINT NOT NULL,
	changed_at BIGINT NOT NULL,
	PRIMARY KEY (book_id, dispute_id),
	FOREIGN KEY (book_id) REFERENCES ledger_books (book_id),
	CHECK (refunded_minor <= amount_minor),
	CHECK ((state IN ('opened', 'under_review', 'represented')) = (due_at IS NOT NULL))
);

-- A payment has one dispute at a time, and none after one that was lost.
CREATE UNIQUE INDEX disputes_by_payment ON disputes (book_id, payment_id) WHERE state <> 'won' AND state <> 'withdrawn';
CREATE INDEX disputes_by_realm ON disputes (realm, dispute_id);
CREATE INDEX disputes_by_state ON disputes (realm, state, dispute_id);
CREATE INDEX disputes_by_due ON disputes (realm, due_at, book_id, dispute_id) WHERE due_at IS NOT NULL;

-- Texts and files, sealed.
CREATE TABLE dispute_evidence (
	book_id TEXT NOT NULL,
	dispute_id TEXT NOT NULL,
	place BIGINT NOT NULL CHECK (place > 0),
	media_type TEXT NOT NULL,
	size BIGINT NOT NULL CHECK (size > 0),
	content_sealed BYTEA NOT NULL,
	actor TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	PRIMARY KEY (book_id, dispute_id, place),
	FOREIGN KEY (book_id, dispute_id) REFERENCES disputes (book_id, dispute_id)
) {heap};
