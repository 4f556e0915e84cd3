package boost

import (
	"math"
	"slices"
)

// Model is trained trees. It is safe for concurrent use.
type Model struct {
	// Columns is how many numbers a row has.
	Columns int
	// Cuts are where each column was cut in training.
	Cuts   [][]float32
	trees  []tree
	forest forest // the same trees
}

func newModel(cuts [][]float32, trees []tree) *Model {
	return &Model{Columns: len(cuts), Cuts: cuts, trees: trees, forest: plant(trees)}
}

// tree is nodes, the root first. A leaf has no children.
type tree []node

type node struct {
	column      int32
	threshold   float32 // a value up to it goes left, and so does a missing one
	left, right int32   // beside one another; 0: a leaf
	// value is a leaf's part of the margin; within the tree, the mean of what is below,
	// as the training rows fell.
	value float64
	bin   uint16 // of threshold, in training
}

// Trees returns how many trees there are.
func (m *Model) Trees() int { return len(m.trees) }

// Margin returns the score of a row as log-odds. The row has Columns numbers.
func (m *Model) Margin(row []float32) float64 { return m.forest.margin(row) }

// Explain is Margin that also adds to parts, which has one place a column, what each
// column did to the margin. What no column did is the same of every row. It takes longer
// than Margin.
func (m *Model) Explain(row []float32, parts []float64) (margin float64) {
	return m.forest.explain(row, parts)
}

// Slim returns the same model with those cuts alone at which a tree parts.
func (m *Model) Slim() *Model {
	slim := make([][]float32, m.Columns)
	for _, t := range m.trees {
		for i := range t {
			if n := &t[i]; n.left != 0 && n.threshold > minimum {
				slim[n.column] = append(slim[n.column], n.threshold)
			}
		}
	}
	for c := range slim {
		slices.Sort(slim[c])
		slim[c] = slices.Compact(slim[c])
	}
	return newModel(slim, m.trees)
}

// finite reports whether x is a number.
func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }
