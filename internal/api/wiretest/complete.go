package wiretest

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/core/fault"
)

// Completeness is what a dialect's document has beside what every document must have.
type Completeness struct {
	// Examples says that whatever JSON is sent or answered has one.
	Examples bool
	// Statuses are answers of every operation; 401 only of those that ask for credentials.
	Statuses []int
	// Headers are those of every answer.
	Headers []string
	// Also looks at an operation, as the dialect likes.
	Also func(r wire.Route, op *openapi3.Operation)
}

// CheckComplete proves that a document calls every operation by its route's name, says
// what it does, and that every member of every schema has a description.
func CheckComplete(t testing.TB, document []byte, routes []wire.Route, c Completeness) {
	t.Helper()
	d := Load(t, document)
	for _, r := range routes {
		item := d.OpenAPI.Paths.Value(strings.TrimSuffix(strings.TrimPrefix(r.Path, d.base), "{$}"))
		if item == nil || item.GetOperation(r.Method) == nil {
			t.Errorf("%s: %s %s is not in the document", r.Name, r.Method, r.Path)
			continue
		}
		op := item.GetOperation(r.Method)
		if op.OperationID != r.Name || op.Summary == "" || op.Description == "" || len(op.Tags) != 1 {
			t.Errorf("%s: the operation needs its id, a summary, a description and one tag", r.Name)
		}
		if c.Examples && op.RequestBody != nil && lacksExample(op.RequestBody.Value.Content) {
			t.Errorf("%s: the request has no example", r.Name)
		}
		for _, status := range c.Statuses {
			if op.Responses.Status(status) == nil && !(r.Public && status == 401) {
				t.Errorf("%s: the document has no response %d", r.Name, status)
			}
		}
		for status, ref := range op.Responses.Map() {
			if c.Examples && lacksExample(ref.Value.Content) {
				t.Errorf("%s: response %s has no example", r.Name, status)
			}
			for _, header := range c.Headers {
				if ref.Value.Headers[header] == nil {
					t.Errorf("%s: response %s is without %s", r.Name, status, header)
				}
			}
		}
		if c.Also != nil {
			c.Also(r, op)
		}
	}
	for name, ref := range d.OpenAPI.Components.Schemas {
		for member, property := range ref.Value.Properties {
			if property.Ref == "" && property.Value.Description == "" {
				t.Errorf("schema %s: %s has no description", name, member)
			}
		}
	}
}

func lacksExample(content openapi3.Content) bool {
	media := content.Get("application/json")
	return media != nil && media.Example == nil
}

// CheckKinds proves that no refusal has a status that says something else than its kind.
func CheckKinds(t testing.TB, table map[fault.Code]wire.Verdict, fits map[fault.Kind][]int) {
	t.Helper()
	for code, v := range table {
		if !slices.Contains(fits[code.Kind()], v.Status) {
			t.Errorf("%s, which is %s, has status %d", code, code.Kind(), v.Status)
		}
	}
}

// errorRow is a row of a document's table of errors: word, status, meaning, what to do.
var errorRow = regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| ([0-9]{3}) \\| ([^|]+) \\| ([^|]+) \\|$")

// CheckExplained proves that a document explains every word with its status that can be
// answered, and no other, and that the published ones are among them: "not_found 404".
func CheckExplained(t testing.TB, document []byte, table map[fault.Code]wire.Verdict, published ...string) {
	t.Helper()
	rows := map[string]bool{}
	for _, v := range table {
		rows[fmt.Sprint(v.Code, " ", v.Status)] = true
	}
	var got []string
	for _, row := range errorRow.FindAllStringSubmatch(Load(t, document).OpenAPI.Info.Description, -1) {
		got = append(got, row[1]+" "+row[2])
	}
	slices.Sort(got)
	if diff := cmp.Diff(slices.Sorted(maps.Keys(rows)), got); diff != "" {
		t.Errorf("words and statuses (-table +document):\n%s", diff)
	}
	for _, one := range published {
		if !slices.Contains(got, one) {
			t.Errorf("the published %s is missing", one)
		}
	}
}
