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
	if finite(x) {
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
	switch v := pointed(value).(type) {
	case nil:
		return ""
	case Cell:
		return v.Text
	case time.Time:
		return text(moment(v))
	case error:
		return v.Error()
	case fmt.Stringer:
		return v.String()
	default:
		if list := reflect.ValueOf(v); list.Kind() == reflect.Slice {
			return strings.Join(Texts(elements(list)), " ")
		}
		return fmt.Sprint(v)
	}
}

// typed returns a value as programs get it: numbers, booleans and lists as such, times in UTC,
// null for what is not there or no number; and as a text what has one, amounts of money among it.
func typed(value any) any {
	switch v := pointed(value).(type) {
	case Cell:
		return typed(v.Value)
	case time.Time:
		return moment(v)
	case json.Number: // has a text, too
		return v
	case error:
		return v.Error()
	case fmt.Stringer:
		return v.String()
	default:
		return plainly(v)
	}
}

// plainly returns a value that has no text of its own as programs get it.
func plainly(value any) any {
	v := reflect.ValueOf(value)
	switch {
	case v.Kind() == reflect.Slice:
		values := elements(v)
		for i := range values {
			values[i] = typed(values[i])
		}
		return values
	case v.CanFloat() && !finite(v.Float()):
		return nil
	}
	return value
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// pointed returns what a pointer points to, and nil for a nil one. A pointer stays where the
// text is its own.
func pointed(value any) any {
	p := reflect.ValueOf(value)
	if p.Kind() != reflect.Pointer {
		return value
	}
	if p.IsNil() {
		return nil
	}
	to := p.Elem().Interface()
	if speaks(value) && !speaks(to) {
		return value
	}
	return pointed(to)
}

func speaks(value any) bool {
	switch value.(type) {
	case error, fmt.Stringer:
		return true
	}
	return false
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
