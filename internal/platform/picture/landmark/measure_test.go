package landmark_test

import (
	"fmt"
	"image"
	"testing"

	"github.com/scripcards/scrip/internal/platform/picture/landmark"
	"github.com/scripcards/scrip/internal/testkit/snapshot"
)

// tally is how often what was said of two photos.
type tally struct{ pairs, same, design int }

func (a *tally) add(before, now *landmark.View) {
	l, found := compare(before, now)
	a.pairs++
	switch {
	case found && l.Alike():
		a.same++
	case found && l.Related():
		a.design++
	}
}

func (a tally) report(b *testing.B, name string) {
	b.ReportMetric(float64(a.same*1000/max(a.pairs, 1))/10, name+"_same_%")
	b.ReportMetric(float64(a.design*1000/max(a.pairs, 1))/10, name+"_design_%")
	b.Logf("%s: %d pairs, %d said to be the same card, %d one design", name, a.pairs, a.same, a.design)
}

// BenchmarkCards measures what is said of two photos of one card, of two cards of one
// design and of two designs. docs/images.md has the table.
func BenchmarkCards(b *testing.B) {
	const designs = 30
	for hard, name := range []string{"easy", "usual", "careless"} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				var same, design, other tally
				var before *landmark.View
				for d := range uint64(designs) {
					seed := 1_000_000*uint64(hard+1) + 10*d
					first := look(snapshot.Deal(100+d, 1), snapshot.Hard(hard), seed)
					again, second := look(snapshot.Deal(100+d, 1), snapshot.Hard(hard), seed+1), look(snapshot.Deal(100+d, 2), snapshot.Hard(hard), seed+2)
					same.add(first, again)
					design.add(first, second)
					design.add(again, second)
					if before != nil {
						other.add(before, first)
						other.add(before, second)
					}
					before = again
				}
				same.report(b, "same")
				design.report(b, "design")
				other.report(b, "other")
			}
		})
	}
}

// BenchmarkLook measures what a photo of 12 million pixels costs, without decoding it.
func BenchmarkLook(b *testing.B) {
	small := snapshot.See(snapshot.Deal(1, 1), snapshot.Think(snapshot.Usual, 1)).(*image.YCbCr)
	photo := image.NewYCbCr(image.Rect(0, 0, 4000, 3000), image.YCbCrSubsampleRatio420)
	for y := range 3000 {
		for x := range 4000 {
			photo.Y[y*photo.YStride+x] = small.Y[y*small.Rect.Dy()/3000*small.YStride+x*small.Rect.Dx()/4000]
		}
	}
	for b.Loop() {
		landmark.Look(photo)
	}
}

// BenchmarkFind measures what one earlier photo costs that is looked at closely.
func BenchmarkFind(b *testing.B) {
	for i, name := range []string{"same", "design", "other"} {
		b.Run(name, func(b *testing.B) {
			marks := album()[0].Marks()
			for b.Loop() {
				if s, found := album()[i+1].Find(marks); found {
					album()[i+1].Trace(marks, &s)
				}
			}
		})
	}
}

// BenchmarkCompare measures what each trace of a thing costs.
func BenchmarkCompare(b *testing.B) {
	marks := album()[0].Marks()
	s, _ := album()[1].Find(marks)
	trace, own := album()[1].Trace(marks, &s), album()[0].Own().Bytes()
	b.SetBytes(int64(len(own)))
	for b.Loop() {
		before, err := landmark.ReadTrace(own)
		if err != nil {
			b.Fatal(err)
		}
		if l := marks.Compare(before, trace); l.Windows == 0 {
			b.Fatal(fmt.Sprint(l))
		}
	}
}
