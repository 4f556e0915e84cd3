package giftcard_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"image/jpeg"
	"image/png"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/giftcard"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/testkit/crowd"
)

// Templates are added, listed, renamed, switched and redrawn, each time audited with what
// became of them; what is not said stays, and what changes nothing leaves no trace.
func TestTemplates(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx, no := t.Context(), false
		added, err := p.AddTemplate(ctx, giftcard.NewTemplate{Name: "Ember", Image: photo(32, 20, 90), Actor: "op/1"})
		check.OK(t, err)
		if added.CoverType != "image/jpeg" || !added.Active || !strings.HasPrefix(added.ID, "tpl_") {
			t.Errorf("added %+v", added)
		}
		_, err = p.AddTemplate(ctx, giftcard.NewTemplate{ID: added.ID, Name: "Again", Image: picture(16, 16), Actor: "op/1"})
		check.Code(t, "the same id", err, fault.AlreadyExists)
		changed, err := p.ChangeTemplate(ctx, added.ID, giftcard.TemplateChange{Name: "Glow", Actor: "op/2"})
		check.OK(t, err)
		if changed.Name != "Glow" || !changed.Active || changed.CoverHash != added.CoverHash {
			t.Errorf("renamed %+v", changed)
		}
		_, err = p.ChangeTemplate(ctx, added.ID, giftcard.TemplateChange{Active: &no, Actor: "op/2"})
		check.OK(t, err)
		changed, err = p.ChangeTemplate(ctx, added.ID, giftcard.TemplateChange{Image: picture(64, 16), Actor: "op/2"})
		check.OK(t, err)
		if changed.Name != "Glow" || changed.Active || changed.CoverType != "image/png" || changed.CoverHash == added.CoverHash {
			t.Errorf("redrawn %+v", changed)
		}
		found, err := p.Template(ctx, added.ID)
		if diff := cmp.Diff(changed, found); err != nil || diff != "" {
			t.Errorf("found (-changed +found): %s %v", diff, err)
		}
		cover, err := p.TemplateCover(ctx, added.ID)
		sum := sha256.Sum256(cover.Data)
		if err != nil || cover.Type != "image/png" || cover.Hash != hex.EncodeToString(sum[:]) || cover.Hash != found.CoverHash {
			t.Errorf("cover %s %s, %v", cover.Type, cover.Hash, err)
		}
		all, err := p.Templates(ctx)
		if err != nil || len(all) != 2 || all[0].ID != template {
			t.Errorf("listed %+v, %v", all, err)
		}
		same, err := p.ChangeTemplate(ctx, added.ID, giftcard.TemplateChange{Name: "Glow", Active: &no, Image: picture(64, 16), Actor: "op/3"})
		if diff := cmp.Diff(changed, same); err != nil || diff != "" {
			t.Errorf("the same again (-changed +same): %s %v", diff, err)
		}
		check.List(t, "audit", p.audited(giftcard.Merchant{}), "op/1 template.create "+template, "op/1 template.create "+added.ID,
			"op/2 template.change "+added.ID, "op/2 template.change "+added.ID, "op/2 template.change "+added.ID)
		log, err := p.Audit.List(ctx, audit.Filter{Action: "template.change"})
		check.OK(t, err)
		var details []map[string]string
		for _, entry := range slices.Backward(log) {
			details = append(details, entry.Detail)
		}
		want := []map[string]string{{"name_changed": "true"}, {"active": "false"}, {"cover_sha256": found.CoverHash}}
		if diff := cmp.Diff(want, details); diff != "" {
			t.Errorf("what became different: %s", diff)
		}
	})
}

// Ids and names that are none, and templates that are not there, are refused; so is one more than can be listed.
func TestTemplateRefusals(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx, image := t.Context(), picture(16, 16)
		for name, n := range map[string]giftcard.NewTemplate{
			"no name": {}, "blank": {Name: " "}, "NUL": {Name: "a\x00"}, "long": {Name: strings.Repeat("é", 129)}, "bytes": {Name: "\xff"},
			"id with a slash": {ID: "a/b", Name: "a"}, "id with NUL": {ID: "\x00", Name: "a"}, "long id": {ID: strings.Repeat("a", 65), Name: "a"},
		} {
			n.Image, n.Actor = image, "op/1"
			_, err := p.AddTemplate(ctx, n)
			check.Code(t, name, err, fault.InvalidRequest)
		}
		_, err := p.ChangeTemplate(ctx, template, giftcard.TemplateChange{Name: "\x00", Actor: "op/1"})
		check.Code(t, "a bad name", err, fault.InvalidRequest)
		_, err = p.ChangeTemplate(ctx, template, giftcard.TemplateChange{Image: []byte("no image"), Actor: "op/1"})
		check.Code(t, "a bad cover", err, fault.InvalidRequest)
		for _, id := range []string{"", "nobody", "a/b", "\x00"} {
			_, err := p.Template(ctx, id)
			check.Code(t, "template "+id, err, fault.NotFound)
			_, err = p.TemplateCover(ctx, id)
			check.Code(t, "cover of "+id, err, fault.NotFound)
			_, err = p.ChangeTemplate(ctx, id, giftcard.TemplateChange{Name: "a", Actor: "op/1"})
			check.Code(t, "change "+id, err, fault.NotFound)
		}
		if testing.Short() {
			return
		}
		crowd.AtOnce(50, func(first int) {
			for i := first + 1; i < giftcard.MaxTemplates; i += 50 {
				if _, err := p.AddTemplate(ctx, giftcard.NewTemplate{ID: fmt.Sprint("t", i), Name: "a", Image: image, Actor: "op/1"}); err != nil {
					t.Error(i, err)
				}
			}
		})
		_, err = p.AddTemplate(ctx, giftcard.NewTemplate{Name: "one more", Image: image, Actor: "op/1"})
		check.Code(t, "one more", err, fault.QuotaExceeded)
	})
}

// Two operators who change different things of a template at once both get their way.
func TestTemplateChangesAtOnce(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		no := false
		changes := []giftcard.TemplateChange{{Name: "New", Actor: "op/1"}, {Active: &no, Actor: "op/2"}, {Image: photo(20, 20, 80), Actor: "op/3"}}
		crowd.AtOnce(len(changes), func(i int) {
			if _, err := p.ChangeTemplate(context.Background(), template, changes[i]); err != nil {
				t.Error(err)
			}
		})
		found, err := p.Template(t.Context(), template)
		if err != nil || found.Name != "New" || found.Active || found.CoverType != "image/jpeg" || !found.UpdatedAt.Equal(p.clocks.Now(realm.Live)) {
			t.Errorf("%+v, %v", found, err)
		}
	})
}

// photo is a jpeg of the given size and quality.
func photo(width, height, quality int) []byte {
	img, _ := png.Decode(bytes.NewReader(picture(width, height)))
	var out bytes.Buffer
	_ = jpeg.Encode(&out, img, &jpeg.Options{Quality: quality}) // a buffer takes everything
	return out.Bytes()
}
