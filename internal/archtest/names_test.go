package archtest

import (
	"go/ast"
	"go/token"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const (
	ledgerRecord = "docs/ledger.md"
	eventRecord  = "docs/events.md"
)

var nameRules = []rule{
	{
		name: "ledger-names", about: "docs/ledger.md names every kind of transaction, account and key that the products give the ledger, and nothing else",
		check: checkLedgerNames,
		bad: []string{
			product("const kindSpend = `order.spend`"),
			product("var op = ledger.Operation{Kind: `bonus.give`}"),
			product("func f(op ledger.Operation) { op.Kind = `order.spend` }"),
			product("func f() { g(`order.spend`) }"),
			product("const bank = `order.bank/`"),
			"-- internal/ledger/a.go --\npackage ledger\nvar op = Operation{Kind: `hold.expire`}\n",
			"-- docs/ledger.md --\n| `order.spend` | a card pays |\n",
		},
		good: []string{
			product("const kindSpend = `order.spend`\nvar op = ledger.Operation{Kind: kindSpend, Key: kindSpend + `/1`}") + "-- docs/ledger.md --\n| `order.spend` | a card pays |\n",
			"-- internal/issuing/a.go --\npackage issuing\nimport \"example.test/scrip/internal/ledger\"\nconst settled = `card.settlement/`\n-- internal/ledger/a.go --\npackage ledger\n" +
				"-- docs/ledger.md --\n| `card.settlement/USD` | owed to networks |\n",
			product("const bank = `order.bank/`") + "-- docs/ledger.md --\nThe other side is `order.bank/USD`.\n",
			product("const purposeCode = `order.code`\nconst eventSpent = `order.spent`\nvar find = storage.SQL(`order.find`, `SELECT 1`)") + "-- docs/events.md --\n`order.spent`\n",
			"-- internal/order/a.go --\npackage order\nvar find = g(`order.find`)\n",
			product("var x = g(`order.find the rest`, `other.name`, `1.5`)"),
		},
	},
	{
		name: "event-names", about: "docs/events.md names every type of event that is made, and nothing else",
		check: checkEventNames,
		bad: []string{
			event("var e = webhook.Event{Type: `order.placed`}"),
			event("const eventPlaced = `order.placed`\nvar e = webhook.Event{Type: eventPlaced}"),
			event("const kindSpend = `order.spend`\nfunc f(o ledger.Outcome) any { return webhook.Event{Type: o.Kind} }"),
			event("const eventPlaced = `order.placed`"),
			"-- internal/webhook/a.go --\npackage webhook\nconst TypeTest = `webhook.test`\nvar e = Event{Type: TypeTest}\n",
			"-- docs/events.md --\n| `order.placed` | an order was placed |\n",
		},
		good: []string{
			event("const eventPlaced = `order.placed`\nvar e = webhook.Event{Type: eventPlaced}") + "-- docs/events.md --\n| `order.placed` | an order was placed |\n",
			event("const kindSpend = `order.spend`\nfunc f(o ledger.Outcome) any { return webhook.Event{Type: o.Kind} }") + "-- docs/events.md --\nOne of `order.spend` and others.\n",
			event("const kindSpend = `order.spend`\nvar e = webhook.Event{ID: `x`}"),
			event("var e = other{Type: `order.placed`}"),
		},
	},
}

// products are the packages that have accounts in the books.
var products = []string{"internal/giftcard", "internal/ping", "internal/fraud", "internal/catalog", "internal/order", "internal/issuing", "internal/wallet", "internal/cashout"}

// product is a fixture with a product that uses the ledger.
func product(text string) string {
	return "-- internal/order/a.go --\npackage order\nimport (\n\"example.test/scrip/internal/ledger\"\n\"example.test/scrip/internal/platform/storage\"\n)\n" + text +
		"\n-- internal/ledger/a.go --\npackage ledger\n-- internal/platform/storage/a.go --\npackage storage\n"
}

// event is a fixture with a product that makes events.
func event(text string) string {
	return "-- internal/order/a.go --\npackage order\nimport (\n\"example.test/scrip/internal/ledger\"\n\"example.test/scrip/internal/webhook\"\n)\n" + text +
		"\n-- internal/ledger/a.go --\npackage ledger\n-- internal/webhook/a.go --\npackage webhook\n"
}

// used is where names are used: name → path:line.
type used map[string]string

var dottedName = regexp.MustCompile(`^[a-z]+\.[a-z_]+$`)

func (u used) add(f *goFile, at token.Pos, name string) {
	if name = strings.TrimSuffix(name, "/"); dottedName.MatchString(name) && u[name] == "" {
		u[name] = f.at(at)
	}
}

// checkLedgerNames looks at each kind of an Operation, wherever it is made, and at
// every dotted name of a product that is neither a statement's, a purpose nor an event.
func checkLedgerNames(s *source) []finding {
	names := used{}
	for _, p := range s.packages {
		if p.testSupport() || within(p.dir, "internal/bench") {
			continue
		}
		owned := within(p.dir, products...) && p.imports(s, "internal/ledger")
		for _, f := range p.code() {
			if owned {
				f.productNames(s, names)
			}
			f.kinds(s, names)
		}
	}
	return compareRecord(s, ledgerRecord, names)
}

// ownWords are how packages call what is theirs in the books, where that is not their own name.
var ownWords = map[string]string{"issuing": "card"}

// productNames collects the literals that begin with the package's own name, or word.
func (f *goFile) productNames(s *source, names used) {
	own := f.pkg.name
	if word, ok := ownWords[own]; ok {
		own = word
	}
	for _, decl := range f.syntax.Decls {
		ast.Inspect(decl, func(n ast.Node) bool {
			switch at := n.(type) {
			case *ast.CallExpr:
				pkg, _, _ := f.pkg.imported(at.Fun)
				dir, _ := s.local(pkg)
				return dir != "internal/platform/storage"
			case *ast.ValueSpec:
				return !hasPrefix(at.Names[0].Name, "purpose", "event")
			case *ast.BasicLit:
				if name := literal(at); strings.HasPrefix(name, own+".") {
					names.add(f, at.Pos(), name)
				}
			}
			return true
		})
	}
}

// kinds collects the kinds that are given to operations as they are made or later.
func (f *goFile) kinds(s *source, names used) {
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		switch at := n.(type) {
		case *ast.CompositeLit:
			if f.isType(s, at.Type, "internal/ledger", "Operation") {
				for _, kind := range f.pkg.texts(memberOf(at, "Kind")) {
					names.add(f, at.Pos(), kind)
				}
			}
		case *ast.AssignStmt:
			for i, left := range at.Lhs {
				if selector, ok := left.(*ast.SelectorExpr); ok && selector.Sel.Name == "Kind" && i < len(at.Rhs) && f.pkg.knows(s, "internal/ledger") {
					for _, kind := range f.pkg.texts(at.Rhs[i]) {
						names.add(f, at.Pos(), kind)
					}
				}
			}
		}
		return true
	})
}

