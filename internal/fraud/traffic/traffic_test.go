package traffic_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

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
