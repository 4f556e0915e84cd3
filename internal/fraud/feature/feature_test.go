package feature_test

import (
	"math"
	"slices"
	"testing"

	"github.com/scripcards/scrip/internal/fraud/feature"
)

const memory = 16 << 20

// stream is events of a few cards, addresses and merchants, a minute apart.
func stream(n int) []feature.Event {
	events := make([]feature.Event, n)
	for i := range events {
		e := &events[i]
		e.At, e.Kind, e.Amount = 1_700_000_000_000_000+int64(i)*60_000_000, feature.Authorization, int64(1000+i%7*100)
		for role := range feature.Roles {
			e.Keys[role] = feature.Key((i*2654435761>>3)%(3+int(role)) + 1)
		}
	}
	return events
}

func column(t *testing.T, name string) int {
	t.Helper()
	at := slices.Index(feature.Names(), name)
	if at < 0 {
		t.Fatalf("no number is called %s", name)
	}
	return at
}

// Every number has a name of its own and a role, and a role that an event lacks leaves
// its numbers unknown.
func TestSchema(t *testing.T) {
	names := feature.Names()
	if len(names) != feature.Width || len(feature.ColumnRoles()) != feature.Width {
		t.Fatalf("%d names and %d roles for %d numbers", len(names), len(feature.ColumnRoles()), feature.Width)
	}
	unique := slices.Compact(slices.Sorted(slices.Values(names)))
	if len(unique) != len(names) {
		t.Errorf("%d of %d names are unique", len(unique), len(names))
	}
	e := stream(1)[0]
	e.Keys = [feature.Roles]feature.Key{feature.Caller: 1}
	var v feature.Vector
	feature.New(memory).See(&e, &v)
	for i, role := range feature.ColumnRoles() {
		missing := math.IsNaN(float64(v[i]))
		if role != feature.Caller && role != feature.Roles && !missing {
			t.Errorf("%s is %v without a key", names[i], v[i])
		}
	}
	if got := v[column(t, "caller.events_1h")]; got != 0 {
		t.Errorf("a caller that was never seen had %v events", got)
	}
}

// The same events, outcomes and labels in the same order make the same numbers.
func TestReplayIsExact(t *testing.T) {
	run := func() (all []feature.Vector) {
		s := feature.New(memory)
		var marks []feature.Mark
		for i, e := range stream(400) {
			var v feature.Vector
			marks = append(marks, s.See(&e, &v))
			s.Learn(&e, feature.Outcome{Missed: i%3 == 0, WrongSecret: i%9 == 0})
			if i >= 50 {
				s.Label(&marks[i-50], e.At, i%5 == 0)
			}
			all = append(all, v)
		}
		return all
	}
	one, two := run(), run()
	for i := range one {
		for k := range one[i] {
			if math.Float32bits(one[i][k]) != math.Float32bits(two[i][k]) {
				t.Fatalf("event %d: %s is %v and %v", i, feature.Names()[k], one[i][k], two[i][k])
			}
		}
	}
}

// What is seen of an event is what was known before it: counts rise after it, misses
// after its outcome, and frauds when the label arrives.
func TestNothingIsKnownBeforeItsTime(t *testing.T) {
	s, e := feature.New(memory), stream(1)[0]
	read := func(name string) float32 {
		var v feature.Vector
		// A look a second later, by a state that must not change: at a stranger's expense.
		probe := e
		probe.At += 1_000_000
		s.See(&probe, &v)
		return v[column(t, name)]
	}
	var v feature.Vector
	mark := s.See(&e, &v)
	if got := v[column(t, "card.events_1d")]; got != 0 {
		t.Errorf("before the first event there were %v", got)
	}
	if got := read("card.events_1d"); got < 0.99 || got > 1 {
		t.Errorf("after the first event there were %v", got)
	}
	if got := read("address.misses_1d"); got != 0 {
		t.Errorf("%v misses before an outcome", got)
	}
	s.Learn(&e, feature.Outcome{Missed: true})
	if got := read("address.misses_1d"); got < 0.99 {
		t.Errorf("%v misses after one", got)
	}
	if got := read("merchant.frauds_8d"); got != 0 {
		t.Errorf("%v frauds before a label", got)
	}
	s.Label(&mark, e.At+2_000_000, true)
	if got := read("merchant.frauds_8d"); got != 1 {
		t.Errorf("%v frauds after one", got)
	}
	if got := read("merchant.fraud_run"); got != 1 {
		t.Errorf("a run of %v after one", got)
	}
}

