package fraud

import (
	"runtime"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
)

// till takes payments, and remembers what was said of the last.
type till struct {
	*Engine
	t   testing.TB
	now time.Time
}

func newTill(t testing.TB) *till {
	return &till{t: t, now: noon, Engine: New(Config{})}
}

// bill is one payment.
type bill struct {
	card, merchant, country string
	minor                   int64
}

func (b bill) event(at time.Time) Event {
	e := Event{Kind: Authorization, At: at, Realm: realm.Live, Book: "book_1", Country: b.country, Amount: money.New(b.minor, money.USD)}
	if b.card != "" {
		e.Card = HashOf("book_1", b.card)
	}
	if b.merchant != "" {
		e.Merchant = HashOf(b.merchant)
	}
	return e
}

// pays scores a payment, learns what came of it, and lets time pass.
func (c *till) pays(b bill, o Outcome, then time.Duration) Score {
	c.t.Helper()
	e := b.event(c.now)
	score := c.Score(e)
	checkScore(c.t, score)
	c.Learn(e, o)
	c.now = c.now.Add(then)
	return score
}

// points returns what the signals of a score gave, by name.
func points(s Score) map[string]int {
	all := map[string]int{}
	for _, signal := range s.Signals {
		all[signal.Name] = signal.Points
	}
	return all
}

