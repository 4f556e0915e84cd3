package landmark

import (
	"cmp"
	"math"
	"slices"
)

const (
	// furthest is in how many bits the descriptions of one corner may differ.
	furthest = 80
	// surely is the same where it is known where to look, but not that it is there.
	surely = 66
	// aloneNum of aloneDen: the next best description must differ by so much more.
	aloneNum, aloneDen = 85, 100
	// apart is how far the next best must be from the best, in pixels.
	apart = 12
	// exact is how far from its place a corner may be found, in pixels, and bent how far
	// where lenses have bent the lines.
	exact, bent = 3.5, 6
	// leastAgreed is how many corners must be where they belong.
	leastAgreed = 14
	// leastShare is the share of the photo that they must span, in thousandths.
	leastShare = 30
	tries      = 6
	// company is how many others a mark needs nearby to be believed.
	company = 3
	// smallest and largest are how many times larger the thing may be in a view.
	smallest, largest = 0.2, 5
)

// match is a mark of the photo before and the one of the view that is most like it.
type match struct {
	old, new int
	differ   int
}

// Sight is a thing that was found in a view.
type Sight struct {
	Pose Pose
	// Agreed is how many marks were found where they belong.
	Agreed int
	// outline is the area that they span, in the photo in which the thing was marked.
	outline []point
	// couples are where they are in both.
	couples []couple
}

// nearby is how far from a place the marks are, in pixels, that tell how much is off there.
const nearby = 70

// off is by how much things are beside where the pose has them, about a place: lenses bend
// lines, and cards are not quite flat.
func (s *Sight) off(place point) (off point) {
	total := 1.0
	for _, c := range s.couples {
		dx, dy := c.from.x-place.x, c.from.y-place.y
		weight := 4 * math.Exp(-(dx*dx+dy*dy)/(2*nearby*nearby))
		if weight < 0.01 {
			continue
		}
		at := s.Pose.to(c.from)
		off.x, off.y, total = off.x+weight*(c.to.x-at.x), off.y+weight*(c.to.y-at.y), total+weight
	}
	return point{off.x / total, off.y / total}
}

// Find looks for what m was made of. It returns false where too few marks lie where they
// belong.
func (v *View) Find(m *Marks) (Sight, bool) {
	matches := v.match(m)
	if len(matches) < leastAgreed/2 {
		return Sight{}, false
	}
	var best Sight
	for _, p := range v.guesses(m, matches) {
		if s, ok := v.settle(m, matches, p); ok && s.Agreed > best.Agreed {
			best = s
		}
	}
	return best, best.Agreed >= leastAgreed
}

// match returns the marks that are most like each other, where no other is nearly as like.
func (v *View) match(m *Marks) []match {
	n := len(m.marks)
	back := make([]match, n)
	for i := range back {
		back[i].differ = furthest + 1
	}
	row := make([]int, n)
	var found []match
	for j := range v.marks {
		best := -1
		for i := range m.marks {
			row[i] = differ(&v.marks[j].around, &m.marks[i].around)
			if row[i] <= furthest && (best < 0 || row[i] < row[best]) {
				best = i
			}
			if row[i] < back[i].differ {
				back[i] = match{i, j, row[i]}
			}
		}
		if best >= 0 && alone(m.marks, row, best) {
			found = append(found, match{best, j, row[best]})
		}
	}
	kept := found[:0]
	for _, f := range found {
		if b := back[f.old]; b.new == f.new || near(&v.marks[b.new], &v.marks[f.new]) {
			kept = append(kept, f)
		}
	}
	return kept
}

func near(a, b *mark) bool { return math.Hypot(float64(a.x-b.x), float64(a.y-b.y)) <= apart }

// alone reports whether no mark elsewhere is nearly as like as the best.
func alone(marks []mark, row []int, best int) bool {
	limit := row[best] * aloneDen / aloneNum
	for i, d := range row {
		if d < limit && !near(&marks[i], &marks[best]) {
			return false
		}
	}
	return true
}

// guesses are the poses that single matches speak for, those first that more agree with:
// a mark has a place, a size and a direction.
func (v *View) guesses(m *Marks, matches []match) []Pose {
	type guess struct {
		pose  Pose
		votes int
		from  point
	}
	all := make([]guess, 0, len(matches))
	for _, f := range matches {
		old, now := &m.marks[f.old], &v.marks[f.new]
		scale := math.Pow(levelStep, float64(now.level)-float64(old.level))
		sin, cos := math.Sincos(2 * math.Pi * float64(int(now.angle)-int(old.angle)) / turns)
		a, b := scale*cos, scale*sin
		p, q := old.at(), now.at()
		g := guess{pose: Pose{[9]float64{a, -b, q.x - a*p.x + b*p.y, b, a, q.y - b*p.x - a*p.y, 0, 0, 1}}, from: p}
		for _, other := range matches {
			from, to := m.marks[other.old].at(), v.marks[other.new].at()
			at := g.pose.to(from)
			// Angle and size are coarse: what is farther away may lie farther off.
			if math.Hypot(at.x-to.x, at.y-to.y) < 8+0.2*scale*math.Hypot(from.x-p.x, from.y-p.y) {
				g.votes++
			}
		}
		all = append(all, g)
	}
	slices.SortStableFunc(all, func(a, b guess) int { return cmp.Compare(b.votes, a.votes) })
	var poses []Pose
	for _, g := range all[:min(len(all), tries)] {
		poses = append(poses, g.pose)
	}
	return poses
}

