-- Work to be done outside the transaction that asked for it. A job that is done is deleted.
-- Jobs of the installation itself have the empty book.

CREATE TABLE jobs (
	book_id TEXT NOT NULL,
	job_id TEXT NOT NULL CHECK (length(job_id) BETWEEN 1 AND 100),
	kind TEXT NOT NULL CHECK (length(kind) BETWEEN 1 AND 70),
	realm TEXT NOT NULL CHECK (realm IN ('live', 'test')),
	unique_key TEXT CHECK (length(unique_key) BETWEEN 1 AND 255),
	payload BYTEA NOT NULL CHECK (length(payload) <= 262144),
	state TEXT NOT NULL CHECK (state IN ('pending', 'running', 'dead')),
	run_at BIGINT NOT NULL,
	attempts BIGINT NOT NULL CHECK (attempts >= 0),
	again BIGINT NOT NULL CHECK (again IN (0, 1)),
	lease_owner TEXT,
	lease_until BIGINT,
	last_error TEXT NOT NULL CHECK (length(last_error) <= 1000),
	PRIMARY KEY (book_id, job_id),
	CHECK ((state = 'running') = (lease_owner IS NOT NULL)),
	CHECK ((state = 'running') = (lease_until IS NOT NULL)),
	CHECK (again = 0 OR state = 'running')
) {heap};

CREATE INDEX jobs_by_due ON jobs (kind, realm, run_at, job_id) WHERE state = 'pending';
CREATE INDEX jobs_by_lease ON jobs (lease_until) WHERE state = 'running';
CREATE INDEX jobs_by_death ON jobs (book_id, job_id) WHERE state = 'dead';
CREATE UNIQUE INDEX jobs_by_key ON jobs (book_id, kind, unique_key) WHERE unique_key IS NOT NULL AND state <> 'dead';
