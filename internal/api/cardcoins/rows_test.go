package cardcoins_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/cashout"
	"github.com/scripcards/scrip/internal/cashout/customer"
	"github.com/scripcards/scrip/internal/cashout/payout/destination"
	"github.com/scripcards/scrip/internal/cashout/phone"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/cashdesk"
)

const (
	caller   = "192.0.2.7"
	gone     = `404 {"message":"Order not found","data":{}}`
	accepted = `200 {"message":"","data":{}}`
)

// bodies are what each call of an order takes.
var bodies = map[string]string{
	"orders.get":     "",
	"orders.update":  `{}`,
	"phones.send":    `{"phone_number":"` + cashdesk.Number + `","recaptcha_response":"` + cashdesk.Answer + `"}`,
	"phones.confirm": `{"phone_number":"` + cashdesk.Number + `","verification_code":"4321"}`,
	"orders.payment": `{"address":"` + cashdesk.Address + `"}`,
	"orders.image":   `{"file_name":"a.jpg","file_size":"1"}`,
	"orders.verify":  "",
}

// say makes a request and returns status and body.
func (f *front) say(method, target, body string) string {
	w := f.send(method, target, body, caller)
	return fmt.Sprint(w.Code, " ", w.Body)
}

// place is where a route's call about an order goes.
func place(r *wire.Route, token string) string {
	target := strings.NewReplacer("{order_id}", token, "{image_type}", "Image1").Replace(r.Path)
	if target == r.Path {
		target += "?order_id=" + token
	}
	return target
}

// Every call about an order that never was, is cancelled or is expired has the same answer, and so has none about one that lives.
func TestGoneOrders(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		f := setup(t, db)
		expired := f.Opened(5500).Reveal()
		f.Clock.Advance(cashout.Lifetime)
		living, doomed := f.Opened(5500).Reveal(), f.Opened(5500)
		v := f.Look(doomed)
		_, err := f.Cancel(t.Context(), cashout.Decision{Book: v.Book, Order: v.ID, Actor: "ada", Reason: "stolen"})
		f.Must(err)
		tried := 0
		for _, r := range f.surface.Routes() {
			body, about := bodies[r.Name]
			if !about {
				continue
			}
			tried++
			for kind, token := range map[string]string{"unknown": strings.Repeat("A", 20), "expired": expired, "cancelled": doomed.Reveal()} {
				if got := f.say(r.Method, place(&r, token), body); got != gone {
					t.Errorf("%s of an order that is %s: %s", r.Name, kind, got)
				}
				f.Clock.Advance(5 * time.Minute) // what does not exist may be asked for so often only
			}
			if got := f.say(r.Method, place(&r, living), body); got == gone {
				t.Errorf("%s: %s", r.Name, got)
			}
		}
		if tried != len(bodies) {
			t.Errorf("%d calls were tried, want %d", tried, len(bodies))
		}
	})
}

// On every path each method that it does not have is refused with 403 and the envelope, and is told which it has.
func TestWrongMethods(t *testing.T) {
	f := setup(t, testkit.Open(t, testkit.Database(t, "sqlite")))
	methods := map[string][]string{}
	for _, r := range f.surface.Routes() {
		methods[r.Path] = append(methods[r.Path], r.Method)
	}
	for path, has := range methods {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
			if slices.Contains(has, method) {
				continue
			}
			target := strings.NewReplacer("{order_id}", strings.Repeat("A", 20), "{image_type}", "Image1").Replace(path)
			w := f.send(method, target, "", caller)
			if w.Code != http.StatusForbidden || w.Body.String() != `{"message":"Method not allowed","data":{}}` || !strings.Contains(w.Header().Get("Allow"), has[0]) {
				t.Errorf("%s %s: %d %s, allowed are %q", method, target, w.Code, w.Body, w.Header().Get("Allow"))
			}
		}
	}
}

