package traffic

import (
	"net/netip"
)

// Family is a way of attacking.
type Family string

// The families that are trained on.
const (
	Sequential Family = "sequential"        // number after number from one place
	Random     Family = "random in BIN"     // from one network
	Slow       Family = "slow"              // an ask now and then, for days, from one place
	Botnet     Family = "botnet"            // numbers at random from very many places, fast
	Sweep      Family = "botnet sweep"      // number after number, each from elsewhere
	Leaked     Family = "leaked list"       // numbers of which most exist
	PINs       Family = "PIN guessing"      // many PINs for one card after the other
	Probe      Family = "distributed probe" // at random, from many places, over a day
)

// The families that are kept out of training.
const (
	Stride     Family = "stride"           // every so many'th number
	LowAndSlow Family = "low and slow"     // each place asks once or thrice, for days
	HumanHours Family = "human hours"      // typed by people, with breaks and nights
	LeakedWide Family = "leaked list, far" // a list, each card from elsewhere
	Camouflage Family = "camouflage"       // as many asks for a good card as guesses
	Spray      Family = "PIN spraying"     // one PIN for each of many cards
	Shuffled   Family = "shuffled blocks"  // a hundred after the other, in disorder, through proxies
)

// Known returns the families that are trained on, Unseen those that are not.
func Known() []Family { return []Family{Sequential, Random, Slow, Botnet, Sweep, Leaked, PINs, Probe} }

// Unseen returns the families that are kept out of training.
func Unseen() []Family {
	return []Family{Stride, LowAndSlow, HumanHours, LeakedWide, Camouflage, Spray, Shuffled}
}

// campaign is one attack.
type campaign struct {
	who   int32
	at    float64
	every float64 // mean pause
	asks  int
	from  func(i int) netip.Addr
	next  func(i int) (serial uint64, pin bool)
	as    disguise
	// hours: from nine to six alone, with breaks.
	hours bool
}

// attack makes one campaign of a family.
func (g *maker) attack(f Family) {
	d := g.draw
	room := float64(g.config.Days-g.config.Warmup) * day
	c := campaign{who: g.intruder(f), at: float64(g.config.Warmup)*day + d.Between(0, room*0.8), next: g.targets(f)}
	g.pace(f, &c)
	c.as = g.disguise(f, &g.stream.Actors[c.who])
	for i := range c.asks {
		serial, pin := c.next(i)
		from := c.from(i)
		g.ask(c.who, try{at: c.at, serial: serial, pin: pin, from: from, as: c.as(c.at, from)})
		c.at += d.Pause(c.every)
		if c.hours {
			c.at = g.working(c.at)
		}
	}
}

// intruder is how an attack comes in: mostly by a public page, else with a key.
func (g *maker) intruder(f Family) int32 {
	if f != Camouflage && g.draw.Chance(0.6) {
		a := g.stream.Actors[g.entrances[g.draw.Int(len(g.entrances))]]
		a.Group, a.Family = Attack, f
		return g.actor(a)
	}
	a := g.own(Attack)
	a.Family = f
	if g.draw.Chance(0.3) { // a customer of an honest book lost its key
		honest := g.stream.Actors[g.draw.Int(3)]
		a.book, a.caller, a.as, a.stolen = honest.book, honest.caller, honest.as, true
	}
	return g.actor(a)
}

// pace says how fast an attack is, how long and from where.
func (g *maker) pace(f Family, c *campaign) {
	d := g.draw
	switch f {
	case Sequential, Random, Leaked, Stride, Spray:
		c.asks, c.every, c.from = 150+d.Int(350), d.Between(1, 40), g.places(1+d.Int(4))
	case Slow:
		c.asks, c.every, c.from = 80+d.Int(120), d.Between(3, 20)*minute, g.places(1)
	case Botnet, Sweep:
		c.asks, c.every, c.from = 400+d.Int(500), d.Between(1, 10), g.botnet(30+d.Int(150))
	case PINs:
		c.asks, c.every, c.from = 150+d.Int(250), d.Between(2, 60), g.places(1+d.Int(20))
	case Probe:
		c.asks, c.every, c.from = 300+d.Int(300), d.Between(60, 240), g.botnet(60+d.Int(100))
	case LowAndSlow:
		c.asks, c.every, c.from = 400+d.Int(400), d.Between(60, 300), g.botnet(300+d.Int(300))
	case HumanHours:
		c.asks, c.every, c.from, c.hours = 150+d.Int(200), d.Between(20, 90), g.places(1+d.Int(3)), true
	case LeakedWide:
		c.asks, c.every, c.from = 200+d.Int(300), d.Between(5, 60), g.botnet(50+d.Int(100))
	case Camouflage:
		c.asks, c.every, c.from = 200+d.Int(300), d.Between(5, 60), g.places(1)
	case Shuffled:
		c.asks, c.every, c.from = 300+d.Int(300), d.Between(3, 30), g.botnet(200+d.Int(300))
	}
}

