package wire

import (
	"context"
	"fmt"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/core/fault"
)

type inner struct {
	Name string `json:"name" wire:"required"`
	MCC  string `json:"mcc"`
}

type decodeIn struct {
	Amount   string            `json:"amount" wire:"required,max=8"`
	Count    int               `json:"count"`
	Flag     bool              `json:"flag"`
	Merchant inner             `json:"merchant"`
	Tags     []string          `json:"tags"`
	Meta     map[string]string `json:"meta"`
}

func decoder(t *testing.T, strict bool) *bundle {
	b := setup(t, Options{}, func(d *Dialect[string]) { d.Strict = strict })
	Handle(b.Surface, Spec{Name: "d", Method: "POST", Path: "/v1/d"}, func(context.Context, *Call[string], decodeIn) (None, error) { return None{}, nil })
	Handle(b.Surface, Spec{Name: "e", Method: "POST", Path: "/v1/empty", EmptyBody: true}, func(context.Context, *Call[string], echoBody) (None, error) { return None{}, nil })
	Handle(b.Surface, Spec{Name: "n", Method: "POST", Path: "/v1/none"}, func(context.Context, *Call[string], None) (None, error) { return None{}, nil })
	return b.mount()
}

type echoBody struct {
	Text string `json:"text"`
}

// Hostile and wrong bodies give the right code and field, and never echo a value.
func TestDecodeRefuses(t *testing.T) {
	b := decoder(t, true)
	const secret = "4111111111111111"
	const malformed, invalid = fault.MalformedBody, fault.InvalidRequest
	for _, c := range []struct {
		body  string
		code  fault.Code
		field string
	}{
		{``, malformed, ""},
		{"  \n", malformed, ""},
		{`{`, malformed, ""},
		{`{"amount":"1"`, malformed, ""},
		{`{"amount":"1"} {}`, malformed, ""},
		{`{"amount":"1"}x`, malformed, ""},
		{`{"amount":"1","amount":"2"}`, malformed, ""},
		{"{\"amount\":\"\xff\"}", malformed, ""},
		{"{\"amount\":\"a\nb\"}", malformed, ""},
		{`{"amount":"\ud800"}`, malformed, ""},
		{`{"meta":{"a":"1","a":"2"}}`, malformed, ""},
		{strings.Repeat(`[`, 40), malformed, ""},
		{`{"meta":` + strings.Repeat(`{"a":`, 40) + `1` + strings.Repeat(`}`, 41), malformed, ""},
		{`nul`, malformed, ""},
		{`[]`, invalid, ""},
		{`null`, invalid, ""},
		{`"` + secret + `"`, invalid, ""},
		{`{"amount":"\u0000"}`, invalid, "amount"},
		{`{"amount":"1","merchant":{"name":"a\u0000b"}}`, invalid, "merchant.name"},
		{`{"amount":"1","tags":["a","\u0000"]}`, invalid, "tags[1]"},
		{`{"amount":"1","` + secret + `":"\u0000"}`, invalid, "?"},
		{`{"amount":"1","Line_190":"\u0000"}`, invalid, "Line_190"},
		{`{"a\u0000":"1"}`, invalid, "?"},
		{`{"amount":1x,"note":"\u0000"}`, malformed, ""},
		{`{"amount":` + secret + `}`, invalid, "amount"},
		{`{"amount":"1","count":"` + secret + `"}`, invalid, "count"},
		{`{"amount":"1","count":1.5}`, invalid, "count"},
		{`{"amount":"1","count":1e2}`, invalid, "count"},
		{`{"amount":"1","count":99999999999999999999}`, invalid, "count"},
		{`{"amount":"1","flag":"true"}`, invalid, "flag"},
		{`{"amount":"1","merchant":{"name":7}}`, invalid, "merchant.name"},
		{`{"amount":"1","merchant":{"mcc":"5411"}}`, invalid, "merchant.name"},
		{`{"amount":"1","tags":["a",{}]}`, invalid, "tags[1]"},
		{`{"amount":"1","meta":{"` + secret + `":1}}`, invalid, "meta.?"},
		{`{"amount":"1","` + secret + `":1}`, invalid, "?"},
		{`{"amount":"1","other":1}`, invalid, "other"},
		{`{"Amount":"1"}`, invalid, "Amount"},
		{`{"amount":""}`, invalid, "amount"},
		{`{"amount":null}`, invalid, "amount"},
		{`{"amount":"123456789","merchant":{"name":"x"}}`, invalid, "amount"},
	} {
		w := b.do("POST", "/v1/d", c.body)
		var got testError
		if err := Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Fatalf("%s: %v", c.body, err)
		}
		if w.Code != 400 || got.Error != string(c.code) || got.Field != c.field {
			t.Errorf("%.60s = %d %+v, want %s at %q", c.body, w.Code, got, c.code, c.field)
		}
		if strings.Contains(w.Body.String(), secret) || strings.Contains(b.log.String(), secret) {
			t.Errorf("%.60s: the value was echoed: %s", c.body, w.Body)
		}
	}
}

