package shell

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Cell is a value that people see as a text of its own.
type Cell struct {
	Text  string
	Value any
}

// Decimal is a number with so many decimals, and nothing to programs where it is none.
func Decimal(x float64, decimals int) Cell {
	c := Cell{Text: strconv.FormatFloat(x, 'f', decimals, 64)}
	if !math.IsNaN(x) && !math.IsInf(x, 0) {
		c.Value = json.Number(c.Text)
	}
	return c
}

// OrDefault is a setting, and nothing to programs where it is not set.
func OrDefault[T comparable](setting T) any {
	var unset T
	if setting == unset {
		return Cell{Text: "default"}
	}
	return setting
}

// Texts returns values as people see them: times in UTC, lists with spaces, nothing for what is not
// there.
func Texts(values []any) []string {
	texts := make([]string, len(values))
	for i, value := range values {
		texts[i] = text(value)
	}
	return texts
}

func text(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case Cell:
		return v.Text
	case time.Time:
		return text(moment(v))
	case fmt.Stringer:
		return v.String()
	}
	if list := reflect.ValueOf(value); list.Kind() == reflect.Slice {
		return strings.Join(Texts(elements(list)), " ")
	}
	return fmt.Sprint(value)
}

// typed returns a value as programs get it: numbers, booleans and lists as such, times in UTC,
// null for what is not there; and as a text what has one, amounts of money among it.
func typed(value any) any {
	switch v := value.(type) {
	case Cell:
		return typed(v.Value)
	case time.Time:
		return moment(v)
	case json.Number: // has a text, too
		return v
	case fmt.Stringer:
		return v.String()
	}
	list := reflect.ValueOf(value)
	if list.Kind() != reflect.Slice {
		return value
	}
	values := elements(list)
	for i := range values {
		values[i] = typed(values[i])
	}
	return values
}

func elements(list reflect.Value) []any {
	values := make([]any, list.Len())
	for i := range values {
		values[i] = list.Index(i).Interface()
	}
	return values
}

// moment is a time in RFC 3339, and nil for the zero one.
func moment(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format(time.RFC3339)
}

// Object is fields as JSON shows them, in their order.
type Object []Field

// MarshalJSON writes an object whose names are those of the fields, in lower case and without spaces.
func (o Object) MarshalJSON() ([]byte, error) {
	b := bytes.NewBufferString("{")
	encoder := json.NewEncoder(b)
	encoder.SetEscapeHTML(false)
	for i, f := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		name := strings.ReplaceAll(strings.ToLower(text(f[0])), " ", "_")
		if err := encoder.Encode(name); err != nil {
			return nil, err
		}
		b.WriteByte(':')
		if err := encoder.Encode(typed(f[1])); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}
