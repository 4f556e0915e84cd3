package webhook

import (
	"context"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/job"
	"github.com/scripcards/scrip/internal/platform/storage"
)

const (
	// turnTime is when an endpoint with more to deliver makes room for others.
	turnTime = 2 * time.Second
	// afterError is the pause after an error of our own.
	afterError = 30 * time.Second
	// lifetime is when a delivery that was refused is given up, however few its attempts.
	lifetime = 72 * time.Hour
)

// schedule is the pause after each refused attempt: twelve attempts in about 71
// hours. Each pause is longer or shorter by up to a fifth, the same for the same
// delivery, and as long as Retry-After asks for, up to a day.
var schedule = [...]time.Duration{
	15 * time.Second, time.Minute, 3 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour,
	3 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour, 24 * time.Hour,
}

// pauseAfter is how long an endpoint that refused so many times in a row is left
// alone, whatever is due: from two seconds to two minutes. It is then tried with
// one request, so that a dead endpoint costs little.
func pauseAfter(failures int) time.Duration {
	return min(time.Second<<min(failures, 7), 2*time.Minute)
}

// maxPause bounds how long Retry-After keeps an endpoint's other events waiting.
const maxPause = time.Hour

// retryIn returns the pause before the next attempt, and whether there is one.
func retryIn(d *Delivery, a *answer, now time.Time) (time.Duration, bool) {
	if d.tries >= len(schedule) || now.Sub(d.QueuedAt) >= lifetime {
		return 0, false
	}
	full := schedule[d.tries]
	h := fnv.New64a()
	_, _ = fmt.Fprint(h, d.ID, d.tries) // a hash never returns an error
	spread := full * 2 / 5
	jittered := full - spread/2 + spread*time.Duration(h.Sum64()%1000)/1000
	return max(jittered, a.retryAfter), true
}

// target is an endpoint made ready to be called.
type target struct {
	url     string
	scheme  Scheme
	secrets []pan.Secret
}

// parcel is one delivery with what it delivers.
type parcel struct {
	delivery Delivery
	event    Event
}

// askLater has the turn come again after wait, or sooner if it was asked for
// meanwhile: a job that postpones itself would forget that.
func (s *Service) askLater(ctx context.Context, j job.Job, wait time.Duration) error {
	again := job.Request{Kind: j.Kind, Book: j.Book, Realm: j.Realm, RunAt: s.Clocks.Now(j.Realm).Add(wait), Unique: j.Unique}
	return s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		return tx.Apply(ctx, []storage.Effect{job.Enqueue(again)})
	})
}

// target unseals the secrets that are valid now.
func (s *Service) target(e *row) (*target, error) {
	scheme, ok := s.schemes.find(e.Scheme)
	if !ok {
		return nil, fmt.Errorf("webhook %s: no scheme %q", e.ID, e.Scheme)
	}
	// The address is checked anew: rules may be stricter than when it was saved.
	if _, err := s.Guard.CheckURL(e.URL); err != nil {
		return &target{}, nil
	}
	t := &target{url: e.URL, scheme: scheme}
	sealed := [][]byte{e.secret}
	// No grace is longer: what says otherwise was written by a clock that was ahead.
	if left := e.PreviousUntil.Sub(s.Clocks.Now(realm.Live)); e.previous != nil && left > 0 && left <= MaxGrace {
		sealed = append(sealed, e.previous)
	}
	for _, box := range sealed {
		plain, err := s.Vault.Unseal(sealSecret, string(e.ID), box)
		if err != nil {
			return nil, fmt.Errorf("webhook %s: %w", e.ID, err)
		}
		t.secrets = append(t.secrets, pan.NewSecret(string(plain)))
	}
	return t, nil
}

// settle writes down what became of requests and, if v decides it, how the endpoint fares.
func (s *Service) settle(ctx context.Context, e *row, answered []landed, v verdict) error {
	var learned *subscription
	err := s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		learned = nil
		now, err := lockRow(ctx, tx, e.Book, e.ID)
		if fault.CodeOf(err) == fault.NotFound {
			return nil // deleted meanwhile, and its deliveries with it
		}
		if err != nil {
			return err
		}
		if err := s.settleAll(ctx, tx, answered); err != nil {
			return err
		}
		if now.URL != e.URL {
			return nil // the answers are those of another address
		}
		before := now
		if s.judge(&now, v); now.state == before.state {
			return s.saveHealth(ctx, tx, &before, &now)
		}
		sub, err := s.disabled(ctx, tx, &now)
		learned = &sub
		return err
	})
	if err != nil {
		return fmt.Errorf("settle deliveries to %s: %w", e.ID, err)
	}
	if learned != nil {
		s.Outbox.subscriptions.learn(*learned)
	}
	return nil
}

