package boost

import (
	"runtime"
	"sync"
)

// builder grows trees one after the other.
type builder struct {
	params *Params
	labels []bool
	weight []float32
	cuts   [][]float32
	bins   [][]uint16 // by column, by row
	starts []int      // of each column's bins in a histogram
	size   int        // of a histogram

	margin    []float64
	gradient  []float32
	hessian   []float32
	random    random
	trees     []tree
	spare     []histogram
	processes int
}

// cell is the sums of the rows of one bin.
type cell struct {
	gradient, hessian float64
	rows              int32
}

type histogram []cell

func newBuilder(t *Table, p *Params) *builder {
	n := len(t.Positive)
	b := &builder{params: p, labels: t.Positive, weight: t.Weights, margin: make([]float64, n), gradient: make([]float32, n),
		hessian: make([]float32, n), random: random{p.Seed}, processes: runtime.GOMAXPROCS(0),
		cuts: make([][]float32, len(t.Columns)), bins: make([][]uint16, len(t.Columns)), starts: make([]int, len(t.Columns))}
	b.each(len(t.Columns), func(c int) {
		b.cuts[c] = cutsOf(t.Columns[c], p.Bins)
		b.bins[c] = make([]uint16, n)
		for i, x := range t.Columns[c] {
			b.bins[c][i] = binOf(b.cuts[c], x)
		}
	})
	for c := range b.cuts {
		b.starts[c] = b.size
		b.size += len(b.cuts[c]) + 2
	}
	return b
}

// each has do called for 0 to n-1, on all processors.
func (b *builder) each(n int, do func(int)) {
	if b.processes == 1 || n == 1 {
		for i := range n {
			do(i)
		}
		return
	}
	var group sync.WaitGroup
	for first := range b.processes {
		group.Go(func() {
			for i := first; i < n; i += b.processes {
				do(i)
			}
		})
	}
	group.Wait()
}

// leaf is a leaf of the tree that grows.
type leaf struct {
	node              int32
	rows              []int32
	gradient, hessian float64
	sums              histogram
	low, high         float64 // bounds of its value, for monotone columns
	best              split
}

// split is the best way to part a leaf; gain is 0 if there is none.
type split struct {
	column            int
	bin               uint16 // the last that goes left
	gain              float64
	gradient, hessian float64 // of the left part
}

// grow adds a tree. It reports whether the tree has a split.
func (b *builder) grow() bool {
	rows, columns := b.prepare()
	root := &leaf{rows: rows, low: -maxValue, high: maxValue}
	for _, i := range rows {
		root.gradient += float64(b.gradient[i])
		root.hessian += float64(b.hessian[i])
	}
	root.sums = b.sum(rows, columns)
	b.search(root, columns)
	made := tree{{value: b.value(root)}}
	leaves := []*leaf{root}
	for len(leaves) < b.params.Leaves {
		at := best(leaves)
		if at < 0 {
			break
		}
		left, right := b.part(&made, leaves[at], columns)
		leaves[at] = left
		leaves = append(leaves, right)
	}
	for _, l := range leaves {
		b.release(l.sums)
	}
	if len(made) == 1 {
		return false
	}
	made.average()
	b.trees = append(b.trees, made)
	b.apply(made)
	return true
}

// maxValue bounds a leaf, which keeps margins finite.
const maxValue = 20

// prepare computes the gradients and draws the rows and columns that a tree sees.
func (b *builder) prepare() (rows []int32, columns []int) {
	for i := range b.margin {
		weight := 1.0
		if b.weight != nil {
			weight = float64(b.weight[i])
		}
		p := sigmoid(b.margin[i])
		want := 0.0
		if b.labels[i] {
			want, weight = 1, weight*b.params.PositiveWeight
		}
		b.gradient[i] = float32(weight * (p - want))
		b.hessian[i] = float32(weight * max(p*(1-p), 1e-16))
	}
	for i := range b.margin {
		if b.params.Rows == 1 || b.random.below(b.params.Rows) {
			rows = append(rows, int32(i))
		}
	}
	for c := range b.cuts {
		if len(b.cuts[c]) > 0 && (b.params.Columns == 1 || b.random.below(b.params.Columns)) {
			columns = append(columns, c)
		}
	}
	return rows, columns
}

