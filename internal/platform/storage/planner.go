package storage

import (
	"context"
	"slices"
	"strconv"
	"strings"
)

// Told nothing, SQLite's planner takes ten rows for all that a customer has, and reads them
// rather than look into an index. What it would find out by itself changes with what is stored,
// and so would the plans. It is told instead, of every index, how many rows each column more
// leaves where tables have grown: powers of two, of which only the order matters.
const (
	rowsOfTable   = 1 << 24
	rowsOfPart    = 1 << 22 // of an index that has some of a table's rows
	rowsLeft      = 1 << 6  // at the least, unless it is one
	wordsOfColumn = 1 << 1
	fewOfOwner    = 1 << 4
	owners        = 1 << 10
	values        = 1 << 20
)

// different returns how many values a column has among the rows that those before it leave.
func different(column string) int {
	switch column {
	case "realm", "state", "status", "kind", "type", "chain", "node":
		return wordsOfColumn
	case "endpoint_id":
		return fewOfOwner
	case "book_id", "account_id", "buyer", "item_code":
		return owners
	}
	return values
}

// statistic is a row of SQLite's own table of statistics.
type statistic struct{ table, index, text string }

// keyColumn is a column of an index, in the order of its columns.
type keyColumn struct {
	table, index, column string
	unique, partial      bool
}

const (
	listKeyColumns = `SELECT m.name, l.name, COALESCE(i.name, ''), l."unique", l.partial FROM sqlite_schema m, pragma_index_list(m.name) l, pragma_index_info(l.name) i
		WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite\_%' ESCAPE '\' ORDER BY m.name, l.name, i.seqno`
	listStatistics  = `SELECT tbl, COALESCE(idx, ''), stat FROM sqlite_stat1 ORDER BY tbl, idx`
	insertStatistic = `INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES ($1, $2, $3)`
	// useStatistics makes the table of statistics and has the connection read it. Others read it
	// with the schema, which is another one once the table was made anew.
	useStatistics  = `ANALYZE sqlite_schema`
	dropStatistics = `DROP TABLE IF EXISTS sqlite_stat1`
)

// tellPlanner tells SQLite's planner of the indexes that there are, if it does not know.
func (tx *Tx) tellPlanner(ctx context.Context) error {
	if tx.dialect != sqlite {
		return nil
	}
	told, err := tx.statistics(ctx)
	if err != nil && !isMissingTable(err) {
		return err
	}
	var columns []keyColumn
	err = eachText(ctx, tx, listKeyColumns, func(rows Rows) error {
		var c keyColumn
		columns = append(columns, c)
		at := &columns[len(columns)-1]
		return rows.Scan(&at.table, &at.index, &at.column, &at.unique, &at.partial)
	})
	if err != nil {
		return err
	}
	wanted := statisticsOf(columns)
	if slices.Equal(told, wanted) {
		return nil
	}
	calls := []call{{text: dropStatistics}, {text: useStatistics}}
	for _, s := range wanted {
		calls = append(calls, call{text: insertStatistic, args: []any{s.table, s.index, s.text}})
	}
	_, err = tx.conn.exec(ctx, append(calls, call{text: useStatistics})...)
	return err
}

func (tx *Tx) statistics(ctx context.Context) (told []statistic, err error) {
	err = eachText(ctx, tx, listStatistics, func(rows Rows) error {
		var s statistic
		err := rows.Scan(&s.table, &s.index, &s.text)
		told = append(told, s)
		return err
	})
	return told, err
}

// statisticsOf returns what the planner is told of the indexes that have columns.
func statisticsOf(columns []keyColumn) []statistic {
	var all []statistic
	for len(columns) > 0 {
		c := columns[0]
		next := slices.IndexFunc(columns, func(other keyColumn) bool { return other.table != c.table || other.index != c.index })
		if next < 0 {
			next = len(columns)
		}
		all = append(all, statistic{c.table, c.index, estimate(columns[:next])})
		columns = columns[next:]
	}
	return all
}

// estimate says how many rows an index has, and each of its columns leaves. The last word keeps
// the planner from trying all values of a first column that it is not given.
func estimate(index []keyColumn) string {
	left := rowsOfTable
	if index[0].partial {
		left = rowsOfPart
	}
	words := []string{strconv.Itoa(left)}
	for _, c := range index {
		left = max(rowsLeft, left/different(c.column))
		words = append(words, strconv.Itoa(left))
	}
	if index[0].unique {
		words[len(words)-1] = "1"
	}
	return strings.Join(append(words, "noskipscan"), " ")
}

// Plans returns how the engine would run every registered statement, by name. PostgreSQL's plans
// are of a database that has nothing, and serve whatever is asked for. It is for tests.
func Plans(ctx context.Context, db *DB) (map[string][]string, error) {
	plans := map[string][]string{}
	if r, ok := db.reader.(*postgresReader); ok {
		return plans, r.plan(ctx, plans)
	}
	for name, text := range texts(sqlite) {
		nothing := make([]any, max(highestParameter(text), strings.Count(text, "?")))
		rows, err := db.reader.query(ctx, "EXPLAIN QUERY PLAN "+text, nothing)
		if err != nil {
			return nil, err
		}
		plans[name], err = collect(rows, scanStep, name)
		if err != nil {
			return nil, err
		}
	}
	return plans, nil
}

func scanStep(r Row) (step string, err error) {
	var id, parent, unused int
	err = r.Scan(&id, &parent, &unused, &step)
	return step, err
}

func (r *postgresReader) plan(ctx context.Context, plans map[string][]string) error {
	tx, err := r.pool.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // it wrote nothing
	if _, err := tx.ExecContext(ctx, "SET LOCAL plan_cache_mode TO force_generic_plan"); err != nil {
		return err
	}
	for name, text := range texts(postgres) {
		if _, err := tx.ExecContext(ctx, "PREPARE planned AS "+text); err != nil {
			return wrap(name, err)
		}
		explain := "EXPLAIN (COSTS OFF) EXECUTE planned"
		if n := highestParameter(text); n > 0 {
			explain += " (" + strings.Join(slices.Repeat([]string{"NULL"}, n), ", ") + ")"
		}
		rows, err := frozen{tx}.query(ctx, explain, nil)
		if err != nil {
			return wrap(name, err)
		}
		if plans[name], err = collect(rows, Scalar[string], name); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "DEALLOCATE planned"); err != nil {
			return wrap(name, err)
		}
	}
	return nil
}
