package gatepay_test

import (
	"fmt"
	"maps"
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
	"github.com/scripcards/scrip/internal/testkit"
)

func contract(t testing.TB) []byte { return wiretest.Published(t, "gatepay") }

// newSurface is the dialect over an empty database of the embedded engine.
func newSurface(t testing.TB) *wire.Surface[account.Principal] {
	t.Helper()
	return setup(t, testkit.Open(t, testkit.Database(t, "sqlite"))).surface
}

// Routes, structs and error table say what the OpenAPI document says.
func TestDocument(t *testing.T) {
	s := newSurface(t)
	wiretest.CheckTable(t, s.Table())
	wiretest.CheckOpenAPI(t, contract(t), wiretest.Contract{Routes: s.Routes(), Table: s.Table(), Data: "data", ErrorCode: "code"})
}

// The document is complete, and says which scope and which credential a call needs.
func TestDocumentIsComplete(t *testing.T) {
	wiretest.CheckComplete(t, contract(t), newSurface(t).Routes(), wiretest.Completeness{Examples: true, Also: func(r wire.Route, op *openapi3.Operation) {
		if scope, _ := op.Extensions["x-scope"].(string); scope != r.Scope {
			t.Errorf("%s: x-scope is %q, the route asks for %q", r.Name, scope, r.Scope)
		}
		if public := op.Security != nil && len(*op.Security) == 0; public != r.Public {
			t.Errorf("%s: public is %t in the document, %t in the route", r.Name, public, r.Public)
		}
	}})
}

// The examples are the published samples, letter for letter.
func TestPublishedExamples(t *testing.T) {
	create := wiretest.Load(t, contract(t)).OpenAPI.Paths.Value("/giftcard/create").Post
	for _, x := range []struct {
		got  any
		want string
	}{
		{create.RequestBody.Value.Content.Get("application/json").Example,
			`{"amount":"100","currency":"USD","templateId":"template_001","title":"Holiday Gift Card"}`},
		{create.Responses.Status(200).Value.Content.Get("application/json").Example.(map[string]any)["data"],
			`{"cardNumber":"GC1234567890123456","key":"KEY_abc123def456","status":"CREATED"}`},
	} {
		got, err := wire.Marshal(x.got)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(x.want, string(got)); diff != "" {
			t.Error(diff)
		}
	}
}

// errorRow is a row of the document's table of errors: code, label, meaning, what to do.
var errorRow = regexp.MustCompile("(?m)^\\| ([0-9]{6}) \\| `([a-z_]+)` \\| ([^|]+) \\| ([^|]+) \\|$")

// The document explains every code and label that can be answered, and no other.
func TestDocumentExplainsErrors(t *testing.T) {
	table := newSurface(t).Table()
	var want, got []string
	for _, code := range fault.Codes() {
		want = append(want, table[code].Code+" "+string(code))
	}
	for _, row := range errorRow.FindAllStringSubmatch(wiretest.Load(t, contract(t)).OpenAPI.Info.Description, -1) {
		got = append(got, row[1]+" "+row[2])
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("codes and labels (-table +document):\n%s", diff)
	}
}

// Every error response lists exactly the codes and labels that its status can have.
func TestDocumentEnumeratesErrors(t *testing.T) {
	type enums struct{ Codes, Labels []string }
	want := map[string]*enums{}
	for code, verdict := range newSurface(t).Table() {
		status := fmt.Sprint(verdict.Status)
		if want[status] == nil {
			want[status] = &enums{}
		}
		want[status].Labels = append(want[status].Labels, string(code))
		if !slices.Contains(want[status].Codes, verdict.Code) {
			want[status].Codes = append(want[status].Codes, verdict.Code)
		}
	}
	got := map[string]*enums{}
	for _, item := range wiretest.Load(t, contract(t)).OpenAPI.Paths.Map() {
		for _, op := range item.Operations() {
			for status, ref := range op.Responses.Map() {
				if status < "400" {
					continue
				}
				members := ref.Value.Content.Get("application/json").Schema.Value.AllOf[1].Value.Properties
				got[status] = &enums{texts(members["code"].Value.Enum), texts(members["label"].Value.Enum)}
			}
		}
	}
	for _, all := range []map[string]*enums{want, got} {
		for e := range maps.Values(all) {
			slices.Sort(e.Codes)
			slices.Sort(e.Labels)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("codes and labels by status (-table +document):\n%s", diff)
	}
}

func texts(values []any) []string {
	var list []string
	for _, v := range values {
		list = append(list, fmt.Sprint(v))
	}
	return list
}

// The document's signing example is right.
func TestDocumentedSignature(t *testing.T) {
	body := `{"title":"Holiday Gift Card","templateId":"template_001","currency":"USD","amount":"100"}`
	want := signature("demo-secret", "1795251600000", "n0nce0001", []byte(body))
	if text := wiretest.Load(t, contract(t)).OpenAPI.Info.Description; !strings.Contains(text, want) || !strings.Contains(text, body) {
		t.Errorf("the description does not hold %s", want)
	}
}
