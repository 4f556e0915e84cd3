package traffic

import (
	"net/netip"
	"strconv"

	"github.com/scripcards/scrip/internal/ledger"
)

// honest makes everybody who means well.
func (g *maker) honest() {
	for i := range 3 {
		g.desk(CallCentre, i, desk{perDay: 1500, mistyped: 0.08, wrongPIN: 0.05, addresses: 1 + i})
	}
	for i := range 6 {
		g.desk(SupportDesk, i, desk{perDay: 60, mistyped: 0.15, wrongPIN: 0.12, addresses: 1})
	}
	for i := range 5 {
		g.gateway(i)
	}
	for i := range 6 {
		g.bulk(i)
	}
	for i := range portals {
		g.portal(i)
	}
	for range int(float64(newcomersADay*g.config.Days) * g.config.Size) {
		g.newcomer()
	}
}

// own returns a caller with a book and a key of its own.
func (g *maker) own(group Group) Actor {
	g.made++
	n := strconv.Itoa(g.made)
	return Actor{Group: group, book: ledger.BookID("book_" + n), caller: "key_" + n}
}

// office is an address of a business.
func (g *maker) office() netip.Addr {
	return four(80+g.draw.Int(10), g.draw.Int(256), g.draw.Int(256), 1+g.draw.Int(254))
}

func four(a, b, c, d int) netip.Addr {
	return netip.AddrFrom4([4]byte{byte(a), byte(b), byte(c), byte(d)})
}

// home is an address of a household or a telephone; one in twenty is shared by very many,
// and some hide behind what thieves hide behind.
func (g *maker) home() netip.Addr {
	d := g.draw
	switch {
	case d.Chance(0.05):
		return four(100, 64, d.Int(4), 1+d.Int(30))
	case d.Chance(0.03):
		return four(45, 90, d.Int(256), 1+d.Int(254))
	case d.Chance(0.03):
		return g.rented()
	case d.Chance(0.2):
		return netip.AddrFrom16([16]byte{0x2a, 2, byte(d.Int(8)), byte(d.Int(256)), byte(d.Int(256)), byte(d.Int(256)), 0, byte(d.Int(256)), 15: 1})
	}
	return g.household()
}

// household is an address of one of the operators that people have at home: few of them
// have most.
func (g *maker) household() netip.Addr {
	d := g.draw
	operator := int(400 * d.Unit() * d.Unit() * d.Unit())
	return four(20+operator%20, operator/20, d.Int(256), 1+d.Int(254))
}

// rented is an address in a data centre.
func (g *maker) rented() netip.Addr {
	d := g.draw
	return four(140+d.Int(40), d.Int(256), d.Int(256), 1+d.Int(254))
}

// desk is people who look cards up for those who call.
type desk struct {
	perDay             float64
	mistyped, wrongPIN float64
	addresses          int
}

func (g *maker) desk(group Group, i int, k desk) {
	a, w := g.own(group), g.wardrobe
	a.as = w.library()
	looks := []guise{a.as}
	if group == SupportDesk && i%2 == 1 { // who looks cards up in a browser
		looks = []guise{w.browser(0, 0), w.browser(0, 0), w.browser(0, 0)}
	}
	who := g.actor(a)
	var from []netip.Addr
	for range k.addresses {
		from = append(from, g.office())
	}
	open, hours := 7+float64(i), 10.0
	every := hours * hour / (k.perDay * g.config.Size)
	for d := range g.config.Days {
		end := (float64(d)*24 + open + hours) * hour
		for at := (float64(d)*24+open)*hour + g.draw.Pause(every); at < end; at += g.draw.Pause(every) {
			at = g.lookUp(who, try{at: at, serial: g.city.one(), from: from[g.draw.Int(len(from))], as: looks[w.draw.Int(len(looks))]}, k.mistyped, k.wrongPIN)
		}
	}
}

// lookUp asks for a card, and again after what went wrong. It returns when that was over.
func (g *maker) lookUp(who int32, t try, mistyped, wrongPIN float64) float64 {
	right := t.serial
	for range 3 {
		t.serial, t.pin = right, true
		switch dice := g.draw.Unit(); {
		case dice < mistyped:
			t.serial = g.city.mistype(right)
		case dice < mistyped+wrongPIN:
			t.pin = false
		}
		g.ask(who, t)
		if t.pin && t.serial == right {
			break
		}
		if g.draw.Chance(0.15) { // who gives up
			break
		}
		t.at += 4 + g.draw.Pause(15)
	}
	return t.at
}

