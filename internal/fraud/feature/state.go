package feature

import (
	"math"
	"sync"
	"unsafe"

	"github.com/scripcards/scrip/internal/fraud/keep"
)

// State is what is known of everybody. It is safe for concurrent use.
type State struct {
	tracks  [Roles]*keep.Table[track]
	cards   *keep.Table[days]
	sellers *keep.Table[days]
	amounts amounts
}

// overhead is what a table needs for an entry beside it, in bytes.
const overhead = 80

// shares are the parts of the memory, in hundredths, that each role's tracks get; what
// is left is for the days of cards and merchants.
var shares = [Roles]int64{Card: 14, Ten: 6, Hundred: 6, Range: 4, Address: 10, Net: 6, Operator: 1, Device: 5, Agent: 1, Caller: 5,
	Merchant: 6, Category: 1, Place: 1, Pair: 9}

const (
	cardShare   = 15
	sellerShare = 10
)

// Life of what nothing happens to: half of its heat goes in this time.
const (
	shortLife keep.Second = 86_400
	longLife  keep.Second = 30 * 86_400
)

// New returns a state that knows nothing, of at most so many bytes.
func New(memory int64) *State {
	one := memory / 100
	s := &State{cards: newDays(cardShare * one), sellers: newDays(sellerShare * one)}
	for role := range Roles {
		s.tracks[role] = newTracks(role, shares[role]*one)
	}
	return s
}

// NewOf returns a state of at most so many bytes that keeps nothing but the counts of
// some roles: the numbers of all others are unknown, and so are those of days.
func NewOf(memory int64, roles ...Role) *State {
	s := &State{}
	s.keep(memory/sharesOf(roles), roles)
	return s
}

// NewWithDays is NewOf that also keeps the days of cards and merchants.
func NewWithDays(memory int64, roles ...Role) *State {
	s, one := &State{}, memory/(sharesOf(roles)+cardShare+sellerShare)
	s.keep(one, roles)
	s.cards, s.sellers = newDays(cardShare*one), newDays(sellerShare*one)
	return s
}

func sharesOf(roles []Role) (all int64) {
	for _, role := range roles {
		all += shares[role]
	}
	return all
}

func (s *State) keep(one int64, roles []Role) {
	for _, role := range roles {
		s.tracks[role] = newTracks(role, shares[role]*one)
	}
}

func newDays(memory int64) *keep.Table[days] {
	return keep.New[days](memory/int64(unsafe.Sizeof(days{})+overhead), longLife)
}

func newTracks(role Role, memory int64) *keep.Table[track] {
	life := shortLife
	if role == Card || role == Merchant || role == Caller || role == Pair {
		life = longLife
	}
	return keep.New[track](memory/int64(unsafe.Sizeof(track{})+overhead), life)
}

// TrackSize is how many bytes a key of a role takes at most, with its place.
const TrackSize = int64(unsafe.Sizeof(track{})) + overhead

// What an event is worth when there is no room for all.
const (
	seeHeat = 1
	// knownHeat keeps what exists before what was made up.
	knownHeat = 4
)

func second(at seconds) keep.Second {
	return keep.Second(min(max(int64(at), 1), math.MaxUint32))
}

// partner is the role whose distinct keys are counted for another; Roles for none.
var partner = [Roles]Role{Card: Address, Ten: Card, Hundred: Card, Range: Card, Address: Card, Net: Card, Operator: Card, Device: Card,
	Agent: Card, Caller: Card, Merchant: Card, Category: Merchant, Place: Card, Pair: Roles}

// See writes what is known at the moment of an event into v, and counts the event.
func (s *State) See(e *Event, v *Vector) Mark {
	w := writer{v: v, at: secondsOf(e.At), event: e}
	w.rank = s.amounts.rank(e.Amount)
	s.seeCard(&w)
	s.seeSeller(&w)
	w.whole()
	for role := range Roles {
		s.seeTrack(&w, role)
	}
	s.amounts.add(e.Amount)
	return Mark{Event: *e, Ratio: w.ratio, Plain: w.ratio < highRatio && w.rank < specialRank}
}

// specialRank is from where on an amount is special to all: one in two hundred is greater.
const specialRank = 0.995

func (s *State) seeCard(w *writer) {
	k := keep.Key(w.event.Keys[Card])
	if k == 0 || s.cards == nil {
		w.noDays(Card)
		return
	}
	shard := s.cards.Open(k)
	defer shard.Close()
	d := s.cards.Touch(shard, keep.Touch{Key: k, Now: second(w.at), Heat: seeHeat})
	amount := float64(w.event.Amount)
	if amount > 0 {
		w.ratio = float32(d.ratio(amount))
		w.usual = float32(d.mean())
	}
	w.days(Card, d)
	d.see(w.at, float32(amount), w.ratio)
	if amount > 0 {
		d.settle(amount)
	}
}

