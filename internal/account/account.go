// Package account owns who may call Scrip: customers with a book in each realm, their
// API keys and seeds, merchants' signing credentials and nonces, keys and challenges
// of signed requests, operators, and the clock of the test realm.
//
// A credential belongs to one customer and one realm. Its secret is shown once;
// what is kept is a keyed hash or, where a signature needs the secret, a sealed
// text. Whatever is wrong with a credential, the answer is the same. It is judged
// by the machine's clock in both realms, from bounded memory that is never behind
// a change of this process and at most two seconds behind the others'. Every
// change is written to the audit log in its own transaction.
//
// It must never hold a rule of a product, nor return a secret a second time.
package account

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/plain"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/gather"
	"github.com/scripcards/scrip/internal/platform/memo"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/platform/vault"
)

// Principal is who makes a request, as its credential says.
type Principal struct {
	Customer CustomerID
	Book     ledger.BookID
	Realm    realm.Realm
	// Credential names the key ("key_…"), the seed ("seed_…") or the merchant's client id, for limits and audit.
	Credential string
	Scopes     Scopes
}

// Require returns fault.PermissionDenied unless the credential may do what s says.
func (p *Principal) Require(s Scope) error {
	if p.Scopes.Has(s) {
		return nil
	}
	return fault.New(fault.PermissionDenied, "this credential lacks the scope %s", s)
}

// Deps are what a Service needs.
type Deps struct {
	DB     *storage.DB
	Vault  *vault.Vault
	Audit  *audit.Log
	Clocks *clock.Realms
	Logger *slog.Logger // nil: nothing is logged
}

// Service is the accounts of one installation. It is safe for concurrent use.
type Service struct {
	db     *storage.DB
	vault  *vault.Vault
	audit  *audit.Log
	clocks *clock.Realms
	logger *slog.Logger

	keys      *memo.Memo[*grant]
	merchants *memo.Memo[*merchantGrant]
	operators *memo.Memo[*operatorGrant]
	signers   *memo.Memo[Signer]
	seeds     *memo.Memo[*seedGrant]
	seedRows  *gather.Gather[string, gather.Row[presentedSeed]]
	used      usage
	nonces    nonceSet
	started   time.Time
	demo      atomic.Bool
}

// How long an authentication is remembered, and how many are.
const (
	rememberFresh  = time.Second
	rememberLife   = 2 * time.Second
	rememberCalls  = 16_384
	rememberAbsent = 4_096
	// longestLook is when a database that does not answer is not waited for any longer.
	longestLook = 10 * time.Second
)

// New returns the service over deps. Run keeps it up to date.
func New(deps Deps) *Service {
	if deps.Logger == nil {
		deps.Logger = slog.New(slog.DiscardHandler)
	}
	remember := memo.Config{Present: rememberCalls, Absent: rememberAbsent, Fresh: rememberFresh, Life: rememberLife}
	s := &Service{
		db: deps.DB, vault: deps.Vault, audit: deps.Audit, clocks: deps.Clocks, logger: deps.Logger,
		keys:      memo.New[*grant](remember),
		merchants: memo.New[*merchantGrant](remember),
		operators: memo.New[*operatorGrant](remember),
		seeds:     memo.New[*seedGrant](remember),
		signers:   memo.New[Signer](memo.Config{Present: rememberAbsent, Absent: rememberCalls, Fresh: rememberFresh, Life: rememberLife}),
	}
	s.seedRows = gather.Rows(longestLook, s.readSeeds, func(p *presentedSeed) string { return p.hash })
	s.started = s.now()
	return s
}

// now is the machine's time: moving the test realm must not end credentials.
func (s *Service) now() time.Time { return s.clocks.Now(realm.Live) }

const (
	refreshEvery = 2 * time.Second
	flushTurns   = 5  // of refreshEvery
	purgeTurns   = 30 // of refreshEvery
	lastFlush    = 5 * time.Second
)

