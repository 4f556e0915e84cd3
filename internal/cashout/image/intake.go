package image

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"time"

	"github.com/scripcards/scrip/internal/cashout/image/policy"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/platform/picture"
	"github.com/scripcards/scrip/internal/platform/picture/landmark"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Ticket is a form that the built-in store has accepted: what may be sent with it.
type Ticket struct {
	policy.Accepted
	upload upload
}

// Owner is whose file it is.
func (t Ticket) Owner() Owner { return t.upload.owner }

// Accept holds a form against its policy and against what became of it. It returns a
// *policy.Refusal, or invalid_state where the form's owner takes no files any more, or
// where files go to a store elsewhere.
func (s *Service) Accept(ctx context.Context, form []policy.Field) (Ticket, error) {
	if s.Bucket != nil { // its forms are for the store elsewhere alone
		return Ticket{}, errClosed()
	}
	accepted, err := policy.Verify(s.credential, s.Config.Bucket, form, s.now())
	if err != nil {
		return Ticket{}, err
	}
	u, found, err := storage.One(ctx, s.DB, scanUpload, findUpload, accepted.Key)
	if err != nil {
		return Ticket{}, fmt.Errorf("accept form: %w", err)
	}
	// A form that was signed and is not known is one of a backup that was put back.
	if !found || u.state == stateClosed {
		return Ticket{}, errClosed()
	}
	accepted.Most = min(accepted.Most, MaxBytes)
	return Ticket{Accepted: accepted, upload: u}, nil
}

func errClosed() error {
	return fault.New(fault.InvalidState, "no file is taken with this form any more")
}

// Take takes the file that was sent with an accepted form. The same file sent again with the
// same form changes nothing. It returns invalid_request for what is no image, invalid_state
// for a second file and where the owner takes no files any more, and overloaded.
func (s *Service) Take(ctx context.Context, t Ticket, file []byte) error {
	if t.upload.state == stateTaken {
		return t.upload.again(sha256.Sum256(file))
	}
	return s.intake(ctx, t.upload, file)
}

// again judges a file that comes with a form which was used.
func (u upload) again(hash [sha256.Size]byte) error {
	if subtle.ConstantTimeCompare(u.fileHash, hash[:]) == 1 {
		return nil
	}
	return fault.New(fault.InvalidState, "the form was used for another file")
}

// intake checks a file, keeps its pixels and looks for others like it.
func (s *Service) intake(ctx context.Context, u upload, file []byte) error {
	clean, look, err := s.decode(ctx, u, file)
	if err != nil {
		return err
	}
	now := s.Clocks.Now(u.owner.Realm)
	img := Image{
		ID: ID(id.New(idPrefix)), Owner: u.owner, Kind: u.kind, Type: clean.Type, SHA256: clean.Hash, Bytes: len(clean.Data),
		Width: clean.Width, Height: clean.Height, UploadedAt: now, EraseAt: now.Add(s.Config.KeepFor), ForgetAt: now.Add(s.Config.KeepMarks),
	}
	chunks, err := s.seal(img.ID, firstVersion, clean.Data)
	if err != nil {
		return err
	}
	hash := sha256.Sum256(file)
	err = s.compared(ctx, &img, look, func(ctx context.Context, tx *storage.Tx) error {
		have, found, err := storage.One(ctx, tx, scanUpload, lockUpload, u.key)
		switch {
		case err != nil:
			return err
		case !found || have.state == stateClosed:
			return errClosed()
		case have.state == stateTaken: // by another request with the same form
			return cmp.Or(have.again(hash), errTaken)
		}
		if err := tx.ExecRows(ctx, insertChunk, chunks); err != nil {
			return err
		}
		if err := tx.ExecRows(ctx, insertImage, [][]any{img.row(len(chunks), look.ways[0], look.seen)}); err != nil {
			return err
		}
		return endUpload(ctx, tx, u.key, end{state: stateTaken, hash: hash[:], at: s.now()})
	})
	if err != nil && !errors.Is(err, errTaken) {
		return fmt.Errorf("keep image: %w", err)
	}
	return nil
}

// errTaken says that the file was taken meanwhile: nothing more is to be kept of it.
var errTaken = errors.New("the file was taken by another request with its form")

// look is what a photo is compared with others by.
type look struct {
	ways [8]picture.Likeness
	// seen is false where there is next to nothing to see on it.
	seen bool
	view *landmark.View
}

// decode has a photo decoded, and looked at, within the bound of those at once.
func (s *Service) decode(ctx context.Context, u upload, file []byte) (clean picture.Picture, l look, err error) {
	select {
	case s.decoders <- struct{}{}:
		defer func() { <-s.decoders }()
	case <-ctx.Done():
		return clean, l, fault.Wrap(ctx.Err(), fault.Overloaded, "too many images at once").After(time.Second)
	}
	clean, pixels, err := picture.Photo(file, u.contentType, "file")
	if err != nil {
		return clean, l, err
	}
	l.ways, l.seen = picture.Ways(pixels)
	l.view = landmark.Look(pixels)
	return clean, l, nil
}

// Refusal is an upload that was not taken.
type Refusal struct {
	Kind Kind
	// Reason is a sentence for whoever uploaded it.
	Reason string
	At     time.Time
}

// Collect fetches what an owner has uploaded to a store elsewhere, checks it and removes it
// there. It returns what was refused since the owner's last image of its kind. With the
// built-in store, which refuses files as they come, there is nothing to do. It returns
// unavailable where the store does not answer, and overloaded.
func (s *Service) Collect(ctx context.Context, o Owner) ([]Refusal, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if s.Bucket == nil {
		return nil, nil
	}
	open, err := storage.All(ctx, s.DB, scanUpload, listOpen, string(o.Realm), o.ID, maxCollected)
	if err != nil {
		return nil, fmt.Errorf("collect images: %w", err)
	}
	for _, u := range open {
		if err := s.collect(ctx, u); err != nil {
			return nil, fmt.Errorf("collect image: %w", err)
		}
	}
	refused, err := storage.All(ctx, s.DB, scanRefusal, listRefused, string(o.Realm), o.ID, maxCollected)
	if err != nil {
		return nil, fmt.Errorf("collect images: %w", err)
	}
	return refused, nil
}

// maxCollected bounds the uploads that are looked at together.
const maxCollected = 200

func (s *Service) collect(ctx context.Context, u upload) error {
	file, found, err := s.Bucket.Fetch(ctx, u.key, MaxBytes)
	if err != nil {
		return fault.Wrap(err, fault.Unavailable, "uploads cannot be fetched at this moment")
	}
	if !found {
		return nil
	}
	err = s.intake(ctx, u, file)
	switch fault.CodeOf(err) {
	case "", fault.InvalidState: // taken, or too late
	case fault.InvalidRequest:
		err = s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
			return endUpload(ctx, tx, u.key, end{state: stateRefused, refusal: fault.From(err).Message, at: s.now()})
		})
		if err != nil {
			return err
		}
	default:
		return err
	}
	if err := s.Bucket.Remove(ctx, u.key); err != nil {
		return fault.Wrap(err, fault.Unavailable, "uploads cannot be removed at this moment")
	}
	return nil
}
