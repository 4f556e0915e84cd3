package flush

import (
	"errors"
	"os"
	"syscall"
)

// dataSync leaves out what is not needed to read the data back, such as the time of change.
func dataSync(f *os.File) error {
	for {
		err := syscall.Fdatasync(int(f.Fd()))
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}
