package ping

import (
	"context"
	"errors"
	"hash/maphash"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/fraud"
	"github.com/scripcards/scrip/internal/giftcard"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/ping/probe"
	"github.com/scripcards/scrip/internal/ping/quota"
	"github.com/scripcards/scrip/internal/platform/lane"
	"github.com/scripcards/scrip/internal/platform/limit"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/platform/vault"
	"github.com/scripcards/scrip/internal/webhook"
)

// Scorer says how much a check looks like theft, without I/O. Score counts the event
// before the network is asked, Learn adds what came of it, Label what was found out later.
type Scorer interface {
	Score(event fraud.Event) fraud.Score
	Learn(event fraud.Event, outcome fraud.Outcome)
	Label(event fraud.Event, label fraud.Label)
}

// Policy is the operator's rules for checks.
type Policy struct {
	// Quota is how many checks a book of the live realm may make in a calendar month
	// (UTC), unless its customer has a figure of its own; 0: any number.
	Quota int64
	// HighRisk is the score, in hundredths, from which fraud.high_risk is told.
	HighRisk int
	// LockFor is how long a card stays locked after five wrong PINs in an hour.
	LockFor time.Duration
	// Credential, Visitor, Address and Card bound the checks by one credential, by one
	// visitor of a portal, from one address and of one card; Slowed those of a caller who
	// finds as little as a thief. None is no bound. Each process counts visitors and cards
	// for itself.
	Credential, Visitor, Address, Card, Slowed []limit.Window
	Hunt                                       Hunt
	// Retention is how long checks are kept.
	Retention time.Duration
}

// Hunt says when a caller's checks look like a search for cards: when in an hour it asked
// for many different ones and found less than Percent of them.
type Hunt struct {
	// Slow is from how many cards on it is slowed, Suspend from how many it is suspended.
	Slow, Suspend int
	Percent       int
}

// DefaultPolicy is a million checks a month, risk from 0.80, locks of a day; a hundred
// checks a second by a credential or from an address, twenty a minute by a visitor, sixty
// an hour of one card; and a search from thirty cards of which less than a fifth are found.
func DefaultPolicy() Policy {
	const day = 24 * time.Hour
	return Policy{
		Quota: 1_000_000, HighRisk: 80, LockFor: day, Retention: 90 * day,
		Credential: []limit.Window{{Limit: 6000, Per: time.Minute}},
		Visitor:    []limit.Window{{Limit: 20, Per: time.Minute}},
		Address:    []limit.Window{{Limit: 6000, Per: time.Minute}},
		Card:       []limit.Window{{Limit: 20, Per: 10 * time.Minute}, {Limit: 60, Per: time.Hour}},
		Slowed:     []limit.Window{{Limit: 2, Per: 10 * time.Second}, {Limit: 10, Per: time.Minute}},
		Hunt:       Hunt{Slow: 30, Suspend: 60, Percent: 20},
	}
}

// Deps is what a Service stands on.
type Deps struct {
	DB     *storage.DB
	Vault  *vault.Vault
	Clocks *clock.Realms
	Outbox *webhook.Outbox
	Audit  *audit.Log
	Limits *limit.Limiter
	// Fraud may be nil: every score is 0 then.
	Fraud Scorer
	// Mark is the effect of noting a label beside the engine's decision about a check; a nil
	// one takes it back. It may be nil: no decisions are kept.
	Mark func(book ledger.BookID, decision string, label *fraud.Label) storage.Effect
	// Labelling is held by whoever labels a check or a decision, until the engine knows. Nil: a
	// lock of the service's own.
	Labelling sync.Locker
	Cards     *giftcard.Service
	// Issuing has the virtual cards; nil: there are none.
	Issuing Issuing
	// Adapters open the networks that operators configure, by kind.
	Adapters map[string]Adapter
	Policy   Policy
	Logger   *slog.Logger
}

// Service is the balance checks of one installation. It is safe for concurrent use.
type Service struct {
	Deps
	// Quotas are how many checks each customer may make.
	Quotas *quota.Service
	// Probes tells owners of cards that somebody else checked them.
	Probes   *probe.Service
	networks registry
	runs     atomic.Bool // it is a server's
	watch    watch
	honey    honey
	spent    spent
	follow   follow
	// local has the limits that each process keeps for itself: most cards come once, and
	// sharing what is counted of them would cost a transaction each.
	local *limit.Limiter
	lanes []*lane.Lane[work]
	seed  maphash.Seed
}

// postgresLanes is how many transactions may be under way at once where there can be several.
const postgresLanes = 4

// New returns the service with the networks that are built in; Refresh adds those that
// operators configured. Close stops it.
func New(d Deps) *Service {
	if d.Labelling == nil {
		d.Labelling = new(sync.Mutex)
	}
	s := &Service{Deps: d, seed: maphash.MakeSeed(), local: limit.NewLocal(d.Clocks.Of(realm.Live))}
	s.Probes = &probe.Service{DB: d.DB, Outbox: d.Outbox}
	s.Quotas = quota.New(quota.Deps{DB: d.DB, Audit: d.Audit, Clocks: d.Clocks, Standard: d.Policy.Quota})
	s.networks.setup(builtIn(scrip{d.Cards, d.Issuing}))
	n := 1
	if d.DB.Shared() {
		n = postgresLanes
	}
	for range n {
		s.lanes = append(s.lanes, newLane(s))
	}
	return s
}

// Close finishes the checks that were accepted, refuses new ones and closes the networks.
func (s *Service) Close() {
	for _, l := range s.lanes {
		l.Close()
	}
	s.networks.close()
}

// follow is when this process last looked at what others changed.
type follow struct {
	mu    sync.Mutex
	whole clock.Stopwatch
	last  time.Time // by the machine's clock; zero: never
}

const (
	// refreshEvery is how far Run lets this process fall behind the others.
	refreshEvery = time.Second
	// overlap is how far back changes are read again, for clocks that differ and
	// transactions that take long.
	overlap = 2 * time.Minute
	// reloadEvery is how often all is read anew, should overlap ever be too short.
	reloadEvery = 5 * time.Minute
)

// Run says which networks cannot be asked, and follows what other processes change until ctx
// ends.
func (s *Service) Run(ctx context.Context) {
	s.runs.Store(true)
	for _, r := range realm.All() {
		for _, c := range s.networks.list(r) {
			s.complain(ctx, c)
		}
	}
	for clock.Wait(ctx, refreshEvery) == nil {
		if err := s.Refresh(ctx); err != nil && ctx.Err() == nil {
			s.Logger.ErrorContext(ctx, "refresh balance checks", "error", err)
		}
	}
}

// Refresh reads which networks, honey numbers, callers and quotas changed of late, all of
// them the first time and now and then.
func (s *Service) Refresh(ctx context.Context) error {
	s.follow.mu.Lock()
	defer s.follow.mu.Unlock()
	now, watch, since := s.now(), clock.Start(), int64(0)
	whole := s.follow.last.IsZero() || s.follow.whole.Elapsed() > reloadEvery
	if !whole {
		since = storage.Micros(s.follow.last.Add(-overlap))
	}
	err := errors.Join(s.refreshNetworks(ctx, since), s.refreshHoney(ctx, since), s.refreshCallers(ctx, since), s.Quotas.Refresh(ctx, since))
	if err != nil {
		return err
	}
	if s.follow.last = now; whole {
		s.follow.whole = watch
	}
	return nil
}
