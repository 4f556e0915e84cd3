package reseller

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/order/supply"
	"github.com/scripcards/scrip/internal/platform/keyfile"
	"github.com/scripcards/scrip/internal/platform/line"
	"github.com/scripcards/scrip/internal/testkit/check"
)

const key = "cp_test_sk_secret"

// bench is an upstream on this machine that answers as it is told.
type bench struct {
	*upstream
	t     *testing.T
	clock *clock.Manual
	mu    sync.Mutex
	// answer is what is sent; its status 0 breaks the connection off.
	status int
	body   string
	// now is what an order is that is read; empty: as when it was placed.
	nowStatus int
	now       string
	seen      []string // method, path, key, body of each request
}

func setup(t *testing.T, extra string) *bench {
	t.Helper()
	b := &bench{t: t, clock: clock.NewManual(time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC))}
	server := httptest.NewServer(b)
	t.Cleanup(server.Close)
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "key"), []byte(key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	u, err := open(keyfile.Folder(folder), fmt.Appendf(nil, `{"url":%q,"allow_plain":true,"key_file":"key","currency":"USD"%s}`, server.URL+"/v1/", extra), b.clock)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = u.Close() })
	b.upstream = u
	return b
}

func (b *bench) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seen = append(b.seen, strings.TrimSpace(fmt.Sprint(r.Method, " ", r.URL.Path, " ", r.Header.Get("Idempotency-Key"), " ", string(body))))
	if r.Header.Get("X-API-Key") != key {
		b.t.Errorf("the key is %q", r.Header.Get("X-API-Key"))
	}
	status, text := b.status, b.body
	if r.Method == http.MethodGet && b.now != "" {
		status, text = b.nowStatus, b.now
	}
	if status == 0 {
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}

// numberIn is the number of the order that an answer is about.
func (b *bench) numberIn(body string) string {
	b.t.Helper()
	var in struct {
		Data struct {
			OrderID number `json:"order_id"`
		} `json:"data"`
	}
	check.OK(b.t, json.Unmarshal([]byte(body), &in))
	return string(in.Data.OrderID)
}

func (b *bench) says(status int, body string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.status, b.body, b.now, b.seen = status, body, "", nil
}

func (b *bench) submission(reference string) supply.Submission {
	return supply.Submission{ID: "sub_1", Wanted: supply.Wanted{Item: "GOOGLE-5USD-KOXx", Quantity: 2, Denomination: "5"}, Reference: reference, SentAt: b.clock.Now()}
}

const (
	bought = `{"success":true,"message":"m","data":{"type":"bulk","brand":"Google","codes":[
		{"code":"AAAA","currency":"USD","item_code":"GOOGLE-5USD-KOXx","denomination":"5.00","charged_amount":"4.90","denomination_unit":"USD"},
		{"code":"BBBB","currency":"USD","item_code":"GOOGLE-5USD-KOXx","denomination":"5.00","charged_amount":"4.90","denomination_unit":"USD","metadata":[{"Pin":"7694269"}]}],
		"state":"completed","amount":"9.80","status":"completed","order_id":71,"order_no":"ORD-2026-071","created_at":"2026-11-21T09:00:00+00:00","denomination_unit":"USD","total_denomination":10}}`
	read = `{"success":true,"message":"m","data":{"order_id":71,"order_no":"ORD-2026-071","status":"completed","state":"success",
		"codes":[{"code":"AAAA","status":"delivered"},{"code":"BBBB","status":"delivered"}],"amount":9.81,"created_at":"2026-11-21T09:00:00+00:00"}}`
)

func order(status, codes string) string {
	return fmt.Sprintf(`{"success":true,"data":{"order_id":71,"status":%q,"codes":%s,"amount":"4.90"}}`, status, codes)
}

const refused = `{"success":false,"message":"no","data":{}}`

