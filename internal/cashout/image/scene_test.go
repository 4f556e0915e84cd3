package image_test

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/cashout/image"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit/snapshot"
)

// shots are photos of cards: two of one card, one of another of its design, and one of
// another design.
var shots = sync.OnceValue(func() map[string][]byte {
	return map[string][]byte{
		"first":    snapshot.Take(snapshot.Deal(3, 1), snapshot.Think(snapshot.Easy, 1)),
		"again":    snapshot.Take(snapshot.Deal(3, 1), snapshot.Think(snapshot.Easy, 2)),
		"other":    snapshot.Take(snapshot.Deal(3, 2), snapshot.Think(snapshot.Easy, 3)),
		"stranger": snapshot.Take(snapshot.Deal(5, 3), snapshot.Think(snapshot.Easy, 4)),
	}
})

// resemble says whom an image looks like, and how.
func resemble(img image.Image) string {
	var text []string
	for _, t := range img.Twins {
		text = append(text, t.Owner+" "+string(t.Resemblance))
	}
	return strings.Join(text, ", ")
}

// Another photo of a card is found as that card, both ways round; one of another card of
// its design as that, by the later one alone; another design is not, nor another realm.
func TestSameCard(t *testing.T) {
	each(t, image.Config{}, func(t *testing.T, b *bundle) {
		live := func(name string) image.Owner { return image.Owner{Realm: realm.Live, ID: name} }
		b.upload(image.Owner{Realm: realm.Test, ID: "sandbox"}, card, shots()["again"])
		b.upload(live("stranger"), card, shots()["stranger"])
		b.upload(live("first"), card, shots()["first"])
		b.upload(live("first"), receipt, shots()["other"])
		b.upload(live("other"), card, shots()["other"])
		b.upload(live("again"), receipt, shots()["again"])
		for _, c := range []struct {
			owner string
			kind  image.Kind
			want  string
		}{
			{"stranger", card, ""}, {"first", card, "again same_card"}, {"first", receipt, "other same_photo"},
			{"other", card, "first same_photo, first same_design"}, {"again", receipt, "first same_card, other same_design, first same_design"},
		} {
			if got := resemble(b.find(live(c.owner), c.kind)); got != c.want {
				t.Errorf("%s, %s: %q, want %q", c.owner, c.kind, got, c.want)
			}
		}
	})
}

// What a card is found by outlives its photo; what a redaction has painted over is gone.
func TestSceneLasts(t *testing.T) {
	each(t, image.Config{KeepFor: time.Hour}, func(t *testing.T, b *bundle) {
		b.upload(b.order, card, shots()["first"])
		b.pass(time.Hour)
		if img := b.find(b.order, card); img.ErasedAt.IsZero() || len(b.chunks()) != 0 {
			t.Fatal("the photo is not erased")
		}
		second := b.upload(image.Owner{Realm: realm.Live, ID: "second"}, card, shots()["again"])
		if got := resemble(second); got != "order1 same_card" {
			t.Errorf("after the photo was erased: %q", got)
		}
		if err := b.Redact(t.Context(), reviewer, second.ID, image.Rect{Width: second.Width, Height: second.Height}); err != nil {
			t.Fatal(err)
		}
		b.apply(forgetTraces.With("order1"))
		if got := resemble(b.upload(image.Owner{Realm: realm.Live, ID: "third"}, card, shots()["first"])); got != "order1 same_photo" {
			t.Errorf("by what was painted over: %q", got)
		}
	})
}

// What scenes are found and compared by is sealed, each in its place.
func TestSceneSealed(t *testing.T) {
	each(t, image.Config{}, func(t *testing.T, b *bundle) {
		b.upload(b.order, card, shots()["first"])
		for _, statement := range []*storage.Statement{allScenes, allTraces} {
			sealed, err := storage.All(t.Context(), b.DB, storage.Scalar[[]byte], statement)
			if err != nil || len(sealed) != 1 {
				t.Fatalf("%d rows, %v", len(sealed), err)
			}
			if row := sealed[0]; bytes.Contains(row, make([]byte, 8)) || len(row) < 1000 {
				t.Errorf("%d bytes are not sealed", len(row))
			}
		}
		err := b.DB.Write(t.Context(), func(ctx context.Context, tx *storage.Tx) error {
			return tx.Apply(ctx, []storage.Effect{moveTrace.With("img_other")})
		})
		if err != nil {
			t.Fatal(err)
		}
		err = b.send(b.presign(image.Owner{Realm: realm.Live, ID: "second"}, card, "a.jpg"), shots()["again"])
		if err == nil || !strings.Contains(err.Error(), "img_other") {
			t.Errorf("a trace in another place opens: %v", err)
		}
	})
}

// Of photos of one card that are uploaded at once each knows all the others.
func TestSameCardAtOnce(t *testing.T) {
	each(t, image.Config{Decoders: 4}, func(t *testing.T, b *bundle) {
		var group sync.WaitGroup
		for _, name := range []string{"first", "again"} {
			o := image.Owner{Realm: realm.Live, ID: name}
			form := b.presign(o, card, "a.jpg")
			group.Go(func() {
				if err := b.send(form, shots()[name]); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			})
		}
		group.Wait()
		for name, want := range map[string]string{"first": "again same_card", "again": "first same_card"} {
			if got := resemble(b.find(image.Owner{Realm: realm.Live, ID: name}, card)); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
	})
}

var (
	allScenes    = storage.SQL("image_test.scenes", `SELECT sealed FROM image_scenes ORDER BY image_id`)
	allTraces    = storage.SQL("image_test.traces", `SELECT sealed FROM image_traces ORDER BY scene_id, image_id`)
	moveTrace    = storage.SQL("image_test.move_trace", `UPDATE image_traces SET image_id = $1`)
	forgetTraces = storage.SQL("image_test.forget_traces", `DELETE FROM image_traces WHERE owner_id = $1`)
)
