package image_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	stdimage "image"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/cashout/image"
	"github.com/scripcards/scrip/internal/cashout/image/policy"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/platform/vault"
	"github.com/scripcards/scrip/internal/testkit"
)

// A form says what the contract says, its key cannot be guessed, and no two are alike.
func TestPresign(t *testing.T) {
	each(t, image.Config{}, func(t *testing.T, b *bundle) {
		first, second := b.presign(b.order, card, "card_image1.jpg"), b.presign(b.order, card, "x.PNG")
		if !regexp.MustCompile(`^[0-9a-f]{64}_Image1$`).MatchString(first.Key) || first.Key[:64] == second.Key[:64] {
			t.Errorf("keys %s and %s", first.Key, second.Key)
		}
		want := image.Form{
			URL: address, Key: first.Key, ACL: "private", ContentType: "image/jpeg", SuccessStatus: "201", Bucket: "cardcoins-images",
			Algorithm: "AWS4-HMAC-SHA256", Credential: first.Credential, Date: "20261128T090000Z", Policy: first.Policy, Signature: first.Signature,
		}
		if diff := cmp.Diff(want, first); diff != "" || second.ContentType != "image/png" {
			t.Errorf("%s: -want +got\n%s", second.ContentType, diff)
		}
		if !regexp.MustCompile(`^SCRIP[0-9a-f]{16}/20261128/us-east-1/s3/aws4_request$`).MatchString(first.Credential) {
			t.Errorf("credential %s", first.Credential)
		}
		text, err := base64.StdEncoding.DecodeString(first.Policy)
		if err != nil {
			t.Fatal(err)
		}
		var got any
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatal(err)
		}
		conditions := []any{
			map[string]any{"acl": "private"}, map[string]any{"Content-Type": "image/jpeg"}, map[string]any{"success_action_status": "201"},
			[]any{"content-length-range", 1.0, 5242880.0}, map[string]any{"bucket": "cardcoins-images"}, map[string]any{"key": first.Key},
			map[string]any{"x-amz-algorithm": "AWS4-HMAC-SHA256"}, map[string]any{"x-amz-credential": first.Credential}, map[string]any{"x-amz-date": "20261128T090000Z"},
		}
		if diff := cmp.Diff(map[string]any{"expiration": "2026-11-28T09:00:15Z", "conditions": conditions}, got); diff != "" {
			t.Errorf("policy: -want +got\n%s", diff)
		}
	})
}

// Names and sizes that no image has are refused with the field to blame; so is who asks
// for more forms in a day than anybody needs, until the day is over.
func TestPresignRefuses(t *testing.T) {
	each(t, image.Config{Forms: 3}, func(t *testing.T, b *bundle) {
		for _, c := range []struct {
			name  string
			size  int64
			field string
		}{
			{"a.gif", 1, "file_name"}, {"a", 1, "file_name"}, {"", 1, "file_name"}, {"a.jpg.exe", 1, "file_name"}, {"jpg", 1, "file_name"},
			{strings.Repeat("a", 252) + ".jpg", 1, "file_name"}, {"a.jpg", 0, "file_size"}, {"a.jpg", -1, "file_size"}, {"a.jpg", image.MaxBytes + 1, "file_size"},
		} {
			_, err := b.Presign(t.Context(), image.Upload{Owner: b.order, Kind: card, FileName: c.name, Size: c.size})
			if f := fault.From(err); err == nil || f.Code != fault.InvalidRequest || f.Field != c.field {
				t.Errorf("%q of %d bytes: %v", c.name, c.size, err)
			}
		}
		for range 3 {
			if _, err := b.Presign(t.Context(), image.Upload{Owner: b.order, Kind: card, FileName: "a.jpeg", Size: image.MaxBytes}); err != nil {
				t.Fatal(err)
			}
		}
		_, err := b.Presign(t.Context(), image.Upload{Owner: b.order, Kind: card, FileName: "a.jpg", Size: 1})
		if fault.CodeOf(err) != fault.QuotaExceeded {
			t.Errorf("a fourth form: %v", err)
		}
		b.presign(b.order, receipt, "a.jpg")
		b.presign(image.Owner{Realm: realm.Live, ID: "order2"}, card, "a.jpg")
		b.clock.Advance(24 * time.Hour)
		b.presign(b.order, card, "a.jpg")
		for _, bad := range []image.Upload{
			{Owner: image.Owner{Realm: "moon", ID: "a"}, Kind: card, FileName: "a.jpg", Size: 1}, {Owner: image.Owner{Realm: realm.Live}, Kind: card, FileName: "a.jpg", Size: 1},
			{Owner: b.order, Kind: "../x", FileName: "a.jpg", Size: 1},
		} {
			if _, err := b.Presign(t.Context(), bad); fault.CodeOf(err) != fault.Internal {
				t.Errorf("%+v: %v", bad, err)
			}
		}
	})
}

