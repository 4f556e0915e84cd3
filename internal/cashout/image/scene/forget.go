package scene

import (
	"context"
	"image"

	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/picture/landmark"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Forget removes all that is kept of a photo. Where a scene's marks are of the photo, those of
// its heir take their place, so that other photos of the scene are found as before; a scene
// without an heir ends. Nobody may search or write scenes of the realm meanwhile.
func (m *Memory) Forget(ctx context.Context, tx *storage.Tx, p Photo) error {
	own, err := storage.All(ctx, tx, scanOwn, listOwn, p.ID)
	if err != nil {
		return err
	}
	for _, o := range own {
		if err := m.leave(ctx, tx, p, o.scene); err != nil {
			return err
		}
	}
	return nil
}

// leave removes a photo from a scene.
func (m *Memory) leave(ctx context.Context, tx *storage.Tx, p Photo, scene string) error {
	marks, _, err := storage.One(ctx, tx, scanMarks, findMarks, scene)
	if err != nil {
		return err
	}
	heir, found, err := storage.One(ctx, tx, scanMarks, findHeir, scene)
	if err != nil {
		return err
	}
	if marks.photo == p.ID && !found {
		return each(ctx, tx, scene, forgetWords, forgetTraces, forgetScene)
	}
	if marks.photo == p.ID {
		err = m.inherit(ctx, tx, p.Realm, heir)
	}
	if err == nil && (marks.photo == p.ID || heir.photo == p.ID) {
		err = each(ctx, tx, scene, forgetHeir)
	}
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, forgetTrace, scene, p.ID); err != nil {
		return err
	}
	return each(ctx, tx, scene, discount)
}

// each makes changes to a scene.
func each(ctx context.Context, tx *storage.Tx, scene string, changes ...*storage.Statement) error {
	for _, change := range changes {
		if _, err := tx.Exec(ctx, change, scene); err != nil {
			return err
		}
	}
	return nil
}

// inherit has the marks of an heir take the place of its scene's.
func (m *Memory) inherit(ctx context.Context, tx *storage.Tx, r realm.Realm, heir sealedMarks) error {
	marks, err := m.open(heir)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, saveMarks, heir.scene, heir.photo, heir.sealed); err != nil {
		return err
	}
	if err := each(ctx, tx, heir.scene, forgetWords); err != nil {
		return err
	}
	return keepWords(ctx, tx, index{r, heir.scene}, marks.Words())
}

// Area is a part of a photo, and how large the photo is, in pixels.
type Area struct {
	image.Rectangle
	Of image.Point
}

// Redact removes what is kept of an area of a photo. Nobody may search or write scenes of
// the realm meanwhile.
func (m *Memory) Redact(ctx context.Context, tx *storage.Tx, photo string, area Area) error {
	own, err := storage.All(ctx, tx, scanOwn, listOwn, photo)
	if err != nil {
		return err
	}
	for _, o := range own {
		o.photo = photo
		if err := m.redact(ctx, tx, o, area); err != nil {
			return err
		}
	}
	return nil
}

// redact removes what one scene keeps of an area of a photo.
func (m *Memory) redact(ctx context.Context, tx *storage.Tx, o kept, area Area) error {
	t, err := m.trace(o.place, o.sealed)
	if err != nil {
		return err
	}
	at, marks, err := m.marks(ctx, tx, findMarks, o.scene)
	if err != nil || marks == nil {
		return err
	}
	t.Forget(marks, area.Rectangle, area.Of)
	sealed, err := m.sealTrace(o.place, t)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, saveTrace, o.scene, o.photo, sealed); err != nil {
		return err
	}
	if at == o.place {
		marks.Forget(t, area.Rectangle, area.Of)
		if sealed, err = m.seal(at, marks); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, saveMarks, o.scene, o.photo, sealed); err != nil {
			return err
		}
	}
	next, heir, err := m.marks(ctx, tx, findHeir, o.scene)
	switch {
	case err != nil || heir == nil:
		return err
	case next == o.place:
		heir.Forget(t, area.Rectangle, area.Of)
	case at == o.place: // the heir shows what is its own, but not where to compare it
		heir.ForgetPlaces(t, area.Rectangle, area.Of)
	default:
		return nil
	}
	return m.keepHeir(ctx, tx, next, heir)
}

// keepHeir writes the marks that come after a scene's own.
func (m *Memory) keepHeir(ctx context.Context, tx *storage.Tx, at place, marks *landmark.Marks) error {
	sealed, err := m.seal(at, marks)
	if err != nil {
		return err
	}
	return tx.ExecRows(ctx, upsertHeir, [][]any{{at.scene, at.photo, sealed}})
}