// settleAll writes down each answer with its attempt, unless its delivery was settled before.
func (s *Service) settleAll(ctx context.Context, tx *storage.Tx, answered []landed) error {
	accepted, open := [][]any{}, map[EventID]bool{}
	for i := range answered {
		if d := &answered[i].delivery; answered[i].answer.accepted() {
			accepted = append(accepted, append(d.key(), d.Attempts))
		}
	}
	settled, err := storage.AllOf(ctx, tx, storage.Scalar[EventID], acceptDeliveries, accepted)
	if err != nil {
		return err
	}
	for _, event := range settled {
		open[event] = true
	}
	var attempts [][]any
	for i := range answered {
		d, a, now := &answered[i].delivery, &answered[i].answer, s.Clocks.Now(answered[i].event.Realm)
		if !a.accepted() && !a.cut {
			state, due := deliveryFailed, d.DueAt
			if pause, again := retryIn(d, a, now); again && a.status != statusGone {
				state, due = deliveryPending, now.Add(pause)
			}
			n, err := tx.Exec(ctx, refuseDelivery, append(d.key(), d.Attempts, state, storage.Micros(due))...)
			if err != nil {
				return err
			}
			open[d.Event] = n == 1
		}
		if open[d.Event] {
			attempts = append(attempts, append(d.key(), d.Attempts+1, a.status, a.class, a.latency.Milliseconds(), notNull(a.excerpt), storage.Micros(now)))
		}
	}
	return tx.ExecRows(ctx, insertAttempt, attempts)
}

const statusGone = 410

// judge takes account of what came back: any success makes the endpoint healthy, 410 or
// nothing but refusals for too long disable it.
func (s *Service) judge(e *row, v verdict) {
	now := s.Clocks.Now(e.Realm)
	switch {
	case v.taken:
		e.healthy()
	case v.failed:
		e.Failures++
		if e.FailingSince.IsZero() {
			e.FailingSince = now
		}
		e.pausedUntil = now.Add(max(pauseAfter(e.Failures), v.retryAfter))
	}
	switch {
	case e.state != endpointActive:
	case v.gone:
		e.disable(ReasonGone)
	case e.Failures > 0 && now.Sub(e.FailingSince) >= s.Config.DisableAfter:
		e.disable(ReasonFailing)
	}
}

func (s *Service) saveHealth(ctx context.Context, tx *storage.Tx, before, after *row) error {
	if before.Failures == after.Failures && before.pausedUntil.Equal(after.pausedUntil) {
		return nil
	}
	_, err := tx.Exec(ctx, saveHealth, string(after.Book), string(after.ID), after.Failures,
		storage.NullMicros(after.FailingSince), storage.NullMicros(after.pausedUntil))
	return err
}

// disabled saves that the program disabled e, for the audit log and the operators' feed, too.
func (s *Service) disabled(ctx context.Context, tx *storage.Tx, e *row) (subscription, error) {
	if err := s.save(ctx, tx, e); err != nil {
		return subscription{}, err
	}
	if err := s.record(ctx, tx, e, audit.Record{Actor: "system", Action: "webhook.disable", Detail: e.detail()}); err != nil {
		return subscription{}, err
	}
	told := Event{
		ID: NewEventID(), Book: e.Book, Realm: e.Realm, Type: TypeDisabled, At: s.Clocks.Now(e.Realm),
		Data: []byte(`{"webhook_id":"` + string(e.ID) + `","reason":"` + e.Reason + `","book_id":"` + string(e.Book) + `"}`),
	}
	effects := []storage.Effect{s.Outbox.insert(told, eventNone)}
	if e.Book != House(e.Realm) {
		told.ID = ""
		effects = append(effects, s.Outbox.Operators(told)...)
	}
	return e.subscription(), tx.Apply(ctx, effects)
}

// notNull keeps an empty answer from becoming NULL.
func notNull(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
