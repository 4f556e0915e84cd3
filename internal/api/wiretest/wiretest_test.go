package wiretest

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
)

// The shop is a small dialect that the tests of this package hold to its document.
type (
	order struct {
		ID     string      `json:"id"`
		Item   string      `json:"item"`
		Amount wire.Number `json:"amount"`
		Note   string      `json:"note,omitzero"`
	}
	newOrder struct {
		Item   string        `json:"item" wire:"required,max=64"`
		Amount wire.Number   `json:"amount" wire:"required"`
		Count  wire.LooseInt `json:"count"`
		Buyer  buyer         `json:"buyer"`
	}
	buyer struct {
		Email string `json:"email" wire:"required"`
	}
	oneOrder struct {
		ID string `path:"id" json:"-"`
	}
	listOrders struct {
		wire.PageQuery
		Status string `query:"status" json:"-"`
	}
	orderList struct {
		Orders []order `json:"orders"`
	}
	shopError struct {
		Success bool `json:"success"`
		Error   struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		} `json:"error"`
	}
)

// shop holds the orders of one test.
type shop struct {
	*wire.Surface[string]
	orders []order
	events []string
	broken bool
}

func shopTable() map[fault.Code]wire.Verdict {
	table := map[fault.Code]wire.Verdict{}
	for _, code := range fault.Codes() {
		switch code.Kind() {
		case fault.KindInternal, fault.KindUnavailable:
			table[code] = wire.Verdict{Status: 500, Code: "broken"}
		case fault.KindNotFound:
			table[code] = wire.Verdict{Status: 404, Code: "missing"}
		default:
			table[code] = wire.Verdict{Status: 400, Code: "invalid"}
		}
	}
	return table
}

func newShop() *shop {
	s := &shop{}
	s.Surface = wire.New(wire.NewKit(wire.Options{}), wire.Dialect[string]{
		Name: "shop", Prefixes: []string{"/v1/"}, Faults: shopTable(),
		Authenticate: func(_ context.Context, c *wire.Call[string]) (string, error) {
			if c.Request.Header.Get("X-API-Key") != "sk_secret" {
				return "", fault.New(fault.CredentialsInvalid, "who are you")
			}
			return "alice", nil
		},
		Subject: func(p string) string { return p },
		Success: func(_ *wire.Call[string], out any) any {
			return struct {
				Success bool `json:"success"`
				Data    any  `json:"data"`
			}{true, out}
		},
		FaultBody: func(_ *wire.Call[string], v wire.Verdict, _ *fault.Error) any {
			var e shopError
			e.Error.Code, e.Error.Message = v.Code, v.Message
			return e
		},
	})
	wire.Handle(s.Surface, wire.Spec{Name: "orders.list", Method: "GET", Path: "/v1/orders"}, s.list)
	wire.Handle(s.Surface, wire.Spec{Name: "orders.make", Method: "POST", Path: "/v1/orders", Status: 201}, s.make)
	wire.Handle(s.Surface, wire.Spec{Name: "orders.read", Method: "GET", Path: "/v1/orders/{id}"}, s.read)
	return s
}

func (s *shop) make(_ context.Context, _ *wire.Call[string], in newOrder) (order, error) {
	if s.broken && in.Count < 0 {
		return order{}, fmt.Errorf("a bug")
	}
	o := order{ID: id.New("ord"), Item: in.Item, Amount: in.Amount}
	s.orders = append(s.orders, o)
	s.events = append(s.events, "order.made "+o.ID)
	return o, nil
}

func (s *shop) read(_ context.Context, _ *wire.Call[string], in oneOrder) (order, error) {
	for _, o := range s.orders {
		if o.ID == in.ID {
			return o, nil
		}
	}
	return order{}, fault.New(fault.NotFound, "no such order")
}

func (s *shop) list(_ context.Context, _ *wire.Call[string], in listOrders) (orderList, error) {
	_, err := in.Resolve(10, 100)
	return orderList{Orders: s.orders}, err
}

func (s *shop) handler() http.Handler {
	mux := http.NewServeMux()
	s.Mount(mux)
	return mux
}

func (s *shop) golden(t *testing.T, document []byte) Golden {
	advanced := ""
	return Golden{
		Handler: s.handler(), Document: Load(t, document), AnyMedia: true,
		Vars: map[string]string{"key": "sk_secret"},
		Sections: map[string]func(testing.TB, string) string{"events": func(testing.TB, string) string {
			text := advanced + strings.Join(s.events, "\n")
			s.events = nil
			return text
		}},
		Actions: map[string]func(testing.TB, []string){"advance": func(_ testing.TB, args []string) { advanced = "advanced " + args[0] + "\n" }},
	}
}

func readShop(t *testing.T) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/shop.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func (s *shop) contract() Contract {
	return Contract{Routes: s.Routes(), Table: s.Table(), Data: "data", ErrorCode: "error.code"}
}

