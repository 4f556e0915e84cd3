package ping

import (
	"context"
	"encoding/binary"
	"strings"
	"sync"
	"time"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/plain"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/fraud"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// callerState is what came of how well a caller's checks hit.
type callerState string

const (
	callerFree      callerState = "free"
	callerSlowed    callerState = "slowed"
	callerSuspended callerState = "suspended"
)

// Why a caller was suspended.
const (
	ReasonHitRate = "hit_rate" // it asked for many cards and found few
	ReasonHoney   = "honey"    // it asked for a number that nobody should know
)

// hunt counts a check for its caller and judges it: one that asked for a honey number is
// trapped.
func (b *batch) hunt(a *attempt, c *caller, trapped, found bool) {
	c.turn(a.at)
	if b.first(a, c) {
		c.cards++
		if found {
			c.found++
		}
		c.dirty = true
	}
	before, reason := c.state, ReasonHitRate
	if trapped {
		c.state, reason = callerSuspended, ReasonHoney
	} else {
		c.state = c.judge(a.at, b.service.Policy.Hunt)
	}
	if c.state == before {
		return
	}
	c.changed, c.reason, c.dirty = b.now, "", true
	if c.state != callerFree {
		c.reason = reason
	}
	if c.state == callerSuspended {
		b.effects = append(b.effects, b.service.suspendedEvent(a, c)...)
	}
}

// turn begins the hour that at is in.
func (c *caller) turn(at time.Time) {
	passed := at.Sub(c.hour)
	switch {
	case passed < time.Hour:
		return
	case passed < 2*time.Hour:
		c.earlierCards, c.earlierFound, c.hour = c.cards, c.found, c.hour.Add(time.Hour)
	default:
		c.earlierCards, c.earlierFound, c.hour = 0, 0, at
	}
	c.cards, c.found, c.dirty = 0, 0, true
}

// judge says what the last sixty minutes come to: this hour's figures and, of those of the
// hour before, the share that is not over yet.
func (c *caller) judge(at time.Time, h Hunt) callerState {
	left := min(max(0, time.Hour-at.Sub(c.hour)), time.Hour)
	share := func(earlier int64) int64 { return earlier * int64(left/time.Second) / int64(time.Hour/time.Second) }
	cards, found := c.cards+share(c.earlierCards), c.found+share(c.earlierFound)
	poor := found*100 < cards*int64(h.Percent)
	switch {
	case c.state == callerSuspended: // until somebody lifts it
		return callerSuspended
	case h.Suspend > 0 && cards >= int64(h.Suspend) && poor:
		return callerSuspended
	case h.Slow > 0 && cards >= int64(h.Slow) && poor:
		return callerSlowed
	}
	return callerFree
}

// first reports whether this is the caller's first check of the card in its hour.
func (b *batch) first(a *attempt, c *caller) bool {
	h := binary.BigEndian.Uint64(a.card[:8])
	if b.seen.has(c, h) {
		return false
	}
	key := seenKey{c.key, c.hour.UnixMicro(), h}
	if b.noted[key] {
		return false
	}
	b.noted[key] = true
	return true
}

// Bounds of what a lane remembers: cards of one caller in one hour, and callers. Beyond
// them a card counts as often as it is asked for, found or not.
const (
	mostSeenCards   = 4096
	mostSeenCallers = 4096
)

// seen is which cards callers asked for in their present hour, by a part of the hash.
type seen struct{ callers map[callerKey]*seenCards }

func newSeen() *seen { return &seen{callers: map[callerKey]*seenCards{}} }

type seenCards struct {
	hour  int64
	cards map[uint64]bool
}

type seenKey struct {
	caller callerKey
	hour   int64
	card   uint64
}

// seenNow is what a batch saw and has not committed.
type seenNow map[seenKey]bool

func (s *seen) has(c *caller, card uint64) bool {
	known := s.callers[c.key]
	return known != nil && known.hour == c.hour.UnixMicro() && known.cards[card]
}

func (s *seen) keep(b *batch) {
	for key := range b.noted {
		known := s.callers[key.caller]
		if known == nil || known.hour < key.hour {
			if known == nil && len(s.callers) >= mostSeenCallers {
				s.forgetOne()
			}
			known = &seenCards{hour: key.hour, cards: map[uint64]bool{}}
			s.callers[key.caller] = known
		}
		if known.hour == key.hour && len(known.cards) < mostSeenCards {
			known.cards[key.card] = true
		}
	}
}

// forgetOne makes room: any one will do.
func (s *seen) forgetOne() {
	for key := range s.callers {
		delete(s.callers, key)
		return
	}
}

// watch is the callers who are slowed or suspended, as this process knows them.
type watch struct {
	mu     sync.RWMutex
	states map[callerKey]callerState
}

func (w *watch) state(k callerKey) callerState {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if state, known := w.states[k]; known {
		return state
	}
	return callerFree
}

func (w *watch) put(k callerKey, state callerState) {
	if w.state(k) == state {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if state == callerFree {
		delete(w.states, k)
		return
	}
	if w.states == nil {
		w.states = map[callerKey]callerState{}
	}
	w.states[k] = state
}

// refreshCallers reads whose state changed since then, in any process.
func (s *Service) refreshCallers(ctx context.Context, since int64) error {
	return storage.Each(ctx, s.DB, scanCaller, func(c *caller) error {
		s.watch.put(c.key, c.state)
		return nil
	}, changedCallers, since)
}

// Barred returns permission_denied to a suspended caller, who may not have balances checked
// in another way either, such as by visitors of a new portal.
func (s *Service) Barred(c Caller) error {
	if s.watch.state(callerKey{c.Book, c.name()}) == callerSuspended {
		return errSuspended()
	}
	return nil
}

// Suspension is a caller who may not check balances.
type Suspension struct {
	Book   ledger.BookID
	Caller string // the credential, and behind a portal the visitor's address
	// Credential is the caller's key or portal.
	Credential string
	Realm      realm.Realm
	Reason     string
	// Cards is how many different cards it asked for in its last hour, Found how many it found.
	Cards, Found int64
	At           time.Time
}

// Suspensions returns up to limit suspended callers of all books after the given one, by
// book and name; the zero Suspension begins.
func (s *Service) Suspensions(ctx context.Context, after Suspension, limit int) ([]Suspension, error) {
	rows, err := storage.All(ctx, s.DB, scanCaller, listSuspended, string(after.Book), after.Caller, pageSize(limit))
	var all []Suspension
	for _, c := range rows {
		all = append(all, c.suspension())
	}
	return all, err
}

func (c *caller) suspension() Suspension {
	return Suspension{Book: c.key.book, Caller: c.key.name, Credential: credentialOf(c.key.name), Realm: c.realm, Reason: c.reason,
		Cards: c.cards + c.earlierCards, Found: c.found + c.earlierFound, At: c.changed}
}

// LiftRequest names a suspended caller and who lets it back.
type LiftRequest struct {
	Book   ledger.BookID
	Caller string
	// Reason is kept in the audit log; it may be empty.
	Reason string
	Actor  string
	Also   storage.Also[Suspension] // told what was lifted
}

// Lift lets a suspended caller check balances again, with nothing held against it. It
// returns not_found when the caller is not suspended. Other processes follow within seconds.
func (s *Service) Lift(ctx context.Context, r LiftRequest) error {
	key := callerKey{r.Book, r.Caller}
	err := s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		now := s.now()
		rows, err := storage.AllOf(ctx, tx, scanCaller, lockCallers, [][]any{key.row()})
		if err != nil {
			return err
		}
		if len(rows) == 0 || rows[0].state != callerSuspended {
			return fault.New(fault.NotFound, "no such caller is suspended")
		}
		if _, err := tx.Exec(ctx, liftCaller, string(r.Book), r.Caller, storage.Micros(now)); err != nil {
			return err
		}
		entry := audit.Record{Actor: r.Actor, Action: "caller.lift", Subject: audit.Clean(r.Caller), Book: string(r.Book), At: now,
			Detail: map[string]string{"reason": audit.Clean(r.Reason)}}
		if err := s.Audit.Append(ctx, tx, entry); err != nil {
			return err
		}
		return r.Also.Apply(ctx, tx, rows[0].suspension())
	})
	if err == nil {
		s.watch.put(key, callerFree)
	}
	return err
}

