package picture

import (
	"image"
	"image/color"
	"math/bits"
	"slices"
)

// Likeness is 64 bits that stay nearly the same when a picture is made smaller or larger,
// compressed again, brighter or darker: which of its coarsest patterns are stronger than
// the middle one. Bits of pictures that have nothing in common differ in about half.
type Likeness uint64

// MaxDistance is in how many bits two likenesses of one picture may differ.
const MaxDistance = 7

// Distance returns in how many bits a and b differ.
func (a Likeness) Distance(b Likeness) int { return bits.OnesCount64(uint64(a ^ b)) }

const (
	grid     = 32 // cells each way
	patterns = 8  // frequencies each way, without the constant one
	samples  = 16 // pixels each way that make a cell, at most
	// plain is how much there must be to see, in all patterns together: a sheet of one
	// colour has only the noise of its compression. It is an eighth of a shade for each.
	plain = patterns * patterns * grid * grid / 4 / 8 << graySteps
	// graySteps and cosineSteps are the bits behind the point.
	graySteps, cosineSteps = 4, 14
)

// Ways are the likenesses of a picture that is turned and mirrored in all eight ways, the
// one of the picture as it is first. The second result is false for a picture on which
// there is next to nothing to see: it would be like others that have as little.
//
// Whole numbers alone are used, so that every machine finds the same.
func Ways(source image.Image) ([8]Likeness, bool) {
	strength := transform(gray(source))
	total := int64(0)
	for _, row := range strength {
		for _, s := range row {
			total += max(s, -s)
		}
	}
	var all [8]Likeness
	for way := range all {
		all[way] = turnedWay(strength, way)
	}
	return all, total >= plain
}

// turnedWay is the likeness of the picture mirrored left to right (1), top to bottom (2)
// and along its diagonal (4): patterns change their sign or their direction, nothing else.
func turnedWay(strength [patterns][patterns]int64, way int) Likeness {
	var turned [patterns * patterns]int64
	for v := range patterns {
		for u := range patterns {
			s := strength[v][u]
			if way&4 != 0 {
				s = strength[u][v]
			}
			if way&1 != 0 && u%2 == 0 { // the first has frequency 1, which is odd
				s = -s
			}
			if way&2 != 0 && v%2 == 0 {
				s = -s
			}
			turned[v*patterns+u] = s
		}
	}
	sorted := turned
	slices.Sort(sorted[:])
	middle := sorted[len(sorted)/2]
	likeness := Likeness(0)
	for i, s := range turned {
		if s >= middle {
			likeness |= 1 << i
		}
	}
	return likeness
}

// gray returns the brightness of each cell of a grid laid over the picture.
func gray(source image.Image) (cells [grid][grid]int64) {
	b := source.Bounds()
	for y := range grid {
		top, bottom := span(y, b.Dy())
		for x := range grid {
			left, right := span(x, b.Dx())
			sum, count := int64(0), int64(0)
			for py := top; py < bottom; py += step(bottom - top) {
				for px := left; px < right; px += step(right - left) {
					sum += int64(color.Gray16Model.Convert(source.At(b.Min.X+px, b.Min.Y+py)).(color.Gray16).Y)
					count++
				}
			}
			cells[y][x] = sum / count >> (8 - graySteps)
		}
	}
	return cells
}

// span returns the pixels of one cell along a side: at least one.
func span(cell, side int) (from, to int) {
	from = cell * side / grid
	return from, max(from+1, (cell+1)*side/grid)
}

func step(length int) int { return (length + samples - 1) / samples }

// transform is the discrete cosine transform (type II) of the grid: how strong the
// patterns of frequencies 1 to 8 are, across and down.
func transform(cells [grid][grid]int64) (strength [patterns][patterns]int64) {
	var rows [grid][patterns]int64
	for y := range grid {
		for u := range patterns {
			for x := range grid {
				rows[y][u] += cells[y][x] * cosine((2*x+1)*(u+1))
			}
			rows[y][u] >>= cosineSteps
		}
	}
	for v := range patterns {
		for u := range patterns {
			for y := range grid {
				strength[v][u] += rows[y][u] * cosine((2*y+1)*(v+1))
			}
			strength[v][u] >>= cosineSteps
		}
	}
	return strength
}

// cosines is a quarter of a wave: cos(k·π/64) for k = 0…32, times 2^14.
var cosines = [2*patterns*2 + 1]int64{
	16384, 16364, 16305, 16207, 16069, 15893, 15679, 15426, 15137, 14811, 14449,
	14053, 13623, 13160, 12665, 12140, 11585, 11003, 10394, 9760, 9102, 8423,
	7723, 7005, 6270, 5520, 4756, 3981, 3196, 2404, 1606, 804, 0,
}

// cosine returns cos(k·π/64), times 2^14.
func cosine(k int) int64 {
	k %= 4 * grid
	if k > 2*grid {
		k = 4*grid - k
	}
	if k > grid {
		return -cosines[2*grid-k]
	}
	return cosines[k]
}
