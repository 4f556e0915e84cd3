package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// maxFile bounds the configuration file, in bytes.
const maxFile = 1 << 20

// readFile takes the settings of a file. Everything in it that is no setting is a problem.
func (l *loader) readFile(path string) {
	if path == "" {
		return
	}
	text, err := readBounded(path)
	if err != nil {
		l.problems = append(l.problems, Problem{Where: path, Text: err.Error()})
		return
	}
	file, err := parser.ParseBytes(text, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		l.problems = append(l.problems, syntaxProblem(path, err))
		return
	}
	entries, ok := mapping(file)
	if !ok {
		l.problems = append(l.problems, Problem{Where: path, Text: "want lines such as listen: 127.0.0.1:8420"})
		return
	}
	seen := map[string]int{}
	for _, entry := range entries {
		l.takeEntry(path, entry, seen)
	}
}

func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.New("there is no such configuration file")
	}
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("a configuration file has at most %d bytes", maxFile)
	}
	return text, nil
}

// syntaxProblem leaves out the lines that the parser would show: they may hold a password.
func syntaxProblem(path string, err error) Problem {
	p := Problem{Where: path, Text: "this is not YAML"}
	var syntax yaml.Error
	if errors.As(err, &syntax) {
		p.Text += ": " + syntax.GetMessage()
		if token := syntax.GetToken(); token != nil && token.Position != nil {
			p.Where += ":" + strconv.Itoa(token.Position.Line)
		}
	}
	return p
}

// mapping returns the entries of a file's one mapping; an empty file has none.
func mapping(file *ast.File) ([]*ast.MappingValueNode, bool) {
	var bodies []ast.Node
	for _, doc := range file.Docs {
		if doc.Body != nil && doc.Body.Type() != ast.NullType && doc.Body.Type() != ast.CommentType {
			bodies = append(bodies, doc.Body)
		}
	}
	if len(bodies) != 1 {
		return nil, len(bodies) == 0
	}
	switch body := bodies[0].(type) {
	case *ast.MappingNode:
		return body.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{body}, true
	}
	return nil, false
}

// takeEntry takes one setting. seen has the lines of the names before it.
func (l *loader) takeEntry(path string, entry *ast.MappingValueNode, seen map[string]int) {
	line, name := 0, ""
	if token := entry.Key.GetToken(); token != nil && token.Position != nil {
		line, name = token.Position.Line, token.Value
	}
	where := fmt.Sprintf("%s:%d", path, line)
	known := fields()
	at := slices.IndexFunc(known, func(f field) bool { return f.name == name })
	if at < 0 {
		l.problems = append(l.problems, Problem{Where: where, Text: fmt.Sprintf("there is no setting %.64q%s", name, hint(name, known))})
		return
	}
	f := known[at]
	if before, twice := seen[name]; twice {
		l.refuse(f, where, fmt.Sprintf("it is on line %d already", before))
		return
	}
	seen[name] = line
	text, ok := scalar(entry.Value)
	if !ok && f.many {
		text, ok = list(entry.Value)
	}
	switch {
	case f.secret():
		l.refuse(f, where, "a secret is never in the file: set "+f.env)
	case !ok:
		l.refuse(f, where, "want one value after the colon, \"\" for none")
	case !f.set(&l.config, text):
		l.refuse(f, where, f.wants())
	default:
		l.took(f, FromFile, where)
	}
}

// scalar returns a single value as it is written, without quotes.
func scalar(node ast.Node) (string, bool) {
	switch n := node.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return strings.TrimSuffix(n.Value.Value, "\n"), true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return node.GetToken().Value, true
	}
	return "", false
}

// list returns the values of a sequence with commas between them.
func list(node ast.Node) (string, bool) {
	sequence, ok := node.(*ast.SequenceNode)
	if !ok {
		return "", false
	}
	texts := make([]string, len(sequence.Values))
	for i, value := range sequence.Values {
		if texts[i], ok = scalar(value); !ok || strings.Contains(texts[i], ",") {
			return "", false
		}
	}
	return strings.Join(texts, ","), true
}

// hint proposes the setting whose name is at most two letters away.
func hint(name string, known []field) string {
	known = slices.DeleteFunc(slices.Clone(known), field.secret)
	if f, found := closest(name, known); found {
		return ": is it " + f.name + "?"
	}
	return ""
}

// closest is the setting whose name is written most like another, if one is.
func closest(name string, known []field) (found field, ok bool) {
	const near = 2
	best := near + 1
	plain := strings.ReplaceAll(strings.ToLower(name), "-", "_")
	for _, f := range known {
		if d := distance(plain, f.name); d < best && d < len(f.name)/2 {
			best, found, ok = d, f, true
		}
	}
	return found, ok
}

// Misspelt says of each variable of the environment that nothing reads which setting it may
// be meant for, where it looks like one. Others whose names begin alike are somebody else's.
func Misspelt(environ []string) []string {
	known, texts := fields(), []string(nil)
	for _, variable := range environ {
		name, value, _ := strings.Cut(variable, "=")
		rest, ours := strings.CutPrefix(name, Prefix)
		if !ours || value == "" || slices.ContainsFunc(known, func(f field) bool { return f.env == name }) {
			continue
		}
		meant, found := closest(rest, known)
		if at := slices.IndexFunc(known, func(f field) bool { return strings.HasPrefix(name, f.env+"_") }); at >= 0 && !found {
			meant, found = known[at], true // such as SCRIP_DATABASE_URL
		}
		if found {
			texts = append(texts, fmt.Sprintf("%.64s is no setting, and nothing reads it: is it %s?", name, meant.env))
		}
	}
	return texts
}

// distance is how many letters must be added, removed or changed to make b of a.
func distance(a, b string) int {
	const longest = 64
	if len(a) > longest {
		return longest
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
