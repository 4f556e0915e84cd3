package traffic_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/scripcards/scrip/internal/fraud"
	"github.com/scripcards/scrip/internal/fraud/traffic"
)

func all() []traffic.Family { return append(traffic.Known(), traffic.Unseen()...) }

// The same seed makes the same traffic, in the order of time, with every honest group and every family in it.
func TestGenerate(t *testing.T) {
	config := traffic.Config{Seed: 3, Days: 2, Warmup: 1, Families: all(), Campaigns: 1, Size: 0.2}
	one, two := traffic.Generate(config), traffic.Generate(config)
	if diff := cmp.Diff(one.Asks, two.Asks, cmpopts.IgnoreUnexported(traffic.Ask{})); diff != "" {
		t.Fatalf("two runs differ:\n%s", diff)
	}
	groups, families := map[traffic.Group]int{}, map[traffic.Family]int{}
	for i := range one.Asks {
		if i > 0 && one.Asks[i].At < one.Asks[i-1].At {
			t.Fatalf("ask %d comes before the one before", i)
		}
		a, b := one.Actors[one.Asks[i].Actor], two.Actors[two.Asks[i].Actor]
		if one.Card(i) != two.Card(i) || a.Group != b.Group {
			t.Fatalf("ask %d differs", i)
		}
		groups[a.Group]++
		if a.Group == traffic.Attack {
			families[a.Family]++
			if one.Asks[i].At < one.Asks[0].At+23*3600*1e6 {
				t.Fatalf("an attack while all are honest: ask %d", i)
			}
		}
		e, o := one.Event(i)
		if e.Caller == "" || e.Card == e.Before || e.Card == e.After || o.Found && o.WrongPIN || !e.Address.IsValid() {
			t.Fatalf("%+v, %+v", e, o)
		}
	}
	for _, g := range append(traffic.HeavyGroups(), traffic.SupportDesk, traffic.Cardholder, traffic.Newcomer) {
		if groups[g] < 30 {
			t.Errorf("%d asks of %s", groups[g], g)
		}
	}
	for _, f := range all() {
		if families[f] < 20 {
			t.Errorf("%d asks of %s", families[f], f)
		}
	}
}

// No user agent gives an attack away: nearly all that attacks come with are honest callers' too, some honest ones were never seen before, and every way to dress is there; those that are kept out come with families that are kept out alone.
func TestGuises(t *testing.T) {
	s := traffic.Generate(traffic.Config{Seed: 3, Days: 7, Warmup: 1, Families: all(), Campaigns: 4, Size: 1})
	honest, attacks := map[fraud.Hash]int{}, map[fraud.Hash]int{}
	dresses := map[traffic.Dress]int{}
	visits, unknown, tries := 0, 0, 0
	for i := range s.Asks {
		e, _ := s.Event(i)
		who := &s.Actors[s.Asks[i].Actor]
		if s.Attack(i) {
			attacks[e.Agent]++
			dresses[who.Dress]++
			tries++
			if kept := who.Dress == traffic.Costumes || who.Dress == traffic.Drifting; kept && slices.Contains(traffic.Known(), who.Family) {
				t.Fatalf("%s as %s", who.Family, who.Dress)
			}
			continue
		}
		if e.Public {
			visits++
			if honest[e.Agent]+attacks[e.Agent] == 0 {
				unknown++
			}
		}
		if honest[e.Agent]++; who.Dress != "" {
			t.Fatalf("%s as %s", who.Group, who.Dress)
		}
	}
	for _, d := range traffic.Dresses() {
		if dresses[d] < tries/50 {
			t.Errorf("%d of %d asks as %s", dresses[d], tries, d)
		}
	}
	shared, telling := 0, 0 // of agents that honest callers have, and that hardly any has
	for agent, n := range attacks {
		if honest[agent] > 0 {
			shared += n
		}
		if n > 9*honest[agent] {
			telling += n
		}
	}
	if shared < tries*85/100 || telling > tries*20/100 || unknown < visits/100 {
		t.Errorf("of %d attacks' asks %d with honest agents, %d with others; of %d visits %d with a new one", tries, shared, telling, visits, unknown)
	}
}

// No family is both trained on and kept out.
func TestFamiliesArePartitioned(t *testing.T) {
	seen := map[traffic.Family]bool{}
	for _, f := range all() {
		if seen[f] {
			t.Errorf("%s is there twice", f)
		}
		seen[f] = true
	}
}

// What is heard of cards gives no attack away: nobody asks for a card before it was sold, of existing cards as many are known of those that attackers ask for as of those that honest callers do, some of both were sold within a week, most are not known at all, and each is sold once.
func TestNews(t *testing.T) {
	s := traffic.Generate(traffic.Config{Seed: 3, Days: 7, Warmup: 1, Families: all(), Campaigns: 4, Size: 1})
	again := traffic.Generate(traffic.Config{Seed: 3, Days: 7, Warmup: 1, Families: all(), Campaigns: 4, Size: 1})
	if !slices.Equal(s.News, again.News) {
		t.Fatal("two runs differ")
	}
	sold, reloads := map[uint64]int64{}, 0
	for i := range s.News {
		n := &s.News[i]
		at, known := sold[n.Card()]
		switch e := n.Event(); {
		case i > 0 && n.At < s.News[i-1].At:
			t.Fatalf("news %d come before the ones before", i)
		case !n.Reload && known, n.Reload && known && n.At < at, (e.Kind == fraud.Reload) != n.Reload, e.Card == fraud.Hash{}:
			t.Fatalf("news %d: %+v", i, e)
		case n.Reload:
			reloads++
		default:
			sold[n.Card()] = n.At
		}
	}
	const week = 7 * 86_400_000_000
	var asked, known, fresh [2]int // of honest callers, of attackers
	for i := range s.Asks {
		at, ok := sold[s.Card(i)]
		if ok && (at <= s.Asks[i].At) != s.Asks[i].Exists {
			t.Fatalf("ask %d is for a card that is sold at %d: %+v", i, at, s.Asks[i])
		}
		if !s.Asks[i].Exists {
			continue
		}
		who := 0
		if s.Attack(i) {
			who = 1
		}
		asked[who]++
		if ok {
			known[who]++
			if s.Asks[i].At-at < week {
				fresh[who]++
			}
		}
	}
	for who := range asked {
		if known[who] < asked[who]/12 || known[who] > asked[who]/3 || fresh[who] < known[who]/15 || fresh[who] > known[who]/2 {
			t.Errorf("of %d asks %d are known, %d fresh", asked[who], known[who], fresh[who])
		}
	}
	if reloads < 1000 {
		t.Errorf("%d reloads", reloads)
	}
}