// recorder is a test that may fail without failing the one that runs it.
type recorder struct {
	testing.TB
	failures []string
}

func (r *recorder) Helper() {}
func (r *recorder) Errorf(format string, args ...any) {
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}
func (r *recorder) Error(args ...any) { r.failures = append(r.failures, fmt.Sprint(args...)) }

// Golden files play, and their ids are captured and used again.
func TestGolden(t *testing.T) {
	document := readShop(t)
	runEach(t, func(t *testing.T) Golden { return newShop().golden(t, document) })
}

// Known values and rules become placeholders: longest first, each distinct text numbered.
func TestCapture(t *testing.T) {
	p := &player{values: map[string]string{"key": "sk_secret", "short": "a"}, counts: map[string]int{}}
	p.Rules = []Rule{{Name: "order", Pattern: regexp.MustCompile(`ORD-\d{4}-\d+`)}}
	got := p.capture(`{"order_no":"ORD-2026-7","again":"ORD-2026-7","other":"ORD-2026-77","key":"sk_secret","a":1}`)
	const want = `{"order_no":"{{order1}}","again":"{{order1}}","other":"{{order2}}","key":"{{key}}","a":1}` + "\n"
	if got != want {
		t.Errorf("got  %swant %s", got, want)
	}
	if back := p.expand(t, "s", "{{order2}} {{key}}"); back != "ORD-2026-77 sk_secret" {
		t.Errorf("expand = %q", back)
	}
}

// The document and the dialect agree.
func TestCheckOpenAPI(t *testing.T) {
	s := newShop()
	CheckOpenAPI(t, readShop(t), s.contract())
	CheckTable(t, s.Table())
}

// Every kind of difference between document and dialect is found.
func TestCheckOpenAPIFinds(t *testing.T) {
	document := string(readShop(t))
	for _, c := range []struct{ old, replacement, want string }{
		{"  /orders/{id}:", "  /order/{id}:", "GET /v1/orders/{id}: route is not in the document"},
		{"  /orders/{id}:", "  /order/{id}:", "GET /v1/order/{id}: operation has no route"},
		{"{name: status, in: query, schema: {type: string, enum: [open, paid]}}", "{name: state, in: query, schema: {type: string}}", "GET /v1/orders: query status parameter is not in the document"},
		{"{name: status, in: query, schema: {type: string, enum: [open, paid]}}", "{name: state, in: query, schema: {type: string}}", "GET /v1/orders: query state parameter is not read"},
		{"{name: page, in: query, schema: {type: integer}}", "{name: page, in: query, schema: {type: string}}", "GET /v1/orders query page: is string in the document, integer in Go"},
		{"{name: page, in: query, schema", "{name: page, in: query, required: true, schema", "GET /v1/orders: query page: required is true in the document, false in the struct"},
		{"required: [item, amount]\n              prop", "required: [item]\n              prop", "POST /v1/orders body: amount: required is false in the document, true in the struct"},
		{"amount: {type: number}\n                count", "amount: {type: string}\n                count", "POST /v1/orders body.amount: is string in the document, number in Go"},
		{"count: {oneOf: [{type: integer}, {type: string}]}", "count: {oneOf: [{type: integer}, {type: boolean}]}", "POST /v1/orders body.count: is boolean or integer in the document, integer|string in Go"},
		{"required: [email]", "required: []", "POST /v1/orders body.buyer: email: required is false in the document, true in the struct"},
		{"                item: {type: string, maxLength: 64}\n", "                thing: {type: string}\n                item: {type: string}\n", "POST /v1/orders body: thing is not in the struct"},
		{"        note: {type: string}\n", "", "GET /v1/orders/{id} response: note is not in the document"},
		{"required: [id, item, amount]", "required: [id, item, amount, note]", "GET /v1/orders response.orders[]: note: required is true in the document, false in the struct"},
		{"amount: {type: number}\n        note", "amount: {type: integer}\n        note", "POST /v1/orders response.amount: is integer in the document, number in Go"},
		{`"201":`, `"202":`, "POST /v1/orders: document has no response 201"},
		{`        "404":`, `        "410":`, "GET /v1/orders/{id}: status 410 is not in the error table"},
		{"enum: [invalid, missing, broken]", "enum: [invalid, missing, broken, odd]", `Shop: documented code "odd" is not in the error table`},
		{"enum: [invalid, missing, broken]", "enum: [invalid, missing]", `Shop: code "broken" of the error table is not documented`},
	} {
		changed := strings.Replace(document, c.old, c.replacement, 1)
		if changed == document {
			t.Errorf("%q is not in the document", c.old)
			continue
		}
		if found := compare(Load(t, []byte(changed)), newShop().contract()); !slices.Contains(found, c.want) {
			t.Errorf("want %s\ngot  %s", c.want, strings.Join(found, "\n     "))
		}
	}
	r := &recorder{}
	CheckOpenAPI(r, []byte(strings.Replace(document, "required: [email]", "required: []", 1)), newShop().contract())
	table := shopTable()
	delete(table, fault.NotFound)
	table["made_up"] = wire.Verdict{Status: 400}
	table[fault.Internal] = wire.Verdict{Status: 200}
	CheckTable(r, table)
	if len(r.failures) != 4 {
		t.Errorf("failures %q", r.failures)
	}
}

