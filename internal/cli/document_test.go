package cli

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
)

// Every command that the documents, or the commands' own texts, tell to call exists and has
// the flags that it is called with.
func TestDocuments(t *testing.T) {
	root := New()
	read := 0
	err := filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == ".git" || entry.Name() == "node_modules" || entry.Name() == "testdata"):
			return fs.SkipDir
		case entry.Name() == "CHANGELOG.md": // tells of commands of before
			return nil
		case filepath.Ext(path) != ".md" && entry.Name() != "openapi.yaml":
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, call := range calls(string(text)) {
			read++
			if wrong := wrongCall(root, call); wrong != "" {
				t.Errorf("%s: scrip %s: %s", path, call, wrong)
			}
		}
		return nil
	})
	if err != nil || read < 200 {
		t.Errorf("%d calls, %v", read, err)
	}
	var visit func(cmd *cobra.Command)
	visit = func(cmd *cobra.Command) {
		for _, m := range quoted.FindAllStringSubmatch(strings.ReplaceAll(cmd.Long, "\n", " "), -1) {
			if wrong := wrongCall(root, m[1]); wrong != "" {
				t.Errorf("%s: scrip %s: %s", cmd.CommandPath(), m[1], wrong)
			}
		}
		for _, below := range cmd.Commands() {
			visit(below)
		}
	}
	visit(root)
}

var (
	quoted = regexp.MustCompile(`"scrip ([^"]+)"`)
	span   = regexp.MustCompile("`(?:[A-Z_]+=\\S+ )*scrip ([a-z][^`]*)`")
	line   = regexp.MustCompile(`(?:^|[ /(])scrip ([a-z][^|<>;&)]*)`)
	flagOf = regexp.MustCompile(`(?:^| )--([a-z0-9-]+)`)
)

// calls returns what a Markdown text calls the program with: in spans of code, which may be
// broken into lines, and in lines of blocks.
func calls(text string) []string {
	var all []string
	add := func(in *regexp.Regexp, text string) {
		for _, m := range in.FindAllStringSubmatch(text, -1) {
			all = append(all, strings.Join(strings.Fields(m[1]), " "))
		}
	}
	block, prose := false, ""
	text = strings.ReplaceAll(text, "\\\n", " ")
	for one := range strings.Lines(text) {
		one = strings.TrimSpace(one)
		fence := strings.HasPrefix(one, "```")
		switch {
		case fence:
			block = !block
		case block:
			one, _, _ = strings.Cut(one, " #")
			add(line, one)
		case one != "":
			prose += one + " "
			continue
		}
		add(span, prose) // a span ends with its paragraph
		prose = ""
	}
	add(span, prose)
	return all
}

// What is called is found wherever a text may have it.
func TestCalls(t *testing.T) {
	text := "Run `scrip verify`, `SCRIP_DATA=x scrip key\nlist --customer\n  C` or a `scrip\n\nnot` this: `scrips`.\n" +
		"```sh\nsudo scrip backup F # scrip no\nscrip card \\\n  list | scrip job list\n```\n- `scrip rail\n  scan`"
	want := []string{"verify", "key list --customer C", "backup F", "card list", "job list", "rail scan"}
	if diff := cmp.Diff(want, calls(text)); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

// wrongCall says what is wrong with how the program is called; nothing is empty.
func wrongCall(root *cobra.Command, call string) string {
	cmd, rest, err := root.Find(strings.Fields(call))
	switch {
	case err != nil:
		return err.Error()
	case cmd == root:
		return "no such command"
	case cmd.HasSubCommands() && len(rest) > 0 && !strings.HasPrefix(rest[0], "-"):
		return "no such command below it"
	}
	for _, m := range flagOf.FindAllStringSubmatch(call, -1) {
		if cmd.Flags().Lookup(m[1]) == nil && cmd.InheritedFlags().Lookup(m[1]) == nil && m[1] != "help" {
			return "it has no --" + m[1]
		}
	}
	return ""
}
