// Package webhook owns events and their delivery to customers' endpoints.
//
// A product adds an event to the transaction of the change it tells about
// (Outbox.Effects); Service turns events into deliveries, one per endpoint that
// subscribed, and sends them signed until the endpoint accepts them or about
// three days have passed. An event may arrive more than once and in any order;
// its id tells repetitions. Endpoints are kept here, with sealed secrets.
//
// Requests leave through one Guard, which looks at the IP address that is really
// dialled. It must never follow a redirect, use a proxy, call anything inside a
// transaction, or show a secret after the answer that made it.
package webhook

import (
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/job"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/platform/vault"
	"github.com/scripcards/scrip/internal/webhook/pace"
)

// Config tunes a Service; the zero value is right for production.
type Config struct {
	// MaxEndpoints bounds the endpoints of one book; 16, at most 100.
	MaxEndpoints int
	// Timeout bounds one attempt; ten seconds.
	Timeout time.Duration
	// Types are those that there are to subscribe to; none: any name will do.
	Types []string
	// Secrets are those whose data is a secret (Event.Sensitive): no endpoint of a scheme
	// without Scheme.Secrets can name them, and its "*" does not cover them.
	Secrets []string
	// Reserved are those that are sent to some books alone.
	Reserved []Reserved
	// PerEndpoint is how many requests one endpoint gets at once to begin with, and after
	// one that failed; 4, at most 64, which is also the most it gets as long as none fails.
	PerEndpoint int
	// Workers is how many endpoints this process serves at once; 128, at most 256.
	Workers int
	// DisableAfter is how long an endpoint may fail without one success before it is disabled; five days.
	DisableAfter time.Duration
	// Retention is how long events, deliveries and attempts are kept; 30 days, at least four.
	Retention time.Duration
	// Schemes are known beside the built-in ones.
	Schemes []Scheme
	// Observe, when set, is told how each request ended: the status, 0 when there was no answer.
	Observe func(accepted bool, status int, took time.Duration)
	// Roots are trusted instead of the system's certificate authorities, for tests.
	Roots *x509.CertPool
}

// Reserved are types that are sent to some books alone: no other book's endpoint can name them.
type Reserved struct {
	Types []string
	// To is whose books these are, such as operators, and Has reports whether one is among them.
	To  string
	Has func(ctx context.Context, book ledger.BookID) (bool, error)
}

const minRetention = 4 * 24 * time.Hour // longer than a delivery lasts

func (c Config) withDefaults() Config {
	c.MaxEndpoints = min(orDefault(c.MaxEndpoints, 16), 100)
	c.Timeout = orDefault(c.Timeout, 10*time.Second)
	c.PerEndpoint = min(orDefault(c.PerEndpoint, 4), pace.Most)
	c.Workers = min(orDefault(c.Workers, 128), 256)
	c.DisableAfter = orDefault(c.DisableAfter, 5*24*time.Hour)
	c.Retention = max(orDefault(c.Retention, 30*24*time.Hour), minRetention)
	return c
}

func orDefault[T int | time.Duration](value, fallback T) T {
	if value <= 0 {
		return fallback
	}
	return value
}

// Deps is what a Service needs. Guard may be nil: the zero Guard.
type Deps struct {
	DB     *storage.DB
	Clocks *clock.Realms
	Vault  *vault.Vault
	Queue  *job.Queue
	Audit  *audit.Log
	Guard  *Guard
	Logger *slog.Logger
	Config Config
}

// Service keeps endpoints and delivers events. It is safe for concurrent use.
type Service struct {
	// Outbox takes the events.
	Outbox *Outbox

	Deps
	schemes schemeSet
	client  *http.Client
	paces   pace.Book

	stop context.CancelFunc
	done sync.WaitGroup
}

// jobDeliver is one turn of one endpoint; the job's unique key is the endpoint's id.
const jobDeliver = "webhook.deliver"

// New returns the service and names its handlers to d.Queue, which is started later.
func New(d Deps) *Service {
	d.Config = d.Config.withDefaults()
	if d.Guard == nil {
		d.Guard = &Guard{}
	}
	s := &Service{
		Deps:    d,
		Outbox:  NewOutbox(d),
		schemes: append(schemeSet(BuiltInSchemes()), d.Config.Schemes...),
		client:  newClient(d.Guard, d.Config),
	}
	// A turn ends by itself long before: it begins no request after turnTime.
	timeout := turnTime + 2*d.Config.Timeout + time.Minute
	d.Queue.Handle(jobDeliver, job.Options{MaxAttempts: 100, Concurrency: d.Config.Workers, Timeout: timeout}, s.turn)
	d.Queue.Every("webhook.purge", time.Hour, s.Purge)
	return s
}

const (
	pollEvery = time.Second
	// After an event was announced its transaction takes a moment to commit: the
	// pauses between looks double from here up to pollEvery.
	firstLook = 10 * time.Millisecond
)

// Start reads who subscribed to what and begins to turn events into deliveries.
// The values of ctx go on; its end does not: Stop ends it.
func (s *Service) Start(ctx context.Context) error {
	if s.stop != nil {
		return errors.New("start webhooks: started before")
	}
	if err := s.Refresh(ctx); err != nil {
		return err
	}
	ctx, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	s.done.Go(func() { s.run(ctx) })
	return nil
}

// Stop ends what Start began. Deliveries end with the queue.
func (s *Service) Stop() {
	if s.stop != nil {
		s.stop()
		s.done.Wait()
	}
	s.client.CloseIdleConnections()
}

// run looks for pending events and for endpoints that other processes changed.
func (s *Service) run(ctx context.Context) {
	pause, refreshed := firstLook, clock.Start()
	for ctx.Err() == nil {
		n, err := s.Dispatch(ctx)
		if err != nil && ctx.Err() == nil {
			s.Logger.ErrorContext(ctx, "dispatch webhook events", "error", err)
		}
		if refreshed.Elapsed() >= pollEvery {
			if err := s.Refresh(ctx); err != nil && ctx.Err() == nil {
				s.Logger.ErrorContext(ctx, "refresh webhook subscriptions", "error", err)
			}
			refreshed = clock.Start()
		}
		if n > 0 || s.Outbox.rest(ctx, pause) {
			pause = firstLook
		} else {
			pause = min(2*pause, pollEvery)
		}
	}
}
