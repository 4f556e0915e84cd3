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
	l := NewLog(path)
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
