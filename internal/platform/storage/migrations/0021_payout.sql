-- Bitcoin that is paid out, on its chain and over Lightning, and the sandbox's own nodes.

-- from_account owes the amount and hold_id reserves it. txid is that of the newest
-- transaction that pays it, or of the one that was confirmed.
CREATE TABLE payout_payouts (
	book_id TEXT NOT NULL,
	payout_id TEXT NOT NULL,
	realm TEXT NOT NULL CHECK (realm IN ('live', 'test')),
	kind TEXT NOT NULL CHECK (kind IN ('p2pkh', 'p2sh', 'p2wpkh', 'p2wsh', 'p2tr', 'invoice', 'lightning_address')),
	network TEXT NOT NULL CHECK (network IN ('main', 'test', 'signet', 'regtest')),
	destination TEXT NOT NULL,
	currency TEXT NOT NULL CHECK (currency = 'BTC'),
	amount_minor BIGINT NOT NULL CHECK (amount_minor > 0),
	fee_minor BIGINT NOT NULL CHECK (fee_minor >= 0),
	from_account TEXT NOT NULL,
	hold_id TEXT NOT NULL,
	reference TEXT NOT NULL,
	state TEXT NOT NULL CHECK (state IN ('held', 'sending', 'sent', 'settled', 'failed')),
	reason TEXT NOT NULL CHECK (reason IN ('', 'cancelled', 'expired', 'unpayable', 'no_invoice', 'conflicted', 'reorganised')),
	batch_id TEXT NOT NULL,
	txid TEXT NOT NULL,
	payment_hash TEXT NOT NULL,
	preimage TEXT NOT NULL,
	attempts BIGINT NOT NULL CHECK (attempts >= 0),
	settled_count BIGINT NOT NULL CHECK (settled_count >= 0),
	transaction_id TEXT NOT NULL,
	version BIGINT NOT NULL CHECK (version > 0),
	created_at BIGINT NOT NULL,
	changed_at BIGINT NOT NULL,
	ended_at BIGINT,
	PRIMARY KEY (book_id, payout_id),
	FOREIGN KEY (book_id) REFERENCES ledger_books (book_id)
) {heap};

CREATE INDEX payout_payouts_by_state ON payout_payouts (realm, state, payout_id);
CREATE INDEX payout_payouts_by_age ON payout_payouts (realm, payout_id);
CREATE INDEX payout_payouts_by_batch ON payout_payouts (realm, batch_id, payout_id) WHERE batch_id <> '';

-- Each payment hash is one payout's for ever.
CREATE TABLE payout_hashes (
	realm TEXT NOT NULL CHECK (realm IN ('live', 'test')),
	payment_hash TEXT NOT NULL,
	book_id TEXT NOT NULL,
	payout_id TEXT NOT NULL,
	PRIMARY KEY (realm, payment_hash)
);

-- The tries to pay over Lightning, each with the invoice that is paid. sends is how often
-- it was handed to the node, the last time at sent_at, and answered how often the node
-- said at once how that ended.
CREATE TABLE payout_attempts (
	book_id TEXT NOT NULL,
	payout_id TEXT NOT NULL,
	number BIGINT NOT NULL CHECK (number > 0),
	invoice TEXT NOT NULL,
	payment_hash TEXT NOT NULL,
	state TEXT NOT NULL CHECK (state IN ('open', 'settled', 'failed')),
	reason TEXT NOT NULL,
	sends BIGINT NOT NULL CHECK (sends >= 0),
	answered BIGINT NOT NULL CHECK (answered BETWEEN 0 AND sends),
	made_at BIGINT NOT NULL,
	expires_at BIGINT NOT NULL,
	sent_at BIGINT,
	PRIMARY KEY (book_id, payout_id, number),
	FOREIGN KEY (book_id, payout_id) REFERENCES payout_payouts (book_id, payout_id)
) {heap};

-- Payouts on-chain that share a transaction, and the transactions that replaced one
-- another for them. The raw text is there before anybody publishes it.
CREATE TABLE payout_batches (
	realm TEXT NOT NULL CHECK (realm IN ('live', 'test')),
	batch_id TEXT NOT NULL,
	state TEXT NOT NULL CHECK (state IN ('open', 'built', 'sent', 'confirmed', 'final', 'void')),
	transactions BIGINT NOT NULL CHECK (transactions >= 0),
	txid TEXT NOT NULL,
	version BIGINT NOT NULL CHECK (version > 0),
	made_at BIGINT NOT NULL,
	changed_at BIGINT NOT NULL,
	PRIMARY KEY (realm, batch_id)
);

CREATE INDEX payout_batches_watched ON payout_batches (realm, batch_id) WHERE state IN ('open', 'built', 'sent', 'confirmed');

CREATE TABLE payout_transactions (
	realm TEXT NOT NULL CHECK (realm IN ('live', 'test')),
	batch_id TEXT NOT NULL,
	number BIGINT NOT NULL CHECK (number > 0),
	txid TEXT NOT NULL,
	raw BYTEA NOT NULL,
	currency TEXT NOT NULL CHECK (currency = 'BTC'),
	fee_minor BIGINT NOT NULL CHECK (fee_minor >= 0),
	rate BIGINT NOT NULL CHECK (rate > 0),
	made_at BIGINT NOT NULL,
	PRIMARY KEY (realm, batch_id, number),
	FOREIGN KEY (realm, batch_id) REFERENCES payout_batches (realm, batch_id)
) {heap};

