package journal

import (
	"bytes"
	"compress/flate"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Journal is the log and the snapshots of one installation as one process uses them. Its
// methods are called one at a time.
type Journal struct {
	db      *storage.DB
	process string
	// others is how far the batches of other processes were applied.
	others int64
	own    int64
	// unheard are the batches since the last written one of which it is not known whether
	// they were: each begins with all that the one before has.
	unheard []unheard
}

// unheard is how much a batch had, and its position if it was written.
type unheard struct {
	position      int64
	bytes, events int
}

// New returns the journal of a process that has seen nothing.
func New(db *storage.DB) *Journal { return &Journal{db: db, process: id.New("prc")} }

// Batch is entries, one after the other, that are written together.
type Batch struct {
	Entries []byte
	Events  int
	At      time.Time
	// Also is what is done with it, or not at all.
	Also []storage.Effect
}

// Write writes a batch. After storage.ErrUnknownCommit the next one begins with all that
// the batch had, and nothing is written twice.
func (j *Journal) Write(ctx context.Context, b Batch) error {
	packed, err := pack(b.Entries)
	if err != nil {
		return err
	}
	var position int64
	err = j.db.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		position = 0
		// The row stays locked until tx ends, so that positions are committed in their order;
		// a commit that was not heard of has ended when it is had.
		if _, err := tx.Exec(ctx, advance); err != nil {
			return err
		}
		left, err := j.unwritten(ctx, tx, b)
		if err != nil || left.Events == 0 {
			return err
		}
		if left.Events < b.Events {
			if packed, err = pack(left.Entries); err != nil {
				return err
			}
		}
		if position, _, err = storage.One(ctx, tx, storage.Scalar[int64], findPosition); err != nil {
			return err
		}
		return tx.Apply(ctx, append([]storage.Effect{insertBatch.Row(position, j.process, left.Events, len(packed), packed, storage.Micros(b.At))}, b.Also...))
	})
	switch {
	case err == nil:
		for _, u := range j.unheard {
			position = max(position, u.position)
		}
		j.own, j.unheard = max(j.own, position), nil
	case errors.Is(err, storage.ErrUnknownCommit) && position > 0:
		j.unheard = append(j.unheard, unheard{position, len(b.Entries), b.Events})
	}
	return err
}

// unwritten is what of a batch is not in the log yet.
func (j *Journal) unwritten(ctx context.Context, tx *storage.Tx, b Batch) (Batch, error) {
	for _, u := range slices.Backward(j.unheard) {
		process, found, err := storage.One(ctx, tx, storage.Scalar[string], findWriter, u.position)
		if err != nil {
			return b, err
		}
		if found && process == j.process {
			b.Entries, b.Events = b.Entries[u.bytes:], b.Events-u.events
			break
		}
	}
	return b, nil
}

func pack(data []byte) ([]byte, error) {
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, flate.BestSpeed)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(data); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// maxUnpacked bounds a batch or a part when it is unpacked.
const maxUnpacked = 64 << 20

func unpack(data []byte) ([]byte, error) {
	return io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(data)), maxUnpacked))
}

// followPage is how many batches are read at once.
const followPage = 50

// Follow applies what other processes wrote since the last time, in order.
func (j *Journal) Follow(ctx context.Context, apply func(Entry)) error {
	return j.follow(ctx, apply, func(b batch) bool { return b.process != j.process })
}

func (j *Journal) follow(ctx context.Context, apply func(Entry), wanted func(batch) bool) error {
	for {
		page, err := storage.All(ctx, j.db, scanBatch, listBatches, j.others, followPage)
		if err != nil {
			return fmt.Errorf("follow fraud log: %w", err)
		}
		for _, b := range page {
			if wanted(b) {
				if err := applyAll(b, apply); err != nil {
					return err
				}
			}
			j.others = b.position
		}
		if len(page) < followPage {
			return nil
		}
	}
}

func applyAll(b batch, apply func(Entry)) error {
	data, err := unpack(b.data)
	for err == nil && len(data) > 0 {
		var e Entry
		if e, data, err = Read(data); err == nil {
			apply(e)
		}
	}
	if err != nil {
		return fmt.Errorf("fraud log, batch %d: %w", b.position, err)
	}
	return nil
}

// Snapshot is all counts of this process, taken when Own was its last batch.
type Snapshot struct {
	Data   []byte
	Layout [32]byte
	At     time.Time
}

const (
	partSize = 1 << 20
	// abandoned is after how long a snapshot that is not complete will not be.
	abandoned = 10 * time.Minute
	// lag is how far behind a process may be that follows the log.
	lag        = 10 * time.Minute
	purgeLimit = 200
	// leastLog is how many bytes of log are worth a snapshot; a large snapshot is made less
	// often, so that writing them costs no more than twice the log.
	leastLog = 4 << 20
)

