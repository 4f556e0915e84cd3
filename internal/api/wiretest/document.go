// Package wiretest holds a dialect to its contract. It is for tests only.
//
// Run plays golden files: requests, the bytes they are answered with, and what
// they left behind. CheckOpenAPI compares routes, structs and error table with the
// OpenAPI document. FuzzSurface sends seeded hostile requests and asks for
// well-formed refusals. A Document validates single exchanges.
//
// Nothing in the binary may import it.
package wiretest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"

	"github.com/scripcards/scrip/spec"
)

// Document is a loaded OpenAPI document.
type Document struct {
	OpenAPI *openapi3.T
	routes  *http.ServeMux // of route
	base    string
}

// Published returns the document of a dialect that the program serves, and stops the test
// when there is none.
func Published(t testing.TB, dialect string) []byte {
	t.Helper()
	text, ok := spec.Document(dialect)
	if !ok {
		t.Fatalf("there is no %s/openapi.yaml", dialect)
	}
	return text
}

// Load reads a document, JSON or YAML, and stops the test when it is not valid.
// Only the path of its first server counts.
func Load(t testing.TB, data []byte) *Document {
	t.Helper()
	d, err := load(data)
	if err != nil {
		t.Fatalf("load OpenAPI document: %v", err)
	}
	return d
}

func load(data []byte) (*Document, error) {
	loader := openapi3.NewLoader()
	doc, err := loader.LoadFromData(data)
	if err != nil {
		return nil, err
	}
	if err := doc.Validate(loader.Context); err != nil {
		return nil, err
	}
	base, err := doc.Servers.BasePath()
	if err != nil {
		return nil, err
	}
	base = strings.TrimSuffix(base, "/")
	doc.Servers = nil
	if base != "" {
		doc.Servers = openapi3.Servers{{URL: base}}
	}
	d := &Document{OpenAPI: doc, routes: http.NewServeMux(), base: base}
	for _, o := range d.operations() {
		r := &routers.Route{Spec: doc, Path: strings.TrimPrefix(o.path, base), PathItem: o.item, Method: o.method, Operation: o.Operation}
		pattern := o.method + " " + o.path
		if strings.HasSuffix(pattern, "/") {
			pattern += "{$}" // that path alone, and not all below it
		}
		d.routes.Handle(pattern, &route{r})
	}
	return d, nil
}

// route is one operation, found as the server itself finds what handles a request.
type route struct{ *routers.Route }

func (*route) ServeHTTP(http.ResponseWriter, *http.Request) {}

// find returns the operation that a request is for, with its path's parameters, nil when there is none.
func (d *Document) find(r *http.Request) (*routers.Route, map[string]string) {
	handler, _ := d.routes.Handler(r)
	found, ok := handler.(*route)
	if !ok {
		return nil, nil
	}
	d.routes.ServeHTTP(httptest.NewRecorder(), r)
	params := map[string]string{}
	for part := range strings.SplitSeq(found.Path, "/") {
		if name, ok := strings.CutPrefix(part, "{"); ok {
			name = strings.TrimSuffix(name, "}")
			params[name] = r.PathValue(name)
		}
	}
	return found.Route, params
}

// Exchange is one request with its body, and its answer.
type Exchange struct {
	Request  *http.Request
	Body     []byte
	Response *httptest.ResponseRecorder
	// AnyMedia validates the request's body as JSON whatever its type says.
	AnyMedia bool
}

// Validate holds the answer, and the request if it succeeded, to the document.
// To an operation that the document does not have, any refusal is fine.
func (d *Document) Validate(e Exchange) error {
	request := e.Request.Clone(context.Background())
	request.Body = io.NopCloser(bytes.NewReader(e.Body))
	if e.AnyMedia && len(e.Body) > 0 {
		request.Header.Set("Content-Type", "application/json")
	}
	status := e.Response.Code
	if status >= 300 && status < 400 || request.Method == http.MethodHead {
		return nil
	}
	route, params := d.find(request)
	if route == nil {
		if status >= 400 && status < 500 {
			return nil
		}
		return fmt.Errorf("%s %s: status %d outside the document", request.Method, request.URL.Path, status)
	}
	options := &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true, SkipSettingDefaults: true}
	input := &openapi3filter.RequestValidationInput{Request: request, PathParams: params, Route: route, Options: options}
	if status < 300 {
		if err := openapi3filter.ValidateRequest(context.Background(), input); err != nil {
			return fmt.Errorf("accepted request: %w", err)
		}
	}
	response := &openapi3filter.ResponseValidationInput{RequestValidationInput: input, Status: status, Header: e.Response.Header(), Options: options}
	response.SetBodyBytes(e.Response.Body.Bytes())
	if err := openapi3filter.ValidateResponse(context.Background(), response); err != nil {
		return fmt.Errorf("response %d: %w", status, err)
	}
	return untold(route.Operation.Responses.Status(status), e.Response.Header())
}

// untold refuses a header that the document does not have, but for those that every answer
// may have: its name, and how it is to be read, kept and ended.
func untold(documented *openapi3.ResponseRef, sent http.Header) error {
	told := map[string]bool{"X-Request-Id": true, "Connection": true, "Content-Type": true, "Content-Length": true, "Cache-Control": true, "X-Content-Type-Options": true, "Content-Security-Policy": true}
	if documented != nil {
		for name := range documented.Value.Headers {
			told[http.CanonicalHeaderKey(name)] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(sent)) {
		if !told[name] {
			return fmt.Errorf("the header %s is not in the document", name)
		}
	}
	return nil
}

// operation is one operation of the document with its whole path.
type operation struct {
	method, path string
	item         *openapi3.PathItem
	*openapi3.Operation
}

// operations lists the document's operations in a stable order.
func (d *Document) operations() []operation {
	var list []operation
	for _, path := range d.OpenAPI.Paths.InMatchingOrder() {
		item := d.OpenAPI.Paths.Value(path)
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
			if op := item.GetOperation(method); op != nil {
				list = append(list, operation{method, d.base + path, item, op})
			}
		}
	}
	return list
}

// parameters are the operation's own and its path's.
func (o operation) parameters() []*openapi3.Parameter {
	var list []*openapi3.Parameter
	for _, refs := range []openapi3.Parameters{o.item.Parameters, o.Parameters} {
		for _, ref := range refs {
			list = append(list, ref.Value)
		}
	}
	return list
}

// body is the schema of the operation's JSON body, or nil.
func (o operation) body() *openapi3.Schema {
	if o.RequestBody == nil {
		return nil
	}
	return jsonSchema(o.RequestBody.Value.Content)
}

func jsonSchema(content openapi3.Content) *openapi3.Schema {
	media := content.Get("application/json")
	if media == nil {
		media = content.Get("application/problem+json")
	}
	if media == nil || media.Schema == nil {
		return nil
	}
	return media.Schema.Value
}
