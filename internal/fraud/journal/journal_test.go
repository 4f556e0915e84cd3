package journal

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/fraud"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// asked is a batch of one event, told by its caller.
func asked(name string, at time.Time) Batch {
	e := Entry{Kind: Asked, Event: fraud.Event{Kind: fraud.Ping, At: at, Realm: realm.Live, Caller: name}}
	return Batch{Entries: e.Append(nil), Events: 1, At: at}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// counts is what a process knows: a text for each snapshot, and who asked after it.
type counts []string

func (c *counts) load(data []byte) error {
	*c = append(*c, string(data))
	return nil
}

func (c *counts) apply(e Entry) { *c = append(*c, e.Event.Caller) }

func saved(t *testing.T, j *Journal, text string, at time.Time) {
	t.Helper()
	check(t, j.Save(t.Context(), Snapshot{Data: []byte(text), At: at}, j.Mark()))
}

// Who restores while another saves is told so, and then has what the newer snapshot has, and no half of both.
func TestReplacedMeanwhile(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		ctx, one, two := t.Context(), New(db), New(db)
		check(t, one.Write(ctx, asked("a", noon)))
		saved(t, one, "one;", noon)
		var first, second counts
		err := two.Restore(ctx, [32]byte{}, func(data []byte) error { // the log goes on, and its beginning goes
			check(t, one.Write(ctx, asked("b", noon)))
			check(t, one.Follow(ctx, func(Entry) {}))
			saved(t, one, "two;", noon.Add(time.Hour))
			check(t, one.Write(ctx, asked("c", noon.Add(time.Hour))))
			return first.load(data)
		}, first.apply)
		if !errors.Is(err, ErrReplaced) {
			t.Fatalf("restored %v: %v", first, err)
		}
		check(t, two.Restore(ctx, [32]byte{}, second.load, second.apply))
		if diff := cmp.Diff(counts{"two;", "c"}, second); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		two = New(db)
		err = two.Restore(ctx, [32]byte{}, func([]byte) error {
			saved(t, one, "three;", noon.Add(2*time.Hour))
			return errors.New("half of it is gone")
		}, second.apply)
		if !errors.Is(err, ErrReplaced) {
			t.Errorf("a snapshot that went while it was read: %v", err)
		}
	})
}

// The snapshot that came furthest is the newest, whatever the clock said when it was made.
func TestClockSetBack(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		ctx, one := t.Context(), New(db)
		check(t, one.Write(ctx, asked("a", noon)))
		check(t, one.Follow(ctx, func(Entry) {}))
		check(t, db.Apply(ctx, []storage.Effect{insertSnapshot.Row("snp_7zzz", "prc_0", 1, 0, make([]byte, 32), 1, 8, "complete", 1), insertPart.Row("snp_7zzz", 0, []byte{})}))
		check(t, one.Write(ctx, asked("b", noon)))
		check(t, one.Follow(ctx, func(Entry) {}))
		saved(t, one, "later;", noon.Add(time.Hour))
		check(t, one.Write(ctx, asked("c", noon)))
		var after counts
		check(t, New(db).Restore(ctx, [32]byte{}, after.load, after.apply))
		if diff := cmp.Diff(counts{"later;", "c"}, after); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// A batch of which nobody heard whether it was written is in the log once, with what came behind it.
func TestUnheard(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		ctx, one := t.Context(), New(db)
		grown := func(names ...string) (b Batch) {
			for _, name := range names {
				next := asked(name, noon)
				b = Batch{Entries: append(b.Entries, next.Entries...), Events: b.Events + 1, At: noon}
			}
			return b
		}
		lose := func(b Batch, position int64) {
			one.unheard = append(one.unheard, unheard{position, len(b.Entries), b.Events})
		}
		check(t, one.Write(ctx, grown("a", "b")))
		lose(grown("a", "b"), one.own)
		lose(grown("a", "b", "c"), one.own+1)
		check(t, one.Write(ctx, grown("a", "b", "c", "d"))) // the first was written, the second was not
		lose(grown("e"), one.own+1)
		check(t, one.Write(ctx, grown("e"))) // was not written
		lose(grown("e"), one.own)
		check(t, one.Write(ctx, grown("e"))) // was, and nothing came since
		check(t, one.Write(ctx, grown("f")))
		if len(one.unheard) > 0 {
			t.Errorf("unheard: %+v", one.unheard)
		}
		var got counts
		check(t, New(db).Follow(ctx, got.apply))
		if diff := cmp.Diff(counts{"a", "b", "c", "d", "e", "f"}, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}
