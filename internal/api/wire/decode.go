package wire

import (
	"bytes"
	"errors"
	"net/http"
	"reflect"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/scripcards/scrip/internal/core/fault"
)

// MaxDepth bounds how deep a body may nest.
const MaxDepth = 32

// Raw is a JSON value kept as it was sent, such as a customer's metadata.
type Raw = jsontext.Value

// Marshal encodes v exactly as an answer is encoded.
func Marshal(v any) ([]byte, error) { return json.Marshal(v, encodeOptions) }

// Unmarshal decodes data under the rules for request bodies, ignoring unknown
// members. It returns fault.MalformedBody or fault.InvalidRequest.
func Unmarshal(data []byte, v any) error {
	if err := scan(data); err != nil {
		return err
	}
	return explain(json.Unmarshal(data, v))
}

// decodeInto fills in from the path, the query and the body. value is in, reflected.
func (s *Surface[P]) decodeInto(c *Call[P], in any, value reflect.Value) error {
	p := c.route.plan
	var problems Problems
	if c.route.Accept == "" {
		if err := s.noted(&problems, s.decodeBody(c, in)); err != nil {
			return err
		}
	}
	// After the body: a member can never replace a value of the path.
	if err := p.setPath(value, c.Request); err != nil {
		return err
	}
	policy := queryPolicy{refuseUnknown: s.Strict, firstOfRepeats: s.FirstOfRepeats, thorough: s.Thorough}
	if err := s.noted(&problems, p.setQuery(value, c.Request.URL.RawQuery, policy)); err != nil {
		return err
	}
	p.check(value, &problems)
	if checker, ok := in.(Checker); ok && (s.Thorough || len(problems) == 0) {
		checker.Check(&problems)
	}
	return problems.Err()
}

// noted keeps the fields that err blames and returns nil where the dialect goes on to look
// for more; any other error it returns.
func (s *Surface[P]) noted(problems *Problems, err error) error {
	var found Problems
	if !s.Thorough || !errors.As(err, &found) {
		return err
	}
	*problems = append(*problems, found...)
	return nil
}

func (s *Surface[P]) decodeBody(c *Call[P], in any) error {
	body := bytes.TrimLeft(c.Body, " \t\r\n")
	expects := c.route.plan.body
	switch {
	case !expects && (!s.Strict || len(body) == 0), len(body) == 0 && c.route.EmptyBody:
		return nil
	case len(body) == 0:
		return fault.New(fault.MalformedBody, "the body is empty")
	case !expects:
		in = &None{}
	}
	if err := scan(body); err != nil {
		return err
	}
	if body[0] != '{' {
		return notObject(c.Request.Header, body)
	}
	err := s.unmarshal(body, in)
	if err != nil && s.Thorough {
		return s.decodeRest(body, in, err)
	}
	return explain(err)
}

func (s *Surface[P]) unmarshal(body []byte, in any) error {
	return json.Unmarshal(body, in, json.RejectUnknownMembers(s.Strict))
}

// maxOffending bounds how many members of one body are found to be wrong.
const maxOffending = 16

// decodeRest names, after the member at which the decoder stopped with err, all others that
// it would have stopped at, and fills in from those that are right.
func (s *Surface[P]) decodeRest(body []byte, in any, err error) error {
	var members map[string]jsontext.Value
	if broken := json.Unmarshal(body, &members); broken != nil {
		return explain(broken) // further on, where the decoder did not come
	}
	var problems Problems
	for len(problems) < maxOffending && err != nil {
		var semantic *json.SemanticError
		if !errors.As(err, &semantic) || semantic.JSONPointer == "" {
			return explain(err)
		}
		problems = append(problems, problemAt(semantic, err))
		for token := range semantic.JSONPointer.Tokens() {
			delete(members, token)
			break
		}
		if body, err = json.Marshal(members, json.Deterministic(true)); err != nil {
			return err
		}
		reflect.ValueOf(in).Elem().SetZero()
		err = s.unmarshal(body, in)
	}
	return problems.Err()
}

// notObject tells JSON of another kind from what is no JSON at all, and says why that may be.
func notObject(h http.Header, body []byte) error {
	coding := h.Get("Content-Encoding")
	switch {
	case jsontext.Value(body).IsValid():
		return fault.New(fault.InvalidRequest, "the body must be a JSON object")
	case coding != "" && !strings.EqualFold(coding, "identity"):
		return fault.New(fault.MalformedBody, "the body is compressed: send it as it is, without Content-Encoding")
	case bytes.HasPrefix(body, []byte("\ufeff")):
		return fault.New(fault.MalformedBody, "the body begins with a byte order mark, which JSON does not have")
	}
	return fault.New(fault.MalformedBody, "the body is not valid JSON")
}