// Every answer to an order means what it means, and what cannot be read means nothing: the
// first time, asked again under the same key, and looked up by its number.
func TestAnswers(t *testing.T) {
	b := setup(t, "")
	for name, c := range map[string]struct {
		status                 int
		body                   string
		first, again, lookedUp supply.State
	}{
		"bought":                    {200, bought, supply.Delivered, supply.Delivered, supply.Delivered},
		"read":                      {200, read, supply.Delivered, supply.Delivered, supply.Delivered},
		"a part of it":              {200, order("completed", `[{"code":"A","charged_amount":"4.90"}]`), supply.Delivered, supply.Delivered, supply.Delivered},
		"processing":                {200, order("processing", `[]`), supply.Working, supply.Working, supply.Working},
		"pending":                   {200, order("pending", `[]`), supply.Working, supply.Working, supply.Working},
		"failed":                    {200, order("failed", `[]`), supply.Refused, supply.Refused, supply.Refused},
		"cancelled":                 {200, order("cancelled", `[]`), supply.Refused, supply.Refused, supply.Refused},
		"refunded":                  {200, order("refunded", `[]`), supply.Refused, supply.Refused, supply.Refused},
		"all paid back":             {200, order("completed", `[{"code":"","status":"refunded"}]`), supply.Refused, supply.Refused, supply.Refused},
		"one that is replaced":      {200, order("completed", `[{"code":"A","status":"delivered"},{"code":"","status":"replacing"}]`), supply.Working, supply.Working, supply.Working},
		"an unknown status":         {200, order("lost", `[]`), supply.Unknown, supply.Unknown, supply.Unknown},
		"completed without codes":   {200, order("completed", `[]`), supply.Unknown, supply.Unknown, supply.Unknown},
		"an empty code":             {200, order("completed", `[{"code":"","charged_amount":"4.90"}]`), supply.Unknown, supply.Unknown, supply.Unknown},
		"an amount that is none":    {200, order("completed", `[{"code":"A","charged_amount":"4,90"}]`), supply.Unknown, supply.Unknown, supply.Unknown},
		"a code that is a number":   {200, order("completed", `[{"code":7}]`), supply.Unknown, supply.Unknown, supply.Unknown},
		"another order":             {200, strings.ReplaceAll(bought, "71", "72"), supply.Delivered, supply.Delivered, supply.Unknown},
		"no number":                 {200, strings.ReplaceAll(bought, `"order_id":71`, `"order_id":"x"`), supply.Unknown, supply.Unknown, supply.Unknown},
		"out of stock":              {400, refused, supply.Refused, supply.Refused, supply.Unknown},
		"no such item":              {404, refused, supply.Refused, supply.Refused, supply.Unknown},
		"a wrong key":               {401, refused, supply.Refused, supply.Unknown, supply.Unknown},
		"not allowed":               {403, refused, supply.Refused, supply.Unknown, supply.Unknown},
		"too many":                  {429, refused, supply.Refused, supply.Unknown, supply.Unknown},
		"wrong":                     {422, refused, supply.Refused, supply.Refused, supply.Unknown},
		"a conflict":                {409, refused, supply.Refused, supply.Unknown, supply.Unknown},
		"a timeout on the way":      {408, refused, supply.Unknown, supply.Unknown, supply.Unknown},
		"a page from in between":    {404, "<html>not here</html>", supply.Unknown, supply.Unknown, supply.Unknown},
		"a refusal that is none":    {400, bought, supply.Unknown, supply.Unknown, supply.Unknown},
		"a success that is none":    {200, refused, supply.Unknown, supply.Unknown, supply.Unknown},
		"an internal error":         {500, refused, supply.Unknown, supply.Unknown, supply.Unknown},
		"busy":                      {503, refused, supply.Unknown, supply.Unknown, supply.Unknown},
		"a redirect":                {302, refused, supply.Unknown, supply.Unknown, supply.Unknown},
		"nothing":                   {200, "", supply.Unknown, supply.Unknown, supply.Unknown},
		"half of it":                {200, bought[:200], supply.Unknown, supply.Unknown, supply.Unknown},
		"something else":            {200, `{"success":true,"data":"yes"}`, supply.Unknown, supply.Unknown, supply.Unknown},
		"more than it may":          {200, bought + strings.Repeat(" ", 1<<20), supply.Unknown, supply.Unknown, supply.Unknown},
		"a connection that is gone": {0, "", supply.Unknown, supply.Unknown, supply.Unknown},
	} {
		b.says(c.status, c.body)
		first, _ := b.Submit(t.Context(), b.submission(""))
		again, _ := b.Query(t.Context(), b.submission(""))
		lookedUp, _ := b.Query(t.Context(), b.submission("71"))
		if diff := cmp.Diff([]supply.State{c.first, c.again, c.lookedUp}, []supply.State{first.State, again.State, lookedUp.State}); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		const sent = `POST /v1/orders scrip-sub_1 {"item_code":"GOOGLE-5USD-KOXx","quantity":2,"value":"5","price_currency":"USD"}`
		const read = "GET /v1/orders/71"
		want := []string{sent, read}
		if slices.Contains([]supply.State{supply.Delivered, supply.Working}, c.again) { // it was found, and is read as it is now
			want = []string{sent, strings.ReplaceAll(read, "71", b.numberIn(c.body)), read}
		}
		want = slices.Compact(want) // a read is sent again where a connection is gone
		if diff := cmp.Diff(want, slices.Compact(b.seen[1:])); diff != "" || b.seen[0] != sent {
			t.Errorf("%s: the requests: %s", name, diff)
		}
	}
}