// A photo is taken, listed, and opened by a reviewer, with a record for each look; what
// lies in the database is sealed.
func TestTake(t *testing.T) {
	each(t, image.Config{}, func(t *testing.T, b *bundle) {
		got := b.upload(b.order, card, photo(1, 90))
		b.upload(b.order, receipt, grain(1))
		want := image.Image{ID: got.ID, Owner: b.order, Kind: card, Type: "image/jpeg", SHA256: got.SHA256, Bytes: got.Bytes, Width: 160, Height: 120,
			UploadedAt: began, EraseAt: began.Add(90 * 24 * time.Hour), ForgetAt: began.Add(400 * 24 * time.Hour)}
		if diff := cmp.Diff(want, got); diff != "" || len(b.list(b.order)) != 2 {
			t.Errorf("-want +got\n%s", diff)
		}
		content, err := b.Open(t.Context(), reviewer, got.ID)
		if err != nil || content.Type != "image/jpeg" || len(content.Data) != got.Bytes {
			t.Fatalf("%s of %d bytes, %v", content.Type, len(content.Data), err)
		}
		large, err := b.Open(t.Context(), reviewer, b.find(b.order, receipt).ID)
		if err != nil || len(b.chunks()) < 3 {
			t.Fatalf("%d chunks, %v", len(b.chunks()), err)
		}
		for _, data := range [][]byte{content.Data, large.Data} {
			if _, _, err := stdimage.Decode(bytes.NewReader(data)); err != nil {
				t.Error(err)
			}
			for _, sealed := range b.chunks() {
				if bytes.Contains(sealed, data[:64]) || bytes.Contains(sealed, data[len(data)-32:]) {
					t.Error("a chunk shows its content")
				}
			}
		}
		records := b.records(got.ID)
		if len(records) != 1 || records[0].Actor != reviewer || records[0].Action != "image.open" ||
			cmp.Diff(map[string]string{"realm": "live", "kind": "Image1", "sha256": got.SHA256}, records[0].Detail) != "" {
			t.Errorf("records %+v", records)
		}
		if _, err := b.Open(t.Context(), reviewer, "img_none"); fault.CodeOf(err) != fault.NotFound {
			t.Errorf("an image that there is not: %v", err)
		}
		if _, err := b.Open(t.Context(), "", got.ID); err == nil {
			t.Error("somebody without a name has opened an image")
		}
		newer := b.upload(b.order, card, photo(2, 90))
		if newer.ID == got.ID || len(b.list(b.order)) != 2 {
			t.Errorf("the newer image is %s, of %d", newer.ID, len(b.list(b.order)))
		}
	})
}

// Parts of an image that were exchanged or lost do not open.
func TestDamage(t *testing.T) {
	each(t, image.Config{}, func(t *testing.T, b *bundle) {
		img := b.upload(b.order, card, grain(1))
		b.apply(spoilChunks.With())
		b.apply(fixChunks.With())
		if _, err := b.Open(t.Context(), reviewer, img.ID); !errors.Is(err, vault.ErrSealed) {
			t.Errorf("exchanged parts: %v", err)
		}
	})
}

