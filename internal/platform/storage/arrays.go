package storage

import (
	"database/sql"
	"database/sql/driver"
	"strconv"
	"strings"
)

// maxArray bounds the rows of one statement on PostgreSQL.
const maxArray = 4096

// arrays returns b for PostgreSQL with its rows turned round: one array a column. One text
// serves any number of rows, and the server reads three parameters faster than three
// hundred. A column without a value has no array.
func (b *Bulk) arrays(fixed []any, rows [][]any) (text string, args []any) {
	args = append(make([]any, 0, len(fixed)+b.width), fixed...)
	kinds := make([]byte, b.width)
	for column := range b.width {
		array := newArray(rows, column)
		if kinds[column] = array.kind; array.kind != 0 {
			args = append(args, array.values())
		}
	}
	return b.arrayText(string(kinds)), args
}

// arrayText returns the text for columns of the given kinds, made once.
func (b *Bulk) arrayText(kinds string) string {
	if text, ok := b.texts.Load(kinds); ok {
		return text.(string)
	}
	var columns, params, names []string
	parameter := b.fixed
	for i, kind := range []byte(kinds) {
		name := "column" + strconv.Itoa(i+1)
		if kind == 0 {
			columns = append(columns, "NULL AS "+name)
			continue
		}
		parameter++
		params = append(params, "$"+strconv.Itoa(parameter)+"::"+arrayTypes[kind])
		columns, names = append(columns, name), append(names, name)
	}
	source := " FROM unnest(" + strings.Join(params, ", ") + ") AS rows(" + strings.Join(names, ", ") + ")"
	text := strings.Replace(b.text[postgres], "{values}", "SELECT "+strings.Join(columns, ", ")+source, 1)
	b.texts.Store(kinds, text)
	return text
}

var arrayTypes = map[byte]string{'t': "text[]", 'i': "bigint[]", 'b': "bytea[]"}

// array is one column of several rows.
type array struct {
	kind  byte // 't', 'i', 'b', or 0 while every value is nil
	holes bool // some are NULL
	texts []*string
	ints  []*int64
	bytes [][]byte
}

func newArray(rows [][]any, column int) *array {
	a := &array{}
	for _, row := range rows {
		a.add(plain(row[column]), len(rows))
	}
	return a
}

// add takes the next value; those before it that were nil are NULLs of its kind.
func (a *array) add(value any, n int) {
	switch v := value.(type) {
	case string:
		a.is('t', n)
		a.texts = append(a.texts, &v)
	case int64:
		a.is('i', n)
		a.ints = append(a.ints, &v)
	case []byte:
		a.is('b', n)
		if v == nil {
			v = []byte{}
		}
		a.bytes = append(a.bytes, v)
	case null:
		a.is(byte(v), n)
		a.hole()
	default:
		a.hole()
	}
}

// is settles the kind. Values that were nil before it are in all three.
func (a *array) is(kind byte, n int) {
	if a.kind != 0 {
		return
	}
	a.kind = kind
	switch kind {
	case 't':
		a.texts = append(make([]*string, 0, n), a.texts...)
	case 'i':
		a.ints = append(make([]*int64, 0, n), a.ints...)
	case 'b':
		a.bytes = append(make([][]byte, 0, n), a.bytes...)
	}
}

func (a *array) hole() {
	a.holes = true
	if a.kind == 't' || a.kind == 0 {
		a.texts = append(a.texts, nil)
	}
	if a.kind == 'i' || a.kind == 0 {
		a.ints = append(a.ints, nil)
	}
	if a.kind == 'b' || a.kind == 0 {
		a.bytes = append(a.bytes, nil)
	}
}

func (a *array) values() any {
	switch {
	case a.kind == 'b':
		return a.bytes
	case a.kind == 'i' && a.holes:
		return a.ints
	case a.kind == 'i':
		return whole(a.ints)
	case a.holes:
		return a.texts
	}
	return whole(a.texts)
}

func whole[T any](values []*T) []T {
	all := make([]T, len(values))
	for i, v := range values {
		all[i] = *v
	}
	return all
}

// null is a NULL whose kind is known.
type null byte

// plain returns value as a string, int64, []byte, null or nil.
func plain(value any) any {
	switch v := value.(type) {
	case string, int64, []byte, nil:
		return v
	case int:
		return int64(v)
	case sql.NullString:
		if !v.Valid {
			return null('t')
		}
		return v.String
	case sql.NullInt64:
		if !v.Valid {
			return null('i')
		}
		return v.Int64
	}
	converted, err := driver.DefaultParameterConverter.ConvertValue(value)
	if err != nil {
		return value // the driver will say what is wrong with it
	}
	if b, ok := converted.(bool); ok && b {
		return int64(1)
	} else if ok {
		return int64(0)
	}
	return converted
}