// sum makes the histogram of some rows over some columns.
func (b *builder) sum(rows []int32, columns []int) histogram {
	h := b.histogram()
	b.each(len(columns), func(k int) {
		c := columns[k]
		cells, bins := h[b.starts[c]:b.starts[c]+len(b.cuts[c])+2], b.bins[c]
		clear(cells)
		for _, i := range rows {
			s := &cells[bins[i]]
			s.gradient += float64(b.gradient[i])
			s.hessian += float64(b.hessian[i])
			s.rows++
		}
	})
	return h
}

func (b *builder) histogram() histogram {
	if n := len(b.spare); n > 0 {
		h := b.spare[n-1]
		b.spare = b.spare[:n-1]
		return h
	}
	return make(histogram, b.size)
}

func (b *builder) release(h histogram) {
	if h != nil {
		b.spare = append(b.spare, h)
	}
}

// search finds the best split of a leaf.
func (b *builder) search(l *leaf, columns []int) {
	l.best = split{}
	if len(l.rows) < 2*b.params.MinRows {
		return
	}
	found := make([]split, len(columns))
	b.each(len(columns), func(k int) { found[k] = b.searchColumn(l, columns[k]) })
	for _, s := range found { // in order: equal gains are decided the same way every time
		if s.gain > l.best.gain {
			l.best = s
		}
	}
}

func (b *builder) searchColumn(l *leaf, c int) split {
	cells := l.sums[b.starts[c] : b.starts[c]+len(b.cuts[c])+2]
	var left cell
	found, total := split{column: c}, len(l.rows)
	parent := b.score(l.gradient, l.hessian)
	for bin := 0; bin < len(cells)-1; bin++ {
		if cells[bin].rows == 0 {
			continue
		}
		left.gradient += cells[bin].gradient
		left.hessian += cells[bin].hessian
		left.rows += cells[bin].rows
		rows := int(left.rows)
		if rows < b.params.MinRows {
			continue
		}
		right := cell{gradient: l.gradient - left.gradient, hessian: l.hessian - left.hessian}
		if total-rows < b.params.MinRows {
			break
		}
		if left.hessian < b.params.MinHessian || right.hessian < b.params.MinHessian || !b.mayPart(l, c, left, right) {
			continue
		}
		gain := b.score(left.gradient, left.hessian) + b.score(right.gradient, right.hessian) - parent - b.params.MinGain
		if gain > found.gain {
			found.bin, found.gain, found.gradient, found.hessian = uint16(bin), gain, left.gradient, left.hessian
		}
	}
	return found
}

func (b *builder) score(gradient, hessian float64) float64 {
	return gradient * gradient / (hessian + b.params.L2)
}

// mayPart reports whether a monotone column rises, or falls, over a split.
func (b *builder) mayPart(l *leaf, c int, left, right cell) bool {
	if b.params.Monotone == nil || b.params.Monotone[c] == 0 {
		return true
	}
	low, high := b.bounded(l, left.gradient, left.hessian), b.bounded(l, right.gradient, right.hessian)
	if b.params.Monotone[c] < 0 {
		low, high = high, low
	}
	return low <= high
}

func (b *builder) bounded(l *leaf, gradient, hessian float64) float64 {
	return min(max(-gradient/(hessian+b.params.L2), l.low), l.high)
}

func (b *builder) value(l *leaf) float64 {
	return b.params.Rate * b.bounded(l, l.gradient, l.hessian)
}

