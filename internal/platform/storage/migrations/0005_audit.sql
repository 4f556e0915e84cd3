-- Who did what. Records are only ever inserted; each carries the hash of itself and
-- of the record before it in its book. Book '' is the installation's own.

CREATE TABLE audit_records (
	book_id TEXT NOT NULL,
	seq BIGINT NOT NULL CHECK (seq > 0),
	actor TEXT NOT NULL CHECK (actor <> ''),
	action TEXT NOT NULL CHECK (action <> ''),
	subject TEXT NOT NULL,
	detail TEXT NOT NULL,
	recorded_at BIGINT NOT NULL,
	hash BYTEA NOT NULL CHECK (length(hash) = 32),
	PRIMARY KEY (book_id, seq)
) {heap};

CREATE INDEX audit_records_by_time ON audit_records (recorded_at, book_id, seq);

-- The last record of each book: what makes a missing last record visible.
CREATE TABLE audit_heads (
	book_id TEXT NOT NULL PRIMARY KEY,
	seq BIGINT NOT NULL CHECK (seq >= 0),
	hash BYTEA NOT NULL
);