// HoneyID names a honey number ("honey_…").
type HoneyID string

// Honey is a number that nobody should ask for. One check of it suspends the caller and is
// answered like that of any number that does not exist. Only a keyed hash of it is kept.
type Honey struct {
	ID        HoneyID
	Realm     realm.Realm
	Network   string
	Last4     string
	Note      string // the operator's
	CreatedAt time.Time
}

// NewHoney asks for a honey number.
type NewHoney struct {
	Realm   realm.Realm
	Network string
	Number  pan.Secret
	Note    string // up to 200 bytes
	Actor   string
	Also    storage.Also[Honey]
}

// HoneyRemoval names a honey number that is to be none, and who has it so.
type HoneyRemoval struct {
	ID    HoneyID
	Actor string
	Also  storage.Also[Honey]
}

const (
	maxNote  = 200
	maxHoney = 100_000
)

// honey is the hashes of honey numbers, as this process knows them.
type honey struct {
	mu    sync.RWMutex
	cards map[fraud.Hash]HoneyID
}

func (h *honey) has(card fraud.Hash) bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.cards[card] != ""
}

func (h *honey) put(card fraud.Hash, name HoneyID, active bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case active:
		if h.cards == nil {
			h.cards = map[fraud.Hash]HoneyID{}
		}
		h.cards[card] = name
	case h.cards[card] == name:
		delete(h.cards, card)
	}
}