// best is where the leaf with the greatest gain is; -1 if none can be parted.
func best(leaves []*leaf) int {
	at := -1
	for i, l := range leaves {
		if l.best.gain > 0 && (at < 0 || l.best.gain > leaves[at].best.gain) {
			at = i
		}
	}
	return at
}

// part splits a leaf in two, which take its place.
func (b *builder) part(made *tree, l *leaf, columns []int) (left, right *leaf) {
	s := l.best
	bins := b.bins[s.column]
	n := len(l.rows)
	one, two := make([]int32, 0, n), make([]int32, 0, n/2)
	for _, i := range l.rows {
		if bins[i] <= s.bin {
			one = append(one, i)
		} else {
			two = append(two, i)
		}
	}
	left = &leaf{rows: one, gradient: s.gradient, hessian: s.hessian, low: l.low, high: l.high}
	right = &leaf{rows: two, gradient: l.gradient - s.gradient, hessian: l.hessian - s.hessian, low: l.low, high: l.high}
	b.limit(l, left, right)
	b.histograms(l, left, right, columns)
	b.search(left, columns)
	b.search(right, columns)
	left.node, right.node = int32(len(*made)), int32(len(*made)+1)
	*made = append(*made, node{value: b.value(left)}, node{value: b.value(right)})
	parent := &(*made)[l.node]
	parent.column, parent.left, parent.right = int32(s.column), left.node, right.node
	parent.threshold, parent.bin = b.threshold(s), s.bin
	return left, right
}

// limit keeps what is below a split of a monotone column on its side of the middle.
func (b *builder) limit(l, left, right *leaf) {
	if b.params.Monotone == nil || b.params.Monotone[l.best.column] == 0 {
		return
	}
	middle := (b.bounded(l, left.gradient, left.hessian) + b.bounded(l, right.gradient, right.hessian)) / 2
	if b.params.Monotone[l.best.column] > 0 {
		left.high, right.low = middle, middle
	} else {
		left.low, right.high = middle, middle
	}
}

// histograms sums the smaller part's and takes it off the whole for the other.
func (b *builder) histograms(l, left, right *leaf, columns []int) {
	small, large := left, right
	if len(left.rows) > len(right.rows) {
		small, large = right, left
	}
	if len(large.rows) < 2*b.params.MinRows { // neither will be parted
		b.release(l.sums)
		l.sums = nil
		return
	}
	small.sums = b.sum(small.rows, columns)
	whole := l.sums
	b.each(len(columns), func(k int) {
		c := columns[k]
		from, to := b.starts[c], b.starts[c]+len(b.cuts[c])+2
		for i := from; i < to; i++ {
			s := &small.sums[i]
			whole[i].gradient -= s.gradient
			whole[i].hessian -= s.hessian
			whole[i].rows -= s.rows
		}
	})
	large.sums, l.sums = whole, nil
}

// threshold is the value of a split: bins are 1 and how many cuts are below.
func (b *builder) threshold(s split) float32 {
	if s.bin == 0 {
		return minimum // only what is missing goes left
	}
	return b.cuts[s.column][s.bin-1]
}

// average gives every node within the tree the mean of what is below it.
func (t tree) average() {
	// Children stand behind their parents, so their values are known first from the end.
	for i := len(t) - 1; i >= 0; i-- {
		if n := &t[i]; n.left != 0 {
			n.value = (t[n.left].value + t[n.right].value) / 2
		}
	}
}

// apply adds a tree to the margin of every row, those that it did not see too.
func (b *builder) apply(t tree) {
	const chunk = 4096
	chunks := (len(b.margin) + chunk - 1) / chunk
	b.each(chunks, func(k int) {
		for i := k * chunk; i < min((k+1)*chunk, len(b.margin)); i++ {
			n := &t[0]
			for n.left != 0 {
				if b.bins[n.column][i] <= n.bin {
					n = &t[n.left]
				} else {
					n = &t[n.right]
				}
			}
			b.margin[i] += n.value
		}
	})
}
