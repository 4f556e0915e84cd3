// Package policy is the document that says which one file may be uploaded with a form: S3's
// POST policy, written, read and held against the form that came.
//
// It promises that a form is accepted if it is signed, every condition holds, every field of
// the form has a condition, and the time is not over; everything else is refused as S3
// refuses it, down to the text. It reads no clock: times are the caller's.
package policy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"time"
)

// Limits of a document.
const (
	// MaxBytes bounds a document, as S3 bounds what comes before a file.
	MaxBytes      = 20 << 10
	maxConditions = 64
)

// Field is one field of a form. Names are compared without regard to case.
type Field struct{ Name, Value string }

// Document is a policy.
type Document struct {
	Expiration time.Time // in whole seconds
	Conditions []Condition
}

// Condition is what must hold of one field, or of the file.
type Condition struct {
	// Op is "eq", "starts-with" or "content-length-range".
	Op    string
	Field string // without "$"; empty for a range
	Value string
	// Min and Max are a range's, in bytes.
	Min, Max int64
}

// The operators.
const (
	Eq         = "eq"
	StartsWith = "starts-with"
	Range      = "content-length-range"
)

// Equal is the condition that a field has a value.
func Equal(field, value string) Condition { return Condition{Op: Eq, Field: field, Value: value} }

// Between is the condition that the file has so many bytes.
func Between(least, most int64) Condition { return Condition{Op: Range, Min: least, Max: most} }

// expirationForm is how an expiration is written; it is read in any precision.
const expirationForm = "2006-01-02T15:04:05Z"

// Text writes the document as JSON, spaced as most clients' libraries do it.
func (d Document) Text() string {
	parts := make([]string, len(d.Conditions))
	for i, c := range d.Conditions {
		parts[i] = c.text()
	}
	return `{"expiration": ` + quote(d.Expiration.UTC().Format(expirationForm)) + `, "conditions": [` + strings.Join(parts, ", ") + `]}`
}

func (c Condition) text() string {
	switch c.Op {
	case Eq:
		return "{" + quote(c.Field) + ": " + quote(c.Value) + "}"
	case Range:
		return fmt.Sprintf("[%s, %d, %d]", quote(Range), c.Min, c.Max)
	}
	return c.String()
}

// String shows the condition as a list, as S3 shows one that does not hold.
func (c Condition) String() string {
	if c.Op == Range {
		return fmt.Sprintf("[%s, %d, %d]", quote(Range), c.Min, c.Max)
	}
	return "[" + quote(c.Op) + ", " + quote("$"+c.Field) + ", " + quote(c.Value) + "]"
}

// quote writes a JSON string.
func quote(text string) string {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(text) // a string always encodes
	return strings.TrimSuffix(out.String(), "\n")
}

// Parse reads a document. It returns an InvalidPolicyDocument.
func Parse(text []byte) (Document, error) {
	if len(text) > MaxBytes {
		return Document{}, refuse(InvalidPolicyDocument, "Invalid Policy: it has more than %d bytes.", MaxBytes)
	}
	var raw map[string]any
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&raw); err != nil || decoder.More() {
		return Document{}, refuse(InvalidPolicyDocument, "Invalid Policy: Invalid JSON.")
	}
	expiration, ok := raw["expiration"].(string)
	at, err := time.Parse(time.RFC3339, expiration)
	if !ok || err != nil {
		return Document{}, refuse(InvalidPolicyDocument, "Invalid Policy: Invalid 'expiration' value: '%s'", expiration)
	}
	list, ok := raw["conditions"].([]any)
	if !ok || len(list) > maxConditions || len(raw) != 2 {
		return Document{}, refuse(InvalidPolicyDocument, "Invalid Policy: want an expiration and at most %d conditions.", maxConditions)
	}
	d := Document{Expiration: at}
	for _, one := range list {
		some, ok := conditions(one)
		if !ok {
			return Document{}, refuse(InvalidPolicyDocument, "Invalid Policy: Invalid Condition: %s", show(one))
		}
		d.Conditions = append(d.Conditions, some...)
	}
	return d, nil
}

func show(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		return ""
	}
	return string(text)
}

// conditions reads one element of the list: an object of fields and values, or a list of an
// operator and its operands.
func conditions(value any) ([]Condition, bool) {
	switch v := value.(type) {
	case map[string]any:
		for field, value := range v {
			text, ok := value.(string)
			return []Condition{Equal(field, text)}, ok && len(v) == 1 && field != ""
		}
	case []any:
		if len(v) != 3 {
			return nil, false
		}
		if op, ok := v[0].(string); ok && strings.EqualFold(op, Range) {
			least, one := whole(v[1])
			most, two := whole(v[2])
			return []Condition{Between(least, most)}, one && two && least <= most
		}
		op, one := v[0].(string)
		field, two := v[1].(string)
		text, three := v[2].(string)
		op = strings.ToLower(op)
		name, dollar := strings.CutPrefix(field, "$")
		return []Condition{{Op: op, Field: name, Value: text}}, one && two && three && dollar && name != "" && (op == Eq || op == StartsWith)
	}
	return nil, false
}

func whole(value any) (int64, bool) {
	number, ok := value.(json.Number)
	if !ok {
		return 0, false
	}
	n, err := number.Int64()
	return n, err == nil && n >= 0
}

// Size returns how many bytes the file may have. Without a condition there is no bound.
func (d Document) Size() (least, most int64) {
	most = math.MaxInt64
	for _, c := range d.Conditions {
		if c.Op == Range {
			least, most = max(least, c.Min), min(most, c.Max)
		}
	}
	return least, most
}

// needless are the fields that need no condition.
var needless = []string{fieldSignature, fieldPolicy, "file"}

// ignored begins the names of fields that nobody looks at.
const ignored = "x-ignore-"

// Check holds the document against a form at a time. It returns an AccessDenied that says
// what does not hold.
func (d Document) Check(form []Field, now time.Time) error {
	if !now.Before(d.Expiration) {
		return refuse(AccessDenied, "Invalid according to Policy: Policy expired.")
	}
	values := make(map[string]string, len(form))
	open := make(map[string]bool, len(form))
	for _, f := range form {
		name := strings.ToLower(f.Name)
		values[name], open[name] = f.Value, !strings.HasPrefix(name, ignored)
	}
	for _, name := range needless {
		delete(open, name)
	}
	for _, c := range d.Conditions {
		if c.Op == Range {
			continue
		}
		name := strings.ToLower(c.Field)
		if !c.holds(values, name) {
			return refuse(AccessDenied, "Invalid according to Policy: Policy Condition failed: %s", c)
		}
		delete(open, name)
	}
	for _, f := range form { // the first of the form, not of the map
		if open[strings.ToLower(f.Name)] {
			return refuse(AccessDenied, "Invalid according to Policy: Extra input fields: %s", strings.ToLower(f.Name))
		}
	}
	return nil
}

func (c Condition) holds(values map[string]string, name string) bool {
	value, there := values[name]
	if c.Op == StartsWith {
		return there && strings.HasPrefix(value, c.Value)
	}
	return there && value == c.Value
}
