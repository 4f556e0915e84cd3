package landmark_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"image"
	"image/color"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/platform/picture/landmark"
	"github.com/scripcards/scrip/internal/testkit/snapshot"
)

// look photographs a card and looks at the photo.
func look(c snapshot.Card, hard snapshot.Hard, seed uint64) *landmark.View {
	return landmark.Look(snapshot.See(c, snapshot.Think(hard, seed)))
}

// album are the photos that several tests look at: two of one card, one of another of its
// design, and one of another design.
var album = sync.OnceValue(func() [4]*landmark.View {
	return [4]*landmark.View{
		look(snapshot.Deal(3, 1), snapshot.Easy, 1), look(snapshot.Deal(3, 1), snapshot.Easy, 2),
		look(snapshot.Deal(3, 2), snapshot.Easy, 3), look(snapshot.Deal(5, 3), snapshot.Easy, 4),
	}
})

// compare holds a photo against an earlier one.
func compare(before, now *landmark.View) (landmark.Likeness, bool) {
	marks := before.Marks()
	s, found := now.Find(marks)
	if !found {
		return landmark.Likeness{}, false
	}
	return marks.Compare(before.Own(), now.Trace(marks, &s)), true
}

// A card is found in another photo of it and taken for the same; another card of the
// design is found and told apart; another design is not found.
func TestCards(t *testing.T) {
	first, again, other, stranger := album()[0], album()[1], album()[2], album()[3]
	if l, found := compare(first, again); !found || !l.Alike() {
		t.Errorf("the same card: found %t, %+v", found, l)
	}
	if l, found := compare(first, other); !found || !l.Related() || l.Alike() {
		t.Errorf("another card of the design: found %t, %+v", found, l)
	}
	if l, found := compare(first, stranger); found && l.Related() {
		t.Errorf("another design: %+v", l)
	}
}

// Two cards that a later photo shows are compared by their traces in the earliest one.
func TestTraces(t *testing.T) {
	first, again, other := album()[0], album()[1], album()[2]
	marks := other.Marks()
	traces := make([]*landmark.Trace, 2)
	for i, v := range []*landmark.View{first, again} {
		s, found := v.Find(marks)
		if !found {
			t.Fatal("the design is not found")
		}
		traces[i] = v.Trace(marks, &s)
	}
	if l := marks.Compare(traces[0], traces[1]); !l.Alike() {
		t.Errorf("two photos of one card, by another card: %+v", l)
	}
	if l := marks.Compare(other.Own(), traces[1]); l.Alike() {
		t.Errorf("two cards: %+v", l)
	}
}

// Photos of one thing share words, more than others.
func TestWords(t *testing.T) {
	share := func(a, b *landmark.View) (n int) {
		probes := map[uint32]bool{}
		for _, w := range b.Probes() {
			probes[w] = true
		}
		for _, w := range a.Marks().Words() {
			if probes[w] {
				n++
			}
		}
		return n
	}
	first, again, stranger := album()[0], album()[1], album()[3]
	if same, other := share(first, again), share(first, stranger); same < 5 || other >= same {
		t.Errorf("%d words are shared with the same card, %d with another", same, other)
	}
	for _, v := range album() {
		if words, probes := len(v.Marks().Words()), len(v.Probes()); words > 160 || probes > 10_240 {
			t.Errorf("%d words, %d probes", words, probes)
		}
	}
}

