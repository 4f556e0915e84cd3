package statement_test

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/issuing/authorization"
	"github.com/scripcards/scrip/internal/issuing/statement"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/wallet"
)

// told is a statement's movements as "kind amount held fee balance merchant".
func told(all []statement.Movement) []string {
	texts := make([]string, len(all))
	for i, v := range all {
		texts[i] = strings.TrimSpace(fmt.Sprintf("%s %s %s %s %s %s", v.Kind, v.Amount, v.Held, v.Fee, v.After.Posted, v.Merchant.Name))
	}
	return texts
}

// An account's life, told month by month: each movement with its kind, its merchant, what
// was kept of it and what was held.
func TestStatement(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		p.clock.Advance(8 * day) // 28 September
		p.load(10_000)
		p.deposit(5_000, 102, false)
		card := p.issue(3_000)
		first := p.pay(card, 1_250, ads)
		p.advise(p.Payments.Post, authorization.Advice{Card: card, Amount: usd(2_000), Merchant: diner}) // 2.50 more than is there
		p.fund(card, 1_000)
		p.clock.Advance(5 * day) // October
		p.advise(p.Payments.Capture, authorization.Advice{Payment: first.ID, Amount: usd(1_000), Final: true})
		p.advise(p.Payments.Refund, authorization.Advice{Payment: first.ID, Amount: usd(400)})
		_, err := p.Cards.Terminate(t.Context(), ann, issuing.Ending{Card: card})
		check.OK(t, err)

		st := p.get(of(card), "2026-09")
		check.Equal(t, "September", told(p.movements(&st, 3)), []string{"funding 30.00 0.00 0.00 30.00", "authorization 0.00 12.50 0.00 30.00 FACEBK ADS",
			"lent 2.50 0.00 0.00 32.50 =Chez Ann, Paris", "settlement -20.00 0.00 0.00 12.50 =Chez Ann, Paris", "funding 10.00 0.00 0.00 22.50"})
		check.Equal(t, "September's totals", st.Totals, []statement.Total{{Kind: statement.Funding, Count: 2, Amount: usd(4_000), Held: usd(0)},
			{Kind: statement.Authorization, Count: 1, Amount: usd(0), Held: usd(1_250)}, {Kind: statement.Settlement, Count: 1, Amount: usd(-2_000), Held: usd(0)},
			{Kind: statement.Lent, Count: 1, Amount: usd(250), Held: usd(0)}})
		check.Equal(t, "September's end", st.Closing, statement.Money{Posted: usd(2_250), Held: usd(1_250)})
		st = p.get(of(card), "2026-10")
		check.Equal(t, "October's beginning", st.Opening, statement.Money{Posted: usd(2_250), Held: usd(1_250)})
		check.Equal(t, "is over", st.Final, false)
		check.Equal(t, "October", told(p.movements(&st, 200)), []string{"settlement -10.00 -12.50 0.00 12.50 FACEBK ADS", "refund 4.00 0.00 0.00 16.50 FACEBK ADS",
			"return -16.50 0.00 0.00 0.00"})
		st = p.get(purse, "2026-09")
		all := p.movements(&st, 1)
		check.Equal(t, "the wallet's September", told(all), []string{"bank_transfer 100.00 0.00 0.00 100.00", "deposit 50.00 0.00 1.02 150.00",
			"funding -30.00 0.00 0.00 120.00", "repayment -2.50 0.00 0.00 117.50", "funding -10.00 0.00 0.00 107.50"})
		check.Equal(t, "whose funding", all[2].Card, card)
		check.Equal(t, "fees", st.Fees, usd(102))
		p.clock.Advance(60 * day)
		st = p.get(of(card), "2026-11")
		check.Equal(t, "a month where nothing happened", []any{st.Opening, st.Closing, st.Count, len(st.Totals), st.Final},
			[]any{statement.Money{Posted: usd(0), Held: usd(0)}, statement.Money{Posted: usd(0), Held: usd(0)}, int64(0), 0, true})
	})
}