// A form takes one file: the same again changes nothing, another one is refused, and so is
// any after its time.
func TestFormIsUsedOnce(t *testing.T) {
	each(t, image.Config{}, func(t *testing.T, b *bundle) {
		form, file := b.presign(b.order, card, "a.jpg"), photo(1, 90)
		if err := b.send(form, []byte("<html>")); fault.CodeOf(err) != fault.InvalidRequest {
			t.Errorf("no image: %v", err)
		}
		if err := b.send(form, grain(1)); fault.CodeOf(err) != fault.InvalidRequest {
			t.Errorf("another type: %v", err)
		}
		for range 2 {
			if err := b.send(form, file); err != nil {
				t.Fatal(err)
			}
		}
		first := b.find(b.order, card)
		if err := b.send(form, photo(2, 90)); fault.CodeOf(err) != fault.InvalidState {
			t.Errorf("another file: %v", err)
		}
		if got := b.find(b.order, card); got.ID != first.ID || len(b.chunks()) != 1 {
			t.Errorf("the image is %s, was %s", got.ID, first.ID)
		}
		b.clock.Advance(policy.Lifetime)
		var refusal *policy.Refusal
		if err := b.send(form, file); !errors.As(err, &refusal) || refusal.Message != "Invalid according to Policy: Policy expired." {
			t.Errorf("after its time: %v", err)
		}
	})
}

// Of requests with one form at once, one file is taken.
func TestFormAtOnce(t *testing.T) {
	each(t, image.Config{}, func(t *testing.T, b *bundle) {
		form := b.presign(b.order, card, "a.jpg")
		errs := make([]error, 6)
		var group sync.WaitGroup
		for i := range errs {
			group.Go(func() { errs[i] = b.send(form, photo(uint64(i%3), 90)) })
		}
		group.Wait()
		taken := 0
		for i, err := range errs {
			switch fault.CodeOf(err) {
			case "":
				taken++
			case fault.InvalidState:
			default:
				t.Errorf("file %d: %v", i, err)
			}
		}
		if taken != 2 || len(b.chunks()) != 1 {
			t.Errorf("%d requests succeeded, there are %d chunks", taken, len(b.chunks()))
		}
	})
}

// A file that two requests with one form bring at once is kept once, with what later images
// are found by: all of that goes when the image is forgotten.
func TestFileTakenMeanwhile(t *testing.T) {
	each(t, image.Config{}, func(t *testing.T, b *bundle) {
		ticket, err := b.Accept(t.Context(), b.presign(b.order, card, "a.jpg").Fields())
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // both were accepted before either file was taken
			if err := b.Take(t.Context(), ticket, photo(1, 90)); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.Take(t.Context(), ticket, photo(2, 90)); fault.CodeOf(err) != fault.InvalidState {
			t.Errorf("another file: %v", err)
		}
		if got := b.strangers(); len(got) != 0 {
			t.Errorf("later images are held against %v, of which there is none", got)
		}
		later := b.upload(image.Owner{Realm: realm.Live, ID: "order2"}, card, photo(1, 50))
		if names := twins(later); names != "order1/Image1" {
			t.Errorf("a later copy has twins %q", names)
		}
		b.pass(400 * 24 * time.Hour)
		if got := b.upload(image.Owner{Realm: realm.Live, ID: "order3"}, card, photo(1, 50)); len(got.Twins) != 0 {
			t.Errorf("a copy is held against %+v, which were forgotten", got.Twins)
		}
	})
}

