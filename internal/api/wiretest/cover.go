package wiretest

import (
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/core/fault"
)

// Cover is what golden files must show of a dialect.
type Cover struct {
	Routes []wire.Route
	// Refusals are words, or statuses if there is no Word.
	Refusals []string
	// Word finds a refusal's word in an answer, as its first group.
	Word *regexp.Regexp
	// Elsewhere names the routes and refusals that no golden request leads to, with the
	// reason or the test that does.
	Elsewhere map[string]string
}

// CheckCover proves that no route is without a golden success, and no refusal without a
// golden request.
func CheckCover(t testing.TB, c Cover) {
	t.Helper()
	mux, names, missing := http.NewServeMux(), map[string]string{}, map[string]bool{}
	for _, r := range c.Routes {
		mux.Handle(r.Method+" "+r.Path, http.NotFoundHandler())
		names[r.Method+" "+r.Path], missing[r.Name] = r.Name, true
	}
	for _, refusal := range c.Refusals {
		missing[refusal] = true
	}
	for name := range c.Elsewhere {
		delete(missing, name)
	}
	for _, s := range readSteps(t, c.Word) {
		delete(missing, s.refusal)
		if !strings.HasPrefix(s.status, "2") {
			continue
		}
		r, err := http.NewRequest(s.method, "http://x"+strings.NewReplacer("{{", "", "}}", "").Replace(s.target), nil)
		if err != nil {
			t.Fatalf("%s: %v", s.where, err)
		}
		_, pattern := mux.Handler(r)
		delete(missing, names[pattern])
	}
	if len(missing) > 0 {
		t.Errorf("routes without a golden success and refusals without a golden request: %s", slices.Sorted(maps.Keys(missing)))
	}
}

// Words are what a table answers with.
func Words(table map[fault.Code]wire.Verdict) []string {
	var all []string
	for _, v := range table {
		all = append(all, v.Code)
	}
	return all
}

// shown is one request of a golden file, and how it was answered.
type shown struct {
	where          string // the file and the step
	method, target string
	status         string
	refusal        string // its word, or the status where there are none
}

func readSteps(t testing.TB, word *regexp.Regexp) []shown {
	t.Helper()
	var all []shown
	for _, file := range goldens(t) {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var x shown
		for _, section := range archive.Files {
			name, kind, _ := strings.Cut(section.Name, "/")
			line, rest, _ := strings.Cut(string(section.Data), "\n")
			switch kind {
			case "request":
				x = shown{where: file + " " + name}
				x.method, x.target, _ = strings.Cut(line, " ")
			case "response":
				x.status, x.refusal = line, line
				if word != nil {
					x.refusal = ""
					if match := word.FindStringSubmatch(rest); match != nil {
						x.refusal = match[1]
					}
				}
				all = append(all, x)
			}
		}
	}
	return all
}
