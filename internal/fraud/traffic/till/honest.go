package till

// How often honest payments fail: for want of money and the like, and since the code was
// mistyped.
const (
	shortOfMoney = 0.025
	mistyped     = 0.012
)

// honest makes everybody who means well, and what happens at merchants.
func (g *maker) honest() {
	g.outages()
	for n := range g.town.used {
		g.holder(int32(n))
	}
	for range int(float64(14) * max(g.config.Size, 0.2)) {
		g.mediaBuyer()
	}
	for range int(float64(20*g.config.Days) * g.config.Size) {
		g.single()
	}
	for range max(g.config.Days/5, 1) {
		g.crowd()
	}
}

// outages are hours in which nobody can pay a merchant that many pay.
func (g *maker) outages() {
	for range max(g.config.Days/2, 1) {
		m := &g.town.merchants[g.town.web()]
		m.downFrom = g.draw.Between(0, float64(g.config.Days)) * day
		m.downTo = m.downFrom + g.draw.Between(15, 120)*minute
	}
}

// trip is when a card's holder is elsewhere.
type trip struct {
	from, to float64
	country  int
}

// holder is one card's life.
func (g *maker) holder(n int32) {
	d, c := g.draw, &g.town.cards[n]
	end := float64(g.config.Days) * day
	var away trip
	if d.Chance(0.3) {
		away.from = d.Between(0, end)
		away.to, away.country = away.from+d.Between(2, 12)*day, g.town.place()
		if len(g.town.shops[away.country]) == 0 {
			away = trip{}
		}
	}
	for at := c.born + d.Pause(day/c.perDay); at < end; at += d.Pause(day / c.perDay) {
		at = daytime(g, at)
		t := try{at: at, card: n, group: Everyday, declined: shortOfMoney, wrongCVC: mistyped}
		if at < c.born+5*day && c.born > 0 {
			t.group = NewCard
		}
		t.merchant = g.choice(c)
		if at >= away.from && at < away.to && d.Chance(0.8) {
			t.merchant, t.group = g.town.shop(away.country), Traveller
		}
		if d.Chance(0.012) {
			at = g.spree(t)
			continue
		}
		t.cents = g.town.cents(n, t.merchant)
		if d.Chance(0.015) { // what one buys once a year
			t.cents = int64(float64(t.cents) * d.Between(3, 15))
		}
		g.settle(t)
	}
}

// daytime moves most of what falls into the night to the morning.
func daytime(g *maker, at float64) float64 {
	if h := at - float64(int(at/day))*day; h < 6*hour && g.draw.Chance(0.85) {
		return at + 6*hour
	}
	return at
}

// choice is where a card pays at home.
func (g *maker) choice(c *card) int32 {
	d := g.draw
	switch {
	case d.Chance(0.65):
		return c.places[d.Int(len(c.places))]
	case d.Chance(c.remote):
		return g.town.web()
	}
	return g.town.shop(c.home)
}

// settle pays, and again after a failure, unless its holder gives up.
func (g *maker) settle(t try) {
	for range 4 {
		if g.pay(t) || g.draw.Chance(0.4) {
			return
		}
		t.at += 8 + g.draw.Pause(90)
		t.declined = 0.4 // what failed fails again
		if g.draw.Chance(0.2) {
			t.cents = t.cents/2 + 1
		}
	}
}

// spree is some shops one after the other. It returns when that was over.
func (g *maker) spree(t try) float64 {
	d := g.draw
	t.group = Spree
	c := &g.town.cards[t.card]
	online := d.Chance(c.remote)
	for range 3 + d.Int(9) {
		t.merchant = g.town.shop(c.home)
		if online {
			t.merchant = g.town.web()
		}
		t.cents = int64(d.Between(0.8, 2.5) * float64(g.town.cents(t.card, t.merchant)))
		g.settle(t)
		t.at += d.Pause(12 * minute)
	}
	return t.at
}

// mediaBuyer pays for advertisements all day, in amounts that grow with what is owed.
func (g *maker) mediaBuyer() {
	d := g.draw
	end := float64(g.config.Days) * day
	for range 1 + d.Int(3) {
		n := g.town.issue()
		t := try{card: n, merchant: g.town.adverts[d.Int(advertCount)], group: MediaBuyer, declined: 0.05}
		step := [...]int64{2500, 5000, 10_000, 25_000, 50_000}[d.Int(5)]
		every := day / d.Between(3, 40)
		for t.at = d.Between(0, end/2); t.at < end; t.at += d.Pause(every) {
			t.cents = step
			if d.Chance(0.2) {
				t.cents = int64(d.Between(0.02, 1) * float64(step))
			}
			if d.Chance(0.02) && step < 90_000 {
				step *= 2
			}
			if !g.pay(t) {
				t.at += d.Between(10, 90) * minute
			}
		}
	}
}

// single is a card made for one purchase, perhaps two.
func (g *maker) single() {
	d := g.draw
	n := g.town.issue()
	t := try{at: d.Between(0, float64(g.config.Days)) * day, card: n, group: NewCard, declined: shortOfMoney, wrongCVC: mistyped}
	t.merchant = g.town.web()
	for range 1 + d.Int(2) {
		t.cents = g.town.cents(n, t.merchant)
		g.settle(t)
		t.at += d.Pause(day)
	}
}

// crowd is a sale or a drive for donations: very many cards at one merchant within an
// hour or two, some with small amounts.
func (g *maker) crowd() {
	d := g.draw
	m := g.town.webOf("8398", "5815", "5311", "5964", "5816")
	began := d.Between(0, float64(g.config.Days)*day)
	middle := d.Between(150, 6000)
	every := d.Between(10, 60)
	for range 50 + d.Int(150) {
		began += d.Pause(every)
		n := g.town.somebody()
		if d.Chance(0.2) {
			n = g.town.issue()
		}
		g.settle(try{at: began, card: n, merchant: m, cents: int64(middle * d.Between(0.5, 1.6)), group: Crowd, declined: 2 * shortOfMoney, wrongCVC: 2 * mistyped})
	}
}