// Run follows what other processes did to the test realm's clock, writes when
// credentials were last used and removes old nonces and challenges, until ctx ends.
func (s *Service) Run(ctx context.Context) {
	for turn := 1; clock.Wait(ctx, refreshEvery) == nil; turn++ {
		s.attempt(ctx, "load test clock", s.LoadTestClock)
		if turn%flushTurns == 0 {
			s.attempt(ctx, "write last uses", s.FlushUsage)
		}
		if turn%purgeTurns == 0 {
			s.attempt(ctx, "purge nonces", s.PurgeNonces)
			s.attempt(ctx, "purge challenges", s.PurgeChallenges)
		}
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastFlush)
	defer cancel()
	s.attempt(ending, "write last uses", s.flushAll)
}

func (s *Service) attempt(ctx context.Context, what string, do func(context.Context) error) {
	if err := do(ctx); err != nil && ctx.Err() == nil {
		s.logger.ErrorContext(ctx, what, "error", err)
	}
}

// change is a transaction under way on behalf of an actor.
type change struct {
	*storage.Tx
	log    *audit.Log
	actor  string
	at     time.Time     // by the machine's clock
	offset time.Duration // of the test realm
}

// write runs fn in one transaction with one timestamp. fn may run more than once.
func (s *Service) write(ctx context.Context, actor string, fn func(context.Context, *change) error) error {
	actor, err := cleanText("actor", actor, maxActor)
	if err != nil {
		return err
	}
	at, offset := s.now(), s.clocks.Offset()
	return s.db.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		return fn(ctx, &change{Tx: tx, log: s.audit, actor: actor, at: at, offset: offset})
	})
}

// Edit returns what a thing is to be instead of what it is. It is asked while the thing is
// locked, so that two changes of different parts at once are both kept; it may be asked more
// than once, and must have no effects of its own.
type Edit[T any] func(T) (T, error)

// note is what the audit log is told. Names that people chose stay out of it: ids do not change.
type note struct {
	action  string
	subject string
	book    ledger.BookID // empty: the installation's own chain
	realm   realm.Realm   // of the book
	detail  map[string]string
}

// record appends n to the audit log, in the time of its realm.
func (c *change) record(ctx context.Context, n note) error {
	at := c.at
	if n.realm == realm.Test {
		at = at.Add(c.offset)
	}
	return c.log.Append(ctx, c.Tx, audit.Record{
		Actor: c.actor, Action: n.action, Subject: n.subject, Book: string(n.book), Detail: n.detail, At: at,
	})
}

const (
	maxActor = 128
	maxName  = 128
)

// cleanText trims text and refuses what is empty, longer than limit characters or not plain.
func cleanText(field, text string, limit int) (string, error) {
	text = strings.TrimSpace(text)
	if !plain.Line(text, 1, limit) {
		return "", invalid(field, "want 1 to %d characters of plain text", limit)
	}
	return text, nil
}

func invalid(field, format string, args ...any) *fault.Error {
	return fault.New(fault.InvalidRequest, format, args...).At(field)
}

func notFound(kind, name string) *fault.Error {
	return fault.New(fault.NotFound, "no %s %s", kind, name)
}

// Page asks for a part of a list, newest first.
type Page struct {
	// After is the Next of the page before; empty for the first.
	After string
	// Limit is 1 to 200; 0 means 50.
	Limit int
}

// List is a part of a list. Next is empty on the last page.
type List[T any] struct {
	Items []T
	Next  string
}

const (
	defaultPage = 50
	maxPage     = 200
)

// before returns the id below which the page begins, and how many rows to read: one more than it shows.
func (p Page) before(prefix string) (string, int, error) {
	switch {
	case p.Limit < 0 || p.Limit > maxPage:
		return "", 0, invalid("limit", "want 1 to %d", maxPage)
	case p.Limit == 0:
		p.Limit = defaultPage
	}
	if p.After == "" {
		return prefix + "_" + strings.Repeat("z", 26), p.Limit + 1, nil // above every id
	}
	if !id.Valid(prefix, p.After) {
		return "", 0, fault.New(fault.InvalidCursor, "the cursor is not one that this list gave")
	}
	return p.After, p.Limit + 1, nil
}

// cut turns the rows of a page, one of them too many, into a List.
func cut[T any](rows []T, read int, key func(T) string) List[T] {
	if len(rows) < read {
		return List[T]{Items: rows}
	}
	rows = rows[:read-1]
	return List[T]{Items: rows, Next: key(rows[len(rows)-1])}
}
