package fraud

import (
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/scripcards/scrip/internal/core/realm"
)

// far returns numbers that are nobody's neighbours.
func far(i int) uint64 { return 1_000_000 + 1000*uint64(i) }

// A history makes the signal that the rules promise for it, with what was seen, where and within what.
func TestHistories(t *testing.T) {
	for _, c := range []struct {
		name string
		play func(*teller)
		want Signal
	}{
		{"many asks of an address in a minute", func(c *teller) {
			for i := range 60 {
				c.asks(shop, far(i), right, 0)
			}
		}, Signal{Name: "velocity_anomaly", Of: "address", Value: 60, Threshold: 60, Window: time.Minute, Points: 3}},
		{"many asks of a credential from many places", func(c *teller) {
			for i := range 400 {
				c.asks(who{key: "key_shop", from: fmt.Sprintf("10.%d.%d.1", i/200, i%200)}, far(i), right, 0)
			}
		}, Signal{Name: "velocity_anomaly", Of: "credential", Value: 400, Threshold: 300, Window: time.Minute, Points: 2}},
		{"many asks of a network through its addresses", func(c *teller) {
			for i := range 2600 {
				c.asks(who{key: "", from: fmt.Sprintf("192.0.2.%d", i%200)}, far(i), right, time.Second)
			}
		}, Signal{Name: "velocity_anomaly", Of: "network", Value: 2600, Threshold: 2400, Window: time.Hour, Points: 3}},
		{"a consumer in a hurry", func(c *teller) {
			for range 35 {
				c.asks(visiting, far(1), right, 0)
			}
		}, Signal{Name: "velocity_anomaly", Of: "address", Value: 35, Threshold: 10, Window: time.Minute, Points: 18}},
		{"a consumer with many cards", func(c *teller) {
			for i := range 24 {
				c.asks(visiting, far(i), right, time.Minute)
			}
		}, Signal{Name: "card_spread_anomaly", Of: "address", Value: 24, Threshold: 8, Window: time.Hour, Points: 13}},
		{"a consumer with the same cards again and again", func(c *teller) {
			for i := range 24 {
				c.asks(visiting, far(i%4), right, time.Minute)
			}
		}, Signal{Name: "card_spread_anomaly"}},
		{"one card asked for by many", func(c *teller) {
			for i := range 19 {
				c.asks(who{key: fmt.Sprint("key_", i), from: fmt.Sprintf("10.0.%d.1", i)}, 7, unknown, time.Minute)
			}
		}, Signal{Name: "card_velocity_anomaly", Of: "card", Value: 19, Threshold: 8, Window: time.Hour, Points: 16, Telling: true}},
		{"numbers made up", func(c *teller) {
			for i := range 31 {
				c.asks(shop, far(i), Outcome{Found: i < 6}, time.Minute)
			}
		}, Signal{Name: "hit_rate_anomaly", Of: "credential", Value: 80, Threshold: 50, Window: time.Hour, Points: 65}},
		{"numbers made up, slowly", func(c *teller) {
			for i := range 21 {
				c.asks(who{from: "192.0.2.1"}, far(i), unknown, time.Hour)
			}
		}, Signal{Name: "hit_rate_anomaly", Of: "address", Value: 100, Threshold: 60, Window: 24 * time.Hour, Points: 80}},
		{"numbers made up by a network", func(c *teller) {
			for i := range 41 {
				c.asks(who{from: fmt.Sprintf("2001:db8:7:%x::1", i)}, far(i), unknown, time.Minute)
			}
		}, Signal{Name: "hit_rate_anomaly", Of: "network", Value: 100, Threshold: 60, Window: 24 * time.Hour, Points: 80}},
		{"one unknown number again and again", func(c *teller) {
			for range 31 {
				c.asks(shop, 7, unknown, time.Minute)
			}
		}, Signal{Name: "hit_rate_anomaly"}},
		{"a misses-and-hits mix that repeats one good card", func(c *teller) {
			for i := range 60 {
				if i%2 == 0 {
					c.asks(shop, 7, right, time.Second)
				} else {
					c.asks(shop, far(i), unknown, time.Second)
				}
			}
		}, Signal{Name: "hit_rate_anomaly", Of: "credential", Value: 96, Threshold: 50, Window: time.Hour, Points: 80}},
		{"number after number, all good", func(c *teller) {
			for i := range 56 {
				c.asks(shop, 5000+uint64(i), right, time.Second)
			}
		}, Signal{Name: "sequential_pan_pattern", Of: "credential", Value: 55, Threshold: 10, Window: time.Hour, Points: 9}},
		{"number after number, none good", func(c *teller) {
			for i := range 8 {
				c.asks(who{from: "192.0.2.1"}, 5000+uint64(i), unknown, time.Second)
			}
		}, Signal{Name: "sequential_pan_pattern", Of: "address", Value: 85, Threshold: 50, Window: time.Hour, Points: 29}},
		{"number before number, over a day", func(c *teller) {
			for i := range 10 {
				c.asks(who{from: "192.0.2.1"}, 5000-uint64(i), badPIN, 2*time.Hour)
			}
		}, Signal{Name: "sequential_pan_pattern", Of: "address", Value: 88, Threshold: 40, Window: 24 * time.Hour, Points: 45}},
		{"number after number by a network", func(c *teller) {
			for i := range 9 {
				c.asks(who{from: fmt.Sprintf("192.0.2.%d", i)}, 5000+uint64(i), unknown, time.Hour)
			}
		}, Signal{Name: "sequential_pan_pattern", Of: "network", Value: 87, Threshold: 40, Window: 24 * time.Hour, Points: 45}},
		{"a number mistyped by one, then right", func(c *teller) {
			for i := range 20 {
				c.asks(shop, far(i)+1, unknown, time.Second)
				c.asks(shop, far(i), right, time.Second)
			}
		}, Signal{Name: "sequential_pan_pattern", Of: "credential", Value: 20, Threshold: 10, Window: time.Hour, Points: 5}},
		{"a few misses side by side among many", func(c *teller) {
			for i := range 40 {
				c.asks(shop, far(i), unknown, time.Second)
				if i%4 == 0 {
					c.asks(shop, far(i)+1, unknown, time.Second)
				}
			}
		}, Signal{Name: "sequential_pan_pattern", Of: "credential", Value: 10, Threshold: 10, Window: time.Hour, Points: 4}},
		{"every seventh number of a hundred, each from elsewhere", func(c *teller) {
			for i := range 15 {
				c.asks(who{from: fmt.Sprintf("10.0.%d.1", i)}, 5000+7*uint64(i), unknown, time.Minute)
			}
			c.asks(who{from: "10.9.9.9"}, 5001, unknown, 0)
		}, Signal{Name: "pan_range_pattern", Of: "neighbourhood", Value: 100, Threshold: 80, Window: 24 * time.Hour, Points: 80, Telling: true}},
		{"a clean record, next to numbers that others try", func(c *teller) {
			for i := range 20 {
				c.asks(shop, far(i), right, time.Minute)
				c.asks(who{from: fmt.Sprintf("10.0.%d.1", i)}, 5000+4*uint64(i), unknown, time.Minute)
			}
			c.asks(shop, 5001, right, 0)
		}, Signal{Name: "pan_range_pattern"}},
		{"a record not clean enough, next to numbers that others try", func(c *teller) {
			for i := range 20 {
				c.asks(shop, far(i), right, time.Minute)
				c.asks(who{from: fmt.Sprintf("10.0.%d.1", i)}, 5000+4*uint64(i), unknown, time.Minute)
			}
			for i := range 14 {
				c.asks(shop, far(100+i), unknown, 0)
			}
			c.asks(shop, 5001, right, 0)
		}, Signal{Name: "pan_range_pattern", Of: "neighbourhood", Value: 100, Threshold: 80, Window: 24 * time.Hour, Points: 80, Telling: true}},
		{"through a proxy", func(c *teller) {
			c.asks(who{key: "key_shop", from: "198.51.100.3"}, 7, right, 0)
		}, Signal{Name: "proxy_ip_detected", Of: "address", Value: 1, Threshold: 1, Points: 15}},
		{"wrong PINs for a card from everywhere", func(c *teller) {
			for i := range 6 {
				c.asks(who{from: fmt.Sprintf("10.0.%d.1", i)}, 7, badPIN, time.Minute)
			}
		}, Signal{Name: "pin_guessing_pattern", Of: "card", Value: 5, Threshold: 4, Window: time.Hour, Points: 24, Telling: true}},
		{"wrong PINs for a card over a day", func(c *teller) {
			for i := range 10 {
				c.asks(who{from: fmt.Sprintf("10.0.%d.1", i)}, 7, badPIN, 2*time.Hour)
			}
		}, Signal{Name: "pin_guessing_pattern", Of: "card", Value: 9, Threshold: 6, Window: 24 * time.Hour, Points: 40, Telling: true}},
		{"one wrong PIN for each of many cards", func(c *teller) {
			for i := range 11 {
				c.asks(shop, far(i), Outcome{Found: i%5 == 0, WrongPIN: i%5 != 0}, time.Minute)
			}
		}, Signal{Name: "pin_guessing_pattern", Of: "credential", Value: 80, Threshold: 50, Window: time.Hour, Points: 37, Telling: true}},
		{"a known card from elsewhere", func(c *teller) {
			c.asks(shop, 7, right, 48*time.Hour)
			c.asks(who{key: "key_2", from: "10.0.1.1"}, 7, right, 48*time.Hour)
			c.asks(who{key: "key_2", from: "10.0.1.2"}, 7, right, 48*time.Hour)
			c.asks(stranger, 7, badPIN, time.Minute)
			c.asks(stranger, 7, badPIN, time.Minute)
		}, Signal{Name: "new_ip_detected", Of: "card", Value: 2, Threshold: 1, Window: 30 * 24 * time.Hour, Points: 6, Telling: true}},
		{"a known card from where it is known", func(c *teller) {
			c.asks(shop, 7, right, 48*time.Hour)
			c.asks(stranger, 7, right, 48*time.Hour)
			c.asks(who{key: "key_new", from: "192.0.2.200"}, 7, right, 0)
		}, Signal{Name: "new_ip_detected"}},
		{"a number that nobody found, from elsewhere", func(c *teller) {
			c.asks(shop, 7, unknown, 48*time.Hour)
			c.asks(stranger, 7, unknown, 0)
		}, Signal{Name: "new_ip_detected"}},
		{"a card after half a year", func(c *teller) {
			c.asks(shop, 7, right, 200*24*time.Hour)
			c.asks(shop, 7, right, time.Minute)
			c.asks(shop, 7, right, time.Minute)
		}, Signal{Name: "dormant_card_detected", Of: "card", Value: 200, Threshold: 90, Window: 24 * time.Hour, Points: 5, Telling: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			teller := newTeller(t)
			c.play(teller)
			if diff := cmp.Diff(c.want, teller.signal(c.want.Name)); diff != "" && (c.want.Points != 0 || teller.signal(c.want.Name) != Signal{}) {
				t.Errorf("%+v\n(-want +got):\n%s", teller.last, diff)
			}
		})
	}
}

