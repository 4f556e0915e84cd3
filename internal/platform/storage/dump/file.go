package dump

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/scripcards/scrip/internal/platform/storage"
)

// Backup writes a backup of db to the file at path, which nobody else can read. The file
// appears whole, on disk and under its name, or not at all. It refuses a path that
// exists unless o.Replace is set.
func Backup(ctx context.Context, db *storage.DB, path string, o Options) (Manifest, error) {
	if _, err := os.Lstat(path); !o.Replace && !errors.Is(err, fs.ErrNotExist) {
		if err == nil {
			err = errors.New("it exists already: name another file, or replace it with --replace")
		}
		return Manifest{}, fmt.Errorf("back up to %s: %w", path, err)
	}
	var manifest Manifest
	err := replaceFile(path, func(f *os.File) error {
		var err error
		manifest, err = Write(ctx, db, f, o)
		return err
	})
	if err != nil {
		return Manifest{}, fmt.Errorf("write %s: %w", path, err)
	}
	return manifest, nil
}

// replaceFile lets fill write a private file beside path and gives it the name when it is on disk.
func replaceFile(path string, fill func(*os.File) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // made with mode 0600
	if err != nil {
		return err
	}
	named := false
	defer func() {
		if !named {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	if err := fill(f); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := f.Sync(); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	named = true
	return syncFolder(filepath.Dir(path))
}

// syncFolder makes a new name durable.
func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// Verify reads the whole file at path and returns its manifest, or why it is not a whole
// and unaltered backup. It needs no database.
func Verify(ctx context.Context, path string, o Options) (Manifest, error) {
	var manifest Manifest
	err := withFile(path, func(f *source) error {
		var err error
		manifest, err = f.verify(ctx, &o)
		return err
	})
	if err != nil {
		return Manifest{}, fmt.Errorf("verify %s: %w", path, err)
	}
	return manifest, nil
}

func withFile(path string, use func(*source) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // only read
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("it is not a file")
	}
	return use(&source{from: f, size: info.Size()})
}
