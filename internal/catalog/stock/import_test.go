package stock_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/catalog/stock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit/check"
)

// A row's code, PIN, last day and cost come back as they were given, and every bad row is
// told with its line while the good ones are in stock.
func TestImport(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		text := "pin,code,expires,cost\n" +
			"7694269,AAAA-1111,2026-12-31,4.10\n" +
			",\"BB,BB\",,\n" +
			",CCCC,2026-11-20,\n" +
			",aaaa-1111,,\n" +
			",AAAA 1111,,\n" +
			",,,\n" +
			",DDDD,soon,4.123\n" +
			"few\n" +
			",EEEE,2026-11-21,0\n"
		var told []int
		var rejected []stock.BadRow
		o := stock.Options{Realm: realm.Test, Item: play, Batch: batch, Supplier: "Acme", Actor: ada, Cost: catalog.NewCost(444, money.EUR),
			Progress: func(n int) { told = append(told, n) }, Rejected: func(b stock.BadRow) { rejected = append(rejected, b) }}
		dry := o
		dry.DryRun = true
		would, err := p.Import(t.Context(), strings.NewReader(text), dry)
		check.OK(t, err)
		p.count(0)
		report, err := p.Import(t.Context(), iotest.HalfReader(strings.NewReader(text)), o)
		check.OK(t, err)
		if report.Rows != 9 || report.Added != 4 || report.Known != 0 || report.Wrong != 5 || fmt.Sprint(told) != "[9 9]" {
			t.Errorf("%+v, told %v", report, told)
		}
		check.List(t, "bad rows", bad(report.Bad), "4 expires: it has expired", "6 code: line 2 has it, too", "7 code: want 1 to 200 bytes of plain text",
			"8 expires: want a day such as 2027-12-31", "8 cost: more decimals than the minor unit", "9 : it has 1 fields, the header has 4")
		check.List(t, "rejected, in both runs", bad(rejected), append(bad(report.Bad), bad(report.Bad)...)...)
		would.Batch = report.Batch
		if diff := cmp.Diff(report, would); diff != "" {
			t.Errorf("the dry run said otherwise (-done +said):\n%s", diff)
		}
		codes, err := p.Open(p.pick(10, 0))
		check.OK(t, err)
		var got []string
		for _, c := range codes {
			got = append(got, fmt.Sprint(c.Text.Reveal(), " ", c.PIN.Reveal(), " ", c.Cost, " ", c.Cost.Currency, " ", c.ExpiresAt.Format("2006-01-02T15"), " ", c.Item, " ", c.State))
		}
		check.List(t, "codes", got, "EEEE  0.00 EUR 2026-11-22T00 "+string(play)+" available", "AAAA-1111 7694269 4.10 EUR 2027-01-01T00 "+string(play)+" available",
			"BB,BB  4.44 EUR 0001-01-01T00 "+string(play)+" available", "aaaa-1111  4.44 EUR 0001-01-01T00 "+string(play)+" available")
		check.List(t, "audit", p.audited(), ada+" stock.import", ada+" stock.imported")
	})
}

// Costs of rows are in the currency that is named, or in that of the other costs, or in the
// item's.
func TestImportCurrency(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		for _, c := range []struct {
			o    stock.Options
			want string
		}{
			{stock.Options{}, "4.10 USD"},
			{stock.Options{Cost: catalog.NewCost(444, money.EUR)}, "4.10 EUR"},
			{stock.Options{Currency: money.GBP}, "4.10 GBP"},
		} {
			c.o.Realm, c.o.Item, c.o.Batch, c.o.Actor = realm.Test, play, c.want, ada
			_, err := p.Import(t.Context(), strings.NewReader("code,cost\n"+c.want+",4.10\n"), c.o)
			check.OK(t, err)
		}
		codes, err := p.Open(p.pick(10, 0))
		check.OK(t, err)
		for _, code := range codes {
			if got := fmt.Sprint(code.Cost, " ", code.Cost.Currency); got != code.Text.Reveal() {
				t.Errorf("%s is %s", code.Text.Reveal(), got)
			}
		}
		if len(codes) != 3 {
			t.Errorf("%d codes", len(codes))
		}
	})
}

// A file is sent again under its name and adds what is new alone; the same code in another
// batch, item or line is refused, in the other realm it is not.
func TestImportAgain(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		p.stocked(batch, "A", "B")
		report, err := p.upload("code\nA\nB\nC\nA\n", batch)
		check.OK(t, err)
		if report.Added != 1 || report.Known != 2 || report.Wrong != 1 {
			t.Errorf("again: %+v", report)
		}
		check.List(t, "twice in the file", bad(report.Bad), "5 code: line 2 has it, too")
		report, err = p.upload("code\n\nA\n", batch)
		check.OK(t, err)
		check.List(t, "another line", bad(report.Bad), "3 code: line 2 of the batch has it, too")
		report, err = p.upload("code\nA\nD\n", "second")
		check.OK(t, err)
		check.List(t, "another batch", bad(report.Bad), "2 code: it is in stock already")
		options := stock.Options{Realm: realm.Test, Item: other, Batch: batch, Actor: ada}
		report, err = p.Import(t.Context(), strings.NewReader("code\na\nB\n"), options)
		check.OK(t, err)
		check.List(t, "another item", bad(report.Bad), "3 code: it is in stock already")
		options.Realm = realm.Live
		if report, err = p.Import(t.Context(), strings.NewReader("code\nA\nB\n"), options); err != nil || report.Added != 2 {
			t.Errorf("another realm: %+v, %v", report, err)
		}
		p.count(4)
	})
}

