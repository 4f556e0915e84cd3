package flush

import (
	"errors"
	"os"
	"syscall"
)

func dataSync(f *os.File) error { return Data(int(f.Fd())) }

// Data puts on disk what was written to an open file, of which it is given the kernel's
// number. It leaves out what is not needed to read the data back, such as the time of change.
func Data(number int) error {
	for {
		err := syscall.Fdatasync(number)
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

// What the kernel calls file systems that are in memory.
const (
	tmpfs = 0x01021994
	ramfs = 0x858458f6
)

// Volatile reports whether what is written to files in a directory is in memory alone, and
// on no disk: there a flush costs nothing, and is worth nothing.
func Volatile(directory string) bool {
	var at syscall.Statfs_t
	if err := syscall.Statfs(directory, &at); err != nil {
		return false
	}
	kind := uint32(at.Type) // its width differs between processors
	return kind == tmpfs || kind == ramfs
}