// A body that is no JSON because of how it was sent says so.
func TestDecodeSaysWhy(t *testing.T) {
	b := decoder(t, true)
	for _, c := range []struct{ body, coding, want string }{
		{"\x1f\x8b\x08", "gzip", "the body is compressed: send it as it is, without Content-Encoding"},
		{"\ufeff{}", "identity", "the body begins with a byte order mark, which JSON does not have"},
		{"hello", "identity", "the body is not valid JSON"},
		{"[]", "gzip", "the body must be a JSON object"},
	} {
		var got testError
		if err := Unmarshal(b.do("POST", "/v1/d", c.body, "Content-Encoding: "+c.coding).Body.Bytes(), &got); err != nil || got.Message != c.want {
			t.Errorf("%q as %s: %q, %v; want %q", c.body, c.coding, got.Message, err, c.want)
		}
	}
}

// What must be accepted is: escapes, eight multi-byte characters, nesting up to the limit, unknown members where the dialect is lenient.
func TestDecodeAccepts(t *testing.T) {
	strict, lenient := decoder(t, true), decoder(t, false)
	const good = `{"amount":"\\u0000éé","merchant":{"name":"x"}}`
	want(t, strict.do("POST", "/v1/d", "\n"+good+"\n"), 200, `{}`)
	nested := `{"amount":"1","merchant":{"name":"x"},"other":` + strings.Repeat(`[`, MaxDepth-1) + strings.Repeat(`]`, MaxDepth-1) + `}`
	want(t, lenient.do("POST", "/v1/d", nested), 200, `{}`)
	want(t, strict.do("POST", "/v1/empty", ``), 200, `{}`)
	want(t, strict.do("POST", "/v1/none", ``), 200, `{}`)
	want(t, strict.do("POST", "/v1/none", `{}`), 200, `{}`)
	want(t, lenient.do("POST", "/v1/none", `rubbish`), 200, `{}`)
	if w := strict.do("POST", "/v1/none", `{"a":1}`); w.Code != 400 {
		t.Errorf("strict took a member where none is: %d", w.Code)
	}
}

// All offending fields are told at once to dialects that want them.
func TestProblems(t *testing.T) {
	var got Problems
	b := setup(t, Options{}, func(d *Dialect[string]) {
		body := d.FaultBody
		d.FaultBody = func(c *Call[string], v Verdict, f *fault.Error) any { got = ProblemsOf(f); return body(c, v, f) }
	})
	Handle(b.Surface, Spec{Name: "d", Method: "POST", Path: "/v1/d"}, func(context.Context, *Call[string], decodeIn) (None, error) { return None{}, nil })
	b.mount().do("POST", "/v1/d", `{}`)
	wanted := Problems{{"amount", "is required"}, {"merchant.name", "is required"}}
	if diff := cmp.Diff(wanted, got); diff != "" {
		t.Error(diff)
	}
	if p := ProblemsOf(fault.New(fault.InvalidAmount, "too fine").At("amount")); len(p) != 1 || p[0].Field != "amount" {
		t.Errorf("plain fault: %v", p)
	}
	if ProblemsOf(fault.New(fault.NotFound, "x")) != nil || (Problems{}).Err() != nil {
		t.Error("no field blamed, yet some told")
	}
}