// checkEventNames looks at each Event that is made and at each constant that is
// called after an event.
func checkEventNames(s *source) []finding {
	names := used{}
	for _, p := range s.packages {
		if p.testSupport() || !p.knows(s, "internal/webhook") {
			continue
		}
		for _, f := range p.code() {
			ast.Inspect(f.syntax, func(n ast.Node) bool {
				switch at := n.(type) {
				case *ast.CompositeLit:
					if f.isType(s, at.Type, "internal/webhook", "Event") {
						for _, name := range p.texts(memberOf(at, "Type")) {
							names.add(f, at.Pos(), name)
						}
					}
				case *ast.ValueSpec:
					for i, name := range at.Names {
						if hasPrefix(name.Name, "event") && i < len(at.Values) {
							names.add(f, at.Pos(), literal(at.Values[i]))
						}
					}
				}
				return true
			})
		}
	}
	return compareRecord(s, eventRecord, names)
}

var recorded = regexp.MustCompile("(?m)^\\| `([a-z]+\\.[a-z_]+)(?:/[^`]*)?`")

// compareRecord finds names that a document lacks, and rows of its tables that name nothing.
func compareRecord(s *source, record string, names used) []finding {
	var found []finding
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if !strings.Contains(s.files[record], "`"+name+"`") && !strings.Contains(s.files[record], "`"+name+"/") {
			found = append(found, finding{key: name, at: names[name], text: record + " does not name `" + name + "`"})
		}
	}
	for _, row := range recorded.FindAllStringSubmatch(s.files[record], -1) {
		if names[row[1]] == "" {
			found = append(found, finding{key: row[1], at: record, text: "names `" + row[1] + "`, which nothing uses"})
		}
	}
	return found
}

