package boost

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// plainly is Explain node by node.
func (t tree) plainly(row []float32, at int32, parts []float64) float64 {
	n := t[at]
	if n.left == 0 {
		return n.value
	}
	to := n.left
	if row[n.column] > n.threshold {
		to = n.right
	}
	parts[n.column] += t[to].value - n.value
	return t.plainly(row, to, parts)
}

// anyTree grows at random: from both children of one column, in a chain, to few leaves and
// to many.
func anyTree(t *rapid.T, columns int) tree {
	value := rapid.Float64Range(-2, 2)
	made := tree{{value: value.Draw(t, "value")}}
	for range rapid.IntRange(0, 30).Draw(t, "splits") {
		at := rapid.IntRange(0, len(made)-1).Draw(t, "at")
		if made[at].left != 0 {
			continue
		}
		n := &made[at]
		n.column, n.threshold = int32(rapid.IntRange(0, columns-1).Draw(t, "column")), anyNumber.Draw(t, "threshold")
		n.left, n.right = int32(len(made)), int32(len(made)+1)
		made = append(made, node{value: value.Draw(t, "left")}, node{value: value.Draw(t, "right")})
	}
	return made
}

// anyNumber is often one that another is too, and may be none.
var anyNumber = rapid.OneOf(rapid.Float32(), rapid.SampledFrom([]float32{0, 1, 2, 3, float32(math.NaN()), float32(math.Inf(1)), minimum}))

// Walking trees side by side comes to the same margin as walking them node by node, bit for
// bit, however many there are and whatever a row has; and so does an explanation, which adds up the same parts in another order.
func TestWalk(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		columns := rapid.IntRange(1, 5).Draw(t, "columns")
		trees := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) tree { return anyTree(t, columns) }), 0, 2*lanes+1).Draw(t, "trees")
		m := newModel(make([][]float32, columns), trees)
		row := rapid.SliceOfN(anyNumber, columns, columns).Draw(t, "row")
		want, wantParts := 0.0, make([]float64, columns)
		for _, tree := range trees {
			want += tree.plainly(row, 0, wantParts)
		}
		parts := make([]float64, columns)
		if margin, explained := m.Margin(row), m.Explain(row, parts); margin != want || explained != want || !slices.EqualFunc(parts, wantParts, near) {
			t.Fatalf("%v and %v of %v, want %v of %v", margin, explained, parts, want, wantParts)
		}
	})
}

func near(a, b float64) bool { return math.Abs(a-b) < 1e-9 }

// Trees that cannot be walked side by side are refused: children that are not beside one
// another, before their parent, or not there.
func TestRefusesChildren(t *testing.T) {
	for _, children := range [][2]int32{{1, 2}, {2, 1}, {1, 3}, {0, 1}, {2, 3}, {1, 0}, {-1, 0}} {
		m := Model{Columns: 1, Cuts: [][]float32{{1}}, trees: []tree{{{left: children[0], right: children[1]}, {}, {}}}}
		data, err := m.AppendBinary(nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = Read(data); errors.Is(err, ErrFile) != (children != [2]int32{1, 2}) {
			t.Error(fmt.Sprint(children), err)
		}
	}
}
