-- What all processes together have leased of a subject's budget in one window.
-- A subject is a credential's id or an address, of no customer's book.

CREATE TABLE limit_windows (
	subject TEXT NOT NULL,
	period_us BIGINT NOT NULL CHECK (period_us > 0),
	started_at BIGINT NOT NULL,
	ends_at BIGINT NOT NULL,
	used BIGINT NOT NULL CHECK (used >= 0),
	granted BIGINT NOT NULL CHECK (granted >= 0),
	PRIMARY KEY (subject, period_us, started_at)
);

CREATE INDEX limit_windows_by_end ON limit_windows (ends_at);

-- The penalty box. A block is lifted by an end in the past.
CREATE TABLE limit_blocks (
	subject TEXT NOT NULL PRIMARY KEY,
	until_at BIGINT NOT NULL,
	written_at BIGINT NOT NULL
);

CREATE INDEX limit_blocks_by_write ON limit_blocks (written_at);
CREATE INDEX limit_blocks_by_end ON limit_blocks (until_at);

CREATE TABLE limit_quotas (
	book_id TEXT NOT NULL,
	name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
	period TEXT NOT NULL CHECK (length(period) BETWEEN 1 AND 32),
	used BIGINT NOT NULL CHECK (used >= 0),
	PRIMARY KEY (book_id, name, period)
);

-- Answers that a repeated request gets again. Of the request only a fingerprint is kept.
CREATE TABLE idempotency_answers (
	book_id TEXT NOT NULL,
	name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
	key TEXT NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
	fingerprint BYTEA NOT NULL CHECK (length(fingerprint) = 32),
	status BIGINT NOT NULL CHECK (status BETWEEN 100 AND 599),
	body BYTEA NOT NULL CHECK (length(body) <= 4194304),
	answered_at BIGINT NOT NULL,
	expires_at BIGINT NOT NULL CHECK (expires_at > answered_at),
	PRIMARY KEY (book_id, name, key)
) {heap};

CREATE INDEX idempotency_answers_by_expiry ON idempotency_answers (expires_at);
