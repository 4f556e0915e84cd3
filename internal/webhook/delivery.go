package webhook

import (
	"context"
	"fmt"
	"time"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Types of events that the program makes by itself.
const (
	// TypeTest is what SendTest sends.
	TypeTest = "webhook.test"
	// TypeDisabled tells that an endpoint was disabled: operators are sent it, and its owner
	// finds it among the events.
	TypeDisabled = "webhook.disabled"
)

// Delivery is one event on its way to one endpoint.
type Delivery struct {
	// ID ("whd_…") stays the same on every attempt.
	ID       string
	Book     ledger.BookID
	Event    EventID
	Endpoint EndpointID
	// State is pending, delivered, failed or cancelled.
	State string
	// Attempts counts the requests that were made, those of earlier queueings included.
	Attempts int
	// QueuedAt is when the event was dispatched or sent again; DueAt is when the
	// next attempt is due, or was.
	QueuedAt, DueAt time.Time

	tries int // attempts since QueuedAt
}

// key is the delivery's row.
func (d *Delivery) key() []any { return []any{string(d.Book), string(d.Event), string(d.Endpoint)} }

// The states of a delivery.
const (
	deliveryPending   = "pending"
	deliveryDelivered = "delivered"
	deliveryFailed    = "failed"    // given up, or the endpoint is gone
	deliveryCancelled = "cancelled" // the endpoint was deleted
)

// maxAttempts bounds the requests of one delivery, however often it is sent again.
const maxAttempts = 500

// Attempt is one request and its answer.
type Attempt struct {
	Number int
	// Status is the answer's, 0 when there was none.
	Status int
	// Error is one of the Error words; empty for a success.
	Error   string
	Latency time.Duration
	// Answer is the first KiB of the answer's body, whatever the endpoint sent; "[redacted]" for
	// an event with sensitive data.
	Answer []byte
	At     time.Time
}

// DeliveryFilter says which deliveries of an endpoint to list.
type DeliveryFilter struct {
	Book     ledger.BookID
	Endpoint EndpointID
	// State, when set, must be equal to the delivery's.
	State string
	// Before lists what is older than the delivery of an event.
	Before EventID
	// Limit is the page size, DefaultLimit when 0, MaxLimit and one more at most.
	Limit int
	// Look is how many deliveries are looked at for those in a state, MaxLooked when 0.
	Look int
}

// Deliveries returns a page of an endpoint's deliveries, those of newer events first. Of
// a state it looks at f.Look at most: it may return fewer than were asked for, none even, and
// then the event to go on before, behind which there may be nothing. It returns invalid_request for a state that there is not.
func (s *Service) Deliveries(ctx context.Context, f DeliveryFilter) ([]Delivery, EventID, error) {
	switch f.State {
	case "", deliveryPending, deliveryDelivered, deliveryFailed, deliveryCancelled:
	default:
		return nil, "", fault.New(fault.InvalidRequest, "state must be %s, %s, %s or %s", deliveryPending, deliveryDelivered, deliveryFailed, deliveryCancelled).At("state")
	}
	if f.Before == "" {
		f.Before = lastID
	}
	if f.Look == 0 {
		f.Look = MaxLooked
	}
	last, err := "", error(nil)
	if f.State != "" {
		last, _, err = storage.One(ctx, s.DB, storage.Scalar[string], endByEndpoint, string(f.Book), string(f.Endpoint), string(f.Before), f.Look-1)
	}
	var found []Delivery
	if err == nil {
		found, err = storage.All(ctx, s.DB, scanDelivery, listByEndpoint, string(f.Book), string(f.Endpoint), f.State, string(f.Before), last, pageSize(f.Limit))
	}
	if err != nil {
		return nil, "", fmt.Errorf("list deliveries: %w", err)
	}
	if len(found) == pageSize(f.Limit) {
		last = ""
	}
	return found, EventID(last), nil
}

// DeliveriesOf returns the deliveries of one event, one per endpoint, at most MaxLimit.
func (s *Service) DeliveriesOf(ctx context.Context, book ledger.BookID, event EventID) ([]Delivery, error) {
	found, err := storage.All(ctx, s.DB, scanDelivery, listByEvent, string(book), string(event), MaxLimit)
	if err != nil {
		return nil, fmt.Errorf("list deliveries: %w", err)
	}
	return found, nil
}

// Attempts returns the requests of a delivery, the latest first, at most MaxLimit.
func (s *Service) Attempts(ctx context.Context, d Delivery) ([]Attempt, error) {
	found, err := storage.All(ctx, s.DB, scanAttempt, listAttempts, string(d.Book), string(d.Event), string(d.Endpoint), MaxLimit)
	if err != nil {
		return nil, fmt.Errorf("list attempts: %w", err)
	}
	return found, nil
}

// Resend queues an event anew for an endpoint, whether it was delivered, given up
// or never meant for it. Receivers know it by its id. It returns not_found, or
// invalid_state when the endpoint is disabled, was sent the event too often or is not sent secrets.
func (s *Service) Resend(ctx context.Context, c Change, event EventID) (Delivery, error) {
	return s.queue(ctx, c, "webhook.resend", func(ctx context.Context, tx *storage.Tx, e *row) (Event, error) {
		found, ok, err := storage.One(ctx, tx, scanEvent, findEvent, string(c.Book), string(event))
		if err == nil && !ok {
			err = fault.New(fault.NotFound, "no such event")
		}
		if err == nil && found.Sensitive && !s.TakesSecrets(&e.Endpoint) {
			err = fault.New(fault.InvalidState, "the event tells a secret, which this kind of webhook is not sent")
		}
		return found, err
	})
}

// SendTest queues an event of type webhook.test for an endpoint, whatever it subscribed to.
func (s *Service) SendTest(ctx context.Context, c Change) (Delivery, error) {
	return s.queue(ctx, c, "webhook.test", func(ctx context.Context, tx *storage.Tx, e *row) (Event, error) {
		test := Event{
			ID: NewEventID(), Book: e.Book, Realm: e.Realm, Type: TypeTest, At: s.Clocks.Now(e.Realm),
			Data: []byte(`{"webhook_id":"` + string(e.ID) + `"}`),
		}
		return test, tx.Apply(ctx, []storage.Effect{s.Outbox.insert(test, eventDispatched)})
	})
}

// queue makes the delivery of one event to one endpoint pending, audited.
func (s *Service) queue(ctx context.Context, c Change, action string, pick func(context.Context, *storage.Tx, *row) (Event, error)) (Delivery, error) {
	var d Delivery
	err := s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		e, err := lockRow(ctx, tx, c.Book, c.Endpoint)
		if err != nil {
			return err
		}
		if !e.Active {
			return fault.New(fault.InvalidState, "the webhook is disabled")
		}
		event, err := pick(ctx, tx, &e)
		if err != nil {
			return err
		}
		if d, err = s.enqueue(ctx, tx, &e, event.ID); err != nil {
			return err
		}
		healthy := e
		healthy.pausedUntil = time.Time{} // somebody is watching: do not let them wait
		if err := s.saveHealth(ctx, tx, &e, &healthy); err != nil {
			return err
		}
		err = s.record(ctx, tx, &e, audit.Record{Actor: c.Actor, Action: action, Detail: map[string]string{"event": string(event.ID)}})
		if err != nil {
			return err
		}
		return c.Queued.Apply(ctx, tx, d)
	})
	if err != nil {
		return Delivery{}, err
	}
	s.Queue.Wake()
	return d, nil
}

func (s *Service) enqueue(ctx context.Context, tx *storage.Tx, e *row, event EventID) (Delivery, error) {
	now := s.Clocks.Now(e.Realm)
	key := []any{string(e.Book), string(event), string(e.ID)}
	d, found, err := storage.One(ctx, tx, scanDelivery, lockDelivery, key...)
	switch {
	case err != nil:
		return d, err
	case !found:
		d = Delivery{ID: id.New("whd"), Book: e.Book, Event: event, Endpoint: e.ID}
		values := append(key, d.ID, deliveryPending, 0, 0, storage.Micros(now), storage.Micros(now))
		err = tx.ExecRows(ctx, insertDelivery, [][]any{values})
	case d.Attempts >= maxAttempts:
		err = fault.New(fault.InvalidState, "the event was sent %d times already", d.Attempts)
	default:
		_, err = tx.Exec(ctx, requeueDelivery, append(key, storage.Micros(now))...)
	}
	if err != nil {
		return d, err
	}
	d.State, d.tries, d.QueuedAt, d.DueAt = deliveryPending, 0, now, now
	return d, tx.Apply(ctx, []storage.Effect{s.askTurn(e.Book, e.ID, e.Realm)})
}
