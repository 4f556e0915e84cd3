package storage

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"

	codes "modernc.org/sqlite/lib"

	"github.com/scripcards/scrip/internal/platform/storage/flush"
	"github.com/scripcards/scrip/internal/platform/storage/lite"
	"github.com/scripcards/scrip/internal/platform/storage/wal"
)

// There is room for a commit once fewer are on their way to the disk than may be, and to look
// for it takes none.
func TestRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &sqliteWriter{unflushed: make(chan struct{}, maxUnflushed)}
		db, there := &DB{room: w.room}, false
		for range maxUnflushed {
			db.Room()
			w.unflushed <- struct{}{}
		}
		go func() {
			db.Room()
			there = true
		}()
		if synctest.Wait(); there {
			t.Error("there is room for one more than may be on their way")
		}
		<-w.unflushed
		if synctest.Wait(); !there || len(w.unflushed) != maxUnflushed-1 {
			t.Errorf("there is room: %v, with %d on their way", there, len(w.unflushed))
		}
	})
}

// A database whose disk lost a commit takes no writes until a restart: it says so to whoever asks
// whether it can serve, and its callers are told to come again.
func TestBrokenDisk(t *testing.T) {
	ctx := t.Context()
	db, err := Open(ctx, Config{Path: filepath.Join(t.TempDir(), "scrip.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }() // it says that the disk is broken
	if _, err := db.Migrate(ctx); err != nil {
		t.Fatal(err)
	}
	if err := db.Ping(ctx); err != nil {
		t.Errorf("a sound disk: %v", err)
	}
	db.writer.(*sqliteWriter).log.Break(errors.New("no medium"))
	if err := db.Ping(ctx); !errors.Is(err, flush.ErrBroken) {
		t.Errorf("a broken disk: %v", err)
	}
	if err := db.Write(ctx, func(context.Context, *Tx) error { return nil }); !IsAway(err) {
		t.Errorf("a write on a broken disk: %v", err)
	}
}

// opened is a new database on SQLite, which closes well when the test ends.
func opened(t *testing.T) *DB {
	t.Helper()
	db, err := Open(t.Context(), Config{Path: filepath.Join(t.TempDir(), "scrip.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// A log that fails while a transaction waits for another try is why nothing came of it.
func TestBrokenBetweenTries(t *testing.T) {
	db := opened(t)
	w, tries := db.writer.(*sqliteWriter), 0
	fn := func(context.Context, *Tx) error {
		tries++
		w.log.Break(errors.New("no medium"))
		return &lite.Error{Code: codes.SQLITE_BUSY}
	}
	one := &pendingWrite{ctx: t.Context(), fn: fn}
	if err := w.runGroup([]*pendingWrite{one}); !errors.Is(err, flush.ErrBroken) || !errors.Is(one.err, flush.ErrBroken) || tries != 1 {
		t.Errorf("%v, and the write after %d tries: %v", err, tries, one.err)
	}
}

// A full disk takes no writes: all who wanted something written together are told to come
// again, and whoever asks whether the database can serve hears of it until a write succeeds.
func TestFullDisk(t *testing.T) {
	ctx := t.Context()
	db := opened(t)
	text := "CREATE TABLE filler (bytes BLOB NOT NULL) STRICT"
	add := func(ctx context.Context, tx *Tx) error { return tx.ExecText(ctx, text) }
	if err := db.Write(ctx, add); err != nil {
		t.Fatal(err)
	}
	text = "INSERT INTO filler VALUES (zeroblob(100000))"
	w := db.writer.(*sqliteWriter)
	room := func(pages string) {
		t.Helper()
		if _, err := w.conn.Exec("PRAGMA max_page_count = "+pages, nil); err != nil {
			t.Fatal(err)
		}
	}
	room("4")
	for _, size := range []int{1, 2} {
		group := make([]*pendingWrite, size)
		for i := range group {
			group[i] = &pendingWrite{ctx: ctx, fn: add, committed: make(chan struct{}), durable: func(error) {}}
			w.queue <- group[i]
		}
		w.lead()
		for i, p := range group {
			if !IsAway(p.err) {
				t.Errorf("write %d of %d on a full disk: %v", i+1, size, p.err)
			}
		}
		if err := db.Ping(ctx); !IsAway(err) {
			t.Errorf("a full disk: %v", err)
		}
	}
	if err := db.Write(ctx, func(context.Context, *Tx) error { return nil }); err != nil || !IsAway(db.Ping(ctx)) {
		t.Errorf("a full disk, after a transaction that wrote nothing: %v, %v", err, db.Ping(ctx))
	}
	room("1000")
	if err := errors.Join(db.Write(ctx, add), db.Ping(ctx)); err != nil {
		t.Errorf("a disk with room again: %v", err)
	}
}

// Where the database gives up a transaction of several writes, what one of them was refused for
// is not said of the others: what that one met is not there for them.
func TestRefusalOfOne(t *testing.T) {
	ctx := t.Context()
	db := opened(t)
	insert := func(ctx context.Context, tx *Tx) error { return tx.ExecText(ctx, "INSERT INTO numbers VALUES (1)") }
	err := db.Write(ctx, func(ctx context.Context, tx *Tx) error {
		return errors.Join(tx.ExecText(ctx, "CREATE TABLE numbers (number INTEGER NOT NULL UNIQUE) STRICT"), insert(ctx, tx))
	})
	if err != nil {
		t.Fatal(err)
	}
	w := db.writer.(*sqliteWriter)
	given := func(ctx context.Context, tx *Tx) error {
		refused := insert(ctx, tx)
		if _, err := w.conn.Exec("ROLLBACK", nil); err != nil {
			t.Error(err)
		}
		return refused
	}
	none := func(context.Context, *Tx) error { return nil }
	group := []*pendingWrite{{ctx: ctx, fn: given}, {ctx: ctx, fn: none}}
	if err := w.runGroup(group); err == nil {
		t.Fatal("the database did not give the transaction up")
	}
	for i, p := range group {
		if p.err == nil || IsUnique(p.err) {
			t.Errorf("write %d: %v", i+1, p.err)
		}
	}
}

// A database whose file was deleted or exchanged while it is open takes no more writes: what the
// file has that is open nobody will find again.
func TestFileTaken(t *testing.T) {
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "scrip.db")
	db, err := Open(ctx, Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Migrate(ctx); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Ping(ctx), os.Rename(path, path+".old")); err != nil {
		t.Fatal(err)
	}
	write := func() error {
		return db.Write(ctx, func(ctx context.Context, tx *Tx) error {
			return tx.ExecText(ctx, "UPDATE schema_migrations SET applied_at = applied_at + 1")
		})
	}
	if err := write(); !errors.Is(err, ErrUnknownCommit) || !IsAway(err) {
		t.Errorf("the first write: %v", err)
	}
	if err := write(); !errors.Is(err, flush.ErrMoved) || errors.Is(err, ErrUnknownCommit) || !IsAway(err) {
		t.Errorf("the next: %v", err)
	}
	if err := os.Rename(path+".old", path); err != nil {
		t.Fatal(err)
	}
	if err := db.Ping(ctx); !errors.Is(err, flush.ErrMoved) {
		t.Errorf("whether it can serve: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}

// So is one whose log was taken before anything was written to it, whether the database is new or
// was closed before.
func TestLogTaken(t *testing.T) {
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "scrip.db")
	for _, table := range []string{"one", "two"} {
		db, err := Open(ctx, Config{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(os.Rename(path+"-wal", path+"-wal.old"), os.WriteFile(path+"-wal", nil, 0o600)); err != nil {
			t.Fatal(err)
		}
		err = db.Write(ctx, func(ctx context.Context, tx *Tx) error {
			return tx.ExecText(ctx, "CREATE TABLE "+table+" (number INTEGER PRIMARY KEY) STRICT")
		})
		if !errors.Is(err, flush.ErrMoved) {
			t.Errorf("table %s: %v", table, err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A database whose log was damaged on the disk is not opened, unless what lies behind the
// damage is given up; then it is sound. One that a crash left is.
func TestDamagedLog(t *testing.T) {
	ctx := t.Context()
	folder := t.TempDir()
	db, err := Open(ctx, Config{Path: filepath.Join(folder, "scrip.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	add := func(text string) {
		t.Helper()
		if err := db.Write(ctx, func(ctx context.Context, tx *Tx) error { return tx.ExecText(ctx, text) }); err != nil {
			t.Fatal(err)
		}
	}
	add("CREATE TABLE numbers (number INTEGER PRIMARY KEY) STRICT")
	for range 100 {
		add("INSERT INTO numbers DEFAULT VALUES")
	}
	copied := filepath.Join(t.TempDir(), "scrip.db")
	crashed := func(change func(log []byte) []byte) {
		t.Helper()
		path := filepath.Join(folder, "scrip.db")
		file, err := os.ReadFile(path)
		log, alsoErr := os.ReadFile(path + "-wal")
		err = errors.Join(err, alsoErr, os.WriteFile(copied, file, 0o600), os.WriteFile(copied+"-wal", change(log), 0o600))
		if err != nil {
			t.Fatal(err)
		}
	}
	count := func(cut bool, want int64) {
		t.Helper()
		config, told := Config{Path: copied}, wal.Report{}
		if cut {
			config.CutDamagedLog = func(found wal.Report) { told = found }
		}
		again, err := Open(ctx, config)
		if cut != (told.Lost > 0) {
			t.Errorf("told of what is given up: %+v", told)
		}
		if err != nil {
			t.Fatal(err)
		}
		rows, err := again.writer.(*sqliteWriter).conn.Query("SELECT count(*) FROM numbers", nil)
		if err != nil {
			t.Fatal(err)
		}
		var n int64
		if rows.Next() {
			err = rows.Scan(&n)
		}
		if err = errors.Join(err, rows.Close(), again.Close()); err != nil || n != want {
			t.Errorf("%d numbers, want %d: %v", n, want, err)
		}
	}
	crashed(func(log []byte) []byte { return log[:len(log)-100] })
	count(false, 99)
	half := func(log []byte) []byte {
		log[len(log)/2] ^= 1
		return log
	}
	crashed(half)
	if _, err := Open(ctx, Config{Path: copied}); !errors.Is(err, wal.ErrDamaged) {
		t.Fatalf("a damaged log: %v", err)
	}
	found, err := wal.Look(copied)
	if err != nil || found.Lost < 40 {
		t.Errorf("after it was refused: %+v, %v", found, err)
	}
	count(true, 100-int64(found.Lost)-1)
	count(false, 100-int64(found.Lost)-1)
}
