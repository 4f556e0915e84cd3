package storage

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Statement is one registered SQL text. Beside $1… it may hold the words
// {lock} (FOR UPDATE where rows are locked) and {skip} (FOR UPDATE SKIP LOCKED);
// both vanish on SQLite, where one writer holds the whole database.
type Statement struct {
	name string
	text [2]string // by dialect
}

// Bulk is a statement over many rows at once: its {values} become a VALUES list.
type Bulk struct {
	name   string
	text   [2]string
	types  []string // per column, for PostgreSQL to prepare one row; empty: it infers them
	width  int      // parameters a row
	fixed  int      // parameters before the rows
	padded bool     // repeating a row changes nothing, so sizes are rounded up
	texts  sync.Map // bulkKey → expanded text
}

type bulkKey struct {
	dialect dialect
	rows    int
}

// registry holds every statement of the program, by name, for the test that prepares them all.
var registry = struct {
	sync.Mutex
	names map[string]func(d dialect) string
}{names: map[string]func(dialect) string{}}

func register(name string, text func(dialect) string) {
	registry.Lock()
	defer registry.Unlock()
	if _, twice := registry.names[name]; twice || name == "" {
		panic(fmt.Sprintf("storage: statement %q is registered twice or has no name", name))
	}
	registry.names[name] = text
}

// SQL registers a statement under a name such as "ledger.find_account".
func SQL(name, text string) *Statement {
	s := &Statement{name: name}
	for _, d := range []dialect{sqlite, postgres} {
		s.text[d] = d.words(text)
	}
	register(name, func(d dialect) string { return s.text[d] })
	return s
}

// Lookup registers a query or update whose {values} stand for rows of columns of
// the given PostgreSQL types. Repeating a row must not change what it does. Parameters
// beside the rows come first: as many as the highest $n in text.
func Lookup(name, text string, types ...string) *Bulk {
	b := &Bulk{name: name, types: types, width: len(types), padded: true, fixed: highestParameter(text)}
	return b.register(text)
}

// Insert registers an insert of rows with the given columns.
func Insert(name, table string, columns ...string) *Bulk {
	return insert(name, table, "", columns)
}

// Upsert registers an insert that, where a row with the same key exists, replaces every other column.
func Upsert(name, table string, key []string, columns ...string) *Bulk {
	var set []string
	for _, c := range columns {
		if !slices.Contains(key, c) {
			set = append(set, c+" = excluded."+c)
		}
	}
	return insert(name, table, " ON CONFLICT ("+strings.Join(key, ", ")+") DO UPDATE SET "+strings.Join(set, ", "), columns)
}

func insert(name, table, suffix string, columns []string) *Bulk {
	b := &Bulk{name: name, width: len(columns)}
	return b.register("INSERT INTO " + table + " (" + strings.Join(columns, ", ") + ") {values}" + suffix)
}

func (b *Bulk) register(text string) *Bulk {
	for _, d := range []dialect{sqlite, postgres} {
		b.text[d] = d.words(text)
	}
	register(b.name, func(d dialect) string { return b.expand(d, 1) })
	return b
}

// maxRows bounds one expanded statement; larger sets are cut.
const maxRows = 128

// expand returns the text for n rows, made once.
func (b *Bulk) expand(d dialect, n int) string {
	key := bulkKey{d, n}
	if text, ok := b.texts.Load(key); ok {
		return text.(string)
	}
	var values strings.Builder
	values.WriteString("VALUES ")
	parameter := b.fixed
	for row := range n {
		if row > 0 {
			values.WriteString(", ")
		}
		values.WriteByte('(')
		for column := range b.width {
			if column > 0 {
				values.WriteString(", ")
			}
			parameter++
			values.WriteString(b.parameter(d, row, column, parameter))
		}
		values.WriteByte(')')
	}
	text := strings.Replace(b.text[d], "{values}", values.String(), 1)
	b.texts.Store(key, text)
	return text
}

// parameter casts the first row on PostgreSQL, where a bare VALUES list would be text: that is
// what PrepareAll asks for, since rows travel as arrays. On SQLite it has no name, if it can: the
// engine looks every name up among all the others.
func (b *Bulk) parameter(d dialect, row, column, n int) string {
	if d == sqlite && b.fixed == 0 {
		return "?"
	}
	if d == postgres && row == 0 && len(b.types) > 0 {
		return "CAST($" + strconv.Itoa(n) + " AS " + b.types[column] + ")"
	}
	return "$" + strconv.Itoa(n)
}

// next returns the statement for as many of rows as it takes, and the rest.
func (b *Bulk) next(d dialect, fixed []any, rows [][]any) (text string, args []any, rest [][]any) {
	if d == postgres {
		take := min(len(rows), maxArray)
		text, args = b.arrays(fixed, rows[:take])
		return text, args, rows[take:]
	}
	take, written := b.size(len(rows))
	return b.expand(d, written), b.arguments(fixed, rows[:take], written), rows[take:]
}

// size returns how many of n rows the next statement takes, and for how many rows it is
// written: powers of two, so that few texts are ever prepared.
func (b *Bulk) size(n int) (take, written int) {
	if n >= maxRows {
		return maxRows, maxRows
	}
	written = 1
	for written < n {
		written *= 2
	}
	if written == n || b.padded {
		return n, written
	}
	return written / 2, written / 2
}

func highestParameter(text string) int {
	highest := 0
	for i := range len(text) {
		if text[i] != '$' {
			continue
		}
		end := i + 1
		for end < len(text) && text[end] >= '0' && text[end] <= '9' {
			end++
		}
		if n, err := strconv.Atoi(text[i+1 : end]); err == nil {
			highest = max(highest, n)
		}
	}
	return highest
}

// Statements returns the text of every registered statement by its name, in
// PostgreSQL's words and for one row where it takes rows. It is for tests.
func Statements() map[string]string { return texts(postgres) }

func texts(d dialect) map[string]string {
	registry.Lock()
	defer registry.Unlock()
	all := make(map[string]string, len(registry.names))
	for name, text := range registry.names {
		all[name] = text(d)
	}
	return all
}

// PrepareAll asks the engine to compile every registered statement of the program
// and returns what it refused. It runs none of them. Tests call it on both engines.
func PrepareAll(ctx context.Context, db *DB) error {
	all := texts(db.dialect)
	var refused []error
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if err := db.compile(ctx, all[name]); err != nil {
			refused = append(refused, fmt.Errorf("%s on %s: %w", name, db.Engine(), err))
		}
	}
	return errors.Join(refused...)
}

// compile has the engine read one text. What follows a first statement, and an empty
// text, SQLite would look at only when it runs: neither is let through.
func (db *DB) compile(ctx context.Context, text string) error {
	if strings.TrimSpace(text) == "" || strings.Contains(text, ";") {
		return errors.New("a text must be one statement, without a semicolon")
	}
	return db.reader.compile(ctx, text)
}
