package program

import (
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/api/wiretest"
	"github.com/scripcards/scrip/internal/server"
	"github.com/scripcards/scrip/spec"
)

// forms is how each dialect wraps what it answers.
var forms = map[string]wiretest.Contract{
	"cardcoins":   {Data: "data"},
	"cardping":    {ErrorCode: "error.code"},
	"cardpluspay": {Data: "data"},
	"cryptocardy": {ErrorCode: "error"},
	"gatepay":     {Data: "data", ErrorCode: "code"},
	"operator":    {ErrorCode: "code"},
}

// surfaces is every dialect as the server mounts it, by its name.
func surfaces(t *testing.T) map[string]server.Surface {
	t.Helper()
	app, err := server.Open(t.Context(), server.Options{Data: t.TempDir(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := app.Close(); err != nil {
			t.Error(err)
		}
	})
	all := map[string]server.Surface{}
	for _, s := range app.Surfaces(server.HTTP{}) {
		routes := s.Routes()
		if len(routes) == 0 {
			t.Fatal("a dialect has no routes")
		}
		if all[routes[0].Dialect] != nil {
			t.Fatalf("two dialects are called %s", routes[0].Dialect)
		}
		all[routes[0].Dialect] = s
	}
	return all
}

// Every dialect that is served has a document, which says the same as its routes,
// structs and error table; and every document is of a dialect that is served.
func TestDocumentsAreTrue(t *testing.T) {
	served := surfaces(t)
	for name, s := range served {
		t.Run(name, func(t *testing.T) {
			wiretest.CheckTable(t, s.Table())
			text, ok := spec.Document(name)
			form, known := forms[name]
			if !ok || !known {
				t.Fatalf("%s has a document: %t, and a form here: %t", name, ok, known)
			}
			form.Routes, form.Table = s.Routes(), s.Table()
			wiretest.CheckOpenAPI(t, text, form)
		})
	}
	for _, name := range spec.Dialects() {
		if served[name] == nil {
			t.Errorf("spec/%s is the document of a dialect that is not served", name)
		}
	}
}

// All dialects can be mounted side by side, and no path reaches two of them.
func TestDialectsAreApart(t *testing.T) {
	served := surfaces(t)
	mux := http.NewServeMux()
	var routes []wire.Route
	for _, s := range served {
		s.Mount(mux) // panics where two patterns clash
		routes = append(routes, s.Routes()...)
	}
	for _, problem := range collisions(routes) {
		t.Error(problem)
	}
}

// collisions finds routes of different dialects that some path reaches both of,
// whatever the method.
func collisions(routes []wire.Route) []string {
	var found []string
	for i, a := range routes {
		for _, b := range routes[i+1:] {
			if a.Dialect != b.Dialect && overlap(a.Path, b.Path) {
				found = append(found, fmt.Sprintf("%s %s and %s %s reach the same", a.Dialect, a.Path, b.Dialect, b.Path))
			}
		}
	}
	return found
}

// overlap says whether a path matches both patterns.
func overlap(a, b string) bool {
	one, other := strings.Split(a, "/"), strings.Split(b, "/")
	for i := range max(len(one), len(other)) {
		if i >= len(one) || i >= len(other) {
			return false
		}
		if endless(one[i]) || endless(other[i]) {
			return true
		}
		if one[i] != other[i] && !wild(one[i]) && !wild(other[i]) {
			return false
		}
	}
	return true
}

func wild(segment string) bool { return strings.HasPrefix(segment, "{") && segment != "{$}" }

func endless(segment string) bool { return strings.HasSuffix(segment, "...}") }

// The search for collisions finds them, and only them.
func TestCollisions(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"/v1/cards", "/v1/cards", 1},
		{"/v1/cards/{id}", "/v1/cards/{number}", 1},
		{"/v1/cards/{id}", "/v1/cards/new", 1},
		{"/v1/{kind}/new", "/v1/cards/{id}", 1},
		{"/v1/{rest...}", "/v1/cards/new", 1},
		{"/v1/cards/{id}", "/v2/cards/{id}", 0},
		{"/v1/cards", "/v1/cards/{id}", 0},
		{"/v1/cards/{$}", "/v1/cards", 0},
		{"/v1/cards/{id}/hold", "/v1/cards/{id}/void", 0},
	} {
		route := func(dialect, path string) wire.Route {
			return wire.Route{Dialect: dialect, Spec: wire.Spec{Path: path}}
		}
		if got := collisions([]wire.Route{route("one", c.a), route("two", c.b)}); len(got) != c.want {
			t.Errorf("%s and %s: %v, want %d", c.a, c.b, got, c.want)
		}
		if got := collisions([]wire.Route{route("one", c.b), route("one", c.a)}); len(got) != 0 {
			t.Errorf("%s and %s of one dialect: %v", c.a, c.b, got)
		}
	}
}
