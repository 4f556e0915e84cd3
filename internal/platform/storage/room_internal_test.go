package storage

import (
	"testing"
	"testing/synctest"
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
