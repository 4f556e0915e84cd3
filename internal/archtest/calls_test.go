package archtest

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"slices"
	"strconv"
	"strings"
)

// ban is names of one imported package that may be used in few places.
type ban struct {
	pkg   string
	names []string
	in    []string // where they may be used all the same
	why   string
}

var clockBans = []ban{{
	pkg:   "time",
	names: []string{"Now", "Since", "Until", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick", "Sleep"},
	in:    []string{"internal/core/clock", "internal/bench", "cmd", "sdk"},
	why:   "ask a clock.Clock",
}}

var printBans = []ban{
	{pkg: "fmt", names: []string{"Print", "Printf", "Println"}, in: []string{"cmd"}, why: "write to the io.Writer that cmd hands in, or log"},
	{pkg: "os", names: []string{"Stdout", "Stderr", "Stdin"}, in: []string{"cmd"}, why: "take what cmd hands in"},
}

var exitBans = []ban{
	{pkg: "os", names: []string{"Exit"}, in: []string{"cmd"}, why: "return an error"},
	{pkg: "log", names: []string{"Fatal", "Fatalf", "Fatalln", "Panic", "Panicf", "Panicln"}, in: []string{"cmd"}, why: "return an error"},
	{pkg: "runtime", names: []string{"Goexit"}, why: "return"},
}

var httpBans = []ban{{
	pkg: "net/http",
	names: []string{"DefaultClient", "DefaultTransport", "DefaultServeMux", "Get", "Head", "Post", "PostForm",
		"Handle", "HandleFunc", "ListenAndServe", "ListenAndServeTLS", "Serve", "ServeTLS"},
	why: "build a client or server that has limits",
}}

var plainBans = []ban{{
	pkg: "unicode", names: []string{"IsControl", "IsPrint", "IsGraphic"}, in: []string{"internal/core/plain"}, why: "ask core/plain",
}}

var contextBans = []ban{{
	pkg: "context", names: []string{"Background", "TO" + "DO"}, in: []string{"cmd", "internal/server"}, why: "pass the caller's context on",
}}

var callRules = []rule{
	{
		name: "clock", about: "only the clock reads the time or waits for it",
		check: func(s *source) []finding { return checkBans(s, clockBans) },
		bad: []string{
			"-- internal/ledger/a.go --\npackage ledger\nimport \"time\"\nvar _ = time.Now()\n",
			"-- internal/ledger/a.go --\npackage ledger\nimport t \"time\"\nfunc f() { now := t.Now; _ = now }\n",
			"-- internal/platform/job/a.go --\npackage job\nimport \"time\"\nfunc f() { time.Sleep(1) }\n",
		},
		good: []string{
			"-- internal/ledger/a.go --\npackage ledger\nimport \"time\"\nfunc f(time clock) { time.Now() }\nfunc g() time.Duration { return time.Second }\n",
			"-- internal/core/clock/a.go --\npackage clock\nimport \"time\"\nfunc f() { time.Now() }\n",
			"-- internal/ledger/a_test.go --\npackage ledger\nimport \"time\"\nfunc f() { time.Now() }\n",
			"-- internal/testkit/a.go --\npackage testkit\nimport \"time\"\nfunc f() { time.Now() }\n",
		},
	},
	{
		name: "print", about: "only cmd writes to the terminal",
		check: func(s *source) []finding { return checkBans(s, printBans) },
		bad: []string{
			"-- internal/ledger/a.go --\npackage ledger\nimport \"fmt\"\nfunc f() { fmt.Println() }\n",
			"-- internal/ledger/a.go --\npackage ledger\nfunc f() { println() }\n",
		},
		good: []string{
			"-- internal/ledger/a.go --\npackage ledger\nimport \"fmt\"\nfunc f(w io.Writer) { fmt.Fprintln(w) }\n",
			"-- cmd/scrip/a.go --\npackage main\nimport \"fmt\"\nfunc f() { fmt.Println() }\n",
		},
	},
	{
		name: "exit", about: "only cmd ends the program",
		check: func(s *source) []finding { return checkBans(s, exitBans) },
		bad: []string{
			"-- internal/server/a.go --\npackage server\nimport \"os\"\nfunc f() { os.Exit(1) }\n",
			"-- internal/server/a.go --\npackage server\nimport \"log\"\nfunc f() { log.Fatalf(``) }\n",
		},
		good: []string{"-- cmd/scrip/a.go --\npackage main\nimport \"os\"\nfunc f() { os.Exit(1) }\n"},
	},
	{
		name: "http", about: "every HTTP client and server has limits of its own",
		check: func(s *source) []finding { return checkBans(s, httpBans) },
		bad: []string{
			"-- internal/webhook/a.go --\npackage webhook\nimport \"net/http\"\nfunc f() { http.DefaultClient.Do(nil) }\n",
			"-- internal/webhook/a.go --\npackage webhook\nimport \"net/http\"\nfunc f() { http.Get(``) }\n",
		},
		good: []string{"-- internal/webhook/a.go --\npackage webhook\nimport \"net/http\"\nfunc f(c *http.Client) { c.Get(``) }\n"},
	},
	{
		name: "context", about: "contexts come from the caller",
		check: func(s *source) []finding { return checkBans(s, contextBans) },
		bad: []string{
			"-- internal/ledger/a.go --\npackage ledger\nimport \"context\"\nfunc f() { context.Background() }\n",
			"-- internal/ledger/a.go --\npackage ledger\nimport \"context\"\nfunc f() { context.TO~DO() }\n",
		},
		good: []string{
			"-- internal/ledger/a.go --\npackage ledger\nimport \"context\"\nfunc f(ctx context.Context) { context.WithoutCancel(ctx) }\n",
			"-- internal/server/a.go --\npackage server\nimport \"context\"\nfunc f() { context.Background() }\n",
		},
	},
	{
		name: "plain", about: "one package says what plain text is",
		check: func(s *source) []finding { return checkBans(s, plainBans) },
		bad:   []string{"-- internal/order/a.go --\npackage order\nimport \"unicode\"\nfunc f() { unicode.IsControl('a') }\n"},
		good: []string{
			"-- internal/order/a.go --\npackage order\nimport \"unicode\"\nfunc f() { unicode.IsLetter('a') }\n",
			"-- internal/core/plain/a.go --\npackage plain\nimport \"unicode\"\nfunc f() { unicode.IsControl('a') }\n",
		},
	},
	{
		name: "panic", about: "only a Must function panics",
		check: checkPanics,
		bad: []string{
			"-- internal/ledger/a.go --\npackage ledger\nfunc f() { panic(1) }\n",
			"-- internal/ledger/a.go --\npackage ledger\nvar f = func() { panic(1) }\n",
		},
		good: []string{
			"-- internal/ledger/a.go --\npackage ledger\nfunc MustParse() { panic(1) }\nfunc mustParse() { panic(1) }\n",
			"-- internal/ledger/a.go --\npackage ledger\nfunc f(panic func(int)) { panic(1) }\n",
		},
	},
	{
		name: "init", about: "nothing happens before main",
		check: checkInit,
		bad:   []string{"-- internal/ledger/a.go --\npackage ledger\nfunc init() {}\n", "-- internal/ledger/a_test.go --\npackage ledger\nfunc init() {}\n"},
		good:  []string{"-- internal/ledger/a.go --\npackage ledger\ntype t struct{}\nfunc (t) init() {}\n"},
	},
	{
		name: "skip", about: "a test that skips says why",
		check: checkSkips,
		bad: []string{
			"-- internal/ledger/a_test.go --\npackage ledger\nfunc TestA(t *testing.T) { t.Skip() }\n",
			"-- internal/ledger/a_test.go --\npackage ledger\nfunc TestA(t *testing.T) { t.SkipNow() }\n",
			"-- internal/ledger/a_test.go --\npackage ledger\nfunc TestA(t *testing.T) { t.Skip(\"\") }\n",
		},
		good: []string{"-- internal/ledger/a_test.go --\npackage ledger\nfunc TestA(t *testing.T) { t.Skip(\"SCRIP_TEST_POSTGRES is not set\") }\n"},
	},
	{
		name: "sleep", about: "a test waits for a signal and does not sleep",
		check: checkSleeps,
		bad:   []string{"-- internal/ledger/a_test.go --\npackage ledger\nimport \"time\"\nfunc TestA(t *testing.T) { time.Sleep(time.Second) }\n"},
		good:  []string{"-- internal/ledger/a_test.go --\npackage ledger\nfunc TestA(t *testing.T) { <-time.After(timeout) }\n"},
	},
	{
		name: "error-text", about: "an error's text is lower case, says what was being done and not that it failed",
		check: checkErrorTexts,
		bad: []string{
			"-- internal/ledger/a.go --\npackage ledger\nimport \"errors\"\nvar E = errors.New(\"Hold is gone\")\n",
			"-- internal/ledger/a.go --\npackage ledger\nimport \"fmt\"\nvar E = fmt.Errorf(\"failed to capture: %w\", err)\n",
			"-- internal/ledger/a.go --\npackage ledger\nimport \"errors\"\nvar E = errors.New(\"hold is gone.\")\n",
		},
		good: []string{
			"-- internal/ledger/a.go --\npackage ledger\nimport \"errors\"\nvar E = errors.New(\"capture hold: gone\")\nvar F = errors.New(\"PAN too short\")\nvar G = errors.New(\"PostgreSQL is away\")\n",
		},
	},
}

var moneyRules = []rule{{
	name: "float", about: "money is never a floating-point number",
	check: checkFloats,
	bad: []string{
		"-- internal/ledger/a.go --\npackage ledger\nvar x float64\n",
		"-- internal/core/money/a.go --\npackage money\nfunc f(x float32) {}\n",
		"-- internal/giftcard/a.go --\npackage giftcard\nconst rate = 0.5\n",
		"-- internal/account/a.go --\npackage account\nimport \"strconv\"\nvar x, _ = strconv.ParseFloat(`1`, 64)\n",
	},
	good: []string{
		"-- internal/ledger/a.go --\npackage ledger\nconst million = 1e6\nvar x = struct{ float64 int }{}\n",
		"-- internal/fraud/a.go --\npackage fraud\nvar score float64\n",
	},
}}

// moneyPackages hold or compute amounts.
var moneyPackages = []string{
	"internal/core/money", "internal/ledger", "internal/account", "internal/giftcard",
	"internal/catalog", "internal/order", "internal/issuing", "internal/wallet", "internal/cashout",
}

// checkBans finds uses of banned names in code; tests and their support are free.
func checkBans(s *source, bans []ban) []finding {
	var found []finding
	eachNode(s, func(f *goFile, n ast.Node) {
		if call, ok := n.(*ast.CallExpr); ok && f.pkg.builtin(call.Fun, "print", "println") && bans[0].pkg == "fmt" {
			found = append(found, finding{key: f.path + ":println", at: f.at(n.Pos()), text: "prints: " + bans[0].why})
		}
		selector, ok := n.(*ast.SelectorExpr)
		if !ok {
			return
		}
		pkg, name, ok := f.pkg.imported(selector)
		if !ok {
			return
		}
		for _, b := range bans {
			if b.pkg == pkg && slices.Contains(b.names, name) && !within(f.pkg.dir, b.in...) {
				found = append(found, finding{key: f.path + ":" + pkg + "." + name, at: f.at(n.Pos()), text: pkg + "." + name + ": " + b.why})
			}
		}
	})
	return found
}

func checkPanics(s *source) []finding {
	var found []finding
	for _, p := range s.packages {
		if p.testSupport() {
			continue
		}
		for _, f := range p.code() {
			for _, decl := range f.syntax.Decls {
				key := f.path
				if function, ok := decl.(*ast.FuncDecl); ok {
					if strings.HasPrefix(strings.ToLower(function.Name.Name), "must") {
						continue
					}
					key = p.funcName(function)
				}
				ast.Inspect(decl, func(n ast.Node) bool {
					if call, ok := n.(*ast.CallExpr); ok && p.builtin(call.Fun, "panic") {
						found = append(found, finding{key: key, at: f.at(n.Pos()), text: "panics: return an error"})
					}
					return true
				})
			}
		}
	}
	return found
}

func checkInit(s *source) []finding {
	var found []finding
	for _, p := range s.packages {
		for _, f := range p.files {
			for _, decl := range f.syntax.Decls {
				if function, ok := decl.(*ast.FuncDecl); ok && function.Recv == nil && function.Name.Name == "init" {
					found = append(found, finding{key: f.path, at: f.at(decl.Pos()), text: "has an init function"})
				}
			}
		}
	}
	return found
}

// testCall gives the method and arguments of a call on a test's t, b, f or tb.
func testCall(n ast.Node) (string, []ast.Expr) {
	call, ok := n.(*ast.CallExpr)
	if !ok {
		return "", nil
	}
	selector, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return "", nil
	}
	if x, ok := selector.X.(*ast.Ident); ok && slices.Contains([]string{"t", "b", "f", "tb"}, x.Name) {
		return selector.Sel.Name, call.Args
	}
	return "", nil
}

