package cardping_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/api/wiretest"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
)

func contract(t testing.TB) []byte { return wiretest.Published(t, "cardping") }

// newSurface is the dialect over an empty database of the embedded engine.
func newSurface(t testing.TB) *wire.Surface[account.Principal] {
	t.Helper()
	return setup(t, testkit.Open(t, testkit.Database(t, "sqlite"))).surface
}

// Routes, structs and error table say what the OpenAPI document says.
func TestDocument(t *testing.T) {
	s := newSurface(t)
	wiretest.CheckTable(t, s.Table())
	wiretest.CheckOpenAPI(t, contract(t), wiretest.Contract{Routes: s.Routes(), Table: s.Table(), ErrorCode: "error.code"})
}

// The document is complete, says which scope a call needs, and shows every refusal that any
// call may get and how far its caller is in the limits.
func TestDocumentIsComplete(t *testing.T) {
	wiretest.CheckComplete(t, contract(t), newSurface(t).Routes(), wiretest.Completeness{
		Examples: true,
		Statuses: []int{400, 401, 403, 405, 413, 415, 429, 500, 503, 504},
		Headers:  []string{"X-Request-Id", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"},
		Also: func(r wire.Route, op *openapi3.Operation) {
			if scope, _ := op.Extensions["x-scope"].(string); scope != r.Scope {
				t.Errorf("%s: x-scope is %q, the route asks for %q", r.Name, scope, r.Scope)
			}
		},
	})
}

// The document explains every code and status that can be answered, and no other; the
// published ones are among them.
func TestDocumentExplainsErrors(t *testing.T) {
	wiretest.CheckExplained(t, contract(t), newSurface(t).Table(),
		"auth_invalid 401", "quota_exceeded 429", "card_invalid 422", "network_unavailable 503", "rate_limited 429")
}

// Every error response lists exactly the codes that its status can have.
func TestDocumentEnumeratesErrors(t *testing.T) {
	want, got := map[string][]string{}, map[string][]string{}
	for _, v := range newSurface(t).Table() {
		status := fmt.Sprint(v.Status)
		if !slices.Contains(want[status], v.Code) {
			want[status] = append(want[status], v.Code)
		}
	}
	for _, item := range wiretest.Load(t, contract(t)).OpenAPI.Paths.Map() {
		for _, op := range item.Operations() {
			for status, ref := range op.Responses.Map() {
				if status < "400" {
					continue
				}
				problem := ref.Value.Content.Get("application/json").Schema.Value.AllOf[1].Value.Properties["error"]
				got[status] = nil
				for _, code := range problem.Value.Properties["code"].Value.Enum {
					got[status] = append(got[status], fmt.Sprint(code))
				}
			}
		}
	}
	for _, all := range []map[string][]string{want, got} {
		for _, codes := range all {
			slices.Sort(codes)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("codes by status (-table +document):\n%s", diff)
	}
}

// No code of the closed list of faults is shown with a status that says something else about it.
func TestStatusesFitKinds(t *testing.T) {
	wiretest.CheckKinds(t, newSurface(t).Table(), map[fault.Kind][]int{
		fault.KindInvalid: {400, 405, 413, 415}, fault.KindUnauthenticated: {401}, fault.KindForbidden: {403}, fault.KindNotFound: {404},
		fault.KindConflict: {409}, fault.KindPrecondition: {409, 422}, fault.KindLimit: {429}, fault.KindUnavailable: {503, 504}, fault.KindInternal: {500},
	})
}

// The document's signing example is right, by an implementation of its own.
func TestDocumentedSignature(t *testing.T) {
	const body = `{"id":"evt_1","type":"ping.completed"}`
	want := "t=1795251600,v1=" + signature("whsec_example", "1795251600", body)
	if text := wiretest.Load(t, contract(t)).OpenAPI.Info.Description; !strings.Contains(text, want) || !strings.Contains(text, body) {
		t.Errorf("the description does not hold %s", want)
	}
}

// Seeded hostile requests never end in a mistake of ours, and every refusal fits the document.
func TestHostileRequests(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		b.Pings.Policy.Credential, b.Pings.Policy.Address = nil, nil
		b.mount()
		wiretest.FuzzSurface(t, wiretest.Attack{Document: contract(t), Handler: b.handler, Seed: 20261121, Rounds: 60, Allowed: []int{503},
			Prepare: func(r *http.Request, _ []byte) { r.Header.Set("X-API-Key", b.keys["acme"]) }})
		b.quiet()
	})
}