// Once an owner's uploads are closed, forms that are out take nothing, not even one that
// was accepted before; a new form does.
func TestCloseUploads(t *testing.T) {
	each(t, image.Config{}, func(t *testing.T, b *bundle) {
		form, other := b.presign(b.order, card, "a.jpg"), b.presign(image.Owner{Realm: realm.Live, ID: "order2"}, card, "a.jpg")
		ticket, err := b.Accept(t.Context(), form.Fields())
		if err != nil {
			t.Fatal(err)
		}
		b.apply(b.CloseUploads(b.order))
		if err := b.Take(t.Context(), ticket, photo(1, 90)); fault.CodeOf(err) != fault.InvalidState {
			t.Errorf("a file on its way: %v", err)
		}
		if err := b.send(form, photo(1, 90)); fault.CodeOf(err) != fault.InvalidState {
			t.Errorf("a form that is out: %v", err)
		}
		if len(b.list(b.order)) != 0 {
			t.Error("an image was taken")
		}
		if err := b.send(other, photo(1, 90)); err != nil {
			t.Errorf("somebody else's form: %v", err)
		}
		b.upload(b.order, card, photo(2, 90))
	})
}

// A form of another installation, or that nobody remembers, is refused.
func TestForeignForms(t *testing.T) {
	each(t, image.Config{}, func(t *testing.T, b *bundle) {
		form := b.presign(b.order, card, "a.jpg")
		other := setup(t, testkit.Open(t, testkit.Database(t, "sqlite")), image.Config{}, nil)
		var refusal *policy.Refusal
		if err := other.send(form, photo(1, 90)); !errors.As(err, &refusal) || refusal.Code != policy.InvalidAccessKeyID {
			t.Errorf("another installation's: %v", err)
		}
		b.apply(forgetUploads.With())
		if err := b.send(form, photo(1, 90)); fault.CodeOf(err) != fault.InvalidState {
			t.Errorf("a forgotten one: %v", err)
		}
	})
}

func twins(img image.Image) string {
	var text []string
	for _, twin := range img.Twins {
		text = append(text, twin.Owner+"/"+string(twin.Kind))
	}
	slices.Sort(text)
	return strings.Join(text, " ")
}

// The photo of somebody else's order is found, compressed again, and so is one's own that
// stands for another kind; both know of each other. Those of the same kind that it took the
// place of, those of the other realm and different ones are not.
func TestTwins(t *testing.T) {
	each(t, image.Config{}, func(t *testing.T, b *bundle) {
		at := func(r realm.Realm, name string) image.Owner { return image.Owner{Realm: r, ID: name} }
		for seed := range uint64(5) {
			b.upload(at(realm.Live, fmt.Sprintf("other%d", seed)), card, photo(100+seed, 90))
		}
		b.upload(at(realm.Live, "first"), card, photo(1, 95))
		b.upload(at(realm.Test, "test"), card, photo(1, 95))
		b.upload(at(realm.Live, "second"), receipt, photo(1, 40))
		b.upload(at(realm.Live, "second"), card, photo(1, 41))
		b.upload(at(realm.Live, "third"), card, photo(2, 90))
		b.upload(at(realm.Live, "third"), card, photo(3, 90)) // it was the receipt, and is put right
		b.upload(at(realm.Live, "third"), receipt, photo(2, 90))
		for _, c := range []struct {
			owner image.Owner
			kind  image.Kind
			want  string
		}{
			{at(realm.Live, "first"), card, "second/Image1 second/Image2"}, {at(realm.Live, "second"), receipt, "first/Image1 second/Image1"},
			{at(realm.Live, "second"), card, "first/Image1 second/Image2"}, {at(realm.Live, "third"), card, ""}, {at(realm.Live, "third"), receipt, ""}, {at(realm.Test, "test"), card, ""}, {at(realm.Live, "other3"), card, ""},
		} {
			got := b.find(c.owner, c.kind)
			if names := twins(got); names != c.want {
				t.Errorf("%s %s has twins %q, want %q", c.owner.ID, c.kind, names, c.want)
			}
		}
	})
}

