package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/server"
)

// Every command that does something teaches by example. Its examples call it, and commands
// that go with it, with flags that they have, and all for one realm: what is looked up in
// one must not be booked in the other. What explains a call is a comment, so that the line
// can be pasted.
func TestExamples(t *testing.T) {
	flag, realm := regexp.MustCompile(`(?:^| )--([a-z0-9-]+)`), regexp.MustCompile(` --realm ([a-z]+)`)
	words := regexp.MustCompile(`\S {2,}[^ #]`)
	root := New()
	realmOf := func(cmd *cobra.Command, call string) string {
		if m := realm.FindStringSubmatch(call); m != nil {
			return m[1]
		}
		if f := cmd.Flags().Lookup("realm"); f != nil {
			return f.DefValue
		}
		return ""
	}
	var visit func(cmd *cobra.Command)
	visit = func(cmd *cobra.Command) {
		for _, below := range cmd.Commands() {
			visit(below)
		}
		if words.MatchString(cmd.Example) {
			t.Errorf("%s: its example has words that are no comment: %s", cmd.CommandPath(), cmd.Example)
		}
		if cmd.HasSubCommands() {
			return
		}
		if cmd.Name() != "help" && cmd.Parent().Name() != "completion" && !strings.Contains(cmd.Example, cmd.CommandPath()) { // those are cobra's
			t.Errorf("%s: no example of it", cmd.CommandPath())
		}
		own, other := map[string]bool{}, map[string]bool{}
		for line := range strings.Lines(cmd.Example) {
			_, call, found := strings.Cut(line, "  scrip ")
			if !found {
				continue // the end of a call
			}
			called, _, err := root.Find(strings.Fields(call))
			if err != nil {
				t.Errorf("%s: its example: %v", cmd.CommandPath(), err)
				continue
			}
			for _, m := range flag.FindAllStringSubmatch(call, -1) {
				if called.Flags().Lookup(m[1]) == nil && called.InheritedFlags().Lookup(m[1]) == nil {
					t.Errorf("%s: its example has --%s", called.CommandPath(), m[1])
				}
			}
			if called == cmd {
				own[realmOf(called, call)] = true
			} else if r := realmOf(called, call); r != "" {
				other[r] = true
			}
		}
		for r := range other {
			if !own[r] {
				t.Errorf("%s: its example does something in the %s realm beside %v", cmd.CommandPath(), r, own)
			}
		}
	}
	visit(root)
}

