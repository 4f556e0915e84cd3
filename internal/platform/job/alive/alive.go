// Package alive tells for sure which workers of this machine are dead.
//
// A worker keeps a file locked for as long as its process lives. However the process
// ends, the system lets go of the lock, and whoever finds the file knows. The file says
// under which running kernel it was made and which file it is, so that a copy, or a
// folder that machines share, proves nothing about a worker that may live elsewhere.
//
// It must never take a guess: on systems that cannot say all that, nobody is known to
// be dead.
package alive

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// Folder is the directory in which workers note that they live. It must be on a disk of
// the machine's own, or on a file system on which locks end with their process alone.
type Folder string

// Mark is a worker's note, which holds for as long as its process lives.
type Mark struct{ file *os.File }

// maxWorkers bounds how many notes are read at once.
const maxWorkers = 1000

// maxIdentity bounds what is read of a note, in bytes.
const maxIdentity = 256

// ErrUnknown is that of systems on which nobody can be known to be dead.
var ErrUnknown = errors.New("this system does not tell which workers are dead")

// Enter notes that a worker lives. Its name must be nobody else's, ever, and one of a file.
// It returns ErrUnknown on a system that does not tell.
func (f Folder) Enter(worker string) (*Mark, error) {
	if err := os.MkdirAll(string(f), 0o700); err != nil {
		return nil, fmt.Errorf("note worker: %w", err)
	}
	file, err := os.OpenFile(f.path(worker), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("note worker: %w", err)
	}
	m := &Mark{file}
	err = lock(file)
	if err == nil {
		err = write(file)
	}
	if err != nil {
		return nil, fmt.Errorf("note worker: %w", errors.Join(err, m.Leave()))
	}
	return m, nil
}

func (f Folder) path(worker string) string { return filepath.Join(string(f), filepath.Base(worker)) }

// write says in a note that is held what makes it a proof. Until then it proves nothing.
func write(file *os.File) error {
	is, err := identity(file)
	if err != nil {
		return err
	}
	_, err = file.WriteString(is)
	return err
}

// Leave takes the note back. Nothing that the worker began may be going on.
func (m *Mark) Leave() error {
	return errors.Join(os.Remove(m.file.Name()), m.file.Close())
}

// Dead returns workers that are dead for sure, until they are forgotten. Notes that prove
// nothing any more, since the machine was started anew, are removed.
func (f Folder) Dead() (dead []string, err error) {
	err = f.each(func(worker string, is verdict) {
		switch is {
		case gone:
			dead = append(dead, worker)
		case foreign:
			f.Forget(worker)
		case unsure, living: // nothing is to be done
		}
	})
	if err != nil {
		return nil, fmt.Errorf("find dead workers: %w", err)
	}
	return dead, nil
}

// Living returns how many workers live, as far as the system tells.
func (f Folder) Living() (n int, err error) {
	err = f.each(func(_ string, is verdict) {
		if is == living {
			n++
		}
	})
	if err != nil {
		return 0, fmt.Errorf("count workers: %w", err)
	}
	return n, nil
}

// each tells what each note says, by the names of the workers. On systems that do not tell
// there is nothing to say.
func (f Folder) each(tell func(worker string, is verdict)) error {
	folder, err := os.Open(string(f))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = folder.Close() }() // only read
	names, err := folder.Readdirnames(maxWorkers)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	slices.Sort(names)
	for _, name := range names {
		is, err := f.examine(name)
		switch {
		case errors.Is(err, ErrUnknown):
			return nil
		case errors.Is(err, os.ErrNotExist): // it left
		case err != nil:
			return err
		default:
			tell(name, is)
		}
	}
	return nil
}

// Forget removes a dead worker's note. One that stays is found again.
func (f Folder) Forget(worker string) { _ = os.Remove(f.path(worker)) }

// verdict is what a note says of its worker.
type verdict int

const (
	unsure  verdict = iota // it has only just begun, or nobody can tell
	living                 // it lives
	gone                   // it is dead
	foreign                // it was another kernel's, or another file's
)

func (f Folder) examine(name string) (verdict, error) {
	file, err := os.Open(f.path(name))
	if err != nil {
		return unsure, err
	}
	defer func() { _ = file.Close() }() // only read; the lock ends with it
	free, err := try(file)
	switch {
	case err != nil:
		return unsure, err
	case !free:
		return living, nil
	}
	text, err := io.ReadAll(io.LimitReader(file, maxIdentity))
	if err != nil || len(text) == 0 {
		return unsure, err
	}
	is, err := identity(file)
	switch {
	case err != nil:
		return unsure, err
	case string(text) != is:
		return foreign, nil
	}
	return gone, nil
}