func (s *State) seeSeller(w *writer) {
	k := keep.Key(w.event.Keys[Merchant])
	if k == 0 || s.sellers == nil {
		w.noDays(Merchant)
		return
	}
	shard := s.sellers.Open(k)
	defer shard.Close()
	d := s.sellers.Touch(shard, keep.Touch{Key: k, Now: second(w.at), Heat: seeHeat})
	w.days(Merchant, d)
	d.see(w.at, float32(w.event.Amount), w.ratio)
}

func (s *State) seeTrack(w *writer, role Role) {
	k, table := keep.Key(w.event.Keys[role]), s.tracks[role]
	if k == 0 || table == nil {
		w.noTrack(role)
		return
	}
	shard := table.Open(k)
	defer shard.Close()
	t := table.Touch(shard, keep.Touch{Key: k, Now: second(w.at), Heat: seeHeat})
	f := fadesOver(w.at - t.last)
	w.track(role, t, &f)
	t.see(w.at, &f, logAmount(w.event.Amount), w.partner(role))
}

// whoAsks are the roles of those who ask for cards.
var whoAsks = [Roles]bool{Address: true, Net: true, Operator: true, Device: true, Agent: true, Caller: true}

// partner is whose distinct keys are counted for a role. Those who ask for cards are
// counted the ranges of numbers that these are from, where they are known: who has a few
// cards has them from as many ranges, and who mistypes one stays near it.
func (w *writer) partner(role Role) Key {
	if whoAsks[role] {
		if k := w.event.Keys[Range]; k != 0 {
			return k
		}
	}
	if p := partner[role]; p < Roles {
		return w.event.Keys[p]
	}
	return 0
}

// logAmount is a number that grows by one when the amount doubles; 0 for none.
func logAmount(minor int64) float32 {
	if minor <= 0 {
		return 0
	}
	return float32(math.Log2(1 + float64(minor)))
}

// Learn counts what came of an event that was seen.
func (s *State) Learn(e *Event, o Outcome) {
	at := secondsOf(e.At)
	heat := uint32(knownHeat)
	if o.Missed {
		heat = 0
	}
	for role := range Roles {
		s.withTrack(e, role, keep.Touch{Now: second(at), Heat: heat}, func(t *track) { t.learn(at, o) })
	}
}

// Label counts a label that arrives, at microseconds since 1970, for an event of before.
func (s *State) Label(m *Mark, at int64, fraud bool) {
	now := secondsOf(at)
	for role := range Roles {
		s.withTrack(&m.Event, role, keep.Touch{Now: second(now), Heat: labelHeat(fraud)}, func(t *track) { t.label(now, fraud) })
	}
	for _, one := range [...]struct {
		table *keep.Table[days]
		key   Key
	}{{s.cards, m.Event.Keys[Card]}, {s.sellers, m.Event.Keys[Merchant]}} {
		if one.key == 0 || one.table == nil {
			continue
		}
		shard := one.table.Open(keep.Key(one.key))
		one.table.Touch(shard, keep.Touch{Key: keep.Key(one.key), Now: second(now), Heat: labelHeat(fraud)}).label(m, fraud)
		shard.Close()
	}
}

// labelHeat keeps what is known to be fraud, whatever comes.
func labelHeat(fraud bool) uint32 {
	if fraud {
		return keep.Hot
	}
	return 0
}

func (s *State) withTrack(e *Event, role Role, touch keep.Touch, do func(*track)) {
	if touch.Key = keep.Key(e.Keys[role]); touch.Key == 0 || s.tracks[role] == nil {
		return
	}
	shard := s.tracks[role].Open(touch.Key)
	defer shard.Close()
	do(s.tracks[role].Touch(shard, touch))
}

// amounts is how all amounts are spread: counts by the logarithm, halved now and then.
type amounts struct {
	mu    sync.Mutex
	cells [amountCells]float64
	total float64
}

const (
	perDoubling = 8
	amountCells = 64 * perDoubling
	// amountsKept is after how many amounts the counts are halved.
	amountsKept = 1 << 20
)

func amountCell(minor int64) int {
	return int(logAmount(minor) * perDoubling)
}

func (a *amounts) add(minor int64) {
	if minor <= 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.cells[amountCell(minor)]++
	if a.total++; a.total >= amountsKept {
		a.total = 0
		for i := range a.cells {
			a.cells[i] /= 2
			a.total += a.cells[i]
		}
	}
}

// rank is the share of amounts that are less.
func (a *amounts) rank(minor int64) float32 {
	if minor <= 0 {
		return unknown
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	below := 0.0
	for _, n := range a.cells[:amountCell(minor)] {
		below += n
	}
	return float32(below / max(a.total, 1))
}
