package operator_test

import (
	"slices"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/api/wiretest"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/spec"
)

func contract(t testing.TB) []byte { return wiretest.Published(t, "operator") }

// newSurface is the dialect over an empty database of the embedded engine.
func newSurface(t testing.TB) *wire.Surface[account.Operator] {
	t.Helper()
	return setup(t, testkit.Open(t, testkit.Database(t, "sqlite"))).surface
}

// The error table has a row for every way in which a request can fail.
func TestErrorTable(t *testing.T) {
	wiretest.CheckTable(t, newSurface(t).Table())
}

// Routes, structs and error table say what the OpenAPI document says.
func TestDocument(t *testing.T) {
	s := newSurface(t)
	wiretest.CheckOpenAPI(t, contract(t), wiretest.Contract{Routes: s.Routes(), Table: s.Table(), ErrorCode: "code"})
}

// The document is complete, says which role a call needs, shows the errors that any call
// may get, and says whether a call can be repeated.
func TestDocumentIsComplete(t *testing.T) {
	wiretest.CheckComplete(t, contract(t), newSurface(t).Routes(), wiretest.Completeness{Also: func(r wire.Route, op *openapi3.Operation) {
		if role := op.Extensions["x-duty"]; !r.Public && role != r.Scope {
			t.Errorf("%s: x-duty is %v, the route asks for %s", r.Name, role, r.Scope)
		}
		for _, status := range []int{400, 401, 403, 429, 500} {
			if op.Responses.Status(status) == nil && !r.Public {
				t.Errorf("%s: the document has no response %d", r.Name, status)
			}
		}
		repeatable := slices.ContainsFunc(op.Parameters, func(p *openapi3.ParameterRef) bool { return p.Value.Name == "Idempotency-Key" })
		if repeatable != r.Idempotent {
			t.Errorf("%s: Idempotency-Key is documented %t, read %t", r.Name, repeatable, r.Idempotent)
		}
	}})
}

// Every document is embedded under its dialect's name.
func TestDocuments(t *testing.T) {
	for _, dialect := range spec.Dialects() {
		if text, ok := spec.Document(dialect); !ok || len(text) == 0 {
			t.Errorf("%s has no document", dialect)
		}
	}
	if _, ok := spec.Document("nobody"); ok {
		t.Error("a document of a dialect that does not exist")
	}
}

// The binary serves the document to everybody, byte for byte.
func TestServesDocument(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		w := setup(t, db).do("", "GET", "/operator/v1/openapi.yaml", "")
		if w.Code != 200 || w.Header().Get("Content-Type") != "application/yaml" {
			t.Errorf("%d %s", w.Code, w.Header().Get("Content-Type"))
		}
		if diff := cmp.Diff(string(contract(t)), w.Body.String()); diff != "" {
			t.Error(diff)
		}
	})
}

// Seeded hostile requests never end in a mistake of ours, and every refusal fits the document.
func TestHostileRequests(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		wiretest.FuzzSurface(t, wiretest.Attack{Document: contract(t), Handler: b.handler, Seed: 20261121, Rounds: 20, Prepare: b.signIn})
		if b.log.Len() > 0 {
			t.Errorf("the log is not empty: %s", b.log)
		}
	})
}
