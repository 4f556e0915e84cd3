package flush

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// One flush serves whoever waited when it began, in order, and each is told its result once.
func TestFlusherFolds(t *testing.T) {
	begun, release := make(chan struct{}), make(chan struct{})
	flushes, refused := 0, errors.New("refused")
	f := New(func() error {
		flushes++
		begun <- struct{}{}
		<-release
		if flushes == 2 {
			return refused
		}
		return nil
	})
	var told []int
	var errs []error
	add := func(n int) {
		f.Add(func(err error) { told, errs = append(told, n), append(errs, err) })
	}
	add(1)
	<-begun
	for n := 2; n <= 4; n++ { // all of them after the first flush began
		add(n)
	}
	release <- struct{}{}
	<-begun
	release <- struct{}{}
	f.Close()
	f.Add(func(err error) {
		if err == nil {
			t.Error("what came too late was called durable")
		}
	})
	if flushes != 2 || len(told) != 4 || told[0] != 1 || told[1] != 2 || told[3] != 4 {
		t.Errorf("%d flushes told %v, want two for 1, and 2 to 4", flushes, told)
	}
	if errs[0] != nil || !errors.Is(errs[1], refused) || !errors.Is(errs[3], refused) {
		t.Errorf("told %v", errs)
	}
}

// A log whose flush failed once is believed no more, even when the disk takes flushes again.
func TestLogStaysBroken(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(path, []byte("log"), 0o600); err != nil {
		t.Fatal(err)
	}
	l := newLog(t, path, path)
	if err := l.Sync(); err != nil {
		t.Fatal(err)
	}
	full := errors.New("no space")
	l.sync = func(*os.File) error { return full }
	if err := l.Sync(); !errors.Is(err, ErrBroken) || !errors.Is(err, full) {
		t.Errorf("sync: %v", err)
	}
	l.sync = dataSync
	if err := l.Sync(); !errors.Is(err, ErrBroken) {
		t.Errorf("sync after a failure: %v", err)
	}
	var readers sync.WaitGroup
	readers.Go(func() {
		if !errors.Is(l.Failed(), ErrBroken) {
			t.Error("it does not say that it failed")
		}
	})
	readers.Wait()
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

func newLog(t *testing.T, path, database string) *Log {
	t.Helper()
	l, err := NewLog(path, database)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// A log whose database, or which itself, was deleted, exchanged or moved takes nothing more, also
// when the file is there again: nobody knows what was made of it meanwhile.
func TestLogMoved(t *testing.T) {
	exchange := func(path string) error {
		return errors.Join(os.WriteFile(path+".new", []byte("another"), 0o600), os.Rename(path+".new", path))
	}
	for name, change := range map[string]func(database, log string) error{
		"no change":          func(string, string) error { return nil },
		"database deleted":   func(database, _ string) error { return os.Remove(database) },
		"database exchanged": func(database, _ string) error { return exchange(database) },
		"log deleted":        func(_, log string) error { return os.Remove(log) },
		"log exchanged":      func(_, log string) error { return exchange(log) },
		"folder moved":       func(database, _ string) error { return os.Rename(filepath.Dir(database), filepath.Dir(database)+"2") },
	} {
		for _, used := range []bool{true, false} {
			folder := filepath.Join(t.TempDir(), "data")
			database, log := filepath.Join(folder, "db"), filepath.Join(folder, "db-wal")
			if err := errors.Join(os.Mkdir(folder, 0o700), os.WriteFile(database, nil, 0o600), os.WriteFile(log, nil, 0o600)); err != nil {
				t.Fatal(err)
			}
			l := newLog(t, log, database)
			if used {
				if err := l.Sync(); err != nil {
					t.Fatal(err)
				}
			}
			if err := change(database, log); err != nil {
				t.Fatal(err)
			}
			for what, err := range map[string]error{"sync": l.Sync(), "look": l.Look(), "failed": l.Failed()} {
				if moved := name != "no change"; errors.Is(err, ErrMoved) != moved || (err == nil) == moved {
					t.Errorf("%s, used before: %v: %s: %v", name, used, what, err)
				}
			}
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}