// A mistake of the server's is 500 in the envelope, and says nothing of what it was; the log says it, without the order's id.
func TestMistake(t *testing.T) {
	f := setup(t, testkit.Open(t, testkit.Database(t, "sqlite")))
	f.broken = errors.New("the list of places is torn")
	got := f.say(http.MethodPost, "/v2/orders", `{"amount":5500,"currency":"bitcoin"}`)
	if !strings.HasPrefix(got, `500 {"message":"`) || !strings.HasSuffix(got, `","data":{}}`) || strings.Contains(got, "torn") {
		t.Error(got)
	}
	if !strings.Contains(f.Log.String(), "the list of places is torn") {
		t.Errorf("the log does not have it: %s", f.Log)
	}
	token := f.Opened(5500).Reveal()
	for _, r := range f.surface.Routes() {
		body, about := bodies[r.Name]
		if !about {
			continue
		}
		if got := f.say(r.Method, place(&r, token), body); !strings.HasPrefix(got, "500 ") || strings.Contains(got, token) {
			t.Errorf("%s: %s", r.Name, got)
		}
	}
	if strings.Contains(f.Log.String(), token) {
		t.Errorf("the log has an order's id: %s", f.Log)
	}
}

// "call" as a truth value or a text decides between a call and a message; a provider that takes nothing is 503, and a call where none are made is refused, which costs no code; after five codes an order gets no more.
func TestCodesAreSent(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		f := setup(t, db)
		send := func(token, member string) string {
			f.Clock.Advance(time.Hour)
			return f.say(http.MethodPost, "/v2/phones?order_id="+token,
				`{"phone_number":"`+cashdesk.Number+`",`+member+`"recaptcha_response":"`+cashdesk.Answer+`"}`)
		}
		token := f.Opened(5500).Reveal()
		f.Phone.Mute = true
		for range 6 {
			if got := send(token, `"call":true,`); got != `400 {"message":"no calls are made here: ask for a text message","data":{}}` {
				t.Fatalf("a call where none are made: %s", got)
			}
		}
		f.Phone.Mute = false
		for _, call := range []struct {
			member string
			want   phone.Channel
		}{{`"call":true,`, phone.Voice}, {`"call":"true",`, phone.Voice}, {`"call":false,`, phone.Text}, {`"call":"false",`, phone.Text}, {"", phone.Text}} {
			if got := send(token, call.member); got != `200 {"message":"Verification code has been sent","data":{}}` {
				t.Fatalf("%s %s", call.member, got)
			}
			if got := f.Phone.Sent[len(f.Phone.Sent)-1]; got.Channel != call.want || len(got.Code.Reveal()) != 4 {
				t.Errorf("%s is sent by %s with %d digits, want %s and 4", call.member, got.Channel, len(got.Code.Reveal()), call.want)
			}
		}
		if got := send(token, ""); got != `403 {"message":"Too many requests, please try again later","data":{}}` || len(f.Phone.Sent) != 5 {
			t.Errorf("the sixth code: %s, %d sent", got, len(f.Phone.Sent))
		}
		f.Phone.Down = true
		if got := send(f.Opened(5500).Reveal(), ""); got != `503 {"message":"Service unavailable, please try again later","data":{}}` {
			t.Errorf("without a provider: %s", got)
		}
	})
}

// Each code that is sent again replaces the one before.
func TestCodeIsReplaced(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		f := setup(t, db)
		token := f.Opened(5500).Reveal()
		for _, code := range []string{"1111", "2222"} {
			f.Fixed(code)
			f.Clock.Advance(30 * time.Second)
			f.post("/v2/phones?order_id="+token, bodies["phones.send"])
		}
		for _, row := range []struct{ code, want string }{
			{"1111", `400 {"message":"the verification code is wrong or too old","data":{}}`},
			{"2222", `200 {"message":"Phone verification successful","data":{}}`},
		} {
			body := `{"phone_number":"` + cashdesk.Number + `","verification_code":"` + row.code + `"}`
			if got := f.say(http.MethodPost, "/v2/phones/code?order_id="+token, body); got != row.want {
				t.Errorf("%s: %s, want %s", row.code, got, row.want)
			}
		}
	})
}

