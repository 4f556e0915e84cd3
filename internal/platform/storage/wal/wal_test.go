package wal_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/scripcards/scrip/internal/platform/storage/lite"
	"github.com/scripcards/scrip/internal/platform/storage/wal"
)

// writer makes transactions of all shapes in a database.
type writer struct {
	*testing.T
	*lite.Conn
	path string
	rand *rand.Rand
}

func newWriter(t *testing.T, seed uint64) *writer {
	t.Helper()
	w := &writer{T: t, path: filepath.Join(t.TempDir(), "test.db"), rand: rand.New(rand.NewPCG(seed, 1))}
	conn, err := lite.Open(w.path)
	if err != nil {
		t.Fatal(err)
	}
	w.Conn = conn
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	})
	// Ten pages of memory have a transaction of more written to the log before it is whole.
	w.exec("PRAGMA journal_mode = WAL", "PRAGMA synchronous = NORMAL", "PRAGMA wal_autocheckpoint = 0", "PRAGMA cache_size = 10",
		"CREATE TABLE things (id INTEGER PRIMARY KEY, text BLOB) STRICT")
	return w
}

func (w *writer) exec(texts ...string) {
	w.Helper()
	for _, text := range texts {
		if _, err := w.Exec(text, nil); err != nil {
			w.Fatalf("%s: %v", text, err)
		}
	}
}

// commit makes one transaction, mostly a small one.
func (w *writer) commit(end string) {
	rows := 1 + w.rand.IntN(5)
	if w.rand.IntN(10) == 0 {
		rows = 100
	}
	w.exec("BEGIN")
	for range rows {
		w.exec(fmt.Sprintf("INSERT OR REPLACE INTO things VALUES (%d, randomblob(%d))", w.rand.IntN(500), w.rand.IntN(3000)))
	}
	w.exec(end)
}

// step makes a transaction that counts, undoes one, or folds the log.
func (w *writer) step() (committed bool) {
	switch w.rand.IntN(40) {
	case 0:
		w.exec("PRAGMA wal_checkpoint(RESTART)")
	case 1:
		w.exec("PRAGMA wal_checkpoint(PASSIVE)")
	case 2, 3, 4:
		w.commit("ROLLBACK")
	default:
		w.commit("COMMIT")
		return true
	}
	return false
}

func (w *writer) read(suffix string) []byte {
	w.Helper()
	content, err := os.ReadFile(w.path + suffix)
	if err != nil {
		w.Fatal(err)
	}
	return content
}

// look looks at a log beside a database.
func look(t *testing.T, database, log []byte) wal.Report {
	t.Helper()
	path := filepath.Join(t.TempDir(), "copy.db")
	if err := errors.Join(os.WriteFile(path, database, 0o600), os.WriteFile(path+"-wal", log, 0o600)); err != nil {
		t.Fatal(err)
	}
	found, err := wal.Look(path)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// folded returns a database with its log folded.
func folded(t *testing.T, database, log []byte) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "folded.db")
	if err := errors.Join(os.WriteFile(path, database, 0o600), os.WriteFile(path+"-wal", log, 0o600)); err != nil {
		t.Fatal(err)
	}
	conn, err := lite.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = conn.Exec("PRAGMA wal_checkpoint(TRUNCATE)", nil)
	if err = errors.Join(err, conn.Close()); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// A log that a kill or a power cut left is never called damaged: whole, cut anywhere, with zeros
// to its end, or with any of the sectors in it that two commits wrote which were not on disk.
func TestCrashIsNoDamage(t *testing.T) {
	const seeds = uint64(3)
	for seed := range seeds {
		w := newWriter(t, seed)
		synced, last := w.read("-wal"), [][]byte{}
		for range 80 {
			if w.step() {
				last = append(last, w.read("-wal"))
			} else {
				last = [][]byte{w.read("-wal")} // folding puts it on disk
			}
			if len(last) > 2 {
				last = last[1:]
			}
			if w.rand.IntN(10) != 0 {
				synced = last[0]
				continue
			}
			log, database := w.read("-wal"), w.read("")
			shapes := map[string][]byte{"whole": log, "cut": log[:w.rand.IntN(len(log)+1)], "zeros": bytes.Clone(log), "sectors": bytes.Clone(log)}
			clear(shapes["zeros"][w.rand.IntN(len(log)):])
			w.loseSectors(shapes["sectors"], synced)
			for shape, content := range shapes {
				if found := look(t, database, content); found.Err() != nil {
					t.Fatalf("seed %d, %s: %v", seed, shape, found.Err())
				}
			}
		}
	}
}

