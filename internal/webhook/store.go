package webhook

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
)

const (
	eventColumns    = "e.book_id, e.event_id, e.realm, e.type, e.data, e.sealed, e.state, e.created_at"
	endpointColumns = `p.book_id, p.endpoint_id, p.realm, p.url, p.events, p.scheme, p.state, p.reason, p.secret,
		p.previous_secret, p.previous_until, p.failures, p.failing_since, p.paused_until, p.version, p.created_at`
	deliveryColumns = "d.book_id, d.event_id, d.endpoint_id, d.delivery_id, d.state, d.attempts, d.tries, d.queued_at, d.due_at"
	// stillPending is said of a delivery whose event is named. It says it by the other states, since
	// the index of what is pending would give all that its endpoint, or its book, has.
	stillPending = "state NOT IN ('delivered', 'failed', 'cancelled')"
)

// Events.
var (
	insertEvent = storage.Insert("webhook.insert_event", "webhook_events",
		"book_id", "event_id", "realm", "type", "data", "sealed", "state", "created_at")
	findEvent = storage.SQL("webhook.find_event", `SELECT `+eventColumns+` FROM webhook_events e WHERE e.book_id = $1 AND e.event_id = $2`)

	listBookBefore = storage.SQL("webhook.list_book_before", `SELECT `+eventColumns+` FROM webhook_events e
		WHERE ($1 = '' OR e.type = $1) AND e.book_id = $2 AND e.event_id < $3 AND e.event_id >= $4 ORDER BY e.event_id DESC LIMIT $5`)
	listBookAfter = storage.SQL("webhook.list_book_after", `SELECT `+eventColumns+` FROM webhook_events e
		WHERE ($1 = '' OR e.type = $1) AND e.book_id = $2 AND e.event_id > $3 AND e.event_id < $4 ORDER BY e.event_id LIMIT $5`)
	listRealmBefore = storage.SQL("webhook.list_realm_before", `SELECT `+eventColumns+` FROM webhook_events e
		WHERE ($1 = '' OR e.type = $1) AND e.realm = $2 AND (e.created_at, e.book_id, e.event_id) < ($3, $4, $5) AND e.created_at >= $6
		ORDER BY e.created_at DESC, e.book_id DESC, e.event_id DESC LIMIT $7`)
	listRealmAfter = storage.SQL("webhook.list_realm_after", `SELECT `+eventColumns+` FROM webhook_events e
		WHERE ($1 = '' OR e.type = $1) AND e.realm = $2 AND (e.created_at, e.book_id, e.event_id) > ($3, $4, $5) AND e.created_at < $6
		ORDER BY e.created_at, e.book_id, e.event_id LIMIT $7`)
	// These tell where a number of events ends, of whatever type.
	endBookBefore = storage.SQL("webhook.end_book_before", `SELECT event_id FROM webhook_events
		WHERE book_id = $1 AND event_id < $2 ORDER BY event_id DESC LIMIT 1 OFFSET $3`)
	endBookAfter = storage.SQL("webhook.end_book_after", `SELECT event_id FROM webhook_events
		WHERE book_id = $1 AND event_id > $2 ORDER BY event_id LIMIT 1 OFFSET $3`)
	endRealmBefore = storage.SQL("webhook.end_realm_before", `SELECT created_at FROM webhook_events
		WHERE realm = $1 AND created_at <= $2 ORDER BY created_at DESC LIMIT 1 OFFSET $3`)
	endRealmAfter = storage.SQL("webhook.end_realm_after", `SELECT created_at FROM webhook_events
		WHERE realm = $1 AND created_at >= $2 ORDER BY created_at LIMIT 1 OFFSET $3`)

	anyPending   = storage.SQL("webhook.any_pending", `SELECT 1 FROM webhook_events e WHERE e.state = 'pending' LIMIT 1`)
	claimPending = storage.SQL("webhook.claim_pending", `SELECT e.book_id, e.event_id, e.realm, e.type, e.sealed FROM webhook_events e
		WHERE e.state = 'pending' ORDER BY e.event_id LIMIT $1 {skip}`)
	markEvents = storage.Lookup("webhook.mark_events", `UPDATE webhook_events SET state = $1
		WHERE state = 'pending' AND (book_id, event_id) IN ({values})`, "TEXT", "TEXT")

	// What is still pending is spared: its time has not come, or nobody has looked for long.
	// So is what was sent again of late and is not delivered yet.
	listOld = storage.SQL("webhook.list_old", `SELECT e.book_id, e.event_id FROM webhook_events e
		WHERE e.realm = $1 AND e.created_at < $2 AND e.state <> 'pending' AND NOT EXISTS (
			SELECT 1 FROM webhook_deliveries d WHERE d.book_id = e.book_id AND d.event_id = e.event_id AND d.`+stillPending+` AND d.queued_at >= $2)
		ORDER BY e.created_at LIMIT $3`)
	deleteAttempts   = storage.Lookup("webhook.delete_attempts", `DELETE FROM webhook_attempts WHERE (book_id, event_id) IN ({values})`, "TEXT", "TEXT")
	deleteDeliveries = storage.Lookup("webhook.delete_deliveries", `DELETE FROM webhook_deliveries WHERE (book_id, event_id) IN ({values})`, "TEXT", "TEXT")
	deleteEvents     = storage.Lookup("webhook.delete_events", `DELETE FROM webhook_events WHERE (book_id, event_id) IN ({values})`, "TEXT", "TEXT")
)