func checkSkips(s *source) []finding {
	var found []finding
	for _, p := range s.packages {
		for _, f := range p.files {
			ast.Inspect(f.syntax, func(n ast.Node) bool {
				method, args := testCall(n)
				silent := method == "SkipNow" || method == "Skip" && (len(args) == 0 || isEmptyString(args[0]))
				if silent {
					found = append(found, finding{key: f.path, at: f.at(n.Pos()), text: "skips without a reason"})
				}
				return true
			})
		}
	}
	return found
}

func isEmptyString(e ast.Expr) bool {
	literal, ok := e.(*ast.BasicLit)
	return ok && (literal.Value == `""` || literal.Value == "``")
}

// checkSleeps looks in tests, whose imports are not resolved, so a local called
// time would count too.
func checkSleeps(s *source) []finding {
	var found []finding
	for _, p := range s.packages {
		for _, f := range p.files {
			if !f.test && !p.testSupport() {
				continue
			}
			ast.Inspect(f.syntax, func(n ast.Node) bool {
				if selector, ok := n.(*ast.SelectorExpr); ok && selector.Sel.Name == "Sleep" {
					if x, ok := selector.X.(*ast.Ident); ok && x.Name == "time" {
						found = append(found, finding{key: f.path, at: f.at(n.Pos()), text: "sleeps"})
					}
				}
				return true
			})
		}
	}
	return found
}

