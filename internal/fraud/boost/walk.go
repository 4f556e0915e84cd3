package boost

import "math"

// lanes is how many trees are walked side by side: while one waits for memory, the others
// go on.
const lanes = 8

// branch is a node as it is walked, with nothing for a processor to guess.
type branch struct {
	cut    float32 // +Inf in a leaf: no value is greater
	column uint16
	left   uint16 // how far on the left child is, the right one behind it; 0: a leaf
}

// forest is all trees one behind the other.
type forest struct {
	branches []branch
	values   []float64       // of a node: a leaf's part of the margin, or the mean of what is below
	roots    [][lanes]uint32 // filled up with a leaf of no value
}

// plant lays out trees for walking.
func plant(trees []tree) forest {
	f := forest{roots: make([][lanes]uint32, (len(trees)+lanes-1)/lanes)}
	for i := range len(f.roots) * lanes {
		f.roots[i/lanes][i%lanes] = uint32(len(f.branches))
		if i < len(trees) {
			f.add(trees[i])
		} else {
			f.add(tree{{}})
		}
	}
	return f
}

func (f *forest) add(t tree) {
	for i := range t {
		b := branch{cut: float32(math.Inf(1))}
		if n := &t[i]; n.left != 0 {
			b = branch{n.threshold, uint16(n.column), uint16(int(n.left) - i)}
		}
		f.branches, f.values = append(f.branches, b), append(f.values, t[i].value)
	}
}

// step returns where a row goes from a branch, and 0 if that is a leaf, where it stays.
func (f *forest) step(row []float32, at uint32) (to, left uint32) {
	b := &f.branches[at]
	right := uint32(0)
	if row[b.column] > b.cut { // compiled without a jump
		right = 1
	}
	return at + uint32(b.left) + right, uint32(b.left)
}

// margin is the sum of the leaves that a row comes to, tree after tree.
func (f *forest) margin(row []float32) float64 {
	sum := 0.0
	for i := range f.roots {
		r := &f.roots[i]
		a, b, c, d, e, g, h, k := r[0], r[1], r[2], r[3], r[4], r[5], r[6], r[7]
		for walking := uint32(1); walking != 0; {
			var one, two uint32
			a, one = f.step(row, a)
			b, two = f.step(row, b)
			walking = one | two
			c, one = f.step(row, c)
			d, two = f.step(row, d)
			walking |= one | two
			e, one = f.step(row, e)
			g, two = f.step(row, g)
			walking |= one | two
			h, one = f.step(row, h)
			k, two = f.step(row, k)
			walking |= one | two
		}
		for _, leaf := range [lanes]uint32{a, b, c, d, e, g, h, k} {
			sum += f.values[leaf]
		}
	}
	return sum
}

// explain is margin that also adds to parts what each column did. A tree that came to its
// leaf stays there, and adds nothing.
func (f *forest) explain(row []float32, parts []float64) float64 {
	sum := 0.0
	for i := range f.roots {
		at := f.roots[i]
		for walking := uint32(1); walking != 0; {
			walking = 0
			for lane := range at {
				from := at[lane]
				to, left := f.step(row, from)
				parts[f.branches[from].column] += f.values[to] - f.values[from]
				at[lane] = to
				walking |= left
			}
		}
		for _, leaf := range at {
			sum += f.values[leaf]
		}
	}
	return sum
}
