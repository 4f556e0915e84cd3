-- Addresses that customers pay assets to, what was paid, and the sandbox's own chains.

-- One address for each wallet and chain, kept for ever. It is made from position of maker
-- and empty until that was done.
CREATE TABLE wallet_addresses (
	book_id TEXT NOT NULL,
	chain TEXT NOT NULL,
	realm TEXT NOT NULL CHECK (realm IN ('live', 'test')),
	maker TEXT NOT NULL,
	position BIGINT NOT NULL CHECK (position >= 0),
	address TEXT NOT NULL,
	given_at BIGINT NOT NULL,
	PRIMARY KEY (book_id, chain),
	FOREIGN KEY (book_id) REFERENCES ledger_books (book_id)
);

-- Whose an address is.
CREATE TABLE wallet_address_owners (
	realm TEXT NOT NULL CHECK (realm IN ('live', 'test')),
	chain TEXT NOT NULL,
	address TEXT NOT NULL,
	book_id TEXT NOT NULL,
	PRIMARY KEY (realm, chain, address)
);

-- How many positions of a maker were given out. Whoever gives one holds the row.
CREATE TABLE wallet_makers (
	realm TEXT NOT NULL CHECK (realm IN ('live', 'test')),
	chain TEXT NOT NULL,
	maker TEXT NOT NULL,
	given BIGINT NOT NULL CHECK (given >= 0),
	PRIMARY KEY (realm, chain, maker)
);

-- Addresses that the operator imported, in the order in which they are given out.
CREATE TABLE wallet_pool (
	realm TEXT NOT NULL CHECK (realm IN ('live', 'test')),
	chain TEXT NOT NULL,
	address TEXT NOT NULL,
	position BIGINT NOT NULL CHECK (position >= 0),
	imported_at BIGINT NOT NULL,
	PRIMARY KEY (realm, chain, address)
);

CREATE UNIQUE INDEX wallet_pool_by_position ON wallet_pool (realm, chain, position);

-- Whether the operator was told that a pool runs low.
CREATE TABLE wallet_levels (
	realm TEXT NOT NULL CHECK (realm IN ('live', 'test')),
	chain TEXT NOT NULL,
	level TEXT NOT NULL CHECK (level IN ('low', 'enough')),
	changed_at BIGINT NOT NULL,
	PRIMARY KEY (realm, chain)
);

-- What was paid to wallets' addresses. units is a count of the asset's smallest units; the
-- money is what it is worth, the fee, and what the wallet gets or got. The rate is a ratio,
-- zero while none is known. rest_height is 0 but for what an address had besides all payments
-- that were known of, up to the block of that height: nothing below it can be new any more.
CREATE TABLE wallet_deposits (
	book_id TEXT NOT NULL,
	deposit_id TEXT NOT NULL,
	realm TEXT NOT NULL CHECK (realm IN ('live', 'test')),
	chain TEXT NOT NULL,
	asset TEXT NOT NULL,
	symbol TEXT NOT NULL,
	txid TEXT NOT NULL,
	output_index BIGINT NOT NULL CHECK (output_index >= 0),
	rest_height BIGINT NOT NULL CHECK (rest_height >= 0),
	address TEXT NOT NULL,
	units TEXT NOT NULL CHECK (length(units) BETWEEN 1 AND 39 AND ltrim(units, '0123456789') = ''),
	status TEXT NOT NULL CHECK (status IN ('pending', 'confirmed', 'expired')),
	reason TEXT NOT NULL CHECK (reason IN ('', 'below_minimum', 'replaced', 'dropped', 'reorganised', 'no_rate', 'too_large')),
	confirmations BIGINT NOT NULL CHECK (confirmations >= 0),
	required BIGINT NOT NULL CHECK (required > 0),
	final BIGINT NOT NULL CHECK (final IN (0, 1)),
	currency TEXT NOT NULL,
	value_minor BIGINT NOT NULL CHECK (value_minor >= 0),
	fee_minor BIGINT NOT NULL CHECK (fee_minor >= 0),
	credited_minor BIGINT NOT NULL CHECK (credited_minor = value_minor - fee_minor),
	rate_numerator BIGINT NOT NULL CHECK (rate_numerator >= 0),
	rate_denominator BIGINT NOT NULL CHECK (rate_denominator >= 0),
	rate_sources TEXT NOT NULL,
	rated_at BIGINT,
	credits BIGINT NOT NULL CHECK (credits >= 0),
	credit_id TEXT NOT NULL,
	reversal_id TEXT NOT NULL,
	replaced_by TEXT NOT NULL,
	watched BIGINT NOT NULL CHECK (watched IN (0, 1)),
	version BIGINT NOT NULL CHECK (version > 0),
	seen_at BIGINT NOT NULL,
	confirmed_at BIGINT,
	changed_at BIGINT NOT NULL,
	PRIMARY KEY (book_id, deposit_id),
	FOREIGN KEY (book_id) REFERENCES ledger_books (book_id)
) {heap};