// A refusal that says what was required and what the balance is says that this did not suffice,
// and no other one does.
func TestNoCredit(t *testing.T) {
	b := setup(t, "")
	for name, c := range map[string]struct {
		status  int
		data    string
		want    bool
		balance catalog.Cost
	}{
		"no credit":       {400, `{"required":"14.70","balance":"9.80"}`, true, catalog.NewCost(980, money.USD)},
		"in numbers":      {400, `{"required":14.70,"balance":0}`, true, catalog.NewCost(0, money.USD)},
		"an overdraft":    {400, `{"required":14.70,"balance":-2.50}`, true, catalog.Cost{}},
		"not less":        {400, `{"required":"14.70","balance":"14.70"}`, true, catalog.Cost{}},
		"in words":        {400, `{"required":"14.70","balance":"little"}`, true, catalog.Cost{}},
		"out of stock":    {400, `{"state":"out_of_stock","status":false,"message":"Unavailable","requested":3}`, false, catalog.Cost{}},
		"nothing":         {400, `{}`, false, catalog.Cost{}},
		"no object":       {400, `[]`, false, catalog.Cost{}},
		"half":            {400, `{"required":"14.70"}`, false, catalog.Cost{}},
		"another refusal": {409, `{"required":"14.70","balance":"9.80"}`, false, catalog.Cost{}},
	} {
		b.says(c.status, `{"success":false,"message":"no","data":`+c.data+`}`)
		for _, call := range []func(context.Context, supply.Submission) (supply.Answer, error){b.Submit, b.Query} {
			a, err := call(t.Context(), b.submission(""))
			if a.Unpaid != c.want || a.Balance != c.balance || c.want && (err != nil || a.State != supply.Refused || a.Reason != "the balance at the upstream is not sufficient") {
				t.Errorf("%s: %+v, %v", name, a, err)
			}
		}
	}
}

// A delivery has its codes with their PINs, what each cost, and the upstream's number.
func TestDelivery(t *testing.T) {
	b := setup(t, "")
	b.says(200, bought)
	a, err := b.Submit(t.Context(), b.submission(""))
	if err != nil || a.Reference != "71 2026-11-21T09:00:00Z 5.00 USD" || len(a.Codes) != 2 {
		t.Fatalf("%+v, %v", a, err)
	}
	if a.Codes[0].Face != catalog.NewFace(500, money.USD) {
		t.Errorf("worth %s", a.Codes[0].Face)
	}
	if a.Codes[0].Text.Reveal() != "AAAA" || a.Codes[1].PIN.Reveal() != "7694269" || a.Codes[0].Cost != catalog.NewCost(490, money.USD) {
		t.Errorf("%s %s %s", a.Codes[0].Text.Reveal(), a.Codes[1].PIN.Reveal(), a.Codes[0].Cost)
	}
	b.says(200, read)
	if a, err = b.Query(t.Context(), b.submission("71")); err != nil || a.Codes[0].Cost != catalog.NewCost(491, money.USD) || a.Codes[1].Cost != catalog.NewCost(490, money.USD) {
		t.Errorf("read again: %+v, %v", a.Codes, err)
	}
	b.says(200, strings.Replace(read, `"delivered"`, `"refunded"`, 1))
	if a, err = b.Query(t.Context(), b.submission("71")); err != nil || len(a.Codes) != 1 || a.Codes[0].Text.Reveal() != "BBBB" || a.Codes[0].Cost != catalog.NewCost(490, money.USD) {
		t.Errorf("one that was paid back: %+v, %v", a.Codes, err)
	}
}

