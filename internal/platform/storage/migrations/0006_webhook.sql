-- Events are written with the change that they tell about. Those nobody subscribed
-- to are stored with nothing to deliver and never looked at again until they go.

CREATE TABLE webhook_events (
	book_id TEXT NOT NULL,
	event_id TEXT NOT NULL CHECK (length(event_id) BETWEEN 1 AND 64),
	realm TEXT NOT NULL CHECK (realm IN ('live', 'test')),
	type TEXT NOT NULL CHECK (length(type) BETWEEN 1 AND 64),
	data BYTEA NOT NULL CHECK (length(data) BETWEEN 1 AND 70000),
	sealed BIGINT NOT NULL CHECK (sealed IN (0, 1)),
	state TEXT NOT NULL CHECK (state IN ('none', 'pending', 'dispatched')),
	created_at BIGINT NOT NULL,
	PRIMARY KEY (book_id, event_id)
) {heap};

CREATE INDEX webhook_events_pending ON webhook_events (event_id) WHERE state = 'pending';
CREATE INDEX webhook_events_by_time ON webhook_events (realm, created_at);

-- changed_at is the machine's time in both realms: other processes look for what changed of late.
CREATE TABLE webhook_endpoints (
	book_id TEXT NOT NULL,
	endpoint_id TEXT NOT NULL,
	realm TEXT NOT NULL CHECK (realm IN ('live', 'test')),
	url TEXT NOT NULL CHECK (length(url) BETWEEN 1 AND 2048),
	events TEXT NOT NULL CHECK (events <> ''),
	scheme TEXT NOT NULL,
	state TEXT NOT NULL CHECK (state IN ('active', 'disabled', 'deleted')),
	reason TEXT NOT NULL,
	secret BYTEA NOT NULL,
	previous_secret BYTEA,
	previous_until BIGINT,
	failures BIGINT NOT NULL CHECK (failures >= 0),
	failing_since BIGINT,
	paused_until BIGINT,
	version BIGINT NOT NULL CHECK (version > 0),
	created_at BIGINT NOT NULL,
	changed_at BIGINT NOT NULL,
	PRIMARY KEY (book_id, endpoint_id),
	CHECK ((previous_secret IS NULL) = (previous_until IS NULL)),
	CHECK ((state = 'active') = (reason = ''))
);

CREATE INDEX webhook_endpoints_by_change ON webhook_endpoints (changed_at);

-- One row per event and endpoint. tries counts the attempts since it was last queued.
CREATE TABLE webhook_deliveries (
	book_id TEXT NOT NULL,
	event_id TEXT NOT NULL,
	endpoint_id TEXT NOT NULL,
	delivery_id TEXT NOT NULL,
	state TEXT NOT NULL CHECK (state IN ('pending', 'delivered', 'failed', 'cancelled')),
	attempts BIGINT NOT NULL CHECK (attempts >= 0),
	tries BIGINT NOT NULL CHECK (tries >= 0 AND tries <= attempts),
	queued_at BIGINT NOT NULL,
	due_at BIGINT NOT NULL,
	PRIMARY KEY (book_id, event_id, endpoint_id),
	FOREIGN KEY (book_id, event_id) REFERENCES webhook_events (book_id, event_id)
);

CREATE INDEX webhook_deliveries_due ON webhook_deliveries (book_id, endpoint_id, due_at, event_id) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_by_endpoint ON webhook_deliveries (book_id, endpoint_id, event_id);

CREATE TABLE webhook_attempts (
	book_id TEXT NOT NULL,
	event_id TEXT NOT NULL,
	endpoint_id TEXT NOT NULL,
	attempt BIGINT NOT NULL CHECK (attempt > 0),
	status BIGINT NOT NULL CHECK (status BETWEEN 0 AND 999),
	error TEXT NOT NULL,
	latency_ms BIGINT NOT NULL CHECK (latency_ms >= 0),
	answer BYTEA NOT NULL CHECK (length(answer) <= 1024),
	attempted_at BIGINT NOT NULL,
	PRIMARY KEY (book_id, event_id, endpoint_id, attempt),
	FOREIGN KEY (book_id, event_id, endpoint_id) REFERENCES webhook_deliveries (book_id, event_id, endpoint_id)
) {heap};