type thoroughIn struct {
	Item   string `json:"item" wire:"required,max=4"`
	Count  int    `json:"count"`
	Flag   bool   `json:"flag"`
	Nested inner  `json:"nested"`
}

func (in *thoroughIn) Check(problems *Problems) {
	if in.Count > 9 {
		problems.Add("count", "must be at most 9")
	}
	problems.Once("flag", "is never right")
}

type thoroughQuery struct {
	Small int8   `query:"small" json:"-"`
	Text  string `query:"text" json:"-" wire:"max=2"`
	PageQuery
}

// A thorough dialect names every field that cannot be read, is missing or is refused by
// the request itself, each once, and what is no JSON at all is still one mistake.
func TestThorough(t *testing.T) {
	var got Problems
	b := setup(t, Options{}, func(d *Dialect[string]) {
		d.Thorough, d.Strict = true, true
		body := d.FaultBody
		d.FaultBody = func(c *Call[string], v Verdict, f *fault.Error) any { got = ProblemsOf(f); return body(c, v, f) }
	})
	Handle(b.Surface, Spec{Name: "d", Method: "POST", Path: "/v1/d"}, func(context.Context, *Call[string], thoroughIn) (None, error) { return None{}, nil })
	Handle(b.Surface, Spec{Name: "q", Method: "GET", Path: "/v1/q"}, func(context.Context, *Call[string], thoroughQuery) (None, error) { return None{}, nil })
	b.mount()
	for _, c := range []struct {
		method, target, body string
		want                 Problems
	}{
		{"POST", "/v1/d", `{}`, Problems{{"item", "is required"}, {"nested.name", "is required"}, {"flag", "is never right"}}},
		{"POST", "/v1/d", `{"count":"3","item":7,"flag":1,"nested":{"name":"x"}}`,
			Problems{{"count", "must be an integer in range"}, {"flag", "must be true or false"}, {"item", "must be a valid string"}}},
		{"POST", "/v1/d", `{"nested":{"name":5},"count":12,"item":"fives","other":1}`, Problems{{"nested.name", "must be a valid string"}, {"other", "is not known"},
			{"item", "must be at most 4 characters"}, {"count", "must be at most 9"}, {"flag", "is never right"}}},
		{"POST", "/v1/d", `{"count":"3","item":`, nil},
		{"POST", "/v1/d", `{"count":"3","item":1} x`, nil},
		{"GET", "/v1/q?small=300&text=abc&page=x&page=2&other=1", ``, Problems{{"small", "must be an integer in range"}, {"page", "must be an integer in range"}, {"page", "stands twice"},
			{"other", "is not known"}, {"text", "must be at most 2 characters"}}},
	} {
		got = nil
		if w := b.do(c.method, c.target, c.body); w.Code != 400 {
			t.Errorf("%s: %d", c.body, w.Code)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s%s: %s", c.target, c.body, diff)
		}
	}
	hostile := "{"
	for i := range 4 * maxOffending {
		hostile += fmt.Sprintf(`"m%d":1,`, i)
	}
	b.do("POST", "/v1/d", hostile+`"count":1}`)
	if len(got) > maxOffending+3 {
		t.Errorf("%d fields are named", len(got))
	}
}

type queryIn struct {
	ID    int       `path:"id" json:"-"`
	Text  string    `query:"text" json:"-" wire:"max=5"`
	Count *int      `query:"count" json:"-"`
	Small int8      `query:"small" json:"-"`
	Flag  bool      `query:"flag" json:"-"`
	Tags  []string  `query:"tag" json:"-"`
	From  Since     `query:"from" json:"-"`
	Loose *LooseInt `query:"loose" json:"-"`
	Both  string    `query:"both" json:"both"`
	PageQuery
}

