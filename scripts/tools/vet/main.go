// Command vet is a tool for "go vet -vettool": it finds errors that are compared
// or asserted without being unwrapped, and switches over a closed list that miss
// a member and have no default.
package main

import (
	"fmt"
	"os"

	"github.com/nishanths/exhaustive"
	"github.com/polyfloyd/go-errorlint/errorlint"
	"golang.org/x/tools/go/analysis/unitchecker"
)

func main() {
	for name, value := range map[string]string{
		exhaustive.DefaultSignifiesExhaustiveFlag: "true",
		// Lists that are not ours to close.
		exhaustive.IgnoreEnumTypesFlag: `^(reflect\.|github\.com/go-json-experiment/)`,
	} {
		if err := exhaustive.Analyzer.Flags.Set(name, value); err != nil {
			fmt.Fprintln(os.Stderr, "vet:", err)
			os.Exit(2)
		}
	}
	unitchecker.Main(errorlint.NewAnalyzer(), exhaustive.Analyzer)
}