// A payment in a single message is a settlement, and a refund where it is undone: on the
// card or, once that is gone, in the wallet.
func TestSingleMessages(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		p.load(10_000)
		card := p.issue(3_000)
		key := p.key()
		d, err := p.Payments.Authorize(t.Context(), authorization.Request{Book: ann.Book, Card: card, Key: key, Amount: usd(1_000), Merchant: ads, Captured: true})
		check.OK(t, err)
		p.advise(p.Payments.Reverse, authorization.Advice{Card: card, Original: key, Amount: usd(300)})
		_, err = p.Cards.Terminate(t.Context(), ann, issuing.Ending{Card: card})
		check.OK(t, err)
		p.advise(p.Payments.Reverse, authorization.Advice{Card: card, Original: key})
		st := p.get(of(card), "2026-09")
		all := p.movements(&st, 10)
		check.Equal(t, "the card", told(all), []string{"funding 30.00 0.00 0.00 30.00", "settlement -10.00 0.00 0.00 20.00 FACEBK ADS",
			"refund 3.00 0.00 0.00 23.00 FACEBK ADS", "return -23.00 0.00 0.00 0.00"})
		check.Equal(t, "whose payment", all[1].Payment, d.ID)
		st = p.get(purse, "2026-09")
		check.Equal(t, "the wallet", told(p.movements(&st, 10)), []string{"bank_transfer 100.00 0.00 0.00 100.00", "funding -30.00 0.00 0.00 70.00",
			"return 23.00 0.00 0.00 93.00", "refund 7.00 0.00 0.00 100.00 FACEBK ADS"})
	})
}

// A statement is there from the month in which its account came to be until now, for its
// own holder, and final a quarter of an hour after its month.
func TestMonths(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		p.load(10_000)
		card := p.issue(3_000)
		ctx := t.Context()
		for month, code := range map[string]fault.Code{"2026-08": fault.NotFound, "2026-09": "", "2026-10": fault.NotFound, "9999-12": fault.NotFound, "0001-01": fault.NotFound} {
			m, err := statement.ParseMonth(month)
			check.OK(t, err)
			_, err = p.Get(ctx, ann, of(card), m)
			check.Code(t, month, err, code)
		}
		for _, text := range []string{"", "2026", "2026-13", "2026-9", "2026-09-01", "0000-01", "x"} {
			_, err := statement.ParseMonth(text)
			check.Code(t, "month "+text, err, fault.InvalidRequest)
		}
		now, err := statement.ParseMonth("2026-09")
		check.OK(t, err)
		_, err = p.Get(ctx, bob, of(card), now)
		check.Code(t, "another's card", err, fault.NotFound)
		_, err = p.Get(ctx, ann, of("card_none"), now)
		check.Code(t, "no card", err, fault.NotFound)
		_, err = p.Get(ctx, ann, statement.Subject{}, now)
		check.Code(t, "no currency", err, fault.UnknownCurrency)
		empty, err := p.Get(ctx, bob, purse, now)
		check.OK(t, err)
		check.Equal(t, "a wallet that was never paid into", []any{empty.Closing, empty.Count}, []any{statement.Money{Posted: usd(0), Held: usd(0)}, int64(0)})
		_, err = p.Movements(ctx, &empty, 0, statement.MaxPage+1)
		check.Code(t, "too many at once", err, fault.InvalidRequest)
		_, err = p.Movements(ctx, &empty, 0, 0)
		check.Code(t, "none at once", err, fault.InvalidRequest)
		_, err = p.Movements(ctx, &empty, -1, 1)
		check.Code(t, "before the first", err, fault.InvalidRequest)

		check.Equal(t, "is over", p.get(purse, "2026-09").Final, false)
		p.clock.Advance(now.Until().Add(15*time.Minute - time.Microsecond).Sub(p.clock.Now()))
		check.Equal(t, "is over a moment before", p.get(purse, "2026-09").Final, false)
		p.clock.Advance(time.Microsecond)
		check.Equal(t, "is over", p.get(purse, "2026-09").Final, true)
		_, err = p.Wallets.Load(ctx, wallet.Load{Book: bob.Book, Realm: bob.Realm, Amount: usd(1), Reference: p.key(), Actor: "op/1"})
		check.OK(t, err)
		later, err := p.Get(ctx, bob, purse, now)
		check.OK(t, err)
		check.Equal(t, "a wallet that was paid into in a later month", []any{later.Closing, later.Final}, []any{empty.Closing, true})
		p.clock.Advance(500 * day)
		found, total, err := p.Months(ctx, ann, of(card), statement.Page{Skip: 2, Limit: 3})
		check.OK(t, err)
		var names []string
		for _, st := range found {
			names = append(names, fmt.Sprint(st.Month, " ", st.Opening.Posted, " ", st.Closing.Posted))
		}
		check.Equal(t, "months", names, []string{"2027-12 30.00 30.00", "2027-11 30.00 30.00", "2027-10 30.00 30.00"})
		check.Equal(t, "how many", total, 18)
		_, total, err = p.Months(ctx, ann, of(card), statement.Page{Skip: 18, Limit: 3})
		check.OK(t, err)
		check.Equal(t, "how many, behind the last", total, 18)
		_, _, err = p.Months(ctx, ann, of(card), statement.Page{Skip: 0, Limit: statement.MaxMonths + 1})
		check.Code(t, "too many months", err, fault.InvalidRequest)
	})
}

