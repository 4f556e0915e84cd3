-- What resellers can buy. Reference data: the operator's, the same for every customer and
-- realm, few enough to be kept in memory by every process.

-- One row: the catalog's version rises with every change and is that of the rows that
-- changed, so that a process finds what it does not know yet.
CREATE TABLE catalog_state (
	name TEXT NOT NULL PRIMARY KEY,
	version BIGINT NOT NULL CHECK (version > 0)
);

-- Products as they are. A face value from face_minor to face_max_minor; a cost without a
-- currency is unknown. Countries are separated by spaces; none means anywhere.
CREATE TABLE catalog_products (
	item_code TEXT NOT NULL PRIMARY KEY,
	name TEXT NOT NULL,
	brand TEXT NOT NULL,
	category TEXT NOT NULL,
	description TEXT NOT NULL,
	image TEXT NOT NULL,
	terms TEXT NOT NULL,
	currency TEXT NOT NULL,
	face_minor BIGINT NOT NULL CHECK (face_minor > 0),
	face_max_minor BIGINT NOT NULL CHECK (face_max_minor >= face_minor),
	cost_currency TEXT NOT NULL,
	cost_minor BIGINT NOT NULL CHECK (cost_minor >= 0),
	region TEXT NOT NULL,
	countries TEXT NOT NULL,
	delivery TEXT NOT NULL CHECK (delivery IN ('PHYSICAL', 'DIGITAL', 'BOTH')),
	state TEXT NOT NULL CHECK (state IN ('active', 'hidden', 'retired')),
	template_id TEXT NOT NULL,
	low_stock BIGINT NOT NULL CHECK (low_stock >= 0),
	version BIGINT NOT NULL CHECK (version > 0),
	actor TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL
) {heap};

CREATE INDEX catalog_products_by_version ON catalog_products (version);

-- Products as they ever were, the present ones among them.
CREATE TABLE catalog_history (
	item_code TEXT NOT NULL,
	name TEXT NOT NULL,
	brand TEXT NOT NULL,
	category TEXT NOT NULL,
	description TEXT NOT NULL,
	image TEXT NOT NULL,
	terms TEXT NOT NULL,
	currency TEXT NOT NULL,
	face_minor BIGINT NOT NULL,
	face_max_minor BIGINT NOT NULL,
	cost_currency TEXT NOT NULL,
	cost_minor BIGINT NOT NULL,
	region TEXT NOT NULL,
	countries TEXT NOT NULL,
	delivery TEXT NOT NULL,
	state TEXT NOT NULL CHECK (state IN ('active', 'hidden', 'retired')),
	template_id TEXT NOT NULL,
	low_stock BIGINT NOT NULL,
	version BIGINT NOT NULL,
	actor TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL,
	PRIMARY KEY (item_code, version)
) {heap};

-- Price rules in all their revisions; the highest one holds. Whom and what a rule is for
-- is empty for all. percent is in hundredths of a percent.
CREATE TABLE catalog_prices (
	rule_id TEXT NOT NULL,
	revision BIGINT NOT NULL CHECK (revision > 0),
	customer TEXT NOT NULL,
	tier TEXT NOT NULL,
	item_code TEXT NOT NULL,
	brand TEXT NOT NULL,
	basis TEXT NOT NULL CHECK (basis IN ('face', 'cost', 'fixed')),
	percent BIGINT NOT NULL CHECK (percent >= 0),
	currency TEXT NOT NULL,
	charged_minor BIGINT NOT NULL CHECK (charged_minor >= 0),
	priority BIGINT NOT NULL,
	from_at BIGINT,
	until_at BIGINT,
	state TEXT NOT NULL CHECK (state IN ('active', 'removed')),
	version BIGINT NOT NULL CHECK (version > 0),
	actor TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	PRIMARY KEY (rule_id, revision)
);

CREATE INDEX catalog_prices_by_version ON catalog_prices (version);

-- Customers whose prices are those of a tier; an empty one is none any more.
CREATE TABLE catalog_tiers (
	account_id TEXT NOT NULL PRIMARY KEY,
	tier TEXT NOT NULL,
	version BIGINT NOT NULL CHECK (version > 0),
	changed_at BIGINT NOT NULL
);

CREATE INDEX catalog_tiers_by_version ON catalog_tiers (version);