// Endpoints.
var (
	insertEndpoint = storage.Insert("webhook.insert_endpoint", "webhook_endpoints",
		"book_id", "endpoint_id", "realm", "url", "events", "scheme", "state", "reason", "secret", "failures", "version", "created_at", "changed_at")
	findEndpoint = storage.SQL("webhook.find_endpoint", `SELECT `+endpointColumns+` FROM webhook_endpoints p
		WHERE p.book_id = $1 AND p.endpoint_id = $2 AND p.state <> 'deleted'`)
	lockEndpoint = storage.SQL("webhook.lock_endpoint", `SELECT `+endpointColumns+` FROM webhook_endpoints p
		WHERE p.book_id = $1 AND p.endpoint_id = $2 AND p.state <> 'deleted' {lock}`)
	listEndpoints = storage.SQL("webhook.list_endpoints", `SELECT `+endpointColumns+` FROM webhook_endpoints p
		WHERE p.book_id = $1 AND p.state <> 'deleted' ORDER BY p.endpoint_id LIMIT $2`)
	countEndpoints = storage.SQL("webhook.count_endpoints", `SELECT COUNT(*) FROM webhook_endpoints WHERE book_id = $1 AND state <> 'deleted'`)
	saveEndpoint   = storage.SQL("webhook.save_endpoint", `UPDATE webhook_endpoints SET version = $3, state = $4, reason = $5, secret = $6,
		previous_secret = $7, previous_until = $8, failures = $9, failing_since = $10, paused_until = $11, changed_at = $12, url = $13, events = $14
		WHERE book_id = $1 AND endpoint_id = $2`)
	// Health alone is no new version: it changes nothing that others remember.
	saveHealth = storage.SQL("webhook.save_health", `UPDATE webhook_endpoints SET failures = $3, failing_since = $4, paused_until = $5
		WHERE book_id = $1 AND endpoint_id = $2`)
	findSubscribers = storage.Lookup("webhook.find_subscribers", `SELECT p.book_id, p.endpoint_id, p.version, p.state, p.events, p.scheme
		FROM webhook_endpoints p WHERE p.state = 'active' AND p.book_id IN ({values}) ORDER BY p.book_id, p.endpoint_id`, "TEXT")
	listChanged = storage.SQL("webhook.list_changed", `SELECT p.book_id, p.endpoint_id, p.version, p.state, p.events, p.scheme
		FROM webhook_endpoints p WHERE p.changed_at >= $1`)
	deleteEndpoints = storage.SQL("webhook.delete_endpoints", `DELETE FROM webhook_endpoints WHERE state = 'deleted' AND changed_at < $1`)
)

