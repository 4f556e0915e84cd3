package e2e

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/scripcards/scrip/internal/api/wiretest"
)

// documented is an operation of a published contract.
type documented struct {
	dialect, id, method, path string
	asks                      string // the scope or duty that it says it needs; empty: any credential
	public                    bool
	parameters                []*openapi3.Parameter
	schema                    *openapi3.Schema // of the JSON body; nil: none
	example                   any
	media                     string // of a body that is not JSON
}

// operationsOf returns all operations of a dialect's document, those that only read first.
func (g *gate) operationsOf(dialect string) []documented {
	if g.documents[dialect] == nil {
		g.documents[dialect] = readOperations(g.t, dialect)
	}
	return g.documents[dialect]
}

func readOperations(t *testing.T, dialect string) []documented {
	t.Helper()
	document := wiretest.Load(t, wiretest.Published(t, dialect)).OpenAPI
	base, err := document.Servers.BasePath()
	if err != nil {
		t.Fatal(err)
	}
	var all []documented
	for path, item := range document.Paths.Map() {
		for method, op := range item.Operations() {
			d := documented{dialect: dialect, id: op.OperationID, method: method, path: strings.TrimSuffix(base, "/") + path,
				public: dialect == "cardcoins" || op.Security != nil && len(*op.Security) == 0}
			d.asks, _ = op.Extensions["x-scope"].(string)
			if duty, ok := op.Extensions["x-duty"].(string); ok {
				d.asks = duty
			}
			for _, p := range slices.Concat(item.Parameters, op.Parameters) {
				d.parameters = append(d.parameters, p.Value)
			}
			d.reads(op)
			all = append(all, d)
		}
	}
	slices.SortFunc(all, func(a, b documented) int {
		return strings.Compare(a.rank()+a.path+a.method, b.rank()+b.path+b.method)
	})
	return all
}

// reads takes over what an operation says of its body.
func (d *documented) reads(op *openapi3.Operation) {
	if op.RequestBody == nil {
		return
	}
	content := op.RequestBody.Value.Content
	media := content.Get("application/json")
	switch {
	case media == nil:
		d.media = slices.Sorted(maps.Keys(content))[0]
	case media.Schema != nil:
		d.schema, d.example = media.Schema.Value, media.Example
	}
}

func (d documented) rank() string {
	return fmt.Sprint(slices.Index([]string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}, d.method))
}

// things are ids, numbers and keys of what somebody has: by the name of a parameter or a
// member, or by that with the segment before it, as "webhooks/id".
type things map[string]string

// request is a call that fits the document, about things.
func (d documented) request(about things) exchanged {
	e := exchanged{method: d.method, path: d.path, headers: map[string]string{}}
	query := url.Values{}
	for _, p := range d.parameters {
		switch p.In {
		case openapi3.ParameterInPath:
			before, _, _ := strings.Cut(d.path, "/{"+p.Name+"}")
			value := about.value(before[strings.LastIndex(before, "/")+1:], p.Name, p.Schema.Value)
			e.path = strings.Replace(e.path, "{"+p.Name+"}", url.PathEscape(value), 1)
		case openapi3.ParameterInQuery:
			value, known := about[p.Name]
			switch {
			case p.Required && !known:
				query.Set(p.Name, about.value("", p.Name, p.Schema.Value))
			case known && p.Schema.Value.Enum != nil && !slices.Contains(p.Schema.Value.Enum, any(value)):
				query.Set(p.Name, fmt.Sprint(p.Schema.Value.Enum[0]))
			case known && !query.Has("cardNumber") && !(p.Name == "order_id" && d.dialect == "operator"):
				query.Set(p.Name, value)
			}
		}
	}
	if len(query) > 0 {
		e.path += "?" + query.Encode()
	}
	switch {
	case d.media != "":
		e.headers["Content-Type"], e.body = d.media, "x"
	case d.schema != nil:
		e.body = d.body(about)
	}
	return e
}

// body is the document's example, or what its schema demands, with what is known put in.
func (d documented) body(about things) string {
	members, _ := d.example.(map[string]any)
	members = maps.Clone(members)
	if members == nil {
		members = map[string]any{}
		for _, name := range d.schema.Required {
			members[name] = sample(d.schema.Properties[name].Value)
		}
	}
	for name := range d.schema.Properties {
		if value, known := about[name]; known && !(name == "key" && members["cardNumber"] != nil) {
			members[name] = value
		}
	}
	if members["cardNumber"] != nil {
		delete(members, "key") // one of them is wanted
	}
	text, err := json.Marshal(members)
	if err != nil {
		panic(err) // a document's example is JSON
	}
	return string(text)
}

func (about things) value(before, name string, schema *openapi3.Schema) string {
	for _, known := range []string{before + "/" + name, name} {
		if value := about[known]; value != "" {
			return value
		}
	}
	return fmt.Sprint(sample(schema))
}

// sample is a value that a schema allows, or nearly.
func sample(schema *openapi3.Schema) any {
	switch {
	case schema.Example != nil:
		return schema.Example
	case len(schema.Enum) > 0:
		return schema.Enum[0]
	case schema.Type.Is("integer"), schema.Type.Is("number"):
		return 1
	case schema.Type.Is("boolean"):
		return true
	case schema.Type.Is("array"):
		return []any{sample(schema.Items.Value)}
	case schema.Type.Is("object"):
		members := map[string]any{}
		for _, name := range schema.Required {
			members[name] = sample(schema.Properties[name].Value)
		}
		return members
	}
	return "x"
}

// heard is what came back.
type heard struct {
	status int
	header http.Header
	body   string
}

// changing is what differs between two answers that say the same.
var changing = regexp.MustCompile(`req_[0-9a-z]+|\d{4}-\d\d-\d\dT[0-9:.]+(Z|\+00:00)|"latency_ms":\d+|"newest_cursor":"[^"]*"`)

// plain is an answer without what tells it from its like: times, its request's id and what
// was asked for. Of a PDF, in which the time is packed, it is none: the same is asked for as JSON.
func (a heard) plain(about things) string {
	body := changing.ReplaceAllString(a.body, "…")
	if a.header.Get("Content-Type") == "application/pdf" {
		body = ""
	}
	names := slices.SortedFunc(maps.Keys(about), func(x, y string) int { return cmp.Or(len(about[y])-len(about[x]), strings.Compare(x, y)) })
	for _, name := range names {
		if len(about[name]) > 5 {
			body = strings.ReplaceAll(body, about[name], "«"+name+"»")
		}
	}
	return fmt.Sprintf("%d %s %s", a.status, a.header.Get("Content-Type"), body)
}

// dial sends a request and returns the answer, as from an address of its own behind a proxy.
func (g *gate) dial(e exchanged) heard {
	g.t.Helper()
	request, err := http.NewRequestWithContext(g.t.Context(), e.method, g.base+e.path, strings.NewReader(e.body))
	if err != nil {
		g.t.Fatal(err)
	}
	if e.body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	g.calls++
	request.Header.Set("X-Forwarded-For", fmt.Sprintf("2001:db8:%x:%x::1", g.calls>>16, g.calls&0xffff))
	for name, value := range e.headers {
		request.Header.Set(name, value)
	}
	response, err := g.client.RoundTrip(request)
	if err != nil {
		g.t.Fatalf("%s %s: %v", e.method, e.path, err)
	}
	defer func() { _ = response.Body.Close() }() // read to its end
	body, err := io.ReadAll(response.Body)
	if err != nil {
		g.t.Fatalf("%s %s: %v", e.method, e.path, err)
	}
	return heard{response.StatusCode, response.Header, string(body)}
}
