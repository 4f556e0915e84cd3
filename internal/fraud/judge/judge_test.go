package judge_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/fraud"
	"github.com/scripcards/scrip/internal/fraud/builtin"
	"github.com/scripcards/scrip/internal/fraud/judge"
	"github.com/scripcards/scrip/internal/fraud/rulebook"
	"github.com/scripcards/scrip/internal/fraud/sense"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// about is a check of the n'th number.
func about(n uint64, at time.Time) fraud.Event {
	name := func(kind string, n uint64) fraud.Hash { return fraud.HashOf(kind, fmt.Sprint(n)) }
	return fraud.Event{Kind: fraud.Ping, At: at, Realm: realm.Live, Book: "book_1", Card: name("n", n), Before: name("n", n-1), After: name("n", n+1),
		Block: name("t", n/10), Hundred: name("h", n/100), Range: name("r", n/5000)}
}

func newJudge(t testing.TB) *judge.Judge {
	t.Helper()
	j := judge.New(sense.New(sense.Config{Memory: fraud.MinMemory, Rules: fraud.Config{Memory: fraud.MinMemory, PaymentMemory: fraud.MinMemory}}))
	m, err := builtin.Model(fraud.Ping)
	if err != nil {
		t.Fatal(err)
	}
	j.Use(fraud.Ping, m, nil)
	return j
}

// step is one drawn ask.
type step struct {
	key, from string
	public    bool
	n         uint64
	found     bool
	then      time.Duration
}

func (s *step) event(at time.Time) fraud.Event {
	e := about(s.n, at)
	e.Caller, e.Public = s.key, s.public
	if s.from != "" {
		e.Address = netip.MustParseAddr(s.from)
	}
	return e
}

func steps(t *rapid.T) []step {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
		return step{key: rapid.SampledFrom([]string{"", "key_1", "key_2"}).Draw(t, "key"), from: rapid.SampledFrom([]string{"", "192.0.2.1", "192.0.2.2", "2001:db8::1"}).Draw(t, "from"),
			public: rapid.Bool().Draw(t, "public"), n: rapid.Uint64Range(5000, 5012).Draw(t, "n"), found: rapid.IntRange(0, 2).Draw(t, "found") == 0,
			then: time.Duration(rapid.SampledFrom([]int{0, 1, 1, 60, 3600, 100_000}).Draw(t, "then")) * time.Second}
	}), 1, 80).Draw(t, "steps")
}

// A score is never below what the rules say, every point of it has a reason, and each name is there once.
func TestRaisesAlone(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		j, now := newJudge(t), noon
		for i, s := range steps(r) {
			e := s.event(now)
			var d judge.Detail
			score := j.Score(&e, &d)
			points, names := 0, map[string]bool{}
			for _, one := range score.Signals {
				points += one.Points
				if one.Points < 1 || one.Of == "" || names[one.Name] {
					r.Fatalf("step %d: %+v", i, score)
				}
				names[one.Name] = true
			}
			told := score.Uniform()
			if score.Hundredths != min(points, 99) || score.Hundredths < d.Rules || told.Hundredths > score.Hundredths || score.Model == "" {
				r.Fatalf("step %d: %d points, rules %d: %+v", i, points, d.Rules, score)
			}
			if slices.ContainsFunc(told.Signals, func(s fraud.Signal) bool { return s.Telling }) {
				r.Fatalf("step %d tells: %+v", i, told)
			}
			j.Learn(&e, fraud.Outcome{Found: s.found})
			now = now.Add(s.then)
		}
	})
}

// With a model too, a uniform score is the same whether the numbers that a caller misses do not exist, have other PINs or are well known to others.
func TestUniformTellsNothing(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		empty, full, now := newJudge(t), newJudge(t), noon
		var d judge.Detail
		for n := uint64(5000); n < 5013; n++ {
			for range rapid.SampledFrom([]int{0, 1, 9}).Draw(r, "asks of others") {
				e := about(n, now)
				e.Caller, e.Address = "key_other", netip.MustParseAddr("203.0.113.9")
				full.Score(&e, &d)
				full.Learn(&e, fraud.Outcome{Found: n%2 == 0, WrongPIN: n%2 == 1})
			}
		}
		for i, s := range steps(r) {
			e := s.event(now)
			one, two := empty.Score(&e, &d), full.Score(&e, &d)
			if diff := cmp.Diff(one.Uniform(), two.Uniform()); diff != "" {
				r.Fatalf("step %d (-unknown +wrong PIN):\n%s", i, diff)
			}
			empty.Learn(&e, fraud.Outcome{Found: s.found})
			full.Learn(&e, fraud.Outcome{Found: s.found, WrongPIN: !s.found})
			now = now.Add(s.then)
		}
	})
}

