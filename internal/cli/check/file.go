package check

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/cli/shell"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/plain"
)

// perRequest is how many checks a request may have.
const perRequest = 100

func (p *program) pingFile(cmd *cobra.Command, to *service, f *pinging) error {
	all, err := f.rows(cmd)
	if err != nil {
		return err
	}
	report := newPingReport(cmd, p.Output)
	bar := shell.NewBarOf(cmd, "check", int64(len(all)))
	for batch := range slices.Chunk(all, perRequest) {
		var outcomes []outcome
		if outcomes, err = to.checks(cmd.Context(), batch); err != nil {
			err = fmt.Errorf("rows %d to %d: %w", report.rows+1, report.rows+len(batch), err)
			break
		}
		for i := range batch {
			report.add(&batch[i], &outcomes[i])
		}
		bar.Set(int64(report.rows))
	}
	bar.End()
	if err := errors.Join(report.end(p, cmd), err); err != nil {
		return err
	}
	if report.refused > 0 {
		return fmt.Errorf("%d of %s refused", report.refused, plain.Count(report.rows, "row was", "rows were"))
	}
	return nil
}

// Bounds of a file.
const (
	maxCards     = 100_000
	maxCardField = 256 // bytes
)

// rows reads the cards of the file. It sends nothing: a file that is wrong is refused whole.
func (f *pinging) rows(cmd *cobra.Command) ([]inquiry, error) {
	source, err := shell.Open(cmd, f.file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = source.Close() }() // only read
	reader := csv.NewReader(unmarked(source))
	reader.TrimLeadingSpace = true
	head, err := reader.Read()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("the file is empty")
	}
	if err != nil {
		return nil, fmt.Errorf("the first line must name the columns: %w", err)
	}
	place, err := places(head)
	if err != nil {
		return nil, err
	}
	run := id.New("cli")
	var all []inquiry
	for {
		record, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		line, _ := reader.FieldPos(0)
		q, err := f.row(place, record)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		q.key = run + "-" + strconv.Itoa(len(all)+1)
		if all = append(all, q); len(all) > maxCards {
			return nil, fmt.Errorf("want at most %d cards in a file", maxCards)
		}
	}
}

// unmarked returns a text without the mark that some programs put before it.
func unmarked(text io.Reader) io.Reader {
	const mark = "\ufeff"
	buffered := bufio.NewReader(text)
	if begin, _ := buffered.Peek(len(mark)); string(begin) == mark { // an error comes again
		_, _ = buffered.Discard(len(mark))
	}
	return buffered
}

// places finds the columns.
func places(head []string) (map[string]int, error) {
	found := map[string]int{}
	for i, name := range head {
		name = strings.ToLower(strings.TrimSpace(name))
		_, twice := found[name]
		if twice || !slices.Contains([]string{"card_number", "pin", "network", "currency"}, name) {
			return nil, fmt.Errorf("column %d: want card_number, pin, network and currency, each once, with commas between them", i+1)
		}
		found[name] = i
	}
	if _, ok := found["card_number"]; !ok {
		return nil, errors.New("there is no column card_number")
	}
	return found, nil
}

func (f *pinging) row(place map[string]int, record []string) (inquiry, error) {
	value := func(name, otherwise string) string {
		if i, ok := place[name]; ok && strings.TrimSpace(record[i]) != "" {
			return strings.TrimSpace(record[i])
		}
		return otherwise
	}
	for name, i := range place {
		if len(record[i]) > maxCardField {
			return inquiry{}, fmt.Errorf("%s has more than %d bytes", name, maxCardField)
		}
	}
	q := inquiry{number: pan.NewSecret(value("card_number", "")), pin: pan.NewSecret(value("pin", "")),
		network: value("network", f.network), currency: value("currency", f.currency)}
	switch {
	case q.number.IsZero():
		return q, errors.New("there is no card_number")
	case q.network == "":
		return q, errors.New("there is no network, and no --network for rows without one")
	}
	return q, nil
}

// pingReport is the rows of the result, which CSV gets as they come.
type pingReport struct {
	shell.Listing
	csv           *csv.Writer
	rows, refused int
}

func newPingReport(cmd *cobra.Command, form string) *pingReport {
	r := &pingReport{Listing: shell.Listing{Columns: []string{"row", "last4", "network", "status", "balance", "currency", "expiry", "score", "signals", "check", "error"}}}
	if form == shell.CSV {
		r.csv = csv.NewWriter(cmd.OutOrStdout())
		_ = r.csv.Write(r.Columns) // the error comes with Flush
	}
	return r
}

func (r *pingReport) add(q *inquiry, o *outcome) {
	r.rows++
	row := []any{r.rows, q.last4(), q.network, nil, nil, nil, nil, nil, nil, nil, nil}
	if found := o.Result; found != nil {
		row = append(row[:3], found.Status, found.Balance.String(), found.Currency, o.expiry(), found.Score, found.Signals, found.ID, nil)
	} else {
		r.refused++
		row[len(row)-1] = o.Error.Error()
	}
	if r.csv == nil {
		r.Add(row...)
		return
	}
	_ = r.csv.Write(shell.Texts(row)) // the error comes with Flush
	r.csv.Flush()
}

func (r *pingReport) end(p *program, cmd *cobra.Command) error {
	if r.csv == nil {
		return p.Print(cmd, r.Listing)
	}
	r.csv.Flush()
	return r.csv.Error()
}
