package rulebook_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/fraud"
	"github.com/scripcards/scrip/internal/fraud/rulebook"
	"github.com/scripcards/scrip/internal/fraud/sense"
)

func compile(t testing.TB, when string) *rulebook.Compiled {
	t.Helper()
	c, err := rulebook.Compile(rulebook.Rule{When: when, Action: rulebook.Review})
	if err != nil {
		t.Fatalf("%s: %v", when, err)
	}
	return c
}

// event has 12 misses of an address in an hour, no known gaps, and a score of 0.35.
func event() *rulebook.Event {
	e := &rulebook.Event{Row: &sense.Row{}, Score: 35, Rules: 20, Model: 35, Kind: "ping", Network: "scrip"}
	for i, c := range sense.Columns(fraud.Ping) {
		if c.Key() == "address.missed_1h" {
			e.Row[i] = 12
		}
	}
	return e
}

// Conditions mean what they say: brackets before signs, and before or, and what is unknown is no answer.
func TestConditions(t *testing.T) {
	for when, want := range map[string]bool{
		`address.missed_1h >= 12`:                       true,
		`address.missed_1h > 12`:                        false,
		`address.missed_1h + 1 > 12 and kind == "ping"`: true,
		`1 + 2 * 3 == 7`:                                true,
		`(1 + 2) * 3 == 9`:                              true,
		`8 - 2 - 1 == 5`:                                true,
		`-2 < -1`:                                       true,
		`true or true and false`:                        true,
		`(true or true) and false`:                      false,
		`not score < 0.3 and model > rules`:             true,
		`network in ("visa", "scrip")`:                  true,
		`network in ("visa")`:                           false,
		`country != "US"`:                               true,
		`1 / 0 == 0 or 1 / 0 != 0 or 1 / 0 < 0`:         false,
		`amount == 0`:                                   true,
		"amount == 0\r\n\tand kind == \"ping\"\r\n":     true,
		`credential.fading_gap < 1 or credential.missed_share_1h > 0.5`: true,
	} {
		if got := compile(t, when).Holds(event()); got != want {
			t.Errorf("%s is %t", when, got)
		}
	}
	payment := &rulebook.Event{Kind: "authorization", Amount: 5000}
	if compile(t, `address.missed_1h >= 0`).Holds(payment) || !compile(t, `amount > 4999`).Holds(payment) {
		t.Error("a payment has numbers of balance checks, or no amount")
	}
}

// A share that is just what a condition says is neither more nor less than that.
func TestSharesAtTheEdge(t *testing.T) {
	e := event()
	share := func(x float32) {
		for i, c := range sense.Columns(fraud.Ping) {
			if c.Key() == "address.missed_share_1d" {
				e.Row[i] = x
			}
		}
	}
	for n := range 100 {
		share(float32(n) / 100)
		for when, want := range map[string]bool{`s >= x`: true, `s <= x`: true, `s == x`: true, `x <= s`: true, `x == (s)`: true, `s > x`: false, `s < x`: false, `s != x`: false,
			`x < s`: false, `not s >= x`: false, `s > -x`: n > 0} {
			when = strings.NewReplacer("s", "address.missed_share_1d", "x", fmt.Sprintf("0.%02d", n)).Replace(when)
			if got := compile(t, when).Holds(e); got != want {
				t.Errorf("%s is %t", when, got)
			}
		}
	}
	e.Amount = 9_007_199_254_740_991
	for when, want := range map[string]bool{`amount == 9007199254740991`: true, `amount > 9007199254740990`: true, `score == 0.35`: true, `score >= 0.35 and model <= 0.35`: true} {
		if got := compile(t, when).Holds(e); got != want {
			t.Errorf("%s is %t", when, got)
		}
	}
}

// What is no condition is refused where it is wrong, with a reason.
func TestRefused(t *testing.T) {
	for _, when := range []string{``, `1`, `"a"`, `score`, `score <`, `score < "a"`, `kind < "a"`, `nothing.known > 1`, `(score > 1`, `score > 1)`, `score > 1 1`,
		`not 1`, `1 and true`, `kind in "a"`, `kind in ("a"`, `kind in (1)`, `score in ("a")`, `kind == "a`, `score # 1`, `1.2.3 > 1`, `- "a" > 1`, `kind + 1 > 1`} {
		_, err := rulebook.Compile(rulebook.Rule{When: when, Action: rulebook.Review})
		if fault.CodeOf(err) != fault.InvalidRequest || err.Error() == "" {
			t.Errorf("%s: %v", when, err)
		}
	}
	_, err := rulebook.Compile(rulebook.Rule{When: `score ≥ 0.8`, Action: rulebook.Review})
	if err == nil || !strings.Contains(err.Error(), "'≥'") {
		t.Errorf("another sign: %v", err)
	}
	compile(t, `network == "`+strings.Repeat("ü", rulebook.MaxText-13)+`"`)
	for _, r := range []rulebook.Rule{{When: "true"}, {When: "true", Action: "explode"}, {When: "true", Action: rulebook.Block, AtLeast: 100}, {When: "true", Action: rulebook.Block, AtLeast: -1}} {
		if _, err := rulebook.Compile(r); fault.CodeOf(err) != fault.InvalidRequest {
			t.Errorf("%+v: %v", r, err)
		}
	}
}

// A long condition takes no more than a few times what a short one does, however many names it has.
func TestLongConditions(t *testing.T) {
	const one = `address.missed_1h > 1`
	cost := func(when string) float64 { return testing.AllocsPerRun(3, func() { compile(t, when) }) }
	if short, long := cost(one), cost(one+strings.Repeat(" or "+one, 75)); long > 2*short {
		t.Errorf("%v allocations, and %v of a short one", long, short)
	}
}

// Of the rules that hold the strongest action counts, and the highest score.
func TestVerdict(t *testing.T) {
	var book rulebook.Book
	for _, r := range []rulebook.Rule{{When: "true", Action: rulebook.Review, AtLeast: 70}, {When: "false", Action: rulebook.Block, AtLeast: 99}, {When: "score > 0.1", Action: rulebook.Challenge, AtLeast: 50}} {
		c, err := rulebook.Compile(r)
		if err != nil {
			t.Fatal(err)
		}
		book.Rules = append(book.Rules, c)
	}
	if got := book.Judge(event()); got != (rulebook.Verdict{Rule: 2, Action: rulebook.Challenge, AtLeast: 70}) {
		t.Errorf("%+v", got)
	}
	if got := (*rulebook.Book)(nil).Judge(event()); got != (rulebook.Verdict{Rule: -1}) {
		t.Errorf("no rules: %+v", got)
	}
	e := event()
	if n := testing.AllocsPerRun(100, func() { book.Judge(e) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// Whatever is written, reading it ends, and what was read can be asked.
func FuzzCompile(f *testing.F) {
	for _, seed := range []string{`score > 0.5`, `not (kind in ("a", "b")) or -1 < amount / 0`, `((((`, `not not not true`, "- - - 1 > 0"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, when string) {
		c, err := rulebook.Compile(rulebook.Rule{When: when, Action: rulebook.Review})
		if err == nil {
			c.Holds(event())
			c.Holds(&rulebook.Event{})
		}
	})
}