// A lone clean event scores nothing, whatever it lacks.
func TestLoneEvent(t *testing.T) {
	for _, e := range []Event{{}, about(7), {At: noon, Caller: "key_1"}, {At: noon, Address: netip.MustParseAddr("192.0.2.1"), Public: true}} {
		engine := New(Config{})
		if got := engine.Score(e); got.Hundredths != 0 || got.Signals != nil || got.Model != "" {
			t.Errorf("%+v scores %+v", e, got)
		}
		for _, o := range []Outcome{right, unknown, badPIN} {
			engine.Learn(e, o)
		}
		engine.Label(e, Label{At: noon, Fraud: true})
	}
}

// A label weighs on the card, its address and network for a week, counts once however often it is said, and can be taken back.
func TestLabels(t *testing.T) {
	c := newTeller(t)
	theft := c.event(shop, 7)
	c.asks(shop, 7, right, time.Hour)
	for range 3 {
		c.Label(theft, Label{At: c.now, Fraud: true})
	}
	c.asks(shop, 8_000_000, right, 0)
	want := Signal{Name: "fraud_label_detected", Of: "address", Value: 1, Threshold: 1, Window: 7 * 24 * time.Hour, Points: 30}
	if diff := cmp.Diff([]Signal{want}, c.last.Signals); diff != "" {
		t.Errorf("another card from there (-want +got):\n%s", diff)
	}
	c.asks(stranger, 7, right, 0)
	if got := c.signal("labelled_card_detected"); got.Points != 30 || c.signal("fraud_label_detected").Points != 0 {
		t.Errorf("the card from elsewhere: %+v", c.last)
	}
	c.Label(c.event(shop, 9_000_000), Label{At: c.now, Fraud: true})
	c.asks(who{key: "key_shop", from: "10.0.0.1"}, 8_000_000, right, 0)
	if got := c.signal("fraud_label_detected"); got.Of != "credential" || got.Value != 2 {
		t.Errorf("the credential from elsewhere: %+v", c.last)
	}
	c.Label(theft, Label{At: c.now})
	c.Label(c.event(shop, 9_000_000), Label{At: c.now})
	c.asks(shop, 7, right, 0)
	if c.signal("fraud_label_detected").Points != 0 || c.signal("labelled_card_detected").Points != 0 {
		t.Errorf("after it was taken back: %+v", c.last)
	}
	c.Label(theft, Label{At: c.now, Fraud: true})
	c.now = c.now.Add(7 * 24 * time.Hour)
	c.asks(shop, 7, right, 0)
	if c.signal("fraud_label_detected").Points != 0 || c.signal("labelled_card_detected").Points != 0 {
		t.Errorf("a week later: %+v", c.last)
	}
}

