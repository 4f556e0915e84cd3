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
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/server"
)

// Every command that does something teaches by example, and its examples call it with
// flags that it has.
func TestExamples(t *testing.T) {
	flag := regexp.MustCompile(`(?:^| )--([a-z0-9-]+)`)
	var visit func(cmd *cobra.Command)
	visit = func(cmd *cobra.Command) {
		for _, below := range cmd.Commands() {
			visit(below)
		}
		if cmd.HasSubCommands() {
			return
		}
		if !strings.Contains(cmd.Example, cmd.CommandPath()) {
			t.Errorf("%s: no example of it", cmd.CommandPath())
		}
		for line := range strings.Lines(cmd.Example) {
			_, call, found := strings.Cut(line, cmd.CommandPath())
			if !found {
				continue // another command that goes with it
			}
			for _, m := range flag.FindAllStringSubmatch(call, -1) {
				if cmd.Flags().Lookup(m[1]) == nil && cmd.InheritedFlags().Lookup(m[1]) == nil {
					t.Errorf("%s: its example has --%s", cmd.CommandPath(), m[1])
				}
			}
		}
	}
	visit(New())
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
