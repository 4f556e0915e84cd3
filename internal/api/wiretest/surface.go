package wiretest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/scripcards/scrip/internal/api/wire"
)

// Attack is what FuzzSurface sends and expects.
type Attack struct {
	Document []byte
	Handler  http.Handler
	// Seed makes a run repeatable; a failure names it.
	Seed uint64
	// Rounds is how many requests each operation gets; zero means 100.
	Rounds int
	// Prepare may add credentials or a signature.
	Prepare func(r *http.Request, body []byte)
	// AnyMedia holds for dialects that ignore the Content-Type.
	AnyMedia bool
	// Allowed lists statuses of 500 and above that are no mistake, such as 503
	// where a counterparty is missing.
	Allowed []int
}

// FuzzSurface sends every operation of a document seeded random and hostile
// requests: wrong types, missing members, huge and deep bodies, invalid UTF-8,
// names that stand twice, wrong methods, long headers, bad escapes. No answer may
// be a 5xx; every refusal must be well-formed JSON, and fit the document.
func FuzzSurface(t testing.TB, a Attack) {
	t.Helper()
	document := Load(t, a.Document)
	if a.Rounds == 0 {
		a.Rounds = 100
	}
	operations := document.operations()
	for i, op := range operations {
		g := &generator{Rand: rand.New(rand.NewPCG(a.Seed, uint64(i)))}
		for round := range a.Rounds {
			request, body := g.request(op)
			if err := a.send(document, request, body); err != nil {
				t.Errorf("seed %d, %s %s, round %d: %v\n%s", a.Seed, op.method, op.path, round, err, describe(request, body))
			}
		}
	}
}

func (a Attack) send(document *Document, r *http.Request, body []byte) error {
	if a.Prepare != nil {
		a.Prepare(r, body)
	}
	w := httptest.NewRecorder()
	a.Handler.ServeHTTP(w, r)
	if w.Code >= 500 && !slices.Contains(a.Allowed, w.Code) {
		return fmt.Errorf("status %d: %s", w.Code, w.Body)
	}
	if w.Code < 400 {
		return nil
	}
	if media := w.Header().Get("Content-Type"); media != "application/json" && media != "application/problem+json" {
		return fmt.Errorf("status %d as %q", w.Code, media)
	}
	if r.Method != http.MethodHead && !wire.Raw(w.Body.Bytes()).IsValid() {
		return fmt.Errorf("status %d with a body that is not JSON: %q", w.Code, w.Body)
	}
	return document.Validate(Exchange{Request: r, Body: body, Response: w, AnyMedia: a.AnyMedia})
}

// describe shows a request in a failure, cut short.
func describe(r *http.Request, body []byte) string {
	if len(body) > 500 {
		body = append(slices.Clone(body[:500]), "…"...)
	}
	return fmt.Sprintf("%s %.300s\n%q", r.Method, r.URL.RequestURI(), body)
}

// generator makes requests of one operation.
type generator struct{ *rand.Rand }

func (g *generator) chance(percent int) bool { return g.IntN(100) < percent }

