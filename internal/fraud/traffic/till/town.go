package till

import (
	"math"

	"github.com/scripcards/scrip/internal/fraud/draw"
	"github.com/scripcards/scrip/internal/ledger"
)

// trade is a sort of merchant: what a payment there usually comes to, in cents, and how
// that is spread; how many merchants there are of it.
type trade struct {
	mcc    string
	cents  float64
	spread float64
	weight int
	remote bool
}

var trades = [...]trade{
	{"5411", 2800, 0.7, 16, false}, {"5812", 2600, 0.6, 14, false}, {"5814", 950, 0.5, 12, false}, {"5541", 4500, 0.4, 8, false},
	{"4111", 280, 0.4, 4, false}, {"4121", 1700, 0.5, 5, false}, {"7523", 380, 0.6, 4, false}, {"5912", 1500, 0.7, 6, false},
	{"5651", 5500, 0.7, 8, false}, {"5732", 14_000, 0.9, 4, false}, {"5712", 20_000, 0.8, 3, false}, {"7011", 17_000, 0.6, 5, false},
	{"5999", 3000, 0.9, 7, false}, {"7230", 4000, 0.4, 4, false},
	{"5968", 1200, 0.4, 6, true}, {"5815", 700, 0.6, 5, true}, {"5816", 1500, 0.7, 5, true}, {"5311", 4200, 0.8, 9, true},
	{"5734", 5000, 0.8, 4, true}, {"4511", 26_000, 0.6, 3, true}, {"4816", 2500, 0.6, 4, true}, {"8398", 1500, 0.9, 3, true},
	{"5947", 5000, 0.6, 3, true}, {"6051", 9000, 0.7, 2, true}, {"5964", 3200, 0.8, 6, true},
}

// advertising is where media buyers pay; it has few merchants.
var advertising = trade{"7311", 9000, 0.8, 0, true}

// countries are the places, the first ones home to most.
var countries = [...]string{"US", "GB", "DE", "FR", "ES", "NL", "IT", "PL", "BR", "JP", "TH", "TR"}

// merchant is who is paid.
type merchant struct {
	trade     trade
	country   int
	terminals int
	// downFrom and downTo are when its payments fail, whoever pays.
	downFrom, downTo float64
}

func (m *merchant) down(at float64) bool { return at >= m.downFrom && at < m.downTo }

// card is one card and how its holder shops.
type card struct {
	book   ledger.BookID
	home   int
	level  float64 // how much it spends, as a multiple of what is usual
	perDay float64
	remote float64 // share of payments online
	born   float64 // seconds since the start
	places []int32 // merchants that it pays again and again
}

// town is cards and merchants. Of the cards the first are in use by somebody; behind them
// are those that only lie in drawers, which thieves have too.
type town struct {
	draw      *draw.Source
	cards     []card
	used      int
	merchants []merchant
	shops     [len(countries)][]int32 // with a till, by country
	online    []int32
	adverts   []int32
	books     int
}

const (
	merchantCount = 1400
	cardCount     = 1500 // in use, at Size 1
	drawerCount   = 900
	advertCount   = 3
)

func newTown(d *draw.Source, size float64) *town {
	t := &town{draw: d}
	var weights []int
	for i := range trades {
		for range trades[i].weight {
			weights = append(weights, i)
		}
	}
	for range merchantCount {
		t.open(trades[weights[d.Int(len(weights))]])
	}
	for range advertCount {
		t.adverts = append(t.adverts, t.open(advertising))
	}
	t.used = max(int(cardCount*size), 30)
	for range t.used + drawerCount {
		t.issue()
	}
	return t
}

// place is a country, the first ones more often.
func (t *town) place() int { return int(float64(len(countries)) * t.draw.Unit() * t.draw.Unit()) }

func (t *town) open(kind trade) int32 {
	d, n := t.draw, int32(len(t.merchants))
	m := merchant{trade: kind, country: t.place(), terminals: 1}
	if kind.remote {
		t.online = append(t.online, n)
	} else {
		m.terminals = 1 + d.Poisson(1.5)
		t.shops[m.country] = append(t.shops[m.country], n)
	}
	t.merchants = append(t.merchants, m)
	return n
}

// issue makes a card of a customer: most have one or two, some very many.
func (t *town) issue() int32 {
	d := t.draw
	if t.books == 0 || d.Chance(0.3) {
		t.books++
	}
	owner := 1 + int(float64(t.books)*d.Unit()*d.Unit())
	if d.Chance(0.5) {
		owner = t.books
	}
	c := card{book: customer(owner), home: t.place(), level: math.Exp(0.6 * d.Normal()), perDay: 0.3 + d.Pause(2.4), remote: d.Between(0.05, 0.8)}
	if d.Chance(0.3) {
		c.born = d.Between(0, 30) * day
	}
	for len(t.shops[c.home]) == 0 {
		c.home = t.place()
	}
	for range 3 + d.Int(5) {
		c.places = append(c.places, t.shop(c.home))
	}
	for range 1 + d.Int(4) {
		c.places = append(c.places, t.web())
	}
	t.cards = append(t.cards, c)
	return int32(len(t.cards) - 1)
}

// shop returns a merchant with a till in a country: some have most of the customers.
func (t *town) shop(country int) int32 { return popular(t.draw, t.shops[country]) }

// web returns a merchant online.
func (t *town) web() int32 { return popular(t.draw, t.online) }

func popular(d *draw.Source, all []int32) int32 {
	return all[int(float64(len(all))*d.Unit()*d.Unit())]
}

// webOf returns a merchant online of one of some categories.
func (t *town) webOf(categories ...string) int32 {
	for {
		m := t.online[t.draw.Int(len(t.online))]
		for _, mcc := range categories {
			if t.merchants[m].trade.mcc == mcc {
				return m
			}
		}
	}
}

// somebody returns a card that is in use, or one in three times out of a drawer.
func (t *town) somebody() int32 {
	if t.draw.Chance(0.33) {
		return int32(t.used + t.draw.Int(drawerCount))
	}
	return t.victim()
}

// victim returns a card that is in use.
func (t *town) victim() int32 { return int32(t.draw.Int(t.used)) }

// cents is what a payment of a card at a merchant comes to.
func (t *town) cents(card, merchant int32) int64 {
	kind := &t.merchants[merchant].trade
	return int64(kind.cents * math.Sqrt(t.cards[card].level) * math.Exp(kind.spread*t.draw.Normal()))
}
