package image_test

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/cashout/image"
	scenery "github.com/scripcards/scrip/internal/cashout/image/scene"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/job"
	"github.com/scripcards/scrip/internal/platform/picture/landmark"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/platform/vault"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/snapshot"
)

var earlier = flag.Int("earlier", 10_000, "photos that BenchmarkSearch searches")

const (
	// drawn is how many designs there are; from a photo of each the marks and words of a share
	// of all earlier photos are made.
	drawn = 32
	// common is how many photos show a scene that many do: as many as are looked at.
	common = 2000
	// mostScenes is how many scenes have one word, as package scene bounds it, about.
	mostScenes = 40
	fillBatch  = 2048
)

// crowd returns the words of one of many scenes, of which there is the view of a design.
type crowd func(design *landmark.View, random *rand.Rand) []uint32

// cousins have the words of a drawn photo with each of their bits turned with a chance of one
// in eight.
func cousins(design *landmark.View, random *rand.Rand) []uint32 {
	words := slices.Clone(design.Marks().Words())
	for i := range words {
		words[i] ^= random.Uint32() & random.Uint32() & random.Uint32()
	}
	return words
}

// lookalikes of a view have words that are looked for, so that as many scenes have each of
// them as may: no search can find more.
func lookalikes(of *landmark.View) crowd {
	probes := of.Probes()
	return func(_ *landmark.View, random *rand.Rand) []uint32 {
		words := make([]uint32, 160)
		for i := range words {
			words[i] = probes[random.IntN(len(probes))]
		}
		return words
	}
}

// memory is a store of photos that a benchmark fills.
type memory struct {
	b     *testing.B
	db    *storage.DB
	vault *vault.Vault
	views []*landmark.View
}

// BenchmarkSearch measures how long it takes to look for a card among so many earlier photos,
// on each engine: the search alone, the same where very many photos show the card, and an
// upload with everything that it does. The earlier photos' words, marks and likenesses are
// drawn, and have the shape and size of real ones. docs/images.md has the figures; -earlier
// says how many there are.
func BenchmarkSearch(b *testing.B) {
	views := []*landmark.View{landmark.Look(snapshot.See(snapshot.Deal(3, 1), snapshot.Think(snapshot.Easy, 1)))}
	for i := range uint64(drawn - 1) {
		views = append(views, landmark.Look(snapshot.See(snapshot.Deal(200+i, 1), snapshot.Think(snapshot.Usual, i))))
	}
	view := landmark.Look(snapshot.See(snapshot.Deal(3, 1), snapshot.Think(snapshot.Easy, 2)))
	for _, engine := range testkit.Engines() {
		b.Run(engine+"/cousins", func(b *testing.B) {
			m := filled(b, engine, cousins, views)
			b.Run("search", func(b *testing.B) { m.search(b, view, true) })
			b.Run("upload", m.upload)
			m.spread()
			b.Run("common", func(b *testing.B) { m.search(b, view, true) })
		})
		b.Run(engine+"/lookalikes", func(b *testing.B) {
			m := filled(b, engine, lookalikes(view), views)
			b.Run("search", func(b *testing.B) { m.search(b, view, false) })
			b.Run("upload", m.upload)
		})
	}
}

// filled is a new memory of earlier photos.
func filled(b *testing.B, engine string, c crowd, views []*landmark.View) *memory {
	db := testkit.Open(b, testkit.Database(b, engine))
	sealed, err := vault.Open(b.Context(), db, vault.NewMasterKey())
	if err != nil {
		b.Fatal(err)
	}
	m := &memory{b, db, sealed, views}
	watch := clock.Start()
	m.fill(c, *earlier)
	b.Logf("%d earlier photos were written in %s", *earlier, watch.Elapsed())
	return m
}

// search looks for a view.
func (m *memory) search(b *testing.B, view *landmark.View, known bool) {
	scenes := scenery.New(m.vault)
	for b.Loop() {
		f, err := scenes.Search(b.Context(), m.db, scenery.Photo{ID: "img_new", Realm: realm.Live, Owner: "new", Kind: string(card)}, view)
		if err != nil || known && (len(f.Matches) == 0 || f.Matches[0].Owner != sought || !f.Matches[0].Same) {
			b.Fatalf("found %+v, %v", f.Matches, err)
		}
	}
}

