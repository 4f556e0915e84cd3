package lite

import (
	"syscall"

	"github.com/scripcards/scrip/internal/platform/storage/flush"
)

// placeOfNumber is where the engine's record of an open file has the kernel's number of it,
// behind three pointers.
const placeOfNumber = 3 * pointerSize

// numberOf returns the kernel's number of an open file, of which the engine's record is at
// file, or -1 where that number is not of the file at path. It must not be closed: the
// engine's locks would go with it.
func numberOf(file uintptr, path string) int {
	number := int(*int32At(file + placeOfNumber))
	var open, there syscall.Stat_t
	if syscall.Fstat(number, &open) != nil || syscall.Stat(path, &there) != nil || open.Dev != there.Dev || open.Ino != there.Ino {
		return -1
	}
	return number
}

// startWriting has the kernel begin to put on disk what was written to a file, and does not
// wait for it. It is a hint: whoever needs it there flushes the file.
func startWriting(number int) {
	const begin = 2 // SYNC_FILE_RANGE_WRITE, of all of the file
	_ = syscall.SyncFileRange(number, 0, 0, begin)
}

// finishWriting puts on disk what was written to a file. The kernel tells once of what it
// could not write: an error here is not told to the engine any more.
func finishWriting(number int) error { return flush.Data(number) }
