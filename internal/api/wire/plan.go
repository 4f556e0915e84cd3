package wire

import (
	"encoding"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/plain"
)

// plan is how one request type is filled and checked, worked out once.
//
// Tags: `path:"id"` and `query:"page"` take a value from the URL; such a field
// also carries a json tag, `json:"-"` unless a method with a body may send it
// there (a field with both is read from the query only where there is no body).
// `wire:"required,max=64"` refuses the zero value, and text of more characters.
type plan struct {
	path, query []source
	checks      []check
	body        bool // some field is read from a body
}

// source is a field that is set from the URL.
type source struct {
	name  string
	index []int
	set   func(field reflect.Value, text string) error
	want  string // what the text must be, for whoever gave another
	many  bool
}

// check is what a wire tag asks of a field.
type check struct {
	name     string
	index    []int
	required bool
	max      int
}

type queryPolicy struct {
	refuseUnknown  bool
	firstOfRepeats bool
	// thorough names every parameter that is wrong, not the first one.
	thorough bool
}

// maxQuery bounds how many parameters are looked at.
const maxQuery = 64

func compile(t reflect.Type, method string, wildcards []string) (*plan, error) {
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("%s: want a struct", t)
	}
	if err := refuseFloats(t, nil); err != nil {
		return nil, err
	}
	p := &plan{}
	if err := p.walk(t, walked{method: method}); err != nil {
		return nil, err
	}
	for _, name := range wildcards {
		if !slices.ContainsFunc(p.path, func(s source) bool { return s.name == name }) {
			return nil, fmt.Errorf("%s: no field takes the path's {%s}", t, name)
		}
	}
	if len(p.query) > maxQuery {
		return nil, fmt.Errorf("%s: more than %d query fields", t, maxQuery)
	}
	if len(p.path) != len(wildcards) {
		return nil, fmt.Errorf("%s: a path tag names no wildcard of the path", t)
	}
	return p, nil
}

// walked is where in a request type the walk stands.
type walked struct {
	method string
	index  []int
	prefix string // of names, inside nested structs
}

func (p *plan) walk(t reflect.Type, at walked) error {
	for i := range t.NumField() {
		field := t.Field(i)
		inner := at
		inner.index = append(slices.Clone(at.index), i)
		if field.Anonymous && field.Type.Kind() == reflect.Struct && field.Tag.Get("json") == "" {
			if err := p.walk(field.Type, inner); err != nil {
				return err
			}
			continue
		}
		if !field.IsExported() {
			continue
		}
		if err := p.field(field, inner); err != nil {
			return fmt.Errorf("%s.%s: %w", t, field.Name, err)
		}
	}
	return nil
}

func (p *plan) field(field reflect.StructField, at walked) error {
	path, query := field.Tag.Get("path"), field.Tag.Get("query")
	tag, tagged := field.Tag.Lookup("json")
	name, _, _ := strings.Cut(tag, ",")
	name = strings.Trim(name, "'")
	inBody := takesBody(at.method) && name != "-"
	switch {
	case !tagged:
		return fmt.Errorf("no json tag")
	case path != "" && (query != "" || name != "-"):
		return fmt.Errorf(`a path field needs json:"-" and no query tag`)
	case (path != "" || query != "") && at.prefix != "":
		return fmt.Errorf("path and query fields must not be nested")
	case path != "":
		name = path
	case query != "" && !inBody:
		name = query
	case !inBody:
		return nil
	}
	if path == "" && inBody {
		p.body = true
	} else if err := p.source(field, at.index, path); err != nil {
		return err
	}
	if err := p.addCheck(field, at.prefix+name, at.index); err != nil {
		return err
	}
	if inBody && field.Type.Kind() == reflect.Struct && !marshals(field.Type) {
		at.prefix += name + "."
		return p.walk(field.Type, at)
	}
	return nil
}

func (p *plan) source(field reflect.StructField, index []int, path string) error {
	set, err := setter(field.Type)
	if err != nil {
		return err
	}
	s := source{name: path, index: index, set: set, want: wanted(field.Type)}
	if path != "" {
		p.path = append(p.path, s)
		return nil
	}
	s.name = field.Tag.Get("query")
	s.many = field.Type.Kind() == reflect.Slice
	p.query = append(p.query, s)
	return nil
}

// wanted says what text becomes a field of type t.
func wanted(t reflect.Type) string {
	if t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if hint, ok := reflect.Zero(t).Interface().(Hinter); ok {
		return hint.WireHint()
	}
	switch t.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return "must be an integer in range"
	case reflect.Bool:
		return "must be true or false"
	default:
		return "is not valid"
	}
}

func (p *plan) addCheck(field reflect.StructField, name string, index []int) error {
	tag := field.Tag.Get("wire")
	if tag == "" {
		return nil
	}
	c := check{name: name, index: index}
	for word := range strings.SplitSeq(tag, ",") {
		limit, isMax := strings.CutPrefix(word, "max=")
		n, err := strconv.Atoi(limit)
		switch {
		case word == "required":
			c.required = true
		case isMax && err == nil && n > 0 && field.Type.Kind() == reflect.String:
			c.max = n
		default:
			return fmt.Errorf("wire tag %q", tag)
		}
	}
	p.checks = append(p.checks, c)
	return nil
}

