package till

// Family is a way of defrauding.
type Family string

// The families that are trained on.
const (
	Testing  Family = "card testing"         // small amounts with very many cards at one merchant
	Burst    Family = "stolen card"          // all that can be had with one card in hours
	Terminal Family = "compromised terminal" // cards that never were there, for days
	Takeover Family = "account takeover"     // other countries and trades, for a day or three
	Skimming Family = "slow skimming"        // a little of very many cards, for weeks
	Guessing Family = "code guessing"        // code after code for one card
)

// The families that are kept out of training.
const (
	Scattered Family = "scattered testing" // small amounts with many cards, each elsewhere
	Ladder    Family = "rising amounts"    // at one merchant, each payment more than the last
	Mimicry   Family = "mimicry"           // what the holder might have bought, where he might have
	Sleeper   Family = "sleeper"           // a small payment, and days later a great one
)

// Known returns the families that are trained on, Unseen those that are not.
func Known() []Family { return []Family{Testing, Burst, Terminal, Takeover, Skimming, Guessing} }

// Unseen returns the families that are kept out of training.
func Unseen() []Family { return []Family{Scattered, Ladder, Mimicry, Sleeper} }

// times is how many strikes a family has for one campaign: those of one card have few payments.
func (f Family) times() int {
	switch f {
	case Burst, Takeover, Guessing, Ladder, Mimicry:
		return 8
	case Sleeper:
		return 20
	case Testing, Terminal, Skimming, Scattered:
	}
	return 1
}

// strike makes one fraud of a family.
func (g *maker) strike(f Family) {
	first := float64(g.config.Warmup) * day
	t := try{at: g.draw.Between(first, first+0.85*(float64(g.config.Days)*day-first)), family: f}
	switch f {
	case Testing:
		g.testing(t, func() int32 { return t.merchant })
	case Scattered:
		g.testing(t, g.town.web)
	case Burst:
		g.burst(t)
	case Terminal:
		g.terminal(t)
	case Takeover:
		g.takeover(t)
	case Skimming:
		g.skimming(t)
	case Guessing:
		g.guessing(t)
	case Ladder:
		g.ladder(t)
	case Mimicry:
		g.mimicry(t)
	case Sleeper:
		g.sleeper(t)
	}
}

// testing tries many cards with small amounts.
func (g *maker) testing(t try, where func() int32) {
	d := g.draw
	one := g.town.webOf("8398", "5815", "5968", "5964", "4816", "5816")
	every, least, most := d.Between(2, 120), d.Between(10, 100), d.Between(150, 900)
	t.declined, t.wrongCVC = d.Between(0.15, 0.6), d.Between(0.05, 0.5)
	for range 60 + d.Int(200) {
		t.card, t.cents = g.town.somebody(), int64(d.Between(least, most))
		if t.merchant = where(); t.family == Testing {
			t.merchant = one
		}
		for range 1 + d.Poisson(0.3) {
			g.pay(t)
			t.at += d.Pause(every)
		}
	}
}

// loot are trades in which goods are as good as money.
var loot = [...]string{"5732", "5947", "6051", "5311", "5734", "5816", "4511"}

// fence returns where a thief buys: online, or at a till.
func (g *maker) fence(online bool, country int) int32 {
	if online {
		return g.town.webOf(loot[:]...)
	}
	return g.town.shop(country)
}

// burst spends what one stolen card has.
func (g *maker) burst(t try) {
	d := g.draw
	t.card = g.town.victim()
	online, country := d.Chance(0.6), g.town.cards[t.card].home
	if d.Chance(0.3) {
		country = g.town.place()
	}
	online = online || len(g.town.shops[country]) == 0
	t.wrongCVC = 0.1
	if d.Chance(0.4) { // it is tried first
		t.merchant, t.cents = g.town.web(), int64(d.Between(30, 300))
		g.pay(t)
		t.at += d.Pause(30 * minute)
	}
	greed := d.Between(1.5, 6)
	for range 4 + d.Int(18) {
		t.merchant = g.fence(online, country)
		t.cents = int64(greed * float64(g.town.cents(t.card, t.merchant)))
		g.pay(t)
		t.declined = min(t.declined+0.06, 0.8) // money and limits end
		t.at += d.Pause(d.Between(3, 15) * minute)
	}
}

