package pace

import (
	"fmt"
	"testing"
	"time"
)

var now = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)

func (p *Pace) take(n int) *Pace {
	for range n {
		p.Took()
	}
	return p
}

// A pace doubles with every round that succeeds, up to its bound, and after a failure only
// to half of what was too much, from where it grows by one a round.
func TestPace(t *testing.T) {
	p := (&Book{}).Begin("wh_1", 4, now)
	for _, want := range []int{8, 16, 32, 64, 64} {
		if p.take(p.Window()); p.Window() != want {
			t.Fatalf("window %d, want %d", p.Window(), want)
		}
	}
	p.Fell()
	if p.Window() != 4 || p.Era() != 1 {
		t.Fatalf("after a failure: window %d, era %d", p.Window(), p.Era())
	}
	p.take(28)
	for want := 32; want < 40; want++ {
		if p.Window() != want {
			t.Fatalf("window %d, want %d", p.Window(), want)
		}
		p.take(want)
	}
	for range 10 {
		p.Fell()
	}
	if p.take(3); p.Window() != 4 {
		t.Errorf("after many failures: window %d", p.Window())
	}
}

// A pace is remembered between turns, for a minute, and of a bounded number of endpoints.
func TestBookRemembers(t *testing.T) {
	b := &Book{}
	p := b.Begin("wh_1", 4, now)
	b.End("wh_1", *p.take(10), now)
	if p = b.Begin("wh_1", 4, now.Add(rememberFor)); p.Window() != 14 {
		t.Errorf("within a minute: %d", p.Window())
	}
	b.End("wh_1", p, now)
	if p = b.Begin("wh_1", 4, now.Add(rememberFor+1)); p.Window() != 4 {
		t.Errorf("later: %d", p.Window())
	}
	if b.End("wh_1", p, now); len(b.paces) != 0 {
		t.Error("what says nothing is remembered")
	}
	for i := range 2 * mostRemembered {
		p := b.Begin(fmt.Sprint(i), 4, now)
		b.End(fmt.Sprint(i), *p.take(1), now)
	}
	if len(b.paces) != mostRemembered {
		t.Errorf("%d are remembered", len(b.paces))
	}
	p = b.Begin("late", 4, now)
	if b.End("late", *p.take(1), now.Add(2*rememberFor)); len(b.paces) != 1 {
		t.Errorf("%d are left of old ones", len(b.paces))
	}
}

// Endpoints that are served at once share what there is, and none gets less than it began with.
func TestShare(t *testing.T) {
	b := &Book{}
	for served, want := range map[int]int{1: mostInAll, 16: 64, 128: 8, 1000: 4} {
		if b.served = served; b.Share(4) != want {
			t.Errorf("%d are served: %d, want %d", served, b.Share(4), want)
		}
	}
}