func checkErrorTexts(s *source) []finding {
	var found []finding
	eachNode(s, func(f *goFile, n ast.Node) {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) == 0 {
			return
		}
		pkg, name, _ := f.pkg.imported(call.Fun)
		if pkg+"."+name != "errors.New" && pkg+"."+name != "fmt.Errorf" {
			return
		}
		literal, ok := call.Args[0].(*ast.BasicLit)
		if !ok || literal.Kind != token.STRING {
			return
		}
		text, _ := strconv.Unquote(literal.Value)
		if reason := badErrorText(text); reason != "" {
			found = append(found, finding{key: f.path + ":" + slug(text), at: f.at(n.Pos()), text: fmt.Sprintf("error text %q %s", text, reason)})
		}
	})
	return found
}

func badErrorText(text string) string {
	first, _, _ := strings.Cut(text, " ")
	rest := strings.TrimPrefix(first, first[:min(1, len(first))])
	switch {
	case strings.Contains(text, "fai"+"led to"):
		return "says that it failed, which the error says itself"
	case strings.HasSuffix(text, ".") || strings.HasSuffix(text, "\n"):
		return "ends like a sentence"
	// A name such as PAN or PostgreSQL has another capital further on.
	case first != "" && first[0] >= 'A' && first[0] <= 'Z' && rest == strings.ToLower(rest) && rest != "":
		return "begins with a capital"
	}
	return ""
}

