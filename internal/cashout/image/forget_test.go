package image_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/cashout/image"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit/snapshot"
)

const day = 24 * time.Hour

func live(name string) image.Owner { return image.Owner{Realm: realm.Live, ID: name} }

var (
	// countKnown counts what later images could be found by, all or what names one image.
	countKnown = storage.SQL("image_test.count_known", `SELECT (SELECT COUNT(*) FROM image_bands) + (SELECT COUNT(*) FROM image_twins)
		+ (SELECT COUNT(*) FROM image_scenes) + (SELECT COUNT(*) FROM image_heirs) + (SELECT COUNT(*) FROM image_words) + (SELECT COUNT(*) FROM image_traces)
		+ (SELECT COUNT(*) FROM images WHERE likeness IS NOT NULL)`)
	countOf = storage.SQL("image_test.count_of", `SELECT (SELECT COUNT(*) FROM image_bands WHERE image_id = $1) + (SELECT COUNT(*) FROM image_twins WHERE image_id = $1)
		+ (SELECT COUNT(*) FROM image_scenes WHERE image_id = $1 OR scene_id = $1) + (SELECT COUNT(*) FROM image_heirs WHERE image_id = $1 OR scene_id = $1)
		+ (SELECT COUNT(*) FROM image_words WHERE scene_id = $1) + (SELECT COUNT(*) FROM image_traces WHERE image_id = $1 OR scene_id = $1)
		+ (SELECT COUNT(*) FROM images WHERE image_id = $1 AND likeness IS NOT NULL)`)
	countHeirs = storage.SQL("image_test.count_heirs", `SELECT COUNT(*) FROM image_heirs`)
)

func (b *bundle) count(statement *storage.Statement, args ...any) int64 {
	b.t.Helper()
	n, _, err := storage.One(b.t.Context(), b.DB, storage.Scalar[int64], statement, args...)
	if err != nil {
		b.t.Fatal(err)
	}
	return n
}

// decide sets the clocks of an owner's images: the content goes at once, the rest after a while.
func (b *bundle) decide(o image.Owner, marks time.Duration) {
	b.t.Helper()
	now := b.clock.Now()
	b.apply(b.EraseAfter(o, image.End{Content: now, Marks: now.Add(marks)})...)
	b.pass(0)
}

// Nothing is left of a photo when its second time has come but the row, its hash and what the
// audit log says; until then everything is there, without the content.
func TestForgetLeavesNothing(t *testing.T) {
	each(t, image.Config{}, func(t *testing.T, b *bundle) {
		img := b.upload(b.order, card, shots()["first"])
		b.decide(b.order, 400*day)
		known := b.count(countKnown)
		b.pass(400*day - time.Second)
		got := b.find(b.order, card)
		if got.ErasedAt.IsZero() || !got.ForgottenAt.IsZero() || b.count(countKnown) != known || b.count(countOf, string(img.ID)) < 7 {
			t.Fatalf("a moment before: erased %s, forgotten %s, %d rows of %d", got.ErasedAt, got.ForgottenAt, b.count(countKnown), known)
		}
		b.pass(time.Second)
		got = b.find(b.order, card)
		if n := b.count(countKnown); n != 0 || !got.ForgottenAt.Equal(began.Add(400*day)) || got.SHA256 != img.SHA256 {
			t.Errorf("%d rows are left, forgotten at %s", n, got.ForgottenAt)
		}
		records := b.records(img.ID)
		if len(records) != 2 || records[1].Action != "image.forget" || records[1].Actor != "system" || records[1].Detail["sha256"] != img.SHA256 || !records[1].At.Equal(got.ForgottenAt) {
			t.Errorf("records %+v", records)
		}
		b.pass(day)
		if n := len(b.records(img.ID)); n != 2 {
			t.Errorf("forgotten again: %d records", n)
		}
	})
}

// Until its time a copy of a photo and another photo of the card are found, and not after it;
// what was found stays with the later photo until its own time.
func TestForgetEndsFinding(t *testing.T) {
	each(t, image.Config{}, func(t *testing.T, b *bundle) {
		first := b.upload(b.order, card, shots()["first"])
		b.decide(b.order, 400*day)
		b.pass(400*day - time.Second)
		copied := b.upload(live("copy"), receipt, shots()["first"])
		if got := resemble(copied); got != "order1 same_photo" {
			t.Errorf("a copy, a moment before: %q", got)
		}
		b.decide(live("copy"), day)
		b.pass(time.Second)
		if got := resemble(b.find(live("copy"), receipt)); got != "order1 same_photo" {
			t.Errorf("what was found before: %q", got)
		}
		if n := b.count(countOf, string(first.ID)); n != 0 {
			t.Errorf("%d rows are left of the first photo", n)
		}
		b.pass(day)
		if n := b.count(countKnown); n != 0 {
			t.Errorf("%d rows are left of both", n)
		}
		for _, name := range []string{"again", "first"} {
			if got := resemble(b.upload(live("later-"+name), card, shots()[name])); name == "again" && got != "" || name == "first" && got != "later-again same_card" {
				t.Errorf("%s, after the time: %q", name, got)
			}
		}
	})
}