// A code may be sent as a number, which has lost the zeros at its beginning; a text is taken as it is but for the space around it, and what is no code costs no try.
func TestCodeAsNumber(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		const wrong, none = `400 {"message":"the verification code is wrong or too old","data":{}}`, `400 {"message":"verification_code must be a valid string","data":{}}`
		const right = `200 {"message":"Phone verification successful","data":{}}`
		f := setup(t, db)
		for i, row := range []struct{ code, sent, want string }{
			{"4321", `4321`, right}, {"0042", `42`, right}, {"0000", `0`, right}, {"0042", `"0042"`, right}, {"0042", `" 0042\n"`, right},
			{"0042", `"42"`, wrong}, {"4321", `43210`, none}, {"4321", `4321.0`, none}, {"4321", `4.321e3`, none}, {"0001", `-1`, none}, {"0001", `true`, none},
			{"0001", `[1]`, none}, {"0000", `null`, `400 {"message":"verification_code is required","data":{}}`}, {"0000", `""`, `400 {"message":"verification_code is required","data":{}}`},
		} {
			f.Fixed(row.code)
			f.Clock.Advance(time.Hour)
			number := fmt.Sprintf("+141555501%02d", i)
			token := f.Opened(5500).Reveal()
			f.post("/v2/phones?order_id="+token, `{"phone_number":"`+number+`","recaptcha_response":"`+cashdesk.Answer+`"}`)
			if got := f.say(http.MethodPost, "/v2/phones/code?order_id="+token, `{"phone_number":"`+number+`","verification_code":`+row.sent+`}`); got != row.want {
				t.Errorf("%s for %s: %s, want %s", row.sent, row.code, got, row.want)
			}
		}
	})
}

// Where cards are not cashed out, every call of an order is 503, and the ticker is there and closed.
func TestNotServed(t *testing.T) {
	f := setup(t, testkit.Open(t, testkit.Database(t, "sqlite")))
	token := f.Opened(5500).Reveal()
	delete(f.Desks, realm.Test)
	const closed = `503 {"message":"Service unavailable, please try again later","data":{}}`
	if got := f.say(http.MethodPost, "/v2/orders", `{"amount":5500,"currency":"bitcoin"}`); got != closed {
		t.Errorf("orders.create: %s", got)
	}
	for _, r := range f.surface.Routes() {
		if body, about := bodies[r.Name]; about {
			if got := f.say(r.Method, place(&r, token), body); got != closed {
				t.Errorf("%s: %s", r.Name, got)
			}
		}
	}
	want := `200 {"message":"","data":{"currencies":[{"name":"bitcoin","symbol":"BTC","price_usd":0,"enabled":false}],"last_updated_at":"2026-11-21T09:00:00.000Z","update_frequency":60000}}`
	if got := f.say(http.MethodGet, "/v2/tickers", ""); got != want {
		t.Errorf("the ticker: %s", got)
	}
}

// mainnet reads destinations as payouts do, on the network of the published samples.
type mainnet struct{ *cashdesk.Node }

func (mainnet) Parse(_ realm.Realm, text string) (cashout.Destination, error) {
	d, err := destination.Parse(destination.Main, text)
	method := cashout.OnChain
	if d.Kind.IsLightning() {
		method = cashout.Lightning
	}
	return cashout.Destination{Text: d.Text, Method: method}, err
}

// The published forms of addresses and invoices are taken by every call that takes one; wrong check digits, other networks and invoices with an amount are not.
func TestDestinations(t *testing.T) {
	// Both are examples of BOLT 11.
	const plain = "lnbc1pvjluezsp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygspp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqdpl2pkx2ctnv5sxxmmwwd5kgetjypeh2ursdae8g6twvus8g6rfwvs8qun0dfjkxaq9qrsgq357wnc5r2ueh7ck6q93dj32dlqnls087fxdwk8qakdyafkq3yap9us6v52vjjsrvywa6rt52cm9r9zqt8r2t7mlcwspyetp5h2tztugp9lfyql"
	const priced = "lnbc2500u1pvjluezsp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygspp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqdq5xysxxatsyp3k7enxv4jsxqzpu9qrsgquk0rl77nj30yxdy8j9vdx85fkpmdla2087ne0xh8nhedh8w27kyke0lp53ut353s06fv3qfegext0eh0ymjpf39tuven09sam30g4vgpfna3rh"
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		f := setup(t, db)
		f.Desks[realm.Test].Payouts = mainnet{f.Node}
		for _, row := range []struct{ field, text, status string }{
			{"address", "12c6DSiU4Rq3P4ZxziKxzrL5LmMBrzjrJX", "200"},                             // P2PKH, the page's
			{"address", "3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy", "200"},                             // P2SH, and segwit in it
			{"address", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "200"},                     // bech32
			{"address", "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4", "200"},                     // in capitals
			{"address", "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0", "200"}, // bech32m
			{"ln_invoice", "ada@example.com", "200"},
			{"ln_invoice", plain, "200"},
			{"ln_invoice", priced, "400"},
			{"ln_invoice", plain[:len(plain)-1] + "q", "400"},
			{"ln_invoice", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "400"},
			{"address", "ada@example.com", "400"},
			{"address", plain, "400"},
			{"address", "12c6DSiU4Rq3P4ZxziKxzrL5LmMBrzjrJY", "400"},
			{"address", "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx", "400"},
			{"address", cashdesk.Address, "400"}, // of regtest
		} {
			member := `"` + row.field + `":"` + row.text + `"`
			number := fmt.Sprintf("+1415555%04d", len(f.Phone.Sent))
			for call, got := range map[string]string{
				"create":  f.say(http.MethodPost, "/v2/orders", `{"amount":5500,"currency":"bitcoin",`+member+`}`),
				"update":  f.say(http.MethodPost, "/v2/orders/"+f.Opened(5500).Reveal(), `{`+member+`}`),
				"payment": f.say(http.MethodPost, "/v2/orders/"+f.Confirmed(5500, number).Reveal()+"/payment", `{`+member+`}`),
			} {
				if !strings.HasPrefix(got, row.status+" ") {
					t.Errorf("%s with %s %.60s: %s, want %s", call, row.field, row.text, got, row.status)
				}
			}
			f.Clock.Advance(24 * time.Hour) // so many codes are for a day
		}
	})
}

