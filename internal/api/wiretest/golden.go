package wiretest

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
)

var update = flag.Bool("update", false, "rewrite golden files with what was got")

// Rule finds texts that differ from run to run. Each distinct one becomes
// {{name1}}, {{name2}}… in the file, and later requests may use those. With a
// group, only the group is the text.
type Rule struct {
	Name    string
	Pattern *regexp.Regexp
}

// Golden is what plays a file.
type Golden struct {
	Handler http.Handler
	// Document, if any, validates every exchange.
	Document *Document
	AnyMedia bool
	// Headers of the response to show, beside Content-Type, Allow and Retry-After.
	Headers []string
	// Vars are texts that the file writes as {{name}}, such as keys.
	Vars map[string]string
	// Rules run after the one for ids of the form prefix_26 characters.
	Rules []Rule
	// Prepare may change a request before it is sent, such as sign it.
	Prepare func(t testing.TB, r *http.Request, body []byte)
	// Sections give further sections of a step, such as its ledger entries.
	Sections map[string]func(t testing.TB, step string) string
	// Actions are the commands of a do section, such as "advance 10m".
	Actions map[string]func(t testing.TB, args []string)
}

// RunAll plays the golden files of a package on every engine, each as a subtest with a fresh
// Golden on a database of its own. Every exchange is as the OpenAPI document says.
func RunAll(t *testing.T, document []byte, setup func(t *testing.T, db *storage.DB) Golden) {
	t.Helper()
	loaded := Load(t, document)
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			runEach(t, func(t *testing.T) Golden {
				g := setup(t, testkit.Open(t, testkit.Database(t, engine)))
				g.Document = loaded
				return g
			})
		})
	}
}

// goldens returns the golden files of the package under test.
func goldens(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files in testdata (%v)", err)
	}
	return files
}

func runEach(t *testing.T, setup func(t *testing.T) Golden) {
	t.Helper()
	for _, file := range goldens(t) {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) { Run(t, file, setup(t)) })
	}
}