// A card is found by each photo of it until that photo's own time, also where the first
// photo, by whose marks the others are found, is forgotten before.
func TestForgetHandsOver(t *testing.T) {
	each(t, image.Config{}, func(t *testing.T, b *bundle) {
		first := b.upload(live("first"), card, shots()["first"])
		b.upload(live("other"), card, shots()["other"])
		second := b.upload(live("again"), card, shots()["again"])
		b.decide(live("first"), day)
		b.decide(live("other"), 2*day)
		b.decide(live("again"), 3*day)
		b.pass(day)
		if n := b.count(countOf, string(first.ID)); n != 0 || !b.find(live("other"), card).ForgottenAt.IsZero() {
			t.Fatalf("%d rows are left of the first photo", n)
		}
		third := snapshot.Take(snapshot.Deal(3, 1), snapshot.Think(snapshot.Easy, 5))
		img := b.upload(live("third"), card, third)
		if got := resemble(img); got != "again same_card, other same_design" {
			t.Errorf("after the first was forgotten: %q", got)
		}
		b.decide(live("third"), 2*day)
		b.pass(2 * day)
		for _, o := range []image.Image{b.find(live("other"), card), second, img} {
			if n := b.count(countOf, string(o.ID)); n != 0 {
				t.Errorf("%s: %d rows are left", o.Owner.ID, n)
			}
		}
		if n := b.count(countKnown); n != 0 {
			t.Errorf("%d rows are left of all", n)
		}
	})
}

// What a redaction painted over is not handed over: neither of the photo whose marks come
// next, nor of the one that they come after.
func TestForgetAfterRedaction(t *testing.T) {
	for _, redacted := range []string{"first", "again"} {
		t.Run(redacted, func(t *testing.T) {
			each(t, image.Config{}, func(t *testing.T, b *bundle) {
				for _, name := range []string{"first", "other", "again"} {
					b.upload(live(name), card, shots()[name])
				}
				img := b.find(live(redacted), card)
				if err := b.Redact(t.Context(), reviewer, img.ID, image.Rect{Width: img.Width, Height: img.Height}); err != nil {
					t.Fatal(err)
				}
				b.decide(live("first"), day)
				b.pass(day)
				if n := b.count(countHeirs); n != 0 {
					t.Errorf("%d photos wait to take a place", n)
				}
				third := snapshot.Take(snapshot.Deal(3, 1), snapshot.Think(snapshot.Easy, 5))
				if got := resemble(b.upload(live("third"), card, third)); got != "" {
					t.Errorf("by what was painted over: %q", got)
				}
			})
		})
	}
}

// A photo that comes while an earlier one of its scene is forgotten is taken, and is found.
func TestForgetAtOnce(t *testing.T) {
	each(t, image.Config{Decoders: 4}, func(t *testing.T, b *bundle) {
		first := b.upload(live("first"), card, shots()["first"])
		b.decide(live("first"), day)
		b.clock.Advance(day)
		form := b.presign(live("again"), card, "a.jpg")
		var group sync.WaitGroup
		group.Go(func() {
			if err := b.send(form, shots()["again"]); err != nil {
				t.Error(err)
			}
		})
		for range 2 {
			group.Go(func() {
				if err := b.EraseDue(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		if n := b.count(countOf, string(first.ID)); n != 0 || len(b.records(first.ID)) != 2 {
			t.Errorf("%d rows are left, %d records", n, len(b.records(first.ID)))
		}
		third := snapshot.Take(snapshot.Deal(3, 1), snapshot.Think(snapshot.Easy, 5))
		if got := resemble(b.upload(live("third"), card, third)); got != "again same_card" {
			t.Errorf("found %q", got)
		}
	})
}

// Photos that nobody decides about are forgotten, too; more of them than one transaction
// takes are by one sweep, and none before its content is erased.
func TestForgetUndecided(t *testing.T) {
	each(t, image.Config{KeepFor: 3 * day, KeepMarks: 2 * day}, func(t *testing.T, b *bundle) {
		const photos = 23
		for i := range photos {
			b.upload(live(fmt.Sprintf("o%d", i)), card, photo(uint64(100+i), 90))
		}
		if got := b.find(live("o0"), card); !got.ForgetAt.Equal(got.EraseAt) {
			t.Errorf("forgotten at %s, erased at %s", got.ForgetAt, got.EraseAt)
		}
		now := b.clock.Now()
		b.apply(b.EraseAfter(live("o1"), image.End{Content: now.Add(4 * day), Marks: now.Add(day)})...)
		b.pass(3 * day)
		for i := range photos {
			got := b.find(live(fmt.Sprintf("o%d", i)), card)
			if want := i != 1; got.ForgottenAt.IsZero() == want || got.ErasedAt.IsZero() == want {
				t.Errorf("o%d: erased at %s, forgotten at %s", i, got.ErasedAt, got.ForgottenAt)
			}
		}
		b.pass(day)
		if n := b.count(countKnown); n != 0 {
			t.Errorf("%d rows are left", n)
		}
	})
}
