package fraud

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// eachRule runs a test for every rule of the table.
func eachRule(t *testing.T, run func(*testing.T, *signal, *rule)) {
	for i := range signals {
		for j := range signals[i].rules {
			s, r := &signals[i], &signals[i].rules[j]
			t.Run(s.name+"/"+subjectNames[r.of]+"/"+lengthText(r.window), func(t *testing.T) { run(t, s, r) })
		}
	}
}

// The table makes sense: names are words of the contract's style, points grow, shares are percentages of enough.
func TestTable(t *testing.T) {
	seen := map[string]bool{}
	eachRule(t, func(t *testing.T, s *signal, r *rule) {
		seen[s.name] = true
		if r.threshold < 1 || r.full < r.threshold || r.low < 1 || r.high < r.low || r.high > maxScore || r.count == nothing {
			t.Errorf("%+v", *r)
		}
		if share := r.among != nothing; share != (r.least > 0) || share && r.full > 100 {
			t.Errorf("a share of %d up to %d", r.least, r.full)
		}
		if (r.of == card || r.of == block) != s.telling && s.name != "pin_guessing_pattern" {
			t.Errorf("%s: what strangers do with a card is telling, what a caller does is not", s.name)
		}
		if (r.count == wrong || r.count == labels && r.of == card) && !s.telling {
			t.Errorf("%s tells whether a card exists", s.name)
		}
	})
	for _, published := range []string{"velocity_anomaly", "proxy_ip_detected", "sequential_pan_pattern"} {
		if !seen[published] {
			t.Errorf("no rule gives the published signal %s", published)
		}
	}
	if len(seen) != len(signals) {
		t.Errorf("%d names for %d signals", len(seen), len(signals))
	}
}

// with returns facts in which the rule sees a value and nothing else is so.
func with(r *rule, value int64) *facts {
	var f facts
	if r.among == nothing {
		f[r.of][r.count][r.window] = value
		return &f
	}
	f[r.of][r.count][r.window] = value * r.least
	f[r.of][r.among][r.window] = (100 - value) * r.least
	return &f
}

// Each rule speaks from its threshold on, for its audience alone, grows to its full points, and says what it saw.
func TestEachRule(t *testing.T) {
	eachRule(t, func(t *testing.T, s *signal, r *rule) {
		alone := &signal{name: s.name, telling: s.telling, rules: []rule{*r}}
		for _, public := range []bool{false, true} {
			if got := alone.strongest(with(r, r.threshold-1), asker{public: public}); got.Points != 0 {
				t.Errorf("below the threshold: %+v", got)
			}
			want := Signal{Name: s.name, Of: subjectNames[r.of], Value: r.threshold, Threshold: r.threshold,
				Window: time.Duration(lengths[r.window]) * time.Second, Points: r.low, Telling: s.telling}
			if r.threshold == r.full {
				want.Points = r.high
			}
			if r.from == keys && public || r.from == pages && !public {
				want = Signal{}
			}
			if diff := cmp.Diff(want, alone.strongest(with(r, r.threshold), asker{public: public})); diff != "" {
				t.Errorf("at the threshold (-want +got):\n%s", diff)
			}
			if want.Points == 0 {
				continue
			}
			for _, value := range []int64{r.full, 10 * r.full} {
				if r.among != nothing {
					value = r.full
				}
				if got := alone.strongest(with(r, value), asker{public: public}); got.Points != r.high || got.Value != value {
					t.Errorf("full: %+v", got)
				}
			}
		}
	})
}

// A share of too few says nothing.
func TestShareOfFew(t *testing.T) {
	eachRule(t, func(t *testing.T, _ *signal, r *rule) {
		if r.among == nothing {
			return
		}
		var f facts
		f[r.of][r.count][r.window] = r.least - 1
		if got := r.value(&f); got != 0 {
			t.Errorf("%d %% of %d", got, r.least-1)
		}
		f[r.of][r.count][r.window]++
		if got := r.value(&f); got != 100 {
			t.Errorf("%d %% of %d, want 100", got, r.least)
		}
	})
}

