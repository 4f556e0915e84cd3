// Package office is the fraud engine of an installation: it scores events, keeps what it
// saw and what it decided in the database, and has the models and rules that operators
// put there.
//
// It promises that scoring waits for no I/O; that what can be read of a decision is in the
// log that survives a killed process; and that a model or rule in use can be replaced, and
// taken back, without a restart, with an audit record. It decides nothing: products do.
// It must never keep a card number.
package office

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/fraud"
	"github.com/scripcards/scrip/internal/fraud/builtin"
	"github.com/scripcards/scrip/internal/fraud/estimator"
	"github.com/scripcards/scrip/internal/fraud/journal"
	"github.com/scripcards/scrip/internal/fraud/judge"
	"github.com/scripcards/scrip/internal/fraud/notice"
	"github.com/scripcards/scrip/internal/fraud/sense"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Deps is what a Service stands on.
type Deps struct {
	DB     *storage.DB
	Audit  *audit.Log
	Clocks *clock.Realms
	Logger *slog.Logger
	Config sense.Config
	// Retention is how long decisions are kept; 0: DefaultRetention.
	Retention time.Duration
}

// DefaultRetention is how long decisions are kept.
const DefaultRetention = 30 * 24 * time.Hour

// Service is the engine. It is safe for concurrent use. Whoever needs several of its locks
// takes judging or writing first, then gate, then that of pending; nobody holds judging and
// writing at once.
type Service struct {
	Deps
	judge *judge.Judge
	rooms sync.Pool // of *judge.Room
	// shipped are the models in the program.
	shipped map[fraud.Kind]*estimator.Model
	// gate is closed while a snapshot is taken.
	gate    sync.RWMutex
	pending pending
	lost    atomic.Int64
	// writing is held by whoever uses the journal, judging by whoever notes a verdict.
	writing sync.Mutex
	judging sync.Mutex
	journal *journal.Journal
	// change is the version of models and rules that are in use; -1 before any was looked up.
	change atomic.Int64
}

// New returns an engine that has seen nothing, with the models that ship with the
// program. Restore fills it, Run keeps it; without them it scores all the same.
func New(d Deps) (*Service, error) {
	if d.Retention == 0 {
		d.Retention = DefaultRetention
	}
	s := &Service{Deps: d, judge: judge.New(sense.New(d.Config)), shipped: map[fraud.Kind]*estimator.Model{}, journal: journal.New(d.DB),
		rooms: sync.Pool{New: func() any { return new(judge.Room) }}}
	for _, kind := range fraud.Kinds() {
		shipped, err := builtin.Model(kind)
		if err != nil {
			return nil, err
		}
		s.shipped[kind] = shipped
		s.judge.Use(kind, shipped, nil)
	}
	s.change.Store(-1)
	return s, nil
}

// pending is what was not written yet.
type pending struct {
	mu sync.Mutex
	batch
}

// decided is a decision that was not written yet.
type decided struct {
	id     string
	event  fraud.Event
	score  fraud.Score
	detail judge.Detail
}

const (
	// mostPending bounds what waits to be written while the database does not answer, in
	// bytes; what comes then is scored, and lost if the process is killed.
	mostPending = 16 << 20
	// keepAll is how many decisions between two flushes are kept whatever their score;
	// beyond them those are that reach keepFrom, up to mostDecisions.
	keepAll       = 100
	keepFrom      = 20
	mostDecisions = 500
	// decisionsAtOnce bounds how long others wait for a transaction that keeps decisions.
	decisionsAtOnce = 20
)

// Score counts an event and says how much it looks like theft.
func (s *Service) Score(event fraud.Event) fraud.Score {
	s.gate.RLock()
	defer s.gate.RUnlock()
	room := s.rooms.Get().(*judge.Room)
	defer s.rooms.Put(room)
	d := decided{event: event, detail: judge.Detail{Room: room}}
	d.score = s.judge.Score(&event, &d.detail).Clone()
	d.detail.Room = nil
	s.note(journal.Entry{Kind: journal.Asked, Event: event}, &d)
	d.score.Decision = d.id
	return d.score
}

// Learn counts what came of an event that was scored.
func (s *Service) Learn(event fraud.Event, outcome fraud.Outcome) {
	s.gate.RLock()
	defer s.gate.RUnlock()
	s.judge.Learn(&event, outcome)
	s.note(journal.Entry{Kind: journal.Learned, Event: event, Outcome: outcome}, nil)
}

// Label takes in what somebody found out about an event.
func (s *Service) Label(event fraud.Event, label fraud.Label) {
	s.gate.RLock()
	defer s.gate.RUnlock()
	s.judge.Label(event, label)
	s.note(journal.Entry{Kind: journal.Labelled, Event: event, Label: label}, nil)
}

// note queues what is to be written.
func (s *Service) note(e journal.Entry, d *decided) {
	p := &s.pending
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.entries) > mostPending {
		s.lost.Add(1)
		return
	}
	p.entries = e.Append(p.entries)
	p.events++
	if d != nil && (len(p.decisions) < keepAll || len(p.decisions) < mostDecisions && d.score.Hundredths >= keepFrom) {
		d.id = id.New(decisionPrefix)
		p.decisions = append(p.decisions, *d)
	}
}