// Marks of a later photo take the place of earlier ones: the card is found by them, and
// compared with traces that were made before; so are other cards of its design.
func TestInherit(t *testing.T) {
	first, again, other, stranger := album()[0], album()[1], album()[2], album()[3]
	marks := first.Marks()
	in := func(v *landmark.View, m *landmark.Marks) (landmark.Sight, *landmark.Trace) {
		t.Helper()
		s, found := v.Find(m)
		if !found {
			t.Fatal("the design is not found")
		}
		return s, v.Trace(m, &s)
	}
	place, before := in(again, marks)
	_, beside := in(other, marks)
	heir, err := landmark.ReadMarks(again.Inherit(marks, &place).Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if heir.Len() < landmark.LeastMarks || len(heir.Bytes()) > 33<<10 {
		t.Errorf("%d marks, %d bytes", heir.Len(), len(heir.Bytes()))
	}
	third := look(snapshot.Deal(3, 1), snapshot.Easy, 5)
	_, now := in(third, heir)
	if l := heir.Compare(before, now); !l.Alike() {
		t.Errorf("the same card: %+v", l)
	}
	if l := heir.Compare(beside, now); !l.Related() || l.Alike() {
		t.Errorf("another card of the design: %+v", l)
	}
	if s, found := stranger.Find(heir); found && heir.Compare(before, stranger.Trace(heir, &s)).Related() {
		t.Error("another design is taken for it")
	}
	size := image.Pt(1280, 960)
	kept := heir.Len()
	heir.Forget(before, image.Rect(0, 0, 640, 960), size)
	if heir.Len() == 0 || heir.Len() >= kept {
		t.Errorf("half of the marks: %d of %d are left", heir.Len(), kept)
	}
	heir.Forget(before, image.Rectangle{Max: size}, size)
	if l := heir.Compare(before, now); heir.Len() != 0 || l != (landmark.Likeness{}) {
		t.Errorf("%d marks and %+v are left of what was painted over", heir.Len(), l)
	}
}

// What is kept is read back as it was, is bounded, and is the same for the same photo.
func TestBytes(t *testing.T) {
	first, again := album()[0], album()[1]
	marks, own := first.Marks(), first.Own()
	kept, trace := marks.Bytes(), own.Bytes()
	if len(kept) > 33<<10 || len(trace) > 13<<10 {
		t.Errorf("%d and %d bytes", len(kept), len(trace))
	}
	read, err := landmark.ReadMarks(kept)
	if err != nil {
		t.Fatal(err)
	}
	readTrace, err := landmark.ReadTrace(trace)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(read.Bytes(), kept) || !bytes.Equal(readTrace.Bytes(), trace) {
		t.Error("what was read is something else")
	}
	s, _ := again.Find(marks)
	r, found := again.Find(read)
	want, got := marks.Compare(own, again.Trace(marks, &s)), read.Compare(readTrace, again.Trace(read, &r))
	if diff := cmp.Diff(want, got); !found || diff != "" {
		t.Errorf("-before +after\n%s", diff)
	}
	if twice := look(snapshot.Deal(3, 1), snapshot.Easy, 1); !bytes.Equal(twice.Marks().Bytes(), kept) || !bytes.Equal(twice.Own().Bytes(), trace) {
		t.Error("the same photo has other marks")
	}
}

// What is kept of photos is described as it was in earlier versions of the program.
func TestVersion(t *testing.T) {
	img := image.NewGray(image.Rect(0, 0, 200, 160))
	for y := range 160 {
		for x := range 200 {
			img.SetGray(x, y, color.Gray{uint8((x/17*53 + y/13*91) * 37)})
		}
	}
	sum := sha256.Sum256(landmark.Look(img).Marks().Bytes())
	if got := hex.EncodeToString(sum[:8]); got != "f4fef151373b6589" {
		t.Errorf("marks %s: what is kept in databases is not understood any more; a change needs another version", got)
	}
}

// Bytes that are not marks, or of another version, are refused.
func TestReadRefuses(t *testing.T) {
	kept, trace := album()[0].Marks().Bytes(), album()[0].Own().Bytes()
	for name, in := range map[string][]byte{"nothing": nil, "cut": kept[:len(kept)-1], "longer": append(bytes.Clone(kept), 0), "version": append([]byte{9}, kept[1:]...), "a trace": trace} {
		if _, err := landmark.ReadMarks(in); err == nil {
			t.Errorf("marks, %s: taken", name)
		}
	}
	for name, in := range map[string][]byte{"nothing": nil, "cut": trace[:len(trace)-1], "short": trace[:40], "version": append([]byte{9}, trace[1:]...)} {
		if _, err := landmark.ReadTrace(in); err == nil {
			t.Errorf("trace, %s: taken", name)
		}
	}
}

// What an area shows is forgotten: nothing of the card is left to be compared when all of
// it was painted over, and the rest where a corner was.
func TestForget(t *testing.T) {
	first, again := look(snapshot.Deal(3, 1), snapshot.Easy, 1), look(snapshot.Deal(3, 1), snapshot.Easy, 2) // not those of the others
	size := image.Pt(1280, 960)
	marks := first.Marks()
	s, _ := again.Find(marks)
	own, trace := first.Own(), again.Trace(marks, &s)
	before := marks.Compare(own, trace)
	trace.Forget(marks, image.Rect(0, 0, 640, 960), size)
	half := marks.Compare(own, trace)
	if half.Windows == 0 || half.Windows > before.Windows*3/4 {
		t.Errorf("half of a trace: %d of %d areas are left", half.Windows, before.Windows)
	}
	trace.Forget(marks, image.Rectangle{Max: size}, size)
	if l := marks.Compare(own, trace); l != (landmark.Likeness{}) {
		t.Errorf("all of a trace: %+v is left", l)
	}
	kept := marks.Len()
	marks.Forget(first.Own(), image.Rect(0, 0, 640, 960), size)
	if marks.Len() == 0 || marks.Len() >= kept {
		t.Errorf("half of the marks: %d of %d are left", marks.Len(), kept)
	}
	marks.Forget(first.Own(), image.Rectangle{Max: size}, size)
	if marks.Len() != 0 || len(marks.Words()) != 0 {
		t.Errorf("all of the marks: %d are left", marks.Len())
	}
	if l := marks.Compare(own, own); l != (landmark.Likeness{}) {
		t.Errorf("places: %+v is left", l)
	}
}

// In photos that are small or plain, in any form of pixels, there is nothing to find, and
// nothing fails.
func TestPlain(t *testing.T) {
	first := album()[0]
	for name, img := range map[string]image.Image{
		"small": image.NewNRGBA(image.Rect(0, 0, 16, 16)), "narrow": image.NewGray(image.Rect(0, 0, 10_000, 16)), "black": image.NewRGBA(image.Rect(0, 0, 900, 700)),
		"white": image.NewUniform(color.White), "palette": image.NewPaletted(image.Rect(5, 5, 205, 155), color.Palette{color.Black, color.White}),
		"deep": image.NewNRGBA64(image.Rect(0, 0, 130, 90)), "photo": image.NewYCbCr(image.Rect(0, 0, 301, 201), image.YCbCrSubsampleRatio420),
	} {
		if u, plain := img.(*image.Uniform); plain {
			img = sheet{u}
		}
		v := landmark.Look(img)
		if n := v.Marks().Len(); n != 0 || len(v.Probes()) != 0 {
			t.Errorf("%s: %d marks", name, n)
		}
		if _, found := v.Find(first.Marks()); found {
			t.Errorf("%s: a card is found", name)
		}
		if _, found := first.Find(v.Marks()); found {
			t.Errorf("%s: it is found on a card", name)
		}
		if l := v.Marks().Compare(v.Own(), v.Own()); l.Related() {
			t.Errorf("%s: %+v", name, l)
		}
	}
}

// sheet is one colour, of a certain size.
type sheet struct{ *image.Uniform }

func (sheet) Bounds() image.Rectangle { return image.Rect(-50, -50, 450, 250) }

// The pixels of every form of picture are read: what is found is the same.
func TestForms(t *testing.T) {
	photo := snapshot.Draw(snapshot.Deal(3, 1), snapshot.Think(snapshot.Easy, 1)).(*image.RGBA)
	plain := image.NewNRGBA(photo.Rect)
	copy(plain.Pix, photo.Pix)
	want := landmark.Look(photo).Marks().Bytes()
	for name, img := range map[string]image.Image{"NRGBA": plain, "any": hidden{photo}} {
		if !bytes.Equal(landmark.Look(img).Marks().Bytes(), want) {
			t.Errorf("%s: other marks", name)
		}
	}
}

// hidden is a picture of a form that nobody knows.
type hidden struct{ image.Image }

// FuzzRead proves that no bytes make reading, comparing and finding fail.
func FuzzRead(f *testing.F) {
	first := album()[0]
	f.Add(first.Marks().Bytes(), first.Own().Bytes())
	f.Fuzz(func(t *testing.T, kept, trace []byte) {
		m, err := landmark.ReadMarks(kept)
		if err != nil {
			return
		}
		if !bytes.Equal(m.Bytes(), kept) {
			t.Error("what was read is something else")
		}
		r, err := landmark.ReadTrace(trace)
		if err != nil {
			r = first.Own()
		}
		if s, found := first.Find(m); found {
			m.Compare(r, first.Trace(m, &s))
			first.Inherit(m, &s)
		}
		m.Compare(r, r)
		r.Forget(m, image.Rect(3, 3, 90, 90), image.Pt(100, 100))
		m.Forget(r, image.Rect(3, 3, 90, 90), image.Pt(100, 100))
	})
}
