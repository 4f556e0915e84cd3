package cardpluspay_test

import (
	"net/http"
	"reflect"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/api/wiretest"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
)

func contract(t testing.TB) []byte { return wiretest.Published(t, "cardpluspay") }

// newSurface is the dialect over an empty database of the embedded engine.
func newSurface(t testing.TB) *wire.Surface[account.Principal] {
	t.Helper()
	return setup(t, testkit.Open(t, testkit.Database(t, "sqlite"))).surface
}

// Routes, structs and error table say what the OpenAPI document says.
func TestDocument(t *testing.T) {
	s := newSurface(t)
	wiretest.CheckTable(t, s.Table())
	wiretest.CheckOpenAPI(t, contract(t), wiretest.Contract{Routes: s.Routes(), Table: s.Table(), Data: "data"})
}

// The document is complete, says which scope a call needs and what it answers, and shows
// every refusal that any call may get.
func TestDocumentIsComplete(t *testing.T) {
	wiretest.CheckComplete(t, contract(t), newSurface(t).Routes(), wiretest.Completeness{
		Examples: true,
		Statuses: []int{400, 401, 403, 405, 413, 415, 422, 429, 500, 503, 504},
		Also: func(r wire.Route, op *openapi3.Operation) {
			if scope, _ := op.Extensions["x-scope"].(string); scope != r.Scope {
				t.Errorf("%s: x-scope is %q, the route asks for %q", r.Name, scope, r.Scope)
			}
			if public := op.Security != nil && len(*op.Security) == 0; public != r.Public {
				t.Errorf("%s: public is %t in the document, %t in the route", r.Name, public, r.Public)
			}
			if r.Out == reflect.TypeFor[wire.File]() {
				return
			}
			example, _ := op.Responses.Status(r.Status).Value.Content.Get("application/json").Example.(map[string]any)
			if example["message"] != r.Message {
				t.Errorf("%s: the example says %q, the route %q", r.Name, example["message"], r.Message)
			}
		},
	})
}

// No code of the closed list of faults is shown with a status that says something else
// about it; the published statuses are as they are published.
func TestStatusesFitKinds(t *testing.T) {
	table := newSurface(t).Table()
	wiretest.CheckKinds(t, table, map[fault.Kind][]int{
		fault.KindInvalid: {400, 405, 413, 415, 422}, fault.KindUnauthenticated: {401}, fault.KindForbidden: {403}, fault.KindNotFound: {404},
		fault.KindConflict: {409}, fault.KindPrecondition: {400, 403, 409}, fault.KindLimit: {429}, fault.KindUnavailable: {503, 504}, fault.KindInternal: {500},
	})
	for code, status := range map[fault.Code]int{fault.InsufficientFunds: 400, fault.OutOfStock: 400, fault.CredentialsInvalid: 401, fault.NotFound: 404,
		fault.InvalidRequest: 422, fault.RateLimited: 429, fault.Internal: 500} {
		if table[code].Status != status {
			t.Errorf("%s has status %d, published is %d", code, table[code].Status, status)
		}
	}
}

// Seeded hostile requests never end in a mistake of ours, and every refusal fits the document.
func TestHostileRequests(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		wiretest.FuzzSurface(t, wiretest.Attack{Document: contract(t), Handler: b.handler, Seed: 20261121, Rounds: 60,
			Prepare: func(r *http.Request, _ []byte) { r.Header.Set("X-API-Key", b.keys["acme"]) }})
		b.quiet()
		b.verified()
	})
}
