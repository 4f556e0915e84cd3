package e2e

import "syscall"

// leash has the system kill a child whose parent is gone: a test that panics or runs
// out of time leaves no process behind.
func leash() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