-- Pictures that were uploaded, by the SHA-256 of their bytes in hex. None ever changes.
CREATE TABLE catalog_images (
	image_hash TEXT NOT NULL PRIMARY KEY CHECK (length(image_hash) = 64),
	type TEXT NOT NULL,
	data BYTEA NOT NULL,
	actor TEXT NOT NULL,
	created_at BIGINT NOT NULL
) {heap};

-- The pictures of brands, in lower case, for products without one; an empty one is none any more.
CREATE TABLE catalog_brands (
	brand TEXT NOT NULL PRIMARY KEY,
	image TEXT NOT NULL,
	version BIGINT NOT NULL CHECK (version > 0),
	changed_at BIGINT NOT NULL
);

CREATE INDEX catalog_brands_by_version ON catalog_brands (version);

-- Uploads of codes. Those of a quarantined one are not sold.
CREATE TABLE stock_batches (
	batch_id TEXT NOT NULL PRIMARY KEY,
	realm TEXT NOT NULL CHECK (realm IN ('live', 'test')),
	item_code TEXT NOT NULL,
	name TEXT NOT NULL,
	supplier TEXT NOT NULL,
	state TEXT NOT NULL CHECK (state IN ('open', 'quarantined')),
	reason TEXT NOT NULL,
	actor TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	changed_at BIGINT NOT NULL
);

CREATE UNIQUE INDEX stock_batches_by_name ON stock_batches (realm, item_code, name);

-- Codes, sealed, and found by keyed hash: the same one cannot be in a realm twice. They
-- belong to the operator until they are sold; buyer and order_id say to whom they were, or
-- for whose order, or the key of which remedy of one, a supplier delivered them (reserved). The codes of an order are in the
-- order of their ids; one that has the place of another, which was dead, has the id of the
-- first one there as its origin. One that never expires does so at the end of time.
CREATE TABLE stock_codes (
	code_id TEXT NOT NULL PRIMARY KEY,
	realm TEXT NOT NULL CHECK (realm IN ('live', 'test')),
	item_code TEXT NOT NULL,
	batch_id TEXT NOT NULL,
	line BIGINT NOT NULL,
	code_hash BYTEA NOT NULL CHECK (length(code_hash) = 32),
	code_sealed BYTEA NOT NULL,
	currency TEXT NOT NULL,
	cost_minor BIGINT NOT NULL CHECK (cost_minor >= 0),
	state TEXT NOT NULL CHECK (state IN ('available', 'quarantined', 'reserved', 'sold', 'replacing', 'replaced', 'refunded')),
	expires_at BIGINT NOT NULL,
	buyer TEXT NOT NULL,
	order_id TEXT NOT NULL,
	origin TEXT,
	sold_at BIGINT,
	created_at BIGINT NOT NULL,
	CHECK ((state IN ('sold', 'replacing', 'replaced', 'refunded')) = (sold_at IS NOT NULL))
) {heap};

CREATE UNIQUE INDEX stock_codes_by_hash ON stock_codes (realm, code_hash);
CREATE INDEX stock_codes_for_sale ON stock_codes (realm, item_code, expires_at, code_id) WHERE state = 'available';
CREATE INDEX stock_codes_reserved ON stock_codes (buyer, order_id) WHERE state = 'reserved';
CREATE INDEX stock_codes_by_order ON stock_codes (buyer, order_id) WHERE sold_at IS NOT NULL;
CREATE INDEX stock_codes_by_sale ON stock_codes (realm, sold_at) WHERE sold_at IS NOT NULL;
CREATE INDEX stock_codes_by_batch ON stock_codes (batch_id, state, code_id);

-- Every look at the codes of an order.
CREATE TABLE stock_reveals (
	book_id TEXT NOT NULL,
	reveal_id TEXT NOT NULL,
	order_id TEXT NOT NULL,
	actor TEXT NOT NULL,
	revealed_at BIGINT NOT NULL,
	PRIMARY KEY (book_id, order_id, reveal_id)
);

-- Which items the operator was told are running out.
CREATE TABLE stock_levels (
	realm TEXT NOT NULL CHECK (realm IN ('live', 'test')),
	item_code TEXT NOT NULL,
	state TEXT NOT NULL CHECK (state IN ('low', 'enough')),
	codes BIGINT NOT NULL,
	changed_at BIGINT NOT NULL,
	PRIMARY KEY (realm, item_code)
);
