//go:build !linux

package e2e

import "syscall"

// leash has no such system call to rely on: the tests' own cleaning up must do.
func leash() *syscall.SysProcAttr { return nil }
