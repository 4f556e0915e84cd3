package lite

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"modernc.org/libc"
	engine "modernc.org/sqlite/lib"
)

// workbench is a database whose connections have a cache of few pages, so that transactions are
// written in parts.
type workbench struct {
	*testing.T
	path string
}

func newWorkbench(t *testing.T) *workbench {
	return &workbench{T: t, path: filepath.Join(t.TempDir(), "db")}
}

func (w *workbench) connect(path string) *Conn {
	w.Helper()
	c, err := Open(path)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() {
		if err := c.Close(); err != nil {
			w.Error(err)
		}
	})
	for _, pragma := range []string{"journal_mode = WAL", "synchronous = OFF", "wal_autocheckpoint = 0", "cache_size = 12"} {
		w.run(c, "PRAGMA "+pragma)
	}
	return c
}

func (w *workbench) run(c *Conn, text string, args ...any) {
	w.Helper()
	if _, err := c.Exec(text, args); err != nil {
		w.Fatalf("%s: %v", text, err)
	}
}

// text asks for one text.
func (w *workbench) text(c *Conn, query string) (text string) {
	w.Helper()
	rows, err := c.Query(query, nil)
	if err != nil {
		w.Fatalf("%s: %v", query, err)
	}
	defer func() { _ = rows.Close() }()
	if !rows.Next() {
		w.Fatalf("%s: no row: %v", query, rows.Err())
	}
	if err := rows.Scan(&text); err != nil {
		w.Fatal(err)
	}
	return text
}

// sum is what c sees: how many rows, and a number of all that is in them.
func (w *workbench) sum(c *Conn) string {
	w.Helper()
	return w.text(c, "SELECT COUNT(*) || '/' || COALESCE(SUM(id * length(text) + unicode(text)), 0) FROM t")
}

// onDisk is what somebody finds who starts on a copy of the files as they are now, when all
// that processes remember of them is lost.
func (w *workbench) onDisk() string {
	w.Helper()
	copied := filepath.Join(w.TempDir(), "db")
	for _, end := range []string{"", "-wal"} {
		content, err := os.ReadFile(w.path + end)
		if err != nil {
			w.Fatal(err)
		}
		if err := os.WriteFile(copied+end, content, 0o600); err != nil {
			w.Fatal(err)
		}
	}
	c := w.connect(copied)
	if said := w.text(c, "PRAGMA integrity_check"); said != "ok" {
		w.Fatalf("what is on disk is %q", said)
	}
	return w.sum(c)
}

// change does what a transaction does: rows come, go and change, some of it is undone, and
// it is read while it is written.
func (w *workbench) change(c *Conn, random *rand.Rand) {
	w.Helper()
	for range 1 + random.IntN(6) {
		undone := random.IntN(3) == 0
		if undone {
			w.run(c, "SAVEPOINT part")
		}
		for range random.IntN(120) {
			w.run(c, "INSERT OR REPLACE INTO t VALUES ($1, $2)", random.Int64N(3000), strings.Repeat(string(rune('a'+random.IntN(26))), 1+random.IntN(900)))
		}
		w.run(c, "DELETE FROM t WHERE id % 97 = $1", random.Int64N(97))
		w.sum(c)
		if undone {
			w.run(c, "ROLLBACK TO part")
			w.run(c, "RELEASE part")
		}
	}
}