// Points grow with the value and stay between nothing and full.
func TestPointsGrow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.SampledFrom(signals[:]).Draw(t, "signal")
		r := rapid.SampledFrom(s.rules).Draw(t, "rule")
		a := rapid.Int64Range(0, 2*r.full).Draw(t, "a")
		b := rapid.Int64Range(a, 2*r.full).Draw(t, "b")
		if x, y := r.points(a), r.points(b); x > y || x < 0 || y > r.high {
			t.Fatalf("%d points for %d, %d for %d", x, a, y, b)
		}
	})
}

// anyFacts draws counts, most of them within reach of the rules.
func anyFacts(t *rapid.T) *facts {
	var f facts
	for range rapid.IntRange(0, 12).Draw(t, "facts") {
		s := rapid.SampledFrom(signals[:]).Draw(t, "signal")
		r := rapid.SampledFrom(s.rules).Draw(t, "rule")
		f[r.of][r.count][r.window] = rapid.Int64Range(0, 2*max(r.full, 2*r.least)).Draw(t, "count")
		f[r.of][r.among][r.window] = rapid.Int64Range(0, 2*r.least).Draw(t, "among")
	}
	return &f
}

// A score is from 0 to 99, is the sum of its signals, and names each once, the strongest first, from its threshold on.
func TestScoreBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		checkScore(t, judge(anyFacts(t), rapid.Bool().Draw(t, "public"), nil))
	})
}

type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// checkScore checks what is so of every score.
func checkScore(t failer, s Score) {
	t.Helper()
	sum, names := 0, []string{}
	for i, one := range s.Signals {
		sum += one.Points
		if one.Points < 1 || one.Value < one.Threshold || one.Of == "" || i > 0 && one.Points > s.Signals[i-1].Points || slices.Contains(names, one.Name) {
			t.Fatalf("signal %d of %+v", i, s)
		}
		names = append(names, one.Name)
	}
	if s.Hundredths != min(sum, 99) || s.Model != "" {
		t.Fatalf("want %d without a model: %+v", min(sum, 99), s)
	}
	if quiet := s.Uniform(); quiet.Hundredths > s.Hundredths || slices.ContainsFunc(quiet.Signals, func(s Signal) bool { return s.Telling }) {
		t.Fatalf("uniform: %+v of %+v", quiet, s)
	}
}

// Whatever else is so, more of what a rule counts never makes the score less.
func TestMoreIsNeverLess(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		public := rapid.Bool().Draw(t, "public")
		before := anyFacts(t)
		after := *before
		s := rapid.SampledFrom(signals[:]).Draw(t, "more of")
		r := rapid.SampledFrom(s.rules).Draw(t, "rule")
		if r.count == found {
			t.Fatalf("%s gives points for cards that were found", s.name)
		}
		after[r.of][r.count][r.window] += rapid.Int64Range(1, 2*max(r.full, r.least)).Draw(t, "more")
		if x, y := judge(before, public, nil), judge(&after, public, nil); y.Hundredths < x.Hundredths || y.Uniform().Hundredths < x.Uniform().Hundredths {
			t.Fatalf("%+v became %+v", x, y)
		}
	})
}

// The published example comes out: 0.89 with its three signals.
func TestPublishedExample(t *testing.T) {
	var f facts
	f[address][asked][minute], f[address][empties][hour], f[address][listed][always] = 60, 9, 1
	s := judge(&f, true, nil)
	names := []string{}
	for _, one := range s.Signals {
		names = append(names, one.Name)
	}
	if diff := cmp.Diff([]string{"sequential_pan_pattern", "velocity_anomaly", "proxy_ip_detected"}, names); diff != "" || s.Hundredths != 89 {
		t.Errorf("%d (-want +got):\n%s", s.Hundredths, diff)
	}
}
