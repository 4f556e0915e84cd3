-- Balance checks. No number and no PIN is kept: a card is a keyed hash of its network
-- and number. signals has a line for each: name, of whom, value, threshold, seconds of the
-- window, points, and 1 if it is telling, with tabs between. owner_book and owner_card name a card of this installation that somebody
-- else checked; both are empty otherwise.

CREATE TABLE pings (
	book_id TEXT NOT NULL,
	ping_id TEXT NOT NULL,
	realm TEXT NOT NULL CHECK (realm IN ('live', 'test')),
	network TEXT NOT NULL,
	card_hash BYTEA NOT NULL CHECK (length(card_hash) = 32),
	credential TEXT NOT NULL,
	address TEXT NOT NULL,
	status TEXT NOT NULL CHECK (status IN ('active', 'inactive', 'expired', 'invalid')),
	balance_minor BIGINT NOT NULL CHECK (balance_minor >= 0),
	currency TEXT NOT NULL,
	expiry_month TEXT NOT NULL,
	score BIGINT NOT NULL CHECK (score BETWEEN 0 AND 100),
	signals TEXT NOT NULL,
	model TEXT NOT NULL,
	decision_id TEXT NOT NULL,
	latency_us BIGINT NOT NULL CHECK (latency_us >= 0),
	label TEXT NOT NULL CHECK (label IN ('', 'fraud', 'genuine')),
	owner_book TEXT NOT NULL,
	owner_card TEXT NOT NULL,
	known_at BIGINT NOT NULL,
	created_at BIGINT NOT NULL,
	PRIMARY KEY (book_id, ping_id)
) {heap};

-- It has the owners so that a sweep finds whom to tell in the index alone. Every row is in
-- it: an index of the checks of existing cards would take time from their answers alone.
CREATE INDEX pings_by_time ON pings (realm, created_at, owner_book, owner_card);

-- The last five wrong PINs of a number, the newest first, until when it is locked, and when
-- somebody last asked with a PIN in vain. A number that does not exist has a row like any
-- other, and the row of a locked one is written like any other.
CREATE TABLE ping_cards (
	card_hash BYTEA NOT NULL,
	wrong_1_at BIGINT NOT NULL,
	wrong_2_at BIGINT NOT NULL,
	wrong_3_at BIGINT NOT NULL,
	wrong_4_at BIGINT NOT NULL,
	wrong_5_at BIGINT NOT NULL,
	locked_until BIGINT NOT NULL,
	asked_at BIGINT NOT NULL,
	PRIMARY KEY (card_hash)
);

CREATE INDEX ping_cards_by_time ON ping_cards (asked_at);

-- How many different cards a caller asked for in this hour and the one before, how many of
-- them it found, and what came of it. changed_at is the machine's time of the last change of
-- its state: other processes look for what changed of late.
CREATE TABLE ping_callers (
	book_id TEXT NOT NULL,
	caller TEXT NOT NULL,
	realm TEXT NOT NULL CHECK (realm IN ('live', 'test')),
	hour_at BIGINT NOT NULL,
	cards BIGINT NOT NULL,
	found BIGINT NOT NULL,
	earlier_cards BIGINT NOT NULL,
	earlier_found BIGINT NOT NULL,
	state TEXT NOT NULL CHECK (state IN ('free', 'slowed', 'suspended')),
	reason TEXT NOT NULL,
	changed_at BIGINT NOT NULL,
	PRIMARY KEY (book_id, caller)
);

CREATE INDEX ping_callers_by_change ON ping_callers (changed_at);
CREATE INDEX ping_callers_by_hour ON ping_callers (hour_at) WHERE state = 'free';
CREATE INDEX ping_callers_suspended ON ping_callers (book_id, caller) WHERE state = 'suspended';

-- How many checks customers may make in a month, where that is not the installation's
-- figure; checks is NULL where it is again.
CREATE TABLE quotas (
	book_id TEXT NOT NULL,
	checks BIGINT CHECK (checks >= 0),
	changed_at BIGINT NOT NULL,
	PRIMARY KEY (book_id)
);

CREATE INDEX quotas_by_change ON quotas (changed_at);

-- When the owner of a card was last told that somebody checked it.
CREATE TABLE ping_probes (
	book_id TEXT NOT NULL,
	card TEXT NOT NULL,
	told_at BIGINT NOT NULL,
	PRIMARY KEY (book_id, card)
);

CREATE INDEX ping_probes_by_time ON ping_probes (told_at);

-- How far the sweep that tells them came.
CREATE TABLE ping_marks (
	realm TEXT NOT NULL PRIMARY KEY CHECK (realm IN ('live', 'test')),
	swept_at BIGINT NOT NULL
);

-- Networks that operators configured. A removed one stays for a while, so that every
-- process learns of it.
CREATE TABLE ping_networks (
	realm TEXT NOT NULL CHECK (realm IN ('live', 'test')),
	network_id TEXT NOT NULL,
	name TEXT NOT NULL,
	type TEXT NOT NULL CHECK (type IN ('open_loop', 'closed_loop')),
	kind TEXT NOT NULL,
	lengths TEXT NOT NULL,
	prefixes TEXT NOT NULL,
	letters BIGINT NOT NULL CHECK (letters IN (0, 1)),
	pin_required BIGINT NOT NULL CHECK (pin_required IN (0, 1)),
	currencies TEXT NOT NULL,
	timeout_ms BIGINT NOT NULL CHECK (timeout_ms >= 0),
	attempts BIGINT NOT NULL CHECK (attempts >= 0),
	concurrency BIGINT NOT NULL CHECK (concurrency >= 0),
	config BYTEA NOT NULL,
	state TEXT NOT NULL CHECK (state IN ('active', 'disabled', 'removed')),
	version BIGINT NOT NULL CHECK (version > 0),
	created_at BIGINT NOT NULL,
	changed_at BIGINT NOT NULL,
	PRIMARY KEY (realm, network_id)
);

-- Numbers that nobody should ask for.
CREATE TABLE ping_honey (
	honey_id TEXT NOT NULL PRIMARY KEY,
	realm TEXT NOT NULL CHECK (realm IN ('live', 'test')),
	network TEXT NOT NULL,
	card_hash BYTEA NOT NULL,
	last4 TEXT NOT NULL,
	note TEXT NOT NULL,
	state TEXT NOT NULL CHECK (state IN ('active', 'removed')),
	created_at BIGINT NOT NULL,
	changed_at BIGINT NOT NULL
);

CREATE UNIQUE INDEX ping_honey_by_card ON ping_honey (card_hash) WHERE state = 'active';
CREATE INDEX ping_honey_by_change ON ping_honey (changed_at);
