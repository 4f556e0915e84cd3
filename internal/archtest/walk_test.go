package archtest

import (
	"bytes"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"
)

// source is a module as the rules see it. All paths are relative to its root,
// with slashes.
type source struct {
	module   string            // import path of the root
	root     string            // directory on disk, empty for a fixture
	files    map[string]string // every file that belongs to the repository → its text, empty when binary
	packages []*goPackage      // sorted by dir
	found    map[string][]finding
}

// breaks returns where a rule is broken, looked for once.
func (s *source) breaks(r rule) []finding {
	found, known := s.found[r.name]
	if !known {
		found = r.check(s)
		s.found[r.name] = found
	}
	return found
}

// goPackage is one directory of Go files, an external test package included.
type goPackage struct {
	dir   string
	name  string // of the package that is not a test, else of the tests
	files []*goFile
	types *types.Package
	info  *types.Info // of the files that are no tests; imports are not loaded
}

// goFile is one parsed Go file.
type goFile struct {
	path      string
	pkg       *goPackage
	syntax    *ast.File
	fset      *token.FileSet
	lines     int
	test      bool
	generated bool
}

// at gives a position as "path:line".
func (f *goFile) at(p token.Pos) string {
	position := f.fset.Position(p)
	return f.path + ":" + itoa(position.Line)
}

// lineCount returns how many lines a node spans.
func (f *goFile) lineCount(n ast.Node) int {
	return f.fset.Position(n.End()).Line - f.fset.Position(n.Pos()).Line + 1
}

// code returns the files that are neither tests nor generated.
func (p *goPackage) code() []*goFile {
	var files []*goFile
	for _, f := range p.files {
		if !f.test && !f.generated {
			files = append(files, f)
		}
	}
	return files
}

// testSupport says whether the package exists for tests alone.
func (p *goPackage) testSupport() bool { return within(p.dir, testSupport...) }

var testSupport = []string{"internal/testkit", "internal/api/wiretest", "internal/archtest", "internal/e2e"}

// within says whether dir is one of the roots or below it.
func within(dir string, roots ...string) bool {
	for _, root := range roots {
		if dir == root || strings.HasPrefix(dir, root+"/") {
			return true
		}
	}
	return false
}

// exists says whether a file or directory belongs to the repository.
func (s *source) exists(name string) bool {
	if name == "." {
		return true
	}
	if _, ok := s.files[name]; ok {
		return true
	}
	for file := range s.files {
		if strings.HasPrefix(file, name+"/") {
			return true
		}
	}
	return false
}

// names returns the repository's files in order.
func (s *source) names() []string {
	names := make([]string, 0, len(s.files))
	for name := range s.files {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// local turns an import path of this module into a directory.
func (s *source) local(importPath string) (dir string, ok bool) {
	if importPath == s.module {
		return ".", true
	}
	return strings.CutPrefix(importPath, s.module+"/")
}

// moduleSource is the module around the working directory, read once.
var moduleSource = sync.OnceValues(func() (*source, error) {
	root, err := moduleRoot()
	if err != nil {
		return nil, err
	}
	files, err := readTree(root)
	if err != nil {
		return nil, err
	}
	return parseSource(root, files)
})

// load returns the module that the test belongs to.
func load(t *testing.T) *source {
	t.Helper()
	s, err := moduleSource()
	if err != nil {
		t.Fatalf("read the module: %v", err)
	}
	return s
}

// loadFixture parses "-- path --" sections into a source. Fixtures write ~ into
// words that the rules over text would find in this package itself.
func loadFixture(t *testing.T, text string) *source {
	t.Helper()
	files := map[string]string{"go.mod": "module example.test/scrip\n\ngo 1.26.0\n"}
	var name string
	for _, line := range strings.SplitAfter(strings.ReplaceAll(text, "~", ""), "\n") {
		if section, ok := strings.CutPrefix(strings.TrimSpace(line), "-- "); ok && strings.HasSuffix(section, " --") {
			name = strings.TrimSuffix(section, " --")
			files[name] = ""
			continue
		}
		if name != "" {
			files[name] += line
		}
	}
	s, err := parseSource("", files)
	if err != nil {
		t.Fatalf("parse the fixture: %v", err)
	}
	return s
}

func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no go.mod above the working directory")
		}
		dir = parent
	}
}

// readTree reads every file below root that git tracks or would track. Without
// git, or outside a checkout, it reads what is there.
func readTree(root string) (map[string]string, error) {
	known := gitFiles(root)
	files := map[string]string{}
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // removed while the walk was under way
		}
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		relative = filepath.ToSlash(relative)
		if entry.IsDir() {
			if entry.Name() == ".git" || entry.Name() == "node_modules" || relative == "bin" || relative == "dist" {
				return filepath.SkipDir
			}
			return nil
		}
		if !entry.Type().IsRegular() || (known != nil && !known[relative]) {
			return nil
		}
		content, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if bytes.IndexByte(content, 0) >= 0 {
			content = nil
		}
		files[relative] = string(content)
		return err
	})
	return files, err
}

// gitFiles asks git for the files of the checkout; nil when it cannot say.
func gitFiles(root string) map[string]bool {
	if _, err := os.Stat(filepath.Join(root, ".git")); err != nil {
		return nil
	}
	command := exec.Command("git", "-c", "safe.directory="+root, "-C", root,
		"ls-files", "-z", "--cached", "--others", "--exclude-standard")
	out, err := command.Output()
	if err != nil {
		return nil
	}
	known := map[string]bool{}
	for name := range strings.SplitSeq(string(out), "\x00") {
		known[name] = true
	}
	return known
}

var moduleLine = regexp.MustCompile(`(?m)^module\s+(\S+)`)