// Of more labels than a party remembers, the newest stay.
func TestManyLabels(t *testing.T) {
	var p party
	for i := range key(mostLabels + 2) {
		p.label(i+1, second(1000+i))
	}
	p.label(3, 2000)
	p.unlabel(4)
	got := map[key]bool{}
	for _, l := range p.labels {
		got[l.card] = true
	}
	if diff := cmp.Diff(map[key]bool{0: true, 3: true, 5: true, 6: true}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Live and test never meet: what is done in one realm, even years ahead, changes nothing in the other.
func TestRealms(t *testing.T) {
	c, alone := newTeller(t), newTeller(t)
	for i := range 30 {
		c.asks(shop, 5000+uint64(i), unknown, time.Second)
		alone.asks(shop, 5000+uint64(i), unknown, time.Second)
		for j := range uint64(20) {
			e := c.event(shop, 5000+uint64(i)+j)
			e.Realm, e.At = realm.Test, e.At.AddDate(10, 0, 0)
			c.Score(e)
			c.Learn(e, right)
		}
		if diff := cmp.Diff(alone.last, c.last); diff != "" {
			t.Fatalf("ask %d (-alone +beside the test realm):\n%s", i, diff)
		}
	}
	if alone.last.Hundredths < 80 {
		t.Errorf("the history makes no difference to compare: %+v", alone.last)
	}
}

// step is one drawn ask.
type step struct {
	who  who
	n    uint64
	o    Outcome
	then time.Duration
}

func steps(t *rapid.T) []step {
	one := rapid.Custom(func(t *rapid.T) step {
		return step{
			who: who{key: rapid.SampledFrom([]string{"", "key_1", "key_2"}).Draw(t, "key"), from: rapid.SampledFrom([]string{"", "192.0.2.1", "192.0.2.2", "2001:db8::1"}).Draw(t, "from"),
				public: rapid.Bool().Draw(t, "public")},
			n:    rapid.Uint64Range(5000, 5012).Draw(t, "n"),
			o:    rapid.SampledFrom([]Outcome{right, unknown, unknown, badPIN}).Draw(t, "outcome"),
			then: time.Duration(rapid.SampledFrom([]int{0, 1, 1, 60, 3600, 100_000, -5}).Draw(t, "then")) * time.Second,
		}
	})
	return rapid.SliceOfN(one, 1, 120).Draw(t, "steps")
}

// The same events one after the other make the same scores, and every score keeps its form.
func TestDeterministic(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		a, b := newTeller(t), newTeller(t)
		for i, s := range steps(r) {
			a.asks(s.who, s.n, s.o, s.then)
			b.asks(s.who, s.n, s.o, s.then)
			checkScore(r, a.last)
			if diff := cmp.Diff(a.last, b.last); diff != "" {
				r.Fatalf("step %d:\n%s", i, diff)
			}
		}
	})
}

