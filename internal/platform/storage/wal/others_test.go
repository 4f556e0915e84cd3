package wal_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"testing"

	"github.com/scripcards/scrip/internal/platform/storage/lite"
	"github.com/scripcards/scrip/internal/platform/storage/wal"
)

// openVariable tells this test program to have the database open whose path it is.
const openVariable = "SCRIP_WAL_OPEN"

func TestMain(m *testing.M) {
	path := os.Getenv(openVariable)
	if path == "" {
		os.Exit(m.Run())
	}
	conn, err := lite.Open(path)
	if err == nil {
		_, err = conn.Exec("PRAGMA user_version", nil)
	}
	fmt.Println("open:", err)
	_, _ = io.Copy(io.Discard, os.Stdin) // until the test ends it
	if conn.Close() != nil {
		os.Exit(1)
	}
}

// Damage is not cut while another process, which goes on with what lies behind, has the database
// open, though it only reads; nor is it taken for a torn end of nobody.
func TestShared(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("here nobody knows who has a file open")
	}
	w := newWriter(t, 1)
	for range 100 {
		w.commit("COMMIT")
	}
	path := t.TempDir() + "/shared.db"
	log := w.read("-wal")
	if err := errors.Join(os.WriteFile(path, w.read(""), 0o600), os.WriteFile(path+"-wal", log, 0o600)); err != nil {
		t.Fatal(err)
	}
	other := exec.CommandContext(t.Context(), os.Args[0])
	other.Env = append(os.Environ(), openVariable+"="+path)
	in, err := other.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := other.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	var said string
	if _, err := fmt.Fscanln(out, &said, &said); err != nil || said != "<nil>" {
		t.Fatalf("the other process says %s, %v", said, err)
	}
	log[len(log)/2] ^= 1
	if err := os.WriteFile(path+"-wal", log, 0o600); err != nil {
		t.Fatal(err)
	}
	found, err := wal.Look(path)
	if err != nil || !found.Left || !found.Shared || !errors.Is(found.Err(), wal.ErrDamaged) || !errors.Is(found.Cut(), wal.ErrShared) {
		t.Errorf("beside another process: %+v, %v", found, err)
	}
	if err := errors.Join(other.Process.Kill(), in.Close()); err != nil {
		t.Fatal(err)
	}
	_ = other.Wait() // it was killed
	if found, err = wal.Look(path); err != nil || found.Shared || found.Cut() != nil || !errors.Is(found.Err(), wal.ErrDamaged) {
		t.Errorf("after its end: %+v, %v", found, err)
	}
}
