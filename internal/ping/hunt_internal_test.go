package ping

import (
	"testing"
	"time"
)

var start = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)

// What is judged is the last sixty minutes: the hour before counts by the share that is
// not over, and counts no more two hours later.
func TestJudge(t *testing.T) {
	h := Hunt{Slow: 30, Suspend: 60, Percent: 20}
	for _, c := range []struct {
		about              string
		cards, found       int64
		earlier, earlierOK int64
		after              time.Duration // since the hour began
		was, want          callerState
	}{
		{"few", 29, 0, 0, 0, 0, callerFree, callerFree},
		{"thirty, none found", 30, 0, 0, 0, 0, callerFree, callerSlowed},
		{"thirty, a fifth found", 30, 6, 0, 0, 0, callerFree, callerFree},
		{"thirty, less found", 30, 5, 0, 0, 0, callerFree, callerSlowed},
		{"sixty, none found", 60, 0, 0, 0, 0, callerSlowed, callerSuspended},
		{"sixty, more found", 60, 12, 0, 0, 0, callerSlowed, callerFree},
		{"half of the hour before", 10, 0, 100, 0, 30 * time.Minute, callerFree, callerSuspended},
		{"a quarter of it", 10, 0, 100, 0, 45 * time.Minute, callerFree, callerSlowed},
		{"none of it", 10, 0, 100, 0, 59*time.Minute + 59*time.Second, callerFree, callerFree},
		{"a clock that went back", 0, 0, 40, 0, -time.Hour, callerFree, callerSlowed},
		{"suspended is for good", 0, 0, 0, 0, 0, callerSuspended, callerSuspended},
	} {
		who := &caller{hour: start, cards: c.cards, found: c.found, earlierCards: c.earlier, earlierFound: c.earlierOK, state: c.was}
		if got := who.judge(start.Add(c.after), h); got != c.want {
			t.Errorf("%s: %s, want %s", c.about, got, c.want)
		}
	}
	off := &caller{hour: start, cards: 1000}
	if got := off.judge(start, Hunt{}); got != callerFree {
		t.Errorf("without a hunt: %s", got)
	}
}

// An hour ends after sixty minutes and the one before with it.
func TestTurn(t *testing.T) {
	for _, c := range []struct {
		after          time.Duration
		cards, earlier int64
		begins         time.Duration
	}{
		{59 * time.Minute, 7, 3, 0}, {time.Hour, 0, 7, time.Hour}, {119 * time.Minute, 0, 7, time.Hour}, {2 * time.Hour, 0, 0, 2 * time.Hour}, {-time.Hour, 7, 3, 0},
	} {
		who := &caller{hour: start, cards: 7, earlierCards: 3}
		who.turn(start.Add(c.after))
		if who.cards != c.cards || who.earlierCards != c.earlier || !who.hour.Equal(start.Add(c.begins)) {
			t.Errorf("after %s: %d and %d since %s", c.after, who.cards, who.earlierCards, who.hour)
		}
	}
}

// Memory of who asked for what is bounded, whatever comes.
func TestSeenIsBounded(t *testing.T) {
	remembered := newSeen()
	for i := range 3 * mostSeenCallers {
		key := callerKey{"bk", time.Duration(i).String()}
		remembered.keep(&batch{noted: seenNow{seenKey{key, 1, 1}: true}})
	}
	if n := len(remembered.callers); n > mostSeenCallers {
		t.Errorf("%d callers are remembered", n)
	}
	key := callerKey{"bk", "one"}
	for i := range 2 * mostSeenCards {
		remembered.keep(&batch{noted: seenNow{seenKey{key, 2, uint64(i)}: true}})
	}
	if n := len(remembered.callers[key].cards); n != mostSeenCards {
		t.Errorf("%d cards are remembered", n)
	}
	remembered.keep(&batch{noted: seenNow{seenKey{key, 3, 1}: true}})
	if n := len(remembered.callers[key].cards); n != 1 {
		t.Errorf("%d cards are remembered of a new hour", n)
	}
}

// A suspension tells what was counted in both hours.
func TestSuspensionFigures(t *testing.T) {
	who := &caller{cards: 3, found: 1, earlierCards: 60, earlierFound: 4}
	if got := who.suspension(); got.Cards != 63 || got.Found != 5 {
		t.Errorf("%+v", got)
	}
}