// A rule of the operator's raises a score and says so, never lowers one, and is not told beside an invalid answer.
func TestOperatorRules(t *testing.T) {
	j := newJudge(t)
	compiled, err := rulebook.Compile(rulebook.Rule{Name: "all", When: `kind == "ping" or amount > 100`, Action: rulebook.Challenge, AtLeast: 60})
	if err != nil {
		t.Fatal(err)
	}
	before := func() (fraud.Score, judge.Detail) {
		e := about(7, noon)
		var d judge.Detail
		return j.Score(&e, &d), d
	}
	plain, _ := before()
	j.UseBook(&rulebook.Book{Rules: []*rulebook.Compiled{compiled}})
	raised, d := before()
	if plain.Hundredths >= 60 || raised.Hundredths != 60 || d.Rule != "all" || d.Action != rulebook.Challenge || raised.Uniform().Hundredths >= 60 {
		t.Errorf("%+v became %+v (%+v)", plain, raised, d)
	}
	j.UseBook(nil)
	for i := range 40 {
		e := about(9000+uint64(i), noon)
		e.Address = netip.MustParseAddr("192.0.2.1")
		j.Score(&e, &d)
		j.Learn(&e, fraud.Outcome{})
	}
	e := about(9100, noon)
	e.Address = netip.MustParseAddr("192.0.2.1")
	high := j.Score(&e, &d).Hundredths
	j.UseBook(&rulebook.Book{Rules: []*rulebook.Compiled{compiled}})
	if got := j.Score(&e, &d).Hundredths; high < 80 || got < high {
		t.Errorf("%d became %d", high, got)
	}
}

// A model says the same of an event as champion and as challenger, whichever of its parts says more.
func TestShadowIsAsked(t *testing.T) {
	j := newJudge(t)
	champion, _ := j.Models(fraud.Ping)
	j.Use(fraud.Ping, champion, champion)
	low := 0
	for i := range 600 { // somebody guesses among cards that others know, and these ask too
		e := about(5000+uint64(i*i%397), noon.Add(time.Duration(i)*40*time.Second))
		e.Caller, e.Address = "key_1", netip.MustParseAddr(fmt.Sprintf("192.0.%d.1", i%5))
		if i%3 > 0 {
			e.Caller, e.Address = fmt.Sprintf("key_%d", 2+i%40), netip.MustParseAddr(fmt.Sprintf("198.51.%d.1", i%40))
		}
		var d judge.Detail
		j.Score(&e, &d)
		j.Learn(&e, fraud.Outcome{Found: i%3 > 0 || i%2 == 0})
		if d.Shadow != d.Model {
			t.Errorf("check %d: %d as champion, %d as challenger", i, d.Model, d.Shadow)
		}
		if champion.Quiet.Probability(&d.Row) > champion.Full.Probability(&d.Row)+0.01 {
			low++
		}
	}
	if low == 0 {
		t.Error("the quiet part never says more: nothing was tried")
	}
}

// A challenger's scores are noted and change nothing; without a champion rules score alone.
func TestShadow(t *testing.T) {
	j, plain := newJudge(t), newJudge(t)
	champion, _ := j.Models(fraud.Ping)
	j.Use(fraud.Ping, champion, champion)
	e := about(7, noon)
	var d, p judge.Detail
	if diff := cmp.Diff(plain.Score(&e, &p), j.Score(&e, &d)); diff != "" || d.Shadow < 0 || d.Challenger != champion.Info.Name || p.Shadow >= 0 {
		t.Errorf("%+v and %+v:\n%s", p, d, diff)
	}
	j.Use(fraud.Ping, nil, nil)
	if score := j.Score(&e, &d); score.Model != "" || d.Model >= 0 {
		t.Errorf("without a model: %+v, %+v", score, d)
	}
}

// Scoring allocates nothing, with a model and a rule in use, be an event clean or suspicious.
func TestAllocations(t *testing.T) {
	j := newJudge(t)
	c, err := rulebook.Compile(rulebook.Rule{When: `address.missed_1h > 5 and network in ("a", "b")`, Action: rulebook.Review})
	if err != nil {
		t.Fatal(err)
	}
	j.UseBook(&rulebook.Book{Rules: []*rulebook.Compiled{c}})
	e := about(7, noon)
	e.Caller, e.Address = "key_1", netip.MustParseAddr("192.0.2.1")
	d := judge.Detail{Room: new(judge.Room)}
	if s := j.Score(&e, &d); s.Hundredths != 0 {
		t.Fatalf("not clean: %+v", s)
	}
	// Many times: the race detector has pools forget some of what they are given.
	n := testing.AllocsPerRun(100, func() {
		e.At = e.At.Add(3 * time.Hour) // it stays clean
		j.Score(&e, &d)
	})
	if n > 0 {
		t.Errorf("%v allocations", n)
	}
	n = testing.AllocsPerRun(100, func() {
		e.At = e.At.Add(time.Second)
		j.Score(&e, &d)
		j.Learn(&e, fraud.Outcome{Found: true, WrongPIN: true})
	})
	if last := j.Score(&e, &d); n > 0 || last.Hundredths < 50 || len(last.Signals) < 3 || last.Told == nil {
		t.Errorf("%v allocations for what becomes suspicious, at last %+v", n, last)
	}
}