// parseSource parses the Go files among files. Directories that go build ./...
// passes over, and modules inside the module, hold no packages.
func parseSource(root string, files map[string]string) (*source, error) {
	match := moduleLine.FindStringSubmatch(files["go.mod"])
	if match == nil {
		return nil, errors.New("go.mod names no module")
	}
	s := &source{module: match[1], root: root, files: files, found: map[string][]finding{}}
	fset := token.NewFileSet()
	byDir := map[string]*goPackage{}
	for _, name := range s.names() {
		if !strings.HasSuffix(name, ".go") || s.passedOver(path.Dir(name)) {
			continue
		}
		syntax, err := parser.ParseFile(fset, name, files[name], parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		p := byDir[path.Dir(name)]
		if p == nil {
			p = &goPackage{dir: path.Dir(name)}
			byDir[p.dir] = p
			s.packages = append(s.packages, p)
		}
		p.files = append(p.files, &goFile{
			path: name, pkg: p, syntax: syntax, fset: fset,
			lines:     strings.Count(files[name], "\n"),
			test:      strings.HasSuffix(name, "_test.go"),
			generated: ast.IsGenerated(syntax),
		})
	}
	for _, p := range s.packages {
		p.resolve(s, fset)
	}
	return s, nil
}

// passedOver says whether dir holds no package of this module.
func (s *source) passedOver(dir string) bool {
	for ; dir != "."; dir = path.Dir(dir) {
		base := path.Base(dir)
		if base == "testdata" || base == "vendor" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
			return true
		}
		if _, ok := s.files[dir+"/go.mod"]; ok {
			return true
		}
	}
	return false
}

// resolve names the package and finds out what each identifier of its code
// means. Imported packages are empty shells, so types stay unknown, but locals,
// package variables, builtins and package names are told apart.
func (p *goPackage) resolve(s *source, fset *token.FileSet) {
	var files []*ast.File
	for _, f := range p.files {
		if !f.test {
			files = append(files, f.syntax)
			p.name = f.syntax.Name.Name
		} else if p.name == "" {
			p.name = strings.TrimSuffix(f.syntax.Name.Name, "_test")
		}
	}
	p.info = &types.Info{Defs: map[*ast.Ident]types.Object{}, Uses: map[*ast.Ident]types.Object{}}
	config := types.Config{
		Importer:    shells{s},
		FakeImportC: true,
		Error:       func(error) {},
	}
	p.types, _ = config.Check(path.Join(s.module, p.dir), fset, files, p.info)
}

// shells imports empty packages of the right name.
type shells struct{ source *source }

var versionSuffix = regexp.MustCompile(`^v[0-9]+$`)

// Import implements types.Importer.
func (i shells) Import(importPath string) (*types.Package, error) {
	if importPath == "unsafe" {
		return types.Unsafe, nil
	}
	name := path.Base(importPath)
	if versionSuffix.MatchString(name) {
		name = path.Base(path.Dir(importPath))
	}
	if dir, ok := i.source.local(importPath); ok {
		for _, p := range i.source.packages {
			if p.dir == dir && p.name != "" {
				name = p.name
			}
		}
	}
	name = strings.TrimPrefix(strings.TrimSuffix(name, ".go"), "go-")
	shell := types.NewPackage(importPath, name)
	shell.MarkComplete()
	return shell, nil
}

// imported returns the import path and name of a selector on a package.
func (p *goPackage) imported(e ast.Expr) (importPath, name string, ok bool) {
	selector, isSelector := ast.Unparen(e).(*ast.SelectorExpr)
	if !isSelector {
		return "", "", false
	}
	ident, isIdent := selector.X.(*ast.Ident)
	if !isIdent {
		return "", "", false
	}
	pkgName, isPkg := p.info.Uses[ident].(*types.PkgName)
	if !isPkg {
		return "", "", false
	}
	return pkgName.Imported().Path(), selector.Sel.Name, true
}

// builtin says whether e is the predeclared identifier of that name.
func (p *goPackage) builtin(e ast.Expr, names ...string) bool {
	ident, ok := ast.Unparen(e).(*ast.Ident)
	return ok && slices.Contains(names, ident.Name) && p.info.Uses[ident] == types.Universe.Lookup(ident.Name)
}

// packageVar returns the package variable at the root of e: of x, x.f, x[i], *x.
func (p *goPackage) packageVar(e ast.Expr) types.Object {
	for {
		switch at := e.(type) {
		case *ast.ParenExpr:
			e = at.X
		case *ast.IndexExpr:
			e = at.X
		case *ast.SliceExpr:
			e = at.X
		case *ast.StarExpr:
			e = at.X
		case *ast.SelectorExpr:
			e = at.X
		case *ast.Ident:
			v, ok := p.info.Uses[at].(*types.Var)
			if ok && p.types != nil && v.Parent() == p.types.Scope() {
				return v
			}
			return nil
		default:
			return nil
		}
	}
}

// funcName gives a function as "dir.Name" or "dir.Type.Name".
func (p *goPackage) funcName(f *ast.FuncDecl) string {
	if receiver := receiverName(f); receiver != "" {
		return p.dir + "." + receiver + "." + f.Name.Name
	}
	return p.dir + "." + f.Name.Name
}

// receiverName returns the name of a method's type, empty for a function.
func receiverName(f *ast.FuncDecl) string {
	if f.Recv == nil || len(f.Recv.List) == 0 {
		return ""
	}
	e := f.Recv.List[0].Type
	for {
		switch at := e.(type) {
		case *ast.StarExpr:
			e = at.X
		case *ast.IndexExpr:
			e = at.X
		case *ast.IndexListExpr:
			e = at.X
		case *ast.Ident:
			return at.Name
		default:
			return ""
		}
	}
}
