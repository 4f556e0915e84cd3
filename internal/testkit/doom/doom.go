// Package doom runs a part of a test in a process of its own that dies at a step of its work,
// as if somebody had pulled the plug there.
package doom

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/platform/vault"
)

// The variables that tell a test program to be the process that dies: at which step, and
// where the database and the folder of the master key are.
const (
	stepVariable     = "SCRIP_DOOM_STEP"
	databaseVariable = "SCRIP_DOOM_DATABASE"
	keysVariable     = "SCRIP_DOOM_KEYS"
)

// finished is what a process says that came to the end of its work.
const finished = "finished"

// Doom counts down to the step at which its process dies. Before Begin no step counts.
type Doom struct{ left atomic.Int64 }

// Begin counts from here on; in a process that somebody else kills nothing does.
func (d *Doom) Begin() error {
	step, err := strconv.ParseInt(os.Getenv(stepVariable), 10, 64)
	d.left.Store(step)
	return err
}

// Step kills the process when its time has come.
func (d *Doom) Step() {
	if d.left.Add(-1) != 0 {
		return
	}
	if self, err := os.FindProcess(os.Getpid()); err == nil {
		_ = self.Kill()
	}
	select {} // until it is dead
}

// Main is for TestMain: in a process that is to die it does the work and ends, and anywhere
// else it returns.
func Main(work func(context.Context, *Doom) error) {
	if os.Getenv(stepVariable) == "" {
		return
	}
	d := &Doom{}
	if err := work(context.Background(), d); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Print(finished)
	os.Exit(0)
}

// Where is the part of a process's environment that Open reads.
func Where(config storage.Config, keys string) []string {
	return []string{databaseVariable + "=" + config.URL + config.Path, keysVariable + "=" + keys}
}

// Open opens what Where named.
func Open(ctx context.Context) (*storage.DB, vault.MasterKey, error) {
	where := os.Getenv(databaseVariable)
	config := storage.Config{Path: where}
	if strings.HasPrefix(where, "postgres") {
		config = storage.Config{URL: where}
	}
	db, err := storage.Open(ctx, config)
	if err != nil {
		return nil, vault.MasterKey{}, err
	}
	master, _, err := vault.LoadMasterKey(os.Getenv(keysVariable), "")
	return db, master, err
}

// test is a test or a property.
type test interface {
	Helper()
	Context() context.Context
	Fatalf(string, ...any)
}

// Victim is a process that is to die.
type Victim struct {
	*exec.Cmd
	t               test
	out, complaints bytes.Buffer
}

// New returns this test program as a process that does what Main is given and dies at a step,
// or by another's hand if that is 0.
func New(t test, step int, environment ...string) *Victim {
	v := &Victim{t: t, Cmd: exec.CommandContext(t.Context(), os.Args[0])}
	v.Env = append(append(os.Environ(), environment...), stepVariable+"="+strconv.Itoa(step))
	v.Stdout, v.Stderr = &v.out, &v.complaints
	return v
}

// Ended reports, of how a process ended, whether it came to the end of its work. The test
// fails if it neither did nor was killed.
func (v *Victim) Ended(err error) bool {
	v.t.Helper()
	if err == nil && v.out.String() == finished {
		return true
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Exited() {
		v.t.Fatalf("the process was not killed: %v\n%s", err, v.complaints.String())
	}
	return false
}

// Kill has a process do Main's work and die at a step, and reports whether it came to its end.
func Kill(t test, step int, environment ...string) bool {
	t.Helper()
	v := New(t, step, environment...)
	return v.Ended(v.Run())
}
