package lite

import (
	"os"
	"path/filepath"
	"testing"

	engine "modernc.org/sqlite/lib"

	"modernc.org/libc"
)

// A number is the file's, or none: never that of another file.
func TestNumberOf(t *testing.T) {
	w := newWorkbench(t)
	c := w.connect(w.path)
	name, err := libc.CString("main")
	if err != nil {
		t.Fatal(err)
	}
	defer libc.Xfree(c.tls, name)
	if code := engine.Xsqlite3_file_control(c.tls, c.db, name, engine.SQLITE_FCNTL_FILE_POINTER, c.out); code != engine.SQLITE_OK {
		t.Fatal(c.failure(code))
	}
	file := *pointerAt(c.out)
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
