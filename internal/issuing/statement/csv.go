package statement

import (
	"bytes"
	"context"
	"encoding/csv"
	"io"
	"strconv"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/platform/sheet"
)

// MaxCSV bounds the movements of a CSV file that is held in memory, MaxPDF those of a PDF.
const (
	MaxCSV = 50_000
	MaxPDF = 5_000
)

// Format is what a file of a statement is; its name ends in it.
type Format string

// The formats.
const (
	CSV Format = "csv"
	PDF Format = "pdf"
)

// Formats returns them.
func Formats() []Format { return []Format{CSV, PDF} }

// File is a statement as a file that is held in memory.
type File struct {
	MediaType string
	Name      string
	Content   []byte
}

// File writes a statement that Head made, and sums it. It returns invalid_request for one
// with more movements than such a file may have, of which it reads none.
func (s *Service) File(ctx context.Context, st *Statement, as Format) (File, error) {
	media, write := "application/pdf", s.WritePDF
	if as == CSV {
		media, write = "text/csv; charset=utf-8", s.WriteCSV
	}
	if err := st.Fits(as.Most()); err != nil {
		return File{}, err
	}
	if err := s.Sum(ctx, st); err != nil {
		return File{}, err
	}
	var out bytes.Buffer
	err := write(ctx, &out, st)
	return File{media, "statement-" + st.Of.name() + "-" + st.Month.String() + "." + string(as), out.Bytes()}, err
}

// Most is how many movements a file of the format may have.
func (as Format) Most() int64 {
	if as == CSV {
		return MaxCSV
	}
	return MaxPDF
}

// Fits returns invalid_request for a statement with more movements than a file may have.
func (st *Statement) Fits(most int64) error {
	if st.Count <= most {
		return nil
	}
	return fault.New(fault.InvalidRequest, "the statement has %d movements, such a file has at most %d: read it in pages", st.Count, most).At("month")
}

// header are the columns of a file.
func header() []string {
	return []string{"row", "number", "at", "kind", "amount", "held", "fee", "balance", "balance_held", "currency", "count", "transaction_id", "authorization_id", "card_id",
		"merchant_name", "merchant_category", "mcc", "merchant_country", "reference"}
}

// WriteCSV writes a statement that Get made for a spreadsheet, in bounded memory: a row for
// the balance at its beginning, one for each movement, one for each total, and one for the
// balance at its end.
func (s *Service) WriteCSV(ctx context.Context, to io.Writer, st *Statement) error {
	w := csv.NewWriter(to)
	rows := [][]string{header(), st.balance("opening", st.Month.From(), &st.Opening)}
	if err := w.WriteAll(rows); err != nil {
		return err
	}
	if err := s.each(ctx, st, told, func(v *Movement) error { return w.Write(v.row(st.Currency)) }); err != nil {
		return err
	}
	for _, t := range st.Totals {
		row := make([]string, len(header()))
		row[0], row[3], row[4], row[5], row[9], row[10] = "total", string(t.Kind), t.Amount.String(), t.Held.String(), st.Currency.String(), strconv.FormatInt(t.Count, 10)
		if err := w.Write(row); err != nil {
			return err
		}
	}
	if !st.Fees.IsZero() {
		row := make([]string, len(header()))
		row[0], row[3], row[6], row[9] = "total", "fees", st.Fees.String(), st.Currency.String()
		if err := w.Write(row); err != nil {
			return err
		}
	}
	return w.WriteAll([][]string{st.balance("closing", st.At, &st.Closing)}) // flushes
}

// balance is the row of the balance at an instant.
func (st *Statement) balance(name string, at time.Time, m *Money) []string {
	row := make([]string, len(header()))
	row[0], row[2], row[7], row[8], row[9] = name, instant(at), m.Posted.String(), m.Held.String(), st.Currency.String()
	return row
}

func instant(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z") }

func (v *Movement) row(currency money.Currency) []string {
	m := &v.Merchant
	return []string{"movement", strconv.FormatInt(v.Number, 10), instant(v.At), string(v.Kind), v.Amount.String(), v.Held.String(), v.Fee.String(), v.After.Posted.String(),
		v.After.Held.String(), currency.String(), "", string(v.Transaction), string(v.Payment), string(v.Card), sheet.Cell(m.Name), v.Category, m.MCC, m.Country, sheet.Cell(v.Reference)}
}
