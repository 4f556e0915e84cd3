package image

import (
	"context"
	"fmt"
	"image"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/cashout/image/scene"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/platform/picture"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// List returns an owner's newest image of each kind, by kind.
func (s *Service) List(ctx context.Context, o Owner) ([]Image, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	found, err := storage.All(ctx, s.DB, scanImage, listImages, string(o.Realm), o.ID)
	if err != nil {
		return nil, fmt.Errorf("list images: %w", err)
	}
	images := make([]Image, 0, len(found))
	for _, k := range found {
		k.Twins, err = storage.All(ctx, s.DB, scanTwin, listTwins, string(k.ID), string(o.Realm), o.ID, maxTwins)
		if err != nil {
			return nil, fmt.Errorf("list images: %w", err)
		}
		images = append(images, k.Image)
	}
	return images, nil
}

// Content is an image's file.
type Content struct {
	// Type is image/jpeg or image/png.
	Type string
	Data []byte
}

// The names of what the audit log records.
const (
	actionOpen   = "image.open"
	actionRedact = "image.redact"
	actionErase  = "image.erase"
	actionForget = "image.forget"
)

// Open returns an image's content to actor, which is in the audit log before. It returns
// not_found, for an image that was erased too.
func (s *Service) Open(ctx context.Context, actor string, image ID) (Content, error) {
	var k kept
	err := s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) (err error) {
		if k, err = findKept(ctx, tx, findImage, image); err != nil {
			return err
		}
		return s.record(ctx, tx, &k.Image, audit.Record{Actor: actor, Action: actionOpen})
	})
	if err != nil {
		return Content{}, fmt.Errorf("open image: %w", err)
	}
	k, data, err := s.read(ctx, k)
	if err != nil {
		return Content{}, fmt.Errorf("open image: %w", err)
	}
	return Content{Type: k.Type, Data: data}, nil
}

// read returns an image's content. Where a redaction replaces it at this moment, the newer
// one is read.
func (s *Service) read(ctx context.Context, k kept) (kept, []byte, error) {
	for {
		data, err := s.content(ctx, s.DB, k)
		if err == nil {
			return k, data, nil
		}
		now, again := findKept(ctx, s.DB, findImage, k.ID)
		if again != nil {
			return k, nil, again
		}
		if now.version == k.version {
			return k, nil, err
		}
		k = now
	}
}

// Rect is an area of an image in pixels, from its upper left corner.
type Rect struct{ X, Y, Width, Height int }

func (r Rect) String() string { return fmt.Sprintf("%dx%d+%d+%d", r.Width, r.Height, r.X, r.Y) }

func (r Rect) rectangle() image.Rectangle {
	return image.Rect(r.X, r.Y, r.X+r.Width, r.Y+r.Height)
}

// maxRedactions bounds how often an image is encoded anew.
const maxRedactions = 50

// Redact paints over an area of an image for good: what was kept before is removed, with
// what later photos would be held against there, and the audit log has the hashes of both. It returns not_found, for an image that was erased too,
// invalid_request for an area that is not in the image, and invalid_state where somebody
// else redacts it at this moment, or after 50 redactions.
func (s *Service) Redact(ctx context.Context, actor string, id ID, area Rect) error {
	k, err := findKept(ctx, s.DB, findImage, id)
	if err != nil {
		return fmt.Errorf("redact image: %w", err)
	}
	if k.Redactions >= maxRedactions {
		return fault.New(fault.InvalidState, "the image was redacted %d times", k.Redactions)
	}
	if area.Width < 1 || area.Height < 1 || area.X < 0 || area.Y < 0 || area.X > k.Width-area.Width || area.Y > k.Height-area.Height {
		return fault.New(fault.InvalidRequest, "the area must be within the image, %d by %d pixels", k.Width, k.Height).At("area")
	}
	k, content, err := s.read(ctx, k)
	if err != nil {
		return fmt.Errorf("redact image: %w", err)
	}
	clean, err := s.paint(ctx, content, area)
	if err != nil {
		return err
	}
	version := k.version + 1
	chunks, err := s.seal(id, version, clean.Data)
	if err != nil {
		return err
	}
	err = s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		n, err := tx.Exec(ctx, saveVersion, string(id), k.version, int64(version), int64(len(chunks)), int64(len(clean.Data)), clean.Hash)
		if err != nil {
			return err
		}
		if n == 0 {
			return fault.New(fault.InvalidState, "the image was changed at this moment")
		}
		if _, err := tx.Exec(ctx, deleteChunks, string(id)); err != nil {
			return err
		}
		if err := tx.ExecRows(ctx, insertChunk, chunks); err != nil {
			return err
		}
		if _, err := enter(ctx, tx, string(k.Owner.Realm)); err != nil {
			return err
		}
		if err := s.scenes.Redact(ctx, tx, string(id), scene.Area{Rectangle: area.rectangle(), Of: image.Pt(k.Width, k.Height)}); err != nil {
			return err
		}
		return s.record(ctx, tx, &k.Image, audit.Record{Actor: actor, Action: actionRedact,
			Detail: map[string]string{"area": area.String(), "sha256_after": audit.Clean(clean.Hash)}})
	})
	if err != nil {
		return fmt.Errorf("redact image: %w", err)
	}
	return nil
}

// paint returns the content with an area painted over, within the bound of decoders at once.
func (s *Service) paint(ctx context.Context, content []byte, area Rect) (picture.Picture, error) {
	select {
	case s.decoders <- struct{}{}:
		defer func() { <-s.decoders }()
	case <-ctx.Done():
		return picture.Picture{}, ctx.Err()
	}
	return picture.Redact(content, area.rectangle())
}

// record completes an entry of the audit log about an image.
func (s *Service) record(ctx context.Context, tx *storage.Tx, img *Image, r audit.Record) error {
	r.Subject, r.At = string(img.ID), s.Clocks.Now(img.Owner.Realm)
	if r.Detail == nil {
		r.Detail = map[string]string{}
	}
	r.Detail["realm"], r.Detail["kind"], r.Detail["sha256"] = string(img.Owner.Realm), string(img.Kind), audit.Clean(img.SHA256)
	return s.Audit.Append(ctx, tx, r)
}