func checkFloats(s *source) []finding {
	var found []finding
	eachNode(s, func(f *goFile, n ast.Node) {
		if !within(f.pkg.dir, moneyPackages...) {
			return
		}
		what := ""
		switch at := n.(type) {
		case *ast.Ident:
			if f.pkg.info.Uses[at] != nil && slices.Contains([]string{"float32", "float64", "complex64", "complex128"}, at.Name) &&
				f.pkg.info.Uses[at] == types.Universe.Lookup(at.Name) {
				what = at.Name
			}
		case *ast.BasicLit:
			if at.Kind == token.FLOAT && constant.ToInt(constant.MakeFromLiteral(at.Value, at.Kind, 0)).Kind() != constant.Int {
				what = at.Value
			}
		case *ast.SelectorExpr:
			pkg, name, _ := f.pkg.imported(at)
			if pkg == "strconv" && strings.HasSuffix(name, "Float") || pkg == "math/big" && strings.Contains(name, "Float") {
				what = pkg + "." + name
			}
		}
		if what != "" {
			found = append(found, finding{key: f.path + ":" + what, at: f.at(n.Pos()), text: what + " where money is"})
		}
	})
	return found
}

// eachNode visits the syntax of code that is neither generated nor a test or
// there for tests.
func eachNode(s *source, visit func(*goFile, ast.Node)) {
	for _, p := range s.packages {
		if p.testSupport() {
			continue
		}
		for _, f := range p.code() {
			ast.Inspect(f.syntax, func(n ast.Node) bool {
				if n != nil {
					visit(f, n)
				}
				return true
			})
		}
	}
}