// An upload that adds nothing leaves nothing: no batch, and no record of one. A batch that is there stays, and its upload is recorded.
func TestImportOfNothing(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		p.stocked(batch, "A")
		before := p.audited()
		for _, text := range []string{"code,expires\nB,soon\n,\n", "code\nA\n", "code\n"} {
			report, err := p.upload(text, "second")
			if err != nil || report.Batch != "" || report.Added != 0 {
				t.Errorf("%q: %+v, %v", text, report, err)
			}
		}
		check.List(t, "audit", p.audited(), before...)
		batches, err := p.Page(t.Context(), stock.Batches{Realm: realm.Test, Item: play, Limit: 10})
		if err != nil || len(batches) != 1 || batches[0].Name != batch {
			t.Errorf("%+v, %v", batches, err)
		}
		report, err := p.upload("code,expires\nB,soon\n", batch)
		if err != nil || report.Batch != batches[0].ID || report.Wrong != 1 {
			t.Errorf("a batch that is there: %+v, %v", report, err)
		}
		check.List(t, "audit", p.audited(), append(before, ada+" stock.imported")...)
	})
}

// Many rows are written in parts, and a file that breaks off is finished by sending it again.
func TestImportBreaksOff(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		var text strings.Builder
		text.WriteString("code,pin\n")
		for i := range 4500 {
			fmt.Fprintf(&text, "CODE-%05d,%d\n", i, i)
		}
		half := text.String()[:len("code,pin\n")+2300*len("CODE-00000,0000\n")]
		var told []int
		o := stock.Options{Realm: realm.Test, Item: play, Batch: batch, Actor: ada, Progress: func(n int) { told = append(told, n) }}
		report, err := p.Import(t.Context(), io.MultiReader(strings.NewReader(half), iotest.ErrReader(io.ErrUnexpectedEOF)), o)
		if report.Added != 2000 || err == nil || fmt.Sprint(told) != "[2000]" {
			t.Errorf("broken off: %+v, %v, told %v", report, err, told)
		}
		p.count(stock.MaxCount)
		report, err = p.Import(t.Context(), strings.NewReader(text.String()), o)
		check.OK(t, err)
		if report.Known != 2000 || report.Added != 2500 || report.Wrong != 0 {
			t.Errorf("again: %+v", report)
		}
		p.batches("first open  available 4500")
	})
}

// Two processes that upload the same codes at once add each of them once.
func TestImportAtOnce(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		var text strings.Builder
		text.WriteString("code\n")
		for i := range 500 {
			fmt.Fprintf(&text, "CODE-%d\n", i)
		}
		processes := []*process{p, join(t, p.DB, p.Catalog)}
		var mu sync.Mutex
		added, known, wrong := 0, 0, 0
		var group sync.WaitGroup
		for i := range 6 {
			group.Go(func() {
				report, err := processes[i%2].upload(text.String(), fmt.Sprintf("batch %d", i%3))
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				added, known, wrong = added+report.Added, known+report.Known, wrong+report.Wrong
			})
		}
		group.Wait()
		if added != 500 || known != 500 || wrong != 2000 {
			t.Errorf("%d added, %d known, %d wrong", added, known, wrong)
		}
		p.count(500)
	})
}

// Of processes that upload the same codes at once, under a name that is new, one adds them and
// the others know them, whatever else is in their files.
func TestImportOfNewAtOnce(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		processes := []*process{p, join(t, p.DB, p.Catalog)}
		for round := range 50 {
			name := fmt.Sprint("batch ", round)
			reports := make(chan stock.Report)
			for i := range 6 {
				go func() {
					text := fmt.Sprintf("code\nA-%d\nB-%d\n", round, round)
					if i%3 == 0 {
						text += fmt.Sprintf("C-%d-%d\n", round, i)
					}
					report, err := processes[i%2].upload(text, name)
					if err != nil {
						t.Error(err)
					}
					reports <- report
				}()
			}
			var sum stock.Report
			for range 6 {
				r := <-reports
				sum.Added, sum.Known, sum.Wrong = sum.Added+r.Added, sum.Known+r.Known, sum.Wrong+r.Wrong
			}
			if sum.Added != 4 || sum.Known != 10 || sum.Wrong != 0 {
				t.Errorf("%s: %+v", name, sum)
			}
		}
	})
}

