package webhook

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/job"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/webhook/pace"
)

// nothing says that an endpoint has nothing left that time alone makes due.
const nothing time.Duration = -1

// gatherFor is how long answers that come after a first one are waited for, to be written
// down together.
const gatherFor = 20 * time.Millisecond

// flight is one turn of an endpoint: the requests that are under way, which new ones join
// as others come back.
type flight struct {
	*Service
	book     ledger.BookID
	endpoint EndpointID
	pace     pace.Pace
	row      row             // the endpoint as it was when something was last sent
	away     map[EventID]int // what is under way, with the pace's era in which it was sent
	back     chan landed
	full     bool    // as many were sent as may be under way
	open     verdict // not decided yet
}

// landed is a request that came back.
type landed struct {
	parcel
	answer answer
}

// turn serves one endpoint. Among all processes one endpoint has one turn at a time, so
// its requests are never more than its pace allows; a turn begins nothing new after
// turnTime, so a slow endpoint keeps a worker from the others for one request's time.
func (s *Service) turn(ctx context.Context, j job.Job) error {
	f := &flight{Service: s, book: ledger.BookID(j.Book), endpoint: EndpointID(j.Unique),
		away: map[EventID]int{}, back: make(chan landed, pace.Most)}
	f.pace = s.paces.Begin(j.Unique, s.Config.PerEndpoint, s.Clocks.Now(realm.Live))
	defer func() { s.paces.End(j.Unique, f.pace, s.Clocks.Now(realm.Live)) }()
	wait, err := f.fly(ctx)
	for len(f.away) > 0 {
		err = errors.Join(err, f.land(ctx))
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		s.Logger.ErrorContext(ctx, "deliver webhooks", "endpoint", string(f.endpoint), "error", err)
		return job.Postpone(afterError)
	case wait == nothing:
		return nil
	}
	return s.askLater(ctx, j, wait)
}

// fly sends what is due until the turn is over. It returns how long to wait for the next,
// 0 when there may be more at once.
func (f *flight) fly(ctx context.Context) (wait time.Duration, err error) {
	for watch := clock.Start(); err == nil && ctx.Err() == nil && watch.Elapsed() <= turnTime; err = f.land(ctx) {
		if wait, err = f.fill(ctx); err != nil || len(f.away) == 0 {
			return wait, err
		}
	}
	return 0, err
}

// fill sends what is due, until as much is under way as the endpoint takes at once. It
// returns how long to wait for the next.
func (f *flight) fill(ctx context.Context) (time.Duration, error) {
	f.full = false
	if f.open.failed && len(f.away) > 0 {
		return 0, nil // one failed and none succeeded since: the others will tell
	}
	e, err := findRow(ctx, f.DB, f.book, f.endpoint)
	switch {
	case fault.CodeOf(err) == fault.NotFound:
		return nothing, f.cancel(ctx)
	case err != nil:
		return 0, err
	case !e.Active:
		return nothing, nil
	}
	now := f.Clocks.Now(e.Realm)
	// A clock that was set back must not pause it for longer than it would be.
	if left := e.pausedUntil.Sub(now); left > 0 && left <= maxPause {
		return left, nil
	}
	if len(f.away) > 0 && e.URL != f.row.URL {
		return 0, nil // first what went to another address
	}
	f.row = e
	limit := min(f.pace.Window(), f.paces.Share(f.Config.PerEndpoint))
	if e.Failures > 0 {
		limit = 1
	}
	return f.send(ctx, now, limit)
}

// cancel gives up what was dispatched to the endpoint while it was deleted, by another process.
func (f *flight) cancel(ctx context.Context) error {
	return f.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		_, err := tx.Exec(ctx, cancelDeliveries, string(f.book), string(f.endpoint))
		return err
	})
}

// send sends what is due and not under way, so that no more than limit is.
func (f *flight) send(ctx context.Context, now time.Time, limit int) (time.Duration, error) {
	if f.full = len(f.away) >= limit; f.full {
		return 0, nil
	}
	key := []any{string(f.book), string(f.endpoint)}
	parcels, err := storage.All(ctx, f.DB, scanParcel, listDue, append(key, storage.Micros(now), limit)...)
	if err != nil {
		return 0, err
	}
	if len(parcels) == 0 {
		due, found, err := storage.One(ctx, f.DB, scanMicros, nextDue, key...)
		if err != nil || !found {
			return nothing, err
		}
		return max(due.Sub(now), time.Millisecond), nil
	}
	if err := storage.Settle(ctx, f.DB); err != nil { // what was just dispatched may not be on disk
		return 0, err
	}
	t, err := f.target(&f.row)
	if err != nil {
		return 0, err
	}
	for _, p := range parcels {
		if _, under := f.away[p.event.ID]; under || len(f.away) >= limit {
			continue
		}
		if err := f.unseal(&p.event); err != nil {
			return 0, err
		}
		f.away[p.event.ID] = f.pace.Era()
		go func() { f.back <- landed{p, f.deliver(ctx, t, &p)} }()
	}
	f.full = len(f.away) >= limit
	return 0, nil
}

// unseal opens the data of an event that is stored sealed.
func (f *flight) unseal(e *Event) error {
	if !e.Sensitive {
		return nil
	}
	plain, err := f.Vault.Unseal(sealEvent, string(e.ID), e.Data)
	if err != nil {
		return fmt.Errorf("event %s: %w", e.ID, err)
	}
	e.Data = plain
	return nil
}

// deliver makes one request.
func (s *Service) deliver(ctx context.Context, t *target, p *parcel) answer {
	if t.url == "" {
		return answer{class: ErrorRefused}
	}
	a := s.post(ctx, t, p)
	if s.Config.Observe != nil && !a.cut {
		s.Config.Observe(a.class == "", a.status, a.latency)
	}
	return a
}

// land waits for a request and, for a moment, for others, and writes down what became of
// them: even while the process is stopping.
func (f *flight) land(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	answered := []landed{<-f.back}
	moment, cancel := context.WithTimeout(ctx, gatherFor)
	defer cancel()
	for late := false; len(answered) < len(f.away) && !late; {
		select {
		case one := <-f.back:
			answered = append(answered, one)
		case <-moment.Done():
			late = true
		}
	}
	for i := range answered {
		a, event := &answered[i].answer, answered[i].event.ID
		switch current := f.away[event] == f.pace.Era(); {
		case !current || a.cut:
		case !a.accepted():
			f.pace.Fell()
		case f.full:
			f.pace.Took()
		}
		f.open.add(a)
		delete(f.away, event)
	}
	return f.settle(ctx, &f.row, answered, f.open.decide(len(f.away) == 0))
}

// verdict is what answers say of an endpoint. Refusals alone say nothing as long as
// requests are under way that may succeed.
type verdict struct {
	taken, failed, gone bool
	retryAfter          time.Duration
}

func (v *verdict) add(a *answer) {
	v.taken = v.taken || a.accepted()
	v.failed = v.failed || (!a.accepted() && !a.cut)
	v.gone = v.gone || a.status == statusGone
	v.retryAfter = max(v.retryAfter, min(a.retryAfter, maxPause))
}

// decide returns what is certain by now, and keeps what is not.
func (v *verdict) decide(last bool) verdict {
	decided := verdict{gone: v.gone}
	if v.gone = false; last || v.taken {
		decided, *v = verdict{v.taken, v.failed, decided.gone, v.retryAfter}, verdict{}
	}
	return decided
}