// Deliveries and attempts.
var (
	insertDelivery = storage.Insert("webhook.insert_delivery", "webhook_deliveries",
		"book_id", "event_id", "endpoint_id", "delivery_id", "state", "attempts", "tries", "queued_at", "due_at")
	lockDelivery = storage.SQL("webhook.lock_delivery", `SELECT `+deliveryColumns+` FROM webhook_deliveries d
		WHERE d.book_id = $1 AND d.event_id = $2 AND d.endpoint_id = $3 {lock}`)
	requeueDelivery = storage.SQL("webhook.requeue_delivery", `UPDATE webhook_deliveries SET state = 'pending', tries = 0, queued_at = $4, due_at = $4
		WHERE book_id = $1 AND event_id = $2 AND endpoint_id = $3`)
	listDue = storage.SQL("webhook.list_due", `SELECT `+deliveryColumns+`, `+eventColumns+`
		FROM webhook_deliveries d JOIN webhook_events e ON e.book_id = d.book_id AND e.event_id = d.event_id
		WHERE d.book_id = $1 AND d.endpoint_id = $2 AND d.state = 'pending' AND d.due_at <= $3 ORDER BY d.due_at, d.event_id LIMIT $4`)
	nextDue = storage.SQL("webhook.next_due", `SELECT d.due_at FROM webhook_deliveries d
		WHERE d.book_id = $1 AND d.endpoint_id = $2 AND d.state = 'pending' ORDER BY d.due_at LIMIT 1`)
	acceptDeliveries = storage.Lookup("webhook.accept_deliveries", `UPDATE webhook_deliveries SET state = 'delivered', attempts = attempts + 1, tries = tries + 1
		WHERE `+stillPending+` AND (book_id, event_id, endpoint_id, attempts) IN ({values}) RETURNING event_id`, "TEXT", "TEXT", "TEXT", "BIGINT")
	refuseDelivery = storage.SQL("webhook.refuse_delivery", `UPDATE webhook_deliveries SET state = $5, attempts = attempts + 1, tries = tries + 1, due_at = $6
		WHERE book_id = $1 AND event_id = $2 AND endpoint_id = $3 AND attempts = $4 AND `+stillPending)
	cancelDeliveries = storage.SQL("webhook.cancel_deliveries", `UPDATE webhook_deliveries SET state = 'cancelled'
		WHERE book_id = $1 AND endpoint_id = $2 AND state = 'pending'`)
	listByEndpoint = storage.SQL("webhook.list_by_endpoint", `SELECT `+deliveryColumns+` FROM webhook_deliveries d
		WHERE d.book_id = $1 AND d.endpoint_id = $2 AND ($3 = '' OR d.state = $3) AND d.event_id < $4 AND d.event_id >= $5
		ORDER BY d.event_id DESC LIMIT $6`)
	endByEndpoint = storage.SQL("webhook.end_by_endpoint", `SELECT event_id FROM webhook_deliveries
		WHERE book_id = $1 AND endpoint_id = $2 AND event_id < $3 ORDER BY event_id DESC LIMIT 1 OFFSET $4`)
	listByEvent = storage.SQL("webhook.list_by_event", `SELECT `+deliveryColumns+` FROM webhook_deliveries d
		WHERE d.book_id = $1 AND d.event_id = $2 ORDER BY d.endpoint_id LIMIT $3`)

	insertAttempt = storage.Insert("webhook.insert_attempt", "webhook_attempts",
		"book_id", "event_id", "endpoint_id", "attempt", "status", "error", "latency_ms", "answer", "attempted_at")
	listAttempts = storage.SQL("webhook.list_attempts", `SELECT a.attempt, a.status, a.error, a.latency_ms, a.answer, a.attempted_at FROM webhook_attempts a
		WHERE a.book_id = $1 AND a.event_id = $2 AND a.endpoint_id = $3 ORDER BY a.attempt DESC LIMIT $4`)
)

func scanMicros(r storage.Row) (at time.Time, err error) {
	var micros int64
	err = r.Scan(&micros)
	return storage.Time(micros), err
}

// eventFields are where an event's columns go; times and flags are set by finish.
type eventFields struct {
	Event
	sealed, at int64
}

func (e *eventFields) columns() []any {
	return []any{&e.Book, &e.ID, &e.Realm, &e.Type, &e.Data, &e.sealed, &e.State, &e.at}
}

func (e *eventFields) finish() Event {
	e.Sensitive, e.At = e.sealed == 1, storage.Time(e.at)
	return e.Event
}