// An order that is under way says already what its codes will be worth. That is kept with its
// number, since the published answer to an order that is read does not say it.
func TestWorth(t *testing.T) {
	b := setup(t, "")
	processing := func(worth string) string {
		return fmt.Sprintf(`{"success":true,"data":{"order_id":71,"status":"processing","codes":[],"created_at":"2026-11-21T10:00:00+01:00",%s}}`, worth)
	}
	ten := catalog.NewFace(1000, money.USD)
	for name, c := range map[string]struct {
		worth, reference string
		want             catalog.Face
	}{
		"as money":         {`"total_denomination":20,"denomination_unit":"USD"`, "71 2026-11-21T09:00:00Z 10.00 USD", ten},
		"as text":          {`"total_denomination":"20.00","denomination_unit":"USD"`, "71 2026-11-21T09:00:00Z 10.00 USD", ten},
		"not yet":          {`"total_denomination":0,"denomination_unit":"USD"`, "71 2026-11-21T09:00:00Z -", catalog.Face{}},
		"in nothing":       {`"total_denomination":20`, "71 2026-11-21T09:00:00Z -", catalog.Face{}},
		"in points":        {`"total_denomination":20,"denomination_unit":"POINTS"`, "71 2026-11-21T09:00:00Z -", catalog.Face{}},
		"not of each":      {`"total_denomination":20.01,"denomination_unit":"USD"`, "71 2026-11-21T09:00:00Z -", catalog.Face{}},
		"not as the codes": {`"total_denomination":{},"denomination_unit":[]`, "71 2026-11-21T09:00:00Z -", catalog.Face{}},
	} {
		b.says(200, processing(c.worth))
		a, err := b.Submit(t.Context(), b.submission(""))
		if err != nil || a.State != supply.Working || a.Reference != c.reference {
			t.Errorf("%s: %+v, %v", name, a, err)
		}
		b.says(200, read)
		a, err = b.Query(t.Context(), b.submission(a.Reference))
		if err != nil || len(a.Codes) != 2 || a.Codes[0].Face != c.want || a.Codes[1].Face != c.want || a.Reference != c.reference {
			t.Errorf("%s, read again: %+v, %v", name, a, err)
		}
	}
	b.says(200, strings.Replace(read, `"code":"AAAA"`, `"code":"AAAA","denomination":"5.00","denomination_unit":"USD"`, 1))
	a, err := b.Query(t.Context(), b.submission("71 - 10.00 USD"))
	if err != nil || a.Codes[0].Face != catalog.NewFace(500, money.USD) || a.Codes[1].Face != ten {
		t.Errorf("codes that say it: %+v, %v", a, err)
	}
}

// What all codes are worth says nothing of each where not all of them are there: it may be meant
// of those that are, or of all that were asked for.
func TestWorthOfSome(t *testing.T) {
	b := setup(t, "")
	for _, status := range []string{"processing", "completed"} {
		for _, worth := range []int{5, 10} {
			b.says(200, fmt.Sprintf(`{"success":true,"data":{"order_id":71,"status":%q,"codes":[{"code":"AAAA","charged_amount":"4.90"}],
				"total_denomination":%d,"denomination_unit":"USD"}}`, status, worth))
			a, err := b.Submit(t.Context(), b.submission(""))
			if err != nil || a.Reference != "71" || len(a.Codes) > 0 && a.Codes[0].Face != (catalog.Face{}) {
				t.Errorf("%s, %d: %+v, %v", status, worth, a, err)
			}
		}
	}
}

