package lite_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/platform/storage/lite"
)

// foldable is a database whose log a folder folds back.
type foldable struct {
	*testing.T
	path   string
	writer *lite.Conn
	folder *lite.Folder
	turn   sync.Mutex   // of who writes
	folds  atomic.Int32 // that ended
	rows   int64
	last   func() // what happens while nobody writes, before the rest is folded
}

func newFoldable(t *testing.T) *foldable {
	d := &foldable{T: t, path: filepath.Join(t.TempDir(), "test.db"), last: func() {}}
	d.writer = d.connect("busy_timeout = 5000", "journal_mode = WAL", "wal_autocheckpoint = 0")
	d.folder = lite.NewFolder(d.connect("user_version"), func(last func()) {
		d.turn.Lock()
		defer d.turn.Unlock()
		d.last()
		last()
		d.folds.Add(1)
	}, func(err error) { t.Error(err) })
	d.folder.FoldAfter(1500)
	exec(t, d.writer, "CREATE TABLE things (id INTEGER PRIMARY KEY, text TEXT) STRICT")
	return d
}

func (d *foldable) connect(pragmas ...string) *lite.Conn {
	d.Helper()
	c, err := lite.Open(d.path)
	if err != nil {
		d.Fatal(err)
	}
	for _, pragma := range pragmas {
		exec(d.T, c, "PRAGMA "+pragma)
	}
	return c
}

// write writes until the log was folded so often.
func (d *foldable) write(folds int32) {
	for until := d.folds.Load() + folds; d.folds.Load() < until; {
		d.transaction()
	}
}

// transaction writes some hundred pages.
func (d *foldable) transaction() {
	text := strings.Repeat("x", 3000)
	d.turn.Lock()
	defer d.turn.Unlock()
	exec(d.T, d.writer, "BEGIN")
	for range 100 {
		exec(d.T, d.writer, "INSERT INTO things (text) VALUES ($1)", text)
		d.rows++
	}
	exec(d.T, d.writer, "COMMIT")
	d.folder.Wrote(d.writer.Logged())
}

// logged is how many bytes long the log is.
func (d *foldable) logged() int64 {
	d.Helper()
	log, err := os.Stat(d.path + "-wal")
	if err != nil {
		d.Fatal(err)
	}
	return log.Size()
}

// begunAnew writes until the log was folded so often, and looks whether it began anew each time:
// whoever begins it writes another salt into its head.
func (d *foldable) begunAnew(folds int) {
	d.Helper()
	for n := range folds {
		before := d.salt()
		d.write(1)
		d.transaction()
		if d.salt() == before {
			d.Errorf("fold %d: the log goes on, and has %d bytes", n, d.logged())
		}
	}
}

func (d *foldable) salt() (salt [8]byte) {
	d.Helper()
	log, err := os.Open(d.path + "-wal")
	if err != nil {
		d.Fatal(err)
	}
	defer log.Close()
	if _, err := log.ReadAt(salt[:], 16); err != nil {
		d.Fatal(err)
	}
	return salt
}

// close ends the folding and looks whether everything is there.
func (d *foldable) close() {
	d.Helper()
	if err := d.folder.Close(); err != nil {
		d.Error(err)
	}
	if got := exec(d.T, d.writer, "UPDATE things SET text = ''"); got != d.rows {
		d.Errorf("%d rows, want %d", got, d.rows)
	}
	if err := d.writer.Close(); err != nil {
		d.Error(err)
	}
}

// A log that became long is folded beside its writer, and begins anew, and nothing in it is
// lost. Whoever reads from it for a moment is waited for.
func TestFoldedLogBeginsAnew(t *testing.T) {
	d := newFoldable(t)
	reader := d.connect("busy_timeout = 5000", "query_only = ON")
	var group sync.WaitGroup
	d.last = func() {
		exec(t, reader, "BEGIN")
		exec(t, reader, "SELECT COUNT(*) FROM (SELECT 1 FROM things LIMIT 20)")
		group.Add(1)
		time.AfterFunc(100*time.Millisecond, func() {
			defer group.Done()
			exec(t, reader, "COMMIT")
		})
	}
	d.folder.WaitFor(time.Minute) // the machine may be busy
	d.begunAnew(6)
	group.Wait()
	if err := reader.Close(); err != nil {
		t.Error(err)
	}
	d.close()
}

// Writers do not wait for whoever reads for long: the log goes on, and begins anew once they
// left.
func TestLogIsFoldedDespiteReaders(t *testing.T) {
	d := newFoldable(t)
	exec(t, d.writer, "INSERT INTO things (text) VALUES ('first')")
	d.rows++
	reader := d.connect("busy_timeout = 5000", "query_only = ON")
	exec(t, reader, "BEGIN")
	exec(t, reader, "SELECT COUNT(*) FROM things")
	for range 50 {
		d.transaction()
	}
	if waited, log := d.folds.Load(), d.logged(); waited != 0 || log < 5000*4096 {
		t.Errorf("%d times writers waited for one who reads; the log has %d bytes", waited, log)
	}
	exec(t, reader, "COMMIT")
	d.begunAnew(2)
	if err := reader.Close(); err != nil {
		t.Error(err)
	}
	d.close()
}

// Writers who are faster than whoever folds wait for it: else each pass would have more to
// fold than the one before.
func TestLogDoesNotOutrunItsFolding(t *testing.T) {
	d := newFoldable(t)
	folded, alone := 0, make(chan struct{})
	d.last = sync.OnceFunc(func() { close(alone) })
	if err := d.folder.Beside(func() {
		select {
		case <-alone:
		default:
			if folded++; folded%60 == 0 && d.rows < 100_000 {
				d.transaction()
			}
		}
	}); err != nil {
		t.Fatal(err)
	}
	for range 16 {
		d.transaction()
	}
	<-alone
	d.turn.Lock()
	if log := d.logged(); log > 20_000*4096 {
		t.Errorf("the log has %d bytes", log)
	}
	d.turn.Unlock()
	d.close()
}
