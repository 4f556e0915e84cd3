package catalog_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/testkit/check"
)

func (p *process) importing(text string, o catalog.ImportOptions) (catalog.ImportReport, error) {
	o.Actor = ada
	return p.Import(p.t.Context(), strings.NewReader(text), o)
}

// outcomes returns a report's rows as "row code outcome".
func outcomes(r catalog.ImportReport) (texts []string) {
	for _, row := range r.Rows {
		texts = append(texts, fmt.Sprint(row.Row, " ", row.Code, " ", row.Outcome))
	}
	return texts
}

// A file adds, changes and leaves products, as a dry run says before, in CSV as in JSON;
// what a file has no column for stays.
func TestImport(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		for _, c := range []struct {
			name, text string
			format     catalog.Format
			want       []string
		}{
			{"first", "currency,value,item_code,name,brand,countries,cost,cost_currency,value_max,low_stock\n" +
				"USD,5,A,\"Card, five\",Brand,US DE,4.50,EUR,,7\nUSD,10.5,B,Range,Brand,,,,20,\n", catalog.CSV, []string{"2 A added", "3 B added"}},
			{"again", "item_code,name,brand,currency,value,value_max\nA,\"Card, five\",Brand,USD,5.00,\n\nB,Range,Brand,USD,10.50,20\nC,New,Brand,JPY,100,\n",
				catalog.CSV, []string{"2 A same", "4 B same", "5 C added"}},
			{"an array", ` [{"item_code":"A","name":"Card, five","brand":"Brand","currency":"USD","value":6,"countries":["US","DE"]},` +
				`{"item_code":"D","name":"Dee","brand":"Brand","currency":"USD","value":"1.00","low_stock":3,"description":"two\nlines","terms":null}]`,
				catalog.JSON, []string{"1 A changed", "2 D added"}},
			{"objects", `{"item_code":"D","currency":"USD","value":1.00,"state":"hidden"}` + "\n" + `{"item_code":"A","currency":"USD","value":6}`,
				catalog.JSON, []string{"1 D changed", "2 A same"}},
			{"nothing", "[]", catalog.JSON, nil},
			{"nothing behind a mark", "\ufeff[]", catalog.JSON, nil},
		} {
			before := p.Version()
			dry, err := p.importing(c.text, catalog.ImportOptions{Format: c.format, DryRun: true})
			check.OK(t, err)
			check.List(t, c.name+", dry", outcomes(dry), c.want...)
			if p.Version() != before {
				t.Errorf("%s: a dry run made version %d of %d", c.name, p.Version(), before)
			}
			var told []int
			report, err := p.importing(c.text, catalog.ImportOptions{Format: c.format, Progress: func(n int) { told = append(told, n) }})
			check.OK(t, err)
			check.List(t, c.name, outcomes(report), c.want...)
			if want := len(c.want); want > 0 && fmt.Sprint(told) != fmt.Sprint([]int{want}) {
				t.Errorf("%s: told %v", c.name, told)
			}
		}
		a, err := p.Find(t.Context(), "A")
		check.OK(t, err)
		if a.Name != "Card, five" || a.Face != usd(600) || a.Cost != catalog.NewCost(450, money.EUR) || a.LowStock != 7 || fmt.Sprint(a.Countries) != "[DE US]" {
			t.Errorf("A is %+v", a)
		}
		if b, err := p.Find(t.Context(), "B"); err != nil || b.Face != usd(1050) || b.FaceMax != usd(2000) {
			t.Errorf("B is %+v, %v", b, err)
		}
		if d, err := p.Find(t.Context(), "D"); err != nil || d.State != catalog.Hidden || d.Description != "two\nlines" || d.LowStock != 3 {
			t.Errorf("D is %+v, %v", d, err)
		}
		check.List(t, "audit", p.audited(), ada+" catalog.import ", ada+" catalog.import ", ada+" catalog.import ", ada+" catalog.import ")
	})
}