// request makes one request: mostly near the schema, with a few things wrong.
func (g *generator) request(op operation) (*http.Request, []byte) {
	method, body := op.method, g.body(op)
	path, query := g.target(op)
	if g.chance(4) {
		method = pick(g, []string{"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "FOO"})
	}
	r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
	r.Method = method
	r.URL = &url.URL{Path: path, RawQuery: query}
	r.RequestURI = r.URL.RequestURI()
	r.Header.Set("Content-Type", "application/json")
	switch g.IntN(20) {
	case 0:
		r.Header.Set("Content-Type", pick(g, []string{"", "text/plain", "application/x-www-form-urlencoded", ";;;", "application/json; charset=utf-16"}))
	case 1:
		r.Header.Set("X-Request-Id", strings.Repeat("x", 5000))
	case 2:
		r.Header.Set("X-Forwarded-For", strings.Repeat("1.2.3.4,", 500)+"junk")
	case 3:
		r.ContentLength = -1
	case 4:
		r.Header.Set("Idempotency-Key", g.text())
		r.Header.Set("X-Idempotency-Key", strings.Repeat("k", 300))
	}
	return r, body
}

// target fills the path's wildcards and the query.
func (g *generator) target(op operation) (path, query string) {
	path = op.path
	var pairs []string
	for _, p := range op.parameters() {
		var schema *openapi3.Schema
		if p.Schema != nil {
			schema = p.Schema.Value
		}
		switch {
		case p.In == openapi3.ParameterInPath:
			text := strings.ReplaceAll(g.plain(schema), "/", "_")
			if text == "" || strings.Trim(text, ".") == "" {
				text = "x"
			}
			path = strings.Replace(path, "{"+p.Name+"}", text, 1)
		case p.In == openapi3.ParameterInQuery && (p.Required || g.chance(60)):
			pairs = append(pairs, url.QueryEscape(p.Name)+"="+url.QueryEscape(g.plain(schema)))
		}
	}
	switch g.IntN(20) {
	case 0:
		pairs = append(pairs, "%zz=1", "a=%", "=", "&&")
	case 1:
		pairs = append(pairs, pairs...)
	case 2:
		pairs = append(pairs, strings.Repeat("q=1&", 200))
	case 3:
		pairs = append(pairs, "x="+strings.Repeat("9", 10_000))
	}
	return path, strings.Join(pairs, "&")
}

// plain is the text of a value outside JSON.
func (g *generator) plain(schema *openapi3.Schema) string {
	text := g.value(schema, 0)
	if unquoted, err := strconv.Unquote(text); err == nil {
		return unquoted
	}
	return strings.Trim(text, `"`)
}

// body makes a JSON body and sometimes spoils it.
func (g *generator) body(op operation) []byte {
	schema := op.body()
	if schema == nil {
		if g.chance(80) {
			return nil
		}
		schema = &openapi3.Schema{}
	}
	text := g.value(schema, 0)
	switch g.IntN(24) {
	case 0:
		return nil
	case 1:
		return []byte(text[:g.IntN(len(text))])
	case 2:
		return []byte(text + text)
	case 3:
		return []byte(strings.Repeat(`{"a":`, 5000) + "1" + strings.Repeat("}", 5000))
	case 4:
		return []byte(strings.Repeat("[", 100_000))
	case 5:
		return []byte(`{"a":"` + strings.Repeat("x", 2<<20) + `"}`)
	case 6:
		return []byte(strings.ReplaceAll(text, `"`, "\"\xff"))
	case 7: // every name twice
		return []byte(strings.TrimSuffix(text, "}") + "," + strings.TrimPrefix(text, "{"))
	case 8:
		return []byte(pick(g, []string{"null", "[]", "true", `"x"`, "0", "{}", "[{}]", "\x00", "{\"\":1}", "\ufeff{}", "1e999", "{'a':1}"}))
	case 9:
		raw := make([]byte, g.IntN(64))
		for i := range raw {
			raw[i] = byte(g.Uint32())
		}
		return raw
	}
	return []byte(text)
}

const maxGenerated = 6 // depth

// value is a JSON text for schema, wrong about one time in eight.
func (g *generator) value(schema *openapi3.Schema, depth int) string {
	if schema == nil || depth > maxGenerated || g.chance(12) {
		return g.hostile()
	}
	if choices := slices.Concat(schema.OneOf, schema.AnyOf); len(choices) > 0 {
		return g.value(pick(g, choices).Value, depth+1)
	}
	if len(schema.Enum) > 0 && g.chance(80) {
		return quote(pick(g, schema.Enum))
	}
	if schema.Example != nil && g.chance(50) {
		if text, isText := schema.Example.(string); isText {
			return quote(text)
		}
	}
	types := typesOf(schema)
	if len(types) == 0 {
		types = []string{"object"}
	}
	switch pick(g, types) {
	case "object":
		return g.object(schema, depth)
	case "array":
		var items []string
		for range g.IntN(4) {
			if schema.Items != nil {
				items = append(items, g.value(schema.Items.Value, depth+1))
			}
		}
		return "[" + strings.Join(items, ",") + "]"
	case "integer":
		return strconv.Itoa(g.IntN(200) - 20)
	case "number":
		return pick(g, []string{"0", "10.00", "47.50", "-1", "0.001", "5000", "1e3", "99999999999.99"})
	case "boolean":
		return pick(g, []string{"true", "false"})
	}
	return quote(g.text())
}

func (g *generator) object(schema *openapi3.Schema, depth int) string {
	documented := properties(schema)
	var members []string
	for _, name := range sortedNames(documented) {
		if g.chance(85) {
			members = append(members, quote(name)+":"+g.value(documented[name], depth+1))
		}
	}
	if g.chance(10) {
		members = append(members, quote(g.text())+":"+g.hostile())
	}
	return "{" + strings.Join(members, ",") + "}"
}

func (g *generator) text() string {
	return pick(g, []string{"", "x", "USD", "100", "0.01", "'; DROP TABLE x; --", "é漢字🎁", "../../etc/passwd", "<script>", "a\nb", "\u202e", "%00", "%s%n",
		"card_00000000000000000000000000", "4111111111111111", "2026-01-01T00:00:00Z", strings.Repeat("A", 300), strings.Repeat("é", 5000)})
}

func (g *generator) hostile() string {
	return pick(g, []string{"null", "true", "0", "-1", "1.5", "1e400", "9223372036854775808", "-9223372036854775809", `""`, `"\u0000"`, `"\ud800"`, "[]", "{}", `[null]`, `{"a":{"b":[1]}}`,
		quote(g.text()), strings.Repeat("9", 400)})
}

func pick[T any](g *generator, from []T) T { return from[g.IntN(len(from))] }

func sortedNames(m map[string]*openapi3.Schema) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// quote writes a value as JSON.
func quote(value any) string {
	text, isText := value.(string)
	if !isText {
		return fmt.Sprint(value)
	}
	quoted, err := wire.Marshal(text)
	if err != nil {
		return `""`
	}
	return string(quoted)
}
