// Package landmark finds again what one photo shows in another photo of it: from another
// side, distance and light, on another table.
//
// Look finds a photo's marks: corners with a description that hardly changes when the
// photo is turned, made smaller or lit differently. View.Find finds the flat thing whose
// marks are given in another photo, and where it lies there. Trace describes that thing
// as a photo shows it, in a form that two photos of it can be compared by, so that cards
// of one design are told from the same card.
//
// The same photo gives the same marks in every process; what is kept of them (Marks,
// Trace) means the same in later versions, or is not read. Time and memory are bounded by
// the working size, whatever the photo's. It decides nothing, and keeps no pixels; but
// marks and traces can tell of what was photographed, and are as secret as the photo.
package landmark

import "image"

// Marks and what is kept of a photo are bounded.
const (
	// MaxMarks bounds the marks that are kept of a photo, and maxSeen those of a view: the
	// strongest first.
	MaxMarks, maxSeen = 700, 1400
	// LeastMarks is how many a photo needs to be found again.
	LeastMarks = 40
	// MaxSpots bounds the places at which photos of one thing are compared.
	MaxSpots = 1536
	// workingSide is to how many pixels the longer side of a photo is made smaller.
	workingSide = 1280
	// leastSide is how many pixels the shorter side needs for anything to be found.
	leastSide = 64
)

// View is a photo as it was looked at. It is read only.
type View struct {
	levels []level
	marks  []mark
	weak   [][doubted]uint8 // the bits in doubt of the first marks' words
	spots  []spot
}

// point is a place in a view, in pixels of its working size.
type point struct{ x, y float64 }

// Look finds a photo's marks. There are none in a photo that is very small or plain.
func Look(photo image.Image) *View {
	base := shrink(photo, workingSide)
	v := &View{}
	if min(base.w, base.h) < leastSide {
		return v
	}
	v.levels = pyramid(base)
	v.marks = v.findMarks()
	v.spots = v.findSpots()
	return v
}

// Marks returns what is kept of the view so that its thing can be found in later photos.
func (v *View) Marks() *Marks {
	m := &Marks{marks: v.marks[:min(len(v.marks), MaxMarks)], spots: v.spots}
	if len(v.levels) > 0 {
		m.w, m.h = v.levels[0].sharp.w, v.levels[0].sharp.h
	}
	return m
}

// Marks are a photo's marks, with the places at which it is compared.
type Marks struct {
	w, h  int
	marks []mark
	spots []spot
}

// Len is how many marks there are: 0 to MaxMarks.
func (m *Marks) Len() int { return len(m.marks) }
