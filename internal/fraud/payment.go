package fraud

import (
	"unsafe"

	"github.com/scripcards/scrip/internal/fraud/keep"
)

// paying are the rules for payments with cards. docs/fraud-signals.md explains them, and
// a test holds it to this table.
var paying = [...]signal{
	{name: "payment_velocity_anomaly", rules: []rule{
		{of: card, count: asked, window: hour, threshold: 10, full: 40, low: 10, high: 45},
		{of: card, count: asked, window: day, threshold: 40, full: 150, low: 10, high: 45},
	}},
	{name: "merchant_velocity_anomaly", rules: []rule{
		{of: pair, count: asked, window: hour, threshold: 6, full: 24, low: 10, high: 40},
		{of: pair, count: asked, window: day, threshold: 20, full: 80, low: 10, high: 40},
	}},
	{name: "new_country_detected", rules: []rule{
		{of: card, count: abroad, window: always, threshold: 1, full: 1, low: 15, high: 15},
	}},
	{name: "amount_anomaly", rules: []rule{
		{of: card, count: multiple, window: always, threshold: 500, full: 2000, low: 10, high: 40},
	}},
	{name: "cvc_guessing_pattern", rules: []rule{
		{of: card, count: wrong, window: hour, threshold: 3, full: 6, low: 30, high: 90},
		{of: card, count: wrong, window: day, threshold: 5, full: 12, low: 30, high: 90},
	}},
	{name: "card_testing_pattern", rules: []rule{
		{of: merchant, count: missed, among: found, least: 20, window: hour, threshold: 60, full: 95, low: 15, high: 45},
	}},
}

const (
	// countries is how many of those in which a card paid are remembered.
	countries = 6
	// smoothing is how much one payment moves what is usual: an eighth.
	smoothing = 8
	// usualAfter is how many payments it takes until there is something usual, and
	// usualFrom, in major units, what is never out of the usual.
	usualAfter = 4
	usualFrom  = 100
)

// payer is what is known of a card that pays.
type payer struct {
	asked, wrong span
	// strange, novels and aways are what of it was new to the card; models look at them.
	strange, novels, aways span
	places                 [countries]visited
	usual                  int64  // minor units, smoothed
	trades                 uint64 // a bit for each category in which it paid; some share one
	paid                   uint32
}

// visited is a country in which a card paid.
type visited struct {
	country [2]byte
	seen    second
}

// payee is what is known of a merchant: payments that were approved, and that were not.
type payee struct{ found, missed span }

// payments is what is known of them in one realm.
type payments struct {
	payers *keep.Table[payer]
	shops  *keep.Table[payee]
	pairs  *keep.Table[span]
}

// newPayments divides memory, but for a little that small tables need beside it.
func newPayments(memory int64) *payments {
	one := memory / 100
	return &payments{
		payers: keep.New[payer](42*one/int64(unsafe.Sizeof(payer{})+overhead), cardLife),
		shops:  keep.New[payee](18*one/int64(unsafe.Sizeof(payee{})+overhead), life),
		pairs:  keep.New[span](28*one/int64(unsafe.Sizeof(span{})+overhead), life),
	}
}

// pairKey names a card at a merchant.
func pairKey(card, merchant key) key {
	if card == 0 || merchant == 0 {
		return 0
	}
	return max(1, card^key(uint64(merchant)*0x9e3779b97f4a7c15))
}

// count counts a payment and returns what was seen of its parties.
func (p *payments) count(event *Event, f *facts) {
	now, payerKey, shopKey := secondOf(event.At), hashKey(&event.Card), hashKey(&event.Merchant)
	known := true
	if k := pairKey(payerKey, shopKey); k != 0 {
		s := p.pairs.Open(k)
		known = s.Find(k) != nil
		at := p.pairs.Touch(s, keep.Touch{Key: k, Now: now, Heat: askHeat})
		at.add(now)
		at.read(now, &f[pair][asked])
		s.Close()
	}
	if payerKey != 0 {
		s := p.payers.Open(payerKey)
		c := p.payers.Touch(s, keep.Touch{Key: payerKey, Now: now, Heat: askHeat})
		c.asked.add(now)
		if !known {
			c.strange.add(now)
		}
		c.read(event, &f[card])
		s.Close()
	}
	if shopKey != 0 {
		s := p.shops.Open(shopKey)
		if known := s.Find(shopKey); known != nil {
			known.found.read(now, &f[merchant][found])
			known.missed.read(now, &f[merchant][missed])
		}
		s.Close()
	}
	if event.Remote {
		f[merchant][remote][always] = 1
	}
}

