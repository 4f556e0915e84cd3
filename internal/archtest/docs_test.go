package archtest

import (
	"go/ast"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strings"
)

var docRules = []rule{
	{
		name: "package-comment", about: "every package has one comment, which begins with its name and has at most 15 lines",
		check: checkPackageComments,
		bad: []string{
			"-- internal/order/a.go --\npackage order\n",
			"-- internal/order/a.go --\n// It orders.\npackage order\n",
			"-- internal/order/a.go --\n// Package ordering orders.\npackage order\n",
			"-- internal/order/a.go --\n// Package order orders.\n" + strings.Repeat("// More.\n", maxCommentLines) + "package order\n",
			"-- internal/order/a.go --\n// Package order orders.\npackage order\n-- internal/order/b.go --\n// Package order orders.\npackage order\n",
		},
		good: []string{
			"-- internal/order/a.go --\n// Package order orders.\npackage order\n-- internal/order/b.go --\npackage order\n",
			"-- internal/order/a_test.go --\npackage order_test\n",
			"-- cmd/scrip/main.go --\n// Scrip is a card platform.\npackage main\n",
		},
	},
	{
		name: "package-name", about: "a package is called what its folder is, by a singular noun that says what it holds",
		check: checkPackageNames,
		bad: []string{
			"-- internal/util/a.go --\npackage util\n",
			"-- internal/orders/a.go --\npackage orders\n",
			"-- internal/order/a.go --\npackage purchase\n",
			"-- internal/giftCard/a.go --\npackage giftCard\n",
			"-- internal/a_b/a.go --\npackage a_b\n",
		},
		good: []string{
			"-- internal/order/a.go --\npackage order\n-- internal/api/cardcoins/a.go --\npackage cardcoins\n-- internal/class/a.go --\npackage class\n",
			"-- cmd/scrip/a.go --\npackage main\n-- sdk/go/a.go --\npackage scrip\n-- internal/provider/s3/a.go --\npackage s3\n",
		},
	},
	{
		name: "doc", about: "what is exported has a comment that begins with its name", ratchet: true,
		check: checkDocs,
		bad: []string{
			"-- internal/order/a.go --\npackage order\nfunc Place() {}\n",
			"-- internal/order/a.go --\npackage order\n// Puts an order.\nfunc Place() {}\n",
			"-- internal/order/a.go --\npackage order\ntype T struct{}\n",
			"-- internal/order/a.go --\npackage order\n// T is one.\ntype T struct{}\nfunc (t *T) Place() {}\n",
			"-- internal/order/a.go --\npackage order\nconst (\n\tA = 1\n)\n",
			"-- internal/order/a.go --\npackage order\nvar ErrGone = 1\n",
			"-- internal/order/a.go --\npackage order\n// Placed is when.\nfunc Place() {}\n",
		},
		good: []string{
			"-- internal/order/a.go --\npackage order\n// Place puts an order.\nfunc Place() {}\nfunc place() {}\ntype t struct{}\nfunc (t) Place() {}\n",
			"-- internal/order/a.go --\npackage order\n// The states.\nconst (\n\tA = 1\n\tB = 2\n)\nvar (\n\tC = 1 // as said\n\t// D is.\n\tD = 2\n)\n",
			"-- internal/order/a.go --\npackage order\n// T is one.\ntype T struct{}\nfunc (t T) String() string { return `` }\n",
			"-- cmd/scrip/a.go --\npackage main\nfunc Run() {}\n",
		},
	},
	{
		name: "proof", about: "a test's first line says what it proves", ratchet: true,
		check: checkProofs,
		bad: []string{
			"-- internal/order/a_test.go --\npackage order\nfunc TestPlace(t *testing.T) {\n\tf()\n}\n",
			"-- internal/order/a_test.go --\npackage order\nfunc FuzzPlace(f *testing.F) {\n\tf.Add(1)\n\t// late\n}\n",
		},
		good: []string{
			"-- internal/order/a_test.go --\npackage order\n// TestPlace proves that.\nfunc TestPlace(t *testing.T) {}\nfunc TestMain(m *testing.M) {}\nfunc helper(t *testing.T) {}\n",
			"-- internal/order/a_test.go --\npackage order\nfunc TestPlace(t *testing.T) {\n\t// Proves that.\n\tf()\n}\n",
		},
	},
}

// vagueNames say nothing about what a package holds.
var vagueNames = []string{"util", "utils", "utility", "common", "helper", "helpers", "model", "models", "type", "types", "base", "misc", "shared", "lib", "tools"}

// pluralNames are names that end in s and are no plural of ours.
var pluralNames = []string{"cardcoins", "docs", "rates", "sms", "dns", "tls", "https"}

// standardMethods implement interfaces that every reader knows.
var standardMethods = []string{
	"String", "GoString", "Format", "Error", "Unwrap", "Is", "As", "Len", "Less", "Swap", "Push", "Pop", "LogValue", "Value", "Scan",
	"MarshalText", "UnmarshalText", "MarshalJSON", "UnmarshalJSON", "MarshalBinary", "UnmarshalBinary", "AppendText",
	"ServeHTTP", "RoundTrip", "Read", "Write", "Close", "WriteHeader", "Header",
}

func checkPackageComments(s *source) []finding {
	var found []finding
	for _, p := range s.packages {
		code := p.code()
		if len(code) == 0 {
			continue
		}
		comments := 0
		for _, f := range code {
			if f.syntax.Doc == nil {
				continue
			}
			comments++
			if reason := badPackageComment(p, f.syntax.Doc.Text()); reason != "" {
				found = append(found, finding{key: p.dir, at: f.at(f.syntax.Doc.Pos()), text: "the package comment " + reason})
			}
		}
		if comments != 1 {
			found = append(found, finding{key: p.dir, at: p.dir, text: itoa(comments) + " files have a package comment"})
		}
	}
	return found
}

