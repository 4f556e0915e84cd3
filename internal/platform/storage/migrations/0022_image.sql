-- Forms that were given out, each for one file. The owner is an order; whose it is, only
-- the order knows. A row goes away a day after its form.
CREATE TABLE image_uploads (
	upload_key TEXT NOT NULL PRIMARY KEY CHECK (length(upload_key) BETWEEN 1 AND 128),
	realm TEXT NOT NULL CHECK (realm IN ('live', 'test')),
	owner_id TEXT NOT NULL CHECK (length(owner_id) BETWEEN 1 AND 64),
	kind TEXT NOT NULL CHECK (length(kind) BETWEEN 1 AND 32),
	content_type TEXT NOT NULL CHECK (content_type IN ('image/jpeg', 'image/png')),
	state TEXT NOT NULL CHECK (state IN ('open', 'taken', 'refused', 'closed')),
	file_hash BYTEA CHECK (length(file_hash) = 32),
	refusal TEXT NOT NULL CHECK (length(refusal) <= 512),
	asked_at BIGINT NOT NULL,
	ended_at BIGINT
) {heap};

CREATE INDEX image_uploads_by_owner ON image_uploads (realm, owner_id);
CREATE INDEX image_uploads_by_time ON image_uploads (asked_at);

-- Images as they are kept. sha256 is of the content in the clear; it stays when the content
-- is erased. What later copies are found by, the likeness among it, is forgotten on a clock
-- of its own, never before the content.
CREATE TABLE images (
	image_id TEXT NOT NULL PRIMARY KEY CHECK (length(image_id) BETWEEN 1 AND 64),
	realm TEXT NOT NULL CHECK (realm IN ('live', 'test')),
	owner_id TEXT NOT NULL CHECK (length(owner_id) BETWEEN 1 AND 64),
	kind TEXT NOT NULL CHECK (length(kind) BETWEEN 1 AND 32),
	content_type TEXT NOT NULL CHECK (content_type IN ('image/jpeg', 'image/png')),
	sha256 TEXT NOT NULL CHECK (length(sha256) = 64),
	version BIGINT NOT NULL CHECK (version >= 1),
	chunks BIGINT NOT NULL CHECK (chunks >= 1),
	bytes BIGINT NOT NULL CHECK (bytes >= 1),
	width BIGINT NOT NULL CHECK (width >= 1),
	height BIGINT NOT NULL CHECK (height >= 1),
	likeness BIGINT,
	uploaded_at BIGINT NOT NULL,
	erase_at BIGINT NOT NULL,
	erased_at BIGINT,
	forget_at BIGINT NOT NULL,
	forgotten_at BIGINT
) {heap};

CREATE INDEX images_by_owner ON images (realm, owner_id, image_id);
CREATE INDEX images_due ON images (realm, erase_at) WHERE erased_at IS NULL;
CREATE INDEX images_known ON images (realm, forget_at) WHERE forgotten_at IS NULL;

-- The content, sealed, in parts. A redaction makes the next version and removes the one before.
CREATE TABLE image_chunks (
	image_id TEXT NOT NULL,
	version BIGINT NOT NULL,
	seq BIGINT NOT NULL CHECK (seq >= 0),
	sealed BYTEA NOT NULL CHECK (length(sealed) > 0),
	PRIMARY KEY (image_id, version, seq)
) {heap};

-- The four quarters of each likeness, by which those are found that differ in few bits.
CREATE TABLE image_bands (
	realm TEXT NOT NULL CHECK (realm IN ('live', 'test')),
	band BIGINT NOT NULL CHECK (band BETWEEN 0 AND 3),
	bits BIGINT NOT NULL CHECK (bits BETWEEN 0 AND 65535),
	image_id TEXT NOT NULL,
	owner_id TEXT NOT NULL,
	kind TEXT NOT NULL,
	likeness BIGINT NOT NULL,
	PRIMARY KEY (realm, band, bits, image_id)
);

-- Images of different owners, or kinds, that look alike, both ways round; those of other cards of one
-- design with the later image alone.
CREATE TABLE image_twins (
	image_id TEXT NOT NULL,
	twin_id TEXT NOT NULL,
	owner_id TEXT NOT NULL,
	kind TEXT NOT NULL,
	resemblance TEXT NOT NULL CHECK (resemblance IN ('same_photo', 'same_card', 'same_design')),
	distance BIGINT NOT NULL CHECK (distance BETWEEN 0 AND 1000),
	PRIMARY KEY (image_id, twin_id)
);

-- What images show: marks of one of them, sealed, by which it is found in later ones, and in
-- how many it was.
CREATE TABLE image_scenes (
	scene_id TEXT NOT NULL PRIMARY KEY CHECK (length(scene_id) BETWEEN 1 AND 64),
	realm TEXT NOT NULL CHECK (realm IN ('live', 'test')),
	image_id TEXT NOT NULL,
	photos BIGINT NOT NULL CHECK (photos >= 0),
	sealed BYTEA NOT NULL CHECK (length(sealed) > 0)
) {heap};

-- The newest other image of each scene, with marks that take the place of the scene's when
-- the image is forgotten that those are of.
CREATE TABLE image_heirs (
	scene_id TEXT NOT NULL PRIMARY KEY,
	image_id TEXT NOT NULL,
	sealed BYTEA NOT NULL CHECK (length(sealed) > 0)
) {heap};

-- Bits of single marks of a scene, by which scenes are found that share some of them.
CREATE TABLE image_words (
	realm TEXT NOT NULL CHECK (realm IN ('live', 'test')),
	word BIGINT NOT NULL CHECK (word >= 0),
	scene_id TEXT NOT NULL,
	PRIMARY KEY (realm, word, scene_id)
);

CREATE INDEX image_words_by_scene ON image_words (scene_id);

-- How each image shows a scene, sealed, by which images of one scene are compared.
CREATE TABLE image_traces (
	scene_id TEXT NOT NULL,
	image_id TEXT NOT NULL,
	owner_id TEXT NOT NULL,
	kind TEXT NOT NULL,
	sealed BYTEA NOT NULL CHECK (length(sealed) > 0),
	PRIMARY KEY (scene_id, image_id)
) {heap};

CREATE INDEX image_traces_by_image ON image_traces (image_id);

-- One row a realm, locked by whoever compares an image with those before it; it counts them.
CREATE TABLE image_gates (
	realm TEXT NOT NULL PRIMARY KEY CHECK (realm IN ('live', 'test')),
	passed BIGINT NOT NULL CHECK (passed >= 0)
);