// Under the number of an order another account has another order: it is told by when it was
// placed, which an upstream may say of the answer at first, and of the order later.
func TestAnotherAccount(t *testing.T) {
	b := setup(t, "")
	for _, c := range []struct {
		reference, placed string
		want              supply.State
	}{
		{"71", "2026-11-21T09:00:00+00:00", supply.Delivered},
		{"71 2026-11-21T09:00:00Z -", "2026-11-21T09:00:00+00:00", supply.Delivered},
		{"71 2026-11-21T09:00:00Z -", "2026-11-21T11:00:00.25+02:00", supply.Delivered},
		{"71 2026-11-21T09:00:00Z -", "yesterday", supply.Delivered},
		{"71 2026-11-21T09:00:00Z -", "2026-11-21T09:00:01+00:00", supply.Delivered},
		{"71 2026-11-21T09:00:00Z -", "2026-11-21T09:05:00+00:00", supply.Delivered},
		{"71 2026-11-21T09:00:00Z -", "2026-11-21T08:55:00+00:00", supply.Delivered},
		{"71 2026-11-21T09:00:00Z -", "2026-11-21T09:05:01+00:00", supply.Unknown},
		{"71 2026-11-21T09:00:00Z -", "2026-11-21T08:54:59+00:00", supply.Unknown},
		{"71 2026-11-21T09:00:00Z 5.00 USD", "2025-11-21T09:00:00+00:00", supply.Unknown},
	} {
		b.says(200, strings.Replace(read, "2026-11-21T09:00:00+00:00", c.placed, 1))
		a, err := b.Query(t.Context(), b.submission(c.reference))
		if a.State != c.want || (err != nil) != (c.want == supply.Unknown) || a.State == supply.Unknown && len(a.Codes) > 0 ||
			a.State == supply.Delivered && c.reference != "71" && a.Reference != c.reference {
			t.Errorf("%s, %s: %+v, %v", c.reference, c.placed, a, err)
		}
	}
}

// An upstream that cannot be reached has not heard of an order: that is a refusal, and a
// failing. One that does not answer in time may have.
func TestUnreachable(t *testing.T) {
	b := setup(t, "")
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	away := *b.upstream
	away.base = server.URL + "/v1"
	a, err := away.Submit(t.Context(), b.submission(""))
	if a.State != supply.Refused || fault.CodeOf(err) != fault.Unavailable || strings.Contains(err.Error(), "127.0.0.1") {
		t.Errorf("unreachable: %+v, %v", a, err)
	}
	if a, err := away.Query(t.Context(), b.submission("")); a.State != supply.Unknown || err == nil {
		t.Errorf("asked again: %+v, %v", a, err)
	}
	heard, free := make(chan struct{}), make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(heard)
		<-free
	}))
	defer silent.Close()
	defer close(free)
	away.base = silent.URL + "/v1"
	ctx, leave := context.WithCancel(t.Context())
	go func() {
		<-heard
		leave()
	}()
	if a, err := away.Submit(ctx, b.submission("")); a.State != supply.Unknown || err == nil {
		t.Errorf("silent: %+v, %v", a, err)
	}
}

