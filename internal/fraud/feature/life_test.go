package feature_test

import (
	"math"
	"testing"

	"github.com/scripcards/scrip/internal/fraud/feature"
)

// known is what lives say of a card at a time, by name.
func known(l *feature.Lives, e feature.Event, at int64) map[string]float32 {
	var v feature.LifeVector
	e.At, e.Kind = at, feature.Ping
	l.See(&e, &v)
	names, roles := feature.LifeNames()
	all := map[string]float32{}
	for i := range v {
		all[roles[i].String()+"."+names[i]] = v[i]
	}
	return all
}

// What is known of a card's life is when it was activated and reloaded and how often it was asked for since, and of its neighbours how many were activated lately; of a card that nobody told of, nothing.
func TestLives(t *testing.T) {
	const hour = int64(3_600_000_000)
	l, start := feature.NewLives(memory), stream(1)[0].At
	card := func(n int) feature.Event {
		e := feature.Event{At: start, Kind: feature.Activation}
		e.Keys[feature.Card], e.Keys[feature.Ten] = feature.Key(n+1), feature.Key(1000+n/10)
		e.Keys[feature.Hundred], e.Keys[feature.Range] = feature.Key(2000+n/100), feature.Key(3000+n/5000)
		return e
	}
	for n := range 30 {
		e := card(n)
		l.Hear(&e)
		l.Hear(&e) // once more
	}
	check := func(got map[string]float32, want map[string]float32) {
		t.Helper()
		for name, x := range want {
			if g := got[name]; math.Abs(float64(g-x)) > 0.01 || (g != g) != (x != x) {
				t.Errorf("%s is %v, want %v", name, g, x)
			}
		}
	}
	none := float32(math.NaN())
	check(known(l, card(7), start+2*hour), map[string]float32{"card.activated": 1, "card.hours_since_activation": 2, "card.hours_since_reload": none, "card.asks_since": 0,
		"ten.activations_1d": 10 * 0.9439, "hundred.activations_1d": 30 * 0.9439, "range.activations_1d": 30 * 0.9439})
	check(known(l, card(777), start+2*hour), map[string]float32{"card.activated": 0, "card.hours_since_activation": none, "card.hours_since_reload": none, "card.asks_since": none,
		"ten.activations_1d": 0, "hundred.activations_1d": 0, "range.activations_1d": 30 * 0.9439})
	reload := card(7)
	reload.Kind, reload.At = feature.Reload, start+5*hour
	l.Hear(&reload)
	check(known(l, card(7), start+6*hour), map[string]float32{"card.hours_since_activation": 6, "card.hours_since_reload": 1, "card.asks_since": 0, "ten.activations_1d": 10 * 0.8409})
	l.Hear(&reload)
	reload.At = start + hour // one that was told late changes nothing that is newer
	l.Hear(&reload)
	check(known(l, card(7), start+7*hour), map[string]float32{"card.hours_since_reload": 2, "card.asks_since": 1})
	late := card(31)
	late.At = start - 24*hour
	l.Hear(&late) // after others that are newer
	check(known(l, card(31), start), map[string]float32{"card.hours_since_activation": 24, "ten.activations_1d": 0.5})
	stranger := card(40) // reloaded, and nobody told of its activation
	stranger.Kind = feature.Reload
	l.Hear(&stranger)
	check(known(l, card(40), start+hour), map[string]float32{"card.activated": 0, "card.hours_since_activation": none, "card.hours_since_reload": 1, "ten.activations_1d": 0})
}

// However many numbers are asked for, no card that was activated is pushed out.
func TestAsksPushNoLifeOut(t *testing.T) {
	l := feature.NewLives(1 << 16)
	e := stream(1)[0]
	e.Kind = feature.Activation
	l.Hear(&e)
	for n := range 50_000 {
		other := e
		other.Keys[feature.Card] = feature.Key(n*7919 + 1_000_000)
		known(l, other, e.At)
	}
	if known(l, e, e.At)["card.activated"] != 1 {
		t.Error("the card is forgotten")
	}
}