// loseSectors leaves in about half of a log's sectors what was synced before.
func (w *writer) loseSectors(log, synced []byte) {
	const sector = 512
	header := bytes.Clone(log[:32])
	for at := 0; at < len(log); at += sector {
		if w.rand.IntN(2) == 0 {
			part := log[at:min(at+sector, len(log))]
			clear(part)
			copy(part, synced[min(at, len(synced)):min(at+len(part), len(synced))])
		}
	}
	copy(log, header) // the engine puts a new header on disk before it writes what follows
}

// A log that was folded and begins anew, however short the one was that lies in front of the
// remains of a long one, is not damaged: neither where its new header was not written, or only a
// part of it and of what is in its sector, nor where of its first two commits sectors were lost.
func TestNewLogIsNoDamage(t *testing.T) {
	for commits := range 5 {
		w := newWriter(t, uint64(commits))
		for range 40 {
			w.commit("COMMIT")
		}
		w.exec("PRAGMA wal_checkpoint(RESTART)")
		for range commits {
			w.exec("UPDATE things SET text = zeroblob(length(text)) WHERE id = (SELECT max(id) FROM things)")
		}
		w.exec("PRAGMA wal_checkpoint(RESTART)")
		old, database := w.read("-wal"), w.read("")
		sound := func(shape string, log []byte) {
			t.Helper()
			if found := look(t, database, log); found.Err() != nil {
				t.Fatalf("%d commits, %s: %v", commits, shape, found.Err())
			}
		}
		sound("the old header", old)
		w.commit("COMMIT")
		w.commit("COMMIT")
		next := w.read("-wal")
		for _, lost := range []int{8, 24, 32, 512} {
			without, torn := bytes.Clone(old), bytes.Clone(next[:lost])
			clear(without[:lost])
			sound(fmt.Sprintf("%d bytes of nothing", lost), without)
			sound(fmt.Sprintf("%d bytes of the new header", lost), append(torn, old[lost:]...))
		}
		for range 6 {
			log := bytes.Clone(next)
			w.loseSectors(log, old)
			sound("lost sectors", log)
		}
	}
}

// Bits that turned in a log that was on disk is told of, in a page, a header of one, and the
// log's own header, whose loss would be that of everything.
func TestDamage(t *testing.T) {
	w := newWriter(t, 1)
	for range 100 {
		w.commit("COMMIT")
	}
	log, database := w.read("-wal"), w.read("")
	if found := look(t, database, log); found != (wal.Report{Left: true}) {
		t.Errorf("a sound log: %+v", found)
	}
	for name, at := range map[string]int{"a page": len(log) / 3, "a frame's header": 32 + 4120*20 + 9, "the first frame": 40, "the log's header": 17, "its checksum": 30, "its order of bytes": 3} {
		damaged := bytes.Clone(log)
		damaged[at] ^= 5
		if found := look(t, database, damaged); !errors.Is(found.Err(), wal.ErrDamaged) || found.Lost < 40 {
			t.Errorf("%s: %+v", name, found)
		}
		if place, want := look(t, database, damaged).Place(), map[string]string{"a frame's header": "at frame 21", "the first frame": "at frame 1", "the log's header": "in its header"}[name]; want != "" && place != want {
			t.Errorf("%s: the damage is %s", name, place)
		}
	}
	for _, lost := range []int{32, 512, 4096, 65536} {
		damaged := bytes.Clone(log)
		clear(damaged[:lost])
		found := look(t, database, damaged)
		if !errors.Is(found.Err(), wal.ErrDamaged) || found.Lost < 40 || found.Frame != 0 {
			t.Errorf("the first %d bytes: %+v", lost, found)
		}
		clear(damaged[len(log)/2:][:4096])
		if twice := look(t, database, damaged); twice.Lost < found.Lost-10 {
			t.Errorf("the first %d bytes and others: %+v, was %+v", lost, twice, found)
		}
	}
	for range 10 {
		w.commit("COMMIT")
	}
	longer := w.read("-wal")
	w.exec("PRAGMA wal_checkpoint(PASSIVE)")
	clear(longer[:512])
	if found := look(t, w.read(""), longer); found.Err() != nil {
		t.Errorf("a log without a header, all of which is in the database: %v", found.Err())
	}
	if found := look(t, folded(t, database, log), longer); !errors.Is(found.Err(), wal.ErrDamaged) || found.Lost != 10 {
		t.Errorf("a log without a header, of which ten commits are not in the database: %+v", found)
	}
	if found := look(t, nil, nil); found != (wal.Report{}) {
		t.Errorf("no log: %+v", found)
	}
}
