package vault

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
)

func load(t *testing.T, dir string) MasterKey {
	t.Helper()
	key, _, err := LoadMasterKey(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// The first start makes a private file, whole, and later starts read it.
func TestLoadMasterKey(t *testing.T) {
	dir := t.TempDir()
	first, created, err := LoadMasterKey(dir, "")
	if err != nil || !created {
		t.Fatalf("first load: created %t, %v", created, err)
	}
	second, created, err := LoadMasterKey(dir, "")
	if err != nil || created || !first.text.Equal(second.text) {
		t.Errorf("second load: created %t, %v", created, err)
	}
	info, err := os.Stat(filepath.Join(dir, MasterFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file has mode %v, %v", info.Mode(), err)
	}
	wantFiles(t, dir, MasterFile)
}

func wantFiles(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if got := strings.Join(names, " "); got != strings.Join(want, " ") {
		t.Errorf("the directory holds %s, want %s", got, strings.Join(want, " "))
	}
}

// The environment's key wins over the file and makes none.
func TestLoadMasterKeyFromEnvironment(t *testing.T) {
	dir := t.TempDir()
	want := NewMasterKey()
	key, created, err := LoadMasterKey(dir, " "+want.Text().Reveal()+"\n")
	if err != nil || created || !key.text.Equal(want.text) {
		t.Errorf("created %t, %v", created, err)
	}
	wantFiles(t, dir)
	for _, text := range []string{"x", "c2hvcnQ=", want.Text().Reveal() + "AAAA", strings.TrimRight(want.Text().Reveal(), "=")} {
		if _, _, err := LoadMasterKey(dir, text); err == nil || strings.Contains(err.Error(), text) && len(text) > 1 {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// Processes that start first at once share one key.
func TestLoadMasterKeyConcurrently(t *testing.T) {
	dir := t.TempDir()
	keys, made := make([]MasterKey, 16), make([]bool, 16)
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range keys {
		wg.Go(func() {
			<-start
			var err error
			if keys[i], made[i], err = LoadMasterKey(dir, ""); err != nil {
				t.Errorf("process %d: %v", i, err)
			}
		})
	}
	close(start)
	wg.Wait()
	makers := 0
	for i, key := range keys {
		if made[i] {
			makers++
		}
		if !key.text.Equal(keys[0].text) {
			t.Errorf("process %d has another key", i)
		}
	}
	if makers != 1 {
		t.Errorf("%d processes made the key", makers)
	}
	wantFiles(t, dir, MasterFile)
}

// A file that others may read, that holds no key, or that is no file is refused with a hint.
func TestLoadMasterKeyRefuses(t *testing.T) {
	good := NewMasterKey().Text().Reveal() + "\n"
	for _, c := range []struct {
		text string
		mode os.FileMode
		want string
	}{
		{good, 0o640, "chmod 600"}, {good, 0o604, "chmod 600"}, {good, 0o660, "chmod 600"}, {good, 0o601, "chmod 600"},
		{"", 0o600, "base64"}, {good[:10], 0o600, "base64"}, {good + good, 0o600, "base64"}, {strings.Repeat(good, 1000), 0o600, "base64"},
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, MasterFile)
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, c.mode); err != nil {
			t.Fatal(err)
		}
		_, created, err := LoadMasterKey(dir, "")
		if err == nil || created || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%d bytes with mode %o: %v", len(c.text), c.mode, err)
		}
		if err != nil && len(c.text) > 0 && strings.Contains(err.Error(), c.text[:8]) {
			t.Errorf("the error shows the file: %v", err)
		}
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, MasterFile), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, _, err := LoadMasterKey(dir, ""); err == nil {
		t.Error("a directory was read as a key")
	}
	if _, _, err := LoadMasterKey(filepath.Join(dir, "none"), ""); err == nil {
		t.Error("a key was made in no directory")
	}
	dir = t.TempDir()
	load(t, dir)
	staged := filepath.Join(dir, MasterFile+stagedSuffix)
	if err := os.WriteFile(staged, []byte(good[:10]), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := LoadMasterKey(dir, ""); err == nil || !strings.Contains(err.Error(), staged) {
		t.Errorf("half a key beside the other: %v", err)
	}
}

// RotateMasterFile changes the file and the database together.
func TestRotateMasterFile(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		dir := t.TempDir()
		before := load(t, dir)
		v := open(t, db, before)
		sealed := seal(t, v, "text")
		for range 2 {
			if err := v.RotateMasterFile(t.Context()); err != nil {
				t.Fatal(err)
			}
			after := load(t, dir)
			if after.text.Equal(before.text) {
				t.Error("the file has the old key")
			}
			wantPlain(t, open(t, db, after), sealed, "text")
			wantFiles(t, dir, MasterFile)
			before = after
		}
	})
}

// A process that runs while another one replaces the master key in their file, then makes
// a data key, opens what is sealed under that; one whose file was left behind says why not.
func TestMasterFileReplacedMeanwhile(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		dir, elsewhere := t.TempDir(), t.TempDir()
		master := load(t, dir)
		if err := writePrivate(filepath.Join(elsewhere, MasterFile), master.text); err != nil {
			t.Fatal(err)
		}
		running, left, other := open(t, db, master), open(t, db, load(t, elsewhere)), open(t, db, load(t, dir))
		for range 2 {
			if err := errors.Join(other.RotateMasterFile(t.Context()), other.Rotate(t.Context())); err != nil {
				t.Fatal(err)
			}
			sealed := seal(t, other, "text")
			wantPlain(t, running, sealed, "text")
			if _, err := left.Unseal("purpose", "row", sealed); !errors.Is(err, ErrMasterKey) {
				t.Errorf("without the new master key: %v", err)
			}
		}
		if err := errors.Join(running.Refresh(t.Context()), running.Rotate(t.Context())); err != nil {
			t.Error(err)
		}
	})
}

