-- Who delivers the codes of orders beside the operator's own stock.

-- One row: its version rises with every change of suppliers and routes and is that of the
-- rows that changed.
CREATE TABLE supply_state (
	name TEXT NOT NULL PRIMARY KEY,
	version BIGINT NOT NULL CHECK (version > 0)
);

-- Suppliers that the operator configured. Reference data; config is sealed.
CREATE TABLE supply_suppliers (
	realm TEXT NOT NULL CHECK (realm IN ('live', 'test')),
	supplier_id TEXT NOT NULL,
	name TEXT NOT NULL,
	kind TEXT NOT NULL,
	timeout_ms BIGINT NOT NULL CHECK (timeout_ms >= 0),
	concurrency BIGINT NOT NULL CHECK (concurrency >= 0),
	config BYTEA NOT NULL,
	state TEXT NOT NULL CHECK (state IN ('active', 'disabled', 'removed')),
	version BIGINT NOT NULL CHECK (version > 0),
	created_at BIGINT NOT NULL,
	changed_at BIGINT NOT NULL,
	PRIMARY KEY (realm, supplier_id)
);

-- Which items a supplier delivers, under which name of its own, and which supplier is asked
-- first: the one with the lowest priority. at_loss is 1 where codes may be sold for less than
-- they cost.
CREATE TABLE supply_routes (
	realm TEXT NOT NULL CHECK (realm IN ('live', 'test')),
	item_code TEXT NOT NULL,
	supplier_id TEXT NOT NULL,
	supplier_item TEXT NOT NULL,
	priority BIGINT NOT NULL CHECK (priority BETWEEN 0 AND 1000),
	at_loss BIGINT NOT NULL CHECK (at_loss IN (0, 1)),
	state TEXT NOT NULL CHECK (state IN ('active', 'removed')),
	version BIGINT NOT NULL CHECK (version > 0),
	changed_at BIGINT NOT NULL,
	PRIMARY KEY (realm, item_code, supplier_id)
);

CREATE INDEX supply_routes_by_version ON supply_routes (version);

-- What was asked of suppliers for orders, a row before each call: the tries of an order are
-- numbered from 1, and at most the last one is not over. Those of a replacement of some of its
-- codes have the key of its remedy, and numbers of their own. cost_minor is what the codes cost
-- that the order keeps. sent_at, busy_until and changed_at are the machine's time.
CREATE TABLE supply_submissions (
	book_id TEXT NOT NULL,
	order_id BIGINT NOT NULL CHECK (order_id > 0),
	remedy TEXT NOT NULL,
	try BIGINT NOT NULL CHECK (try > 0),
	submission_id TEXT NOT NULL,
	realm TEXT NOT NULL CHECK (realm IN ('live', 'test')),
	supplier_id TEXT NOT NULL,
	supplier_item TEXT NOT NULL,
	quantity BIGINT NOT NULL CHECK (quantity BETWEEN 1 AND 100),
	denomination TEXT NOT NULL,
	reference TEXT NOT NULL,
	state TEXT NOT NULL CHECK (state IN ('sent', 'working', 'delivered', 'refused')),
	reason TEXT NOT NULL,
	delivered BIGINT NOT NULL CHECK (delivered >= 0),
	currency TEXT NOT NULL,
	cost_minor BIGINT NOT NULL,
	asked BIGINT NOT NULL CHECK (asked >= 0),
	sent_at BIGINT NOT NULL,
	busy_until BIGINT NOT NULL,
	changed_at BIGINT NOT NULL,
	PRIMARY KEY (book_id, order_id, remedy, try),
	FOREIGN KEY (book_id) REFERENCES ledger_books (book_id)
) {heap};

CREATE INDEX supply_submissions_open ON supply_submissions (realm, supplier_id) WHERE state IN ('sent', 'working');
