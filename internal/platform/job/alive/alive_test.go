package alive

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// workerVariable tells this test program to be a worker that a test kills: FOLDER NAME.
const workerVariable = "SCRIP_ALIVE_WORKER"

func TestMain(m *testing.M) {
	if folder, name, found := strings.Cut(os.Getenv(workerVariable), " "); found {
		mark, err := Folder(folder).Enter(name)
		fmt.Println("entered:", err)
		_, _ = io.Copy(io.Discard, os.Stdin) // until it is killed
		runtime.KeepAlive(mark)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// start starts a worker in a process of its own.
func start(t *testing.T, at Folder, name string) *exec.Cmd {
	t.Helper()
	worker := exec.CommandContext(t.Context(), os.Args[0])
	worker.Env = append(os.Environ(), workerVariable+"="+string(at)+" "+name)
	_, err := worker.StdinPipe()
	must(t, err)
	out, err := worker.StdoutPipe()
	must(t, err)
	must(t, worker.Start())
	var said string
	if _, err := fmt.Fscanln(out, &said, &said); err != nil || said != "<nil>" {
		t.Fatalf("the worker says %s, %v", said, err)
	}
	return worker
}

func (f Folder) want(t *testing.T, dead ...string) {
	t.Helper()
	got, err := f.Dead()
	must(t, err)
	if !slices.Equal(got, dead) {
		t.Fatalf("dead are %q, want %q", got, dead)
	}
}

func (f Folder) live(t *testing.T, want int) {
	t.Helper()
	got, err := f.Living()
	must(t, err)
	if got != want {
		t.Fatalf("%d workers live, want %d", got, want)
	}
}

func folder(t *testing.T) Folder {
	t.Helper()
	if runtime.GOOS != "linux" {
		if _, err := Folder(t.TempDir()).Enter("worker"); !errors.Is(err, ErrUnknown) {
			t.Fatal(err)
		}
		t.Skip("here nobody is known to be dead")
	}
	return Folder(filepath.Join(t.TempDir(), "workers"))
}

// A worker is dead once its process was killed, and not before; who left is none.
func TestDead(t *testing.T) {
	f := folder(t)
	f.want(t)
	f.live(t, 0)
	killed, living := start(t, f, "killed"), start(t, f, "living")
	mark, err := f.Enter("own")
	must(t, err)
	f.want(t)
	f.live(t, 3)
	must(t, killed.Process.Kill())
	_ = killed.Wait() // it was killed
	f.want(t, "killed")
	f.want(t, "killed")
	f.live(t, 2)
	f.Forget("killed")
	f.want(t)
	must(t, mark.Leave())
	f.want(t)
	must(t, living.Process.Kill())
	_ = living.Wait() // it was killed
	f.want(t, "living")
}

// A copy of a folder, a note of the time before the machine was started, and one that was
// not finished prove nothing. What never will is removed.
func TestNoProof(t *testing.T) {
	f := folder(t)
	mark, err := f.Enter("worker")
	must(t, err)
	note, err := os.ReadFile(f.path("worker"))
	must(t, err)
	copied := folder(t)
	must(t, os.Mkdir(string(copied), 0o700))
	for name, text := range map[string][]byte{"copy": note, "unfinished": nil,
		"before": append([]byte("b"), note...), "short": bytes.TrimSpace(note)} {
		must(t, os.WriteFile(copied.path(name), text, 0o600))
	}
	copied.want(t)
	left, err := os.ReadDir(string(copied))
	must(t, err)
	if got := fmt.Sprint(left); got != "[- unfinished]" {
		t.Errorf("left is %s", got)
	}
	must(t, mark.Leave())
}

// No two workers have one name, and a folder that cannot be written to is an error.
func TestEnter(t *testing.T) {
	f := folder(t)
	mark, err := f.Enter("worker")
	must(t, err)
	if _, err := f.Enter("worker"); !errors.Is(err, os.ErrExist) {
		t.Errorf("entered twice: %v", err)
	}
	f.want(t)
	if _, err := Folder(f.path("worker")).Enter("other"); err == nil {
		t.Error("entered a file")
	}
	must(t, mark.Leave())
}
