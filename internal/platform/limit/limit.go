// Package limit says how much is too much: request rates (Limiter.Take), the
// penalty box (Limiter.Block) and durable quotas (Spend).
//
// Rates live in memory. Each window remembers what was taken in the last Per: of a Limit to 16
// exactly, of a larger one to a sixteenth of Per. Where several processes share a database, each also leases chunks
// of the window's budget, counted in windows aligned to the clock, so that all
// together never allow more than Limit in one of them. What a process has leased
// and not used when the budget ends is lost: for each process at most a twentieth
// of Limit, plus the largest n. Memory is bounded: idle subjects are forgotten first, then
// those that used least; what is more than half used is never forgotten for a
// newcomer, and newcomers without room share one budget.
//
// It must never hold a customer's data beside a subject's name and figures.
package limit

import (
	"context"
	"fmt"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/platform/storage"
)

const (
	// MaxWindows is how many windows one subject may have.
	MaxWindows = 4
	// MaxSubject is the longest name of a subject, in bytes.
	MaxSubject = 255

	maxPer       = 366 * 24 * time.Hour
	maxLimit     = 1_000_000_000
	shardCount   = 64
	maxSubjects  = 1 << 18
	maxOverflow  = 256 // different windows of newcomers without room
	leaseWorkers = 8
)

// Window allows Limit in any Per, at once or spread over it. Two windows of one subject
// differ in Per: a short one bounds how many of a long one's may come at once.
type Window struct {
	Limit int
	Per   time.Duration
}

// Decision is the answer to Take, for the headers of a response.
type Decision struct {
	Allowed bool
	// Limit, Remaining and ResetAt are those of the tightest window: the one that
	// refuses longest, or that has the least left. Remaining is an estimate where
	// processes share the limit.
	Limit     int
	Remaining int
	ResetAt   time.Time // when all of Limit is there again if nothing is taken
	// RetryAfter is how long until the same request could be allowed; 0 when it is.
	RetryAfter time.Duration
}

// Limiter counts for one process. It is safe for concurrent use.
type Limiter struct {
	db     *storage.DB
	clock  clock.Clock
	shared bool
	seed   maphash.Seed
	shards [shardCount]shard

	workers chan struct{}  // bounds leases under way
	tasks   sync.WaitGroup // goroutines that talk to the database
	leases  atomic.Int64   // leases asked for, ever
	blocks  blocks
}

// New returns a limiter that counts across all processes of db if it can have several.
func New(db *storage.DB, c clock.Clock) *Limiter {
	return newLimiter(db, c, db.Shared())
}

// NewLocal returns a limiter that counts for this process alone and has no penalty box: for
// limits that need not be exact across processes, on subjects of which most come once.
func NewLocal(c clock.Clock) *Limiter { return newLimiter(nil, c, false) }

func newLimiter(db *storage.DB, c clock.Clock, shared bool) *Limiter {
	l := &Limiter{db: db, clock: c, shared: shared, seed: maphash.MakeSeed(), workers: make(chan struct{}, leaseWorkers)}
	for i := range l.shards {
		l.shards[i].setup(maxSubjects / shardCount)
	}
	l.blocks.until = map[string]block{}
	return l
}

// Close waits for what the limiter does in the background.
func (l *Limiter) Close() { l.tasks.Wait() }

// request is one call of Take.
type request struct {
	subject string
	windows []Window
	n       int64
	now     int64 // nanoseconds since 1970
	looks   bool  // nothing is taken
}

// Take takes n from every window of subject, or nothing if one of them does not
// allow it. A subject is prefixed with what is limited ("api:key_…", "login:192.0.2.1"),
// since windows of the same Per share a count. With n 0 it only looks. It returns an
// error when the windows or n can never be right, and when it must ask the database
// and cannot.
func (l *Limiter) Take(ctx context.Context, subject string, windows []Window, n int) (Decision, error) {
	return l.answer(ctx, request{subject: subject, windows: windows, n: int64(n)})
}

// Look returns what Take would, and takes nothing.
func (l *Limiter) Look(ctx context.Context, subject string, windows []Window, n int) (Decision, error) {
	return l.answer(ctx, request{subject: subject, windows: windows, n: int64(n), looks: true})
}

func (l *Limiter) answer(ctx context.Context, r request) (Decision, error) {
	subject, windows := r.subject, r.windows
	if err := check(subject, windows, int(r.n)); err != nil {
		return Decision{}, err
	}
	s := &l.shards[maphash.String(l.seed, subject)%shardCount]
	for range maxTurns {
		r.now = l.clock.Now().UnixNano()
		d, awaited, err := l.decide(ctx, s, &r)
		if awaited == nil {
			return d, err
		}
		if err := awaited.wait(ctx); err != nil {
			return Decision{}, fmt.Errorf("lease of limit %s: %w", subject, err)
		}
	}
	// The subject's own crowd took every lease before this request could.
	return Decision{Limit: windows[0].Limit, ResetAt: l.clock.Now().Add(windows[0].Per), RetryAfter: time.Second}, nil
}

// maxTurns bounds how often a request waits for a lease.
const maxTurns = 64

func check(subject string, windows []Window, n int) error {
	if subject == "" || len(subject) > MaxSubject {
		return fmt.Errorf("take from limit: want a subject of 1 to %d bytes, not %d", MaxSubject, len(subject))
	}
	if len(windows) == 0 || len(windows) > MaxWindows {
		return fmt.Errorf("take from limit %s: want 1 to %d windows, not %d", subject, MaxWindows, len(windows))
	}
	for i := range windows {
		w := &windows[i]
		if w.Limit < 1 || w.Limit > maxLimit || w.Per < time.Millisecond || w.Per > maxPer {
			return fmt.Errorf("take from limit %s: %d per %s is no window", subject, w.Limit, w.Per)
		}
		if n < 0 || n > w.Limit {
			return fmt.Errorf("take from limit %s: %d is never allowed by %d per %s", subject, n, w.Limit, w.Per)
		}
		for k := range i {
			if windows[k].Per == w.Per {
				return fmt.Errorf("take from limit %s: two windows per %s", subject, w.Per)
			}
		}
	}
	return nil
}

// decide answers r under the shard's lock, or names the lease to wait for.
func (l *Limiter) decide(ctx context.Context, s *shard, r *request) (Decision, *call, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isBehind(r.now) { // the clock was set back, or the request waited long for the lock
		r.now = l.clock.Now().UnixNano()
	}
	s.follow(r.now)
	e := s.find(r.subject, r.now)
	var views [MaxWindows]view
	for i := range r.windows {
		at := e.slot(r.windows[i].Per)
		if at < 0 {
			return Decision{}, nil, fmt.Errorf("take from limit %s: it has more than %d windows", r.subject, MaxWindows)
		}
		views[i] = look(&r.windows[i], &e.slots[at], r)
		views[i].at = at
		if l.shared {
			views[i].count(e.lease(at), r)
		}
	}
	d := conclude(views[:len(r.windows)], r)
	if !d.Allowed || r.n == 0 || r.looks {
		return d, nil, nil
	}
	if l.shared {
		if awaited := l.secure(ctx, s, e, leaseNeed{r, views[:len(r.windows)]}); awaited != nil {
			return Decision{}, awaited, nil
		}
	}
	for i := range r.windows {
		views[i].commit(&e.slots[views[i].at], r)
	}
	return d, nil, nil
}
