package wiretest

import (
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/core/fault"
)

// Contract is what CheckOpenAPI compares with a document.
type Contract struct {
	Routes []wire.Route
	Table  map[fault.Code]wire.Verdict
	// Data is the envelope's member that holds a response struct; empty without an envelope.
	Data string
	// ErrorCode is the dotted path of the dialect's code in an error's body, such
	// as "error.code"; empty where errors have none.
	ErrorCode string
}

// CheckOpenAPI proves that a document and a dialect say the same: the same
// operations, parameters, body and response members with compatible types and the
// same required flags, and the same error statuses and codes.
func CheckOpenAPI(t testing.TB, document []byte, c Contract) {
	t.Helper()
	for _, finding := range compare(Load(t, document), c) {
		t.Error(finding)
	}
}

func compare(d *Document, c Contract) []string {
	check := &checker{contract: c}
	operations := map[string]operation{}
	for _, op := range d.operations() {
		operations[op.method+" "+op.path] = op
	}
	for _, r := range c.Routes {
		key := r.Method + " " + strings.TrimSuffix(r.Path, "{$}")
		op, found := operations[key]
		delete(operations, key)
		if !found {
			check.add(key, "route is not in the document")
			continue
		}
		check.route(key, r, op)
	}
	for _, key := range slices.Sorted(maps.Keys(operations)) {
		check.add(key, "operation has no route")
	}
	check.codes(d)
	return check.findings
}

type checker struct {
	contract Contract
	findings []string
	codesOf  map[string]bool // dialect codes that the document names
}

func (c *checker) add(where, format string, args ...any) {
	c.findings = append(c.findings, where+": "+fmt.Sprintf(format, args...))
}

func (c *checker) route(key string, r wire.Route, op operation) {
	body := map[string]wire.Field{}
	parameters := map[string]wire.Field{}
	for _, f := range wire.RequestFields(r.In, r.Method) {
		if f.In == "body" {
			body[f.Name] = f
		} else {
			parameters[f.In+" "+f.Name] = f
		}
	}
	c.parameters(key, parameters, op)
	c.body(key, r, body, op)
	c.response(key, r, op)
	c.statuses(key, r, op)
}

