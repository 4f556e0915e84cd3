package fraud

import (
	"testing"

	"pgregory.net/rapid"
)

// A counter misses nothing of its window, and counts nothing that is older than a window and a quarter, whatever the gaps.
func TestCounterCoversItsWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := window(rapid.IntRange(int(minute), int(month)).Draw(t, "window"))
		length := int(lengths[w])
		now := second(rapid.IntRange(10*length, 1_700_000_000).Draw(t, "start"))
		var c counter
		var past []second
		for range rapid.IntRange(1, 60).Draw(t, "events") {
			now += second(rapid.IntRange(0, length/rapid.SampledFrom([]int{1, 4, 60}).Draw(t, "scale")).Draw(t, "gap"))
			c.add(now, w)
			past = append(past, now)
		}
		now += second(rapid.IntRange(0, 2*length).Draw(t, "pause"))
		least, most := int64(0), int64(0)
		for _, at := range past {
			if now-at < lengths[w] {
				least++
			}
			if now-at <= lengths[w]+lengths[w]/parts {
				most++
			}
		}
		if got := c.read(now, w); got < least || got > most {
			t.Fatalf("%d counted, want %d to %d", got, least, most)
		}
	})
}

// Events that come out of order are counted while the counter reaches back to them, and disturb nothing later.
func TestCounterOutOfOrder(t *testing.T) {
	const now = 1_700_000_100
	var c counter
	for _, at := range []second{now, now - 10, now - 59, now - 3600, 1, now} {
		c.add(at, minute)
	}
	if got := c.read(now, minute); got != 4 {
		t.Errorf("%d counted, want 4", got)
	}
	if got := c.read(now-30, minute); got != 4 {
		t.Errorf("%d counted by one who comes late, want 4", got)
	}
	if got := c.read(now+90, minute); got != 0 {
		t.Errorf("%d counted long after, want 0", got)
	}
}

// What never was is not recent; what is late is.
func TestRecent(t *testing.T) {
	for _, c := range []struct {
		now, then second
		want      bool
	}{{100, 0, false}, {100, 100, true}, {100, 41, true}, {100, 40, false}, {100, 101, true}, {100, 5000, true}} {
		if got := recent(c.now, c.then, minute); got != c.want {
			t.Errorf("now %d, then %d: %t", c.now, c.then, got)
		}
	}
}
