-- A portal is a public page of a customer. custom_domain is '' without one, and leads
-- nowhere until a DNS record with the token was seen.
CREATE TABLE portals (
	book_id TEXT NOT NULL,
	portal_id TEXT NOT NULL CHECK (length(portal_id) BETWEEN 1 AND 64),
	realm TEXT NOT NULL CHECK (realm IN ('live', 'test')),
	name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 128),
	slug TEXT NOT NULL CHECK (length(slug) BETWEEN 3 AND 125),
	custom_domain TEXT NOT NULL CHECK (length(custom_domain) <= 253),
	domain_token TEXT NOT NULL CHECK (length(domain_token) <= 64),
	domain_state TEXT NOT NULL CHECK (domain_state IN ('none', 'pending', 'verified')),
	domain_claimed_at BIGINT,
	domain_checked_at BIGINT,
	domain_seen_at BIGINT,
	logo_url TEXT NOT NULL CHECK (length(logo_url) <= 512),
	primary_color TEXT NOT NULL CHECK (length(primary_color) = 7),
	text_color TEXT NOT NULL CHECK (length(text_color) IN (0, 7)),
	tagline TEXT NOT NULL CHECK (length(tagline) <= 200),
	support_url TEXT NOT NULL CHECK (length(support_url) <= 512),
	privacy_url TEXT NOT NULL CHECK (length(privacy_url) <= 512),
	languages TEXT NOT NULL CHECK (languages <> ''),
	networks TEXT NOT NULL,
	state TEXT NOT NULL CHECK (state IN ('active', 'inactive', 'disabled')),
	created_at BIGINT NOT NULL,
	changed_at BIGINT NOT NULL,
	PRIMARY KEY (book_id, portal_id)
);

-- Where a portal is, by the last part of its address. A slug that was given up stays
-- with its book, portal_id '', so that nobody else can receive the visitors of a
-- printed address.
CREATE TABLE portal_slugs (
	slug TEXT NOT NULL PRIMARY KEY,
	book_id TEXT NOT NULL,
	portal_id TEXT NOT NULL
);

CREATE INDEX portal_slugs_by_book ON portal_slugs (book_id);

-- Domains whose record was seen. A domain leads to one portal.
CREATE TABLE portal_domains (
	domain TEXT NOT NULL PRIMARY KEY,
	book_id TEXT NOT NULL,
	portal_id TEXT NOT NULL
);

-- Challenges that were answered, until they would have expired: each counts once.
CREATE TABLE portal_challenges (
	book_id TEXT NOT NULL,
	portal_id TEXT NOT NULL,
	challenge BYTEA NOT NULL CHECK (length(challenge) BETWEEN 1 AND 64),
	expires_at BIGINT NOT NULL,
	PRIMARY KEY (book_id, portal_id, challenge)
);

CREATE INDEX portal_challenges_by_expiry ON portal_challenges (expires_at);
