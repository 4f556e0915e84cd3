//go:build !linux

package flush

import "os"

func dataSync(f *os.File) error { return f.Sync() }