// What a file has no column for stays, of a range and of a cost in a currency of its own, too.
func TestImportKeeps(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ranged, foreign, plain := item("RANGE", "Range", "Brand", 1000), item("FOREIGN", "Foreign", "Brand", 500), item("PLAIN", "Plain", "Brand", 500)
		ranged.FaceMax, foreign.Cost, plain.Cost = usd(15000), catalog.NewCost(450, money.EUR), catalog.NewCost(450, money.USD)
		p.put(ranged, foreign, plain)
		for _, c := range []struct{ text, want string }{
			{"item_code,name,brand,currency,value\nRANGE,Range,Brand,USD,5\nFOREIGN,Foreign,Brand,USD,6\nPLAIN,Plain,Brand,USD,6\n",
				"5.00-150.00 USD of 0, 6.00-6.00 USD of 4.50 EUR, 6.00-6.00 USD of 4.50 USD"},
			{"item_code,name,brand,currency,value,cost\nRANGE,Range,Brand,USD,5,\nFOREIGN,Foreign,Brand,USD,6,5\nPLAIN,Plain,Brand,GBP,6,5\n",
				"5.00-150.00 USD of 0, 6.00-6.00 USD of 5.00 EUR, 6.00-6.00 GBP of 5.00 GBP"},
			{"item_code,name,brand,currency,value,cost,cost_currency,value_max\nRANGE,Range,Brand,USD,5,,,\nFOREIGN,Foreign,Brand,USD,6,5,,7\nPLAIN,Plain,Brand,GBP,6,5,USD,\n",
				"5.00-5.00 USD of 0, 6.00-7.00 USD of 5.00 USD, 6.00-6.00 GBP of 5.00 USD"},
		} {
			_, err := p.importing(c.text, catalog.ImportOptions{Format: catalog.CSV})
			check.OK(t, err)
			var got []string
			for _, code := range []catalog.ItemCode{"RANGE", "FOREIGN", "PLAIN"} {
				found, err := p.Find(t.Context(), code)
				check.OK(t, err)
				text := fmt.Sprintf("%s-%s %s of 0", found.Face, found.FaceMax, found.Face.Currency)
				if found.Cost != (catalog.Cost{}) {
					text = fmt.Sprintf("%s-%s %s of %s %s", found.Face, found.FaceMax, found.Face.Currency, found.Cost, found.Cost.Currency)
				}
				got = append(got, text)
			}
			if diff := cmp.Diff(c.want, strings.Join(got, ", ")); diff != "" {
				t.Error(diff)
			}
		}
		report, err := p.importing("item_code,name,brand,currency,value\nFOREIGN,Foreign,Brand,EUR,6\n", catalog.ImportOptions{Format: catalog.CSV})
		check.Code(t, "a range in two currencies", err, fault.InvalidRequest)
		if len(report.Bad) != 1 || report.Bad[0].Field != "value_max" {
			t.Errorf("%+v", report.Bad)
		}
	})
}

// A currency of no cost is refused in its row, whatever the item costs so far and however the
// file is written: it would change nothing.
func TestImportCurrencyOfNoCost(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		costly := item("A", "Costly", "Brand", 500)
		costly.Cost = catalog.NewCost(450, money.USD)
		p.put(costly)
		want := []catalog.BadRow{{Row: 2, Field: "cost_currency", Reason: "want a cost beside its currency"}}
		for name, c := range map[string]struct {
			format catalog.Format
			text   string
		}{
			"no cost":        {catalog.CSV, "item_code,name,brand,currency,value,cost,cost_currency\nA,Costly,Brand,USD,5,,EUR\nB,B,Brand,USD,5,4,EUR\n"},
			"no column":      {catalog.CSV, "item_code,name,brand,currency,value,cost_currency\nA,Costly,Brand,USD,5,EUR\n"},
			"JSON":           {catalog.JSON, `[{"item_code":"B","currency":"USD","value":5,"name":"B","brand":"Brand"},{"item_code":"A","currency":"USD","value":5,"cost_currency":"EUR"}]`},
			"JSON, and null": {catalog.JSON, `[{"item_code":"B","currency":"USD","value":5,"name":"B","brand":"Brand"},{"item_code":"A","currency":"USD","value":5,"cost":null,"cost_currency":"EUR"}]`},
		} {
			report, err := p.importing(c.text, catalog.ImportOptions{Format: c.format})
			check.Code(t, name, err, fault.InvalidRequest)
			if diff := cmp.Diff(want, report.Bad); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
		}
		if found, err := p.Find(t.Context(), "A"); err != nil || found.Cost != costly.Cost {
			t.Errorf("%+v, %v", found, err)
		}
	})
}

// What operators change while a file is being written stays, but for what the file says.
func TestImportBesideOthers(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		file := func(name string) string {
			var text strings.Builder
			text.WriteString("item_code,name,brand,currency,value\n")
			for i := range 1001 {
				fmt.Fprintf(&text, "N%04d,%s,Brand,USD,5\n", i, name)
			}
			return text.String()
		}
		_, err := p.importing(file("Before"), catalog.ImportOptions{Format: catalog.CSV})
		check.OK(t, err)
		const last = catalog.ItemCode("N1000")
		other := join(t, p.DB)
		_, err = p.importing(file("After"), catalog.ImportOptions{Format: catalog.CSV, Progress: func(rows int) {
			if rows == 1001 {
				return
			}
			changed := item(last, "Meanwhile", "Brand", 500)
			changed.Category, changed.FaceMax, changed.Cost = "Apps", usd(2000), catalog.NewCost(450, money.USD)
			other.put(changed)
			_, err := other.Retire(t.Context(), last, ada)
			check.OK(t, err)
		}})
		check.OK(t, err)
		found, err := p.Find(t.Context(), last)
		if err != nil || found.State != catalog.Retired || found.Name != "After" || found.Category != "Apps" || found.FaceMax != usd(2000) || found.Cost != catalog.NewCost(450, money.USD) {
			t.Errorf("%+v, %v", found, err)
		}
	})
}