// Whatever a transaction did, and whichever of two connections made it, what is committed is
// in the files, whole and with the right checksums, and what was undone is not. Logs begin
// anew meanwhile.
func TestWhatIsCommittedIsWritten(t *testing.T) {
	w := newWorkbench(t)
	writers := []*Conn{w.connect(w.path), w.connect(w.path)}
	w.run(writers[0], "CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT NOT NULL)")
	w.run(writers[0], "CREATE INDEX t_by_text ON t (text)")
	random, rounds := rand.New(rand.NewPCG(7, 11)), 24
	if testing.Short() {
		rounds = 8 // of which the last folds the log
	}
	for round := range rounds {
		c, other := writers[round%3%2], writers[1-round%3%2]
		before := w.sum(other)
		w.run(c, "BEGIN IMMEDIATE")
		w.change(c, random)
		want, end := w.sum(c), "COMMIT"
		if random.IntN(4) == 0 {
			want, end = before, "ROLLBACK"
			w.run(c, "UPDATE t SET text = text || 'x'") // which nobody reads, so that not all of it is written
		}
		if got := w.sum(other); got != before {
			t.Fatalf("round %d: others see %s before the end, want %s", round, got, before)
		}
		w.run(c, end)
		if got := w.sum(other); got != want {
			t.Fatalf("round %d: after %s others see %s, want %s", round, end, got, want)
		}
		if got := w.onDisk(); got != want {
			t.Fatalf("round %d: after %s there is %s on disk, want %s", round, end, got, want)
		}
		if round%8 == 7 {
			if _, _, err := other.Fold(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A transaction of which anything could not be written is refused and leaves nothing, be it
// the first part that was written or the last; the next one is as any.
func TestWriteFails(t *testing.T) {
	w := newWorkbench(t)
	c, reader := w.connect(w.path), w.connect(w.path)
	w.run(c, "CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT NOT NULL)")
	full := c.fillDisk(t)
	for good := 0; ; good++ {
		before := w.sum(reader)
		full.after = good
		err := c.fill(200)
		want := w.sum(reader)
		full.after = -1
		if err == nil {
			if good < 4 {
				t.Errorf("the transaction was written in %d parts: nothing was shown", good)
			}
			break
		}
		if want != before {
			t.Fatalf("with %d writes: others see %s, want %s: %v", good, want, before, err)
		}
		if got := w.onDisk(); got != before {
			t.Fatalf("with %d writes: %s on disk, want %s: %v", good, got, before, err)
		}
		if err := c.fill(1); err != nil {
			t.Fatalf("after %d writes: %v", good, err)
		}
	}
	if got, want := w.onDisk(), w.sum(reader); got != want {
		t.Errorf("%s on disk, want %s", got, want)
	}
}

// fill inserts rows that have a page each, in one transaction.
func (c *Conn) fill(rows int) error {
	if _, err := c.Exec("BEGIN IMMEDIATE", nil); err != nil {
		return err
	}
	for range rows {
		if _, err := c.Exec("INSERT INTO t (text) VALUES (hex(zeroblob(1500)))", nil); err != nil {
			_, _ = c.Exec("ROLLBACK", nil) // the engine may have done so
			return err
		}
	}
	if _, err := c.Exec("COMMIT", nil); err != nil {
		_, _ = c.Exec("ROLLBACK", nil)
		return err
	}
	return nil
}

// What was gathered and not written when the lock is given back is never written: it was
// undone, and another process may have written there since.
func TestUndoneIsDropped(t *testing.T) {
	w := newWorkbench(t)
	c := w.connect(w.path)
	w.run(c, "CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT NOT NULL)")
	disk := c.fillDisk(t)
	disk.after = 0
	header, file := make([]byte, frameHeader), disk.file
	log, at := gathererOf(file), span{content: uintptr(unsafe.Pointer(&header[0])), size: frameHeader, at: 1 << 20}
	log.begin(true)
	if code := log.put(c.tls, file, at); code != engine.SQLITE_OK {
		t.Fatalf("the header was not kept: %d", code)
	}
	log.begin(false)
	log.begin(true)
	at.at = 1 << 10
	if code := log.put(c.tls, file, at); code != engine.SQLITE_OK {
		t.Errorf("what was undone was written: %d", code)
	}
	log.begin(false)
	runtime.KeepAlive(header)
	disk.after = -1
}

// fullDisk refuses what is written to a log after so many writes; -1: nothing.
type fullDisk struct {
	after int
	write transferMethod // the engine knows its address
	file  uintptr        // the log
}

// fillDisk puts a disk that may be full under the connection's log.
func (c *Conn) fillDisk(t *testing.T) *fullDisk {
	t.Helper()
	full := &fullDisk{after: -1}
	methods := new(engine.Tsqlite3_io_methods)
	file, _, err := c.file()
	if err != nil {
		t.Fatal(err)
	}
	full.file = gathererOf(file).peer
	log := gathererOf(full.file)
	system, disk := log.system, log.base()
	t.Cleanup(func() {
		log.system = system
		runtime.KeepAlive(methods)
		runtime.KeepAlive(full)
	})
	*methods = *disk
	full.write = func(tls *libc.TLS, file, content uintptr, size int32, offset int64) int32 {
		if full.after == 0 {
			return engine.SQLITE_FULL
		}
		if full.after > 0 {
			full.after--
		}
		return method[transferMethod](disk.FxWrite)(tls, file, content, size, offset)
	}
	methods.FxWrite = address(full.write)
	log.system = uintptr(unsafe.Pointer(methods))
	return full
}