// terminal takes money of cards at a till that is in a thief's hands.
func (g *maker) terminal(t try) {
	d := g.draw
	country := g.town.place()
	for len(g.town.shops[country]) == 0 {
		country = g.town.place()
	}
	shops := g.town.shops[country]
	t.merchant = shops[d.Int(len(shops))]
	greed, every := d.Between(1.5, 5), d.Between(4, 60)*minute
	t.declined = d.Between(0.05, 0.25)
	for range 40 + d.Int(80) {
		t.card = g.town.somebody()
		t.cents = int64(greed * float64(g.town.cents(t.card, t.merchant)))
		g.pay(t)
		t.at += d.Pause(every)
	}
}

// takeover pays from elsewhere for other things than the holder does.
func (g *maker) takeover(t try) {
	d := g.draw
	t.card = g.town.victim()
	country := g.town.place()
	for country == g.town.cards[t.card].home || len(g.town.shops[country]) == 0 {
		country = d.Int(len(countries))
	}
	t.declined, t.wrongCVC = 0.12, 0.05
	greed := d.Between(1, 4)
	for range 4 + d.Int(14) {
		t.merchant = g.fence(d.Chance(0.6), country)
		t.cents = int64(greed * float64(g.town.cents(t.card, t.merchant)))
		g.pay(t)
		t.at += d.Pause(d.Between(20, 300) * minute)
	}
}

// skimming takes a little of very many cards, each now and then.
func (g *maker) skimming(t try) {
	d := g.draw
	t.merchant = g.town.webOf("5968", "5964", "4816", "5815")
	fee := d.Between(700, 4500)
	t.declined = d.Between(0.1, 0.3)
	every := d.Between(10, 90) * minute
	cards := make([]int32, 40+d.Int(100))
	for i := range cards {
		cards[i] = g.town.somebody()
	}
	for range len(cards) + d.Int(2*len(cards)) {
		t.card, t.cents = cards[d.Int(len(cards))], int64(fee*d.Between(0.9, 1.1))
		g.pay(t)
		t.at += d.Pause(every)
	}
}

// guessing tries codes for one card, mostly at merchants that do not mind.
func (g *maker) guessing(t try) {
	d := g.draw
	t.card, t.merchant = g.town.somebody(), g.town.web()
	t.wrongCVC = 0.97
	every := d.Between(5, 240)
	for range 6 + d.Int(30) {
		t.cents = int64(d.Between(100, 3000))
		if d.Chance(0.2) {
			t.merchant = g.town.web()
		}
		g.pay(t)
		t.at += d.Pause(every)
	}
}

// ladder asks one merchant for more and more.
func (g *maker) ladder(t try) {
	d := g.draw
	t.card, t.merchant = g.town.victim(), g.fence(true, 0)
	amount := d.Between(200, 2000)
	for range 4 + d.Int(10) {
		t.cents = int64(amount)
		if g.pay(t) {
			amount *= d.Between(1.3, 2.5)
		} else {
			amount *= 0.7
			t.declined = min(t.declined+0.1, 0.8)
		}
		t.at += d.Pause(d.Between(2, 40) * minute)
	}
}

// mimicry buys what the holder might, somewhat more often.
func (g *maker) mimicry(t try) {
	d := g.draw
	t.card = g.town.victim()
	t.declined = shortOfMoney
	for range 4 + d.Int(12) {
		t.merchant = g.town.web()
		if d.Chance(0.4) {
			t.merchant = g.town.shop(g.town.cards[t.card].home)
		}
		t.cents = int64(d.Between(0.8, 1.8) * float64(g.town.cents(t.card, t.merchant)))
		g.pay(t)
		t.at += d.Pause(d.Between(1, 8) * hour)
	}
}

// sleeper tries a card, and comes back for all of it.
func (g *maker) sleeper(t try) {
	d := g.draw
	t.card = g.town.somebody()
	t.merchant, t.cents = g.town.web(), int64(d.Between(50, 400))
	g.pay(t)
	t.at += d.Between(1, 6) * day
	t.declined = 0.15
	for range 1 + d.Int(3) {
		t.merchant = g.fence(d.Chance(0.8), g.town.cards[t.card].home)
		t.cents = int64(d.Between(4, 14) * float64(g.town.cents(t.card, t.merchant)))
		g.pay(t)
		t.at += d.Pause(20 * minute)
	}
}
