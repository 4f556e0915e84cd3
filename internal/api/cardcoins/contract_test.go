package cardcoins_test

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/scripcards/scrip/internal/api/wiretest"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/spec"
)

const goldens = "testdata/*.txtar"

// Routes, structs and error table say what the OpenAPI document says.
func TestDocument(t *testing.T) {
	f := setup(t, testkit.Open(t, testkit.Database(t, "sqlite")))
	document, _ := spec.Document("cardcoins")
	wiretest.CheckTable(t, f.surface.Table())
	wiretest.CheckOpenAPI(t, document, wiretest.Contract{Routes: f.surface.Routes(), Table: f.surface.Table(), Data: "data"})
}

// The document calls every operation by its route's name, with a summary, a description and an example, and describes every member.
func TestDocumentIsComplete(t *testing.T) {
	document, _ := spec.Document("cardcoins")
	doc, err := openapi3.NewLoader().LoadFromData(document)
	if err != nil {
		t.Fatal(err)
	}
	f := setup(t, testkit.Open(t, testkit.Database(t, "sqlite")))
	for _, r := range f.surface.Routes() {
		op := doc.Paths.Value(strings.TrimPrefix(r.Path, "/v2")).GetOperation(r.Method)
		if op.OperationID != r.Name || op.Summary == "" || op.Description == "" || len(op.Tags) != 1 {
			t.Errorf("%s: the operation needs its id, a summary, a description and one tag", r.Name)
		}
		if op.Responses.Status(200).Value.Content.Get("application/json").Example == nil {
			t.Errorf("%s: the answer has no example", r.Name)
		}
		for _, status := range []int{400, 403, 404, 500, 503} {
			if op.Responses.Status(status) == nil {
				t.Errorf("%s: the document has no response %d", r.Name, status)
			}
		}
	}
	for name, ref := range doc.Components.Schemas {
		for member, property := range ref.Value.Properties {
			if property.Ref == "" && property.Value.Description == "" {
				t.Errorf("schema %s: %s has no description", name, member)
			}
		}
	}
}

// The statuses are the published ones, and fit what kind of failure it is.
func TestStatusesFitKinds(t *testing.T) {
	f := setup(t, testkit.Open(t, testkit.Database(t, "sqlite")))
	fits := map[fault.Kind][]int{
		fault.KindInvalid: {400, 403}, fault.KindUnauthenticated: {403}, fault.KindForbidden: {403, 503}, fault.KindNotFound: {404},
		fault.KindConflict: {403}, fault.KindPrecondition: {400, 403}, fault.KindLimit: {403}, fault.KindUnavailable: {503}, fault.KindInternal: {500},
	}
	for code, v := range f.surface.Table() {
		fit := false
		for _, status := range fits[code.Kind()] {
			fit = fit || status == v.Status
		}
		if !fit {
			t.Errorf("%s, which is %s, is %d", code, code.Kind(), v.Status)
		}
	}
}

// The golden files are played on both engines, and leave books that add up and a log without mistakes.
func TestGoldens(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		engine := db.Engine()
		wiretest.RunAll(t, goldens, func(t *testing.T) wiretest.Golden {
			f := setup(t, testkit.Open(t, testkit.Database(t, engine)))
			f.Fixed("4321")
			t.Cleanup(func() {
				if f.Log.Len() > 0 {
					t.Errorf("the log is not empty: %s", f.Log)
				}
			})
			return f.golden(t)
		})
	})
}

// No route is without a golden success, and no status without a golden refusal.
func TestGoldensCover(t *testing.T) {
	f := setup(t, testkit.Open(t, testkit.Database(t, "sqlite")))
	mux, missing, names := http.NewServeMux(), map[string]bool{"400": true, "403": true, "404": true, "503": true}, map[string]string{}
	for _, r := range f.surface.Routes() {
		mux.Handle(r.Method+" "+r.Path, http.NotFoundHandler())
		names[r.Method+" "+r.Path], missing[r.Name] = r.Name, true
	}
	files, err := filepath.Glob(goldens)
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var line string
		for _, section := range archive.Files {
			first, _, _ := strings.Cut(string(section.Data), "\n")
			switch _, kind, _ := strings.Cut(section.Name, "/"); kind {
			case "request":
				line = first
			case "response":
				missing[first] = false
				if first != "200" {
					continue
				}
				method, target, _ := strings.Cut(line, " ")
				r, err := http.NewRequest(method, "http://x"+strings.NewReplacer("{{", "", "}}", "").Replace(target), nil)
				if err != nil {
					t.Fatal(err)
				}
				_, pattern := mux.Handler(r)
				missing[names[pattern]] = false
			}
		}
	}
	for name, is := range missing {
		if is {
			t.Errorf("no golden exchange has %s", name)
		}
	}
}
