package feature

// daysKept is how many days of a card and of a merchant are remembered one by one.
const daysKept = 40

// dayCell is one day.
type dayCell struct {
	day    uint16 // since 1970
	events uint16
	high   uint16 // with an amount of more than twice the card's usual
	known  uint16 // with a label that has arrived
	fraud  uint16 // of those
	plain  uint16 // of those with nothing special about the amount
	amount float32
	ratios float32 // to the cards' usual amounts
	top    float32 // the greatest of those
}

// days is the last days of a card or a merchant, and where its labels stand.
type days struct {
	cells [daysKept]dayCell

	// usual is the mean of its amounts, without the ones that stand out.
	usual  float64 // their sum
	counts float64

	// run is how many of the newest labels were fraud, one after the other, since when.
	run        uint16
	runSince   seconds
	lastGood   seconds
	lastPlain  seconds // the newest plain fraud, and the first of those without a good one between
	firstPlain seconds
	goodSince  uint16 // good ones since the newest plain fraud
}

// outlier is from where on an amount does not move the usual one, once there are a few.
const (
	outlier = 2.5
	few     = 5
	// prior is what is taken for usual before anything is known, with the weight of one amount.
	prior = 5000
)

// ratio is an amount as a multiple of the usual one.
func (d *days) ratio(amount float64) float64 { return amount / d.mean() }

func (d *days) mean() float64 { return (d.usual + prior) / (d.counts + 1) }

// settle moves what is usual.
func (d *days) settle(amount float64) {
	if d.counts >= few && d.ratio(amount) >= outlier {
		return
	}
	d.usual += min(amount, 3*d.mean())
	d.counts++
}

func dayOf(at seconds) uint16 { return uint16(at / day) }

// cell returns the cell of a day, emptied when it was another's; nil for a day that is forgotten.
func (d *days) cell(n uint16) *dayCell {
	c := &d.cells[n%daysKept]
	if c.day > n {
		return nil
	}
	if c.day != n {
		*c = dayCell{day: n}
	}
	return c
}

// highRatio is from where on an amount stands out against the card's usual.
const highRatio = 2

func (d *days) see(at seconds, amount, ratio float32) {
	c := d.cell(dayOf(at))
	if c == nil {
		return
	}
	c.events++
	c.amount += amount
	c.ratios += ratio
	if ratio > highRatio {
		c.high++
	}
	c.top = max(c.top, ratio)
}

// label takes in what is now known of an event of the past.
func (d *days) label(m *Mark, fraud bool) {
	at := secondsOf(m.Event.At)
	if c := d.cell(dayOf(at)); c != nil {
		c.known++
		if fraud {
			c.fraud++
			if m.Plain {
				c.plain++
			}
		}
	}
	if !fraud {
		d.run, d.runSince = 0, 0
		d.lastGood = max(d.lastGood, at)
		d.goodSince++
		return
	}
	if d.run == 0 {
		d.runSince = at
	}
	d.run++
	if m.Plain {
		if d.goodSince > 0 || d.firstPlain == 0 {
			d.firstPlain = at
		}
		d.lastPlain, d.goodSince = at, 0
	}
}

// sum is what some days add up to.
type sum struct{ events, high, known, fraud, plain, amount, ratios, top float32 }

// over adds up the days of a window that ends now; of its first day the part that is in it.
func (d *days) over(at seconds, length int) (s sum) {
	today := dayOf(at)
	part := float32(1 - (at/day - seconds(today)))
	for i := 0; i <= length; i++ {
		c := &d.cells[(today-uint16(i))%daysKept]
		if c.day != today-uint16(i) || c.day == 0 {
			continue
		}
		weight := float32(1)
		if i == length {
			weight = part
		}
		s.events += weight * float32(c.events)
		s.high += weight * float32(c.high)
		s.amount += weight * c.amount
		s.ratios += weight * c.ratios
		s.known += float32(c.known)
		s.fraud += float32(c.fraud)
		s.plain += float32(c.plain)
		s.top = max(s.top, c.top)
	}
	return s
}
