package call

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/scripcards/scrip/internal/core/fault"
)

// Limits of paths.
const (
	maxPath     = 256 // bytes
	maxSegments = 16
)

// Path leads to a value in an answer: "data.card.0.balance". A segment of digits is
// an index where it meets an array, and a name where it meets an object.
type Path []string

// ParsePath reads a dotted path. It returns the fault invalid_request for one that is
// empty, too long or deep, or has an empty segment.
func ParsePath(text string) (Path, error) {
	if text == "" || len(text) > maxPath {
		return nil, fault.New(fault.InvalidRequest, "a path has 1 to %d bytes", maxPath)
	}
	p := Path(strings.Split(text, "."))
	if len(p) > maxSegments {
		return nil, fault.New(fault.InvalidRequest, "a path has at most %d segments", maxSegments)
	}
	for _, segment := range p {
		if segment == "" {
			return nil, fault.New(fault.InvalidRequest, "a path has an empty segment")
		}
	}
	return p, nil
}

// Find returns the value that p leads to in a valid JSON text, and whether there is
// one. A null counts as none.
func (p Path) Find(value jsontext.Value) (jsontext.Value, bool) {
	for _, segment := range p {
		var ok bool
		switch value.Kind() {
		case '{':
			value, ok = member(value, segment)
		case '[':
			value, ok = element(value, segment)
		}
		if !ok {
			return nil, false
		}
	}
	return value, value.Kind() != 'n'
}

func member(object jsontext.Value, name string) (jsontext.Value, bool) {
	d := jsontext.NewDecoder(bytes.NewReader(object))
	if _, err := d.ReadToken(); err != nil {
		return nil, false
	}
	for d.PeekKind() == '"' {
		token, err := d.ReadToken()
		if err != nil {
			return nil, false
		}
		if token.String() == name {
			return next(d)
		}
		if d.SkipValue() != nil {
			return nil, false
		}
	}
	return nil, false
}

func element(array jsontext.Value, segment string) (jsontext.Value, bool) {
	index, err := strconv.ParseUint(segment, 10, 31)
	if err != nil {
		return nil, false
	}
	d := jsontext.NewDecoder(bytes.NewReader(array))
	if _, err := d.ReadToken(); err != nil {
		return nil, false
	}
	for ; index > 0; index-- {
		if d.PeekKind() == ']' || d.SkipValue() != nil {
			return nil, false
		}
	}
	if d.PeekKind() == ']' {
		return nil, false
	}
	return next(d)
}

// next returns the value that follows; the decoder's own memory is not kept.
func next(d *jsontext.Decoder) (jsontext.Value, bool) {
	value, err := d.ReadValue()
	if err != nil {
		return nil, false
	}
	return value.Clone(), true
}

// Text returns the text of a string, and a number, true and false as they are
// written. Objects and arrays have none.
func Text(value jsontext.Value) (string, bool) {
	switch value.Kind() {
	case '"':
		text, err := jsontext.AppendUnquote(nil, value)
		return string(text), err == nil
	case '0', 't', 'f':
		return string(bytes.TrimSpace(value)), true
	}
	return "", false
}