// Due reports whether the log has grown so long that it is time for a snapshot.
func (j *Journal) Due(ctx context.Context, now time.Time) (bool, error) {
	newest, _, err := storage.One(ctx, j.db, scanSnapshot, newestSnapshot)
	if err != nil {
		return false, err
	}
	size, _, err := storage.One(ctx, j.db, storage.Scalar[int64], sizeAfter, newest.others)
	if err != nil || size < max(leastLog, newest.size/2) {
		return false, err
	}
	_, writing, err := storage.One(ctx, j.db, storage.Scalar[int64], findWriting, storage.Micros(now.Add(-abandoned)))
	return !writing, err
}

// Mark is how far a process is.
type Mark struct{ own, others int64 }

// Mark returns how far this process is. What is saved with it must be taken before
// anything else is written or followed.
func (j *Journal) Mark() Mark {
	// Where others are ahead, this process wrote nothing between.
	return Mark{own: max(j.own, j.others), others: j.others}
}

// Save writes a snapshot, a part at a time, and removes what it makes useless.
func (j *Journal) Save(ctx context.Context, s Snapshot, m Mark) error {
	head := snapshot{id: id.New("snp"), process: j.process, own: m.own, others: m.others}
	var parts [][]byte
	size := int64(0)
	for left := s.Data; len(left) > 0; {
		n := min(len(left), partSize)
		packed, err := pack(left[:n])
		if err != nil {
			return fmt.Errorf("save fraud counts: %w", err)
		}
		parts, left = append(parts, packed), left[n:]
		size += int64(len(packed))
	}
	steps := []storage.Effect{insertSnapshot.Row(head.id, head.process, head.own, head.others, s.Layout[:], len(parts), size, "writing", storage.Micros(s.At))}
	for i, part := range parts {
		steps = append(steps, insertPart.Row(head.id, i, part))
	}
	for _, step := range append(steps, finishSnapshot.With(head.id)) {
		// One at a time: others write between.
		err := j.db.Write(ctx, func(ctx context.Context, tx *storage.Tx) error { return tx.Apply(ctx, []storage.Effect{step}) })
		if err != nil {
			return fmt.Errorf("save fraud counts: %w", err)
		}
	}
	return j.clear(ctx, head, s.At)
}

// clear removes older snapshots, and the log that this one has.
func (j *Journal) clear(ctx context.Context, head snapshot, now time.Time) error {
	old, err := storage.All(ctx, j.db, storage.Scalar[string], oldSnapshots, head.id, head.others, storage.Micros(now.Add(-abandoned)))
	if err != nil {
		return err
	}
	for _, snapshot := range old {
		err := j.db.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
			return tx.Apply(ctx, []storage.Effect{deletePart.With(snapshot), deleteOld.With(snapshot)})
		})
		if err != nil {
			return fmt.Errorf("remove old fraud counts: %w", err)
		}
	}
	for {
		n := int64(0)
		err := j.db.Write(ctx, func(ctx context.Context, tx *storage.Tx) (err error) {
			n, err = tx.Exec(ctx, purgeBatches, head.others, storage.Micros(now.Add(-lag)), purgeLimit)
			return err
		})
		if err != nil || n < purgeLimit {
			return err
		}
	}
}

// ErrReplaced is returned by Restore when another process saved a snapshot meanwhile, with
// which the one that was read went, and perhaps some of the log behind it.
var ErrReplaced = errors.New("restore fraud counts: there is a newer snapshot")

// Restore brings a process that has seen nothing to where the others are: load fills the
// counts from the newest snapshot, apply adds what came after it. A snapshot of another
// layout is left out: what the log has is applied then. After ErrReplaced it is called
// again for a process that has seen nothing.
func (j *Journal) Restore(ctx context.Context, layout [32]byte, load func([]byte) error, apply func(Entry)) error {
	j.others = 0
	head, found, err := storage.One(ctx, j.db, scanSnapshot, newestSnapshot)
	if err != nil {
		return fmt.Errorf("restore fraud counts: %w", err)
	}
	if !found || !bytes.Equal(head.layout, layout[:]) {
		err = j.follow(ctx, apply, func(batch) bool { return true })
	} else {
		err = j.restore(ctx, head, load, apply)
	}
	now, _, look := storage.One(ctx, j.db, scanSnapshot, newestSnapshot)
	if look == nil && now.id != head.id {
		return ErrReplaced
	}
	return errors.Join(err, look)
}

// restore reads a snapshot and what came after it.
func (j *Journal) restore(ctx context.Context, head snapshot, load func([]byte) error, apply func(Entry)) error {
	var data []byte
	for part := range head.parts {
		packed, found, err := storage.One(ctx, j.db, storage.Scalar[[]byte], findPart, head.id, part)
		if err == nil && !found {
			err = io.ErrUnexpectedEOF
		}
		if err == nil {
			packed, err = unpack(packed)
		}
		if err != nil {
			return fmt.Errorf("restore fraud counts, part %d: %w", part, err)
		}
		data = append(data, packed...)
	}
	if err := load(data); err != nil {
		return fmt.Errorf("restore fraud counts: %w", err)
	}
	j.others = head.others
	return j.follow(ctx, apply, func(b batch) bool {
		if b.process == head.process {
			return b.position > head.own
		}
		return b.position > head.others
	})
}
