package image_test

import (
	"bytes"
	"context"
	stdimage "image"
	"image/color"
	"image/jpeg"
	"image/png"
	"log/slog"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/cashout/image"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/job"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/platform/vault"
	"github.com/scripcards/scrip/internal/testkit"
)

const (
	card     image.Kind = "Image1"
	receipt  image.Kind = "Image2"
	reviewer            = "operator/op_1"
	address             = "https://cards.example/uploads/cardcoins-images"
)

var began = time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC)

// bundle is one process over a database.
type bundle struct {
	*image.Service
	t     *testing.T
	clock *clock.Manual
	log   *audit.Log
	order image.Owner
}

func each(t *testing.T, config image.Config, test func(t *testing.T, b *bundle)) {
	t.Helper()
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) { test(t, setup(t, db, config, nil)) })
}

func setup(t *testing.T, db *storage.DB, config image.Config, bucket image.Bucket) *bundle {
	t.Helper()
	sealed, err := vault.Open(t.Context(), db, vault.NewMasterKey())
	if err != nil {
		t.Fatal(err)
	}
	b := &bundle{t: t, clock: clock.NewManual(began), log: audit.New(db), order: image.Owner{Realm: realm.Live, ID: "order1"}}
	clocks := clock.NewRealms(b.clock)
	if config.URL == "" {
		config.URL = address
	}
	b.Service = image.New(image.Deps{DB: db, Vault: sealed, Audit: b.log, Clocks: clocks, Bucket: bucket,
		Jobs: job.New(db, clocks, slog.New(slog.DiscardHandler)), Config: config})
	return b
}

// presign asks for a form.
func (b *bundle) presign(o image.Owner, kind image.Kind, name string) image.Form {
	b.t.Helper()
	form, err := b.Presign(b.t.Context(), image.Upload{Owner: o, Kind: kind, FileName: name, Size: 1})
	if err != nil {
		b.t.Fatal(err)
	}
	return form
}

// send sends a file with a form, as the endpoint does.
func (b *bundle) send(form image.Form, file []byte) error {
	ticket, err := b.Accept(b.t.Context(), form.Fields())
	if err != nil {
		return err
	}
	return b.Take(b.t.Context(), ticket, file)
}

// upload has an owner's file taken and returns the image.
func (b *bundle) upload(o image.Owner, kind image.Kind, file []byte) image.Image {
	b.t.Helper()
	name := "a.jpg"
	if bytes.HasPrefix(file, []byte("\x89PNG")) {
		name = "a.PNG"
	}
	if err := b.send(b.presign(o, kind, name), file); err != nil {
		b.t.Fatal(err)
	}
	return b.find(o, kind)
}

// find returns an owner's newest image of a kind.
func (b *bundle) find(o image.Owner, kind image.Kind) image.Image {
	b.t.Helper()
	for _, img := range b.list(o) {
		if img.Kind == kind {
			return img
		}
	}
	b.t.Fatalf("%s has no %s", o.ID, kind)
	return image.Image{}
}

func (b *bundle) list(o image.Owner) []image.Image {
	b.t.Helper()
	images, err := b.List(b.t.Context(), o)
	if err != nil {
		b.t.Fatal(err)
	}
	return images
}