// places are a few addresses next to one another, or one.
func (g *maker) places(n int) func(int) netip.Addr {
	base := g.hideout().As4()
	return func(i int) netip.Addr {
		at := base
		at[3] = byte(1 + (int(base[3])+i*7%n)%250)
		return netip.AddrFrom4(at)
	}
}

// hideout is an address of a thief: at home, behind a listed proxy, or in a data centre.
func (g *maker) hideout() netip.Addr {
	switch g.draw.Int(4) {
	case 0:
		return g.household()
	case 1:
		return four(45, 90, g.draw.Int(256), 1+g.draw.Int(254))
	}
	return g.rented()
}

// botnet is addresses all over, used in turns: of households, of data centres or of both.
func (g *maker) botnet(n int) func(int) netip.Addr {
	d := g.draw
	households := [...]float64{0.9, 0.5, 0}[d.Int(3)]
	all := make([]netip.Addr, n)
	for i := range all {
		switch {
		case d.Chance(households):
			all[i] = g.household()
		case d.Chance(0.1):
			all[i] = g.hideout()
		default:
			all[i] = g.rented()
		}
	}
	return func(int) netip.Addr { return all[d.Int(n)] }
}

// targets says which numbers an attack asks for.
func (g *maker) targets(f Family) func(int) (uint64, bool) {
	d, c := g.draw, g.city
	first := c.near()
	switch f {
	case Sequential, Sweep:
		return func(i int) (uint64, bool) { return first + uint64(i), true }
	case Stride:
		step := 2 + d.Below(60)
		return func(i int) (uint64, bool) { return first + step*uint64(i), true }
	case Shuffled:
		step := [...]uint64{3, 7, 11, 37, 61}[d.Int(5)]
		return func(i int) (uint64, bool) {
			return first/100*100 + 100*uint64(i/100) + uint64(i)*step%100, true
		}
	case Leaked, LeakedWide:
		good, right := d.Between(0.4, 0.9), d.Between(0.3, 0.9)
		return func(int) (uint64, bool) {
			if d.Chance(good) {
				return c.one(), d.Chance(right)
			}
			return c.near(), true
		}
	case PINs:
		tries, card := 5+d.Int(60), c.one()
		return func(i int) (uint64, bool) {
			if i%tries == tries-1 {
				card = c.one()
			}
			return card, d.Chance(0.01)
		}
	case Spray:
		return func(int) (uint64, bool) { return c.one(), d.Chance(0.02) }
	case Camouflage:
		own := [...]uint64{c.one(), c.one(), c.one()}
		return func(i int) (uint64, bool) {
			if i%2 == 0 {
				return own[i/2%len(own)], true
			}
			return c.near(), true
		}
	case HumanHours:
		return func(int) (uint64, bool) { return first/1000*1000 + d.Below(1000), true }
	default:
		where := c.near
		if d.Chance(0.3) {
			where = c.anywhere
		}
		return func(int) (uint64, bool) { return where(), true }
	}
}

// working moves a time to when people are at their desks, with a break now and then.
func (g *maker) working(at float64) float64 {
	if g.draw.Chance(0.02) {
		at += g.draw.Between(10, 60) * minute
	}
	midnight := float64(int(at/day)) * day
	switch {
	case at < midnight+9*hour:
		return midnight + 9*hour + g.draw.Between(0, 20)*minute
	case at > midnight+18*hour:
		return midnight + day + 9*hour + g.draw.Between(0, 20)*minute
	}
	return at
}