CREATE UNIQUE INDEX payout_transactions_by_txid ON payout_transactions (realm, txid);

-- Whether an operator has stopped the payouts of a realm.
CREATE TABLE payout_switches (
	realm TEXT NOT NULL PRIMARY KEY CHECK (realm IN ('live', 'test')),
	stopped BIGINT NOT NULL CHECK (stopped IN (0, 1)),
	actor TEXT NOT NULL,
	changed_at BIGINT NOT NULL
);

-- Whether the operator was told that a node runs out of money, or that a payment is stuck.
CREATE TABLE payout_levels (
	realm TEXT NOT NULL CHECK (realm IN ('live', 'test')),
	subject TEXT NOT NULL,
	level TEXT NOT NULL CHECK (level IN ('low', 'enough')),
	currency TEXT NOT NULL CHECK (currency = 'BTC'),
	balance_minor BIGINT NOT NULL,
	checked_at BIGINT NOT NULL,
	changed_at BIGINT NOT NULL,
	PRIMARY KEY (realm, subject)
);

-- Each day held against the nodes' own lists.
CREATE TABLE payout_days (
	realm TEXT NOT NULL CHECK (realm IN ('live', 'test')),
	day TEXT NOT NULL,
	payments BIGINT NOT NULL CHECK (payments >= 0),
	found BIGINT NOT NULL CHECK (found >= 0),
	made_at BIGINT NOT NULL,
	PRIMARY KEY (realm, day)
);

CREATE TABLE payout_differences (
	realm TEXT NOT NULL CHECK (realm IN ('live', 'test')),
	day TEXT NOT NULL,
	number BIGINT NOT NULL CHECK (number > 0),
	kind TEXT NOT NULL CHECK (kind IN ('unknown', 'missing', 'amount', 'fee', 'state')),
	subject TEXT NOT NULL,
	want TEXT NOT NULL,
	got TEXT NOT NULL,
	PRIMARY KEY (realm, day, number),
	FOREIGN KEY (realm, day) REFERENCES payout_days (realm, day)
);

-- The sandbox's own nodes: one wallet with its chain and its channels each. The next
-- mood_left calls find it in its mood.
CREATE TABLE simulator_nodes (
	node TEXT NOT NULL PRIMARY KEY,
	height BIGINT NOT NULL CHECK (height >= 0),
	rate BIGINT NOT NULL CHECK (rate >= 0),
	made BIGINT NOT NULL CHECK (made >= 0),
	mood TEXT NOT NULL CHECK (mood IN ('calm', 'stalled', 'mute', 'late', 'stuck', 'refusing', 'lying')),
	mood_left BIGINT NOT NULL CHECK (mood_left >= 0),
	currency TEXT NOT NULL CHECK (currency = 'BTC'),
	channels_minor BIGINT NOT NULL CHECK (channels_minor >= 0)
);

-- The wallet's coins. spent_by is a transaction that waits or is in a block.
CREATE TABLE simulator_coins (
	node TEXT NOT NULL,
	txid TEXT NOT NULL,
	output_index BIGINT NOT NULL CHECK (output_index >= 0),
	currency TEXT NOT NULL CHECK (currency = 'BTC'),
	value_minor BIGINT NOT NULL CHECK (value_minor > 0),
	spent_by TEXT NOT NULL,
	locked_until BIGINT NOT NULL,
	PRIMARY KEY (node, txid, output_index)
);

CREATE INDEX simulator_coins_by_spender ON simulator_coins (node, spent_by);

-- place is 'pool', 'block' or 'gone'; block is 0 outside of blocks. Money that came from
-- elsewhere has an empty raw text.
CREATE TABLE simulator_transactions (
	node TEXT NOT NULL,
	txid TEXT NOT NULL,
	raw BYTEA NOT NULL,
	currency TEXT NOT NULL CHECK (currency = 'BTC'),
	paid_minor BIGINT NOT NULL CHECK (paid_minor >= 0),
	fee_minor BIGINT NOT NULL CHECK (fee_minor >= 0),
	place TEXT NOT NULL CHECK (place IN ('pool', 'block', 'gone')),
	block BIGINT NOT NULL CHECK (block >= 0),
	sent_at BIGINT NOT NULL,
	PRIMARY KEY (node, txid)
);

CREATE INDEX simulator_transactions_waiting ON simulator_transactions (node, sent_at, txid) WHERE place = 'pool';

-- Invoices that the sandbox's own payee has made.
CREATE TABLE simulator_invoices (
	node TEXT NOT NULL,
	payment_hash TEXT NOT NULL,
	preimage TEXT NOT NULL,
	PRIMARY KEY (node, payment_hash)
);

-- What was asked to be paid over Lightning. A late request has not arrived yet.
CREATE TABLE simulator_transfers (
	node TEXT NOT NULL,
	payment_hash TEXT NOT NULL,
	state TEXT NOT NULL CHECK (state IN ('late', 'in_flight', 'succeeded', 'refused')),
	invoice TEXT NOT NULL,
	currency TEXT NOT NULL CHECK (currency = 'BTC'),
	paid_minor BIGINT NOT NULL CHECK (paid_minor >= 0),
	fee_minor BIGINT NOT NULL CHECK (fee_minor >= 0),
	limit_minor BIGINT NOT NULL CHECK (limit_minor >= 0),
	reason TEXT NOT NULL,
	times BIGINT NOT NULL CHECK (times >= 0),
	sent_at BIGINT NOT NULL,
	PRIMARY KEY (node, payment_hash)
);