// pass lets time go by and does the jobs that are due.
func (b *bundle) pass(d time.Duration) {
	b.t.Helper()
	b.clock.Advance(d)
	if err := b.EraseDue(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
	if err := b.Purge(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
}

// apply makes effects.
func (b *bundle) apply(effects ...storage.Effect) {
	b.t.Helper()
	err := b.DB.Apply(b.t.Context(), effects)
	if err != nil {
		b.t.Fatal(err)
	}
}

// records returns what the audit log has about an image, oldest first.
func (b *bundle) records(id image.ID) []audit.Record {
	b.t.Helper()
	entries, err := b.log.List(b.t.Context(), audit.Filter{Subject: string(id)})
	if err != nil {
		b.t.Fatal(err)
	}
	var records []audit.Record
	for i := range entries {
		records = append(records, entries[len(entries)-1-i].Record)
	}
	return records
}

var (
	allChunks    = storage.SQL("image_test.chunks", `SELECT sealed FROM image_chunks ORDER BY image_id, version, seq`)
	allStrangers = storage.SQL("image_test.strangers", `SELECT s.image_id FROM (SELECT image_id FROM image_bands UNION SELECT image_id FROM image_twins
		UNION SELECT image_id FROM image_scenes UNION SELECT image_id FROM image_heirs UNION SELECT image_id FROM image_traces) s
		WHERE NOT EXISTS (SELECT 1 FROM images i WHERE i.image_id = s.image_id) ORDER BY s.image_id`)
	allUploads    = storage.SQL("image_test.uploads", `SELECT upload_key FROM image_uploads ORDER BY upload_key`)
	forgetUploads = storage.SQL("image_test.forget", `DELETE FROM image_uploads`)
	spoilChunks   = storage.SQL("image_test.spoil", `UPDATE image_chunks SET seq = 1 - seq + 10 WHERE seq <= 1`)
	fixChunks     = storage.SQL("image_test.fix", `UPDATE image_chunks SET seq = seq - 10`)
)

// strangers are what later images are found by and that belongs to no image: it would stay
// when all images are forgotten.
func (b *bundle) strangers() []string {
	b.t.Helper()
	rows, err := storage.All(b.t.Context(), b.DB, storage.Scalar[string], allStrangers)
	if err != nil {
		b.t.Fatal(err)
	}
	return rows
}

func (b *bundle) chunks() [][]byte {
	b.t.Helper()
	rows, err := storage.All(b.t.Context(), b.DB, storage.Scalar[[]byte], allChunks)
	if err != nil {
		b.t.Fatal(err)
	}
	return rows
}

// scene is a made-up photo: soft blobs of light, the same for the same seed.
func scene(seed uint64, width, height int) stdimage.Image {
	random := rand.New(rand.NewPCG(seed, 7))
	type blob struct{ x, y, size, light float64 }
	blobs := make([]blob, 24)
	for i := range blobs {
		blobs[i] = blob{random.Float64(), random.Float64(), 0.04 + 0.2*random.Float64(), random.Float64()*2 - 1}
	}
	img := stdimage.NewNRGBA(stdimage.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			light := 0.0
			for _, b := range blobs {
				dx, dy := float64(x)/float64(width)-b.x, float64(y)/float64(height)-b.y
				light += b.light * math.Exp(-(dx*dx+dy*dy)/(2*b.size*b.size))
			}
			shade := uint8(128 + 100*math.Tanh(light))
			img.SetNRGBA(x, y, color.NRGBA{shade, shade / 2, 255 - shade, 0xff})
		}
	}
	return img
}

func photo(seed uint64, quality int) []byte {
	var out bytes.Buffer
	_ = jpeg.Encode(&out, scene(seed, 160, 120), &jpeg.Options{Quality: quality}) // a buffer takes everything
	return out.Bytes()
}

// grain is a png that takes several chunks.
func grain(seed uint64) []byte {
	img := stdimage.NewNRGBA(stdimage.Rect(0, 0, 400, 300))
	random := rand.NewChaCha8([32]byte{byte(seed)})
	_, _ = random.Read(img.Pix) // never fails
	for i := 3; i < len(img.Pix); i += 4 {
		img.Pix[i] = 0xff
	}
	var out bytes.Buffer
	_ = png.Encode(&out, img) // a buffer takes everything
	return out.Bytes()
}

// shelf is a store elsewhere.
type shelf struct {
	mu      sync.Mutex
	objects map[string][]byte
	away    error
}

func newShelf() *shelf { return &shelf{objects: map[string][]byte{}} }

func (s *shelf) put(key string, object []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.objects[key] = object
}

func (s *shelf) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.objects)
}

func (s *shelf) Fetch(_ context.Context, key string, _ int64) ([]byte, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	object, found := s.objects[key]
	return object, found, s.away
}

func (s *shelf) Remove(_ context.Context, key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.objects, key)
	return s.away
}
