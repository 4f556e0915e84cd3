package archtest

import (
	"go/ast"
	"go/token"
	"go/types"
	"path"
	"reflect"
	"strconv"
	"strings"
)

var globalRules = []rule{
	{
		name: "globals", about: "package variables are registered statements, errors, compiled patterns, embedded files, pools and tables of constants, and nothing writes to them",
		check: checkGlobals,
		bad: []string{
			global("var count int"),
			global("var limit = 5"),
			global("var mu sync.Mutex"),
			global("var cache = make(map[string]int)"),
			global("var shared = &T{}"),
			global("var now = time.Now"),
			global("var hook = func() {}"),
			global("var shared = func() *T { return &T{} }()"),
			global("var client = http.Client{Transport: build()}"),
			global("var a, b = errors.New(`a`), new(int)"),
			global("var table = map[string]int{}\nfunc f() { table[`a`] = 1 }"),
			global("var table = []int{1}\nfunc f() { table = nil }"),
			global("var table = [...]T{{1}}\nfunc f() { table[0].n++ }"),
			global("var table = []int{1}\nfunc f() *[]int { return &table }"),
			global("var table = map[string]int{}\nfunc f() { delete(table, `a`) }"),
			global("var table = map[string]int{}\nfunc f() { func() { clear(table) }() }"),
			global("func f() { fault.Table[1] = 2 }"),
		},
		good: []string{
			global("var ErrGone = errors.New(`gone`)"),
			global("var E = fault.New(1)\nvar insert = storage.SQL(`a`, `b`)"),
			global("var pattern = regexp.MustCompile(`a`)"),
			global("//go:embed a.sql\nvar files embed.FS"),
			global("var pool = sync.Pool{New: func() any { return new(int) }}\nfunc f() { pool.Put(pool.Get()) }"),
			global("var table = map[string][]int{`a`: {1}}\nfunc f(table map[string]int) { table[`a`] = 1 }"),
			global("var table = [2]T{{1}, {2}}\nfunc f() T { table := table; table[0].n = 1; return table[1] }"),
			global("var _ fmt.Stringer = T{}"),
			global("var raw = []byte(`abc`)"),
			global("type Amount struct{ n int64; currency ID }\nvar zero = Amount{n: 0, currency: `USD`}\nvar one = ID(`x`)"),
			global("var table = func() map[string]int { return nil }()"),
			global("var read = sync.OnceValue(func() int { return 1 })"),
		},
	},
	{
		name: "json-tags", about: "only edges name the fields of JSON",
		check: checkTags,
		bad:   []string{"-- internal/ledger/a.go --\npackage ledger\ntype T struct { A int `json:\"a\"` }\n"},
		good: []string{
			"-- internal/api/gatepay/a.go --\npackage gatepay\ntype T struct { A int `json:\"a\"` }\n",
			"-- internal/platform/config/a.go --\npackage config\ntype T struct { A int `env:\"A\"` }\n",
		},
	},
}

// edges are the packages that speak to the outside.
var edges = []string{"internal/api", "internal/web", "internal/provider", "internal/bench", "internal/cli", "internal/server", "cmd", "sdk"}

// global is a fixture with a package whose variables matter.
func global(text string) string {
	return "-- internal/order/a.go --\npackage order\nimport (\n\"embed\"\n\"errors\"\n\"fmt\"\n\"net/http\"\n\"regexp\"\n\"sync\"\n\"time\"\n" +
		"\"example.test/scrip/internal/core/fault\"\n\"example.test/scrip/internal/platform/storage\"\n)\ntype T struct{ n int }\ntype ID string\n" + text +
		"\n-- internal/core/fault/a.go --\npackage fault\n-- internal/platform/storage/a.go --\npackage storage\n"
}

// makers are calls whose result does not change once it is made. A name that
// begins with Must is one too, as is any constructor of the packages in makerPackages.
var makers = map[string]bool{
	"errors.New": true, "fmt.Errorf": true, "strings.NewReplacer": true, "hash/crc32.MakeTable": true,
	"sync.OnceFunc": true, "sync.OnceValue": true, "sync.OnceValues": true, "reflect.TypeFor": true, "math/big.NewInt": true,
	"github.com/go-json-experiment/json.JoinOptions": true,
	"encoding/base32.NewEncoding":                    true, "encoding/base64.NewEncoding": true,
}

var makerPackages = []string{"internal/core/fault", "internal/platform/storage"}

func checkGlobals(s *source) []finding {
	var found []finding
	for _, p := range s.packages {
		if p.testSupport() {
			continue
		}
		for _, f := range p.code() {
			for _, decl := range f.syntax.Decls {
				general, ok := decl.(*ast.GenDecl)
				if !ok || general.Tok != token.VAR {
					continue
				}
				for _, spec := range general.Specs {
					found = append(found, variables(s, f, general, spec.(*ast.ValueSpec))...)
				}
			}
			found = append(found, writes(f)...)
		}
	}
	return found
}

// variables judges how the variables of one specification begin.
func variables(s *source, f *goFile, general *ast.GenDecl, spec *ast.ValueSpec) []finding {
	var found []finding
	embedded := embeds(general.Doc) || embeds(spec.Doc)
	for i, name := range spec.Names {
		constant := embedded || name.Name == "_"
		switch {
		case constant:
		case len(spec.Values) == 0:
			constant = spec.Type != nil && isPool(f.pkg, spec.Type)
		case i < len(spec.Values):
			constant = fixed(s, f.pkg, spec.Values[i])
		}
		if !constant {
			found = append(found, finding{key: f.pkg.dir + "." + name.Name, at: f.at(name.Pos()), text: "variable " + name.Name + " of the package can change, or its value might"})
		}
	}
	return found
}