// A uniform score is the same whether the numbers that a caller misses do not exist, have other PINs or are well known to others.
func TestUniformTellsNothing(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		empty, full := newTeller(t), newTeller(t)
		for n := uint64(5000); n < 5040; n++ {
			others := rapid.SampledFrom([]Outcome{right, right, badPIN, unknown}).Draw(r, "outcome of others")
			for range rapid.SampledFrom([]int{0, 1, 1, 9}).Draw(r, "asks of others") {
				full.asks(stranger, n, others, 0)
			}
		}
		for i, s := range steps(r) {
			o := s.o
			empty.asks(s.who, s.n, Outcome{Found: o.Found}, s.then)
			full.asks(s.who, s.n, Outcome{Found: o.Found, WrongPIN: !o.Found}, s.then)
			if diff := cmp.Diff(empty.last.Uniform(), full.last.Uniform()); diff != "" {
				r.Fatalf("step %d (-unknown +wrong PIN):\n%s", i, diff)
			}
		}
	})
}

// A listed address never lowers a score.
func TestProxyOnlyAdds(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		plain, listed := newTeller(t), newTeller(t)
		listed.Engine = New(Config{Memory: 32 << 20, Proxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
		for _, s := range steps(r) {
			plain.asks(s.who, s.n, s.o, s.then)
			listed.asks(s.who, s.n, s.o, s.then)
			if listed.last.Hundredths < plain.last.Hundredths {
				r.Fatalf("%+v became %+v", plain.last, listed.last)
			}
		}
	})
}

// Callers at once are all counted, and one attack among them is seen.
func TestConcurrentUse(t *testing.T) {
	e := New(Config{Memory: 32 << 20})
	var group sync.WaitGroup
	for g := range 8 {
		group.Go(func() {
			for i := range 500 {
				event := about(uint64(5000 + 500*g + i))
				event.At, event.Caller, event.Address = noon, "key_1", netip.AddrFrom4([4]byte{192, 0, 2, byte(g)})
				checkScore(t, e.Score(event))
				e.Learn(event, Outcome{Found: i%5 == 0})
				if i%100 == 0 {
					e.Label(event, Label{At: noon, Fraud: i%200 == 0})
				}
			}
		})
	}
	group.Wait()
	event := about(1)
	event.At, event.Caller = noon, "key_1"
	score := e.Score(event)
	velocity := false
	for _, s := range score.Signals {
		velocity = velocity || s.Name == "velocity_anomaly" && s.Value == 4001
	}
	if !velocity || score.Hundredths < 80 {
		t.Errorf("after 4000 asks: %+v", score)
	}
}
