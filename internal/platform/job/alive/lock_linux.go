package alive

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// lock has the system keep everybody else off a file until the process ends, and waits for
// those who only try.
func lock(file *os.File) error {
	for {
		if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

// try reports whether nobody has locked a file. Any number may try at once.
func try(file *os.File) (bool, error) {
	err := syscall.Flock(int(file.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) || errors.Is(err, syscall.EINTR) {
		return false, nil
	}
	return err == nil, err
}

// identity tells a file from all others, of this machine since it was started and of others.
func identity(file *os.File) (string, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", errors.Join(ErrUnknown, err)
	}
	info, err := file.Stat()
	if err != nil {
		return "", err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "", ErrUnknown
	}
	return fmt.Sprintf("%s %d %d\n", strings.TrimSpace(string(boot)), stat.Dev, stat.Ino), nil
}
