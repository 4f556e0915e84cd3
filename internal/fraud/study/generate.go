package study

import (
	"cmp"
	"math"
	"slices"

	"github.com/scripcards/scrip/internal/fraud/draw"
)

// Generated says how many payments to make up.
type Generated struct {
	Customers, Terminals, Days int
	Seed                       uint64
}

// Generate makes payments by the Handbook's published rules: customers have habits and a
// place, and pay at terminals near it. An amount above 220 is fraud; each day two
// terminals are compromised for 28 days and all their payments are fraud; each day three
// customers are for 14 days, and a third of their payments, for five times the amount.
func Generate(g Generated) []Payment {
	d := draw.New(g.Seed)
	world := newWorld(d, g)
	var payments []Payment
	for day := range g.Days {
		world.compromise(day)
		from := len(payments)
		for c := range world.customers {
			payments = world.pay(payments, c, day)
		}
		sortByTime(payments[from:])
	}
	return payments
}

// The rules.
const (
	reach          = 5.0 // how far a terminal may be, on a map of 100 by 100
	certainFraud   = 220_00
	terminalsADay  = 2
	terminalDays   = 28
	customersADay  = 3
	customerDays   = 14
	stolenMultiple = 5
)

type customer struct {
	mean, deviation float64 // of amounts, in major units
	perDay          float64
	near            []int32
	until           int // the day from which it is not compromised any more
}

type world struct {
	draws     *draw.Source
	customers []customer
	until     []int // of terminals
}

func newWorld(d *draw.Source, g Generated) *world {
	w := &world{draws: d, customers: make([]customer, g.Customers), until: make([]int, g.Terminals)}
	places := make([][2]float64, g.Terminals)
	for i := range places {
		places[i] = [2]float64{100 * d.Unit(), 100 * d.Unit()}
	}
	for i := range w.customers {
		c := &w.customers[i]
		at := [2]float64{100 * d.Unit(), 100 * d.Unit()}
		c.mean = 5 + 95*d.Unit()
		c.deviation, c.perDay = c.mean/2, 4*d.Unit()
		for t, place := range places {
			if math.Hypot(place[0]-at[0], place[1]-at[1]) < reach {
				c.near = append(c.near, int32(t))
			}
		}
	}
	return w
}

// compromise draws who is from a day on.
func (w *world) compromise(day int) {
	for range terminalsADay {
		w.until[w.draws.Below(uint64(len(w.until)))] = day + terminalDays
	}
	for range customersADay {
		w.customers[w.draws.Below(uint64(len(w.customers)))].until = day + customerDays
	}
}

// pay adds a customer's payments of a day.
func (w *world) pay(payments []Payment, customer, day int) []Payment {
	c, d := &w.customers[customer], w.draws
	if len(c.near) == 0 {
		return payments
	}
	for range d.Poisson(c.perDay) {
		second := int64(daySeconds/2 + 20_000*d.Normal())
		amount := c.mean + c.deviation*d.Normal()
		if amount < 0 {
			amount = 2 * c.mean * d.Unit()
		}
		if second <= 0 || second >= daySeconds {
			continue
		}
		p := Payment{Second: int64(day)*daySeconds + second, Customer: int32(customer),
			Terminal: c.near[d.Below(uint64(len(c.near)))], Cents: int64(amount * 100)}
		payments = append(payments, w.judge(p, day))
	}
	return payments
}

// judge makes a payment fraud where the rules say so.
func (w *world) judge(p Payment, day int) Payment {
	if p.Cents > certainFraud {
		p.Scenario = 1
	}
	if day < w.until[p.Terminal] {
		p.Scenario = 2
	}
	if day < w.customers[p.Customer].until && w.draws.Below(3) == 0 {
		p.Cents, p.Scenario = p.Cents*stolenMultiple, 3
	}
	return p
}

func sortByTime(payments []Payment) {
	slices.SortStableFunc(payments, func(a, b Payment) int { return cmp.Compare(a.Second, b.Second) })
}