func query(t *testing.T, change func(*Dialect[string]), target string) *httptest.ResponseRecorder {
	t.Helper()
	b := setup(t, Options{}, change)
	Handle(b.Surface, Spec{Name: "q", Method: "GET", Path: "/v1/q/{id}"}, func(context.Context, *Call[string], queryIn) (None, error) {
		return None{}, nil
	})
	return b.mount().do("GET", target, "")
}

// Path and query values land in their fields, unescaped and typed.
func TestQuery(t *testing.T) {
	three, seven, loose := 3, 7, LooseInt(9)
	b := setup(t, Options{}, nil)
	var got queryIn
	Handle(b.Surface, Spec{Name: "q", Method: "GET", Path: "/v1/q/{id}"}, func(_ context.Context, _ *Call[string], in queryIn) (None, error) { got = in; return None{}, nil })
	w := b.mount().do("GET", "/v1/q/-5?text=a%20b%2Bc&&count=3&small=-8&flag=1&tag=x&tag=y+z&from=2026-04-15&per_page=7&loose=9&both=q&other=1&page=", "")
	want(t, w, 200, `{}`)
	wanted := queryIn{ID: -5, Text: "a b+c", Count: &three, Small: -8, Flag: true, Tags: []string{"x", "y z"}, Loose: &loose, Both: "q",
		From: Since(time.Date(2026, 4, 15, 0, 0, 0, 0, time.UTC)), PageQuery: PageQuery{PerPage: &seven}}
	if !reflect.DeepEqual(got, wanted) {
		t.Errorf("got  %+v\nwant %+v", got, wanted)
	}
}

// Wrong, repeated and unknown parameters follow the dialect's policy.
func TestQueryRefuses(t *testing.T) {
	first := func(d *Dialect[string]) { d.FirstOfRepeats = true }
	strict := func(d *Dialect[string]) { d.Strict = true }
	for _, c := range []struct {
		change func(*Dialect[string])
		target string
		status int
	}{
		{nil, "/v1/q/abc", 404},
		{nil, "/v1/q/1?count=x", 400},
		{nil, "/v1/q/1?count=%2B1", 400},
		{nil, "/v1/q/1?small=200", 400},
		{nil, "/v1/q/1?flag=yes", 400},
		{nil, "/v1/q/1?from=yesterday", 400},
		{nil, "/v1/q/1?text=%zz", 400},
		{nil, "/v1/q/1?%zz=1", 400},
		{nil, "/v1/q/1?text=%ff", 400},
		{nil, "/v1/q/1?text=%00", 400},
		{nil, "/v1/q/1?text=abcdef", 400},
		{nil, "/v1/q/1?text=a&text=b", 400},
		{first, "/v1/q/1?count=1&count=x", 200},
		{nil, "/v1/q/1?unknown=1", 200},
		{strict, "/v1/q/1?unknown=1", 400},
		{strict, "/v1/q/1?text=a&tag=1&tag=2", 200},
		{nil, "/v1/q/1?" + strings.Repeat("x=1&", 80), 400},
	} {
		if w := query(t, c.change, c.target); w.Code != c.status {
			t.Errorf("%s = %d %s, want %d", c.target, w.Code, w.Body, c.status)
		}
	}
}

// A field with both tags is read from the body where there is one, and never from the query then.
func TestBothTags(t *testing.T) {
	type both struct {
		Key string `query:"key" json:"key"`
	}
	type out struct {
		Key string `json:"key"`
	}
	b := setup(t, Options{}, nil)
	handler := func(_ context.Context, _ *Call[string], in both) (out, error) { return out(in), nil }
	Handle(b.Surface, Spec{Name: "g", Method: "GET", Path: "/v1/b"}, handler)
	Handle(b.Surface, Spec{Name: "p", Method: "POST", Path: "/v1/b"}, handler)
	b.mount()
	want(t, b.do("GET", "/v1/b?key=q", ""), 200, `{"key":"q"}`)
	want(t, b.do("POST", "/v1/b?key=q", `{"key":"b"}`), 200, `{"key":"b"}`)
	want(t, b.do("POST", "/v1/b?key=q", `{}`), 200, `{"key":""}`)
}

