package giftcard_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/giftcard"
	"github.com/scripcards/scrip/internal/testkit/check"
)

const header = "title,templateId,currency,amount,reference\n"

func (p *process) importing(text string) (giftcard.Report, error) {
	return p.Import(context.Background(), shop, strings.NewReader(text), nil)
}

// A file is made whole: with a byte order mark, either line end, quoted fields, empty lines,
// columns in another order and no end of line at the end.
func TestImport(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		var told []int
		text := "\ufeffreference,amount,currency,title,templateId\r\n" +
			"a1,10,USD,\"Say \"\"hi\"\", friend\",template_001\r\n\r\n" +
			",0.50,USD,Zwölf,template_001\n" +
			"a3,1000,JPY,\"Three\",\"template_001\""
		report, err := p.Import(t.Context(), shop, iotest.OneByteReader(strings.NewReader(text)), func(n int) { told = append(told, n) })
		check.OK(t, err)
		if len(report.Made) != 3 || len(report.Bad) != 0 || fmt.Sprint(told) != "[3]" {
			t.Fatalf("%+v, told %v", report, told)
		}
		want := []struct {
			line                int
			title, amount, text string
		}{{2, `Say "hi", friend`, "10.00 USD", "10"}, {4, "Zwölf", "0.50 USD", "0.50"}, {5, "Three", "1000 JPY", "1000"}}
		for i, w := range want {
			made := report.Made[i]
			card, err := p.Find(t.Context(), shop, giftcard.Secret{Key: made.Key})
			check.OK(t, err)
			if made.Line != w.line || card.Title != w.title || card.Amount.String()+" "+card.Amount.Currency.String() != w.amount || card.AmountText != w.text ||
				!card.Number.Equal(made.Card.Number) || made.Replayed {
				t.Errorf("line %d: %+v", made.Line, card)
			}
		}
		var out bytes.Buffer
		check.OK(t, report.WriteMade(&out))
		rows, err := csv.NewReader(&out).ReadAll()
		check.OK(t, err)
		first := report.Made[0]
		check.List(t, "result", rows[0], "line", "cardId", "cardNumber", "key")
		check.List(t, "result", rows[1], "2", string(first.Card.ID), first.Card.Number.Reveal(), first.Key.Reveal())
		if len(rows) != 4 {
			t.Errorf("%d rows", len(rows))
		}
		check.List(t, "audit", p.audited(shop), "key/shop giftcard.import ")
		if o, found, err := p.Books.FindByKey(t.Context(), shop.Book, "giftcard.create/a1"); !found || err != nil || o.Actor != shop.Actor {
			t.Errorf("made by %q, %v", o.Actor, err)
		}
		p.verify()
	})
}

// A file with references is sent again, in part or with more rows, and makes each card once.
func TestImportAgain(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		one, two := "One,template_001,USD,10,a1\n", "Two,template_001,USD,20,a2\n"
		first, err := p.importing(header + one)
		check.OK(t, err)
		c := &held{first.Made[0].Issued, shop, giftcard.Secret{Key: first.Made[0].Key}}
		p.done(p.redeem(c, 1000, "r1"))
		again, err := p.importing(header + two + one)
		check.OK(t, err)
		if again.Made[0].Replayed || !again.Made[1].Replayed || again.Made[1].Line != 3 {
			t.Errorf("again: %+v", again.Made)
		}
		want := first.Made[0].Issued
		want.Replayed = true
		if diff := cmp.Diff(want, again.Made[1].Issued, secrets); diff != "" {
			t.Errorf("again (-first +again):\n%s", diff)
		}
		no := false
		_, err = p.ChangeTemplate(t.Context(), template, giftcard.TemplateChange{Active: &no, Actor: "op/1"})
		check.OK(t, err)
		if report, err := p.importing(header + two + one); err != nil || !report.Made[0].Replayed || !report.Made[1].Replayed {
			t.Errorf("after the template went: %+v, %v", report, err)
		}
		report, err := p.importing(header + one + "Two,template_001,USD,21,a2\nThree,template_001,USD,1,a1\n" + "New,template_001,USD,1,a4\n")
		check.Code(t, "bad rows", err, fault.InvalidRequest)
		wantBad(t, report, `3 reference: it made another card before`, `4 reference: line 2 has it, too`,
			`4 templateId: the template is not active`, `5 templateId: the template is not active`)
		report, err = p.importing(header + one + "Two,template_001,USD,21,a2\n")
		check.Code(t, "a reference of another card", err, fault.InvalidRequest)
		wantBad(t, report, `3 reference: it made another card before`)
		if got := p.contra(shop, "giftcard.funding"); got != 3000 {
			t.Errorf("funded %d, want two cards", got)
		}
		p.verify()
	})
}

