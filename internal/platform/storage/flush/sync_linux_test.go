package flush

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A directory is called volatile where it is mounted from memory, and nowhere else.
func TestVolatile(t *testing.T) {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]string{} // the last mount of a place is the one that is seen
	for line := range strings.Lines(string(mounts)) {
		if f := strings.Fields(line); len(f) > 2 {
			kinds[f[1]] = f[2]
		}
	}
	if len(kinds) == 0 {
		t.Fatal("nothing is mounted")
	}
	for place, kind := range kinds {
		if _, err := os.Stat(place); err != nil || strings.Contains(place, `\`) {
			continue
		}
		want := kind == "tmpfs" || kind == "ramfs" || kind == "devtmpfs"
		if got := Volatile(place); got != want {
			t.Errorf("%s, a %s: %t", place, kind, got)
		}
	}
	if Volatile(filepath.Join(t.TempDir(), "none")) {
		t.Error("a directory that is not there is in memory")
	}
}