// times are those in answers.
var times = regexp.MustCompile(`"20\d\d-[^"]*Z"`)

// Where a list has what a customer says instead, every answer about the order is that about one which is being paid.
func TestBlockedInsteadIsAlike(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		f := setup(t, db)
		play := func(number string, match customer.Match) (answers string) {
			token := f.Processing(5500, number).Reveal()
			f.tokens = append(f.tokens, token)
			f.Node.Refuse = fault.New(fault.InvalidRequest, "no route")
			f.actions()["approve"](t, nil)
			f.Node.Refuse, f.Screen.Match = nil, match
			f.Clock.Advance(time.Minute)
			answers = f.say(http.MethodPost, "/v2/orders/"+token+"/payment", `{"ln_invoice":"ada@example.com"}`) + "\n"
			for _, r := range f.surface.Routes() {
				if body, about := bodies[r.Name]; about {
					answers += r.Name + " " + times.ReplaceAllString(f.say(r.Method, place(&r, token), body), "TIME") + "\n"
				}
			}
			if (f.last().Status == cashout.Blocked) != match.Found() {
				t.Errorf("%s is %s", number, f.last().Status)
			}
			return answers
		}
		paid := play("+14155550101", customer.Match{})
		if diff := cmp.Diff(paid, play("+14155550102", customer.Match{List: "sdn", Kind: "address"})); diff != "" || !strings.Contains(paid, `"status":"approved"`) {
			t.Errorf("(-paid +blocked):\n%s", diff)
		}
	})
}

// seen is what the tests of tiers read in an order.
type seen struct {
	PaymentProblem string `json:"payment_problem"`
	Status         string
	TxID           string `json:"txid"`
	Required       []struct {
		Kind string `json:"image_type"`
	} `json:"required_images"`
	Limits struct {
		Used, Left int64
		Names      bool `json:"names_required"`
		ID         bool `json:"id_required"`
	}
}

func (f *front) see(token string) seen {
	f.T.Helper()
	w := f.send(http.MethodGet, "/v2/orders/"+token, "", caller)
	var answer struct{ Data seen }
	f.Must(json.Unmarshal(w.Body.Bytes(), &answer))
	if w.Code != http.StatusOK {
		f.T.Fatalf("%d %s", w.Code, w.Body)
	}
	return answer.Data
}

// post makes a call that succeeds.
func (f *front) post(target, body string) *httptest.ResponseRecorder {
	f.T.Helper()
	w := f.send(http.MethodPost, target, body, caller)
	if w.Code != http.StatusOK {
		f.T.Fatalf("%s: %d %s", target, w.Code, w.Body)
	}
	return w
}

// ordered makes an order over HTTP up to its confirmed phone.
func (f *front) ordered(cents int64) string {
	f.T.Helper()
	f.Clock.Advance(time.Hour) // a number gets so many codes in an hour
	w := f.post("/v2/orders", fmt.Sprintf(`{"amount":%d,"currency":"bitcoin","phone_number":%q,"address":%q}`, cents, cashdesk.Number, cashdesk.Address))
	token := tokenOf.FindStringSubmatch(w.Body.String())[1]
	f.tokens = append(f.tokens, token)
	f.post("/v2/phones?order_id="+token, bodies["phones.send"])
	f.post("/v2/phones/code?order_id="+token, bodies["phones.confirm"])
	return token
}