// Lost returns how many events were scored and not logged, since the database did not
// take them in time.
func (s *Service) Lost() int64 { return s.lost.Load() }

// Flush writes what waits. What cannot be written waits on.
func (s *Service) Flush(ctx context.Context) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	return s.flush(ctx)
}

func (s *Service) flush(ctx context.Context) error {
	taken := s.pending.take()
	return s.put(ctx, &taken)
}

// batch is what is written after one another.
type batch struct {
	entries   []byte
	events    int
	decisions []decided
	heard     []string // notices that are among the entries
}

func (p *pending) take() batch {
	p.mu.Lock()
	defer p.mu.Unlock()
	taken := p.batch
	p.batch = batch{}
	return taken
}

// giveBack puts what could not be written before what came since.
func (p *pending) giveBack(b *batch) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.batch = batch{append(b.entries, p.entries...), b.events + p.events, append(b.decisions, p.decisions...), append(b.heard, p.heard...)}
}

// put writes a batch, or has what is not written wait on. What can be read of a decision is
// in the log: that comes first.
func (s *Service) put(ctx context.Context, b *batch) error {
	err := s.log(ctx, b)
	for err == nil && len(b.decisions) > 0 {
		some := b.decisions[:min(len(b.decisions), decisionsAtOnce)]
		if err = s.keep(ctx, some); err == nil {
			b.decisions = b.decisions[len(some):]
		}
	}
	if err != nil {
		s.pending.giveBack(b)
	}
	return err
}

func (s *Service) log(ctx context.Context, b *batch) error {
	if b.events == 0 {
		return nil
	}
	if err := s.journal.Write(ctx, journal.Batch{Entries: b.entries, Events: b.events, At: s.now(), Also: notice.Gone(b.heard)}); err != nil {
		return fmt.Errorf("write fraud log: %w", err)
	}
	b.entries, b.events, b.heard = nil, 0, nil
	return nil
}

func (s *Service) keep(ctx context.Context, decisions []decided) error {
	rows := make([]storage.Effect, len(decisions))
	for i := range decisions {
		var err error
		if rows[i], err = decisions[i].row(); err != nil {
			return err
		}
	}
	err := s.DB.Apply(ctx, rows)
	if storage.IsUnique(err) { // some are there: that they were kept was not heard
		err = s.keepMissing(ctx, rows)
	}
	if err != nil {
		return fmt.Errorf("keep decisions: %w", err)
	}
	return nil
}

// keepMissing keeps the decisions that are not there yet.
func (s *Service) keepMissing(ctx context.Context, rows []storage.Effect) error {
	for _, row := range rows {
		if err := s.DB.Apply(ctx, []storage.Effect{row}); err != nil && !storage.IsUnique(err) {
			return err
		}
	}
	return nil
}

func (s *Service) now() time.Time { return s.Clocks.Now(realm.Live) }

// restoreTries is how often counts are read that another process saves meanwhile: it does so
// once a minute at most.
const restoreTries = 10

// Restore brings the counts to where they were when the last process ended, or where the
// others are. It is called once, before anything is scored.
func (s *Service) Restore(ctx context.Context) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	var fresh *sense.Sense
	var err error
	for range restoreTries {
		fresh = sense.New(s.Config)
		err = s.journal.Restore(ctx, sense.Layout(), fresh.Load, func(e journal.Entry) { apply(fresh, &e) })
		if !errors.Is(err, journal.ErrReplaced) {
			break
		}
	}
	if err != nil {
		return err
	}
	s.gate.Lock()
	s.judge.Sense = fresh
	s.gate.Unlock()
	return nil
}

// apply has counts see what was logged.
func apply(to *sense.Sense, e *journal.Entry) {
	var row sense.Row
	switch e.Kind {
	case journal.Asked:
		to.See(&e.Event, &row)
	case journal.Learned:
		to.Learn(&e.Event, e.Outcome)
	case journal.Labelled:
		to.Label(e.Event, e.Label)
	case journal.Heard:
		to.Hear(&e.Event)
	}
}

// Follow counts what other processes saw.
func (s *Service) Follow(ctx context.Context) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	return s.journal.Follow(ctx, func(e journal.Entry) {
		s.gate.RLock()
		defer s.gate.RUnlock()
		apply(s.judge.Sense, &e)
	})
}

// Snapshot saves all counts. Scoring stands still while they are copied.
func (s *Service) Snapshot(ctx context.Context) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.gate.Lock()
	data, counted := s.judge.Append(nil), s.pending.take()
	s.gate.Unlock()
	if err := s.put(ctx, &counted); err != nil { // what is counted is logged before the mark
		return err
	}
	mark := s.journal.Mark()
	return s.journal.Save(ctx, journal.Snapshot{Data: data, Layout: sense.Layout(), At: s.now()}, mark)
}