// An amount is compared with what is usual for its card, and one that stands out does
// not become usual.
func TestUsualAmounts(t *testing.T) {
	s, v := feature.New(memory), feature.Vector{}
	e := stream(1)[0]
	at := column(t, "ratio")
	pay := func(amount int64) float32 {
		e.At, e.Amount = e.At+3_600_000_000, amount
		s.See(&e, &v)
		return v[at]
	}
	for range 30 {
		pay(20_00)
	}
	for range 10 {
		if got := pay(100_00); got < 4 || got > 5.1 {
			t.Fatalf("five times the usual amount is %v times", got)
		}
	}
	if got := pay(20_00); got < 0.9 || got > 1.1 {
		t.Errorf("the usual amount is %v times the usual", got)
	}
}

// Distinct keys are counted exactly while they are few and to within a third however many there are, and a day later they are forgotten; of those who ask, ranges of numbers where they are known.
func TestDistinct(t *testing.T) {
	s, v := feature.New(64<<20), feature.Vector{}
	e := stream(1)[0]
	at := column(t, "address.distinct_1d")
	see := func(n, ranges int) float32 {
		e.At += 1_000_000
		e.Keys[feature.Card], e.Keys[feature.Range] = feature.Key(n*7919+1), 0
		if ranges > 0 {
			e.Keys[feature.Range] = feature.Key(n%ranges*7907 + 1)
		}
		s.See(&e, &v)
		return v[at]
	}
	seen := 0
	for _, c := range []struct{ upTo, off int }{{1, 0}, {16, 0}, {30, 10}, {100, 33}, {1000, 330}, {8000, 2640}} {
		for ; seen < c.upTo; seen++ {
			see(seen, 0)
			see(seen/2, 0) // who was there already
		}
		if got := see(0, 0); math.Abs(float64(got)-float64(c.upTo)) > float64(c.off) {
			t.Errorf("%d cards are counted as %v", c.upTo, got)
		}
	}
	e.At += 3 * 86_400_000_000
	if got := see(0, 0); got != 0 {
		t.Errorf("three days later there are %v", got)
	}
	e.Keys[feature.Address] = 4711
	for i := range 40 {
		see(i, 4)
	}
	if v[at] != 4 {
		t.Errorf("4 ranges are counted as %v", v[at])
	}
}

// Keys of a turn that is over count with those of the next, and no longer, be they few or many.
func TestDistinctInTurns(t *testing.T) {
	for _, many := range []int{5, 400} {
		s, v := feature.New(64<<20), feature.Vector{}
		e := stream(1)[0]
		e.At = 1_700_006_400_000_000 // an hour begins
		at, hour := column(t, "address.distinct_1h"), int64(3_600_000_000)
		see := func(n int) float32 {
			e.Keys[feature.Card], e.Keys[feature.Range] = feature.Key(n*7919+1), 0
			s.See(&e, &v)
			return v[at]
		}
		for n := range many {
			see(n)
		}
		near := func(want int, when string) {
			t.Helper()
			if got := see(0); math.Abs(float64(got)-float64(want)) > 0.35*float64(want) {
				t.Errorf("%s there are %v, want %d", when, got, want)
			}
		}
		near(many, "at once")
		e.At += hour
		near(many, "an hour later")
		for n := range many {
			see(many + n)
		}
		near(2*many, "with as many others")
		e.At += hour
		near(many+1, "when the first are gone")
		e.At += 2 * hour
		near(0, "when all are")
	}
}

// Seeing, learning and labelling allocate nothing once the keys are known.
func TestNoAllocation(t *testing.T) {
	s, v := feature.New(memory), feature.Vector{}
	events := stream(64)
	i := 0
	once := func() {
		e := &events[i%len(events)]
		i++
		m := s.See(e, &v)
		s.Learn(e, feature.Outcome{Missed: true})
		s.Label(&m, e.At, true)
	}
	for range events {
		once()
	}
	if n := testing.AllocsPerRun(200, once); n != 0 {
		t.Errorf("%v allocations an event", n)
	}
}

func BenchmarkSee(b *testing.B) {
	s, v := feature.New(memory), feature.Vector{}
	events := stream(1024)
	i := 0
	for b.Loop() {
		e := &events[i%len(events)]
		i++
		s.See(e, &v)
		s.Learn(e, feature.Outcome{})
	}
}