// What a card was lent for its first payment is that on a page of one movement, too.
func TestFirstMovement(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		waits, err := p.Cards.Preview(t.Context(), ann, "", nil)
		check.OK(t, err)
		p.advise(p.Payments.Post, authorization.Advice{Card: waits.Card.ID, Amount: usd(123), Merchant: ads})
		st := p.get(of(waits.Card.ID), "2026-09")
		var kinds []statement.Kind
		for _, v := range p.movements(&st, 1) {
			kinds = append(kinds, v.Kind)
		}
		check.Equal(t, "kinds", kinds, []statement.Kind{statement.Lent, statement.Settlement})
	})
}

// story gives a card movements of several kinds, one of them with a name that a
// spreadsheet must not believe, and enough of them for more than one page of paper.
func (p *process) story() issuing.CardID {
	p.t.Helper()
	p.load(100_000)
	card := p.issue(50_000)
	for range 60 {
		p.pay(card, 100, diner)
	}
	p.advise(p.Payments.Post, authorization.Advice{Card: card, Amount: usd(123), Merchant: authorization.Merchant{Name: "Ünïcødé (caf\\é) 日本", MCC: "5812", Country: "DE"}})
	return card
}

// As CSV a statement has its balances, movements and totals in rows, and no text that a
// spreadsheet takes for a formula.
func TestCSV(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		st := p.get(of(p.story()), "2026-09")
		var out bytes.Buffer
		check.OK(t, p.WriteCSV(t.Context(), &out, &st))
		rows, err := csv.NewReader(&out).ReadAll()
		check.OK(t, err)
		column := map[string]int{}
		for i, name := range rows[0] {
			column[name] = i
		}
		counts, sum := map[string]int{}, money.New(0, money.USD)
		for _, row := range rows[1:] {
			counts[row[0]]++
			if row[0] == "movement" {
				amount, err := money.ParseAmount(strings.TrimPrefix(row[column["amount"]], "-"), money.USD)
				check.OK(t, err)
				if strings.HasPrefix(row[column["amount"]], "-") {
					amount.Minor = -amount.Minor
				}
				sum.Minor += amount.Minor
			}
		}
		check.Equal(t, "rows", counts, map[string]int{"opening": 1, "movement": 62, "total": 3, "closing": 1})
		check.Equal(t, "sum", sum, st.Closing.Posted)
		check.Equal(t, "a merchant", rows[3][column["merchant_name"]], "'=Chez Ann, Paris")
		check.Equal(t, "the end", rows[len(rows)-1], []string{"closing", "", "2026-09-20T09:00:00.000000Z", "", "", "", "", "498.77", "60.00", "USD", "", "", "", "", "", "", "", "", ""})
	})
}

var (
	streams = regexp.MustCompile(`(?s)stream\n(.*?)\nendstream`)
	shown   = regexp.MustCompile(`\(((?:[^()\\]|\\.)*)\) ?Tj`)
)

