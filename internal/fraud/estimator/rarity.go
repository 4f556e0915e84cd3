package estimator

import (
	"slices"

	"github.com/scripcards/scrip/internal/fraud"
	"github.com/scripcards/scrip/internal/fraud/sense"
)

// tails are the shares of honest events that have a value as high as a mark or higher; a
// value at the k'th mark is k+1 units rare.
var tails = [...]float64{0.1, 0.01, 0.001, 0.0002}

// Rarity is how unusual numbers are among honest events: of each column of which more is
// worse, the values that few of them reach. It needs no attacks to learn from.
type Rarity struct {
	Marks []Mark
}

// said are whose numbers are by what callers say of themselves.
var said = []string{sense.Device, sense.Agent}

// Mark is the tail of one column.
type Mark struct {
	Column int
	// Group is whose number it is: of each, the rarest counts.
	Group int
	At    [len(tails)]float32
}

// Rare learns from honest events of a kind, column by column; of some columns only. What
// callers say of themselves is left out: most share it with many, and one that nobody
// shares is a newcomer's as often as an attacker's.
func Rare(kind fraud.Kind, columns [][]float32, honest []int, use func(*sense.Column) bool) Rarity {
	var r Rarity
	groups := map[string]int{}
	for i, c := range sense.Columns(kind) {
		if c.Rising == 0 || !use(&c) || slices.Contains(said, c.Of) {
			continue
		}
		if _, known := groups[c.Of]; !known {
			groups[c.Of] = len(groups)
		}
		values := make([]float32, 0, len(honest))
		for _, row := range honest {
			if x := columns[i][row]; x == x {
				values = append(values, x)
			}
		}
		slices.Sort(values)
		m := Mark{Column: i, Group: groups[c.Of]}
		for k, tail := range tails {
			if len(values) > 0 {
				m.At[k] = values[min(len(values)-1, int((1-tail)*float64(len(values))))]
			}
		}
		if m.At[len(tails)-1] > 0 {
			r.Marks = append(r.Marks, m)
		}
	}
	slices.SortStableFunc(r.Marks, func(a, b Mark) int { return a.Group - b.Group })
	return r
}

// units is how rare a value is: 0 for what one in ten has, one more for each mark.
func (m *Mark) units(x float32) float64 {
	if !(x > m.At[0]) { // a missing one is not rare
		return 0
	}
	for k := 1; k < len(tails); k++ {
		if low, high := m.At[k-1], m.At[k]; x <= high {
			return float64(k-1) + float64((x-low)/(high-low))
		}
	}
	return float64(len(tails))
}

// Of is the sum of how rare the rarest number of each group is.
func (r *Rarity) Of(row *sense.Row) float64 {
	sum := 0.0
	r.each(row, func(_ int, units float64) { sum += units })
	return sum
}

// explain is Of that also adds to parts what each column did.
func (r *Rarity) explain(row *sense.Row, weight float64, parts []float64) float64 {
	sum := 0.0
	r.each(row, func(column int, units float64) {
		sum += units
		parts[column] += weight * units
	})
	return sum
}

// each gives the rarest number of each group.
func (r *Rarity) each(row *sense.Row, do func(column int, units float64)) {
	for i := 0; i < len(r.Marks); {
		group, best, most := r.Marks[i].Group, r.Marks[i].Column, 0.0
		for ; i < len(r.Marks) && r.Marks[i].Group == group; i++ {
			m := &r.Marks[i]
			if units := m.units(row[m.Column]); units > most {
				best, most = m.Column, units
			}
		}
		if most > 0 {
			do(best, most)
		}
	}
}
