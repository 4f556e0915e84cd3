package dump

import (
	"encoding/base64"
	"errors"
	"strconv"
	"unicode/utf8"

	"github.com/scripcards/scrip/internal/platform/storage"
)

// A row is one line of JSON: ["text",12,{"bytes":"base64"},null]. Text that is not UTF-8,
// which SQLite can hold, is {"text":"base64"}. Every row has exactly one spelling.
const (
	bytesOpen = `{"bytes":"`
	textOpen  = `{"text":"`
	wrapClose = `"}`
)

var errRow = errors.New("a row is malformed")

// appendRow writes a row with its line end. Values are nil, string, int64 or []byte.
func appendRow(buf []byte, row []any) ([]byte, error) {
	buf = append(buf, '[')
	for i, value := range row {
		if i > 0 {
			buf = append(buf, ',')
		}
		switch v := value.(type) {
		case nil:
			buf = append(buf, "null"...)
		case int64:
			buf = strconv.AppendInt(buf, v, 10)
		case string:
			buf = appendText(buf, v)
		case []byte:
			buf = appendWrapped(buf, bytesOpen, v)
		default:
			return nil, errRow
		}
	}
	return append(buf, ']', '\n'), nil
}

func appendWrapped(buf []byte, open string, raw []byte) []byte {
	buf = append(buf, open...)
	buf = base64.StdEncoding.AppendEncode(buf, raw)
	return append(buf, wrapClose...)
}

const hexDigits = "0123456789abcdef"

func appendText(buf []byte, text string) []byte {
	if !utf8.ValidString(text) {
		return appendWrapped(buf, textOpen, []byte(text))
	}
	buf = append(buf, '"')
	start := 0
	for i := range len(text) {
		c := text[i]
		if !escaped(c) {
			continue
		}
		buf = append(buf, text[start:i]...)
		start = i + 1
		if c == '"' || c == '\\' {
			buf = append(buf, '\\', c)
		} else {
			buf = append(buf, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	buf = append(buf, text[start:]...)
	return append(buf, '"')
}

func escaped(c byte) bool { return c < 0x20 || c == '"' || c == '\\' || c == 0x7f }

// parseRow reads what appendRow wrote, line end left out, and nothing else.
func parseRow(line []byte) ([]any, error) {
	p := &parser{rest: line}
	if !p.skip("[") {
		return nil, errRow
	}
	var row []any
	for !p.skip("]") {
		if len(row) == maxColumns || len(row) > 0 && !p.skip(",") {
			return nil, errRow
		}
		value, err := p.value()
		if err != nil {
			return nil, err
		}
		row = append(row, value)
	}
	if len(p.rest) > 0 {
		return nil, errRow
	}
	return row, nil
}

type parser struct{ rest []byte }

func (p *parser) skip(word string) bool {
	if len(p.rest) < len(word) || string(p.rest[:len(word)]) != word {
		return false
	}
	p.rest = p.rest[len(word):]
	return true
}

func (p *parser) value() (any, error) {
	switch {
	case p.skip("null"):
		return nil, nil
	case p.skip(bytesOpen):
		return p.wrapped()
	case p.skip(textOpen):
		raw, err := p.wrapped()
		if err != nil || utf8.Valid(raw) {
			return nil, errRow
		}
		return string(raw), nil
	case p.skip(`"`):
		return p.text()
	}
	return p.integer()
}

func (p *parser) wrapped() ([]byte, error) {
	end := 0
	for end < len(p.rest) && p.rest[end] != '"' {
		// The decoder ignores line ends, which would give a row a second spelling.
		if p.rest[end] == '\r' || p.rest[end] == '\n' {
			return nil, errRow
		}
		end++
	}
	raw := make([]byte, base64.StdEncoding.DecodedLen(end))
	n, err := base64.StdEncoding.Strict().Decode(raw, p.rest[:end])
	p.rest = p.rest[end:]
	if err != nil || !p.skip(wrapClose) {
		return nil, errRow
	}
	return raw[:n], nil
}

func (p *parser) text() (string, error) {
	var text []byte
	start := 0
	for i := 0; i < len(p.rest); i++ {
		c := p.rest[i]
		if !escaped(c) {
			continue
		}
		text = append(text, p.rest[start:i]...)
		if c == '"' {
			p.rest = p.rest[i+1:]
			if !utf8.Valid(text) {
				return "", errRow
			}
			return string(text), nil
		}
		plain, width := unescape(p.rest[i:])
		if width == 0 {
			return "", errRow
		}
		text = append(text, plain)
		i += width - 1
		start = i + 1
	}
	return "", errRow
}

// unescape reads one escape as appendText writes it; width 0 means it is none.
func unescape(text []byte) (plain byte, width int) {
	if len(text) >= 2 && text[0] == '\\' && (text[1] == '"' || text[1] == '\\') {
		return text[1], 2
	}
	if len(text) < 6 || string(text[:4]) != `\u00` {
		return 0, 0
	}
	for c := range 0x80 {
		b := byte(c)
		if escaped(b) && b != '"' && b != '\\' && text[4] == hexDigits[b>>4] && text[5] == hexDigits[b&15] {
			return b, 6
		}
	}
	return 0, 0
}

func (p *parser) integer() (any, error) {
	end := 0
	for end < len(p.rest) && p.rest[end] != ',' && p.rest[end] != ']' {
		end++
	}
	text := string(p.rest[:min(end, 21)])
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || strconv.FormatInt(n, 10) != text || end > 20 {
		return nil, errRow
	}
	p.rest = p.rest[end:]
	return n, nil
}

// isOf reports whether a value may stand in a column of the type; null may everywhere,
// where the schema does not forbid it.
func isOf(value any, kind storage.ColumnType) bool {
	switch value.(type) {
	case nil:
		return true
	case string:
		return kind == storage.TextColumn
	case int64:
		return kind == storage.IntegerColumn
	}
	return kind == storage.BytesColumn
}
