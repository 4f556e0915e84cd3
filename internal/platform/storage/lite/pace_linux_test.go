package lite

import (
	"os"
	"path/filepath"
	"testing"
)

// A number is the file's, or none: never that of another file.
func TestNumberOf(t *testing.T) {
	w := newWorkbench(t)
	c := w.connect(w.path)
	file, path, err := c.file()
	if err != nil || path != w.path {
		t.Fatalf("the file is %q, %v", path, err)
	}
	other := filepath.Join(t.TempDir(), "other")
	if err := os.WriteFile(other, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := numberOf(file, w.path); got < 0 {
		t.Error("the database's number was not found")
	}
	for _, path := range []string{other, other + "-missing"} {
		if got := numberOf(file, path); got != -1 {
			t.Errorf("at %s there is the file %d", path, got)
		}
	}
}