// Run plays one file. Its sections are "step/request", "step/response" (status,
// headers, empty line, body), "step/do" (actions before the request) and those of
// Sections, steps in order. A request is "METHOD target", headers, an empty line
// and the body. With -update the file is rewritten instead.
func Run(t testing.TB, file string, g Golden) {
	t.Helper()
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	p := &player{Golden: g, values: map[string]string{}, counts: map[string]int{}}
	maps.Copy(p.values, g.Vars)
	p.Rules = append([]Rule{{Pattern: regexp.MustCompile(`\b([a-z][a-z0-9]*)_[0-7][0-9a-hjkmnp-tv-z]{25}\b`)}}, g.Rules...)
	got := &txtar.Archive{Comment: archive.Comment}
	for _, s := range steps(t, archive) {
		got.Files = append(got.Files, p.play(t, s)...)
	}
	if *update {
		if err := os.WriteFile(file, txtar.Format(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(txtar.Format(archive)), string(txtar.Format(got))); diff != "" {
		t.Errorf("%s (-file +got):\n%s", file, diff)
	}
}

// step is the sections of one step, as the file has them.
type step struct {
	name     string
	sections []txtar.File // names without the step
}

func steps(t testing.TB, archive *txtar.Archive) []step {
	t.Helper()
	var list []step
	for _, f := range archive.Files {
		name, section, found := strings.Cut(f.Name, "/")
		if !found {
			t.Fatalf("section %q: want step/section", f.Name)
		}
		if len(list) == 0 || list[len(list)-1].name != name {
			if slices.ContainsFunc(list, func(s step) bool { return s.name == name }) {
				t.Fatalf("step %s stands in two places", name)
			}
			list = append(list, step{name: name})
		}
		last := &list[len(list)-1]
		last.sections = append(last.sections, txtar.File{Name: section, Data: f.Data})
	}
	return list
}

// player is a file being played.
type player struct {
	Golden
	values map[string]string // name → text
	counts map[string]int
}

func (s step) find(section string) (string, bool) {
	for _, f := range s.sections {
		if f.Name == section {
			return string(f.Data), true
		}
	}
	return "", false
}

// play runs a step and returns its sections as they came out.
func (p *player) play(t testing.TB, s step) []txtar.File {
	t.Helper()
	results := map[string]string{}
	if script, found := s.find("do"); found {
		results["do"] = script
		p.act(t, s.name, script)
	}
	order := []string{"do"}
	if request, found := s.find("request"); found {
		results["request"] = request
		results["response"] = p.capture(p.send(t, s.name, request))
		order = append(order, "request", "response")
	}
	for _, section := range slices.Sorted(maps.Keys(p.Sections)) {
		text := p.capture(p.Sections[section](t, s.name))
		// A section that the file leaves out is not compared, but an update writes it when there is something.
		if _, found := s.find(section); found || *update && text != "" {
			results[section] = text
			order = append(order, section)
		}
	}
	for _, f := range s.sections {
		if _, known := results[f.Name]; !known {
			t.Fatalf("step %s: no such section %q", s.name, f.Name)
		}
		order = append(order, f.Name)
	}
	return s.files(order, results)
}

// files keeps the file's own order of sections and appends new ones.
func (s step) files(order []string, results map[string]string) []txtar.File {
	var names []string
	for _, f := range s.sections {
		names = append(names, f.Name)
	}
	for _, name := range order {
		if _, found := results[name]; found && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	files := make([]txtar.File, len(names))
	for i, name := range names {
		files[i] = txtar.File{Name: s.name + "/" + name, Data: []byte(results[name])}
	}
	return files
}

func (p *player) act(t testing.TB, step, script string) {
	t.Helper()
	for line := range strings.Lines(p.expand(t, step, script)) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		action := p.Actions[words[0]]
		if action == nil {
			t.Fatalf("step %s: no such action %q", step, words[0])
		}
		action(t, words[1:])
	}
}

// send plays one request and returns its answer as text.
func (p *player) send(t testing.TB, step, text string) string {
	t.Helper()
	request, body, err := parseRequest(p.expand(t, step, text))
	if err != nil {
		t.Fatalf("step %s: %v", step, err)
	}
	if p.Prepare != nil {
		p.Prepare(t, request, body)
	}
	w := httptest.NewRecorder()
	p.Handler.ServeHTTP(w, request)
	if p.Document != nil {
		if err := p.Document.Validate(Exchange{Request: request, Body: body, Response: w, AnyMedia: p.AnyMedia}); err != nil {
			t.Errorf("step %s against the OpenAPI document: %v", step, err)
		}
	}
	var out strings.Builder
	fmt.Fprintln(&out, w.Code)
	for _, name := range append([]string{"Content-Type", "Allow", "Retry-After"}, p.Headers...) {
		for _, value := range w.Header().Values(name) {
			fmt.Fprintf(&out, "%s: %s\n", name, value)
		}
	}
	answer := w.Body.String()
	if !utf8.ValidString(answer) {
		answer = strconv.Quote(answer)
	}
	out.WriteString("\n" + answer)
	if answer != "" {
		out.WriteString("\n")
	}
	return out.String()
}

func parseRequest(text string) (*http.Request, []byte, error) {
	head, body, _ := strings.Cut(text, "\n\n")
	body = strings.TrimSuffix(body, "\n")
	lines := bufio.NewScanner(strings.NewReader(head))
	lines.Scan()
	method, target, found := strings.Cut(strings.TrimSpace(lines.Text()), " ")
	if !found || !strings.HasPrefix(target, "/") {
		return nil, nil, fmt.Errorf("request line %q: want METHOD /target", lines.Text())
	}
	r := httptest.NewRequest(method, target, bytes.NewReader([]byte(body)))
	for lines.Scan() {
		name, value, found := strings.Cut(lines.Text(), ":")
		if !found {
			return nil, nil, fmt.Errorf("header line %q", lines.Text())
		}
		r.Header.Add(name, strings.TrimSpace(value))
	}
	return r, []byte(body), lines.Err()
}

var placeholder = regexp.MustCompile(`\{\{([A-Za-z_][A-Za-z0-9_]*)\}\}`)

// expand replaces {{name}} by its text.
func (p *player) expand(t testing.TB, step, text string) string {
	t.Helper()
	return placeholder.ReplaceAllStringFunc(text, func(found string) string {
		value, known := p.values[found[2:len(found)-2]]
		if !known {
			t.Fatalf("step %s: %s is not known yet", step, found)
		}
		return value
	})
}

// minCaptured keeps short values from being replaced where they stand by chance.
const minCaptured = 4

// capture names what the rules find in text and writes all known values as placeholders.
func (p *player) capture(text string) string {
	for _, rule := range p.Rules {
		for _, match := range rule.Pattern.FindAllStringSubmatch(text, -1) {
			name, value := rule.Name, match[len(match)-1]
			if name == "" { // the rule for ids: the prefix is the name
				name, value = match[1], match[0]
			}
			p.remember(name, value)
		}
	}
	names := slices.SortedFunc(maps.Keys(p.values), func(a, b string) int {
		if d := len(p.values[b]) - len(p.values[a]); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	for _, name := range names {
		if len(p.values[name]) >= minCaptured {
			text = strings.ReplaceAll(text, p.values[name], "{{"+name+"}}")
		}
	}
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return text
}

func (p *player) remember(name, value string) {
	for _, known := range p.values {
		if known == value {
			return
		}
	}
	p.counts[name]++
	p.values[name+strconv.Itoa(p.counts[name])] = value
}
