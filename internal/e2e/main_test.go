package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// workshop is where the binary is built; it goes away with the run.
var workshop string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "scrip-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }() // what is left of it is the system's to clean
	workshop = dir
	return m.Run()
}

// built compiles the binary as a release is compiled, once per run.
var built = sync.OnceValues(func() (string, error) {
	path := filepath.Join(workshop, "scrip")
	cmd := exec.Command("go", "build", "-buildvcs=false", "-trimpath", "-o", path, "github.com/scripcards/scrip/cmd/scrip")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build scrip: %w\n%s", err, out)
	}
	return path, nil
})

// binary returns the path of the binary under test.
func binary(t testing.TB) string {
	t.Helper()
	path, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return path
}
