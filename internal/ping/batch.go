package ping

import (
	"cmp"
	"context"
	"fmt"
	"hash/maphash"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/fraud"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/ping/quota"
	"github.com/scripcards/scrip/internal/platform/lane"
	"github.com/scripcards/scrip/internal/platform/limit"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// work is a check that waits to be recorded, and its result.
type work struct {
	a      *attempt
	result Result
}

// newLane returns a lane that records checks, with what it remembers between batches.
func newLane(s *Service) *lane.Lane[work] {
	var (
		remembered = newSeen()
		last       *batch
	)
	return lane.New(lane.Config[work]{DB: s.DB, Name: "the recorder of balance checks",
		Run: func(ctx context.Context, tx *storage.Tx, tasks []*lane.Task[work]) error {
			last = newBatch(s, remembered, tasks)
			return last.run(ctx, tx)
		},
		Committed: func([]*lane.Task[work]) { last.settle() }})
}

// record makes a check durable and returns its result, which is not the network's if the
// card is locked. A book always has the same lane.
func (s *Service) record(ctx context.Context, a *attempt) (Result, error) {
	l := s.lanes[maphash.String(s.seed, string(a.caller.book))%uint64(len(s.lanes))]
	done, err := l.Do(ctx, work{a: a})
	if err != nil {
		return Result{}, err
	}
	return done.result, nil
}

// batch is the checks of one transaction. It is made anew whenever that is tried again.
type batch struct {
	service *Service
	seen    *seen
	tasks   []*lane.Task[work]
	now     time.Time // by the machine's clock
	quotas  map[ledger.BookID]*meter
	callers map[callerKey]*caller
	cards   map[fraud.Hash]*lock
	touched map[fraud.Hash]bool // cards to be written
	noted   seenNow
	effects []storage.Effect
}

// meter is one book's quota in the batch.
type meter struct {
	limit.Quota
	used, taken int64
}

func newBatch(s *Service, remembered *seen, tasks []*lane.Task[work]) *batch {
	return &batch{service: s, seen: remembered, tasks: tasks, now: s.now(), quotas: map[ledger.BookID]*meter{},
		callers: map[callerKey]*caller{}, cards: map[fraud.Hash]*lock{}, touched: map[fraud.Hash]bool{}, noted: seenNow{}}
}

// run decides each check in its turn and writes what came of all of them.
func (b *batch) run(ctx context.Context, tx *storage.Tx) error {
	if err := b.load(ctx, tx); err != nil {
		return err
	}
	for _, t := range b.tasks {
		t.Work.result, t.Err = b.decide(t.Work.a)
	}
	return b.write(ctx, tx)
}

// load reads, and locks in one order in all processes, what the checks depend on.
func (b *batch) load(ctx context.Context, tx *storage.Tx) error {
	for _, t := range b.tasks {
		a := t.Work.a
		if _, bounded := b.service.quota(a); bounded {
			b.quotas[a.caller.book] = nil
		}
		if a.guarded() {
			b.callers[a.caller] = nil
		}
		if a.counted() {
			b.cards[a.card] = nil
		}
	}
	for _, book := range slices.Sorted(maps.Keys(b.quotas)) {
		checks, bounded := b.service.Quotas.Of(book)
		if !bounded { // not any more
			checks = math.MaxInt64
		}
		q := &meter{Quota: limit.Quota{Book: string(book), Name: quota.Name, Period: limit.Month(b.now), Limit: checks}}
		var err error
		if q.used, err = limit.Lock(ctx, tx, q.Quota); err != nil {
			return err
		}
		b.quotas[book] = q
	}
	if err := b.loadCallers(ctx, tx); err != nil {
		return err
	}
	return b.loadCards(ctx, tx)
}

// counted says whether an invalid answer counts toward the card's lock.
func (a *attempt) counted() bool { return a.guarded() && !a.inquiry.PIN.IsZero() }

func (b *batch) loadCallers(ctx context.Context, tx *storage.Tx) error {
	keys := slices.SortedFunc(maps.Keys(b.callers), callerKey.compare)
	if len(keys) == 0 {
		return nil
	}
	find := func() error {
		rows, err := storage.AllOf(ctx, tx, scanCaller, lockCallers, rowsOf(keys, callerKey.row))
		for _, c := range rows {
			b.callers[c.key] = c
		}
		return err
	}
	if err := find(); err != nil {
		return err
	}
	fresh := slices.DeleteFunc(keys, func(k callerKey) bool { return b.callers[k] != nil })
	if len(fresh) == 0 {
		return nil
	}
	for _, t := range b.tasks {
		if key := t.Work.a.caller; t.Work.a.guarded() && b.callers[key] == nil {
			b.callers[key] = &caller{key: key, realm: t.Work.a.inquiry.Realm, hour: t.Work.a.at, state: callerFree, changed: storage.Time(0)}
		}
	}
	if !b.service.DB.Shared() {
		return nil
	}
	// Another process may meet the same new caller: one inserts, the other waits here.
	if err := tx.ExecRows(ctx, beginCallers, rowsOf(fresh, func(k callerKey) []any { return b.callers[k].row() })); err != nil {
		return err
	}
	return find()
}

func (b *batch) loadCards(ctx context.Context, tx *storage.Tx) error {
	keys := slices.SortedFunc(maps.Keys(b.cards), compareHash)
	if len(keys) == 0 {
		return nil
	}
	row := func(h fraud.Hash) []any { return []any{h[:]} }
	find := func() error {
		rows, err := storage.AllOf(ctx, tx, scanLock, lockCards, rowsOf(keys, row))
		for _, c := range rows {
			b.cards[c.card] = c
		}
		return err
	}
	if err := find(); err != nil {
		return err
	}
	fresh := slices.DeleteFunc(slices.Clone(keys), func(h fraud.Hash) bool { return b.cards[h] != nil })
	if len(fresh) == 0 {
		return nil
	}
	for _, h := range fresh {
		b.cards[h] = &lock{card: h}
	}
	if !b.service.DB.Shared() {
		return nil
	}
	if err := tx.ExecRows(ctx, beginCards, rowsOf(fresh, func(h fraud.Hash) []any { return b.cards[h].row() })); err != nil {
		return err
	}
	return find()
}

func rowsOf[K any](keys []K, row func(K) []any) [][]any {
	rows := make([][]any, len(keys))
	for i, k := range keys {
		rows[i] = row(k)
	}
	return rows
}

func compareHash(a, b fraud.Hash) int { return slices.Compare(a[:], b[:]) }

// decide says what a check comes to, given those before it. One that is refused leaves no
// trace. The three ways of being invalid do the same work here.
func (b *batch) decide(a *attempt) (Result, error) {
	who, spent := b.callers[a.caller], b.quotas[a.caller.book]
	if !a.guarded() {
		who = nil
	}
	if _, bounded := b.service.quota(a); !bounded {
		spent = nil
	}
	if who != nil && who.state == callerSuspended {
		return Result{}, errSuspended()
	}
	if spent != nil && spent.used+spent.taken >= spent.Limit {
		return Result{}, quotaExceeded(spent.Limit, b.now)
	}
	trapped := who != nil && b.service.honey.has(a.card)
	var card *lock
	if a.counted() {
		card = b.cards[a.card]
	}
	result := a.result
	if trapped || card != nil && card.locked(a.at) {
		result = a.withheld()
	}
	effects, err := b.service.effects(a, &result)
	if err != nil {
		return Result{}, err
	}
	b.effects = append(b.effects, effects...)
	if spent != nil {
		spent.taken++
	}
	if card != nil && result.Status == Invalid {
		card.wrong(a.at, b.service.Policy.LockFor)
		b.touched[a.card] = true
	}
	if who != nil {
		b.hunt(a, who, trapped, result.Status != Invalid)
	}
	return result, nil
}

// write writes everything in a few statements.
func (b *batch) write(ctx context.Context, tx *storage.Tx) error {
	if err := tx.Apply(ctx, b.effects); err != nil {
		return err
	}
	callers := slices.SortedFunc(maps.Values(b.callers), func(x, y *caller) int { return x.key.compare(y.key) })
	var rows [][]any
	for _, c := range callers {
		if c.dirty {
			rows = append(rows, c.row())
		}
	}
	if err := tx.ExecRows(ctx, writeCaller, rows); err != nil {
		return err
	}
	touched := slices.SortedFunc(maps.Keys(b.touched), compareHash)
	if err := tx.ExecRows(ctx, writeCard, rowsOf(touched, func(h fraud.Hash) []any { return b.cards[h].row() })); err != nil {
		return err
	}
	for _, book := range slices.Sorted(maps.Keys(b.quotas)) {
		if q := b.quotas[book]; q.taken > 0 {
			if _, err := limit.Spend(ctx, tx, q.Quota, q.taken); err != nil {
				return err
			}
		}
	}
	return nil
}

// settle takes over into memory what was committed.
func (b *batch) settle() {
	b.seen.keep(b)
	for _, c := range b.callers {
		b.service.watch.put(c.key, c.state)
	}
	for book, q := range b.quotas {
		if q.used+q.taken >= q.Limit {
			b.service.spent.put(book, used{q.Period, q.Limit})
		}
	}
}

// effects returns what a check writes: its row, its events and what its caller adds.
func (s *Service) effects(a *attempt, r *Result) (effects []storage.Effect, err error) {
	told := r.told()
	effects = append([]storage.Effect{pingRow(a, r)}, s.events(a, &told)...)
	defer func() { // a caller's function must not take the lane with it
		if p := recover(); p != nil {
			err = fmt.Errorf("record balance check: what to write with it panicked: %v", p)
		}
	}()
	return a.check.Also.With(effects, &told)
}

// spent remembers whose quota is used up, so that no network is asked in vain.
type spent struct {
	mu    sync.RWMutex
	books map[ledger.BookID]used
}

// used is a quota that is used up, at the limit that it had.
type used struct {
	period string
	limit  int64
}

// mostSpent bounds the books that are remembered.
const mostSpent = 1 << 16

// all says whether a quota is used up. A limit that is higher now has room again.
func (s *spent) all(book ledger.BookID, now used) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	u, known := s.books[book]
	return known && u.period == now.period && u.limit >= now.limit
}

func (s *spent) put(book ledger.BookID, u used) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.books == nil || len(s.books) >= mostSpent {
		s.books = map[ledger.BookID]used{}
	}
	s.books[ledger.BookID(strings.Clone(string(book)))] = u
}

// callerKey names a caller within its book.
type callerKey struct {
	book ledger.BookID
	name string
}

func (k callerKey) compare(other callerKey) int {
	return cmp.Or(cmp.Compare(k.book, other.book), cmp.Compare(k.name, other.name))
}

func (k callerKey) row() []any { return []any{string(k.book), k.name} }

// caller is what is known of how well a caller's checks hit.
type caller struct {
	key   callerKey
	realm realm.Realm
	// hour is when the present hour began; cards and found are of it, the others of the hour before.
	hour                       time.Time
	cards, found               int64
	earlierCards, earlierFound int64
	state                      callerState
	reason                     string
	changed                    time.Time
	dirty                      bool
}

func (c *caller) row() []any {
	return []any{string(c.key.book), c.key.name, string(c.realm), storage.Micros(c.hour), c.cards, c.found, c.earlierCards, c.earlierFound,
		string(c.state), c.reason, storage.Micros(c.changed)}
}