// check holds a filled request to its wire tags and adds every offending field that is not blamed already.
func (p *plan) check(value reflect.Value, problems *Problems) {
	for i := range p.checks {
		c := &p.checks[i]
		field := value.FieldByIndex(c.index)
		switch {
		case c.required && field.IsZero():
			problems.Once(c.name, "is required")
		case c.max > 0 && field.Len() > c.max && utf8.RuneCountInString(field.String()) > c.max:
			problems.Once(c.name, "must be at most "+strconv.Itoa(c.max)+" characters")
		}
	}
}

func (p *plan) setPath(value reflect.Value, r *http.Request) error {
	for i := range p.path {
		s := &p.path[i]
		text := r.PathValue(s.name)
		if !plain.LineBytes(text, 0, len(text)) || s.set(value.FieldByIndex(s.index), text) != nil {
			// A path that cannot name anything names nothing.
			kind := strings.TrimSuffix(strings.TrimSuffix(s.name, "_id"), "Id")
			return fault.New(fault.NotFound, "no such %s", kind)
		}
	}
	return nil
}

// setQuery reads the query in order, without building a map of it.
func (p *plan) setQuery(value reflect.Value, query string, policy queryPolicy) error {
	var seen uint64
	var problems Problems
	for count := 0; query != ""; count++ {
		if count == maxQuery {
			return fault.New(fault.InvalidRequest, "more than %d query parameters", maxQuery).At("query")
		}
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		if pair == "" {
			continue
		}
		var wrong Problems
		if err := p.setParameter(value, pair, policy, &seen); err != nil && !(policy.thorough && errors.As(err, &wrong)) {
			return err
		}
		problems = append(problems, wrong...)
	}
	return problems.Err()
}

// setParameter sets what one pair of the query names; seen are those that were set before.
func (p *plan) setParameter(value reflect.Value, pair string, policy queryPolicy, seen *uint64) error {
	rawName, rawText, _ := strings.Cut(pair, "=")
	name, err := url.QueryUnescape(rawName)
	if err != nil {
		return fault.New(fault.InvalidRequest, "the query is not well formed")
	}
	at := slices.IndexFunc(p.query, func(s source) bool { return s.name == name })
	if at < 0 {
		if policy.refuseUnknown {
			return unknownParameter(name)
		}
		return nil
	}
	s := &p.query[at]
	again := *seen&(1<<at) != 0 && !s.many
	*seen |= 1 << at
	switch {
	case again && policy.firstOfRepeats:
		return nil
	case again:
		return Problems{{Field: s.name, Message: "stands twice"}}.Err()
	}
	return s.fill(value, rawText)
}

func (s *source) fill(value reflect.Value, rawText string) error {
	text, err := url.QueryUnescape(rawText)
	if err == nil && !plain.LineBytes(text, 0, len(text)) {
		err = fmt.Errorf("not text")
	}
	// An empty parameter is an absent one, as forms send it.
	if err == nil && text != "" {
		err = s.set(value.FieldByIndex(s.index), text)
	}
	if err != nil {
		return Problems{{Field: s.name, Message: s.want}}.Err()
	}
	return nil
}

func unknownParameter(name string) error {
	if !isName(name) {
		name = "?"
	}
	return Problems{{Field: name, Message: "is not known"}}.Err()
}

// setter returns how text becomes a field of type t.
func setter(t reflect.Type) (func(reflect.Value, string) error, error) {
	if reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return setText, nil
	}
	switch t.Kind() {
	case reflect.String:
		return func(v reflect.Value, text string) error { v.SetString(text); return nil }, nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return setInt, nil
	case reflect.Bool:
		return setBool, nil
	case reflect.Pointer, reflect.Slice:
		return setElem(t)
	}
	return nil, fmt.Errorf("%s cannot be read from a URL", t)
}

func setText(v reflect.Value, text string) error {
	return v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text))
}

func setInt(v reflect.Value, text string) error {
	n, err := strconv.ParseInt(text, 10, v.Type().Bits())
	if err != nil || text[0] == '+' {
		return fmt.Errorf("not an integer")
	}
	v.SetInt(n)
	return nil
}

func setBool(v reflect.Value, text string) error {
	switch text {
	case "true", "1":
		v.SetBool(true)
	case "false", "0":
		v.SetBool(false)
	default:
		return fmt.Errorf("not a boolean")
	}
	return nil
}

func setElem(t reflect.Type) (func(reflect.Value, string) error, error) {
	set, err := setter(t.Elem())
	if err != nil {
		return nil, err
	}
	return func(v reflect.Value, text string) error {
		elem := reflect.New(t.Elem())
		if err := set(elem.Elem(), text); err != nil {
			return err
		}
		if t.Kind() == reflect.Pointer {
			v.Set(elem)
		} else {
			v.Set(reflect.Append(v, elem.Elem()))
		}
		return nil
	}, nil
}
