// Command vet is a tool for "go vet -vettool": everything that go vet finds, what
// staticcheck finds, errors that are compared or asserted without being unwrapped, and
// switches over a closed list that miss a member and have no default. Together they read
// each package once.
package main

import (
	"encoding/gob"
	"encoding/json"
	"fmt"
	"go/ast"
	"os"
	"slices"
	"strings"

	"github.com/nishanths/exhaustive"
	"github.com/polyfloyd/go-errorlint/errorlint"
	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/suite/vet"
	"golang.org/x/tools/go/analysis/unitchecker"
	"honnef.co/go/tools/analysis/lint"
	"honnef.co/go/tools/simple"
	"honnef.co/go/tools/staticcheck"
	"honnef.co/go/tools/stylecheck"
)

func main() {
	analyzers, err := all()
	if err == nil {
		analyzers, err = asked(os.Args[len(os.Args)-1], analyzers)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "vet:", err)
		os.Exit(2)
	}
	unitchecker.Main(analyzers...)
}

// all returns every analyzer there is.
func all() ([]*analysis.Analyzer, error) {
	for name, value := range map[string]string{
		exhaustive.DefaultSignifiesExhaustiveFlag: "true",
		// Lists that are not ours to close.
		exhaustive.IgnoreEnumTypesFlag: `^(reflect\.|github\.com/go-json-experiment/)`,
	} {
		if err := exhaustive.Analyzer.Flags.Set(name, value); err != nil {
			return nil, err
		}
	}
	analyzers := append(slices.Clone(vet.Suite), errorlint.NewAnalyzer(), exhaustive.Analyzer, unusedCode)
	for _, group := range [][]*lint.Analyzer{simple.Analyzers, staticcheck.Analyzers, stylecheck.Analyzers} {
		for _, a := range group {
			if !a.Doc.NonDefault {
				analyzers = append(analyzers, heeding(a.Analyzer))
			}
		}
	}
	return analyzers, nil
}

// heeding returns the analyzer without what a file wants it to leave out, as staticcheck has it:
// //lint:file-ignore and the names of checks.
func heeding(a *analysis.Analyzer) *analysis.Analyzer {
	heeded := *a
	heeded.Run = func(pass *analysis.Pass) (any, error) {
		ignored := map[string]bool{}
		for _, file := range pass.Files {
			ignored[fileName(pass, file)] = ignores(file, a.Name)
		}
		filtered := *pass
		filtered.Report = func(d analysis.Diagnostic) {
			if !ignored[pass.Fset.File(d.Pos).Name()] {
				pass.Report(d)
			}
		}
		return a.Run(&filtered)
	}
	return &heeded
}

func ignores(file *ast.File, check string) bool {
	for _, group := range file.Comments {
		for _, comment := range group.List {
			rest, ok := strings.CutPrefix(comment.Text, "//lint:file-ignore ")
			if names, _, _ := strings.Cut(rest, " "); ok && slices.Contains(strings.Split(names, ","), check) {
				return true
			}
		}
	}
	return false
}

// asked returns the analyzers for one call of go vet. Of what Scrip imports only facts are
// wanted: which functions never return, what is deprecated. Those that need the bodies of
// functions, such as which have no effect, are gathered from the standard library alone: other
// modules have millions of lines.
func asked(config string, analyzers []*analysis.Analyzer) ([]*analysis.Analyzer, error) {
	var unit struct {
		VetxOnly   bool
		ModulePath string
	}
	if !strings.HasSuffix(config, ".cfg") {
		return analyzers, nil
	}
	text, err := os.ReadFile(config)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &unit); err != nil {
		return nil, fmt.Errorf("%s: %w", config, err)
	}
	if !unit.VetxOnly {
		return analyzers, nil
	}
	var facts []*analysis.Analyzer
	for _, a := range closure(analyzers) {
		if len(a.FactTypes) == 0 {
			continue
		}
		// Facts that other packages state must be known to be read.
		for _, fact := range a.FactTypes {
			gob.Register(fact)
		}
		if unit.ModulePath == "" || !readsBodies(a) {
			facts = append(facts, a)
		}
	}
	return facts, nil
}

// closure returns the analyzers and all that they require.
func closure(analyzers []*analysis.Analyzer) []*analysis.Analyzer {
	var found []*analysis.Analyzer
	for _, a := range analyzers {
		for _, each := range append(closure(a.Requires), a) {
			if !slices.Contains(found, each) {
				found = append(found, each)
			}
		}
	}
	return found
}

// readsBodies tells whether an analyzer follows the flow through functions.
func readsBodies(a *analysis.Analyzer) bool {
	return slices.ContainsFunc(closure([]*analysis.Analyzer{a}), func(each *analysis.Analyzer) bool {
		return each.Name == "buildir" || each.Name == "buildssa" || each.Name == "ctrlflow"
	})
}
