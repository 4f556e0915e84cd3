package catalog

import (
	"context"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/plain"
	"github.com/scripcards/scrip/internal/platform/picture"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// MaxImageBytes bounds an uploaded picture.
const MaxImageBytes = picture.MaxBytes

const (
	// uploaded begins the Image of a product whose picture was uploaded; its hash ends it.
	uploaded  = "image:"
	maxImages = 20_000
)

var imageHashes = regexp.MustCompile(`^[0-9a-f]{64}$`)

// Uploaded returns the hash in an image that names an uploaded picture, and whether it does.
func Uploaded(image string) (hash string, is bool) {
	hash, is = strings.CutPrefix(image, uploaded)
	return hash, is && imageHashes.MatchString(hash)
}

// AddImage keeps an uploaded PNG or JPEG and returns what to call it in Product.Image. The
// same picture is kept once. It returns invalid_request for what is no picture within the
// limits of package picture, or quota_exceeded.
func (s *Service) AddImage(ctx context.Context, upload []byte, actor string) (string, error) {
	clean, err := picture.Clean(upload, columnImage)
	if err != nil {
		return "", err
	}
	err = s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		_, known, err := storage.One(ctx, tx, storage.Scalar[int], hasImage, clean.Hash)
		if err != nil || known {
			return err
		}
		count, _, err := storage.One(ctx, tx, storage.Scalar[int64], countImages)
		if err != nil {
			return err
		}
		if count >= maxImages {
			return fault.New(fault.QuotaExceeded, "there are %d pictures, the most is %d", count, maxImages)
		}
		now := s.now()
		if err := tx.ExecRows(ctx, insertImage, [][]any{{clean.Hash, clean.Type, clean.Data, actor, storage.Micros(now)}}); err != nil {
			return err
		}
		return s.Audit.Append(ctx, tx, audit.Record{Actor: actor, Action: "catalog.image", Subject: audit.Clean(clean.Hash), At: now})
	})
	if storage.IsUnique(err) { // another process keeps the same one at this moment
		err = nil
	}
	return uploaded + clean.Hash, err
}

// Image returns an uploaded picture by its hash, or not_found.
func (s *Service) Image(ctx context.Context, hash string) (picture.Picture, error) {
	none := fault.New(fault.NotFound, "no such picture")
	if !imageHashes.MatchString(hash) {
		return picture.Picture{}, none
	}
	found, ok, err := storage.One(ctx, s.DB, func(r storage.Row) (p picture.Picture, err error) {
		err = r.Scan(&p.Type, &p.Hash, &p.Data)
		return p, err
	}, findImage, hash)
	if err == nil && !ok {
		err = none
	}
	return found, err
}

// SetImage gives a product an uploaded picture, or with an empty upload none of its own. It
// returns what AddImage and Put return, and not_found.
func (s *Service) SetImage(ctx context.Context, code ItemCode, upload []byte, actor string) (Product, error) {
	if err := s.Refresh(ctx); err != nil { // the rest stays as another process just put it
		return Product{}, err
	}
	p, err := s.Find(ctx, code)
	if err != nil {
		return Product{}, err
	}
	if p.Image = ""; len(upload) > 0 {
		if p.Image, err = s.AddImage(ctx, upload, actor); err != nil {
			return Product{}, err
		}
	}
	p, _, err = s.edit(ctx, edit{Product: &p, sets: columnsOf(func(column string) bool { return column == columnImage })}, actor)
	return p, err
}

// SetBrandImage gives the products of a brand that have no picture an uploaded one, or with
// an empty upload none. It returns the picture's name, and what AddImage returns.
func (s *Service) SetBrandImage(ctx context.Context, brand string, upload []byte, actor string) (string, error) {
	if !plain.Line(brand, 1, maxBrand) {
		return "", invalidAt(columnBrand, "want 1 to %d characters of plain text", maxBrand)
	}
	image, err := "", error(nil)
	if len(upload) > 0 {
		if image, err = s.AddImage(ctx, upload, actor); err != nil {
			return "", err
		}
	}
	err = s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		before, _, err := storage.One(ctx, tx, storage.Scalar[string], findBrand, fold(brand))
		if err != nil || before == image {
			return err
		}
		version, _, err := storage.One(ctx, tx, storage.Scalar[int64], bumpVersion)
		if err != nil {
			return err
		}
		now := s.now()
		if err := tx.ExecRows(ctx, writeBrand, [][]any{{fold(brand), image, version, storage.Micros(now)}}); err != nil {
			return err
		}
		return s.Audit.Append(ctx, tx, audit.Record{Actor: actor, Action: "catalog.brand", Subject: audit.Clean(brand),
			Detail: map[string]string{columnImage: audit.Clean(strings.TrimPrefix(image, uploaded))}, At: now})
	})
	if err != nil {
		return "", err
	}
	return image, s.Refresh(ctx)
}

// Brand is the picture of a brand's products that have none of their own.
type Brand struct {
	// Name is in lower case.
	Name      string
	Image     string // as in Product.Image
	ChangedAt time.Time

	version int64
}

// Brands returns the brands that have a picture, by name.
func (s *Service) Brands() []Brand {
	return slices.SortedFunc(maps.Values(s.view.Load().brands), func(a, b Brand) int { return strings.Compare(a.Name, b.Name) })
}

// Picture returns the image of a product, its brand's where it has none of its own.
func (s *Service) Picture(p *Product) string {
	if p.Image != "" {
		return p.Image
	}
	return s.view.Load().brands[fold(p.Brand)].Image
}

// lostImage returns the place of the first product with an uploaded picture that there is
// not; -1 where there is none.
func lostImage(ctx context.Context, q storage.Queryer, products []edit) (int, error) {
	var rows [][]any
	asked := map[string]bool{}
	for _, e := range products {
		if hash, is := Uploaded(e.Image); is && !asked[hash] {
			asked[hash], rows = true, append(rows, []any{hash})
		}
	}
	if len(rows) == 0 {
		return -1, nil
	}
	found, err := storage.AllOf(ctx, q, storage.Scalar[string], knownImages, rows)
	for _, hash := range found {
		delete(asked, hash)
	}
	return slices.IndexFunc(products, func(e edit) bool {
		hash, is := Uploaded(e.Image)
		return is && asked[hash]
	}), err
}

// noImage is what is wrong with such a product.
const noImage = "no such picture was uploaded"
