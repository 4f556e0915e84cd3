package cardping_test

import (
	"fmt"
	"maps"
	"net/http"
	"regexp"
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
	"github.com/scripcards/scrip/spec"
)

func contract(t testing.TB) []byte {
	t.Helper()
	text, ok := spec.Document("cardping")
	if !ok {
		t.Fatal("there is no cardping/openapi.yaml")
	}
	return text
}

func loaded(t testing.TB) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(contract(t))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

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

// The document calls every operation by its route's name, says what it does and which
// scope it needs, shows examples and every refusal that any call may get; every member
// of every schema has a description.
func TestDocumentIsComplete(t *testing.T) {
	doc := loaded(t)
	for _, r := range newSurface(t).Routes() {
		op := doc.Paths.Value(strings.TrimPrefix(r.Path, "/v1")).GetOperation(r.Method)
		if op.OperationID != r.Name || op.Summary == "" || op.Description == "" || len(op.Tags) != 1 {
			t.Errorf("%s: the operation needs its id, a summary, a description and one tag", r.Name)
		}
		if scope, _ := op.Extensions["x-scope"].(string); scope != r.Scope {
			t.Errorf("%s: x-scope is %q, the route asks for %q", r.Name, scope, r.Scope)
		}
		if op.RequestBody != nil && op.RequestBody.Value.Content.Get("application/json").Example == nil {
			t.Errorf("%s: the request has no example", r.Name)
		}
		if media := op.Responses.Status(r.Status).Value.Content.Get("application/json"); r.Status != 204 && media.Example == nil {
			t.Errorf("%s: the answer has no example", r.Name)
		}
		for _, status := range []int{400, 401, 403, 405, 413, 415, 429, 500, 503, 504} {
			if op.Responses.Status(status) == nil {
				t.Errorf("%s: the document has no response %d", r.Name, status)
			}
		}
		for status, ref := range op.Responses.Map() {
			for _, header := range []string{"X-Request-Id", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"} {
				if ref.Value.Headers[header] == nil {
					t.Errorf("%s: response %s is without %s", r.Name, status, header)
				}
			}
		}
	}
	for name, ref := range doc.Components.Schemas {
		for member, property := range ref.Value.Properties {
			if property.Value.Description == "" {
				t.Errorf("schema %s: %s has no description", name, member)
			}
		}
	}
}

// errorRow is a row of the document's table of errors: code, status, meaning, what to do.
var errorRow = regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| ([0-9]{3}) \\| ([^|]+) \\| ([^|]+) \\|$")

// The document explains every code and status that can be answered, and no other; the
// published ones are among them.
func TestDocumentExplainsErrors(t *testing.T) {
	rows := map[string]bool{}
	for _, v := range newSurface(t).Table() {
		rows[fmt.Sprint(v.Code, " ", v.Status)] = true
	}
	want := slices.Sorted(maps.Keys(rows))
	var got []string
	for _, row := range errorRow.FindAllStringSubmatch(loaded(t).Info.Description, -1) {
		got = append(got, row[1]+" "+row[2])
	}
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("codes and statuses (-table +document):\n%s", diff)
	}
	for _, published := range []string{"auth_invalid 401", "quota_exceeded 429", "card_invalid 422", "network_unavailable 503", "rate_limited 429"} {
		if !slices.Contains(got, published) {
			t.Errorf("the published %s is missing", published)
		}
	}
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
	for _, item := range loaded(t).Paths.Map() {
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
	fits := map[fault.Kind][]int{
		fault.KindInvalid: {400, 405, 413, 415}, fault.KindUnauthenticated: {401}, fault.KindForbidden: {403}, fault.KindNotFound: {404},
		fault.KindConflict: {409}, fault.KindPrecondition: {409, 422}, fault.KindLimit: {429}, fault.KindUnavailable: {503, 504}, fault.KindInternal: {500},
	}
	for code, v := range newSurface(t).Table() {
		if !slices.Contains(fits[code.Kind()], v.Status) {
			t.Errorf("%s, which is %s, has status %d", code, code.Kind(), v.Status)
		}
	}
}

// The document's signing example is right, by an implementation of its own.
func TestDocumentedSignature(t *testing.T) {
	const body = `{"id":"evt_1","type":"ping.completed"}`
	want := "t=1795251600,v1=" + signature("whsec_example", "1795251600", body)
	if text := loaded(t).Info.Description; !strings.Contains(text, want) || !strings.Contains(text, body) {
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