CREATE INDEX wallet_deposits_by_status ON wallet_deposits (book_id, status, deposit_id);
CREATE INDEX wallet_deposits_watched ON wallet_deposits (realm, chain, book_id, deposit_id) WHERE watched = 1;

-- Each payment is one deposit.
CREATE TABLE wallet_payments (
	realm TEXT NOT NULL CHECK (realm IN ('live', 'test')),
	chain TEXT NOT NULL,
	txid TEXT NOT NULL,
	output_index BIGINT NOT NULL,
	book_id TEXT NOT NULL,
	deposit_id TEXT NOT NULL,
	PRIMARY KEY (realm, chain, txid, output_index)
);

-- Blocks in which payments to an address may have been missed, since the chain's node does
-- not keep its account of them any more. Both heights are included. One that an operator
-- dismissed stays: nothing that is found in it later is new.
CREATE TABLE wallet_gaps (
	book_id TEXT NOT NULL,
	chain TEXT NOT NULL,
	address TEXT NOT NULL,
	to_height BIGINT NOT NULL,
	from_height BIGINT NOT NULL CHECK (from_height <= to_height),
	realm TEXT NOT NULL CHECK (realm IN ('live', 'test')),
	asset TEXT NOT NULL,
	dismissed BIGINT NOT NULL CHECK (dismissed IN (0, 1)),
	found_at BIGINT NOT NULL,
	PRIMARY KEY (book_id, chain, address, to_height),
	FOREIGN KEY (book_id) REFERENCES ledger_books (book_id)
);

CREATE INDEX wallet_gaps_by_chain ON wallet_gaps (realm, chain, from_height) WHERE dismissed = 0;

-- How far each chain was looked at, up to which height its account of addresses was compared
-- with payments, and since when looking fails.
CREATE TABLE wallet_cursors (
	realm TEXT NOT NULL CHECK (realm IN ('live', 'test')),
	chain TEXT NOT NULL,
	place TEXT NOT NULL,
	compared BIGINT NOT NULL CHECK (compared >= 0),
	looked_at BIGINT,
	failing_since BIGINT,
	PRIMARY KEY (realm, chain)
);

-- The sandbox's chains: how many changes each has made, and whether it answers at all.
CREATE TABLE simulator_chains (
	chain TEXT NOT NULL PRIMARY KEY,
	changes BIGINT NOT NULL CHECK (changes >= 0),
	stalled BIGINT NOT NULL CHECK (stalled IN (0, 1))
);

-- How many blocks there are, as payments to one address count them: one customer's blocks
-- confirm nobody else's payments.
CREATE TABLE simulator_blocks (
	chain TEXT NOT NULL,
	address TEXT NOT NULL,
	height BIGINT NOT NULL CHECK (height >= 0),
	PRIMARY KEY (chain, address)
);

-- block is 0 for a payment that is in none.
CREATE TABLE simulator_payments (
	chain TEXT NOT NULL,
	txid TEXT NOT NULL,
	output_index BIGINT NOT NULL CHECK (output_index >= 0),
	asset TEXT NOT NULL,
	address TEXT NOT NULL,
	units TEXT NOT NULL CHECK (length(units) BETWEEN 1 AND 39 AND ltrim(units, '0123456789') = ''),
	block BIGINT NOT NULL CHECK (block >= 0),
	gone BIGINT NOT NULL CHECK (gone IN (0, 1)),
	replaced_by TEXT NOT NULL,
	change BIGINT NOT NULL,
	PRIMARY KEY (chain, txid, output_index)
);

CREATE UNIQUE INDEX simulator_payments_by_change ON simulator_payments (chain, change);
CREATE INDEX simulator_payments_by_address ON simulator_payments (chain, address, block);
