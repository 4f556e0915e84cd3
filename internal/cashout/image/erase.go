package image

import (
	"context"
	"fmt"
	"time"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// EraseAfter returns the effects of having every image of an owner erased at a time of its
// realm's clock, for the transaction that decides about the owner. A later call replaces
// an earlier one; what is uploaded afterwards is kept for Config.KeepFor, or until the
// next call. CloseUploads keeps more from coming.
func (s *Service) EraseAfter(o Owner, at time.Time) []storage.Effect {
	return []storage.Effect{setClock.With(string(o.Realm), o.ID, storage.Micros(at))}
}

// sweepBatch bounds what one transaction erases, sweepMost what one sweep does.
const (
	sweepBatch = 50
	sweepMost  = 200
)

// actorSystem is who erases.
const actorSystem = "system"

// EraseDue erases the content of every image whose time has come: rows, hashes and what the
// audit log says about them stay.
func (s *Service) EraseDue(ctx context.Context) error {
	for _, r := range realm.All() {
		for range sweepMost {
			n, err := s.eraseSome(ctx, r)
			if err != nil {
				return fmt.Errorf("erase images: %w", err)
			}
			if n < sweepBatch {
				break
			}
		}
	}
	return nil
}

func (s *Service) eraseSome(ctx context.Context, r realm.Realm) (n int, err error) {
	err = s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		now := s.Clocks.Now(r)
		due, err := storage.All(ctx, tx, scanImage, listDue, string(r), storage.Micros(now), sweepBatch)
		if err != nil {
			return err
		}
		n = len(due)
		for _, k := range due {
			if err := s.erase(ctx, tx, &k.Image, now); err != nil {
				return err
			}
		}
		return nil
	})
	return n, err
}

// erase removes what an image shows, and says so in the same transaction.
func (s *Service) erase(ctx context.Context, tx *storage.Tx, img *Image, now time.Time) error {
	if _, err := tx.Exec(ctx, deleteChunks, string(img.ID)); err != nil {
		return err
	}
	if err := tx.Apply(ctx, []storage.Effect{markErased.With(string(img.ID), storage.Micros(now)).Exactly(1)}); err != nil {
		return err
	}
	return s.record(ctx, tx, img, audit.Record{Actor: actorSystem, Action: actionErase})
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
		err = s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error { return tx.Apply(ctx, rows) })
		if err != nil {
			return fmt.Errorf("purge uploads: %w", err)
		}
	}
	return nil
}
