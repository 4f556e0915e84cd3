//go:build !race

package judge_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/fraud"
	"github.com/scripcards/scrip/internal/fraud/judge"
)

// A suspicious check costs what is kept of it and no more: the rules' list, the list of all reasons, and what may be told. With the race
// detector pools forget on purpose.
func TestSuspiciousAllocations(t *testing.T) {
	j := newJudge(t)
	var d judge.Detail
	thief := func(i int) fraud.Event {
		e := about(uint64(90_000+i), noon.Add(time.Duration(i)*time.Second))
		e.Caller, e.Address = "key_1", netip.MustParseAddr("192.0.2.1")
		return e
	}
	for i := range 40 {
		e := thief(i)
		j.Score(&e, &d)
		j.Learn(&e, fraud.Outcome{})
	}
	e := thief(40)
	if s := j.Score(&e, &d); s.Hundredths < 80 || s.Told == nil || len(s.Signals) < 2 {
		t.Fatalf("not suspicious: %+v", s)
	}
	if n := testing.AllocsPerRun(100, func() { j.Score(&e, &d) }); n > 3 {
		t.Errorf("%v allocations", n)
	}
}