// A price is that of one code; what is not there is not available, and what cannot be read
// is no price.
func TestQuote(t *testing.T) {
	b := setup(t, "")
	for name, c := range map[string]struct {
		status int
		body   string
		want   supply.Quote
		fails  bool
	}{
		"there":        {200, `{"success":true,"data":{"price":4.90,"state":"in_stock","status":true,"message":"Available","requested":2}}`, supply.Quote{Cost: catalog.NewCost(490, money.USD), Available: true}, false},
		"out of stock": {400, `{"success":false,"data":{"state":"out_of_stock","status":false}}`, supply.Quote{}, false},
		"unknown":      {404, refused, supply.Quote{}, false},
		"not priced":   {409, refused, supply.Quote{}, false},
		"not so":       {422, refused, supply.Quote{Unfit: true}, false},
		"not from us":  {422, "<html>no</html>", supply.Quote{}, true},
		"too fine":     {200, `{"success":true,"data":{"price":4.901,"status":true}}`, supply.Quote{}, true},
		"no price":     {200, `{"success":true,"data":{"status":true}}`, supply.Quote{}, true},
		"busy":         {503, refused, supply.Quote{}, true},
		"a wrong key":  {401, refused, supply.Quote{}, true},
		"gone":         {0, "", supply.Quote{}, true},
	} {
		b.says(c.status, c.body)
		got, err := b.Quote(t.Context(), supply.Wanted{Item: "X", Quantity: 2, Denomination: "5"})
		if got != c.want || (err != nil) != c.fails {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		if b.seen[0] != `POST /v1/orders/check  {"item_id":"X","quantity":2,"value":"5","price_currency":"USD"}` {
			t.Errorf("%s: %s", name, b.seen[0])
		}
	}
}

// An upstream that knows no extensions is told of the denomination of a range alone. What was
// written down without one is repeated without a currency and a price, as it was sent.
func TestExtensions(t *testing.T) {
	for _, c := range []struct{ config, denomination, members, most string }{
		{"", "5", `,"value":"5","price_currency":"USD"`, `,"max_price":"4.90"`},
		{`,"extensions":true`, "5", `,"value":"5","price_currency":"USD"`, `,"max_price":"4.90"`},
		{"", "", "", ""},
		{`,"extensions":false`, "5", `,"value":"5"`, ""},
		{`,"extensions":false`, "", "", ""},
	} {
		b := setup(t, c.config)
		b.says(200, bought)
		w := supply.Wanted{Item: "X", Quantity: 2, Denomination: c.denomination}
		s := supply.Submission{ID: "sub_1", Wanted: w, SentAt: b.clock.Now()}
		s.Most = catalog.NewCost(490, money.USD)
		_, _ = b.Quote(t.Context(), w) // what is asked matters, and not the answer
		_, err := b.Submit(t.Context(), s)
		check.OK(t, err)
		_, err = b.Query(t.Context(), s)
		check.OK(t, err)
		sent := `POST /v1/orders scrip-sub_1 {"item_code":"X","quantity":2` + c.members + c.most + `}`
		if diff := cmp.Diff([]string{`POST /v1/orders/check  {"item_id":"X","quantity":2` + c.members + `}`, sent, sent, "GET /v1/orders/71"}, b.seen); diff != "" {
			t.Errorf("%s %q: %s", c.config, c.denomination, diff)
		}
		if want := c.config == `,"extensions":false`; b.Plain() != want || strings.HasSuffix(b.Location(), " plain") != want {
			t.Errorf("%s: %t, %s", c.config, b.Plain(), b.Location())
		}
	}
}

// No error holds what the upstream said, nor a secret.
func TestErrorsSayNothing(t *testing.T) {
	b := setup(t, "")
	for _, status := range []int{200, 400, 401, 500} {
		b.says(status, `{"success":true,"data":{"codes":[{"code":"AAAA-SECRET"}],"message":"AAAA-SECRET"}}`)
		a, err := b.Submit(t.Context(), b.submission(""))
		if text := fmt.Sprintf("%+v %v", a, err); strings.Contains(text, "AAAA") || strings.Contains(text, "secret") || strings.Contains(text, "127.0.0.1") {
			t.Error(text)
		}
	}
}

// Why a call failed stands behind what is told of it, in words of the adapter's, for the log.
func TestFailuresSayWhy(t *testing.T) {
	b := setup(t, "")
	for want, c := range map[string]struct {
		status int
		body   string
	}{
		"the upstream's HTTP status is 500, without the data of a success": {500, `AAAA-SECRET`},
		"the upstream does not take the key or the signature":              {401, refused},
		"the upstream's order has an unknown status":                       {200, order("AAAA-SECRET", `[]`)},
	} {
		b.says(c.status, c.body)
		l := line.New(line.Config{Name: "the supplier", Attempts: 1}, b.clock)
		_, err := line.Ask(t.Context(), l, func(ctx context.Context) (supply.Answer, error) { return b.Submit(ctx, b.submission("")) })
		if err == nil || err.Error() != "unavailable: the supplier did not answer as it should: "+want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// A configuration that cannot be one is refused, with the key that is wrong.
func TestConfig(t *testing.T) {
	folder := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	write("key", key)
	write("bad", "a key\twith a tab")
	write("small", string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(small)})))
	for name, c := range map[string]struct{ config, field string }{
		"fine":            {`{"url":"https://cards.example/v1","key_file":"key","currency":"USD"}`, ""},
		"no JSON":         {`[`, ""},
		"twice":           {`{"url":"https://a.example/v1","url":"https://b.example/v1"}`, ""},
		"an unknown key":  {`{"urls":"x"}`, "urls"},
		"plain":           {`{"url":"http://127.0.0.1/v1","key_file":"key","currency":"USD"}`, "url"},
		"plain elsewhere": {`{"url":"http://cards.example/v1","allow_plain":true,"key_file":"key","currency":"USD"}`, "url"},
		"a password":      {`{"url":"https://u:p@cards.example/v1","key_file":"key","currency":"USD"}`, "url"},
		"no key":          {`{"url":"https://cards.example/v1","currency":"USD"}`, "key_file"},
		"no such file":    {`{"url":"https://cards.example/v1","key_file":"../key","currency":"USD"}`, "key_file"},
		"a bad key":       {`{"url":"https://cards.example/v1","key_file":"bad","currency":"USD"}`, "key_file"},
		"no currency":     {`{"url":"https://cards.example/v1","key_file":"key"}`, "currency"},
		"a small key":     {`{"url":"https://cards.example/v1","key_file":"key","signing_key_file":"small","currency":"USD"}`, "signing_key_file"},
		"no PEM":          {`{"url":"https://cards.example/v1","key_file":"key","signing_key_file":"key","currency":"USD"}`, "signing_key_file"},
		"no TLS":          {`{"url":"https://cards.example/v1","key_file":"key","currency":"USD","tls":{"ca_file":"key"}}`, "tls"},
		"too long":        {`{"url":"https://cards.example/v1","key_file":"key","currency":"USD","max_response_bytes":1}`, "max_response_bytes"},
		"too many":        {`{"url":"https://cards.example/v1","key_file":"key","currency":"USD","max_connections":-1}`, "max_connections"},
		"too late":        {`{"url":"https://cards.example/v1","key_file":"key","currency":"USD","repeatable_s":-1}`, "repeatable_s"},
		"a wrong type":    {`{"url":"https://cards.example/v1","key_file":"key","currency":"USD","repeatable_s":"a day"}`, "repeatable_s"},
	} {
		opened, err := Open(keyfile.Folder(folder), []byte(c.config))
		if (opened == nil) != (err != nil) {
			t.Errorf("%s: there is a supplier, or none, beside %v", name, err)
		}
		if name == "fine" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if f := fault.From(err); f.Code != fault.InvalidRequest || f.Field != c.field || strings.Contains(f.Error(), key) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whatever an upstream answers, nothing is taken for delivered but codes, and nothing for
// refused but what says so.
func FuzzAnswer(f *testing.F) {
	for _, body := range []string{bought, read, refused, order("failed", `[]`), order("processing", `null`), `{"success":true,"data":null}`} {
		f.Add(200, body)
		f.Add(400, body)
	}
	u := &upstream{currency: money.USD}
	f.Fuzz(func(t *testing.T, status int, body string) {
		r := response{status: status}
		r.readable = json.Unmarshal([]byte(body), &r.envelope) == nil
		a, err := u.purchase(r, supply.Submission{Wanted: supply.Wanted{Quantity: 2}})
		switch a.State {
		case supply.Delivered:
			if err != nil || len(a.Codes) == 0 || a.Reference == "" || status != http.StatusOK {
				t.Errorf("%d %q is delivered: %+v, %v", status, body, a, err)
			}
			for _, c := range a.Codes {
				if c.Text.IsZero() || !c.Cost.Currency.IsValid() || c.Cost.IsNegative() {
					t.Errorf("%q has a code that is none", body)
				}
			}
		case supply.Refused, supply.Working:
			if a.Reference == "" || status != http.StatusOK || len(a.Codes) > 0 {
				t.Errorf("%d %q is %s: %+v", status, body, a.State, a)
			}
		case supply.Unknown:
			if err == nil || len(a.Codes) > 0 {
				t.Errorf("%q means nothing, and there is no error", body)
			}
		default:
			t.Errorf("the state is %s", a.State)
		}
	})
}
