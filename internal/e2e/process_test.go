package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/testkit"
)

// patience bounds every wait for a signal. Nothing is decided by how long one took.
const patience = 60 * time.Second

// installation is where one Scrip keeps its data.
type installation struct {
	dir      string
	database string   // postgres:// URL; empty: SQLite in dir
	env      []string // beside what every process gets
}

// newInstallation returns an empty installation that goes away with the test.
func newInstallation(t *testing.T, engine string) *installation {
	t.Helper()
	return &installation{dir: filepath.Join(t.TempDir(), "data"), database: testkit.Empty(t, engine).URL}
}

// eachEngine runs test on an empty installation of each engine.
func eachEngine(t *testing.T, test func(t *testing.T, at *installation)) {
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) { test(t, newInstallation(t, engine)) })
	}
}

// command prepares scrip with args, apart from the surroundings' own settings.
func (at *installation) command(t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	args = append(args, "--data", at.dir)
	if at.database != "" {
		args = append(args, "--database", at.database)
	}
	cmd := exec.Command(binary(t), args...)
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "SCRIP_") {
			cmd.Env = append(cmd.Env, variable)
		}
	}
	cmd.Env = append(cmd.Env, at.env...)
	cmd.SysProcAttr = leash()
	return cmd
}

// run runs a command to its end, which must be a good one, and returns its output.
func (at *installation) run(t testing.TB, args ...string) string {
	t.Helper()
	cmd := at.command(t, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("scrip %s: %v\n%s%s", strings.Join(args, " "), err, stdout.String(), stderr.String())
	}
	return stdout.String()
}

// fields runs a command that shows one thing and returns its fields, numbers among them as they are written.
func (at *installation) fields(t testing.TB, args ...string) map[string]string {
	t.Helper()
	var shown map[string]any
	out := at.run(t, append(args, "-o", "json")...)
	decoder := json.NewDecoder(strings.NewReader(out))
	decoder.UseNumber()
	if err := decoder.Decode(&shown); err != nil {
		t.Fatalf("scrip %s: %v in %s", strings.Join(args, " "), err, out)
	}
	fields := make(map[string]string, len(shown))
	for name, value := range shown {
		fields[name] = fmt.Sprint(value)
	}
	return fields
}

// process is a running server.
type process struct {
	cmd            *exec.Cmd
	base           string // http://HOST:PORT
	stdout, stderr *output
	ended          chan struct{}
	err            error // how it ended, once ended is closed
}

// listening is the line by which a server says that it is ready.
var listening = regexp.MustCompile(`(?m)^listening on (http://\S+)\n`)

// launch starts a server and does not wait until it is ready.
func (at *installation) launch(t testing.TB, args ...string) *process {
	t.Helper()
	cmd := at.command(t, append([]string{"serve", "--listen", "127.0.0.1:0"}, args...)...)
	return launch(t, cmd)
}

func launch(t testing.TB, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{cmd: cmd, stdout: newOutput(), stderr: newOutput(), ended: make(chan struct{})}
	cmd.Stdout = p.stdout
	if cmd.Stderr == nil {
		cmd.Stderr = p.stderr
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.err = cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() { p.kill() })
	return p
}

// start starts a server and waits until it says that it listens.
func (at *installation) start(t testing.TB, args ...string) *process {
	t.Helper()
	p := at.launch(t, args...)
	p.await(t)
	return p
}

// await waits for the line that says where the server listens.
func (p *process) await(t testing.TB) {
	t.Helper()
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	for {
		changed := p.stdout.changed()
		if match := listening.FindStringSubmatch(p.stdout.String()); match != nil {
			p.base = match[1]
			return
		}
		select {
		case <-changed:
		case <-p.ended:
			t.Fatalf("the server ended before it listened: %v\n%s", p.err, p.stderr)
		case <-timeout.C:
			t.Fatalf("the server did not listen within %s\n%s", patience, p.stderr)
		}
	}
}

// dump ends a process that hangs and returns what it said, with what each goroutine waits for.
func (p *process) dump() string {
	_ = p.cmd.Process.Signal(syscall.SIGQUIT) // it may have ended
	<-p.ended
	return p.stderr.String()
}

// kill ends the process at once, as a crash does, and waits until it is gone.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.ended
}

// stop asks the process to end and expects that it does so well.
func (p *process) stop(t testing.TB) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatalf("signal the server: %v", err)
	}
	p.finished(t)
}

// finished waits until the process has ended and expects status 0.
func (p *process) finished(t testing.TB) {
	t.Helper()
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	select {
	case <-p.ended:
	case <-timeout.C:
		t.Fatalf("the server did not end within %s", patience)
	}
	if p.err != nil {
		t.Fatalf("the server ended badly: %v\n%s", p.err, p.stderr)
	}
}

// output keeps what a process writes and tells when there is more of it.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{}
}

func newOutput() *output { return &output{more: make(chan struct{})} }

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.more)
	o.more = make(chan struct{})
	return o.text.Write(p)
}

// changed returns a channel that is closed at the next write.
func (o *output) changed() <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.more
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}
