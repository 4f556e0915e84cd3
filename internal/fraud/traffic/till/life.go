package till

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/fraud"
	"github.com/scripcards/scrip/internal/fraud/draw"
)

// News is one activation or funding of a card that the engine hears of.
type News struct {
	At     int64 // microseconds since 1970
	Card   int32
	Reload bool
}

// Event returns news as the engine hears them.
func (n *News) Event(s *Stream) fraud.Event {
	e := fraud.Event{Kind: fraud.Activation, At: time.UnixMicro(n.At), Realm: realm.Live, Book: s.town.cards[n.Card].book, Payer: hash('c', uint64(n.Card))}
	if n.Reload {
		e.Kind = fraud.Reload
	}
	return e
}

const (
	// heardShare is of how many cards that are older than the stream the engine heard.
	heardShare = 0.6
	// oldest is how long ago cards were made at most.
	oldest = 700 * day
)

// bank says when cards were made and funded. It draws for itself, so that what is paid
// does not depend on it.
type bank struct {
	draw *draw.Source
	town *town
	// made is the first card that was made for one purpose.
	made int32
	news []News
	end  float64
	born map[int32]float64
}

// live makes the news behind payments: of a card that pays, from before it does.
func (g *maker) live() []News {
	b := &bank{draw: draw.New(g.config.Seed + making), town: g.town, made: int32(g.town.used + drawerCount), end: float64(g.config.Days) * day, born: map[int32]float64{}}
	for i := range g.payments {
		p := &g.payments[i]
		at := float64(p.At-start) / 1e6
		if _, known := b.born[p.Card]; !known {
			b.make(p.Card, at)
		}
		b.fund(p, at)
	}
	slices.SortFunc(b.news, func(a, b News) int { return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Card, b.Card)) })
	return b.news
}

// making tells the numbers that the lives of cards are drawn by from those of the same seed.
const making = 1 << 42

// make has a card made before it pays for the first time: those of one purpose for that,
// others when their holder got them, or long ago. Some are funded now and then.
func (b *bank) make(card int32, first float64) {
	d, heard := b.draw, true
	born := b.town.cards[card].born
	switch {
	case card >= b.made:
		born = first - min(20*minute*math.Exp(1.2*d.Normal()), 2*day)
	case born == 0 || born >= first:
		born = min(first-minute, 0) - d.Between(0, oldest)
		heard = d.Chance(heardShare)
	}
	b.born[card] = born
	if heard {
		b.tell(News{Card: card}, born)
	}
	if card >= b.made && !d.Chance(0.1) {
		return
	}
	every := d.Between(5, 40) * day
	for at := max(born, -60*day) + d.Pause(every); at < b.end; at += d.Pause(every) {
		b.tell(News{Card: card, Reload: true}, at)
	}
}

// fund puts money on a card before some of its payments; whoever took an account over has
// its wallet too.
func (b *bank) fund(p *Payment, at float64) {
	chance := 0.0
	switch {
	case p.Family == Takeover:
		chance = 0.1
	case p.Family == "":
		chance = 0.03
	}
	if when := at - b.draw.Between(minute, hour); b.draw.Chance(chance) && when > b.born[p.Card] {
		b.tell(News{Card: p.Card, Reload: true}, when)
	}
}

func (b *bank) tell(n News, at float64) {
	n.At = start + int64(at*1e6)
	b.news = append(b.news, n)
}
