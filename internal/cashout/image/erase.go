package image

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/picture"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// End is when what is kept of an owner's images goes, by the clock of its realm.
type End struct {
	// Content is when the images are erased.
	Content time.Time
	// Marks is when what later images are found by is erased: with the content at the
	// earliest.
	Marks time.Time
}

// EraseAfter returns the effects of having every image of an owner erased at a time, and
// forgotten, for the transaction that decides about the owner. A later call replaces an
// earlier one; what is uploaded afterwards is kept as Config says, or until the next call.
// CloseUploads keeps more from coming.
func (s *Service) EraseAfter(o Owner, e End) []storage.Effect {
	marks := e.Marks
	if marks.Before(e.Content) {
		marks = e.Content
	}
	return []storage.Effect{
		setClock.With(string(o.Realm), o.ID, storage.Micros(e.Content)),
		setForget.With(string(o.Realm), o.ID, storage.Micros(marks)),
	}
}

// sweepBatch and forgetBatch bound what one transaction erases, sweepMost what one sweep does.
const (
	sweepBatch  = 50
	forgetBatch = 10
	sweepMost   = 200
)

// actorSystem is who erases.
const actorSystem = "system"

// EraseDue erases the content of every image whose time has come, and then what later images
// are found by, of every one whose time for that has come, too: rows, hashes and what the
// audit log says about them stay, and what was found until then, for as long as the later
// image of the two is known.
func (s *Service) EraseDue(ctx context.Context) error {
	if err := s.sweep(ctx, listDue, sweepBatch, s.erase); err != nil {
		return fmt.Errorf("erase images: %w", err)
	}
	if err := s.sweep(ctx, listForgettable, forgetBatch, s.forget); err != nil {
		return fmt.Errorf("forget images: %w", err)
	}
	return nil
}

// sweep does something to every image that is due, a batch in each transaction.
func (s *Service) sweep(ctx context.Context, due *storage.Statement, batch int, one func(context.Context, *storage.Tx, *Image) error) error {
	for _, r := range realm.All() {
		for range sweepMost {
			n := 0
			err := s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
				found, err := storage.All(ctx, tx, scanImage, due, string(r), storage.Micros(s.Clocks.Now(r)), batch)
				if err != nil {
					return err
				}
				n = len(found)
				for _, k := range found {
					if err := one(ctx, tx, &k.Image); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				return err
			}
			if n < batch {
				break
			}
		}
	}
	return nil
}

// erase removes what an image shows, and says so in the same transaction.
func (s *Service) erase(ctx context.Context, tx *storage.Tx, img *Image) error {
	now := s.Clocks.Now(img.Owner.Realm)
	if _, err := tx.Exec(ctx, deleteChunks, string(img.ID)); err != nil {
		return err
	}
	if err := tx.Apply(ctx, []storage.Effect{markErased.With(string(img.ID), storage.Micros(now)).Exactly(1)}); err != nil {
		return err
	}
	return s.record(ctx, tx, img, audit.Record{Actor: actorSystem, Action: actionErase})
}

// forget removes what later images are found by, and says so in the same transaction.
// Whoever compares an image at this moment does so again.
func (s *Service) forget(ctx context.Context, tx *storage.Tx, img *Image) error {
	r, now := string(img.Owner.Realm), s.Clocks.Now(img.Owner.Realm)
	if _, err := enter(ctx, tx, r); err != nil {
		return err
	}
	likeness, _, err := storage.One(ctx, tx, storage.Scalar[sql.NullInt64], findLikeness, string(img.ID))
	if err != nil {
		return err
	}
	var gone []storage.Effect
	for band := range bands {
		if likeness.Valid {
			gone = append(gone, deleteBand.With(r, int64(band), bandOf(picture.Likeness(likeness.Int64), band), string(img.ID)))
		}
	}
	gone = append(gone, deleteTwins.With(string(img.ID)), markForgotten.With(string(img.ID), storage.Micros(now)).Exactly(1))
	if err := tx.Apply(ctx, gone); err != nil {
		return err
	}
	if err := s.scenes.Forget(ctx, tx, img.photo()); err != nil {
		return err
	}
	return s.record(ctx, tx, img, audit.Record{Actor: actorSystem, Action: actionForget})
}

// Purge forgets forms that are long over. With a store elsewhere it first removes what was
// sent with them and never fetched.
func (s *Service) Purge(ctx context.Context) error {
	before := storage.Micros(s.now().Add(-formsKept))
	for range sweepMost {
		old, err := storage.All(ctx, s.DB, scanUpload, listOld, before, sweepBatch)
		if err != nil || len(old) == 0 {
			return err
		}
		rows := make([]storage.Effect, 0, len(old))
		for _, u := range old {
			if s.Bucket != nil {
				if err := s.Bucket.Remove(ctx, u.key); err != nil {
					return fmt.Errorf("purge uploads: %w", err)
				}
			}
			rows = append(rows, deleteUpload.With(u.key))
		}
		err = s.DB.Apply(ctx, rows)
		if err != nil {
			return fmt.Errorf("purge uploads: %w", err)
		}
	}
	return nil
}