// imports says whether the package's code imports the directory of this module.
func (p *goPackage) imports(s *source, dir string) bool {
	for _, f := range p.code() {
		for _, spec := range f.syntax.Imports {
			if to, ok := s.local(importPath(spec.Path.Value)); ok && to == dir {
				return true
			}
		}
	}
	return false
}

// knows says whether the package is dir or imports it.
func (p *goPackage) knows(s *source, dir string) bool { return p.dir == dir || p.imports(s, dir) }

// isType says whether e names a type of the directory of this module.
func (f *goFile) isType(s *source, e ast.Expr, dir, name string) bool {
	if local, ok := e.(*ast.Ident); ok {
		return f.pkg.dir == dir && local.Name == name
	}
	if e == nil {
		return false
	}
	pkg, selected, _ := f.pkg.imported(e)
	to, ok := s.local(pkg)
	return ok && to == dir && selected == name
}

// memberOf returns the value of a member in a composite literal, nil without one.
func memberOf(c *ast.CompositeLit, name string) ast.Expr {
	for _, element := range c.Elts {
		pair, ok := element.(*ast.KeyValueExpr)
		if !ok {
			continue
		}
		if key, ok := pair.Key.(*ast.Ident); ok && key.Name == name {
			return pair.Value
		}
	}
	return nil
}

// texts returns what e may be: a literal, a constant of the package or, where it is
// the kind of something else, every constant of the package that is called kind….
func (p *goPackage) texts(e ast.Expr) []string {
	switch at := e.(type) {
	case *ast.BasicLit:
		return []string{literal(at)}
	case *ast.Ident:
		return p.constants(func(name string) bool { return name == at.Name })
	case *ast.SelectorExpr:
		if at.Sel.Name == "Kind" {
			return p.constants(func(name string) bool { return hasPrefix(name, "kind") })
		}
	}
	return nil
}

// constants returns the values of the package's constants with such names.
func (p *goPackage) constants(wanted func(name string) bool) []string {
	var values []string
	for _, f := range p.code() {
		for _, decl := range f.syntax.Decls {
			general, ok := decl.(*ast.GenDecl)
			if !ok || general.Tok != token.CONST {
				continue
			}
			for _, spec := range general.Specs {
				value := spec.(*ast.ValueSpec)
				for i, name := range value.Names {
					if wanted(name.Name) && i < len(value.Values) {
						values = append(values, literal(value.Values[i]))
					}
				}
			}
		}
	}
	return values
}

// literal returns the text of a string literal, empty for anything else.
func literal(e ast.Expr) string {
	at, ok := e.(*ast.BasicLit)
	if !ok || at.Kind != token.STRING {
		return ""
	}
	text, err := strconv.Unquote(at.Value)
	if err != nil {
		return ""
	}
	return text
}

func hasPrefix(name string, prefixes ...string) bool {
	return slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}
