package archtest

import (
	"fmt"
	"go/ast"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// row is one line of the architecture's floors.
type row struct {
	path string // a directory; "*" is any one name; all below belongs to it
	// apart: the folders right below path are strangers to each other.
	apart bool
	// by: the rows that may import this one, where not all above may.
	// Tests may import it too if the list says "tests".
	by []string
}

// floors lists every package from the top of the building to the bottom. A
// package may import rows below its own and packages of its own row.
var floors = []row{
	{path: "cmd", apart: true, by: []string{"none"}},
	{path: "internal/archtest", by: []string{"none"}},
	{path: "internal/e2e", by: []string{"none"}},
	{path: "internal/testkit", by: []string{"tests"}},
	{path: "internal/cli", by: []string{"cmd", "tests"}},
	{path: "internal/server", by: []string{"internal/cli", "internal/testkit", "internal/bench", "tests"}},
	// Edges.
	{path: "internal/bench", by: []string{"internal/cli"}},
	{path: "internal/api", apart: true, by: []string{"internal/server"}},
	{path: "internal/web", apart: true, by: []string{"internal/server"}},
	{path: "internal/api/wiretest", by: []string{"tests"}},
	{path: "internal/api/wire", by: []string{"internal/api", "internal/api/wiretest", "internal/web", "internal/server", "internal/archtest"}},
	{path: "internal/provider", apart: true, by: []string{"internal/server", "internal/testkit"}},
	{path: "internal/provider/call", by: []string{"internal/provider", "tests"}},
	{path: "internal/provider/simulator", by: []string{"internal/bench", "internal/server", "tests"}},
	// Products: those that use others stand above them.
	{path: "internal/ping"},
	{path: "internal/portal"},
	{path: "internal/cashout"},
	{path: "internal/order"},
	{path: "internal/catalog"},
	{path: "internal/giftcard"},
	{path: "internal/issuing"},
	{path: "internal/wallet"},
	{path: "internal/fraud"},
	{path: "internal/rate"},
	// Shared by products.
	{path: "internal/account"},
	{path: "internal/webhook"},
	{path: "internal/audit"},
	{path: "internal/ledger"},
	// Platform and vocabulary.
	{path: "internal/platform"},
	{path: "internal/core"},
	// What is published: nothing of the module below it.
	{path: "spec", by: []string{"internal/server", "internal/api", "tests"}},
	{path: "sdk", apart: true, by: []string{"tests"}},
}

// owned lists what may be imported only in some places: every module that go.mod
// requires, and packages of the standard library that belong to one package.
// "tests" stands for all tests and the support for them.
var owned = []struct {
	path string
	by   []string
}{
	{"database/sql", []string{"internal/platform/storage", "internal/testkit"}},
	{"modernc.org/sqlite", []string{"internal/platform/storage"}},
	{"modernc.org/libc", []string{"internal/platform/storage/lite"}},
	{"github.com/jackc/pgx/v5", []string{"internal/platform/storage", "internal/testkit"}},
	{"github.com/go-json-experiment/json", []string{"internal/api/wire", "internal/provider", "internal/platform/config"}},
	{"github.com/tink-crypto/tink-go/v2", []string{"internal/platform/vault"}},
	{"golang.org/x/crypto", []string{"internal/wallet/address", "internal/provider/simulator", "internal/provider/ethereum"}},
	{"github.com/btcsuite/btcd/address/v2", []string{"internal/wallet/address", "internal/cashout/payout", "internal/provider/bitcoin", "internal/provider/simulator", "internal/provider/solana", "tests"}},
	{"filippo.io/edwards25519", []string{"internal/provider/solana", "tests"}},
	{"github.com/btcsuite/btcd/btcutil/v2", []string{"internal/wallet/address"}},
	{"github.com/btcsuite/btcd/chaincfg/v2", []string{"internal/wallet/address", "internal/cashout/payout", "internal/provider/bitcoin", "tests"}},
	{"github.com/btcsuite/btcd/wire/v2", []string{"internal/provider/bitcoin", "tests"}},
	{"github.com/btcsuite/btcd/btcec/v2", []string{"internal/cashout/payout", "internal/provider/simulator", "tests"}},
	{"github.com/btcsuite/btcd/chainhash/v2", []string{"tests"}},
	{"github.com/btcsuite/btcd/txscript/v2", []string{"tests"}},
	{"github.com/prometheus/client_golang", []string{"internal/platform/telemetry"}},
	{"github.com/caarlos0/env/v11", []string{"internal/platform/config"}},
	{"github.com/goccy/go-yaml", []string{"internal/platform/config", "tests"}},
	{"github.com/nyaruka/phonenumbers", []string{"internal/cashout/phone"}},
	{"github.com/oschwald/maxminddb-golang/v2", []string{"internal/provider/geo"}},
	{"golang.org/x/text", []string{"internal/cashout/customer"}},
	{"golang.org/x/image", []string{"tests"}},
	{"golang.org/x/sync", []string{"internal"}},
	{"golang.org/x/term", []string{"internal/cli", "internal/platform/telemetry"}},
	{"github.com/lmittmann/tint", []string{"internal/platform/telemetry"}},
	{"github.com/spf13/cobra", []string{"internal/cli"}},
	{"github.com/schollz/progressbar/v3", []string{"internal/cli", "internal/bench"}},
	{"github.com/HdrHistogram/hdrhistogram-go", []string{"internal/bench"}},
	{"github.com/caddyserver/certmagic", []string{"internal/server"}},
	{"go.uber.org/zap", []string{"internal/server"}},
	{"github.com/a-h/templ", []string{"internal/web"}},
	{"github.com/chromedp/chromedp", []string{"tests"}},
	{"github.com/chromedp/cdproto", []string{"tests"}},
	{"codeberg.org/go-pdf/fpdf", []string{"internal/issuing/statement"}},
	{"github.com/Shopify/toxiproxy/v2", []string{"tests"}},
	{"github.com/moov-io/iso8583", []string{"internal/platform/iso", "internal/provider/iso8583", "internal/provider/simulator"}},
	{"github.com/moov-io/iso8583-connection", []string{"internal/provider/iso8583"}},
	{"github.com/klauspost/compress", []string{"internal/fraud/study"}},
	{"github.com/ulikunitz/xz", []string{"internal/fraud/study"}},
	{"github.com/getkin/kin-openapi", []string{"tests"}},
	{"github.com/google/go-cmp", []string{"tests"}},
	{"github.com/rogpeppe/go-internal", []string{"tests"}},
	{"pgregory.net/rapid", []string{"tests"}},
	{"testing", []string{"tests"}},
	{"math/rand", []string{"tests"}},
	{"math/rand/v2", []string{"tests"}},
}

// outside is what the vocabulary may not touch: it does no input or output.
var outside = []string{"net", "os", "syscall", "log", "plugin", "io/ioutil"}

// purely lists standard packages below those that do no input or output.
var purely = []string{"log/slog", "net/mail", "net/netip", "net/url", "net/textproto"}

var importRules = []rule{
	{
		name: "floors", about: "imports go down the floors, and every package stands on one",
		check: checkFloors,
		bad: []string{
			"-- internal/ledger/a.go --\npackage ledger\nimport _ \"example.test/scrip/internal/giftcard\"\n-- internal/giftcard/a.go --\npackage giftcard\n",
			"-- internal/core/money/a.go --\npackage money\nimport _ \"example.test/scrip/internal/platform/limit\"\n",
			"-- internal/wallet/a.go --\npackage wallet\nimport _ \"example.test/scrip/internal/order\"\n",
			"-- internal/giftcard/a.go --\npackage giftcard\nimport _ \"example.test/scrip/internal/ping\"\n",
			"-- internal/api/gatepay/a.go --\npackage gatepay\nimport _ \"example.test/scrip/internal/api/cardping\"\n",
			"-- internal/api/gatepay/a.go --\npackage gatepay\nimport _ \"example.test/scrip/internal/provider/lnd\"\n",
			"-- internal/ledger/a.go --\npackage ledger\nimport _ \"example.test/scrip/internal/testkit\"\n",
			"-- internal/provider/iso8583/a.go --\npackage iso8583\nimport _ \"example.test/scrip/internal/provider/simulator\"\n",
			"-- internal/misplaced/a.go --\npackage misplaced\n",
			"-- internal/ledger/a_test.go --\npackage ledger_test\nimport _ \"example.test/scrip/internal/api/wire\"\n",
			"-- sdk/go/a.go --\npackage scrip\nimport _ \"example.test/scrip/internal/core/money\"\n",
		},
		good: []string{
			"-- internal/giftcard/a.go --\npackage giftcard\nimport _ \"example.test/scrip/internal/ledger\"\n",
			"-- internal/order/a.go --\npackage order\nimport _ \"example.test/scrip/internal/wallet\"\n",
			"-- internal/core/money/a.go --\npackage money\nimport _ \"example.test/scrip/internal/core/fault\"\n",
			"-- internal/api/gatepay/a.go --\npackage gatepay\nimport _ \"example.test/scrip/internal/api/wire\"\n",
			"-- internal/ledger/a_test.go --\npackage ledger_test\nimport _ \"example.test/scrip/internal/testkit\"\n",
			"-- internal/provider/iso8583/a_test.go --\npackage iso8583\nimport _ \"example.test/scrip/internal/provider/simulator\"\n",
			"-- internal/cli/a_test.go --\npackage cli\nimport _ \"example.test/scrip/sdk/go\"\n",
		},
	},
	{
		name: "imports", about: "what comes from elsewhere is imported where it belongs, and the vocabulary imports the standard library without input and output",
		check: checkImports,
		bad: []string{
			"-- internal/core/money/a.go --\npackage money\nimport _ \"github.com/google/go-cmp/cmp\"\n",
			"-- internal/core/money/a_test.go --\npackage money\nimport _ \"github.com/jackc/pgx/v5/stdlib\"\n",
			"-- internal/core/money/a.go --\npackage money\nimport _ \"net/http\"\n",
			"-- internal/core/money/a.go --\npackage money\nimport _ \"os\"\n",
			"-- internal/ledger/a.go --\npackage ledger\nimport _ \"github.com/jackc/pgx/v5/pgconn\"\n",
			"-- internal/ledger/a.go --\npackage ledger\nimport \"database/sql\"\nvar db *sql.DB\n",
			"-- internal/api/cardping/a.go --\npackage cardping\nimport _ \"github.com/go-json-experiment/json\"\n",
			"-- internal/webhook/a.go --\npackage webhook\nimport _ \"math/rand/v2\"\n",
			"-- internal/webhook/a.go --\npackage webhook\nimport _ \"pgregory.net/rapid\"\n",
			"-- internal/webhook/a.go --\npackage webhook\nimport _ \"example.org/unheard/of\"\n",
		},
		good: []string{
			"-- internal/core/money/a.go --\npackage money\nimport _ \"log/slog\"\n",
			"-- internal/core/money/a_test.go --\npackage money\nimport (\n_ \"os\"\n_ \"pgregory.net/rapid\"\n)\n",
			"-- internal/platform/storage/a.go --\npackage storage\nimport (\n_ \"modernc.org/sqlite\"\n_ \"database/sql\"\n)\n",
			"-- internal/webhook/a.go --\npackage webhook\nimport _ \"database/sql/driver\"\n",
			"-- internal/ledger/store.go --\npackage ledger\nimport \"database/sql\"\nvar x sql.NullInt64\n",
			"-- internal/testkit/a.go --\npackage testkit\nimport _ \"math/rand/v2\"\n",
		},
	},
	{
		name: "dependencies", about: "docs/decisions/dependencies.md names every module that go.mod requires directly, and no other",
		check: checkDependencies,
		bad: []string{
			"-- go.mod --\nmodule m\nrequire example.org/a v1.0.0\n-- docs/decisions/dependencies.md --\nNothing.\n",
			"-- go.mod --\nmodule m\nrequire (\n\texample.org/a v1.0.0\n\texample.org/b v1.0.0 // indirect\n)\n-- docs/decisions/dependencies.md --\nexample.org/b and example.org/abc\n",
			"-- go.mod --\nmodule m\nrequire example.org/a v1.0.0\n",
			"-- go.mod --\nmodule m\nrequire example.org/b v1.0.0 // indirect\n-- docs/decisions/dependencies.md --\n| `example.org/b` | why |\n",
		},
		good: []string{
			"-- go.mod --\nmodule m\nrequire (\n\texample.org/a/v2 v2.0.0\n\texample.org/b v1.0.0 // indirect\n)\nexclude example.org/c v1.0.0\n-- docs/decisions/dependencies.md --\n| `example.org/a/v2` | why |\n",
		},
	},
}

// floorOf returns the index of the row that dir stands on: the longest that
// fits; -1 without one.
func floorOf(dir string) int {
	found := -1
	for i, r := range floors {
		if within(dir, r.path) && (found < 0 || len(r.path) > len(floors[found].path)) {
			found = i
		}
	}
	return found
}

// checkFloors compares each import inside the module with the table.
func checkFloors(s *source) []finding {
	var found []finding
	for _, p := range s.packages {
		if floorOf(p.dir) < 0 {
			found = append(found, finding{key: p.dir, at: p.dir, text: "stands on no floor: add it to the table in imports_test.go"})
			continue
		}
		for _, f := range p.files {
			for _, spec := range f.syntax.Imports {
				to, ok := s.local(importPath(spec.Path.Value))
				if !ok || to == p.dir {
					continue
				}
				if reason := refusal(p, f.test || p.testSupport(), to); reason != "" {
					found = append(found, finding{key: p.dir + ">" + to, at: f.at(spec.Pos()), text: reason})
				}
			}
		}
	}
	return found
}

// refusal says why a package may not import another of the module, if so.
func refusal(p *goPackage, test bool, to string) string {
	from, below := floorOf(p.dir), floorOf(to)
	if below < 0 {
		return "imports " + to + ", which stands on no floor"
	}
	upper, lower := floors[from], floors[below]
	switch {
	case from == below && lower.apart && sibling(p.dir, lower.path) != sibling(to, lower.path):
		return fmt.Sprintf("%s and %s are strangers: neither imports the other", p.dir, to)
	case from == below:
		return ""
	case test && slices.Contains(lower.by, "tests"):
		return ""
	case below < from:
		return fmt.Sprintf("%s is below %s and may not import it", p.dir, to)
	case lower.by != nil && !slices.Contains(lower.by, upper.path):
		return fmt.Sprintf("%s may be imported by %s only", to, strings.Join(lower.by, ", "))
	}
	return ""
}

// sibling returns the folder right below root that dir is in.
func sibling(dir, root string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(dir, root), "/"), "/")
	return name
}