func wantBad(t *testing.T, report giftcard.Report, want ...string) {
	t.Helper()
	var got []string
	for _, bad := range report.Bad {
		got = append(got, fmt.Sprintf("%d %s: %s", bad.Line, bad.Field, bad.Reason))
	}
	check.List(t, "bad rows", got, want...)
	if len(report.Made) != 0 {
		t.Errorf("%d cards were made all the same", len(report.Made))
	}
}

// All bad rows of a file are told at once, each with its line, field and reason, and no card is made.
func TestImportTellsAllThatIsWrong(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		_, err := p.importing(header + "Made,template_001,USD,10,made\n")
		check.OK(t, err)
		report, err := p.importing(header +
			"Good,template_001,USD,10,a1\n" +
			" ,template_001,usd,10,a2\n" +
			"Bad amount,template_001,USD,10.001,a3\n" +
			"Bad amount,template_001,USD,-1,a4\n" +
			"Above,template_001,USD,5000000.01,a5\n" +
			"Nothing,template_001,USD,0,a6\n" +
			"Template,nobody,USD,1,a7\n" +
			"Tab\there,template_001,USD,1,a8\n" +
			"Few,template_001,USD\n" +
			"Many,template_001,USD,1,a9,more,and more\n" +
			"Twice,template_001,USD,1,a1\n" +
			"\"Open,template_001,USD,1,b1\n" +
			"A \"quote\",template_001,USD,1,b2\n" +
			"\"A\" quote,template_001,USD,1,b3\n" +
			"Bytes\xff,template_001,USD,1,b4\n" +
			strings.Repeat("x", giftcard.MaxLine+1) + "\n" +
			"Long,template_001,USD,1," + strings.Repeat("r", 65) + "\n" +
			"Both,nobody,USD,10.001,c1\n" +
			"Both,nobody,USD,5000000.01,c2\n" +
			"Fine,template_001,BTC,0.1234567,c3\n" +
			"Another,template_001,USD,10,made\n" +
			"Good,template_001,USD,10,\n")
		check.Code(t, "bad rows", err, fault.InvalidRequest)
		if f := fault.From(err); f.Message != "20 rows are wrong: no card was made" || f.Field != "file" {
			t.Errorf("%+v", f)
		}
		wantBad(t, report,
			"3 title: the title must have 1 to 128 characters of plain text",
			"3 currency: unknown currency",
			"4 amount: more decimals than the minor unit",
			"5 amount: not a plain decimal number",
			"6 amount: the amount must be above zero and at most 5000000.00",
			"7 amount: the amount must be above zero and at most 5000000.00",
			"8 templateId: no such template",
			"9 title: the title must have 1 to 128 characters of plain text",
			"10 : it has 3 fields, the header has 5",
			"11 : it has more than 5 fields",
			"12 reference: line 2 has it, too",
			"13 : a quoted field does not end on its line",
			"14 : a quote stands in a field that is not quoted",
			"15 : something stands between a closing quote and the comma",
			"16 : it is not UTF-8",
			"17 : it has more than 4096 bytes",
			"18 reference: the reference must have 1 to 64 bytes of plain text",
			"19 amount: more decimals than the minor unit",
			"19 templateId: no such template",
			"20 amount: the amount must be above zero and at most 5000000.00",
			"20 templateId: no such template",
			"21 amount: the amount of a gift card has at most 6 decimals",
			"22 reference: it made another card before")
		var out bytes.Buffer
		check.OK(t, report.WriteBad(&out))
		rows, err := csv.NewReader(&out).ReadAll()
		if err != nil || len(rows) != 24 || rows[1][0] != "3" || rows[1][1] != "title" {
			t.Errorf("%v, %v", rows, err)
		}
		if got := p.contra(shop, "giftcard.funding"); got != 1000 {
			t.Errorf("funded %d", got)
		}
		_, err = p.importing(header + "One,template_001,USD,x,d1\n")
		if f := fault.From(err); f.Message != "1 row is wrong: no card was made" {
			t.Errorf("one: %+v", f)
		}
	})
}

// Files that are none are refused as a whole.
func TestImportRefusesFiles(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		for name, text := range map[string]string{
			"nothing": "", "a mark alone": "\ufeff", "no rows": header + "\n\n", "no header": "One,template_001,USD,10,a1\n", "a column twice": "title,title,currency,amount\n",
			"no amount": "title,templateId,currency\nA,template_001,USD\n", "bytes": "\xff\xfet\x00i\x00", "a long header": strings.Repeat("title,", 1000) + "\n",
			"other separators": strings.ReplaceAll(header, ",", ";"), "quotes": "\"title\n",
		} {
			report, err := p.importing(text)
			check.Code(t, name, err, fault.InvalidRequest)
			if f := fault.From(err); f.Field != "file" || len(report.Bad) != 0 {
				t.Errorf("%s: %+v %+v", name, f, report)
			}
		}
		torn := errors.New("the line went dead")
		if _, err := p.Import(t.Context(), shop, io.MultiReader(strings.NewReader(header), iotest.ErrReader(torn)), nil); !errors.Is(err, torn) {
			t.Errorf("a broken reader: %v", err)
		}
	})
}