// upload has a photo of the card taken.
func (m *memory) upload(b *testing.B) {
	clocks, file := clock.NewRealms(clock.NewManual(began)), snapshot.Take(snapshot.Deal(3, 1), snapshot.Think(snapshot.Easy, 2))
	s := image.New(image.Deps{DB: m.db, Vault: m.vault, Audit: audit.New(m.db), Clocks: clocks, Jobs: job.New(m.db, clocks, slog.New(slog.DiscardHandler)),
		Config: image.Config{URL: address}})
	for n := 0; b.Loop(); n++ {
		form, err := s.Presign(b.Context(), image.Upload{Owner: image.Owner{Realm: realm.Live, ID: fmt.Sprint("new", n)}, Kind: card, FileName: "a.jpg", Size: 1})
		if err != nil {
			b.Fatal(err)
		}
		ticket, err := s.Accept(b.Context(), form.Fields())
		if err == nil {
			err = s.Take(b.Context(), ticket, file)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

// fill writes n earlier photos, and one of the card that is searched for.
func (m *memory) fill(c crowd, n int) {
	m.b.Helper()
	m.do(dropIndex)
	random := rand.New(rand.NewPCG(1, 2))
	marks, traces := make([][]byte, len(m.views)), make([][]byte, len(m.views))
	for i, v := range m.views {
		marks[i], traces[i] = v.Marks().Bytes(), v.Own().Bytes()
	}
	having := map[uint32]int{}
	var words [][]any
	keep := func(scene string, of []uint32) {
		for _, w := range of {
			if having[w]++; having[w] <= mostScenes {
				words = append(words, []any{"live", int64(w), scene})
			}
		}
	}
	var scenes, seen, bands [][]any
	for i := range n {
		id, photo, owner := fmt.Sprintf("scn_%026d", i), fmt.Sprintf("img_%026d", i), fmt.Sprintf("cash_%026d", i)
		own, other := i%len(m.views), (i+1)%len(m.views)
		of := c(m.views[own], random)
		slices.Sort(of)
		keep(id, slices.Compact(of))
		// The marks are another design's: who is looked at closely is not found.
		scenes = append(scenes, []any{id, "live", photo, int64(1), m.seal("image.marks", id, photo, marks[other])})
		seen = append(seen, []any{id, photo, owner, string(card), m.seal("image.trace", id, photo, traces[other])})
		for band, likeness := range likenesses(random) {
			bands = append(bands, []any{"live", int64(band), likeness.bits, photo, owner, string(card), likeness.whole})
		}
		if len(scenes) == fillBatch || i == n-1 {
			m.write(rows{scenes: scenes, traces: seen, bands: bands})
			scenes, seen, bands = nil, nil, nil
		}
	}
	scenes = [][]any{{sought, "live", sought, int64(1), m.seal("image.marks", sought, sought, marks[0])}}
	seen = [][]any{{sought, sought, sought, string(card), m.seal("image.trace", sought, sought, traces[0])}}
	m.write(rows{scenes: scenes, traces: seen})
	for _, w := range m.views[0].Marks().Words() {
		words = append(words, []any{"live", int64(w), sought})
	}
	slices.SortFunc(words, func(a, b []any) int { return int(a[1].(int64) - b[1].(int64)) })
	for len(words) > 0 {
		some := words[:min(len(words), 16*fillBatch)]
		m.write(rows{words: some})
		words = words[len(some):]
	}
	m.do(makeIndex)
	if m.db.Engine() == "postgres" {
		m.do(analyze)
	}
}

// sought is what the card is called that is searched for: its scene, photo and owner.
const sought = "sought"

// spread has as many photos show the card as are looked at.
func (m *memory) spread() {
	trace := m.views[0].Own().Bytes()
	var seen [][]any
	for i := range common - 1 {
		photo := fmt.Sprint(sought, i)
		seen = append(seen, []any{sought, photo, sought, string(card), m.seal("image.trace", sought, photo, trace)})
	}
	m.write(rows{traces: seen})
}

// band is a quarter of a likeness, and the likeness.
type band struct{ bits, whole int64 }

func likenesses(random *rand.Rand) [4]band {
	whole := random.Uint64()
	var all [4]band
	for i := range all {
		all[i] = band{int64(whole >> (16 * i) & 0xffff), int64(whole)}
	}
	return all
}

func (m *memory) seal(purpose, scene, photo string, plain []byte) []byte {
	sealed, err := m.vault.Seal(purpose, scene+"/"+photo, plain)
	if err != nil {
		m.b.Fatal(err)
	}
	return sealed
}

// rows are what one transaction writes.
type rows struct{ scenes, traces, bands, words [][]any }

func (m *memory) write(r rows) {
	m.b.Helper()
	err := m.db.Write(m.b.Context(), func(ctx context.Context, tx *storage.Tx) error {
		for _, one := range []struct {
			into *storage.Bulk
			rows [][]any
		}{{addScenes, r.scenes}, {addTraces, r.traces}, {addBands, r.bands}, {addWords, r.words}} {
			if err := tx.ExecRows(ctx, one.into, one.rows); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		m.b.Fatal(err)
	}
}

func (m *memory) do(s *storage.Statement) {
	m.b.Helper()
	err := m.db.Write(m.b.Context(), func(ctx context.Context, tx *storage.Tx) error { _, err := tx.Exec(ctx, s); return err })
	if err != nil {
		m.b.Fatal(err)
	}
}

var (
	addScenes = storage.Insert("image_test.add_scenes", "image_scenes", "scene_id", "realm", "image_id", "photos", "sealed")
	addTraces = storage.Insert("image_test.add_traces", "image_traces", "scene_id", "image_id", "owner_id", "kind", "sealed")
	addWords  = storage.Insert("image_test.add_words", "image_words", "realm", "word", "scene_id")
	addBands  = storage.Insert("image_test.add_bands", "image_bands", "realm", "band", "bits", "image_id", "owner_id", "kind", "likeness")
	// The index by scenes is made when the words are written, which is faster.
	dropIndex = storage.SQL("image_test.drop_index", `DROP INDEX image_words_by_scene`)
	makeIndex = storage.SQL("image_test.make_index", `CREATE INDEX image_words_made ON image_words (scene_id)`)
	analyze   = storage.SQL("image_test.analyze", `ANALYZE`)
)