type honeyRow struct {
	Honey
	card   fraud.Hash
	active bool
}

func (s *Service) refreshHoney(ctx context.Context, since int64) error {
	return storage.Each(ctx, s.DB, scanHoney, func(h honeyRow) error {
		s.honey.put(h.card, h.ID, h.active)
		return nil
	}, changedHoney, since)
}

// AddHoney adds a honey number. It returns card_invalid for a number that cannot be the
// network's, invalid_request for a network of the sandbox, already_exists for a number
// that is one, and quota_exceeded when there are too many.
func (s *Service) AddHoney(ctx context.Context, n NewHoney) (Honey, error) {
	c, err := s.networks.find(n.Realm, n.Network)
	if err != nil {
		return Honey{}, err
	}
	if c.sandbox || !plain.LineBytes(n.Note, 0, maxNote) {
		return Honey{}, fault.New(fault.InvalidRequest, "want a network outside the sandbox and a note of at most %d bytes of plain text", maxNote)
	}
	number, err := c.rules.number(n.Number)
	if err != nil {
		return Honey{}, err
	}
	if holds(n.Note, number) {
		return Honey{}, invalidAt("note", "the note holds the number, which is not kept")
	}
	now, card := s.now(), s.cardHash(n.Realm, n.Network, number.Reveal())
	h := Honey{ID: HoneyID(id.New("honey")), Realm: n.Realm, Network: n.Network, Last4: number.Last4(), Note: n.Note, CreatedAt: now}
	err = s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		count, _, err := storage.One(ctx, tx, storage.Scalar[int64], countHoney)
		if err != nil {
			return err
		}
		if count >= maxHoney {
			return fault.New(fault.QuotaExceeded, "there are %d honey numbers, the most is %d", count, maxHoney)
		}
		row := []any{string(h.ID), string(h.Realm), h.Network, card[:], h.Last4, h.Note, "active", storage.Micros(now), storage.Micros(now)}
		if err := tx.ExecRows(ctx, insertHoney, [][]any{row}); err != nil {
			return err
		}
		entry := audit.Record{Actor: n.Actor, Action: "honey.add", Subject: string(h.ID), At: now,
			Detail: map[string]string{"network": n.Network, "realm": string(n.Realm)}}
		if err := s.Audit.Append(ctx, tx, entry); err != nil {
			return err
		}
		return n.Also.Apply(ctx, tx, h)
	})
	if storage.IsUnique(err) {
		return Honey{}, fault.New(fault.AlreadyExists, "the number is a honey number").At("number")
	}
	if err != nil {
		return Honey{}, err
	}
	s.honey.put(card, h.ID, true)
	return h, nil
}

// holds reports whether a note has a number in it, or what follows its first letters, as far
// as that is enough to tell it from a date or the like.
func holds(note string, number pan.Number) bool {
	tail := strings.TrimLeft(number.Reveal(), "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
	if len(tail) < pan.MinLength {
		tail = number.Reveal()
	}
	return strings.Contains(strings.NewReplacer(" ", "", "-", "").Replace(strings.ToUpper(pan.Plain(note))), tail)
}

// RemoveHoney makes a honey number a number like any other, or returns not_found.
func (s *Service) RemoveHoney(ctx context.Context, r HoneyRemoval) error {
	var row honeyRow
	err := s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		var found bool
		var err error
		if row, found, err = storage.One(ctx, tx, scanHoney, removeHoney, string(r.ID), storage.Micros(s.now())); err != nil {
			return err
		}
		if !found {
			return fault.New(fault.NotFound, "no such honey number")
		}
		if err := s.Audit.Append(ctx, tx, audit.Record{Actor: r.Actor, Action: "honey.remove", Subject: string(r.ID), At: s.now()}); err != nil {
			return err
		}
		return r.Also.Apply(ctx, tx, row.Honey)
	})
	if err == nil {
		s.honey.put(row.card, row.ID, false)
	}
	return err
}

// ListHoney returns up to limit honey numbers after the given one, by id; "" begins.
func (s *Service) ListHoney(ctx context.Context, after HoneyID, limit int) ([]Honey, error) {
	rows, err := storage.All(ctx, s.DB, scanHoney, listHoney, string(after), pageSize(limit))
	var all []Honey
	for _, r := range rows {
		all = append(all, r.Honey)
	}
	return all, err
}

// credentialOf is the key or portal of a caller's name.
func credentialOf(name string) string {
	credential, _, _ := strings.Cut(name, "/")
	return credential
}
