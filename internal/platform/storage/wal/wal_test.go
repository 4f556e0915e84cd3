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

// A log that a kill or a power cut left is never called damaged: whole, cut anywhere, with zeros
// to its end, or with any of the sectors in it that two commits wrote which were not on disk.
func TestCrashIsNoDamage(t *testing.T) {
	const sector, seeds = 512, uint64(3)
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
			for at := 0; at < len(log); at += sector {
				if w.rand.IntN(2) == 0 {
					part := shapes["sectors"][at:min(at+sector, len(log))]
					clear(part)
					copy(part, synced[min(at, len(synced)):min(at+len(part), len(synced))])
				}
			}
			copy(shapes["sectors"], log[:32]) // the engine puts a new header on disk before it writes what follows
			for shape, content := range shapes {
				if found := look(t, database, content); found.Err() != nil {
					t.Fatalf("seed %d, %s: %v", seed, shape, found.Err())
				}
			}
		}
	}
}

// A bit that turned in a log that was on disk is told of, in a page, a header of one, and the
// log's own header, whose loss would be that of everything.
func TestDamage(t *testing.T) {
	w := newWriter(t, 1)
	for range 100 {
		w.commit("COMMIT")
	}
	log, database := w.read("-wal"), w.read("")
	if found := look(t, database, log); found != (wal.Report{}) {
		t.Errorf("a sound log: %+v", found)
	}
	for name, at := range map[string]int{"a page": len(log) / 3, "a frame's header": 32 + 4120*20 + 9, "the first frame": 40, "the log's header": 17, "its checksum": 30} {
		damaged := bytes.Clone(log)
		damaged[at] ^= 4
		if found := look(t, database, damaged); !errors.Is(found.Err(), wal.ErrDamaged) || found.Lost < 40 {
			t.Errorf("%s: %+v", name, found)
		}
		if place, want := look(t, database, damaged).Place(), map[string]string{"a frame's header": "at frame 21", "the first frame": "at frame 1", "the log's header": "in its header"}[name]; want != "" && place != want {
			t.Errorf("%s: the damage is %s", name, place)
		}
	}
	w.exec("PRAGMA wal_checkpoint(PASSIVE)")
	clear(log[:32])
	if found := look(t, w.read(""), log); found.Err() != nil {
		t.Errorf("a log without a header, all of which is in the database: %v", found.Err())
	}
	if found := look(t, nil, nil); found != (wal.Report{}) {
		t.Errorf("no log: %+v", found)
	}
}
