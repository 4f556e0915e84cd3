package image

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/scripcards/scrip/internal/cashout/image/scene"
	"github.com/scripcards/scrip/internal/platform/picture"
	"github.com/scripcards/scrip/internal/platform/storage"
)

const (
	bands    = 4
	bandBits = 16
	// maxAlike bounds the images that one is compared with closely, newest first, for each
	// statement; maxTwins those that are remembered.
	maxAlike = 2000
	maxTwins = 32
)

// bandOf returns the quarter of a likeness.
func bandOf(l picture.Likeness, band int) int64 {
	return int64(l >> (band * bandBits) & (1<<bandBits - 1))
}

// probes returns the quarters by which every likeness is found that differs from one of
// ways in at most picture.MaxDistance bits. If seven bits differ, one of four quarters has
// at most one of them: so each quarter is looked for as it is and with each bit turned over.
func probes(ways [8]picture.Likeness) [][]any {
	var rows [][]any
	seen := map[[2]int64]bool{}
	add := func(band int, value int64) {
		if key := [2]int64{int64(band), value}; !seen[key] {
			seen[key], rows = true, append(rows, []any{int64(band), value})
		}
	}
	for _, way := range ways {
		for band := range bands {
			value := bandOf(way, band)
			add(band, value)
			for bit := range bandBits {
				add(band, value^1<<bit)
			}
		}
	}
	return rows
}

// candidate is an image that may be alike.
type candidate struct {
	Twin
	likeness picture.Likeness
}

// searches bounds how often an image is compared again because others came in meanwhile,
// before everybody else waits for it.
const searches = 4

// errMeanwhile says that another image came in between a search and its end.
var errMeanwhile = errors.New("another image came in meanwhile")

// compared writes an image with what else keep writes, and makes it one that later images
// are compared with, unless keep returns an error: nothing is kept then. Scenes are searched
// before the transaction, since that takes a while; where another image came in until then,
// again. So of two photos of one card that are uploaded at once, the second finds the first.
func (s *Service) compared(ctx context.Context, img *Image, l look, keep func(context.Context, *storage.Tx) error) error {
	for n := 1; ; n++ {
		passed, _, err := storage.One(ctx, s.DB, storage.Scalar[int64], readGate, string(img.Owner.Realm))
		if err != nil {
			return err
		}
		f, err := s.scenes.Search(ctx, s.DB, img.photo(), l.view)
		if err != nil {
			return err
		}
		err = s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
			if err := keep(ctx, tx); err != nil {
				return err
			}
			now, err := enter(ctx, tx, string(img.Owner.Realm))
			if err != nil {
				return err
			}
			if now != passed {
				if n < searches {
					return errMeanwhile
				}
				if f, err = s.scenes.Search(ctx, tx, img.photo(), l.view); err != nil {
					return err
				}
			}
			return s.remember(ctx, tx, comparison{img, l, f})
		})
		if !errors.Is(err, errMeanwhile) {
			return err
		}
	}
}

// photo is the image as scenes know it.
func (img *Image) photo() scene.Photo {
	return scene.Photo{ID: string(img.ID), Realm: img.Owner.Realm, Owner: img.Owner.ID, Kind: string(img.Kind)}
}

// enter has a transaction alone compare images of a realm, or change what they are compared
// with, and returns how many did before.
func enter(ctx context.Context, tx *storage.Tx, r string) (int64, error) {
	if _, err := tx.Exec(ctx, openGate, r); err != nil {
		return 0, err
	}
	passed, _, err := storage.One(ctx, tx, storage.Scalar[int64], lockGate, r)
	if err != nil {
		return 0, err
	}
	_, err = tx.Exec(ctx, passGate, r)
	return passed, err
}

// comparison is an image with what it was compared by, and what was found.
type comparison struct {
	image *Image
	look  look
	found scene.Finding
}

// remember writes who looks like an image, both ways round, and what later ones are
// compared with. That a later photo shows another card of the design is not written with
// the earlier one: of a common design there are many.
func (s *Service) remember(ctx context.Context, tx *storage.Tx, c comparison) error {
	img := c.image
	twins, err := alike(ctx, tx, img, c.look)
	if err != nil {
		return err
	}
	known := map[ID]bool{}
	for _, t := range twins {
		known[t.Image] = true
	}
	for _, m := range c.found.Matches {
		t := Twin{Image: ID(m.Photo), Owner: m.Owner, Kind: Kind(m.Kind), Resemblance: SameDesign, Distance: m.Opposite}
		if m.Same {
			t.Resemblance = SameCard
		}
		if !known[t.Image] {
			twins = append(twins, t)
		}
	}
	var rows [][]any
	for _, t := range twins {
		rows = append(rows, []any{string(img.ID), string(t.Image), t.Owner, string(t.Kind), string(t.Resemblance), int64(t.Distance)})
		if t.Resemblance != SameDesign {
			rows = append(rows, []any{string(t.Image), string(img.ID), img.Owner.ID, string(img.Kind), string(t.Resemblance), int64(t.Distance)})
		}
	}
	if err := tx.ExecRows(ctx, insertTwin, rows); err != nil {
		return err
	}
	return s.scenes.Keep(ctx, tx, img.photo(), c.found)
}

// alike looks for images that are the same photo, in any of the ways, of other owners or the
// newest of another kind, and makes img one that later images are compared with.
func alike(ctx context.Context, tx *storage.Tx, img *Image, l look) ([]Twin, error) {
	if !l.seen {
		return nil, nil
	}
	r := string(img.Owner.Realm)
	found, err := storage.AllOf(ctx, tx, scanCandidate, findAlike, probes(l.ways), r, img.Owner.ID, maxAlike, string(img.Kind))
	if err != nil {
		return nil, err
	}
	var rows [][]any
	for band := range bands {
		rows = append(rows, []any{r, int64(band), bandOf(l.ways[0], band), string(img.ID), img.Owner.ID, string(img.Kind), int64(l.ways[0])})
	}
	return closest(found, l.ways), tx.ExecRows(ctx, insertBand, rows)
}

// closest returns the candidates that are alike, each once, closest first.
func closest(found []candidate, ways [8]picture.Likeness) []Twin {
	var twins []Twin
	seen := map[ID]bool{}
	for _, c := range found {
		c.Resemblance, c.Distance = SamePhoto, 64
		for _, way := range ways {
			c.Distance = min(c.Distance, way.Distance(c.likeness))
		}
		if c.Distance <= picture.MaxDistance && !seen[c.Image] {
			seen[c.Image], twins = true, append(twins, c.Twin)
		}
	}
	slices.SortFunc(twins, func(a, b Twin) int {
		return cmp.Or(cmp.Compare(a.Distance, b.Distance), cmp.Compare(b.Image, a.Image))
	})
	return twins[:min(len(twins), maxTwins)]
}
