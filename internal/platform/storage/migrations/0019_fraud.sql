-- What the fraud engine remembers, decides by and decided.

-- How far each numbered thing is: 'log' counts batches, 'change' the changes of models and
-- rules. Reference data, a few rows.
CREATE TABLE fraud_state (
	name TEXT NOT NULL PRIMARY KEY,
	position BIGINT NOT NULL CHECK (position > 0)
);

-- What happened, in batches as processes wrote them, until a snapshot has it: hashes, no
-- numbers. bytes is the length of data.
CREATE TABLE fraud_log (
	position BIGINT NOT NULL PRIMARY KEY,
	process TEXT NOT NULL,
	events BIGINT NOT NULL,
	bytes BIGINT NOT NULL,
	data BYTEA NOT NULL,
	written_at BIGINT NOT NULL
) {heap};

-- Activations and reloads of cards that are not in the log yet, each an entry as the log
-- has it, written with what they tell of: hashes, no numbers.
CREATE TABLE fraud_notices (
	notice_id TEXT NOT NULL PRIMARY KEY,
	event BYTEA NOT NULL
);

-- The counts of a process: its own batches up to own_position are in them, and those of the
-- others up to others_position.
CREATE TABLE fraud_snapshots (
	snapshot_id TEXT NOT NULL PRIMARY KEY,
	process TEXT NOT NULL,
	own_position BIGINT NOT NULL,
	others_position BIGINT NOT NULL,
	layout BYTEA NOT NULL,
	parts BIGINT NOT NULL,
	bytes BIGINT NOT NULL,
	state TEXT NOT NULL CHECK (state IN ('writing', 'complete')),
	made_at BIGINT NOT NULL
);

CREATE TABLE fraud_snapshot_parts (
	snapshot_id TEXT NOT NULL,
	part BIGINT NOT NULL,
	data BYTEA NOT NULL,
	PRIMARY KEY (snapshot_id, part),
	FOREIGN KEY (snapshot_id) REFERENCES fraud_snapshots (snapshot_id)
) {heap};

-- Trained models. At most one is champion, and at most one challenger; before_id is the
-- champion that a champion took the place of. info describes the training, as JSON.
CREATE TABLE fraud_models (
	model_id TEXT NOT NULL PRIMARY KEY,
	kind TEXT NOT NULL CHECK (kind IN ('ping', 'authorization')),
	name TEXT NOT NULL,
	sha256 TEXT NOT NULL,
	info BYTEA NOT NULL,
	data BYTEA NOT NULL,
	state TEXT NOT NULL CHECK (state IN ('kept', 'challenger', 'champion')),
	before_id TEXT NOT NULL,
	actor TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	changed_at BIGINT NOT NULL
) {heap};

-- The operator's rules, each version a row. The newest version counts. backtest is the
-- result of trying it on history, empty before that.
CREATE TABLE fraud_rules (
	rule_id TEXT NOT NULL,
	version BIGINT NOT NULL CHECK (version > 0),
	name TEXT NOT NULL,
	condition TEXT NOT NULL,
	action TEXT NOT NULL CHECK (action IN ('allow', 'review', 'slow', 'challenge', 'block')),
	at_least BIGINT NOT NULL CHECK (at_least BETWEEN 0 AND 99),
	backtest BYTEA NOT NULL,
	state TEXT NOT NULL CHECK (state IN ('draft', 'enabled', 'disabled')),
	actor TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	changed_at BIGINT NOT NULL,
	PRIMARY KEY (rule_id, version)
);

-- What was made of events. event is the event as the log has it, numbers those that the
-- model saw (two bits each, and float32 for the uncommon ones), reasons the signals as JSON. label_at is when somebody
-- said what it was, 0 before.
CREATE TABLE fraud_decisions (
	book_id TEXT NOT NULL,
	decision_id TEXT NOT NULL,
	realm TEXT NOT NULL CHECK (realm IN ('live', 'test')),
	kind TEXT NOT NULL,
	network TEXT NOT NULL,
	score BIGINT NOT NULL CHECK (score BETWEEN 0 AND 100),
	rules_score BIGINT NOT NULL,
	model_score BIGINT NOT NULL,
	shadow_score BIGINT NOT NULL,
	model TEXT NOT NULL,
	challenger TEXT NOT NULL,
	rule TEXT NOT NULL,
	action TEXT NOT NULL,
	reasons BYTEA NOT NULL,
	numbers BYTEA NOT NULL,
	event BYTEA NOT NULL,
	label TEXT NOT NULL CHECK (label IN ('', 'fraud', 'genuine')),
	label_at BIGINT NOT NULL,
	decided_at BIGINT NOT NULL,
	PRIMARY KEY (decision_id, book_id)
) {heap};

CREATE INDEX fraud_decisions_by_time ON fraud_decisions (realm, decided_at);