// Whoever sends the photo of somebody else's card many times for other kinds, before it is the
// card or afterwards, and replaces those, does not hide whose card it is.
func TestTwinsOfManyCopies(t *testing.T) {
	each(t, image.Config{}, func(t *testing.T, b *bundle) {
		for seed, name := range []string{"before", "after"} {
			o, first := image.Owner{Realm: realm.Live, ID: name}, image.Owner{Realm: realm.Live, ID: "first" + name}
			file := photo(uint64(seed), 60)
			b.upload(first, card, file)
			if name == "after" {
				b.upload(o, card, file)
			}
			for range 17 {
				b.upload(o, receipt, file)
				b.upload(o, "Image3", file)
			}
			if name == "before" {
				b.upload(o, card, file)
			}
			if got, want := twins(b.find(o, card)), name+"/Image2 "+name+"/Image3 "+first.ID+"/Image1"; got != want {
				t.Errorf("twins %q while the copies are there, want %q", got, want)
			}
			b.upload(o, receipt, photo(12, 60))
			b.upload(o, "Image3", photo(13, 60))
			if got, want := twins(b.find(o, card)), first.ID+"/Image1"; got != want {
				t.Errorf("twins %q once they are replaced, want %q", got, want)
			}
		}
	})
}

// Of copies that are uploaded at once each knows all the others.
func TestTwinsAtOnce(t *testing.T) {
	each(t, image.Config{Decoders: 4}, func(t *testing.T, b *bundle) {
		const owners = 5
		var group sync.WaitGroup
		for i := range owners {
			o := image.Owner{Realm: realm.Live, ID: fmt.Sprintf("o%d", i)}
			form := b.presign(o, card, "a.jpg")
			group.Go(func() {
				if err := b.send(form, photo(1, 90)); err != nil {
					t.Errorf("%s: %v", o.ID, err)
				}
			})
		}
		group.Wait()
		for i := range owners {
			if got := b.find(image.Owner{Realm: realm.Live, ID: fmt.Sprintf("o%d", i)}, card); len(got.Twins) != owners-1 {
				t.Errorf("o%d has twins %s", i, twins(got))
			}
		}
	})
}

// A photo is erased when its time has come by its realm's clock, not before: nothing of it
// is left but its row, its hash, a record, and that a copy is found.
func TestErase(t *testing.T) {
	each(t, image.Config{}, func(t *testing.T, b *bundle) {
		img := b.upload(b.order, card, photo(1, 90))
		other := b.upload(image.Owner{Realm: realm.Live, ID: "order2"}, card, photo(2, 90))
		sandbox := b.upload(image.Owner{Realm: realm.Test, ID: "order1"}, card, photo(1, 90))
		b.apply(b.EraseAfter(b.order, image.End{Content: began.Add(10 * 24 * time.Hour), Marks: began.Add(400 * 24 * time.Hour)})...)
		b.pass(10*24*time.Hour - time.Second)
		if got := b.find(b.order, card); !got.ErasedAt.IsZero() || len(b.chunks()) != 3 {
			t.Fatalf("erased at %s already", got.ErasedAt)
		}
		b.pass(time.Second)
		got := b.find(b.order, card)
		if !got.ErasedAt.Equal(began.Add(10*24*time.Hour)) || got.SHA256 != img.SHA256 || len(b.chunks()) != 2 {
			t.Errorf("erased at %s, %d chunks are left", got.ErasedAt, len(b.chunks()))
		}
		records := b.records(img.ID)
		if len(records) != 1 || records[0].Action != "image.erase" || records[0].Actor != "system" || records[0].Detail["sha256"] != img.SHA256 || !records[0].At.Equal(got.ErasedAt) {
			t.Errorf("records %+v", records)
		}
		if _, err := b.Open(t.Context(), reviewer, img.ID); fault.CodeOf(err) != fault.NotFound {
			t.Errorf("opened: %v", err)
		}
		if err := b.Redact(t.Context(), reviewer, img.ID, image.Rect{Width: 5, Height: 5}); fault.CodeOf(err) != fault.NotFound {
			t.Errorf("redacted: %v", err)
		}
		if later := b.upload(image.Owner{Realm: realm.Live, ID: "order3"}, card, photo(1, 50)); twins(later) != "order1/Image1" {
			t.Errorf("a later copy has twins %q", twins(later))
		}
		if err := b.Clocks.SetOffset(200 * 24 * time.Hour); err != nil {
			t.Fatal(err)
		}
		b.pass(0)
		if got := b.find(sandbox.Owner, card); got.ErasedAt.IsZero() {
			t.Error("the test realm's clock does not erase")
		}
		if got := b.find(other.Owner, card); !got.ErasedAt.IsZero() {
			t.Error("the test realm's clock erases in the live realm")
		}
		b.pass(80 * 24 * time.Hour)
		if got := b.find(other.Owner, card); !got.ErasedAt.Equal(got.EraseAt) {
			t.Errorf("an image that nobody has decided about was erased at %s, not %s", got.ErasedAt, got.EraseAt)
		}
		if n := len(b.records(img.ID)); n != 1 {
			t.Errorf("erased %d times", n)
		}
	})
}