func wantPoints(t *testing.T, what string, got Score, want map[string]int) {
	t.Helper()
	if diff := cmp.Diff(want, points(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

var approved, refused, wrongCVC = Outcome{Found: true}, Outcome{}, Outcome{WrongPIN: true}

// Ordinary payments score nothing, however long they go on.
func TestOrdinaryPayments(t *testing.T) {
	c := newTill(t)
	for day := range 60 {
		for i, shop := range []string{"bakery", "office", "station"} {
			wantPoints(t, "an ordinary day", c.pays(bill{"ann", shop, "US", int64(500 + 37*day + 400*i)}, approved, 4*time.Hour), map[string]int{})
		}
		c.now = c.now.Add(12 * time.Hour)
	}
}

// A card that pays ever more often is seen, at all merchants and at one; others are not.
func TestPaymentVelocity(t *testing.T) {
	c := newTill(t)
	var last Score
	for i := range 40 {
		last = c.pays(bill{"ann", string(rune('a' + i)), "US", 500}, approved, time.Minute)
	}
	wantPoints(t, "forty payments in forty minutes", last, map[string]int{"payment_velocity_anomaly": 45})
	if s := last.Signals[0]; s.Of != "card" || s.Value != 40 || s.Threshold != 10 || s.Window != time.Hour || s.Telling {
		t.Errorf("signal %+v", s)
	}
	c.now = c.now.Add(3 * time.Hour)
	wantPoints(t, "hours later", c.pays(bill{"ann", "z", "US", 500}, approved, 0), map[string]int{"payment_velocity_anomaly": 10})
	for range 24 {
		last = c.pays(bill{"bob", "shop", "US", 500}, approved, time.Minute)
	}
	wantPoints(t, "twenty-four payments at one merchant", last, map[string]int{"payment_velocity_anomaly": 26, "merchant_velocity_anomaly": 40})
	wantPoints(t, "another card there", c.pays(bill{"eve", "shop", "US", 500}, approved, 0), map[string]int{})
}

// A country is new once the card paid elsewhere, and known once it paid there; a decline
// makes none known.
func TestNewCountry(t *testing.T) {
	c := newTill(t)
	wantPoints(t, "the first payment of all", c.pays(bill{"ann", "a", "US", 500}, approved, time.Hour), map[string]int{})
	abroad := bill{"ann", "b", "FR", 500}
	wantPoints(t, "abroad", c.pays(abroad, refused, time.Hour), map[string]int{"new_country_detected": 15})
	wantPoints(t, "abroad after a decline", c.pays(abroad, approved, time.Hour), map[string]int{"new_country_detected": 15})
	wantPoints(t, "abroad again", c.pays(abroad, approved, time.Hour), map[string]int{})
	for _, country := range []string{"IT", "ES", "DE", "AT", "CH"} { // with FR, as many as are remembered
		c.pays(bill{"ann", "c", country, 500}, approved, time.Hour)
	}
	wantPoints(t, "known abroad", c.pays(abroad, approved, time.Hour), map[string]int{})
	wantPoints(t, "home, forgotten", c.pays(bill{"ann", "a", "US", 500}, approved, time.Hour), map[string]int{"new_country_detected": 15})
	wantPoints(t, "no country", c.pays(bill{"ann", "a", "", 500}, approved, time.Hour), map[string]int{})
}

// An amount far above the card's usual is seen from the fifth payment on, and never below
// a hundred.
func TestAmount(t *testing.T) {
	c := newTill(t)
	for range 3 {
		c.pays(bill{"ann", "a", "US", 1_000}, approved, time.Hour)
	}
	wantPoints(t, "before there is a usual amount", c.Score(bill{"ann", "a", "US", 100_000}.event(c.now)), map[string]int{})
	c.pays(bill{"ann", "a", "US", 1_000}, approved, time.Hour)
	for minor, want := range map[int64]map[string]int{9_999: {}, 10_000: {"amount_anomaly": 20}, 20_000: {"amount_anomaly": 40}, 1 << 60: {"amount_anomaly": 40}} {
		wantPoints(t, "after four", c.Score(bill{"ann", "", "US", minor}.event(c.now)), want)
	}
	for range 30 {
		c.pays(bill{"ann", "", "US", 20_000}, approved, 3*time.Hour)
	}
	wantPoints(t, "once that is usual", c.pays(bill{"ann", "", "US", 20_000}, approved, 0), map[string]int{})
	c.pays(bill{"ann", "", "US", 0}, approved, 0) // a verification is no amount
	wantPoints(t, "after a verification", c.pays(bill{"ann", "", "US", 20_000}, approved, 0), map[string]int{})
}

// Wrong security codes are guesses, and a merchant where most cards are declined tries cards.
func TestPaymentGuesses(t *testing.T) {
	c := newTill(t)
	var last Score
	for range 6 {
		last = c.pays(bill{"ann", "", "US", 500}, wrongCVC, time.Minute)
	}
	wantPoints(t, "after five wrong codes", last, map[string]int{"cvc_guessing_pattern": 70})
	wantPoints(t, "after six", c.pays(bill{"ann", "", "US", 500}, approved, 0), map[string]int{"cvc_guessing_pattern": 90})
	for i := range 40 {
		o := refused
		if i%10 == 0 {
			o = approved
		}
		last = c.pays(bill{"card-" + string(rune('A'+i)), "tester", "US", 100}, o, time.Second)
	}
	wantPoints(t, "a merchant that tries cards", last, map[string]int{"card_testing_pattern": 39})
	wantPoints(t, "another merchant", c.pays(bill{"card-A", "other", "US", 100}, approved, 0), map[string]int{})
}

// Payments and balance checks, and the realms, know nothing of each other.
func TestPaymentsApart(t *testing.T) {
	c := newTill(t)
	for range 60 {
		c.pays(bill{"ann", "shop", "US", 500}, wrongCVC, time.Second)
	}
	e := bill{"ann", "shop", "US", 500}.event(c.now)
	e.Realm = realm.Test
	wantPoints(t, "the test realm", c.Score(e), map[string]int{})
	e.Kind, e.Realm = Ping, realm.Live
	wantPoints(t, "a balance check", c.Score(e), map[string]int{})
	e.Kind = Authorization
	before := c.Score(e)
	c.Label(e, Label{At: c.now, Fraud: true})
	if after := c.Score(e); after.Hundredths != before.Hundredths {
		t.Errorf("a label changed a payment's score from %d to %d", before.Hundredths, after.Hundredths)
	}
	wantPoints(t, "nothing known of it", c.Score(Event{Kind: Authorization, At: c.now, Realm: realm.Live}), map[string]int{})
}

// However many cards pay wherever, what is remembered of payments stays within its memory.
func TestPaymentMemory(t *testing.T) {
	const memory = 6 << 20
	before := inUse()
	e := New(Config{Memory: MinMemory, PaymentMemory: memory})
	for i := range 60_000 {
		at := bill{"card-" + time.Duration(i).String(), "shop-" + time.Duration(i/3).String(), "US", 500}.event(noon.Add(time.Duration(i) * time.Second))
		e.Score(at)
		e.Learn(at, approved)
		at.Realm = realm.Test
		e.Score(at)
	}
	if used := inUse() - before; used > memory {
		t.Errorf("%d bytes in use, want at most %d", used, memory)
	}
	runtime.KeepAlive(e)
}