func authorize(r *http.Request, _ []byte) { r.Header.Set("X-API-Key", "sk_secret") }

// The kit gives no 5xx and well-formed refusals, whatever is sent.
func TestFuzzSurface(t *testing.T) {
	for seed := range uint64(3) {
		FuzzSurface(t, Attack{Document: readShop(t), Handler: newShop().handler(), Seed: seed, Rounds: 150, Prepare: authorize, AnyMedia: true})
	}
}

// A handler with a bug, a refusal that is not JSON, and one outside the document are found.
func TestFuzzSurfaceFinds(t *testing.T) {
	broken := newShop()
	broken.broken = true
	for name, h := range map[string]http.Handler{
		"a 500":                 broken.handler(),
		"a text":                http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusBadRequest) }),
		"an undocumented shape": answer(400, `{"wrong":true}`),
		"an undocumented code":  answer(418, `{}`),
		"an undocumented header": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Shop", "open")
			newShop().handler().ServeHTTP(w, r)
		}),
	} {
		r := &recorder{TB: t}
		FuzzSurface(r, Attack{Document: readShop(t), Handler: h, Seed: 1, Rounds: 300, Prepare: authorize, AnyMedia: true})
		if len(r.failures) == 0 {
			t.Errorf("%s was not found", name)
		}
	}
}

func answer(status int, body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	})
}

// An answer that differs from its file fails with a diff, and one outside the document fails too.
func TestGoldenFails(t *testing.T) {
	data, err := os.ReadFile("testdata/orders.txtar")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(data), `"item":"socks"`, `"item":"shirt"`, 1)
	s := newShop()
	g := s.golden(t, readShop(t))
	file := filepath.Join(t.TempDir(), "changed.txtar")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r := &recorder{TB: t}
	Run(r, file, g)
	if len(r.failures) != 1 || !strings.Contains(r.failures[0], "shirt") {
		t.Errorf("failures %q", r.failures)
	}
	g = newShop().golden(t, []byte(strings.ReplaceAll(string(readShop(t)), "note: {type: string}\n", "note: {type: string}\n        colour: {type: string}\n      additionalProperties: false\n      minProperties: 4\n")))
	r = &recorder{TB: t}
	Run(r, "testdata/orders.txtar", g)
	if len(r.failures) != 2 || !strings.Contains(r.failures[0], "response 201") {
		t.Errorf("failures %q", r.failures)
	}
}

// What a document lacks, a status that does not fit, an unexplained word and what no golden
// file shows are found.
func TestChecksFind(t *testing.T) {
	s := newShop()
	r := &recorder{TB: t}
	CheckComplete(r, readShop(t), s.Routes(), Completeness{Examples: true, Statuses: []int{500}, Headers: []string{"X-Request-Id"}})
	for _, want := range []string{
		"orders.make: the operation needs its id, a summary, a description and one tag",
		"orders.make: the request has no example",
		"orders.read: response 200 has no example",
		"orders.list: the document has no response 500",
		"orders.list: response 200 is without X-Request-Id",
		"schema Order: item has no description",
	} {
		if !slices.Contains(r.failures, want) {
			t.Errorf("want %s\ngot  %s", want, strings.Join(r.failures, "\n     "))
		}
	}
	r = &recorder{TB: t}
	CheckKinds(r, s.Table(), map[fault.Kind][]int{fault.KindNotFound: {410}})
	CheckExplained(r, readShop(t), s.Table(), "invalid 400")
	CheckCover(r, Cover{Routes: append(s.Routes(), wire.Route{Spec: wire.Spec{Name: "orders.pay", Method: "POST", Path: "/v1/orders/{id}/pay"}}),
		Refusals: Words(s.Table()), Word: regexp.MustCompile(`"code":"([a-z_]+)"`), Elsewhere: map[string]string{"broken": "a mistake"}})
	for _, want := range []string{"route_not_found, which is not_found, has status 404", "words and statuses (-table +document)", "the published invalid 400 is missing", "refusals without a golden request: [missing orders.list orders.pay]"} {
		if !slices.ContainsFunc(r.failures, func(f string) bool { return strings.Contains(f, want) }) {
			t.Errorf("want %s\ngot  %s", want, strings.Join(r.failures, "\n     "))
		}
	}
}
