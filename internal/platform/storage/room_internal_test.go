package storage

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"testing/synctest"

	"github.com/scripcards/scrip/internal/platform/storage/flush"
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
