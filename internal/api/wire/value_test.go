package wire

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
)

func usd(t *testing.T) money.Currency {
	t.Helper()
	c, err := money.Parse("USD")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Values encode to the contracts' exact bytes.
func TestEncodeValues(t *testing.T) {
	at := time.Date(2026, 5, 22, 17, 57, 34, 977_000_000, time.UTC)
	east := at.In(time.FixedZone("", 2*3600))
	type out struct {
		Balance  Number            `json:"balance"`
		Amount   Major             `json:"amount"`
		Neg      Major             `json:"neg"`
		Loose    LooseInt          `json:"loose"`
		Bool     LooseBool         `json:"bool"`
		MilliZ   TimeMillis        `json:"milli_z"`
		Second   TimeSecond        `json:"second"`
		Offset   TimeOffset        `json:"offset"`
		Absent   TimeSecond        `json:"absent,omitzero"`
		Null     *TimeSecond       `json:"null"`
		Empty    []string          `json:"empty"`
		Map      map[string]string `json:"map"`
		HTML     string            `json:"html"`
		Raw      Raw               `json:"raw"`
		BadBytes string            `json:"bad"`
	}
	got, err := Marshal(out{Balance: "47.50", Amount: Major(money.New(4750, usd(t))), Neg: Major(money.New(-5, usd(t))), Loose: 5, Bool: true,
		MilliZ: TimeMillis(east), Second: TimeSecond(east), Offset: TimeOffset(at), Map: map[string]string{"b": "2", "a": "1"},
		HTML: "<&>", Raw: Raw(`{"x": 1.50}`), BadBytes: "a\xffb"})
	const want = `{"balance":47.50,"amount":47.50,"neg":-0.05,"loose":5,"bool":true,"milli_z":"2026-05-22T17:57:34.977Z",` +
		`"second":"2026-05-22T17:57:34Z","offset":"2026-05-22T17:57:34+00:00","null":null,"empty":[],"map":{"a":"1","b":"2"},"html":"<&>","raw":{"x":1.50},"bad":"a�b"}`
	if err != nil || string(got) != want {
		t.Errorf("%v\ngot  %s\nwant %s", err, got, want)
	}
}

// Loose and exact values accept what the contracts say and nothing else.
func TestDecodeValues(t *testing.T) {
	type in struct {
		Bool   LooseBool   `json:"bool"`
		Int    LooseInt    `json:"int"`
		Number Number      `json:"number"`
		Any    LooseNumber `json:"any"`
		Since  Since       `json:"since"`
	}
	for body, want := range map[string]in{
		`{"bool":true,"int":50018}`:                         {Bool: true, Int: 50018},
		`{"bool":"true","int":"50018"}`:                     {Bool: true, Int: 50018},
		`{"bool":"false","int":""}`:                         {},
		`{"bool":null,"int":null,"number":null,"any":null}`: {},
		`{"number":47.50,"any":"0.10"}`:                     {Number: "47.50", Any: "0.10"},
		`{"number":-5,"any":100}`:                           {Number: "-5", Any: "100"},
		`{"since":"2026-01-02T03:04:05 01:00"}`:             {Since: Since(time.Date(2026, 1, 2, 2, 4, 5, 0, time.UTC))},
		`{"since":"2026-01-02T03:04:05.5 00:00"}`:           {Since: Since(time.Date(2026, 1, 2, 3, 4, 5, 500_000_000, time.UTC))},
		`{"since":"2026-01-02T03:04:05.5"}`:                 {Since: Since(time.Date(2026, 1, 2, 3, 4, 5, 500_000_000, time.UTC))},
		`{"since":"2026-01-02T03:04:05.123456789+01:00"}`:   {Since: Since(time.Date(2026, 1, 2, 2, 4, 5, 123_456_000, time.UTC))},
	} {
		var got in
		if err := Unmarshal([]byte(body), &got); err != nil || got != want {
			t.Errorf("%s = %+v, %v", body, got, err)
		}
	}
	for _, body := range []string{`{"bool":1}`, `{"bool":"yes"}`, `{"bool":{}}`, `{"int":1.5}`, `{"int":"1.5"}`, `{"int":"+1"}`, `{"int":true}`, `{"int":"99999999999999999999"}`,
		`{"number":"1"}`, `{"number":1e5}`, `{"number":true}`, `{"number":` + strings.Repeat("1", 33) + `}`, `{"any":"1e5"}`, `{"any":"x"}`, `{"any":[]}`, `{"any":"-"}`,
		`{"since":"x"}`, `{"since":5}`, `{"since":"1969-12-31"}`} {
		var got in
		err := Unmarshal([]byte(body), &got)
		if fault.CodeOf(err) != fault.InvalidRequest || fault.From(err).Field == "body" {
			t.Errorf("%s: %v", body, err)
		}
	}
}

// Pages resolve within their bounds and total up in both forms.
func TestPages(t *testing.T) {
	number := func(n int) *int { return &n }
	page, err := PageQuery{}.Resolve(25, 100)
	if err != nil || page != (Page{Number: 1, Size: 25}) {
		t.Errorf("default page %+v, %v", page, err)
	}
	page, err = PageQuery{Page: number(3), PerPage: number(10)}.Resolve(25, 100)
	if err != nil || page.Offset != 20 {
		t.Errorf("page 3: %+v, %v", page, err)
	}
	if got := page.Totals(21); got != (PageTotals{Page: 3, PerPage: 10, Total: 21, TotalPages: 3}) {
		t.Errorf("totals %+v", got)
	}
	if got := page.Links(0); got != (PageLinks{PerPage: 10, CurrentPage: 3, LastPage: 1}) {
		t.Errorf("links %+v", got)
	}
	_, err = PageQuery{Page: number(0), PerPage: number(101)}.Resolve(25, 100)
	if got := ProblemsOf(fault.From(err)); len(got) != 2 {
		t.Errorf("problems %v", got)
	}
	if _, err := (PageQuery{Page: number(1 << 40)}).Resolve(25, 100); fault.CodeOf(err) != fault.InvalidRequest {
		t.Errorf("a far page: %v", err)
	}
	// What last_page says is there: small pages reach as far as large ones.
	for _, size := range []int{1, 10, 100} {
		last := 1_000_000 / size
		if page, err := (PageQuery{Page: number(last), PerPage: number(size)}).Resolve(25, 100); err != nil || page.Offset != 1_000_000-size {
			t.Errorf("the last page of %d rows: %+v, %v", size, page, err)
		}
		if _, err := (PageQuery{Page: number(last + 1), PerPage: number(size)}).Resolve(25, 100); fault.CodeOf(err) != fault.InvalidRequest {
			t.Errorf("a page beyond the last one of %d rows: %v", size, err)
		}
	}
	if n, err := (CursorQuery{Limit: number(7)}).Size(25, 100); n != 7 || err != nil {
		t.Errorf("size %d, %v", n, err)
	}
	if _, err := (CursorQuery{Limit: number(101)}).Size(25, 100); fault.CodeOf(err) != fault.InvalidRequest {
		t.Errorf("a large limit: %v", err)
	}
}

// A cursor opens only as it was made, for the list it was made for.
func TestCursors(t *testing.T) {
	c := NewCursors([]byte("0123456789abcdef0123456789abcdef"))
	cursor := c.Seal("cards/bk_1", "2026-01-01", "", "card_1")
	values, err := c.Open("cards/bk_1", cursor, 3)
	if err != nil || strings.Join(values, "|") != "2026-01-01||card_1" {
		t.Fatalf("Open = %q, %v", values, err)
	}
	if url.QueryEscape(cursor) != cursor {
		t.Errorf("%s needs escaping", cursor)
	}
	if values, err := c.Open("x", "", 3); values != nil || err != nil {
		t.Errorf("empty cursor: %v, %v", values, err)
	}
	invalid := func(scope, cursor string, count int) {
		t.Helper()
		if _, err := c.Open(scope, cursor, count); fault.CodeOf(err) != fault.InvalidCursor {
			t.Errorf("%q for %s: %v", cursor, scope, err)
		}
	}
	invalid("cards/bk_2", cursor, 3)
	invalid("cards/bk_1", cursor, 2)
	for i := range cursor {
		changed := []byte(cursor)
		changed[i] ^= 1
		invalid("cards/bk_1", string(changed), 3)
	}
	for i := range cursor[1:] {
		invalid("cards/bk_1", cursor[:i+1], 3)
	}
	invalid("cards/bk_1", strings.Repeat("A", 2000), 3)
	other := NewCursors([]byte("another key"))
	if _, err := other.Open("cards/bk_1", cursor, 3); fault.CodeOf(err) != fault.InvalidCursor {
		t.Errorf("another key: %v", err)
	}
	if c.Seal("s", strings.Repeat("x", 2000)) != "" {
		t.Error("a cursor that could never be opened was made")
	}
}

// FuzzCursor: a cursor that opens is one that Seal gave.
func FuzzCursor(f *testing.F) {
	c := NewCursors([]byte("key"))
	f.Add(c.Seal("s", "a", "b"))
	f.Add("AQ")
	f.Fuzz(func(t *testing.T, text string) {
		values, err := c.Open("s", text, 2)
		if err == nil && text != "" && c.Seal("s", values...) != text {
			t.Fatalf("two cursors for %q", values)
		}
	})
}
