// Package study measures the fraud engine on data that others can get: it replays
// events, with labels that arrive late, through the code that serves, trains on some
// days and scores later ones, by published protocols.
//
// It must never let a label be known before its time, nor choose anything on a test.
package study

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"github.com/scripcards/scrip/internal/fraud/boost"
)

// Progress is told what goes on: a stage, and how much of it is done.
type Progress func(stage string, done, of int)

func (p Progress) tell(stage string, done, of int) {
	if p != nil {
		p(stage, done, of)
	}
}

// table reads a CSV file a row at a time, whatever it is packed with.
type table struct {
	lines  *bufio.Scanner
	close  func() error
	sum    hash.Hash
	fields []string
	row    int
}

// openTable opens a file that is plain, or packed with zstd or xz, and checks its header.
func openTable(path, header string) (*table, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	in := bufio.NewReader(f)
	unpacked, err := unpack(in)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
	}
	t := &table{close: f.Close, sum: sha256.New()}
	t.lines = bufio.NewScanner(io.TeeReader(unpacked, t.sum))
	if !t.lines.Scan() || strings.TrimSpace(t.lines.Text()) != header {
		return nil, errors.Join(fmt.Errorf("%s: want a CSV file with the header %s", path, header), f.Close())
	}
	return t, nil
}

// unpack tells by its first bytes how a file is packed.
func unpack(in *bufio.Reader) (io.Reader, error) {
	start, err := in.Peek(4)
	switch {
	case err != nil:
		return nil, err
	case string(start) == "\x28\xb5\x2f\xfd":
		return zstd.NewReader(in, zstd.WithDecoderConcurrency(1))
	case string(start) == "\xfd7zX":
		return xz.NewReader(in)
	}
	return in, nil
}

// next reads a row of so many fields; false at the end.
func (t *table) next(fields int) (bool, error) {
	if !t.lines.Scan() {
		return false, t.lines.Err()
	}
	t.row++
	t.fields = strings.Split(strings.TrimSpace(t.lines.Text()), ",")
	if len(t.fields) != fields {
		return false, fmt.Errorf("row %d has %d fields, not %d", t.row, len(t.fields), fields)
	}
	return true, nil
}

func (t *table) number(field int) (int64, error) {
	n, err := strconv.ParseInt(t.fields[field], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("row %d, field %d: %w", t.row, field+1, err)
	}
	return n, nil
}

// end closes the file and returns the SHA-256 of what was in it.
func (t *table) end() (string, error) {
	return hex.EncodeToString(t.sum.Sum(nil)), t.close()
}

// columns are the numbers of some rows, column by column.
type columns [][]float32

func (c columns) add(row []float32) {
	for i := range c {
		c[i] = append(c[i], row[i])
	}
}

// row copies one row.
func (c columns) row(i int, into []float32) {
	for k := range c {
		into[k] = c[k][i]
	}
}

// pick returns some rows.
func (c columns) pick(rows []int) columns {
	picked := make(columns, len(c))
	for k := range c {
		picked[k] = make([]float32, len(rows))
		for i, row := range rows {
			picked[k][i] = c[k][row]
		}
	}
	return picked
}

// fit trains on some rows.
func fit(ctx context.Context, c columns, labels []bool, rows []int) (*boost.Model, error) {
	positive := make([]bool, len(rows))
	for i, row := range rows {
		positive[i] = labels[row]
	}
	return boost.Train(ctx, boost.Table{Columns: c.pick(rows), Positive: positive}, params(len(c)), nil)
}

// params were chosen on the validation folds of the Handbook's data, and are used for all.
func params(width int) boost.Params {
	p := boost.Default()
	p.Trees, p.Leaves, p.Columns = 200, 12, 0.3
	if width < narrow { // a tree needs some to choose from
		p.Columns, p.Rows = 1, 1
	}
	return p
}

// narrow is how many columns are few.
const narrow = 30

// score returns the margins of some rows.
func score(m *boost.Model, c columns, rows []int) []float64 {
	margins, row := make([]float64, len(rows)), make([]float32, len(c))
	for i, at := range rows {
		c.row(at, row)
		margins[i] = m.Margin(row)
	}
	return margins
}

// Mean is the mean of measures; counts add up.
func Mean(all []Measures) (m Measures) {
	n := float64(max(len(all), 1))
	for _, one := range all {
		m.AveragePrecision += one.AveragePrecision / n
		m.AUC += one.AUC / n
		m.CardPrecision += one.CardPrecision / n
		m.Recall += one.Recall / n
		m.Events += one.Events
		m.Frauds += one.Frauds
	}
	return m
}
