package till_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/fraud"
	"github.com/scripcards/scrip/internal/fraud/traffic/till"
)

func stream(seed uint64) *till.Stream {
	return till.Generate(till.Config{Seed: seed, Days: 8, Warmup: 2, Families: append(till.Known(), till.Unseen()...), Campaigns: 1, Size: 0.1})
}

// The same seed makes the same payments, in the order of time, another seed others; every group and every family is there, and nobody defrauds in the days before.
func TestStream(t *testing.T) {
	s := stream(1)
	if diff := cmp.Diff(s.Payments, stream(1).Payments); diff != "" {
		t.Error(diff)
	}
	if slices.Equal(s.Payments, stream(2).Payments) {
		t.Error("another seed makes the same")
	}
	groups, families := map[till.Group]int{}, map[till.Family]int{}
	calm := s.Payments[0].At - s.Payments[0].At%86_400_000_000 + 2*86_400_000_000
	for i, p := range s.Payments {
		groups[p.Group]++
		families[p.Family]++
		if i > 0 && p.At < s.Payments[i-1].At || p.Cents < 1 || p.Approved && p.WrongCVC || (p.Group == "") == (p.Family == "") || s.Fraud(i) != (p.Family != "") {
			t.Fatalf("payment %d: %+v", i, p)
		}
		if s.Fraud(i) && p.At < calm {
			t.Fatalf("a fraud in the days before: %+v", p)
		}
	}
	for _, g := range till.Groups() {
		if groups[g] < 5 {
			t.Errorf("%d of %s", groups[g], g)
		}
	}
	for _, f := range append(till.Known(), till.Unseen()...) {
		if families[f] < 5 {
			t.Errorf("%d of %s", families[f], f)
		}
		if slices.Contains(till.Known(), f) == slices.Contains(till.Unseen(), f) {
			t.Errorf("%s is known and unseen, or neither", f)
		}
	}
}

// An event has what a payment over the wire has, and two cards, merchants and terminals are told apart.
func TestEvents(t *testing.T) {
	s := stream(3)
	cards, terminals := map[int32]fraud.Hash{}, map[fraud.Hash]fraud.Hash{}
	for i, p := range s.Payments {
		e, o := s.Event(i)
		if e.Kind != fraud.Authorization || e.Book == "" || len(e.Country) != 2 || len(e.Category) != 4 || e.Amount.Minor != p.Cents || e.At.UnixMicro() != p.At ||
			e.Remote != p.Remote || o.Found != p.Approved || o.WrongPIN != p.WrongCVC {
			t.Fatalf("%+v became %+v, %+v", p, e, o)
		}
		if known, ok := cards[p.Card]; ok && known != e.Card {
			t.Fatalf("card %d has two hashes", p.Card)
		}
		if at, ok := terminals[e.Device]; ok && at != e.Merchant {
			t.Fatalf("a terminal is at two merchants")
		}
		cards[p.Card], terminals[e.Device] = e.Card, e.Merchant
	}
	unique := map[fraud.Hash]bool{}
	for _, h := range cards {
		unique[h] = true
	}
	if len(unique) != len(cards) {
		t.Errorf("%d hashes of %d cards", len(unique), len(cards))
	}
}

// No card pays before it is made, each is made once, and some are older than what the engine heard; some are funded before they pay, stolen ones too.
func TestNews(t *testing.T) {
	s := stream(4)
	if !slices.Equal(s.News, stream(4).News) {
		t.Fatal("two runs differ")
	}
	made, funded := map[int32]int64{}, map[int32]int64{}
	at := 0
	var known, recent [2]int // of honest payments, of frauds
	for i, p := range s.Payments {
		for ; at < len(s.News) && s.News[at].At <= p.At; at++ {
			n := &s.News[at]
			e := n.Event(s)
			if _, again := made[n.Card]; again && !n.Reload || at > 0 && n.At < s.News[at-1].At || e.Payer == (fraud.Hash{}) || (e.Kind == fraud.Reload) != n.Reload {
				t.Fatalf("news %d: %+v", at, e)
			}
			if n.Reload {
				funded[n.Card] = n.At
			} else {
				made[n.Card] = n.At
			}
		}
		who := 0
		if s.Fraud(i) {
			who = 1
		}
		if _, ok := made[p.Card]; ok {
			known[who]++
		}
		if then, ok := funded[p.Card]; ok && p.At-then < 86_400_000_000 {
			recent[who]++
		}
	}
	for ; at < len(s.News); at++ { // of cards that pay, all but fundings are over
		if n := &s.News[at]; !n.Reload {
			t.Errorf("card %d is made after it paid", n.Card)
		}
	}
	frauds := 0
	for i := range s.Payments {
		if s.Fraud(i) {
			frauds++
		}
	}
	for who, all := range [2]int{len(s.Payments) - frauds, frauds} {
		if known[who] < all/3 || known[who] > all*9/10 || recent[who] < all/100 || recent[who] > all/3 {
			t.Errorf("of %d payments %d are of known cards, %d of cards funded the day before", all, known[who], recent[who])
		}
	}
}