// endless is a file that never ends.
type endless struct {
	line string
	at   int
}

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.line[e.at:])
	e.at = (e.at + n) % len(e.line)
	return n, nil
}

// Too many rows and too many bytes are refused while they are read, whatever they hold.
func TestImportIsBounded(t *testing.T) {
	for line, what := range map[string]string{"A,template_001,USD,1,\n": "100000 rows", "x\n": "100000 rows", "\n": "67108864 bytes", "x": "67108864 bytes"} {
		_, err := giftcard.ListOf(io.MultiReader(strings.NewReader(header), &endless{line: strings.Repeat(line, 1000)}))
		check.Code(t, fmt.Sprintf("endless %q", line), err, fault.BodyTooLarge)
		if f := fault.From(err); f.Message != "the file has more than "+what {
			t.Errorf("endless %q: %s", line, f.Message)
		}
	}
	list, err := giftcard.ListOf(strings.NewReader(header + strings.Repeat("A,template_001,USD,1,\n", giftcard.MaxIssues)))
	if err != nil {
		t.Fatal(err)
	}
	if issues, _, _ := list.Parts(); len(issues) != giftcard.MaxIssues {
		t.Errorf("%d rows", len(issues))
	}
}

// Rows are made in one transaction: when the books refuse one of them, or the caller leaves, none is.
func TestImportIsAllOrNothing(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		var text strings.Builder
		text.WriteString(header)
		for i := range 1200 {
			fmt.Fprintf(&text, "Card,template_001,USD,1,n%d\n", i)
		}
		ctx, leave := context.WithCancel(t.Context())
		_, err := p.Import(ctx, shop, strings.NewReader(text.String()), func(done int) {
			if done > 500 {
				leave()
			}
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("left: %v", err)
		}
		if cards, err := p.List(t.Context(), shop.Book, "", 10); len(cards) != 0 || err != nil {
			t.Errorf("%d cards are there, %v", len(cards), err)
		}
		last := 0
		report, err := p.Import(t.Context(), shop, strings.NewReader(text.String()), func(done int) {
			if done <= last {
				t.Errorf("progress from %d to %d", last, done)
			}
			last = done
		})
		if err != nil || len(report.Made) != 1200 || last != 1200 {
			t.Errorf("%d cards, told of %d, %v", len(report.Made), last, err)
		}
		if got := p.contra(shop, "giftcard.funding"); got != 120_000 {
			t.Errorf("funded %d", got)
		}
		if _, err := p.Books.FindAccount(t.Context(), shop.Book, report.Made[1199].Card.Account()); err != nil {
			t.Error(err)
		}
		p.verify()
	})
}

// FuzzList proves that no file crashes the parser, that every line is either a row, bad or
// empty, and that what was read is read again from what the standard library writes of it.
func FuzzList(f *testing.F) {
	f.Add([]byte(header + "A,template_001,USD,1,a1\n"))
	f.Add([]byte("\ufeff" + header + "\"A \"\"b\"\"\",template_001,JPY,1,\r\n\r\n,,,,\n"))
	f.Add([]byte(header + "a\nb,\n\"\n\xff\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := giftcard.ListOf(bytes.NewReader(data))
		if err != nil {
			if code := fault.CodeOf(err); code != fault.InvalidRequest && code != fault.BodyTooLarge {
				t.Fatal(err)
			}
			return
		}
		issues, lines, bad := list.Parts()
		known := map[int]bool{}
		for _, b := range bad {
			known[b.Line] = true
			if b.Reason == "" || !utf8.ValidString(b.Reason) {
				t.Errorf("line %d has no reason", b.Line)
			}
		}
		var again bytes.Buffer
		out := csv.NewWriter(&again)
		check.OK(t, out.Write([]string{"title", "templateId", "currency", "amount", "reference"}))
		for i, issue := range issues {
			if known[lines[i]] || lines[i] < 2 || lines[i] > bytes.Count(data, []byte("\n"))+1 {
				t.Errorf("line %d is told twice or does not exist", lines[i])
			}
			known[lines[i]] = true
			check.OK(t, out.Write([]string{issue.Title, issue.TemplateID, issue.Amount.Currency.String(), issue.AmountText, issue.Reference}))
		}
		out.Flush()
		if len(issues) == 0 {
			return
		}
		reread, err := giftcard.ListOf(&again)
		check.OK(t, err)
		if same, _, _ := reread.Parts(); !reflect.DeepEqual(same, issues) {
			t.Errorf("read %+v, and again %+v", issues, same)
		}
	})
}
