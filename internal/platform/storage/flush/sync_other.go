//go:build !linux

package flush

import "os"

func dataSync(f *os.File) error { return f.Sync() }

// Volatile reports whether files in a directory are in memory alone, where that can be told.
func Volatile(string) bool { return false }