// BenchmarkScore counts, scores and explains checks of a crowd: the mean, and what half and all but one in a hundred take at most.
func BenchmarkScore(b *testing.B) {
	j := newJudge(b)
	events := make([]fraud.Event, 4096)
	for i := range events {
		n := uint64(i*i) % 90_007
		events[i] = about(n, noon.Add(time.Duration(i)*time.Second))
		events[i].Caller = fmt.Sprint("key_", i%5)
		events[i].Address = netip.AddrFrom4([4]byte{10, 0, byte(i % 200), byte(i % 7)})
	}
	took := make([]time.Duration, 0, b.N)
	d := judge.Detail{Room: new(judge.Room)}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		e := &events[i%len(events)]
		began := time.Now()
		j.Score(e, &d)
		took = append(took, time.Since(began))
		j.Learn(e, fraud.Outcome{Found: i%3 != 0})
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
}

// payment is the i'th of a thief who tries cards with small amounts at one merchant.
func payment(i int) fraud.Event {
	return fraud.Event{Kind: fraud.Authorization, At: noon.Add(time.Duration(i) * 7 * time.Second), Realm: realm.Live, Book: "book_1", Card: fraud.HashOf("c", fmt.Sprint(i)),
		Merchant: fraud.HashOf("m"), Device: fraud.HashOf("d"), Country: "US", Category: "8398", Remote: true, Amount: money.New(int64(100+i%9), money.USD)}
}

// Payments are scored by their own model: it raises what the rules say, names at most five reasons more, says nothing while too little is known, and a challenger changes nothing.
func TestPayments(t *testing.T) {
	j, shadowed := newJudge(t), newJudge(t)
	m, err := builtin.Model(fraud.Authorization)
	if err != nil {
		t.Fatal(err)
	}
	j.Use(fraud.Authorization, m, nil)
	shadowed.Use(fraud.Authorization, m, m)
	raised := false
	for i := range 80 {
		e := payment(i)
		var d, s judge.Detail
		score, same := j.Score(&e, &d), shadowed.Score(&e, &s)
		points := 0
		for _, one := range score.Signals {
			points += one.Points
			if one.Name == "" || one.Of == "" || one.Points < 1 {
				t.Fatalf("payment %d: %+v", i, one)
			}
		}
		if score.Hundredths != min(points, 99) || score.Hundredths < d.Rules || score.Model != m.Info.Name || score.Told != nil || len(score.Signals) > 11 {
			t.Fatalf("payment %d: %d points, rules %d: %+v", i, points, d.Rules, score)
		}
		if diff := cmp.Diff(score, same); diff != "" || s.Shadow != s.Model || d.Shadow >= 0 {
			t.Fatalf("payment %d, with a challenger %+v:\n%s", i, s, diff)
		}
		if i < 4 && score.Hundredths > 0 {
			t.Errorf("payment %d of cards and a merchant of whom nothing is known: %+v", i, score)
		}
		raised = raised || score.Hundredths > d.Rules+5 && score.Hundredths >= 25
		j.Learn(&e, fraud.Outcome{Found: i%3 == 0, WrongPIN: i%3 == 1})
		shadowed.Learn(&e, fraud.Outcome{Found: i%3 == 0, WrongPIN: i%3 == 1})
	}
	if !raised {
		t.Error("eighty cards tried at one merchant are not noticed")
	}
}

// Of somebody who pays as ever the model says nothing, and a rule of the operator's may look at the numbers of a payment.
func TestOrdinaryPayments(t *testing.T) {
	j := newJudge(t)
	m, err := builtin.Model(fraud.Authorization)
	if err != nil {
		t.Fatal(err)
	}
	j.Use(fraud.Authorization, m, nil)
	e := payment(0)
	pay := func(i int) fraud.Score {
		e.At = noon.Add(time.Duration(i) * 9 * time.Hour)
		e.Merchant, e.Device = fraud.HashOf("shop", fmt.Sprint(i%4)), fraud.HashOf("till", fmt.Sprint(i%4))
		e.Category, e.Remote, e.Amount = "5411", false, money.New(int64(2000+i*37%900), money.USD)
		var d judge.Detail
		score := j.Score(&e, &d)
		j.Learn(&e, fraud.Outcome{Found: true})
		return score
	}
	for i := range 60 {
		if score := pay(i); score.Hundredths >= 20 {
			t.Errorf("payment %d: %+v", i, score)
		}
	}
	c, err := rulebook.Compile(rulebook.Rule{Name: "often", When: `payment.card.asked_1d >= 2 and kind == "authorization"`, Action: rulebook.Review, AtLeast: 40})
	if err != nil {
		t.Fatal(err)
	}
	j.UseBook(&rulebook.Book{Rules: []*rulebook.Compiled{c}})
	if score := pay(60); score.Hundredths < 40 {
		t.Errorf("with the rule: %+v", score)
	}
}