// learn counts what came of a payment.
func (p *payments) learn(event *Event, o Outcome) {
	now, payerKey, shopKey := secondOf(event.At), hashKey(&event.Card), hashKey(&event.Merchant)
	if payerKey != 0 {
		s := p.payers.Open(payerKey)
		c := p.payers.Touch(s, keep.Touch{Key: payerKey, Now: now, Heat: foundHeat})
		if o.WrongPIN {
			c.wrong.add(now)
		}
		if o.Found {
			c.pay(event, now)
		}
		s.Close()
	}
	if shopKey == 0 {
		return
	}
	s := p.shops.Open(shopKey)
	defer s.Close()
	at := p.shops.Touch(s, keep.Touch{Key: shopKey, Now: now, Heat: missHeat})
	if o.Found {
		at.found.add(now)
	} else {
		at.missed.add(now)
	}
}

// read returns what is known of a card to a payment, and counts what is new to it.
func (c *payer) read(event *Event, m *measures) {
	now := secondOf(event.At)
	if code, ok := countryOf(event); ok && c.places[0].seen != 0 && !c.knows(code) {
		m[abroad][always] = 1
		c.aways.add(now)
	}
	if bit := tradeOf(event); bit != 0 && c.paid >= usualAfter && c.trades&bit == 0 {
		m[novel][always] = 1
		c.novels.add(now)
	}
	c.asked.read(now, &m[asked])
	c.wrong.read(now, &m[wrong])
	c.strange.read(now, &m[strange])
	c.novels.read(now, &m[novels])
	c.aways.read(now, &m[aways])
	from := int64(usualFrom)
	for range event.Amount.Currency.Digits() {
		from *= 10
	}
	if c.paid >= usualAfter && c.usual > 0 && event.Amount.Minor >= from {
		m[multiple][always] = percent(event.Amount.Minor, c.usual)
	}
}

// percent is n in hundredths of usual, at most a million.
func percent(n, usual int64) int64 {
	const most = 1_000_000
	if n/usual >= most/100 {
		return most
	}
	return n/usual*100 + n%usual*100/usual
}

// pay takes account of a payment that was approved.
func (c *payer) pay(event *Event, now second) {
	if n := event.Amount.Minor; n > 0 {
		if c.paid == 0 {
			c.usual = n
		} else {
			c.usual += (n - c.usual) / smoothing
		}
		c.paid++
	}
	c.trades |= tradeOf(event)
	code, ok := countryOf(event)
	if !ok {
		return
	}
	oldest := &c.places[0]
	for i := range c.places {
		p := &c.places[i]
		if p.country == code && p.seen != 0 {
			p.seen = max(p.seen, now)
			return
		}
		if p.seen < oldest.seen {
			oldest = p
		}
	}
	*oldest = visited{code, now}
}

func (c *payer) knows(code [2]byte) bool {
	for i := range c.places {
		if c.places[i].seen != 0 && c.places[i].country == code {
			return true
		}
	}
	return false
}

// tradeOf is the bit of a payment's category; 0 where it has none.
func tradeOf(event *Event) uint64 {
	if event.Category == "" {
		return 0
	}
	sum := uint64(0)
	for i := range len(event.Category) {
		sum = (sum + uint64(event.Category[i])) * 0x9e3779b97f4a7c15
	}
	return 1 << (sum >> 58)
}

func countryOf(event *Event) (code [2]byte, ok bool) {
	if len(event.Country) != len(code) {
		return code, false
	}
	return [2]byte{event.Country[0], event.Country[1]}, true
}
