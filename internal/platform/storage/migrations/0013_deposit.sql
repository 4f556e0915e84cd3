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