// A member can never replace a value of the path.
func TestPathWins(t *testing.T) {
	b := setup(t, Options{}, nil)
	Handle(b.Surface, echoSpec(), echo)
	want(t, b.mount().do("POST", "/v1/echo/7", `{"ID":"8","id":"9","-":"10"}`), 200, `{"id":"7","text":"","from":"192.0.2.1","key":"alice"}`)
}

// Registration refuses what cannot work.
func TestHandlePanics(t *testing.T) {
	try := func(name string, register func(s *Surface[string])) {
		t.Helper()
		defer func() {
			if recover() == nil {
				t.Errorf("%s was accepted", name)
			}
		}()
		register(setup(t, Options{}, nil).Surface)
	}
	spec := Spec{Name: "x", Method: "POST", Path: "/v1/x"}
	type untagged struct{ Name string }
	type float struct {
		List []struct {
			F float64 `json:"f"`
		} `json:"list"`
	}
	type anything struct {
		A any `json:"a"`
	}
	type pathInBody struct {
		ID string `path:"id" json:"id"`
	}
	type badTag struct {
		A string `json:"a" wire:"requird"`
	}
	try("an untagged field", func(s *Surface[string]) {
		Handle(s, spec, func(context.Context, *Call[string], untagged) (None, error) { return None{}, nil })
	})
	try("a float", func(s *Surface[string]) {
		Handle(s, spec, func(context.Context, *Call[string], None) (float, error) { return float{}, nil })
	})
	try("an interface", func(s *Surface[string]) {
		Handle(s, spec, func(context.Context, *Call[string], anything) (None, error) { return None{}, nil })
	})
	try("a wrong wire tag", func(s *Surface[string]) {
		Handle(s, spec, func(context.Context, *Call[string], badTag) (None, error) { return None{}, nil })
	})
	try("a path field in the body", func(s *Surface[string]) {
		Handle(s, echoSpec(), func(context.Context, *Call[string], pathInBody) (None, error) { return None{}, nil })
	})
	try("a wildcard without a field", func(s *Surface[string]) {
		Handle(s, echoSpec(), func(context.Context, *Call[string], None) (None, error) { return None{}, nil })
	})
	try("a field without a wildcard", func(s *Surface[string]) { Handle(s, spec, echo) })
	try("the same route twice", func(s *Surface[string]) { Handle(s, echoSpec(), echo); Handle(s, echoSpec(), echo) })
	try("idempotent without Replay", func(s *Surface[string]) {
		idempotent := echoSpec()
		idempotent.Idempotent = true
		Handle(s, idempotent, echo)
	})
	try("audited without Audit", func(s *Surface[string]) {
		audited := echoSpec()
		audited.Audit = "x"
		Handle(s, audited, echo)
	})
	try("an order with a phase missing", func(*Surface[string]) {
		d := testDialect()
		d.Order = KeyedOrder()[1:]
		New(NewKit(Options{}), d)
	})
	try("an order that decodes before the body", func(*Surface[string]) {
		d := testDialect()
		d.Order = []Phase{PhaseAddress, PhaseAuthenticate, PhaseLimit, PhaseMedia, PhaseDecode, PhaseBody, PhaseReplay}
		New(NewKit(Options{}), d)
	})
}

// Whatever the body, decoding neither panics nor accepts what is not JSON.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{`{"amount":"1","merchant":{"name":"x"}}`, `{"a":"\u0000"}`, `[[[`, "{\"\\", `{"a":"\`, `{"amount":1e999}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var in decodeIn
		err := Unmarshal(body, &in)
		if err == nil && !Raw(body).IsValid() {
			t.Fatalf("accepted %q", body)
		}
		if err != nil && fault.CodeOf(err).Kind() != fault.KindInvalid {
			t.Fatalf("%q: %v", body, err)
		}
	})
}
