package landmark

import (
	"cmp"
	"math"
	"slices"
)

// mark is a corner of a photo and what is around it.
type mark struct {
	x, y   float32 // in pixels of the working size
	level  int8    // in steps of levelStep; below zero for what is larger in the photo that was looked at
	angle  uint8   // in turns of 1/turns
	around [4]uint64
}

func (m *mark) at() point { return point{float64(m.x), float64(m.y)} }

// circle are the sixteen pixels around one, clockwise from the top (FAST: Rosten and
// Drummond, Machine learning for high-speed corner detection, 2006).
var circle = [16][2]int{{0, -3}, {1, -3}, {2, -2}, {3, -1}, {3, 0}, {3, 1}, {2, 2}, {1, 3}, {0, 3}, {-1, 3}, {-2, 2}, {-3, 1}, {-3, 0}, {-3, -1}, {-2, -2}, {-1, -3}}

const (
	// contrast is by how much nine pixels in a row must differ from the one in the middle.
	contrast = 10
	arc      = 9
	turns    = 64
	// radius is that of what is described around a mark, in pixels of its level.
	radius = 15
	// plotSide is the side of the plots among which marks are spread, in pixels.
	plotSide = 80
)

// corner is a pixel that may become a mark.
type corner struct {
	x, y, level int
	strength    int64
}

// findMarks returns the strongest corners, spread over the photo.
func (v *View) findMarks() []mark {
	var all []corner
	for i := range v.levels {
		all = append(all, corners(v.levels[i].sharp, i)...)
	}
	all = v.spread(all)
	marks := make([]mark, 0, len(all))
	for _, c := range all {
		l := &v.levels[c.level]
		angle := direction(&l.smooth, c.x, c.y)
		if len(v.weak) < maxProbed {
			v.weak = append(v.weak, doubts(&l.smooth, c.x, c.y, angle))
		}
		marks = append(marks, mark{
			x: kept((float64(c.x)+0.5)*l.scale - 0.5), y: kept((float64(c.y)+0.5)*l.scale - 0.5),
			level: int8(c.level), angle: angle, around: describe(&l.smooth, c.x, c.y, angle),
		})
	}
	return marks
}

// kept rounds a coordinate to what Bytes keeps of it.
func kept(x float64) float32 { return float32(math.Round(x*parts) / parts) }

// spread returns at most maxSeen corners: from each plot of the photo its strongest, then
// from each its second, and so on.
func (v *View) spread(all []corner) []corner {
	place := func(c *corner) int {
		s := v.levels[c.level].scale
		return int(float64(c.y)*s)/plotSide<<16 | int(float64(c.x)*s)/plotSide
	}
	slices.SortFunc(all, func(a, b corner) int {
		return cmp.Or(cmp.Compare(place(&a), place(&b)), cmp.Compare(b.strength, a.strength),
			cmp.Compare(a.level, b.level), cmp.Compare(a.y, b.y), cmp.Compare(a.x, b.x))
	})
	type ranked struct {
		corner
		rank int
	}
	list := make([]ranked, len(all))
	for i := range all {
		if list[i].corner = all[i]; i > 0 && place(&all[i]) == place(&all[i-1]) {
			list[i].rank = list[i-1].rank + 1
		}
	}
	slices.SortStableFunc(list, func(a, b ranked) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(b.strength, a.strength))
	})
	kept := all[:0]
	for _, r := range list[:min(len(list), maxSeen)] {
		kept = append(kept, r.corner)
	}
	return kept
}

// corners finds those of one level, none beside a stronger one.
func corners(p plane, level int) []corner {
	var offsets [16]int
	for i, o := range circle {
		offsets[i] = o[1]*p.w + o[0]
	}
	var found []corner
	strengths := make([]int64, p.w*p.h)
	for y := border; y < p.h-border; y++ {
		for x := border; x < p.w-border; x++ {
			i := y*p.w + x
			if isCorner(p.pix, i, &offsets) {
				if s := strength(&p, x, y); s > 0 {
					strengths[i], found = s, append(found, corner{x, y, level, s})
				}
			}
		}
	}
	kept := found[:0]
	for _, c := range found {
		i, best := c.y*p.w+c.x, true
		for _, d := range [8]int{-p.w - 1, -p.w, -p.w + 1, -1, 1, p.w - 1, p.w, p.w + 1} {
			best = best && (strengths[i+d] < c.strength || strengths[i+d] == c.strength && d > 0)
		}
		if best {
			kept = append(kept, c)
		}
	}
	return kept
}

// isCorner reports whether nine of the sixteen pixels around one, in a row, are all
// brighter or all darker than it.
func isCorner(pix []byte, i int, offsets *[16]int) bool {
	low, high := int(pix[i])-contrast, int(pix[i])+contrast
	quarters := 0 // bits of those four a quarter apart
	for q := range 4 {
		if v := int(pix[i+offsets[4*q]]); v > high {
			quarters += 1
		} else if v < low {
			quarters += 16
		}
	}
	if quarters&15 < 2 && quarters>>4 < 2 {
		return false
	}
	brighter, darker := uint32(0), uint32(0)
	for n, o := range offsets {
		if v := int(pix[i+o]); v > high {
			brighter |= 1 << n
		} else if v < low {
			darker |= 1 << n
		}
	}
	return inRow(brighter) || inRow(darker)
}

// inRow reports whether nine of sixteen bits in a circle are set in a row.
func inRow(bits uint32) bool {
	bits |= bits << 16
	run := bits & (bits >> 1) // two
	run &= run >> 2           // four
	run &= run >> 4           // eight
	return run&(bits>>(arc-1)) != 0
}

// strength is how much of a corner a pixel is (Harris and Stephens, 1988): how much the
// brightness changes both ways around it.
func strength(p *plane, x, y int) int64 {
	const reach = 3
	var xx, yy, xy int64
	for dy := -reach; dy <= reach; dy++ {
		i := (y+dy)*p.w + x
		for dx := -reach; dx <= reach; dx++ {
			j := i + dx
			gx := int64(p.pix[j+1]) - int64(p.pix[j-1])
			gy := int64(p.pix[j+p.w]) - int64(p.pix[j-p.w])
			xx, yy, xy = xx+gx*gx, yy+gy*gy, xy+gx*gy
		}
	}
	return xx*yy - xy*xy - (xx+yy)*(xx+yy)/25
}

// direction is where it is brighter around a mark, in turns of 1/turns.
func direction(p *plane, x, y int) uint8 {
	var mx, my int
	for dy := -radius; dy <= radius; dy++ {
		half := int(math.Sqrt(float64(radius*radius - dy*dy)))
		i := (y+dy)*p.w + x
		for dx := -half; dx <= half; dx++ {
			v := int(p.pix[i+dx])
			mx, my = mx+dx*v, my+dy*v
		}
	}
	turn := math.Atan2(float64(my), float64(mx)) / (2 * math.Pi) * turns
	return uint8(int(math.Round(turn)+turns) % turns)
}
