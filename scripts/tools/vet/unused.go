package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"

	"golang.org/x/tools/go/analysis"
	"honnef.co/go/tools/unused"
)

// unusedCode reports what staticcheck's U1000 finds, which leaves reporting to its caller.
var unusedCode = &analysis.Analyzer{
	Name:     "U1000",
	Doc:      "code that is not exported and not used",
	Requires: []*analysis.Analyzer{unused.Analyzer.Analyzer},
	Run:      reportUnused,
}

// A package that has tests is looked at with them, as go vet does besides: what only they
// use is used.
func reportUnused(pass *analysis.Pass) (any, error) {
	tested, err := testedElsewhere(pass)
	if tested || err != nil {
		return nil, err
	}
	for _, object := range pass.ResultOf[unused.Analyzer.Analyzer].(unused.Result).Unused {
		pass.Reportf(place(pass, object.DisplayPosition), "%s %s is unused", object.Kind, object.Name)
	}
	return nil, nil
}

// testedElsewhere tells whether the package has tests of its own that this pass is without.
func testedElsewhere(pass *analysis.Pass) (bool, error) {
	if len(pass.Files) == 0 {
		return false, nil
	}
	for _, file := range pass.Files {
		if isTest(fileName(pass, file)) {
			return false, nil
		}
	}
	tests, err := filepath.Glob(filepath.Join(filepath.Dir(fileName(pass, pass.Files[0])), "*_test.go"))
	if err != nil {
		return false, err
	}
	for _, name := range tests {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.PackageClauseOnly)
		if err != nil {
			return false, err
		}
		if file.Name.Name == pass.Pkg.Name() {
			return true, nil
		}
	}
	return false, nil
}

func isTest(name string) bool { return strings.HasSuffix(name, "_test.go") }

func fileName(pass *analysis.Pass, file *ast.File) string {
	return pass.Fset.File(file.FileStart).Name()
}

// place finds a position again that was written down.
func place(pass *analysis.Pass, position token.Position) token.Pos {
	for _, file := range pass.Files {
		of := pass.Fset.File(file.FileStart)
		if of.Name() == position.Filename && position.Line <= of.LineCount() {
			return of.LineStart(position.Line) + token.Pos(position.Column-1)
		}
	}
	return token.NoPos
}
