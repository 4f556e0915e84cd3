package storage

import (
	"path/filepath"
	"testing"
)

// There is room for a commit once fewer are on their way to the disk than may be.
func TestRoom(t *testing.T) {
	db, err := openSQLite(t.Context(), Config{Path: filepath.Join(t.TempDir(), "db")})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	db.Room() // nobody writes
	unflushed, there := db.writer.(*sqliteWriter).unflushed, make(chan struct{})
	for range maxUnflushed {
		unflushed <- struct{}{}
	}
	left := 0
	go func() {
		defer close(there)
		db.Room()
		left = len(unflushed)
	}()
	select {
	case <-there:
		t.Error("there is room for one more than may be on their way")
	case <-unflushed:
	}
	<-there
	if left != maxUnflushed-1 {
		t.Errorf("%d are on their way, want %d: looking takes none", left, maxUnflushed-1)
	}
	for range maxUnflushed - 1 {
		<-unflushed
	}
}
