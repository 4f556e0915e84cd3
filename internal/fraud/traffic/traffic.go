// Package traffic makes up balance checks of a platform: honest callers of every sort,
// among them those who ask much, and attacks of many families, told apart by nothing
// but what they do. It is what the shipped model learned from.
//
// It promises the same asks for the same seed. Some families are kept out of training,
// to measure what the engine makes of attacks that it never saw. What it makes up says
// nothing of how much fraud there is anywhere.
package traffic

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/fraud"
	"github.com/scripcards/scrip/internal/fraud/draw"
	"github.com/scripcards/scrip/internal/ledger"
)

// Config says what to make up.
type Config struct {
	Seed uint64
	// Days is how long it goes on; the first of Warmup of them are honest.
	Days, Warmup int
	// Families attack so many times each.
	Families  []Family
	Campaigns int
	// Size is how much honest traffic there is: 1 is some ten thousand asks a day.
	Size float64
}

// Group is an honest sort of caller, or "attack".
type Group string

// The groups.
const (
	CallCentre  Group = "call centre"
	BulkBuyer   Group = "bulk buyer"
	Gateway     Group = "shop gateway"
	SupportDesk Group = "support desk"
	Cardholder  Group = "cardholder"
	Newcomer    Group = "newcomer"
	Attack      Group = "attack"
)

// HeavyGroups are the honest who ask much, and who must not pay for the thieves.
func HeavyGroups() []Group { return []Group{CallCentre, BulkBuyer, Gateway} }

// Actor is who asks.
type Actor struct {
	Group Group
	// Family and Dress are an attack's.
	Family Family
	Dress  Dress
	book   ledger.BookID
	caller string
	public bool
	// as is what its program says of itself, where that is always the same; a page has
	// visitors, most of whom speak its language.
	as       guise
	language int
	stolen   bool // its key
}

// Ask is one balance check with what nobody knows when it is made.
type Ask struct {
	At     int64 // microseconds since 1970
	Actor  int32
	Exists bool
	PIN    bool // right, if there is such a card
	serial uint64
	from   netip.Addr
	as     guise
}

// Stream is asks, and news of cards, each in the order of time.
type Stream struct {
	Actors []Actor
	Asks   []Ask
	News   []News
}

// Attack reports whether an ask is part of one.
func (s *Stream) Attack(i int) bool { return s.Actors[s.Asks[i].Actor].Group == Attack }

// Card names the card that was asked for.
func (s *Stream) Card(i int) uint64 { return s.Asks[i].serial }

// Event returns an ask as the engine sees it, and what came of it.
func (s *Stream) Event(i int) (fraud.Event, fraud.Outcome) {
	ask := &s.Asks[i]
	who := &s.Actors[ask.Actor]
	e := fraud.Event{Kind: fraud.Ping, At: time.UnixMicro(ask.At), Realm: realm.Live, Book: who.book, Caller: who.caller, Public: who.public,
		Address: ask.from, Network: "scrip", Agent: hash('a', uint64(ask.as.agent)), Device: hash('d', uint64(ask.as.device))}
	name(&e, ask.serial)
	return e, fraud.Outcome{Found: ask.Exists && ask.PIN, WrongPIN: ask.Exists && !ask.PIN}
}

// name gives an event the names of a number and of those around it.
func name(e *fraud.Event, n uint64) {
	e.Card, e.Before, e.After = hash('n', n), hash('n', n-1), hash('n', n+1)
	e.Block, e.Hundred, e.Range = hash('t', n/10), hash('h', n/100), hash('r', n/5000)
}

// Proxies are the networks that an operator would have listed: some of what attacks use.
func Proxies() []netip.Prefix {
	return []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{45, 90, 0, 0}), 16), netip.PrefixFrom(netip.AddrFrom4([4]byte{185, 220, 0, 0}), 16)}
}

// hash spreads a number; nobody is to be fooled here, and a hundred thousand asks are
// to be made up in a second.
func hash(kind byte, n uint64) (h fraud.Hash) {
	d := draw.New(n<<8 | uint64(kind))
	for i := range 8 {
		h[i] = byte(d.Below(256))
	}
	return h
}

// start is when it begins, in microseconds since 1970: Monday, 2 March 2026.
const start = 1_772_409_600_000_000

const (
	minute = 60.0
	hour   = 60 * minute
	day    = 24 * hour
)

// Generate makes a stream.
func Generate(c Config) *Stream {
	d := draw.New(c.Seed)
	g := &maker{draw: d, city: newCity(d), stream: &Stream{}, config: c, wardrobe: &wardrobe{draw: draw.New(c.Seed + dressed)}}
	g.wardrobe.rollout = g.wardrobe.draw.Between(-spreading, float64(c.Days)*day)
	g.honest()
	for _, family := range c.Families {
		for range c.Campaigns {
			g.attack(family)
		}
	}
	s := g.stream
	slices.SortStableFunc(s.Asks, func(a, b Ask) int { return cmp.Compare(a.At, b.At) })
	s.News = g.live()
	return s
}

// dressed tells the numbers that guises are drawn by from those of the same seed.
const dressed = 1 << 40

// maker makes a stream.
type maker struct {
	draw     *draw.Source
	city     *city
	stream   *Stream
	config   Config
	wardrobe *wardrobe
	// entrances are the callers through which anybody can ask: portals.
	entrances []int32
	// made counts what must differ from one to the next.
	made int
}

// actor adds who asks.
func (g *maker) actor(a Actor) int32 {
	g.stream.Actors = append(g.stream.Actors, a)
	return int32(len(g.stream.Actors) - 1)
}

// try is one ask to be: when in seconds since the start, for which number, from where, and
// as what.
type try struct {
	at     float64
	serial uint64
	pin    bool
	from   netip.Addr
	as     guise
}

func (g *maker) ask(who int32, t try) {
	if t.at >= float64(g.config.Days)*day {
		return
	}
	g.stream.Asks = append(g.stream.Asks, Ask{At: start + int64(t.at*1e6), Actor: who, Exists: g.city.exists(t.serial), PIN: t.pin,
		serial: t.serial, from: t.from, as: t.as})
}
