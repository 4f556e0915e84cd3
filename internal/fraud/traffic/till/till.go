// Package till makes up payments with cards: people who shop, travel, go on sprees and
// get declined, buyers of advertisements, sales and outages at merchants, and frauds of
// many families. It is what the shipped model of payments learned from.
//
// It promises the same payments for the same seed. Some families are kept out of
// training, to measure what the engine makes of frauds that it never saw. What it makes
// up says nothing of how much fraud there is anywhere.
package till

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"github.com/scripcards/scrip/internal/core/money"
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
	// Families strike so many times each, those of one card several times as often.
	Families  []Family
	Campaigns int
	// Size is how much honest trade there is: 1 is some four thousand payments a day.
	Size float64
}

// Group is an honest sort of payment.
type Group string

// The groups.
const (
	Everyday   Group = "everyday"
	Traveller  Group = "traveller"
	Spree      Group = "spree"
	NewCard    Group = "new card"
	MediaBuyer Group = "media buyer"
	Crowd      Group = "sale or drive"
)

// Groups returns all of them.
func Groups() []Group { return []Group{Everyday, Traveller, Spree, NewCard, MediaBuyer, Crowd} }

// Payment is one payment with what nobody knows when it is made.
type Payment struct {
	At             int64 // microseconds since 1970
	Card, Merchant int32
	Terminal       int32
	Cents          int64
	// Remote says that the card was not there.
	Remote bool
	// Approved and WrongCVC are what came of it.
	Approved, WrongCVC bool
	Group              Group  // of an honest one
	Family             Family // of a fraud
}

// Stream is payments, and news of cards, each in the order of time.
type Stream struct {
	Payments []Payment
	News     []News
	town     *town
}

// Fraud reports whether a payment is one.
func (s *Stream) Fraud(i int) bool { return s.Payments[i].Family != "" }

// Event returns a payment as the engine sees it, and what came of it.
func (s *Stream) Event(i int) (fraud.Event, fraud.Outcome) {
	p := &s.Payments[i]
	at, book := &s.town.merchants[p.Merchant], s.town.cards[p.Card].book
	e := fraud.Event{Kind: fraud.Authorization, At: time.UnixMicro(p.At), Realm: realm.Live, Book: book,
		Card: hash('c', uint64(p.Card)), Merchant: hash('m', uint64(p.Merchant)), Device: hash('d', uint64(p.Merchant)<<8|uint64(p.Terminal)),
		Country: countries[at.country], Category: at.trade.mcc, Remote: p.Remote, Amount: money.New(p.Cents, money.USD)}
	return e, fraud.Outcome{Found: p.Approved, WrongPIN: p.WrongCVC}
}

// hash spreads a number; nobody is to be fooled here.
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
	g := &maker{draw: d, town: newTown(d, c.Size), config: c}
	g.honest()
	for _, family := range c.Families {
		for range c.Campaigns * family.times() {
			g.strike(family)
		}
	}
	slices.SortStableFunc(g.payments, func(a, b Payment) int { return cmp.Compare(a.At, b.At) })
	return &Stream{Payments: g.payments, News: g.live(), town: g.town}
}

// maker makes a stream.
type maker struct {
	draw     *draw.Source
	town     *town
	config   Config
	payments []Payment
}

// try is one payment to be, in seconds since the start.
type try struct {
	at             float64
	card, merchant int32
	cents          int64
	declined       float64 // how likely, for want of money and the like
	wrongCVC       float64 // how likely, where the card is not there
	group          Group
	family         Family
}

// pay makes a payment, and reports whether it was approved.
func (g *maker) pay(t try) bool {
	if t.at < 0 || t.at >= float64(g.config.Days)*day {
		return false
	}
	m := &g.town.merchants[t.merchant]
	p := Payment{At: start + int64(t.at*1e6), Card: t.card, Merchant: t.merchant, Terminal: int32(g.draw.Int(m.terminals)), Cents: max(t.cents, 1),
		Remote: m.trade.remote, Group: t.group, Family: t.family}
	p.WrongCVC = p.Remote && g.draw.Chance(t.wrongCVC)
	p.Approved = !p.WrongCVC && !g.draw.Chance(t.declined) && !(m.down(t.at) && g.draw.Chance(0.8))
	g.payments = append(g.payments, p)
	return p.Approved
}

// customer names a book.
func customer(n int) ledger.BookID { return ledger.BookID("book_" + strconv.Itoa(n)) }