func scanEvent(r storage.Row) (Event, error) {
	var e eventFields
	err := r.Scan(e.columns()...)
	return e.finish(), err
}

// scanHead reads what decides who gets an event.
func scanHead(r storage.Row) (e Event, err error) {
	var sealed int64
	err = r.Scan(&e.Book, &e.ID, &e.Realm, &e.Type, &sealed)
	e.Sensitive = sealed == 1
	return e, err
}

func scanEventKey(r storage.Row) ([]any, error) {
	var book, event string
	err := r.Scan(&book, &event)
	return []any{book, event}, err
}

// row is an endpoint with what nobody else sees.
type row struct {
	Endpoint
	state            string
	secret, previous []byte     // sealed
	issued           pan.Secret // that a change made
	pausedUntil      time.Time
	version          int64
}

func scanEndpoint(r storage.Row) (e row, err error) {
	var events string
	var created int64
	var until, since, paused sql.NullInt64
	err = r.Scan(&e.Book, &e.ID, &e.Realm, &e.URL, &events, &e.Scheme, &e.state, &e.Reason, &e.secret,
		&e.previous, &until, &e.Failures, &since, &paused, &e.version, &created)
	e.Events, e.Active, e.CreatedAt = strings.Fields(events), e.state == endpointActive, storage.Time(created)
	e.PreviousUntil, e.FailingSince, e.pausedUntil = storage.NullTime(until), storage.NullTime(since), storage.NullTime(paused)
	return e, err
}

// values is a new endpoint's row.
func (e *row) values(changedAt time.Time) []any {
	return []any{string(e.Book), string(e.ID), string(e.Realm), e.URL, strings.Join(e.Events, " "), e.Scheme, e.state, e.Reason,
		e.secret, e.Failures, e.version, storage.Micros(e.CreatedAt), storage.Micros(changedAt)}
}

func (e *row) subscription() subscription {
	return subscription{book: e.Book, id: e.ID, version: e.version, active: e.Active, events: strings.Join(e.Events, " "), scheme: e.Scheme}
}

func scanSubscription(r storage.Row) (sub subscription, err error) {
	var state string
	err = r.Scan(&sub.book, &sub.id, &sub.version, &state, &sub.events, &sub.scheme)
	sub.active = state == endpointActive
	return sub, err
}

func findRow(ctx context.Context, q storage.Queryer, book ledger.BookID, endpoint EndpointID) (row, error) {
	return oneRow(ctx, q, findEndpoint, []any{string(book), string(endpoint)})
}

func lockRow(ctx context.Context, tx *storage.Tx, book ledger.BookID, endpoint EndpointID) (row, error) {
	return oneRow(ctx, tx, lockEndpoint, []any{string(book), string(endpoint)})
}

func oneRow(ctx context.Context, q storage.Queryer, statement *storage.Statement, key []any) (row, error) {
	e, found, err := storage.One(ctx, q, scanEndpoint, statement, key...)
	if err != nil {
		return e, fmt.Errorf("find webhook: %w", err)
	}
	if !found {
		return e, fault.New(fault.NotFound, "no such webhook")
	}
	return e, nil
}

func scanDelivery(r storage.Row) (Delivery, error) {
	var d deliveryFields
	err := r.Scan(d.columns()...)
	return d.finish(), err
}

type deliveryFields struct {
	Delivery
	queued, due int64
}

func (d *deliveryFields) columns() []any {
	return []any{&d.Book, &d.Event, &d.Endpoint, &d.ID, &d.State, &d.Attempts, &d.tries, &d.queued, &d.due}
}

func (d *deliveryFields) finish() Delivery {
	d.QueuedAt, d.DueAt = storage.Time(d.queued), storage.Time(d.due)
	return d.Delivery
}

func scanParcel(r storage.Row) (parcel, error) {
	var d deliveryFields
	var e eventFields
	err := r.Scan(append(d.columns(), e.columns()...)...)
	return parcel{delivery: d.finish(), event: e.finish()}, err
}

func scanAttempt(r storage.Row) (a Attempt, err error) {
	var latency, at int64
	err = r.Scan(&a.Number, &a.Status, &a.Error, &latency, &a.Answer, &at)
	a.Latency, a.At = time.Duration(latency)*time.Millisecond, storage.Time(at)
	return a, err
}