// checkImports compares each import from outside with the tables.
func checkImports(s *source) []finding {
	var found []finding
	for _, p := range s.packages {
		for _, f := range p.files {
			for _, spec := range f.syntax.Imports {
				name := importPath(spec.Path.Value)
				if _, ok := s.local(name); ok {
					continue
				}
				if name == "database/sql" && nullsOnly(f) {
					continue // the columns of a store that may be empty
				}
				if reason := stranger(p, f.test || p.testSupport(), name); reason != "" {
					found = append(found, finding{key: p.dir + ">" + name, at: f.at(spec.Pos()), text: reason})
				}
			}
		}
	}
	return found
}

// nullsOnly says whether a file uses nothing of database/sql but Null types.
func nullsOnly(f *goFile) bool {
	only := true
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		if selector, ok := n.(*ast.SelectorExpr); ok {
			x, ok := selector.X.(*ast.Ident)
			only = only && !(ok && x.Name == "sql" && !strings.HasPrefix(selector.Sel.Name, "Null"))
		}
		return only
	})
	return only
}

// stranger says why a package may not import name from outside the module, if so.
func stranger(p *goPackage, test bool, name string) string {
	first, _, _ := strings.Cut(name, "/")
	foreign := strings.Contains(first, ".")
	if within(p.dir, "internal/core") && !test {
		if foreign || name == "C" {
			return "the vocabulary imports the standard library alone, not " + name
		}
		if within(name, outside...) && !within(name, purely...) {
			return "the vocabulary does no input or output: not " + name
		}
	}
	for _, o := range owned {
		// A package of the standard library is meant alone, a module with all its packages.
		if name != o.path && !(foreign && within(name, o.path)) {
			continue
		}
		if within(p.dir, o.by...) || (test && slices.Contains(o.by, "tests")) {
			return ""
		}
		return fmt.Sprintf("%s is for %s only", name, strings.Join(o.by, ", "))
	}
	if foreign {
		return name + " is in no row of the table of dependencies in imports_test.go"
	}
	return ""
}