// scan refuses what the decoder would accept: nesting beyond MaxDepth, and the
// NUL character, which PostgreSQL cannot store.
func scan(body []byte) error {
	depth := 0
	for i := 0; i < len(body); i++ {
		switch body[i] {
		case '{', '[':
			if depth++; depth > MaxDepth {
				return fault.New(fault.MalformedBody, "the body nests deeper than %d", MaxDepth)
			}
		case '}', ']':
			depth--
		case '"':
			end, nul := skipString(body, i+1)
			if nul {
				return holdsNUL(body)
			}
			i = end
		}
	}
	return nil
}

// holdsNUL blames the first text of a body that holds the NUL character, or what comes before
// it and is no JSON.
func holdsNUL(body []byte) error {
	dec := jsontext.NewDecoder(bytes.NewReader(body))
	for {
		token, err := dec.ReadToken()
		if err != nil {
			return explain(err)
		}
		if token.Kind() == '"' && strings.ContainsRune(token.String(), 0) {
			field := fieldPath(dec.StackPointer())
			return fault.New(fault.InvalidRequest, "%s may not hold the NUL character", field).At(field)
		}
	}
}

// skipString returns the index of the quote that ends the string, and whether the string holds a NUL.
func skipString(body []byte, i int) (end int, nul bool) {
	for ; i < len(body) && body[i] != '"'; i++ {
		if body[i] != '\\' {
			continue
		}
		if i++; i+4 < len(body) && string(body[i:i+5]) == "u0000" {
			return i, true
		}
	}
	return i, false
}

// explain turns a decoder's error into a fault that names the field and never a value; nil into nil.
func explain(err error) error {
	var syntactic *jsontext.SyntacticError
	var semantic *json.SemanticError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, jsontext.ErrDuplicateName):
		return fault.New(fault.MalformedBody, "the body holds a name twice")
	case errors.As(err, &syntactic):
		return fault.New(fault.MalformedBody, "the body is not valid JSON at byte %d", syntactic.ByteOffset)
	case errors.As(err, &semantic):
		return Problems{problemAt(semantic, err)}.Err()
	}
	return fault.New(fault.MalformedBody, "the body is not valid JSON")
}

func problemAt(semantic *json.SemanticError, err error) Problem {
	if errors.Is(err, json.ErrUnknownName) {
		return Problem{Field: fieldPath(semantic.JSONPointer), Message: "is not known"}
	}
	return Problem{Field: fieldPath(semantic.JSONPointer), Message: demanded(semantic.GoType)}
}

// fieldPath writes a pointer as "merchant.mcc" or "items[2].code". A segment
// that does not look like a field's name came from the caller and is not echoed.
func fieldPath(pointer jsontext.Pointer) string {
	var path strings.Builder
	for token := range pointer.Tokens() {
		switch {
		case isIndex(token) && path.Len() > 0:
			path.WriteString("[" + token + "]")
			continue
		case !isName(token):
			token = "?"
		}
		if path.Len() > 0 {
			path.WriteByte('.')
		}
		path.WriteString(token)
	}
	if path.Len() == 0 {
		return "body"
	}
	return path.String()
}

func isIndex(token string) bool {
	return len(token) > 0 && len(token) <= 4 && strings.Trim(token, "0123456789") == ""
}

// isName accepts short identifiers; runs of digits could be a card number.
func isName(token string) bool {
	digits := 0
	for i := range len(token) {
		switch char := token[i]; {
		case char >= '0' && char <= '9':
			digits++
		case char == '_' || char >= 'a' && char <= 'z' || char >= 'A' && char <= 'Z':
		default:
			return false
		}
	}
	return token != "" && len(token) <= 40 && digits <= 6
}

// demanded says what a value must be that is for a Go type.
func demanded(t reflect.Type) string {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == nil {
		return "must be of another type"
	}
	if hint, ok := reflect.Zero(t).Interface().(Hinter); ok {
		return hint.WireHint()
	}
	return "must be " + expected(t)
}

// expected says in words what a Go type takes.
func expected(t reflect.Type) string {
	if t == reflect.TypeFor[[]byte]() {
		return "a string in base64"
	}
	kind, _, _ := strings.Cut(typeName(t), "|") // who may send another type, too, is told of the first
	switch kind {
	case "boolean":
		return "true or false"
	case "string":
		return "a valid string"
	case "integer":
		return "an integer in range"
	case "number":
		return "a plain number"
	case "array":
		return "an array"
	case "object":
		return "an object"
	}
	return "of another type"
}
