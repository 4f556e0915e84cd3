package image

import (
	"cmp"
	"context"
	"slices"

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

// compare looks for images of other owners like img, in any of the ways, remembers them
// with each other, and makes img one that later images are compared with. Whoever compares
// does so alone, so that of two copies uploaded at once the second finds the first.
func compare(ctx context.Context, tx *storage.Tx, img *Image, ways [8]picture.Likeness) error {
	r := string(img.Owner.Realm)
	if _, err := tx.Exec(ctx, openGate, r); err != nil {
		return err
	}
	if _, _, err := storage.One(ctx, tx, storage.Scalar[string], lockGate, r); err != nil {
		return err
	}
	found, err := storage.AllOf(ctx, tx, scanCandidate, findAlike, probes(ways), r, img.Owner.ID, maxAlike)
	if err != nil {
		return err
	}
	var rows [][]any
	for _, t := range closest(found, ways) {
		rows = append(rows,
			[]any{string(img.ID), string(t.Image), t.Owner, string(t.Kind), int64(t.Distance)},
			[]any{string(t.Image), string(img.ID), img.Owner.ID, string(img.Kind), int64(t.Distance)})
	}
	if err := tx.ExecRows(ctx, insertTwin, rows); err != nil {
		return err
	}
	rows = nil
	for band := range bands {
		rows = append(rows, []any{r, int64(band), bandOf(ways[0], band), string(img.ID), img.Owner.ID, string(img.Kind), int64(ways[0])})
	}
	return tx.ExecRows(ctx, insertBand, rows)
}

// closest returns the candidates that are alike, each once, closest first.
func closest(found []candidate, ways [8]picture.Likeness) []Twin {
	var twins []Twin
	seen := map[ID]bool{}
	for _, c := range found {
		c.Distance = 64
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
