package judge_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/scripcards/scrip/internal/fraud"
	"github.com/scripcards/scrip/internal/fraud/judge"
	"github.com/scripcards/scrip/internal/fraud/rulebook"
)

// curious is a rule of the operator's that looks at what must not be told.
func curious(t testing.TB) *rulebook.Book {
	t.Helper()
	c, err := rulebook.Compile(rulebook.Rule{Name: "curious", When: "credential.wrong_1h >= 3 or score > 0.5 and rules > 0.3 or model > 0.4", Action: rulebook.Review, AtLeast: 70})
	if err != nil {
		t.Fatal(err)
	}
	return &rulebook.Book{Rules: []*rulebook.Compiled{c}}
}

// Beside a card that is found a score is the same whether the other numbers that were asked for do not exist or have other PINs, with and without a rule of the operator's. It is never less than what may be told of what is not found.
func TestFoundTellsNothingOfOthers(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		empty, full, now := newJudge(t), newJudge(t), noon
		if rapid.Bool().Draw(r, "rule") {
			empty.UseBook(curious(t))
			full.UseBook(curious(t))
		}
		for i, s := range steps(r) {
			found := s.n%3 == 0
			e := s.event(now)
			var d judge.Detail
			one, two := empty.Score(&e, &d), full.Score(&e, &d)
			if diff := cmp.Diff(one.Found(), two.Found()); found && diff != "" {
				r.Fatalf("step %d (-unknown +wrong PIN):\n%s", i, diff)
			}
			points := 0
			for _, signal := range two.Found().Signals {
				points += signal.Points
			}
			if shown := two.Found(); shown.Hundredths != min(points, 99) || shown.Hundredths < two.Uniform().Hundredths || shown.Model != two.Model {
				r.Fatalf("step %d: %d points of %+v", i, points, shown)
			}
			empty.Learn(&e, fraud.Outcome{Found: found})
			full.Learn(&e, fraud.Outcome{Found: found, WrongPIN: !found})
			now = now.Add(s.then)
		}
	})
}

// Whoever tried PINs on cards that exist is not shown so beside a card of their own; what was tried on that card itself is shown, and operators see all.
func TestPINGuessingElsewhere(t *testing.T) {
	after := func(outcome fraud.Outcome) fraud.Score {
		j, d := newJudge(t), judge.Detail{Room: new(judge.Room)}
		for i := range 5 {
			e := about(uint64(9000+1000*i), noon.Add(time.Duration(i)*time.Second))
			e.Caller, e.Address = "key_1", netip.MustParseAddr("192.0.2.1")
			j.Score(&e, &d)
			j.Learn(&e, outcome)
		}
		own := about(7, noon.Add(time.Minute))
		own.Caller, own.Address = "key_1", netip.MustParseAddr("192.0.2.1")
		for range 4 {
			j.Score(&own, &d)
			j.Learn(&own, fraud.Outcome{WrongPIN: true})
		}
		return j.Score(&own, &d).Clone()
	}
	unknown, wrong := after(fraud.Outcome{}), after(fraud.Outcome{WrongPIN: true})
	if diff := cmp.Diff(unknown.Found(), wrong.Found()); diff != "" {
		t.Errorf("-unknown +wrong PIN:\n%s", diff)
	}
	if cmp.Equal(unknown.Signals, wrong.Signals) {
		t.Error("operators see no difference: this compares nothing")
	}
	for _, s := range []fraud.Score{unknown, wrong} {
		if !slices.ContainsFunc(s.Found().Signals, func(s fraud.Signal) bool { return s.Name == "pin_guessing_pattern" && s.Of == "card" }) {
			t.Errorf("what was tried on the card itself is not shown: %s", fmt.Sprintf("%+v", s.Found()))
		}
	}
}