// paidOut takes an authorized order over HTTP to its payout, and says which pictures it asked for.
func (f *front) paidOut(token string) (kinds []string) {
	f.T.Helper()
	for _, r := range f.see(token).Required {
		kinds = append(kinds, r.Kind)
		f.post("/v2/orders/"+token+"/images/"+r.Kind, bodies["orders.image"])
	}
	f.actions()["upload"](f.T, nil)
	f.post("/v2/orders/"+token+"/verify", "")
	f.actions()["approve"](f.T, nil)
	f.end(strings.Repeat("ab", 32), "")
	if v := f.see(token); v.Status != "completed" || v.TxID != strings.Repeat("ab", 32) {
		f.T.Errorf("in the end %+v", v)
	}
	return kinds
}

// At each tier an order comes to its payout with what its tier asks for and no less: the phone up to $1,000 in seven days, names once above it, a document above $3,000, nothing above $10,000.
func TestTiersToPayout(t *testing.T) {
	cards := []string{"Image1", "Image2"}
	all := append(slices.Clone(cards), "GovidImageFront", "GovidImageBack", "GovidImageSelfPortrait")
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		f := setup(t, db)
		f.Fixed("4321")
		play := func(cents, used int64, names, id bool, want []string) {
			t.Helper()
			token := f.ordered(cents)
			if l := f.see(token).Limits; l.Used != used || l.Left != 1_000_000-used || l.Names != names || l.ID != id {
				t.Errorf("%d after %d: limits %+v", cents, used, l)
			}
			pay := "/v2/orders/" + token + "/payment"
			if names {
				if got := f.say(http.MethodPost, pay, `{}`); got != `400 {"message":"first_name and last_name are required","data":{}}` {
					t.Errorf("without names: %s", got)
				}
				f.post(pay, `{"first_name":"Ada","last_name":"Lovelace"}`)
			} else if got := f.say(http.MethodPost, pay, `{}`); got != accepted {
				t.Fatalf("%d after %d: %s", cents, used, got)
			}
			if diff := cmp.Diff(want, f.paidOut(token)); diff != "" {
				t.Errorf("%d after %d: images (-want +got):\n%s", cents, used, diff)
			}
		}
		play(100_000, 0, false, false, cards)
		play(1_000, 100_000, true, false, cards)
		play(100_000, 101_000, false, false, cards)
		play(99_000, 201_000, false, false, cards)
		play(1_000, 300_000, false, true, all)
		f.Clock.Advance(24 * time.Hour) // a number gets so many codes in a day
		for range 6 {
			f.Clock.Advance(2 * time.Hour)
			f.Processing(100_000, cashdesk.Number)
		}
		f.Clock.Advance(24 * time.Hour)
		play(98_000, 901_000, false, true, all)
		token := f.ordered(1_001)
		if got := f.say(http.MethodPost, "/v2/orders/"+token+"/payment", `{}`); got != `403 {"message":"this would be more than 1000000 cents in 7 days","data":{}}` {
			t.Errorf("above the most: %s", got)
		}
		play(1_000, 999_000, false, true, all)
		f.Clock.Advance(7 * 24 * time.Hour)
		play(100_000, 0, false, false, cards)
		f.Verified()
	})
}

// Where a payout failed, an order asks for another place to pay; once its approval is reversed in the books it says that nothing is owed.
func TestPaymentProblem(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		f := setup(t, db)
		token := f.Processing(5500, "+14155550101").Reveal()
		f.tokens = append(f.tokens, token)
		f.actions()["approve"](t, nil)
		f.end("", "no route")
		answers := []string{f.see(token).PaymentProblem}
		o := f.last().Order
		approval, _, err := f.Ledger.FindByKey(t.Context(), o.Book, "cashout.approve/"+string(o.ID))
		f.Must(err)
		_, err = f.Ledger.Submit(t.Context(), ledger.Operation{Book: o.Book, Kind: "transaction.reverse", Reverses: approval.Transaction, Actor: "op/1", At: f.Clock.Now()})
		f.Must(err)
		answers = append(answers, f.see(token).PaymentProblem)
		want := []string{"The payment did not succeed. Submit another address or ln_invoice.", "The payment did not succeed, and nothing is owed for the order any more."}
		if !slices.Equal(answers, want) {
			t.Errorf("%q, want %q", answers, want)
		}
	})
}
