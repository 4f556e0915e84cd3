package wal

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// Where the engine locks a byte of a database file, as long as it has it open.
const (
	lockStart  = 0x40000000 + 2
	lockLength = 510
)

// isShared reports whether another process has the database open. One of this process would
// lose its locks on the file by being looked at.
func isShared(database string) (bool, error) {
	file, err := os.Open(database)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer func() { _ = file.Close() }() // only read
	lock := syscall.Flock_t{Type: syscall.F_WRLCK, Start: lockStart, Len: lockLength}
	err = syscall.FcntlFlock(file.Fd(), syscall.F_GETLK, &lock)
	return err == nil && lock.Type != syscall.F_UNLCK, err
}