// settle makes a guess exact, and counts who agrees with it.
func (v *View) settle(m *Marks, matches []match, p Pose) (Sight, bool) {
	for i, tolerance := range [...]float64{60, 36, 24, 14, 9, 6, exact} {
		var couples []couple
		for _, f := range matches {
			from, to := m.marks[f.old].at(), v.marks[f.new].at()
			if at := p.to(from); math.Hypot(at.x-to.x, at.y-to.y) < tolerance {
				couples = append(couples, couple{from, to})
			}
		}
		if len(couples) < 7 {
			return Sight{}, false
		}
		better, ok := fit(couples, i >= 3)
		if !ok {
			return Sight{}, false
		}
		p = better
	}
	return v.confirm(m, p)
}

// confirm looks for every mark where the pose has it, the ones that are like others too.
func (v *View) confirm(m *Marks, p Pose) (Sight, bool) {
	var couples []couple
	grid := v.gridOf()
	for _, tolerance := range [...]float64{exact, bent} {
		couples = couples[:0]
		for i := range m.marks {
			old := &m.marks[i]
			at := p.to(old.at())
			if j := grid.closest(v, old, at, tolerance); j >= 0 {
				couples = append(couples, couple{old.at(), v.marks[j].at()})
			}
		}
		if couples = together(couples); len(couples) < leastAgreed {
			return Sight{}, false
		}
		better, ok := fit(couples, true)
		if !ok {
			return Sight{}, false
		}
		p = better
	}
	points := make([]point, len(couples))
	images := make([]point, len(couples))
	for i, c := range couples {
		points[i], images[i] = c.from, c.to
	}
	s := Sight{Pose: p, Agreed: distinct(points), outline: hull(points), couples: couples}
	if area(s.outline)*1000 < leastShare*float64(m.w*m.h) || area(hull(images))*1000 < leastShare*float64(v.levels[0].sharp.w*v.levels[0].sharp.h) {
		return Sight{}, false
	}
	for _, corner := range s.outline {
		if g := p.growth(corner); g < smallest || g > largest {
			return Sight{}, false
		}
	}
	return s, true
}

// together returns the couples that have a few others nearby: single ones are accidents.
func together(couples []couple) []couple {
	var kept []couple
	for i, c := range couples {
		others := 0
		for j, d := range couples {
			if i != j && math.Hypot(c.from.x-d.from.x, c.from.y-d.from.y) < nearby && math.Hypot(c.from.x-d.from.x, c.from.y-d.from.y) > 3 {
				others++
			}
		}
		if others >= company {
			kept = append(kept, c)
		}
	}
	return kept
}

// distinct counts points that are not all but the same.
func distinct(points []point) int {
	seen := map[[2]int]bool{}
	for _, p := range points {
		seen[[2]int{int(p.x / 6), int(p.y / 6)}] = true
	}
	return len(seen)
}

// grid has the marks of a view by where they are.
type grid map[[2]int][]int

const gridSide = 8

func (v *View) gridOf() grid {
	g := grid{}
	for i := range v.marks {
		key := [2]int{int(v.marks[i].x) / gridSide, int(v.marks[i].y) / gridSide}
		g[key] = append(g[key], i)
	}
	return g
}

// closest returns the mark at a place that is most like another; -1 without one.
func (g grid) closest(v *View, like *mark, at point, tolerance float64) int {
	if !(at.x > 0 && at.y > 0 && at.x < 1e5 && at.y < 1e5) {
		return -1
	}
	best, least := -1, surely
	cx, cy := int(at.x)/gridSide, int(at.y)/gridSide
	for y := cy - 1; y <= cy+1; y++ {
		for x := cx - 1; x <= cx+1; x++ {
			for _, j := range g[[2]int{x, y}] {
				to := v.marks[j].at()
				if d := differ(&like.around, &v.marks[j].around); d < least && math.Hypot(at.x-to.x, at.y-to.y) < tolerance {
					best, least = j, d
				}
			}
		}
	}
	return best
}