// A file with more rows than there may be is refused as that, right or wrong, and no other.
func TestImportBounds(t *testing.T) {
	p := join(t, testkitOpen(t))
	const header = "item_code,name,brand,currency,value\n"
	for what, c := range map[string]struct {
		text   string
		format catalog.Format
		want   fault.Code
		bad    int
	}{
		"lines that are none": {header + strings.Repeat("x\n", catalog.MaxImportRows+1), catalog.CSV, fault.BodyTooLarge, 0},
		"two things in each":  {header + strings.Repeat("N,,,USD,5\n", 70_000), catalog.CSV, fault.InvalidRequest, 209_999},
		"objects":             {strings.Repeat(`{"a":1}`, catalog.MaxImportRows+1), catalog.JSON, fault.BodyTooLarge, 0},
		"a long object":       {`{` + strings.Repeat(`"a":1,`, 50_000) + `"b":1}`, catalog.JSON, fault.InvalidRequest, 1},
	} {
		report, err := p.importing(c.text, catalog.ImportOptions{Format: c.format})
		check.Code(t, what, err, c.want)
		if len(report.Bad) != c.bad {
			t.Errorf("%s: %d reasons", what, len(report.Bad))
		}
	}
}

// All that is wrong with a file is told at once, by row and column, and nothing is changed.
func TestImportTellsAllThatIsWrong(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		report, err := p.importing("item_code,name,brand,currency,value,value_max,cost,low_stock,image\n"+
			"A,Good,Brand,USD,5,,,,\n"+
			"A,Twice,Brand,USD,5,,,,\n"+
			"a b,Bad code,Brand,usd,5,,,,\n"+
			"B,,Brand,USD,5.001,4,x,many,\n"+
			"C,Few\n"+
			"D,Image,Brand,USD,5,,,,ftp://a\n"+
			"E,Range,Brand,USD,5,4,,,\n"+
			"F,Minus,Brand,USD,-5,,,,\n"+
			"G,Cost,Brand,USD,5.001,10,1e3,,\n"+
			"H,Huge,Brand,USD,5,99999999999999999999,,,\n"+
			"I,Several,,USD,5,,0,-1,http://a\n", catalog.ImportOptions{Format: catalog.CSV})
		check.Code(t, "a bad file", err, fault.InvalidRequest)
		var got []string
		for _, b := range report.Bad {
			got = append(got, fmt.Sprintf("%d %s: %s", b.Row, b.Field, b.Reason))
		}
		check.List(t, "bad rows", got,
			"3 item_code: row 2 has it, too",
			"4 currency: unknown currency",
			"4 item_code: an item code has 1 to 64 letters, digits, dots, - and _, and begins with a letter or digit",
			"5 low_stock: not a whole number",
			"5 value: more decimals than the minor unit",
			"5 cost: not a plain decimal number",
			"5 name: want 1 to 200 characters of plain text without spaces around them",
			"6 : it has 2 fields, the header has 9",
			"7 image: want an https address of at most 500 characters, or image: and the hash of a picture that was uploaded",
			"8 value_max: the end of the range must not be below its beginning, and at most 10000000000",
			"9 value: not a plain decimal number",
			"10 value: more decimals than the minor unit",
			"10 cost: not a plain decimal number",
			"11 value_max: number out of range",
			"12 brand: want 1 to 100 characters of plain text without spaces around them",
			"12 image: want an https address of at most 500 characters, or image: and the hash of a picture that was uploaded",
			"12 low_stock: want 0 to 1000000 codes",
			"12 cost: a cost is above zero, in a currency")
		report, err = p.importing(`[{"item_code":"A","name":"Good","brand":"x","currency":"USD","value":5},{"colour":"red","value":{},"name":"x"},{"item_code":"A","name":"Twice","brand":"x","currency":"USD","value":5,"color":"red"}]`, catalog.ImportOptions{Format: catalog.JSON})
		check.Code(t, "bad JSON rows", err, fault.InvalidRequest)
		if f := fault.From(err); f.Message != "2 rows are wrong: nothing was changed" {
			t.Errorf("%+v", f)
		}
		got = nil
		for _, b := range report.Bad {
			got = append(got, fmt.Sprintf("%d %s: %s", b.Row, b.Field, b.Reason))
		}
		check.List(t, "bad JSON rows", got,
			"2 colour: it is unknown",
			"2 value: want a text, a number or a list of texts",
			"2 currency: unknown currency",
			"2 brand: want 1 to 100 characters of plain text without spaces around them",
			"2 item_code: an item code has 1 to 64 letters, digits, dots, - and _, and begins with a letter or digit",
			"3 color: it is unknown",
			"3 item_code: row 1 has it, too")
		const good = `{"item_code":"A","name":"Good","brand":"x","currency":"USD","value":5}`
		report, err = p.importing(`[{"item_code":"A","name":"Good","brand":"x","currency":"USD","value":5,"value":6},{"name":"`+"\xff"+`"}]`, catalog.ImportOptions{Format: catalog.JSON})
		check.Code(t, "ambiguous JSON rows", err, fault.InvalidRequest)
		if diff := cmp.Diff([]catalog.BadRow{{Row: 1, Field: "value", Reason: "it stands twice"}, {Row: 2, Reason: "it is not UTF-8"}}, report.Bad); diff != "" {
			t.Error(diff)
		}
		for what, text := range map[string]string{"empty": "", "no object": "5", "a number": "[5]", "open": "[{}", "broken": `[{"item_code":`,
			"a second list": "[" + good + "]\n[" + good + "]", "what follows": good + " ]" + good, "a word": "[" + good + "] end"} {
			_, err := p.importing(text, catalog.ImportOptions{Format: catalog.JSON})
			check.Code(t, what, err, fault.InvalidRequest)
		}
		for what, text := range map[string]string{"empty": "", "columns": "item_code,name\n", "unknown": "item_code,name,brand,currency,value,price\n"} {
			_, err := p.importing(text, catalog.ImportOptions{Format: catalog.CSV})
			check.Code(t, what, err, fault.InvalidRequest)
		}
		_, err = p.importing("", catalog.ImportOptions{Format: "xml"})
		check.Code(t, "another format", err, fault.InvalidRequest)
		if p.Version() != 0 {
			t.Errorf("version %d after bad files alone", p.Version())
		}
	})
}

