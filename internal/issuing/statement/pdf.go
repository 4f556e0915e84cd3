package statement

import (
	"context"
	"io"
	"strconv"
	"strings"

	"codeberg.org/go-pdf/fpdf"
)

// Sizes in millimetres on A4, and characters that fit a column.
const (
	margin    = 12
	line      = 5
	small     = 7
	plainFont = "Helvetica"
	fixedFont = "Courier" // every character of it is as wide as the others
	longest   = 38        // characters of details
)

// column is a column of the table of movements.
type column struct {
	name  string
	size  fpdf.SizeType
	align string
}

func columns() []column {
	return []column{{"Date (UTC)", fpdf.SizeType{Wd: 30}, "L"}, {"Kind", fpdf.SizeType{Wd: 25}, "L"}, {"Details", fpdf.SizeType{Wd: 59}, "L"},
		{"Amount", fpdf.SizeType{Wd: 24}, "R"}, {"Held", fpdf.SizeType{Wd: 24}, "R"}, {"Balance", fpdf.SizeType{Wd: 24}, "R"}}
}

// document is a statement on its way onto paper.
type document struct {
	*fpdf.Fpdf
	text func(string) string // into the characters that the built-in fonts have
}

// WritePDF writes a statement that Get made as a PDF. The same statement is the same
// bytes. Characters outside of Western Europe's are shown as dots. It returns
// invalid_request for one with more than MaxPDF movements.
func (s *Service) WritePDF(ctx context.Context, to io.Writer, st *Statement) error {
	if err := st.Fits(MaxPDF); err != nil {
		return err
	}
	d := begin(st)
	d.summary(st)
	d.table()
	err := s.each(ctx, st, told, func(v *Movement) error {
		d.movement(v)
		return d.Error()
	})
	if err != nil {
		return err
	}
	d.totals(st)
	return d.Output(to)
}

// begin opens a document whose dates are the statement's, not of when it is made.
func begin(st *Statement) *document {
	d := &document{Fpdf: fpdf.New("P", "mm", "A4", "")}
	d.text = d.UnicodeTranslatorFromDescriptor("")
	d.SetCatalogSort(true)
	d.SetCreationDate(st.At)
	d.SetModificationDate(st.At)
	d.SetProducer("Scrip", true)
	d.SetTitle("Statement "+st.Month.String()+" "+st.Of.name(), true)
	d.SetMargins(margin, margin, margin)
	d.SetAutoPageBreak(true, 2*margin)
	d.AliasNbPages("")
	d.SetFooterFunc(func() {
		d.SetY(-margin)
		d.SetFont(plainFont, "", small)
		d.CellFormat(0, line, d.text(st.Of.name()+" · "+st.Month.String()+" · page "+strconv.Itoa(d.PageNo())+" of {nb}"), "", 0, "C", false, 0, "")
	})
	d.AddPage()
	return d
}

// pair writes a name and its value.
func (d *document) pair(name, value string) {
	d.SetFont(plainFont, "", small+2)
	d.CellFormat(3*margin, line, d.text(name), "", 0, "L", false, 0, "")
	d.SetFont(fixedFont, "", small+2)
	d.CellFormat(0, line, d.text(value), "", 1, "L", false, 0, "")
}

func (d *document) title(text string) {
	d.SetFont(plainFont, "B", 2*small)
	d.CellFormat(0, 2*line, d.text(text), "", 1, "L", false, 0, "")
}

// summary is the head of the first page.
func (d *document) summary(st *Statement) {
	d.title("Statement " + st.Month.String())
	if st.Of.Card != "" {
		d.pair("Card", string(st.Of.Card))
		d.pair("BIN", st.BIN)
	} else {
		d.pair("Wallet", st.Currency.String())
	}
	d.pair("Book", string(st.Book))
	d.pair("Realm", string(st.Realm))
	until := st.At.Format("2006-01-02 15:04:05") + " UTC"
	if st.Final {
		until += " (final)"
	}
	d.pair("Until", until)
	d.pair("Opening", st.Opening.Posted.String()+" "+st.Currency.String()+", of it held "+st.Opening.Held.String())
	d.pair("Closing", st.Closing.Posted.String()+" "+st.Currency.String()+", of it held "+st.Closing.Held.String())
	d.pair("Movements", strconv.FormatInt(st.Count, 10))
	d.Ln(line)
	if st.Count == 0 {
		d.pair("", "Nothing happened.")
	}
}

// table begins the movements, and has every page that follows show what the columns are.
func (d *document) table() {
	head := func() {
		d.SetFont(plainFont, "B", small)
		for _, c := range columns() {
			d.CellFormat(c.size.Wd, line, d.text(c.name), "B", 0, c.align, false, 0, "")
		}
		d.Ln(line)
	}
	head()
	d.SetHeaderFunc(head)
}

func (d *document) movement(v *Movement) {
	d.SetFont(fixedFont, "", small)
	cells := []string{v.At.UTC().Format("2006-01-02 15:04:05"), string(v.Kind), v.details(), v.Amount.String(), v.Held.String(), v.After.Posted.String()}
	for i, c := range columns() {
		d.CellFormat(c.size.Wd, line, d.text(cells[i]), "", 0, c.align, false, 0, "")
	}
	d.Ln(line)
}

// details is who was paid or, of other movements, what it was about.
func (v *Movement) details() string {
	parts := []string{v.Reference}
	switch {
	case v.Merchant.Name != "":
		parts = []string{v.Merchant.Name, v.Merchant.Country, v.Category}
	case v.Card != "":
		parts = []string{string(v.Card)}
	}
	if !v.Fee.IsZero() {
		parts = append([]string{"fee " + v.Fee.String()}, parts...)
	}
	text := []rune(strings.Join(strings.Fields(strings.Join(parts, " ")), " "))
	if len(text) > longest {
		return string(text[:longest-1]) + "…"
	}
	return string(text)
}

// totals are the end of the last page.
func (d *document) totals(st *Statement) {
	d.SetHeaderFunc(nil)
	d.Ln(line)
	d.title("Totals")
	for _, t := range st.Totals {
		d.pair(string(t.Kind), strconv.FormatInt(t.Count, 10)+" × = "+t.Amount.String()+", held "+t.Held.String())
	}
	d.pair("fees", st.Fees.String())
}
