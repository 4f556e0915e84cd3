-- The installation's keysets, sealed under the master key. Reference data: a handful of rows.
CREATE TABLE vault_keysets (
	name TEXT NOT NULL PRIMARY KEY,
	version BIGINT NOT NULL CHECK (version > 0),
	sealed BYTEA NOT NULL,
	updated_at BIGINT NOT NULL
);