func embeds(doc *ast.CommentGroup) bool {
	if doc == nil {
		return false
	}
	for _, line := range doc.List {
		if strings.HasPrefix(line.Text, "//go:embed ") {
			return true
		}
	}
	return false
}

// fixed says whether the value e stays as it is made.
func fixed(s *source, p *goPackage, e ast.Expr) bool {
	switch at := ast.Unparen(e).(type) {
	case *ast.CallExpr:
		return fixedCall(s, p, at)
	case *ast.CompositeLit:
		if isPool(p, at.Type) {
			return true
		}
		switch at.Type.(type) {
		case *ast.ArrayType, *ast.MapType:
			return true
		}
		if local, ok := at.Type.(*ast.Ident); ok {
			named, ok := p.info.Uses[local].(*types.TypeName)
			return ok && plain(named.Type())
		}
		return false
	case *ast.Ident:
		return strings.HasPrefix(strings.ToLower(at.Name), "err")
	case *ast.SelectorExpr:
		return strings.HasPrefix(at.Sel.Name, "Err")
	}
	return false
}

// fixedCall says whether a call makes something that does not change.
func fixedCall(s *source, p *goPackage, call *ast.CallExpr) bool {
	function := ast.Unparen(call.Fun)
	if index, ok := function.(*ast.IndexExpr); ok {
		function = index.X
	}
	switch at := function.(type) {
	case *ast.ArrayType:
		return true // []byte("…")
	case *ast.FuncLit:
		return tableOf(at) // func() map[string]int { … }()
	case *ast.Ident:
		_, conversion := p.info.Uses[at].(*types.TypeName)
		return conversion || strings.HasPrefix(strings.ToLower(at.Name), "must") || (at.IsExported() && within(p.dir, makerPackages...))
	case *ast.SelectorExpr:
		pkg, name, ok := p.imported(at)
		if !ok {
			return false
		}
		dir, _ := s.local(pkg)
		return makers[pkg+"."+name] || strings.HasPrefix(name, "Must") || within(dir, makerPackages...)
	}
	return false
}

// tableOf says whether a function makes one map, array or slice out of nothing.
func tableOf(f *ast.FuncLit) bool {
	if f.Type.Params.NumFields() != 0 || f.Type.Results.NumFields() != 1 {
		return false
	}
	switch f.Type.Results.List[0].Type.(type) {
	case *ast.MapType, *ast.ArrayType:
		return true
	}
	return false
}

// plain says whether a type of this package holds nothing that could change behind
// a table: no pointers, channels or types of other packages.
func plain(t types.Type) bool {
	switch under := t.Underlying().(type) {
	case *types.Struct:
		for field := range under.Fields() {
			if !plain(field.Type()) {
				return false
			}
		}
		return true
	case *types.Array:
		return plain(under.Elem())
	case *types.Slice:
		return plain(under.Elem())
	case *types.Map:
		return plain(under.Key()) && plain(under.Elem())
	case *types.Basic:
		return under.Kind() != types.Invalid && under.Kind() != types.UnsafePointer
	case *types.Signature:
		return true
	}
	return false
}

func isPool(p *goPackage, e ast.Expr) bool {
	if e == nil {
		return false
	}
	pkg, name, ok := p.imported(e)
	return ok && pkg+"."+name == "sync.Pool"
}

// writes finds what a file changes of package variables, its package's or others'.
func writes(f *goFile) []finding {
	var found []finding
	report := func(e ast.Expr) {
		name := ""
		if v := f.pkg.packageVar(e); v != nil {
			name = v.Name()
		} else if pkg, selected, ok := foreignRoot(f.pkg, e); ok {
			name = path.Base(pkg) + "." + selected
		}
		if name != "" {
			found = append(found, finding{key: f.pkg.dir + "." + name, at: f.at(e.Pos()), text: "writes to, or takes the address of, variable " + name + " of the package"})
		}
	}
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		switch at := n.(type) {
		case *ast.AssignStmt:
			if at.Tok != token.DEFINE {
				for _, left := range at.Lhs {
					report(left)
				}
			}
		case *ast.IncDecStmt:
			report(at.X)
		case *ast.RangeStmt:
			if at.Tok == token.ASSIGN {
				report(at.Key)
			}
		case *ast.UnaryExpr:
			if _, literal := at.X.(*ast.CompositeLit); at.Op == token.AND && !literal {
				report(at.X)
			}
		case *ast.CallExpr:
			if f.pkg.builtin(at.Fun, "delete", "clear", "copy") && len(at.Args) > 0 {
				report(at.Args[0])
			}
		}
		return true
	})
	return found
}

// foreignRoot returns the variable of another package at the root of e.
func foreignRoot(p *goPackage, e ast.Expr) (pkg, name string, ok bool) {
	for {
		if pkg, name, ok := p.imported(e); ok {
			return pkg, name, true
		}
		switch at := e.(type) {
		case *ast.ParenExpr:
			e = at.X
		case *ast.IndexExpr:
			e = at.X
		case *ast.SelectorExpr:
			e = at.X
		case *ast.StarExpr:
			e = at.X
		default:
			return "", "", false
		}
	}
}

func checkTags(s *source) []finding {
	var found []finding
	eachNode(s, func(f *goFile, n ast.Node) {
		field, ok := n.(*ast.Field)
		if !ok || field.Tag == nil || within(f.pkg.dir, edges...) {
			return
		}
		tag, err := strconv.Unquote(field.Tag.Value)
		if err != nil {
			return
		}
		if _, ok := reflect.StructTag(tag).Lookup("json"); ok {
			found = append(found, finding{key: f.path, at: f.at(field.Pos()), text: "names a field of JSON below the edges"})
		}
	})
	return found
}