var (
	requireBlock = regexp.MustCompile(`(?ms)^require \(\n(.*?)^\)`)
	explained    = regexp.MustCompile("(?m)^\\| `([^`]+)` \\|")
	requireLine  = regexp.MustCompile(`(?m)^require ([^(\s]\S* \S+.*)$`)
)

// directRequires returns the modules that a go.mod requires without "indirect".
func directRequires(gomod string) []string {
	var lines, modules []string
	for _, block := range requireBlock.FindAllStringSubmatch(gomod, -1) {
		lines = append(lines, strings.Split(block[1], "\n")...)
	}
	for _, line := range requireLine.FindAllStringSubmatch(gomod, -1) {
		lines = append(lines, line[1])
	}
	for _, line := range lines {
		fields := strings.Fields(line)
		if len(fields) >= 2 && !strings.Contains(line, "// indirect") && !strings.HasPrefix(fields[0], "//") {
			modules = append(modules, fields[0])
		}
	}
	return modules
}

// checkDependencies looks every direct dependency up in the record of decisions.
func checkDependencies(s *source) []finding {
	const record = "docs/decisions/dependencies.md"
	var found []finding
	required := directRequires(s.files["go.mod"])
	for _, module := range required {
		named := regexp.MustCompile(`(^|[^\w./-])` + regexp.QuoteMeta(module) + `($|[^\w/-])`)
		if !named.MatchString(s.files[record]) {
			found = append(found, finding{key: module, at: record, text: module + " is not explained"})
		}
	}
	for _, row := range explained.FindAllStringSubmatch(s.files[record], -1) {
		if !slices.Contains(required, row[1]) {
			found = append(found, finding{key: row[1], at: record, text: row[1] + " is explained and not required"})
		}
	}
	return found
}

// importPath unquotes the path of an import.
func importPath(quoted string) string {
	name, err := strconv.Unquote(quoted)
	if err != nil {
		return quoted
	}
	return path.Clean(name)
}
