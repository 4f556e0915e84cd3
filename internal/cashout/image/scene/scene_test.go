package scene

import (
	"fmt"
	"slices"
	"testing"
)

// Who shares the most words is looked at among many who share a few rare ones, and who shares rare words among many who share an emblem.
func TestChosen(t *testing.T) {
	var words []shared
	share := func(scene string, from, to int64) {
		for w := from; w < to; w++ {
			words = append(words, shared{w, scene})
		}
	}
	share("most", 0, 25)
	share("rare", 100, 108)
	for i := range int64(40) {
		emblem, stranger := fmt.Sprint("emblem", i), fmt.Sprint("stranger", i)
		share(emblem, 0, 20)
		share(stranger, 1000+10*i, 1007+10*i)
	}
	all := tally(words)
	if len(all) != 82 {
		t.Errorf("%d scenes share words", len(all))
	}
	byWords, byWeight := first(all, maxKnown, votes.byWords), first(all, maxKnown, votes.byWeight)
	if byWords[0] != (votes{"most", 25, 20*(1000/41) + 5*1000}) || byWeight[0] != (votes{"rare", 8, 8000}) {
		t.Errorf("first are %+v and %+v", byWords[0], byWeight[0])
	}
	ids := chosen(byWords, byWeight, []votes{{scene: "most"}, {scene: "popular"}})
	for _, want := range []string{"most", "rare", "popular"} {
		if !slices.Contains(ids, want) {
			t.Errorf("%s is not among %v", want, ids)
		}
	}
	if len(ids) != 2*maxAsked/3+1 {
		t.Errorf("%d are chosen: %v", len(ids), ids)
	}
}