func (c *checker) parameters(key string, fields map[string]wire.Field, op operation) {
	for _, p := range op.parameters() {
		if p.In != openapi3.ParameterInQuery && p.In != openapi3.ParameterInPath {
			continue
		}
		name := p.In + " " + p.Name
		f, found := fields[name]
		delete(fields, name)
		switch {
		case !found:
			c.add(key, "%s parameter is not read", name)
		case f.Required != p.Required:
			c.add(key, "%s: required is %t in the document, %t in the struct", name, p.Required, f.Required)
		case p.Schema != nil:
			c.types(key+" "+name, f.Type, p.Schema.Value, true)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		c.add(key, "%s parameter is not in the document", name)
	}
}

func (c *checker) body(key string, r wire.Route, fields map[string]wire.Field, op operation) {
	if r.Accept != "" {
		for media := range strings.SplitSeq(r.Accept, ", ") {
			if op.RequestBody == nil || op.RequestBody.Value.Content.Get(media) == nil {
				c.add(key, "document has no %s body", media)
			}
		}
		return
	}
	schema := op.body()
	switch {
	case schema == nil && len(fields) == 0:
	case schema == nil:
		c.add(key, "document has no JSON body, the struct has %d members", len(fields))
	default:
		c.members(key+" body", fields, schema, true)
	}
}

func (c *checker) response(key string, r wire.Route, op operation) {
	ref := op.Responses.Status(r.Status)
	if ref == nil {
		c.add(key, "document has no response %d", r.Status)
		return
	}
	if r.Status == http.StatusNoContent || r.Out == reflect.TypeFor[wire.File]() || r.Out == reflect.TypeFor[*wire.File]() {
		return
	}
	schema := jsonSchema(ref.Value.Content)
	if schema == nil {
		c.add(key, "response %d has no JSON schema", r.Status)
		return
	}
	if c.contract.Data != "" {
		data := properties(schema)[c.contract.Data]
		if data == nil {
			c.add(key, "response %d has no %s", r.Status, c.contract.Data)
			return
		}
		schema = data
	}
	c.types(key+" response", r.Out, schema, false)
}

// members compares a struct's members with an object schema's properties, both ways.
func (c *checker) members(where string, fields map[string]wire.Field, schema *openapi3.Schema, request bool) {
	documented, required := properties(schema), requiredOf(schema)
	for _, name := range slices.Sorted(maps.Keys(documented)) {
		f, found := fields[name]
		switch {
		case !found:
			c.add(where, "%s is not in the struct", name)
		case f.Required != required[name]:
			c.add(where, "%s: required is %t in the document, %t in the struct", name, required[name], f.Required)
		}
		if found {
			c.types(where+"."+name, f.Type, documented[name], request)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if documented[name] == nil {
			c.add(where, "%s is not in the document", name)
		}
	}
}

// maxNesting ends the walk of a recursive type.
const maxNesting = 10

// types compares a Go type with a schema, and walks into structs, lists and maps.
func (c *checker) types(where string, t reflect.Type, schema *openapi3.Schema, request bool) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	goType, documented := wire.TypeName(t), typesOf(schema)
	if !isCompatible(strings.Split(goType, "|"), documented, request) {
		c.add(where, "is %s in the document, %s in Go", strings.Join(documented, " or "), goType)
		return
	}
	if strings.Count(where, ".") > maxNesting || len(schema.OneOf)+len(schema.AnyOf) > 0 {
		return
	}
	switch {
	case !wire.IsOpaque(t):
		fields := map[string]wire.Field{}
		for _, f := range wire.ResponseFields(t) {
			if request {
				f.Required = requiredIn(t, f.Name)
			}
			fields[f.Name] = f
		}
		c.members(where, fields, schema, request)
	case goType == "array" && (t.Kind() == reflect.Slice || t.Kind() == reflect.Array) && schema.Items != nil:
		c.types(where+"[]", t.Elem(), schema.Items.Value, request)
	}
}

// requiredIn reports whether a request's nested struct demands a member.
func requiredIn(t reflect.Type, name string) bool {
	return slices.ContainsFunc(wire.RequestFields(t, http.MethodPost), func(f wire.Field) bool { return f.Name == name && f.Required })
}

// isCompatible: a request must take every documented type; a response must give only documented ones.
func isCompatible(goTypes, documented []string, request bool) bool {
	if len(documented) == 0 || slices.Contains(goTypes, "any") {
		return true
	}
	outer, inner := documented, goTypes
	if request {
		outer, inner = goTypes, documented
	}
	for _, t := range inner {
		if !slices.Contains(outer, t) && !(t == "integer" && slices.Contains(outer, "number")) {
			return false
		}
	}
	return true
}

func typesOf(schema *openapi3.Schema) []string {
	var types []string
	if schema.Type != nil {
		types = append(types, schema.Type.Slice()...)
	}
	for _, refs := range []openapi3.SchemaRefs{schema.AllOf, schema.OneOf, schema.AnyOf} {
		for _, ref := range refs {
			types = append(types, typesOf(ref.Value)...)
		}
	}
	slices.Sort(types)
	return slices.DeleteFunc(slices.Compact(types), func(t string) bool { return t == "null" })
}

func properties(schema *openapi3.Schema) map[string]*openapi3.Schema {
	found := map[string]*openapi3.Schema{}
	for name, ref := range schema.Properties {
		found[name] = ref.Value
	}
	for _, ref := range schema.AllOf {
		maps.Copy(found, properties(ref.Value))
	}
	return found
}

func requiredOf(schema *openapi3.Schema) map[string]bool {
	found := map[string]bool{}
	for _, name := range schema.Required {
		found[name] = true
	}
	for _, ref := range schema.AllOf {
		maps.Copy(found, requiredOf(ref.Value))
	}
	return found
}

// statuses: a documented error status must be one that the table can give.
func (c *checker) statuses(key string, r wire.Route, op operation) {
	for _, text := range slices.Sorted(maps.Keys(op.Responses.Map())) {
		status, err := strconv.Atoi(text)
		if err != nil || status < 400 {
			continue
		}
		given := false
		for _, v := range c.contract.Table {
			given = given || v.Status == status
		}
		if !given {
			c.add(key, "status %d is not in the error table", status)
			continue
		}
		c.collectCodes(op.Responses.Status(status).Value)
	}
}

// collectCodes notes the codes that an error response enumerates.
func (c *checker) collectCodes(response *openapi3.Response) {
	schema := jsonSchema(response.Content)
	if schema == nil || c.contract.ErrorCode == "" {
		return
	}
	for name := range strings.SplitSeq(c.contract.ErrorCode, ".") {
		if schema = properties(schema)[name]; schema == nil {
			return
		}
	}
	if c.codesOf == nil {
		c.codesOf = map[string]bool{}
	}
	for _, value := range schema.Enum {
		c.codesOf[fmt.Sprint(value)] = true
	}
}

// codes: the document and the table name the same codes.
func (c *checker) codes(d *Document) {
	if c.contract.ErrorCode == "" {
		return
	}
	table := map[string]bool{}
	for _, v := range c.contract.Table {
		table[v.Code] = true
	}
	for _, code := range slices.Sorted(maps.Keys(c.codesOf)) {
		if !table[code] {
			c.add(d.OpenAPI.Info.Title, "documented code %q is not in the error table", code)
		}
	}
	for _, code := range slices.Sorted(maps.Keys(table)) {
		if !c.codesOf[code] {
			c.add(d.OpenAPI.Info.Title, "code %q of the error table is not documented", code)
		}
	}
}

// CheckTable proves that a dialect's error table has a row for every code, and
// statuses that are errors.
func CheckTable(t testing.TB, table map[fault.Code]wire.Verdict) {
	t.Helper()
	for _, code := range fault.Codes() {
		if v, found := table[code]; !found {
			t.Errorf("the error table has no row for %s", code)
		} else if v.Status < 400 || v.Status > 599 {
			t.Errorf("%s has status %d", code, v.Status)
		}
	}
	for code := range table {
		if !slices.Contains(fault.Codes(), code) {
			t.Errorf("the error table has a row for the unknown code %s", code)
		}
	}
}