// What is exported is imported as the same, whatever a product holds.
func TestExportIsImported(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		p.put(shelf()...)
		var text strings.Builder
		text.WriteString(strings.Join(catalog.Columns(), ",") + "\n")
		check.OK(t, p.Each(t.Context(), func(product catalog.Product) error {
			_, err := fmt.Fprintln(&text, strings.Join(product.ExportRow(), ","))
			return err
		}))
		report, err := p.importing(text.String(), catalog.ImportOptions{Format: catalog.CSV})
		if err != nil || report.Count(catalog.Same) != len(shelf()) {
			t.Errorf("%v, %v", outcomes(report), err)
		}
	})
}

// The example of the documentation is what an import takes.
func TestDocumentedImport(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "catalog.md"))
	check.OK(t, err)
	_, after, _ := strings.Cut(string(page), "```csv\n")
	example, _, found := strings.Cut(after, "```")
	if !found {
		t.Fatal("docs/catalog.md has no example in csv")
	}
	eachEngine(t, func(t *testing.T, p *process) {
		report, err := p.importing(example, catalog.ImportOptions{Format: catalog.CSV, DryRun: true})
		if err != nil || len(report.Rows) == 0 || report.Count(catalog.Added) != len(report.Rows) {
			t.Errorf("%v, %v, %v", outcomes(report), report.Bad, err)
		}
	})
}

// Whatever a file holds, reading it ends with rows or faults, and a dry run changes nothing.
func FuzzImport(f *testing.F) {
	f.Add("item_code,name,brand,currency,value\nA,a,b,USD,5\n", true)
	f.Add(`[{"item_code":"A","name":"a","brand":"b","currency":"USD","value":5,"countries":["US"]}]`, false)
	p := join(f, testkitOpen(f))
	f.Fuzz(func(t *testing.T, text string, csv bool) {
		format := catalog.JSON
		if csv {
			format = catalog.CSV
		}
		report, err := p.Import(t.Context(), strings.NewReader(text), catalog.ImportOptions{Format: format, DryRun: true, Actor: ada})
		if code := fault.CodeOf(err); code == fault.Internal {
			t.Errorf("%q: %v", text, err)
		}
		if err == nil && len(report.Bad) > 0 || p.Version() != 0 {
			t.Errorf("%q: %+v", text, report)
		}
	})
}
