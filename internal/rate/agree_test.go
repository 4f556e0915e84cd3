package rate

import (
	"math/big"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
)

var noon = time.Date(2026, 5, 22, 12, 0, 0, 0, time.UTC)

// observe reads "100.5" or "100.5@90s", which is how long ago it was known; "!down" is a
// source that failed. Sources are called a, b, c…
func observe(t *testing.T, words string) []Observation {
	t.Helper()
	var all []Observation
	for i, word := range strings.Fields(words) {
		o := Observation{Source: string(rune('a' + i))}
		if problem, failed := strings.CutPrefix(word, "!"); failed {
			o.Problem = problem
			all = append(all, o)
			continue
		}
		price, ago, _ := strings.Cut(word, "@")
		r, err := money.ParseRate(price)
		if err != nil {
			t.Fatal(err)
		}
		o.Rate, o.At = r, noon
		if ago != "" {
			d, err := time.ParseDuration(ago)
			if err != nil {
				t.Fatal(err)
			}
			o.At = noon.Add(-d)
		}
		all = append(all, o)
	}
	return all
}

// agreement is what some prices come to.
type agreement struct {
	name, prices string
	rate         string // empty: no quote
	sources      string
	contradicts  bool
}

// What enough fresh sources agree on is the price, and everything else is none.
func TestAgree(t *testing.T) {
	agreed(t, 2, []agreement{
		{"odd", "65850 65849.99 65850.01", "65850/1", "a b c", false},
		{"even", "65850 65851", "131701/2", "a b", false},
		{"one alone", "65850", "", "", false},
		{"none", "", "", "", false},
		{"an old one does not count", "65850 65851 90000@121s", "131701/2", "a b", false},
		{"all old", "65850@121s 65851@3m", "", "", false},
		{"just fresh", "65850@120s 65850@119s", "65850/1", "a b", false},
		{"failed ones do not count", "!down 65850 !down 65852", "65851/1", "b d", false},
		{"an outlier is dropped", "65850 65851 70000", "131701/2", "a b", false},
		{"an outlier below", "1 65851 65850", "131701/2", "b c", false},
		{"two of five", "100 100 100 110 111", "100/1", "a b c", false},
		{"within two percent", "100 101 102", "101/1", "a b c", false},
		{"two that contradict", "100 110", "", "", true},
		{"two and two", "100 100 110 110", "", "", true},
		{"all far apart", "90 100 110", "", "", true},
		{"spread", "98.4 100 101.6", "", "", true},
		{"spread just within", "98.5 100 101.5", "100/1", "a b c", false},
		{"a dollar that is none", "0.9871 0.9873 0.9872", "617/625", "a b c", false},
		{"fine prices", "0.000000000000000001 0.000000000000000001", "1/1000000000000000000", "a b", false},
	})
}

// Of real money three fresh sources tell the price, and more than half of those that do agree.
func TestThreeAgree(t *testing.T) {
	agreed(t, DefaultPolicy().Least, []agreement{
		{"three", "65850 65851 65852", "65851/1", "a b c", false},
		{"two", "65850 65851", "", "", false},
		{"two fresh ones", "65850 65851 65852@121s", "", "", false},
		{"two that answered", "65850 !down 65851", "", "", false},
		{"an outlier of three", "65850 65851 70000", "131701/2", "a b", false},
		{"an outlier of four", "65850 65851 65852 1", "65851/1", "a b c", false},
		{"two outliers of five", "100 100 100 110 111", "100/1", "a b c", false},
		{"two of five", "98 100 100.5 110 111", "", "", true},
		{"two and two", "100 100 110 110", "", "", true},
		{"each of three for itself", "90 100 110", "", "", true},
	})
}

func agreed(t *testing.T, least int, cases []agreement) {
	t.Helper()
	policy := DefaultPolicy()
	policy.Least = least
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			q, ok, err := agree(observe(t, c.prices), policy, noon)
			if (err != nil) != c.contradicts || (err != nil && fault.CodeOf(err) != fault.Unavailable) {
				t.Fatalf("error %v", err)
			}
			if ok != (c.rate != "") {
				t.Fatalf("ok is %t, quote %+v", ok, q)
			}
			if ok && (q.Rate.String() != c.rate || strings.Join(q.Sources, " ") != c.sources) {
				t.Errorf("%s of %v, want %s of %s", q.Rate, q.Sources, c.rate, c.sources)
			}
		})
	}
}

// An operator sees why each source does not count, and a quote is as old as its oldest price.
func TestAgreeExplains(t *testing.T) {
	all := observe(t, "65850@30s 65851@60s 90000 65000@5m !down")
	q, ok, err := agree(all, DefaultPolicy(), noon)
	if err != nil || !ok || !q.At.Equal(noon.Add(-time.Minute)) {
		t.Fatalf("%+v, %t, %v", q, ok, err)
	}
	var problems []string
	for _, o := range all {
		problems = append(problems, o.Problem)
	}
	if diff := cmp.Diff([]string{"", "", problemOutlier, problemOld, "down"}, problems); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}

// A median has as many prices above as below, whatever the order of the sources, and
// nobody who is alone moves it past its neighbours.
func TestMedian(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		prices := rapid.SliceOfN(rapid.Int64Range(1, 1_000_000_00), 1, 9).Draw(t, "prices")
		build := func(prices []int64) (some []observed) {
			for i, p := range prices {
				r, err := money.NewRate(p, 100)
				if err != nil {
					t.Fatal(err)
				}
				some = append(some, observed{&Observation{Source: strconv.Itoa(i), Price: Price{Rate: r}}, ratio(r)})
			}
			return some
		}
		middle := median(build(prices))
		above, below := 0, 0
		for _, p := range prices {
			switch big.NewRat(p, 100).Cmp(middle) {
			case 1:
				above++
			case -1:
				below++
			}
		}
		if above > len(prices)/2 || below > len(prices)/2 {
			t.Errorf("%d above and %d below %s of %v", above, below, middle, prices)
		}
		slices.Reverse(prices)
		if again := median(build(prices)); again.Cmp(middle) != 0 {
			t.Errorf("%s, and %s in another order", middle, again)
		}
		sorted := build(prices)
		median(sorted)
		if got := ratio(exact(middle, sorted)); got.Cmp(middle) != 0 {
			t.Errorf("%s became %s", middle, got)
		}
	})
}

// Rules that cannot hold are refused.
func TestPolicy(t *testing.T) {
	if err := DefaultPolicy().Check(); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*Policy){
		"nobody":         func(p *Policy) { p.Least = 0 },
		"no time":        func(p *Policy) { p.Timeout = 0 },
		"never fresh":    func(p *Policy) { p.Refresh, p.Fresh = 0, 0 },
		"fresh too soon": func(p *Policy) { p.Fresh = p.Refresh - 1 },
		"stale at once":  func(p *Policy) { p.Stale = p.Fresh - 1 },
		"outlier":        func(p *Policy) { p.Outlier = 10_001 },
		"spread":         func(p *Policy) { p.Spread = -1 },
		"refresh before": func(p *Policy) { p.Refresh = -1 },
	} {
		p := DefaultPolicy()
		change(&p)
		if fault.CodeOf(p.Check()) != fault.InvalidRequest {
			t.Errorf("%s: %v", name, p.Check())
		}
	}
}