// textOf reads what a PDF shows.
func textOf(t *testing.T, pdf []byte) []string {
	t.Helper()
	var texts []string
	for _, m := range streams.FindAllSubmatch(pdf, -1) {
		content := m[1]
		if r, err := zlib.NewReader(bytes.NewReader(content)); err == nil {
			content, err = io.ReadAll(r)
			check.OK(t, err)
		}
		for _, text := range shown.FindAllSubmatch(content, -1) {
			texts = append(texts, strings.NewReplacer(`\(`, "(", `\)`, ")", `\\`, `\`).Replace(string(text[1])))
		}
	}
	return texts
}

// As PDF a statement shows what it has, on as many pages as it takes, and the same
// statement is the same bytes whenever it is made.
func TestPDF(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		card := p.story()
		p.clock.Advance(30 * day)
		st := p.get(of(card), "2026-09")
		var out bytes.Buffer
		check.OK(t, p.WritePDF(t.Context(), &out, &st))
		texts := textOf(t, out.Bytes())
		all := strings.Join(texts, "\n")
		for _, part := range []string{"Statement 2026-09", string(card), "491653", "2026-10-01 00:00:00 UTC (final)", "0.00 USD, of it held 0.00", "Movements\n62",
			"498.77 USD, of it held 60.00", "page 1 of 2", "page 2 of 2", "=Chez Ann, Paris FR restaurants", "\xdcn\xefc\xf8d\xe9 (caf\\\xe9) .. DE restaurants", "-1.23",
			"60 \xd7 = 0.00, held 60.00"} {
			if !strings.Contains(all, part) {
				t.Errorf("the text has no %q:\n%s", part, all)
			}
		}
		count := 0
		for _, text := range texts {
			if text == "authorization" {
				count++
			}
		}
		check.Equal(t, "authorizations, with their total", count, 61)
		check.Equal(t, "pages that say what the columns are", strings.Count(all, "\nAmount\n"), 2)
		p.clock.Advance(100 * day)
		p.fund(card, 100)
		again := p.get(of(card), "2026-09")
		var second bytes.Buffer
		check.OK(t, p.WritePDF(t.Context(), &second, &again))
		if !bytes.Equal(out.Bytes(), second.Bytes()) {
			t.Error("the same statement is other bytes")
		}
	})
}

// A wallet's files say what was kept of its deposits, each and in total; of a month in which
// nothing happened they say so.
func TestFilesOfAWallet(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		p.load(10_000)
		p.deposit(5_000, 102, false)
		card := p.issue(3_000)
		st := p.get(purse, "2026-09")
		var paper, sheet bytes.Buffer
		check.OK(t, p.WritePDF(t.Context(), &paper, &st))
		all := strings.Join(textOf(t, paper.Bytes()), "\n")
		for _, part := range []string{"Wallet\nUSD", "Movements\n3", "fee 1.02 dep_key-2", "\n" + string(card) + "\n-30.00", "fees\n1.02"} {
			if !strings.Contains(all, part) {
				t.Errorf("the text has no %q:\n%s", part, all)
			}
		}
		check.OK(t, p.WriteCSV(t.Context(), &sheet, &st))
		rows, err := csv.NewReader(&sheet).ReadAll()
		check.OK(t, err)
		check.Equal(t, "the fees", rows[len(rows)-2], []string{"total", "", "", "fees", "", "", "1.02", "", "", "USD", "", "", "", "", "", "", "", "", ""})
		p.clock.Advance(15 * day)
		quiet := p.get(purse, "2026-10")
		paper.Reset()
		check.OK(t, p.WritePDF(t.Context(), &paper, &quiet))
		if all := strings.Join(textOf(t, paper.Bytes()), "\n"); !strings.Contains(all, "Nothing happened.") {
			t.Errorf("the text is:\n%s", all)
		}
	})
}

// A file in memory has the name and the media type of its format, the bytes that are
// written elsewhere, and a bound.
func TestFile(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		card := p.story()
		st := p.get(of(card), "2026-09")
		for as, want := range map[statement.Format]struct {
			media string
			most  int64
			write func(context.Context, io.Writer, *statement.Statement) error
		}{statement.CSV: {"text/csv; charset=utf-8", statement.MaxCSV, p.WriteCSV}, statement.PDF: {"application/pdf", statement.MaxPDF, p.WritePDF}} {
			var out bytes.Buffer
			check.OK(t, want.write(t.Context(), &out, &st))
			f, err := p.File(t.Context(), &st, as)
			check.OK(t, err)
			check.Equal(t, "the file", f, statement.File{MediaType: want.media, Name: "statement-" + string(card) + "-2026-09." + string(as), Content: out.Bytes()})
			large := st
			large.Count = want.most + 1
			_, err = p.File(t.Context(), &large, as)
			check.Code(t, "too many movements", err, fault.InvalidRequest)
		}
	})
}
