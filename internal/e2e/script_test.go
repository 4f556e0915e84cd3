package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/nameserver"
)

// Every command does what its help says, refuses what it must with a clear message and
// status 1, and shows the same things to people and to programs.
func TestCommands(t *testing.T) {
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			testscript.Run(t, testscript.Params{
				Dir:                 filepath.Join("testdata", "script"),
				RequireExplicitExec: true,
				RequireUniqueNames:  true,
				Setup:               func(env *testscript.Env) error { return surroundings(t, env, engine) },
				Condition:           func(name string) (bool, error) { return condition(name, engine) },
				Cmds: map[string]func(*testscript.TestScript, bool, []string){
					"serve": serveCommand, "sigterm": sigtermCommand, "call": callCommand, "take": takeCommand, "shape": shapeCommand, "mode": modeCommand,
					"expand": expandCommand, "dns": dnsCommand,
				},
			})
		})
	}
}

func condition(name, engine string) (bool, error) {
	if name == "sqlite" || name == "postgres" {
		return name == engine, nil
	}
	return false, fmt.Errorf("unknown condition %q", name)
}

// surroundings gives a script the binary, an empty database and a cover image.
func surroundings(t *testing.T, env *testscript.Env, engine string) error {
	env.Setenv("PATH", filepath.Dir(binary(t))+string(os.PathListSeparator)+env.Getenv("PATH"))
	env.Setenv("USER", "ada")
	env.Setenv("SCRIP_DATABASE", testkit.Empty(t, engine).URL)
	env.Values[serversKey{}] = map[string]*process{}
	dns := nameserver.Start(t)
	env.Values[dnsKey{}] = dns
	env.Setenv("SCRIP_DNS_SERVER", dns.Address())
	image, err := os.ReadFile(filepath.Join("testdata", "cover.png"))
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(env.WorkDir, "cover.png"), image, 0o600)
}

type (
	serversKey struct{}
	dnsKey     struct{}
)

func servers(ts *testscript.TestScript) map[string]*process {
	return ts.Value(serversKey{}).(map[string]*process)
}

// scripted lets a script stand where a test is wanted.
type scripted struct {
	testing.TB
	ts *testscript.TestScript
}

func (s scripted) Helper()                           {}
func (s scripted) Fatal(args ...any)                 { s.ts.Fatalf("%s", fmt.Sprint(args...)) }
func (s scripted) Fatalf(format string, args ...any) { s.ts.Fatalf(format, args...) }
func (s scripted) Cleanup(f func())                  { s.ts.Defer(f) }

// serve NAME [FLAG…] starts a server and waits until it listens; $NAME, and the file NAME.url, is its address.
func serveCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: serve NAME [FLAG...]")
	}
	path, err := built()
	ts.Check(err)
	cmd := exec.Command(path, append([]string{"serve", "--listen", "127.0.0.1:0"}, args[1:]...)...)
	cmd.Dir = ts.Getenv("WORK")
	for _, name := range []string{"PATH", "TMPDIR", "HOME", "USER", "SCRIP_DATA", "SCRIP_DATABASE", "SCRIP_MASTER_KEY", "SCRIP_DEMO", "SCRIP_CONFIG", "SCRIP_DNS_SERVER"} {
		if value := ts.Getenv(name); value != "" {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	cmd.SysProcAttr = leash()
	t := scripted{ts: ts}
	p := launch(t, cmd)
	p.await(t)
	servers(ts)[args[0]] = p
	ts.Setenv(args[0], p.base)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".url"), []byte(p.base), 0o600))
}

// sigterm NAME has a server end by SIGTERM, with status 0; NAME.out and NAME.err are what it wrote.
func sigtermCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 || servers(ts)[args[0]] == nil {
		ts.Fatalf("usage: sigterm NAME, of a server")
	}
	p := servers(ts)[args[0]]
	p.stop(scripted{ts: ts})
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".out"), []byte(p.stdout.String()), 0o600))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".err"), []byte(p.stderr.String()), 0o600))
}

// call STATUS URL KEY [BODY] makes a request; the answer's body is in the file answer.
func callCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 || len(args) > 4 {
		ts.Fatalf("usage: call STATUS URL KEY [BODY]")
	}
	method, body := http.MethodGet, io.Reader(nil)
	if len(args) == 4 {
		method, body = http.MethodPost, strings.NewReader(args[3])
	}
	r, err := http.NewRequest(method, args[1], body)
	ts.Check(err)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	r.Header.Set("X-API-Key", args[2])
	r.Close = true
	client := http.Client{Transport: &http.Transport{}, Timeout: patience}
	answer, err := client.Do(r)
	ts.Check(err)
	defer func() { _ = answer.Body.Close() }() // read to its end below
	text, err := io.ReadAll(io.LimitReader(answer.Body, 8<<20))
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs("answer"), text, 0o600))
	if strconv.Itoa(answer.StatusCode) != args[0] {
		ts.Fatalf("%s %s: status %d: %s", method, args[1], answer.StatusCode, text)
	}
}

// take NAME FILE PATTERN sets a variable to what the pattern's group finds in a file.
func takeCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: take NAME FILE PATTERN")
	}
	match := regexp.MustCompile("(?m)" + args[2]).FindStringSubmatch(ts.ReadFile(args[1]))
	if len(match) != 2 {
		ts.Fatalf("%s has no %s:\n%s", args[1], args[2], ts.ReadFile(args[1]))
	}
	ts.Setenv(args[0], match[1])
}

// shape FILE SHAPE compares what JSON is made of: "text", "number", "bool", "null", "{name: …}" with
// the names in order, those of texts alone, "[…]" of the first element.
func shapeCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: shape FILE SHAPE")
	}
	decoder := json.NewDecoder(strings.NewReader(ts.ReadFile(args[0])))
	var value any
	ts.Check(decoder.Decode(&value))
	if decoder.More() {
		ts.Fatalf("%s has more than one JSON value", args[0])
	}
	if got := shape(value); got != args[1] {
		ts.Fatalf("%s is\n%s, want\n%s", args[0], got, args[1])
	}
}

func shape(value any) string {
	switch v := value.(type) {
	case nil:
		return "null"
	case float64:
		return "number"
	case string:
		return "text"
	case []any:
		if len(v) == 0 {
			return "[]"
		}
		return "[" + shape(v[0]) + "]"
	case map[string]any:
		var parts []string
		for name, inner := range v {
			parts = append(parts, name+": "+shape(inner))
		}
		slices.Sort(parts)
		return "{" + strings.ReplaceAll(strings.Join(parts, ", "), ": text", "") + "}"
	default:
		return fmt.Sprintf("%T", value)
	}
}

// expand FILE puts variables into a file, where their names stand after a dollar.
func expandCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: expand FILE")
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(os.Expand(ts.ReadFile(args[0]), ts.Getenv)), 0o600))
}

// dns NAME [TEXT…] gives a name the TXT records in the place of those that it had.
func dnsCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: dns NAME [TEXT...]")
	}
	ts.Value(dnsKey{}).(*nameserver.Server).Set(args[0], args[1:]...)
}

// mode FILE BITS compares a file's permissions.
func modeCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: mode FILE BITS")
	}
	info, err := os.Stat(ts.MkAbs(args[0]))
	ts.Check(err)
	if got := fmt.Sprintf("%04o", info.Mode().Perm()); got != args[1] {
		ts.Fatalf("%s has mode %s, want %s", args[0], got, args[1])
	}
}