func badPackageComment(p *goPackage, text string) string {
	begins := strings.HasPrefix(text, "Package "+p.name+" ")
	if p.name == "main" {
		command := path.Base(p.dir)
		begins = strings.HasPrefix(text, "Command "+command+" ") || strings.HasPrefix(strings.ToLower(text), command+" ")
	}
	switch {
	case !begins:
		return "does not begin with the package's name"
	case strings.Count(text, "\n") > maxCommentLines:
		return "has more than 15 lines"
	}
	return ""
}

func checkPackageNames(s *source) []finding {
	var found []finding
	plain := regexp.MustCompile(`^[a-z][a-z0-9]*$`)
	for _, p := range s.packages {
		reason := ""
		singular := !strings.HasSuffix(p.name, "s") || strings.HasSuffix(p.name, "ss") || strings.HasSuffix(p.name, "us") || strings.HasSuffix(p.name, "is")
		switch {
		case p.name == "main" || within(p.dir, "sdk"):
		case slices.Contains(vagueNames, p.name):
			reason = "says nothing"
		case !plain.MatchString(p.name):
			reason = "is not one lower-case word"
		case !singular && !slices.Contains(pluralNames, p.name):
			reason = "is a plural"
		case p.name != path.Base(p.dir) && p.dir != ".":
			reason = "is not its folder's name"
		}
		if reason != "" {
			found = append(found, finding{key: p.dir, at: p.dir, text: "the name " + p.name + " " + reason})
		}
	}
	return found
}

func checkDocs(s *source) []finding {
	var found []finding
	for _, p := range s.packages {
		if p.name == "main" {
			continue
		}
		for _, f := range p.code() {
			for _, decl := range f.syntax.Decls {
				for _, name := range undocumented(decl) {
					found = append(found, finding{key: p.dir + "." + name, figure: 1, at: f.at(decl.Pos()), text: name + " has no comment that begins with its name"})
				}
			}
		}
	}
	return found
}

// undocumented returns the exported names that decl leaves without a comment.
func undocumented(decl ast.Decl) []string {
	switch at := decl.(type) {
	case *ast.FuncDecl:
		receiver := receiverName(at)
		standard := receiver != "" && slices.Contains(standardMethods, at.Name.Name)
		if !at.Name.IsExported() || (receiver != "" && !ast.IsExported(receiver)) || (standard && at.Doc == nil) || begins(at.Doc, at.Name.Name) {
			return nil
		}
		return []string{strings.TrimPrefix(receiver+"."+at.Name.Name, ".")}
	case *ast.GenDecl:
		var names []string
		for _, spec := range at.Specs {
			names = append(names, undocumentedSpec(at, spec)...)
		}
		return names
	}
	return nil
}

func undocumentedSpec(decl *ast.GenDecl, spec ast.Spec) []string {
	switch at := spec.(type) {
	case *ast.TypeSpec:
		if at.Name.IsExported() && !begins(at.Doc, at.Name.Name) && !(at.Doc == nil && begins(decl.Doc, at.Name.Name)) {
			return []string{at.Name.Name}
		}
	case *ast.ValueSpec:
		// A group may be explained as one, or line by line.
		grouped := decl.Lparen != token.NoPos && (decl.Doc != nil || at.Comment != nil || at.Doc != nil)
		var names []string
		for _, name := range at.Names {
			if name.IsExported() && !grouped && !begins(decl.Doc, at.Names[0].Name) {
				names = append(names, name.Name)
			}
		}
		return names
	}
	return nil
}

// begins says whether a comment's first word is name.
func begins(doc *ast.CommentGroup, name string) bool {
	if doc == nil {
		return false
	}
	rest, ok := strings.CutPrefix(doc.Text(), name)
	return ok && rest != "" && !isWordByte(rest[0])
}

func isWordByte(b byte) bool {
	return b == '_' || b >= '0' && b <= '9' || b >= 'A' && b <= 'Z' || b >= 'a' && b <= 'z'
}

// checkProofs counts, by file, the tests that do not say what they prove.
func checkProofs(s *source) []finding {
	var found []finding
	for _, p := range s.packages {
		for _, f := range p.files {
			var silent []string
			for _, decl := range f.syntax.Decls {
				function, ok := decl.(*ast.FuncDecl)
				if ok && f.test && isTest(function) && function.Doc == nil && !opensWithComment(f, function.Body) {
					silent = append(silent, function.Name.Name)
				}
			}
			if len(silent) > 0 {
				found = append(found, finding{key: f.path, figure: len(silent), at: f.path, text: "without a word: " + strings.Join(silent, ", ")})
			}
		}
	}
	return found
}

// isTest says whether go test runs the function as a test or fuzz target.
func isTest(f *ast.FuncDecl) bool {
	name := f.Name.Name
	return f.Recv == nil && f.Body != nil && name != "TestMain" &&
		(strings.HasPrefix(name, "Test") || strings.HasPrefix(name, "Fuzz")) && f.Type.Params.NumFields() == 1
}

// opensWithComment says whether a comment comes before the first statement.
func opensWithComment(f *goFile, body *ast.BlockStmt) bool {
	end := body.Rbrace
	if len(body.List) > 0 {
		end = body.List[0].Pos()
	}
	for _, group := range f.syntax.Comments {
		if group.Pos() > body.Lbrace && group.Pos() < end {
			return true
		}
	}
	return false
}
