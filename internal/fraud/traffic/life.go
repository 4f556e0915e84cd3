package traffic

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/fraud"
	"github.com/scripcards/scrip/internal/fraud/draw"
)

// News is one activation or reload that the engine hears of.
type News struct {
	At     int64 // microseconds since 1970
	Reload bool
	serial uint64
}

// Event returns news as the engine hears them.
func (n *News) Event() fraud.Event {
	e := fraud.Event{Kind: fraud.Activation, At: time.UnixMicro(n.At), Realm: realm.Live, Network: "scrip"}
	if n.Reload {
		e.Kind = fraud.Reload
	}
	name(&e, n.serial)
	return e
}

// Two ranges in five are the installation's own, and nobody tells it of the others' cards.
// Some of its own came from elsewhere: of those it only knows what was sold since.
const (
	movedShare = 0.4
	// sold is how long ago cards in use were sold at most.
	sold = 500 * day
)

// clerk says when cards were sold and reloaded. It draws for itself, so that what is asked
// does not depend on it.
type clerk struct {
	draw *draw.Source
	seed uint64
	// own are ranges of the installation, by number; moved are those that came from elsewhere.
	own, moved map[uint64]bool
	batch      map[uint64]uint64 // how many numbers of a range are sold at once
	born       map[uint64]float64
	missed     map[uint64]float64 // when somebody was told last that there is no such card
	end        float64
	news       []News
}

// live makes the news behind asks: of a card that somebody asks for, from before he does.
func (g *maker) live() []News {
	k := &clerk{draw: draw.New(g.config.Seed + sales), seed: g.config.Seed, own: map[uint64]bool{}, moved: map[uint64]bool{}, batch: map[uint64]uint64{}, born: map[uint64]float64{}, missed: map[uint64]float64{},
		end: float64(g.config.Days) * day}
	ranges := slices.Clone(g.city.ranges)
	for i := range uint64(freshRanges) {
		ranges = append(ranges, firstSerial+rangeSize*(rangeCount+i))
	}
	for i, first := range ranges {
		r := first / rangeSize
		k.own[r], k.moved[r] = i%5 == 1 || i%5 == 3, k.draw.Chance(movedShare)
		k.batch[r] = [...]uint64{1, 1, 10, 50, 100}[k.draw.Int(5)]
	}
	for i := range g.stream.Asks {
		k.asked(g.stream, i)
	}
	for _, serial := range g.city.cards {
		if k.owns(serial) && k.born[serial] == 0 {
			k.sell(serial, k.longAgo(serial, k.end))
		}
	}
	slices.SortFunc(k.news, func(a, b News) int {
		return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.serial, b.serial))
	})
	return k.news
}

// sales tells the numbers that sales are drawn by from those of the same seed.
const sales = 1 << 41

func (k *clerk) owns(serial uint64) bool { return k.own[serial/rangeSize] }

// asked sells a card before it is asked for the first time, and perhaps reloads it before
// it is asked for now.
func (k *clerk) asked(s *Stream, i int) {
	ask := &s.Asks[i]
	if !k.owns(ask.serial) {
		return
	}
	at, who := float64(ask.At-start)/1e6, &s.Actors[ask.Actor]
	if !ask.Exists {
		k.missed[ask.serial] = at
		return
	}
	if k.born[ask.serial] == 0 {
		sold := k.soldBefore(ask.serial, at, who)
		if missed, ok := k.missed[ask.serial]; ok {
			sold = max(sold, (missed+at)/2)
		}
		k.sell(ask.serial, sold)
	}
	chance, ago := reloadBefore(who.Group)
	if when := at - k.draw.Between(ago/20, ago); k.draw.Chance(chance) && when > k.born[ask.serial] {
		k.tell(ask.serial, when, true)
	}
}

// reloadBefore is how often a card was reloaded shortly before an ask, and how long before
// at most: tills print the new balance, and cardholders look whether it arrived.
func reloadBefore(g Group) (chance, ago float64) {
	switch g {
	case Gateway:
		return 0.08, 2 * minute
	case Cardholder, Newcomer:
		return 0.04, 5 * hour
	case CallCentre, SupportDesk:
		return 0.03, 2 * day
	case BulkBuyer, Attack:
	}
	return 0, 1
}

// soldBefore is when a card was sold that is asked for the first time now. New cards are
// looked at; lists that leak are of what was sold lately, some of it.
func (k *clerk) soldBefore(serial uint64, at float64, who *Actor) float64 {
	if who.Group == BulkBuyer && serial >= firstSerial+rangeSize*rangeCount {
		// A batch is sold at once, and looked at when it is there.
		if before := k.born[serial-1]; before != 0 && before < at-minute && at-before < 4*day {
			return before + 0.02
		}
		return at - k.draw.Between(10*minute, 3*day)
	}
	fresh := 0.0
	switch who.Group {
	case Cardholder:
		fresh = 0.3
	case SupportDesk:
		fresh = 0.2
	case CallCentre, Newcomer:
		fresh = 0.15
	case Gateway, BulkBuyer:
		fresh = 0.1
	case Attack:
		fresh = 0.02
		if who.Family == Leaked || who.Family == LeakedWide {
			fresh = 0.12
		}
	}
	if k.draw.Chance(fresh) {
		return at - min(5*hour*math.Exp(1.5*k.draw.Normal()), 30*day)
	}
	return k.longAgo(serial, at)
}

// longAgo is when a card was sold that was not there for its sale: with others of its
// batch, if they can have been.
func (k *clerk) longAgo(serial uint64, at float64) float64 {
	if size := k.batch[serial/rangeSize]; size > 1 {
		together := k.end - sold*draw.New(serial/size+k.seed).Unit()
		if together < at-hour {
			return together + float64(serial%size)
		}
	}
	return at - minute - k.draw.Between(0, sold)
}

// sell has a card sold, and some of them reloaded now and then.
func (k *clerk) sell(serial uint64, at float64) {
	k.born[serial] = at
	k.tell(serial, at, false)
	if !k.draw.Chance(0.2) {
		return
	}
	every := k.draw.Between(10, 60) * day
	for at += k.draw.Pause(every); at < k.end; at += k.draw.Pause(every) {
		k.tell(serial, at, true)
	}
}

func (k *clerk) tell(serial uint64, at float64, reload bool) {
	if at < 0 && k.moved[serial/rangeSize] {
		return
	}
	k.news = append(k.news, News{At: start + int64(at*1e6), Reload: reload, serial: serial})
}