// A list of credentials has all of them, however many there are.
func TestListsAreWhole(t *testing.T) {
	data := t.TempDir()
	app, err := server.Open(t.Context(), server.Options{Data: data, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	const operators = 201
	for i := range operators {
		if _, err := app.Accounts.CreateOperator(t.Context(), "cli", account.NewOperator{Name: fmt.Sprint("Ada ", i), Role: account.RoleAuditor}); err != nil {
			t.Fatal(err)
		}
	}
	if err := app.Close(); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	list := New()
	list.SetArgs([]string{"operator", "list", "--data", data, "-o", "json"})
	list.SetOut(&out)
	if err := list.ExecuteContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	var shown []map[string]string
	if err := json.Unmarshal(out.Bytes(), &shown); err != nil || len(shown) != operators {
		t.Errorf("%d operators of %d, %v", len(shown), operators, err)
	}
}

// A load of a wallet is in the audit log with who made it, as one over the operator API is.
func TestLoadIsRecorded(t *testing.T) {
	data := t.TempDir()
	t.Setenv("USER", "ada")
	open := func() *server.App {
		t.Helper()
		app, err := server.Open(t.Context(), server.Options{Data: data, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		return app
	}
	app := open()
	customer, err := app.Accounts.CreateCustomer(t.Context(), "cli", account.NewCustomer{Name: "Corner Bakery"})
	if err := errors.Join(err, app.Close()); err != nil {
		t.Fatal(err)
	}
	load := New()
	load.SetArgs([]string{"customer", "load", "--data", data, "--customer", string(customer.ID), "--realm", "live", "--amount", "250", "--currency", "EUR", "--reference", "SEPA 4711"})
	load.SetOut(io.Discard)
	if err := load.ExecuteContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	app = open()
	found, err := app.Audit.List(t.Context(), audit.Filter{Book: string(customer.Live), Action: "wallet.load"})
	if err := errors.Join(err, app.Close()); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"amount": "250.00", "currency": "EUR", "reference": "SEPA 4711"}
	if len(found) != 1 || found[0].Actor != "cli/ada" || found[0].Subject != string(customer.ID) || !maps.Equal(found[0].Detail, want) {
		t.Errorf("recorded %+v", found)
	}
}

// Where a model cannot be written is said before it is trained, and a training that ends early leaves no file.
func TestModelFile(t *testing.T) {
	ended, end := context.WithCancel(t.Context())
	end()
	folder := t.TempDir()
	taken := filepath.Join(folder, "taken.model")
	if err := os.WriteFile(taken, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]error{taken: fs.ErrExist, filepath.Join(folder, "none", "new.model"): fs.ErrNotExist, filepath.Join(folder, "new.model"): context.Canceled} {
		train := New()
		train.SetArgs([]string{"fraud", "train", "--name", "small", "--days", "2", "--attacks", "1", "--size", "0.01", "--trees", "1", "--out", file})
		train.SetOut(io.Discard)
		train.SetErr(io.Discard)
		if err := train.ExecuteContext(ended); !errors.Is(err, want) {
			t.Errorf("%s: %v", file, err)
		}
	}
	left, err := os.ReadDir(folder)
	if text, _ := os.ReadFile(taken); err != nil || len(left) != 1 || string(text) != "mine" {
		t.Errorf("left: %v, %v", left, err)
	}
}

// A bench puts its cards and its load on a database of its own, and asks nobody outside: what
// the file and the environment name is for the installation that is served.
func TestBenchLeavesInstallationAlone(t *testing.T) {
	installation := filepath.Join(t.TempDir(), "data")
	t.Setenv("SCRIP_DATA", installation)
	t.Setenv("SCRIP_DATABASE", "postgres://nobody@127.0.0.1:1/none")
	for _, name := range []string{"DEPOSITS", "CASHOUT", "PAYOUTS"} {
		t.Setenv("SCRIP_"+name, filepath.Join(installation, "none.json"))
	}
	t.Setenv("TMPDIR", t.TempDir())
	var out bytes.Buffer
	bench := New()
	bench.SetArgs([]string{"bench", "--scenario", "query", "--cards", "1", "--workers", "1", "--rounds", "1", "--count", "1", "--duration", "1s", "-o", "json"})
	bench.SetOut(&out)
	bench.SetErr(io.Discard)
	if err := bench.ExecuteContext(t.Context()); err != nil || !strings.Contains(out.String(), `"requests": 1`) || !strings.Contains(out.String(), `"answers": 1,`) {
		t.Errorf("%v: %s", err, out.String())
	}
	if _, err := os.Stat(installation); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the installation: %v", err)
	}
}

// A bench that measured nothing says what is wrong, and shows no table of nothing.
func TestBenchOfNothing(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	var out bytes.Buffer
	bench := New()
	bench.SetArgs([]string{"bench", "--scenario", "query", "--cards", "1", "--workers", "-1"})
	bench.SetOut(&out)
	bench.SetErr(io.Discard)
	if err := bench.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), "want 1 to") || out.Len() > 0 {
		t.Errorf("%v: %s", err, out.String())
	}
}

// Data that is not known is said so, whether a file is named or not.
func TestUnknownBench(t *testing.T) {
	eval := New()
	eval.SetArgs([]string{"fraud", "eval", "--bench", "handbook"})
	if err := eval.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), `bench "handbook": want one of fdh, s-ffsd`) {
		t.Error(err)
	}
}

// A server that is told to stop before it is ready ends as every stop does: with no error.
func TestStopBeforeReady(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stop()
	root := New()
	var logged bytes.Buffer
	root.SetErr(&logged)
	root.SetArgs([]string{"serve", "--data", t.TempDir(), "--listen", "127.0.0.1:0"})
	if err := root.ExecuteContext(ctx); err != nil || !strings.Contains(logged.String(), "stopped before it was ready") {
		t.Errorf("%v, and it says %q", err, logged.String())
	}
}

// One that is told to stop while it fails to start for a reason of its own says that reason.
func TestStopWhileItFails(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	root := New()
	root.SetErr(io.Discard)
	root.SetArgs([]string{"serve", "--data", filepath.Join(file, "data"), "--listen", "127.0.0.1:0"})
	if err := root.ExecuteContext(ctx); err == nil || errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
}