// What is due is erased, and old forms are forgotten, by jobs.
func TestSweeps(t *testing.T) {
	each(t, image.Config{KeepFor: time.Hour}, func(t *testing.T, b *bundle) {
		b.upload(b.order, card, photo(1, 90))
		sweep := func(after time.Duration) {
			t.Helper()
			b.clock.Advance(after)
			if err := b.Jobs.Drain(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if sweep(0); !b.find(b.order, card).ErasedAt.IsZero() {
			t.Error("erased too early")
		}
		if sweep(time.Hour); b.find(b.order, card).ErasedAt.IsZero() {
			t.Error("not erased")
		}
		sweep(24 * time.Hour)
		forms, err := storage.All(t.Context(), b.DB, storage.Scalar[string], allUploads)
		if err != nil || len(forms) != 0 {
			t.Errorf("%d forms are remembered, %v", len(forms), err)
		}
	})
}

// A redaction replaces the content for good: the old parts are gone, the record has both
// hashes, and the image is still found by its likeness.
func TestRedact(t *testing.T) {
	each(t, image.Config{}, func(t *testing.T, b *bundle) {
		img := b.upload(b.order, card, grain(3))
		before, err := b.Open(t.Context(), reviewer, img.ID)
		if err != nil {
			t.Fatal(err)
		}
		old := b.chunks()
		if err := b.Redact(t.Context(), reviewer, img.ID, image.Rect{X: 100, Y: 100, Width: 60, Height: 20}); err != nil {
			t.Fatal(err)
		}
		got := b.find(b.order, card)
		if got.Redactions != 1 || got.SHA256 == img.SHA256 {
			t.Errorf("%d redactions, hash %s", got.Redactions, got.SHA256)
		}
		for _, sealed := range b.chunks() {
			for _, gone := range old {
				if bytes.Equal(sealed, gone) {
					t.Error("a part of the old content is kept")
				}
			}
		}
		after, err := b.Open(t.Context(), reviewer, img.ID)
		if err != nil || bytes.Equal(after.Data, before.Data) || after.Type != "image/png" {
			t.Fatalf("the content is %s, %v", after.Type, err)
		}
		shown, _, err := stdimage.Decode(bytes.NewReader(after.Data))
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range [][2]int{{100, 100}, {159, 119}, {130, 110}} {
			if r, g, blue, _ := shown.At(at[0], at[1]).RGBA(); r+g+blue != 0 {
				t.Errorf("pixel %v shows something", at)
			}
		}
		records := b.records(img.ID)
		want := map[string]string{"realm": "live", "kind": "Image1", "sha256": img.SHA256, "sha256_after": got.SHA256, "area": "60x20+100+100"}
		if len(records) != 3 || records[1].Action != "image.redact" || cmp.Diff(want, records[1].Detail) != "" {
			t.Errorf("records %+v", records)
		}
		for _, area := range []image.Rect{{}, {X: -1, Width: 5, Height: 5}, {X: 396, Width: 5, Height: 5}, {Y: 1 << 40, Width: 5, Height: 5}, {Width: 1<<63 - 1, Height: 1}} {
			if err := b.Redact(t.Context(), reviewer, img.ID, area); fault.CodeOf(err) != fault.InvalidRequest {
				t.Errorf("area %v: %v", area, err)
			}
		}
		if err := b.Redact(t.Context(), reviewer, "img_none", image.Rect{Width: 5, Height: 5}); fault.CodeOf(err) != fault.NotFound {
			t.Errorf("an image that there is not: %v", err)
		}
	})
}

// Whoever opens or redacts an image while others redact it sees one version or the other,
// and no redaction is lost unnoticed.
func TestRedactAtOnce(t *testing.T) {
	each(t, image.Config{}, func(t *testing.T, b *bundle) {
		img := b.upload(b.order, card, photo(3, 90))
		errs := make([]error, 6)
		var group sync.WaitGroup
		for i := range errs {
			group.Go(func() {
				if i%2 == 0 {
					errs[i] = b.Redact(t.Context(), reviewer, img.ID, image.Rect{X: 16 * i, Width: 16, Height: 16})
				} else {
					_, errs[i] = b.Open(t.Context(), reviewer, img.ID)
				}
			})
		}
		group.Wait()
		done := 0
		for i, err := range errs {
			if i%2 == 0 && err == nil {
				done++
			} else if err != nil && (i%2 != 0 || fault.CodeOf(err) != fault.InvalidState) {
				t.Errorf("call %d: %v", i, err)
			}
		}
		if got := b.find(b.order, card); got.Redactions != done || done == 0 {
			t.Errorf("%d redactions, %d succeeded", got.Redactions, done)
		}
	})
}

// Files in a store elsewhere are fetched, checked and removed there; what is no image is
// refused with a reason until a better one comes.
func TestCollect(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		s3 := newShelf()
		b := setup(t, db, image.Config{URL: "https://s3.example/cards", Bucket: "cards", AccessKey: "AK"}, s3)
		form := b.presign(b.order, card, "a.jpg")
		if form.URL != "https://s3.example/cards" || !strings.HasPrefix(form.Credential, "AK/") || form.Bucket != "cards" {
			t.Errorf("form %+v", form)
		}
		collect := func(want string) {
			t.Helper()
			refused, err := b.Collect(t.Context(), b.order)
			if err != nil {
				t.Fatal(err)
			}
			var text []string
			for _, r := range refused {
				text = append(text, string(r.Kind)+": "+r.Reason)
			}
			if got := strings.Join(text, "; "); got != want {
				t.Errorf("refused: %s\nwant %s", got, want)
			}
		}
		collect("")
		s3.put(form.Key, []byte("<html>"))
		s3.put(b.presign(b.order, receipt, "b.png").Key, grain(1))
		collect("Image1: the file must be a png or jpeg image")
		if s3.count() != 0 || len(b.list(b.order)) != 1 {
			t.Errorf("%d objects are left, %d images taken", s3.count(), len(b.list(b.order)))
		}
		b.clock.Advance(time.Second)
		s3.put(b.presign(b.order, card, "a.jpg").Key, photo(1, 90))
		collect("")
		if got := b.find(b.order, card); got.Type != "image/jpeg" || s3.count() != 0 {
			t.Errorf("%+v, %d objects are left", got, s3.count())
		}
		late := b.presign(b.order, card, "a.jpg")
		b.apply(b.CloseUploads(b.order))
		s3.put(late.Key, photo(2, 90))
		collect("")
		b.pass(24*time.Hour + time.Second)
		if s3.count() != 0 {
			t.Error("what came too late is still there")
		}
		s3.away = errors.New("away")
		b.presign(b.order, card, "a.jpg")
		if _, err := b.Collect(t.Context(), b.order); !errors.Is(err, s3.away) || fault.CodeOf(err) != fault.Unavailable {
			t.Errorf("the store is away: %v", err)
		}
	})
}