// What cannot be uploaded is refused before anything is written.
func TestImportBounds(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		minted := catalog.Product{Code: "MINTED", Name: "m", Brand: "m", Face: catalog.NewFace(500, money.USD), Mint: "template_001"}
		_, _, err := p.Catalog.Put(t.Context(), minted, ada)
		check.OK(t, err)
		good := stock.Options{Realm: realm.Test, Item: play, Batch: batch, Actor: ada}
		for what, c := range map[string]struct {
			text   string
			change func(*stock.Options)
			want   fault.Code
		}{
			"realm":   {"code\nA\n", func(o *stock.Options) { o.Realm = "" }, fault.InvalidRequest},
			"item":    {"code\nA\n", func(o *stock.Options) { o.Item = "NONE" }, fault.NotFound},
			"minted":  {"code\nA\n", func(o *stock.Options) { o.Item = "MINTED" }, fault.InvalidState},
			"no name": {"code\nA\n", func(o *stock.Options) { o.Batch = "" }, fault.InvalidRequest},
			"cost":    {"code\nA\n", func(o *stock.Options) { o.Cost = catalog.NewCost(-1, money.USD) }, fault.InvalidRequest},
			"empty":   {"", func(*stock.Options) {}, fault.InvalidRequest},
			"columns": {"pin\n1\n", func(*stock.Options) {}, fault.InvalidRequest},
			"unknown": {"code,colour\nA,red\n", func(*stock.Options) {}, fault.InvalidRequest},
		} {
			o := good
			c.change(&o)
			_, err := p.Import(t.Context(), strings.NewReader(c.text), o)
			check.Code(t, what, err, c.want)
		}
		p.count(0)
		p.batches()
		check.List(t, "audit", p.audited())
	})
}

// A batch is of one supplier: codes of another one are not put under its name, and those
// without a supplier go on with it.
func TestImportOfAnother(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		p.stocked(batch, "A")
		for _, dry := range []bool{true, false} {
			for supplier, want := range map[string]fault.Code{"Other": fault.InvalidRequest, "Acme": "", "": ""} {
				_, err := p.Import(t.Context(), strings.NewReader("code\n"+supplier+"B\n"), stock.Options{Realm: realm.Test, Item: play, Batch: batch, Supplier: supplier, Actor: ada, DryRun: dry})
				check.Code(t, supplier, err, want)
			}
		}
		p.count(3)
	})
}

// No code and no PIN is in the database, in a report or in the log in the clear.
func TestCodesAreSealed(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		const code, pin = "SECRETCODE77", "SECRETPIN88"
		text := "code,pin\n" + code + "," + pin + "\n" + code + ",\n"
		report, err := p.upload(text, batch)
		check.OK(t, err)
		ids := p.pick(1, 0)
		check.OK(t, p.sell(ids, sale, buyer))
		codes, err := p.Reveal(t.Context(), stock.Reveal{Book: buyer, Realm: realm.Test, Order: sale, Actor: "key/1"})
		check.OK(t, err)
		seen := fmt.Sprintf("%+v %#v %s", report, codes, p.log)
		check.OK(t, p.DB.Snapshot(t.Context(), func(ctx context.Context, q storage.Queryer) error {
			tables, err := storage.Tables(ctx, q)
			if err != nil {
				return err
			}
			for i := range tables {
				if err := tables[i].Each(ctx, q, func(row []any) error {
					for _, value := range row {
						if b, ok := value.([]byte); ok {
							value = string(b)
						}
						seen += fmt.Sprint(value, " ")
					}
					return nil
				}); err != nil {
					return err
				}
			}
			return nil
		}))
		if !strings.Contains(seen, string(play)) || strings.Contains(seen, code) || strings.Contains(seen, pin) {
			t.Error("a code or PIN is in the clear, or nothing was searched")
		}
	})
}

// BenchmarkImport shows how many codes a second an upload takes, and that its memory does
// not grow with the file.
func BenchmarkImport(b *testing.B) {
	p := setup(b, openLite(b))
	const rows = 20_000
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		n++
		r, w := io.Pipe()
		go func() {
			_, _ = fmt.Fprintln(w, "code,pin") // the reader tells what is missing
			for i := range rows {
				_, _ = fmt.Fprintf(w, "CODE-%d-%d,%d\n", n, i, i)
			}
			_ = w.Close()
		}()
		report, err := p.Import(context.Background(), r, stock.Options{Realm: realm.Test, Item: play, Batch: fmt.Sprint(n), Actor: ada})
		if err != nil || report.Added != rows {
			b.Fatal(report, err)
		}
	}
	b.ReportMetric(float64(b.N*rows)/b.Elapsed().Seconds(), "codes/s")
}

// What a spreadsheet made of a code or a PIN that it took for a number is none any more.
func TestRounded(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		report, err := p.upload("code,pin\n4.00012E+15,1\n\"4,00012E+15\",1\n4E+15,1\nA,1.23E+10\nB-1E+5,1\n4.00012E15,1\n1E+15X,1\n", batch)
		check.OK(t, err)
		const why = "a spreadsheet made a number of it and rounded that: export it as text"
		check.List(t, "bad rows", bad(report.Bad), "2 code: "+why, "3 code: "+why, "4 code: "+why, "5 pin: "+why)
		p.count(3)
	})
}
