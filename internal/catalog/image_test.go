package catalog_test

import (
	"bytes"
	"image"
	"image/png"
	"strings"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/check"
)

// drawing is a grey png of the given side.
func drawing(t testing.TB, side int) []byte {
	t.Helper()
	var out bytes.Buffer
	check.OK(t, png.Encode(&out, image.NewGray(image.Rect(0, 0, side, side))))
	return out.Bytes()
}

// Pictures are uploaded for products and for brands, kept once under the hash of their
// bytes, shown in all processes, versioned with the product, and taken away again.
func TestImages(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		ctx, p, other := t.Context(), join(t, db), join(t, db)
		p.put(item("A", "Alpha", "Acme", 500), item("B", "Beta", "ACME", 500))
		changed, err := p.SetImage(ctx, "A", drawing(t, 16), ada)
		check.OK(t, err)
		hash, is := catalog.Uploaded(changed.Image)
		kept, err := p.Image(ctx, hash)
		if err != nil || !is || kept.Type != "image/png" || kept.Hash != hash || len(kept.Data) == 0 {
			t.Errorf("%q is %s %s of %d bytes, %v", changed.Image, kept.Type, kept.Hash, len(kept.Data), err)
		}
		brand, err := p.SetBrandImage(ctx, "Acme", drawing(t, 32), ada)
		check.OK(t, err)
		check.OK(t, other.Refresh(ctx))
		for _, process := range []*process{p, other} {
			for code, want := range map[catalog.ItemCode]string{"A": changed.Image, "B": brand} {
				found, err := process.Find(ctx, code)
				check.OK(t, err)
				if got := process.Picture(&found); got != want {
					t.Errorf("%s shows %q, want %q", code, got, want)
				}
			}
			if brands := process.Brands(); len(brands) != 1 || brands[0].Name != "acme" || brands[0].Image != brand || !brands[0].ChangedAt.Equal(epoch) {
				t.Errorf("the brands are %+v", brands)
			}
		}
		again, err := p.AddImage(ctx, drawing(t, 16), "operator/bob")
		if err != nil || again != changed.Image {
			t.Errorf("the same picture is called %q, %v", again, err)
		}
		p.clock.Advance(time.Hour)
		changed, err = p.SetImage(ctx, "A", nil, ada)
		check.OK(t, err)
		_, err = p.SetBrandImage(ctx, "acme", nil, ada)
		check.OK(t, err)
		check.OK(t, other.Refresh(ctx))
		if got := other.Picture(&changed); got != "" || len(other.Brands()) != 0 {
			t.Errorf("it shows %q after all was taken away", got)
		}
		if versions, err := p.History(ctx, "A"); err != nil || len(versions) != 3 || versions[1].Image != again {
			t.Errorf("%d versions, %v", len(versions), err)
		}
		check.List(t, "audit", p.audited(), ada+" catalog.put A", ada+" catalog.put B", ada+" catalog.image "+hash, ada+" catalog.put A",
			ada+" catalog.image "+strings.TrimPrefix(brand, "image:"), ada+" catalog.brand Acme", ada+" catalog.put A", ada+" catalog.brand acme")
	})
}

// What is no picture is refused, and so is a product that names one which was not uploaded,
// alone or in an import, dry or not, of which nothing is written.
func TestImageRefusals(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := t.Context()
		p.put(item("A", "Alpha", "Acme", 500))
		missing := "image:" + strings.Repeat("ab", 32)
		lost := item("B", "Beta", "Acme", 500)
		lost.Image = missing
		_, _, err := p.Put(ctx, lost, ada)
		check.Code(t, "put", err, fault.InvalidRequest)
		for _, dry := range []bool{true, false} {
			file := "item_code,name,brand,currency,value,image\nC,C,C,USD,5,\nD,D,D,USD,5," + missing
			_, err := p.Import(ctx, strings.NewReader(file), catalog.ImportOptions{Format: catalog.CSV, Actor: ada, DryRun: dry})
			check.Code(t, "import", err, fault.InvalidRequest)
		}
		_, err = p.Find(ctx, "C")
		check.Code(t, "a row beside the wrong one", err, fault.NotFound)
		for _, image := range []string{"image:", "image:ABC", missing + "0", "http://shop.example/a.png", "data:image/png;base64,AAAA"} {
			lost.Image = image
			_, _, err := p.Put(ctx, lost, ada)
			check.Code(t, image, err, fault.InvalidRequest)
		}
		for _, upload := range []string{"text", "<svg xmlns='http://www.w3.org/2000/svg'/>", "GIF89a", strings.Repeat("x", catalog.MaxImageBytes+1)} {
			_, err := p.SetImage(ctx, "A", []byte(upload), ada)
			check.Code(t, "no picture", err, fault.InvalidRequest)
		}
		_, err = p.SetImage(ctx, "NONE", drawing(t, 16), ada)
		check.Code(t, "of no product", err, fault.NotFound)
		for _, brand := range []string{"", strings.Repeat("x", 101), "a\x00b"} {
			_, err = p.SetBrandImage(ctx, brand, drawing(t, 16), ada)
			check.Code(t, "of no brand", err, fault.InvalidRequest)
		}
		for _, hash := range []string{"", "x", missing[6:], "../" + missing[6:]} {
			_, err := p.Image(ctx, hash)
			check.Code(t, "picture "+hash, err, fault.NotFound)
		}
	})
}