// A rotation interrupted on either side of the database's change loses nothing, and
// the next one goes through.
func TestRotateMasterFileInterrupted(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, MasterFile)
	db := testkit.Open(t, testkit.Database(t, "sqlite"))
	v := open(t, db, load(t, dir))
	sealed := seal(t, v, "text")

	// Before the change: the key beside is of no use, and is not overwritten.
	next := NewMasterKey()
	if err := writePrivate(path+stagedSuffix, next.text); err != nil {
		t.Fatal(err)
	}
	v = open(t, db, load(t, dir))
	wantPlain(t, v, sealed, "text")
	if err := v.RotateMasterFile(t.Context()); err == nil || !strings.Contains(err.Error(), path+stagedSuffix) {
		t.Errorf("rotated over another rotation: %v", err)
	}

	// After the change: the key beside is the only one that opens.
	if err := v.RotateMaster(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	v = open(t, db, load(t, dir))
	wantPlain(t, v, sealed, "text")
	if err := v.RotateMasterFile(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantPlain(t, open(t, db, load(t, dir)), sealed, "text")
	wantFiles(t, dir, MasterFile)
}

// A process that runs while a rotation of the master key is interrupted, after the change of
// the database, opens what is sealed under a data key that is made then, and makes one itself.
func TestMasterFileInterruptedMeanwhile(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		dir := t.TempDir()
		path := filepath.Join(dir, MasterFile)
		running, rotating, next := open(t, db, load(t, dir)), open(t, db, load(t, dir)), NewMasterKey()
		if err := errors.Join(writePrivate(path+stagedSuffix, next.text), rotating.RotateMaster(t.Context(), next)); err != nil {
			t.Fatal(err)
		}
		if running.Interrupted() != "" {
			t.Error("it is said of the key before that it is beside its file")
		}
		other := open(t, db, load(t, dir))
		if other.Interrupted() != path+stagedSuffix {
			t.Errorf("the master key in use is in %q", other.Interrupted())
		}
		if err := other.Rotate(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantPlain(t, running, seal(t, other, "text"), "text")
		if err := running.Rotate(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantPlain(t, other, seal(t, running, "text"), "text")
		if err := running.RotateMasterFile(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantFiles(t, dir, MasterFile)
		if now := open(t, db, load(t, dir)); now.Interrupted() != "" {
			t.Errorf("the master key in use is in %q", now.Interrupted())
		}
	})
}

// A process that is late to give the key in use its name takes no other's key for it, of which
// nobody knows yet whether it comes into use.
func TestRotateMasterFileTogether(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, MasterFile)
	db := testkit.Open(t, testkit.Database(t, "sqlite"))
	rotating, next, refused := open(t, db, load(t, dir)), NewMasterKey(), errors.New("refused")
	sealed := seal(t, rotating, "text")
	if err := errors.Join(writePrivate(path+stagedSuffix, next.text), rotating.RotateMaster(t.Context(), next)); err != nil {
		t.Fatal(err)
	}
	first, late := open(t, db, load(t, dir)), open(t, db, load(t, dir))
	refuse := func(context.Context, *storage.Tx) error { return refused }
	if err := first.RotateMasterFile(t.Context(), refuse); !errors.Is(err, refused) {
		t.Fatal(err)
	}
	wantFiles(t, dir, MasterFile)
	if err := writePrivate(path+stagedSuffix, NewMasterKey().text); err != nil { // another rotation begins
		t.Fatal(err)
	}
	if err := late.RotateMasterFile(t.Context(), refuse); err == nil || !strings.Contains(err.Error(), path+stagedSuffix) {
		t.Errorf("rotated over another rotation: %v", err)
	}
	wantFiles(t, dir, MasterFile, MasterFile+stagedSuffix)
	wantPlain(t, open(t, db, load(t, dir)), sealed, "text")
}

// A process waits to give the key in use its name while another one does so, and does not take
// for it what that one stages then.
func TestPromoteAlone(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		dir := t.TempDir()
		path := filepath.Join(dir, MasterFile)
		rotating, next := open(t, db, load(t, dir)), NewMasterKey()
		if err := errors.Join(writePrivate(path+stagedSuffix, next.text), rotating.RotateMaster(t.Context(), next)); err != nil {
			t.Fatal(err)
		}
		late, promoted := open(t, db, load(t, dir)), make(chan error, 1)
		err := db.Write(t.Context(), func(ctx context.Context, tx *storage.Tx) error {
			if _, err := storage.All(ctx, tx, scanKeyset, lockKeysets); err != nil {
				return err
			}
			go func() { promoted <- late.promote() }()
			waited, cancel := context.WithTimeout(ctx, 100*time.Millisecond) // enough for one that waits for nobody
			defer cancel()
			select {
			case err := <-promoted:
				return fmt.Errorf("it did not wait, and says %v", err)
			case <-waited.Done():
			}
			return errors.Join(os.Rename(path+stagedSuffix, path), writePrivate(path+stagedSuffix, NewMasterKey().text))
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := <-promoted; err != nil {
			t.Errorf("the key has its name: %v", err)
		}
		wantFiles(t, dir, MasterFile, MasterFile+stagedSuffix)
		if now := load(t, dir); !now.text.Equal(next.text) {
			t.Error("the key in use is in no file")
		}
	})
}

// A rotation of which it is not known whether the database took it leaves the new key, as what
// the database holds then may change yet.
func TestRotateMasterFileUndecided(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, MasterFile)
	db := testkit.Open(t, testkit.Database(t, "sqlite"))
	v, late := open(t, db, load(t, dir)), open(t, db, load(t, dir))
	sealed := seal(t, v, "text")
	broken := func(context.Context, *storage.Tx) error { return storage.ErrUnknownCommit }
	if err := v.RotateMasterFile(t.Context(), broken); !errors.Is(err, storage.ErrUnknownCommit) || !strings.Contains(err.Error(), path+stagedSuffix) {
		t.Fatalf("the commit broke: %v", err)
	}
	wantFiles(t, dir, MasterFile, MasterFile+stagedSuffix)
	wantPlain(t, open(t, db, load(t, dir)), sealed, "text")
	next, err := readMasterKey(path + stagedSuffix)
	if err == nil {
		err = late.RotateMaster(t.Context(), next) // the database took it after all
	}
	if err != nil {
		t.Fatal(err)
	}
	wantPlain(t, open(t, db, load(t, dir)), sealed, "text")
}

// A rotation that the database refuses leaves the files as they were.
func TestRotateMasterFileRefused(t *testing.T) {
	dir := t.TempDir()
	db := testkit.Open(t, testkit.Database(t, "sqlite"))
	v := open(t, db, load(t, dir))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := v.RotateMasterFile(ctx); err == nil {
		t.Fatal("rotated with a context that had ended")
	}
	wantFiles(t, dir, MasterFile)
	if err := open(t, db, load(t, dir)).RotateMasterFile(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := v.RotateMasterFile(t.Context()); !errors.Is(err, ErrMasterKey) {
		t.Errorf("rotated what another process has rotated meanwhile: %v", err)
	}
	wantFiles(t, dir, MasterFile)
	open(t, db, load(t, dir))
	other, fromNoFile := testkit.Open(t, testkit.Database(t, "sqlite")), NewMasterKey()
	if err := open(t, other, fromNoFile).RotateMasterFile(t.Context()); err == nil {
		t.Error("rotated a file of a key that came from none")
	}
	open(t, other, fromNoFile)
}