// gateway is a shop whose till asks for its customers' cards.
func (g *maker) gateway(i int) {
	who, from := g.actor(g.own(Gateway)), g.office()
	as, renewed, renewal := g.wardrobe.library(), g.wardrobe.library(), g.wardrobe.draw.Between(0, float64(4*g.config.Days)*day)
	regulars := make([]uint64, 200)
	for k := range regulars {
		regulars[k] = g.city.one()
	}
	every := 24 * hour / (g.config.Size * [...]float64{2000, 1200, 600, 200, 60}[i])
	end := float64(g.config.Days) * day
	for at := g.draw.Pause(every); at < end; at += g.draw.Pause(every * wakeful(at)) {
		card := g.city.one()
		if g.draw.Chance(0.3) {
			card = regulars[g.draw.Int(len(regulars))]
		}
		if at > renewal {
			as = renewed
		}
		g.lookUp(who, try{at: at, serial: card, from: from, as: as}, 0.1, 0.06)
	}
}

// wakeful stretches pauses at night.
func wakeful(at float64) float64 {
	if h := at - float64(int(at/day))*day; h < 7*hour || h > 23*hour {
		return 6
	}
	return 0.8
}

// bulk is a buyer who checks batches: most fresh, number after number, some bought from
// others, of which not all are good.
func (g *maker) bulk(i int) {
	who, from, as := g.actor(g.own(BulkBuyer)), g.office(), g.wardrobe.library()
	for d := range g.config.Days {
		if !g.draw.Chance(0.7) {
			continue
		}
		at := (float64(d)*24 + g.draw.Between(8, 18)) * hour
		size := int(g.config.Size * g.draw.Between(100, 600))
		pace := g.draw.Between(0.5, 4)
		second := i%3 == 2 // hand
		first := g.city.batch(max(size, 10))
		for k := range max(size, 10) {
			t := try{at: at, serial: first + uint64(k), pin: true, from: from, as: as}
			if second {
				t.serial = g.city.one()
				t.pin = !g.draw.Chance(0.06)
			}
			if g.draw.Chance(0.02) {
				t.serial = g.city.mistype(t.serial)
			}
			g.ask(who, t)
			at += 0.2 + g.draw.Pause(pace)
		}
	}
}

// newcomersADay is how many callers begin on a day.
const newcomersADay = 30

// newcomer is a caller of whom nothing is known: a shop's first cards, or somebody who
// writes a program and asks for the same card again and again.
func (g *maker) newcomer() {
	d := g.draw
	who, from, as := g.actor(g.own(Newcomer)), g.office(), g.wardrobe.library()
	if d.Chance(0.4) {
		from = g.household()
	} else if d.Chance(0.3) {
		from = g.rented()
	}
	at, every := d.Between(0, float64(g.config.Days)*day), d.Between(2, 30*minute)
	same, card := d.Chance(0.4), g.city.one()
	if g.wardrobe.draw.Chance(0.15) {
		as = g.wardrobe.browser(at, 0)
	}
	for range 1 + d.Int(25) {
		if !same {
			card = g.city.one()
		}
		at = g.lookUp(who, try{at: at, serial: card, from: from, as: as}, 0.08, 0.06) + d.Pause(every)
	}
}

// portals are how many cardholders come to each on a day.
var portals = [...]float64{600, 400, 300, 200, 150, 100, 80, 60, 40, 30}

// portal is a public page with its cardholders, some of whom come again.
func (g *maker) portal(i int) {
	a := g.own(Cardholder)
	a.caller, a.public, a.language = "portal_"+strconv.Itoa(i), true, i%3
	who := g.actor(a)
	g.entrances = append(g.entrances, who)
	every := 24 * hour / (g.config.Size * portals[i])
	end := float64(g.config.Days) * day
	for at := g.draw.Pause(every); at < end; at += g.draw.Pause(every * wakeful(at)) {
		from, as := g.home(), g.wardrobe.browser(at, a.language)
		if g.wardrobe.draw.Chance(0.01) { // who had a program written
			as = g.wardrobe.library()
		}
		for range 1 + g.draw.Poisson(0.25) { // cards in the drawer
			card, last := g.city.one(), at
			for range 1 + g.draw.Poisson(0.4) {
				last = g.lookUp(who, try{at: last, serial: card, from: from, as: as}, 0.12, 0.1) + g.draw.Pause([...]float64{60, hour, 2 * day}[g.draw.Int(3)])
			}
		}
	}
}
