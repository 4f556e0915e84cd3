package wire

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
)

// Typed is a type that says which JSON type it is on the wire: "string",
// "integer", "number", "boolean", "object", "array", or several with a bar
// between where it accepts more than one.
type Typed interface{ WireType() string }

// Hinter is a type that says what a text must be to become one, after the field's name:
// "must be a plain number".
type Hinter interface{ WireHint() string }

// Field describes a member of a request or response struct, for tests that
// compare it with a contract.
type Field struct {
	Name     string
	In       string // "body", "query" or "path"
	Required bool   // a request refuses its absence; a response always has it
	Type     reflect.Type
}

// TypeName returns the JSON type of t in Typed's words.
func TypeName(t reflect.Type) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return typeName(t)
}

func typeName(t reflect.Type) string {
	if typed, ok := reflect.New(t).Interface().(Typed); ok {
		return typed.WireType()
	}
	switch {
	case t == reflect.TypeFor[Raw]():
		return "any"
	case reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextMarshaler]()), reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()):
		return "string"
	case marshals(t):
		return "any"
	}
	switch t.Kind() {
	case reflect.String:
		return "string"
	case reflect.Bool:
		return "boolean"
	case reflect.Struct, reflect.Map:
		return "object"
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			return "string"
		}
		return "array"
	case reflect.Interface:
		return "any"
	}
	return "integer"
}

// marshals reports whether t has a form of its own.
func marshals(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	return p.Implements(reflect.TypeFor[json.MarshalerTo]()) || p.Implements(reflect.TypeFor[json.Marshaler]()) ||
		p.Implements(reflect.TypeFor[json.UnmarshalerFrom]()) || p.Implements(reflect.TypeFor[json.Unmarshaler]()) ||
		p.Implements(reflect.TypeFor[encoding.TextMarshaler]()) || p.Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// IsOpaque reports whether t is one JSON value rather than a struct with fields.
func IsOpaque(t reflect.Type) bool {
	_, typed := reflect.New(t).Interface().(Typed)
	return typed || t.Kind() != reflect.Struct || marshals(t)
}

// RequestFields lists what a request struct reads for a method.
func RequestFields(t reflect.Type, method string) []Field {
	var fields []Field
	eachField(t, func(f reflect.StructField, name string) {
		field := Field{Name: name, In: "body", Type: f.Type}
		field.Required = slices.Contains(strings.Split(f.Tag.Get("wire"), ","), "required")
		switch {
		case f.Tag.Get("path") != "":
			field.Name, field.In, field.Required = f.Tag.Get("path"), "path", true
		case f.Tag.Get("query") != "" && (name == "-" || !takesBody(method)):
			field.Name, field.In = f.Tag.Get("query"), "query"
		case name == "-" || !takesBody(method):
			return
		}
		fields = append(fields, field)
	})
	return fields
}

// ResponseFields lists what a response struct, or a struct inside a request, holds.
func ResponseFields(t reflect.Type) []Field {
	var fields []Field
	eachField(t, func(f reflect.StructField, name string) {
		if name == "-" {
			return
		}
		_, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		omits := slices.ContainsFunc(strings.Split(options, ","), func(o string) bool { return o == "omitzero" || o == "omitempty" })
		fields = append(fields, Field{Name: name, In: "body", Required: !omits, Type: f.Type})
	})
	return fields
}

func eachField(t reflect.Type, visit func(f reflect.StructField, name string)) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && f.Type.Kind() == reflect.Struct && name == "":
			eachField(f.Type, visit)
		case f.IsExported():
			if name == "" {
				name = f.Name
			}
			visit(f, strings.Trim(name, "'"))
		}
	}
}

// refuseFloats finds a float anywhere in t, or an interface, which could hold one.
func refuseFloats(t reflect.Type, seen []reflect.Type) error {
	if slices.Contains(seen, t) || marshals(t) {
		return nil
	}
	seen = append(seen, t)
	switch t.Kind() {
	case reflect.Float32, reflect.Float64, reflect.Complex64, reflect.Complex128:
		return fmt.Errorf("%s: amounts and scores are never floats", t)
	case reflect.Interface:
		return fmt.Errorf("%s: use Raw or a struct", t)
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return refuseFloats(t.Elem(), seen)
	case reflect.Struct:
		for i := range t.NumField() {
			if err := refuseFloats(t.Field(i).Type, seen); err != nil {
				return fmt.Errorf("%s.%w", t.Field(i).Name, err)
			}
		}
	}
	return nil
}
