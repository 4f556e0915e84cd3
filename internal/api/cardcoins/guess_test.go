package cardcoins_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/api/wiretest"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/cashdesk"
	"github.com/scripcards/scrip/spec"
)

const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// guesses is how many there are: all of them where there is time.
func guesses() int {
	if testing.Short() {
		return 1_000
	}
	return 10_000
}

// Ids that are guessed are slowed to a few, all answered alike, whatever they look like; then the address is kept out for a while, even with a right one, and nobody else is.
func TestGuessedOrders(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		f := setup(t, db)
		right := f.Opened(5500).Reveal()
		source := rand.New(rand.NewPCG(1, 2))
		answers := map[string]int{}
		for i := range guesses() {
			text := make([]byte, []int{20, 20, 20, 19, 10, 21}[i%6])
			for k := range text {
				text[k] = letters[source.IntN(len(letters))]
			}
			w := f.send(http.MethodGet, "/v2/orders/"+string(text), "", "192.0.2.66")
			answers[fmt.Sprintf("%d %s", w.Code, w.Body)]++
		}
		if n := answers[`404 {"message":"Order not found","data":{}}`]; n != 15 || len(answers) != 2 {
			t.Errorf("answers %v", answers)
		}
		if w := f.send(http.MethodGet, "/v2/orders/"+right, "", "192.0.2.66"); w.Code != http.StatusForbidden || strings.Contains(w.Body.String(), "created") {
			t.Errorf("the right one: %d %s", w.Code, w.Body)
		}
		if w := f.send(http.MethodGet, "/v2/orders/"+right, "", "192.0.2.67"); w.Code != http.StatusOK {
			t.Errorf("somebody else: %d %s", w.Code, w.Body)
		}
		f.Clock.Advance(5 * time.Minute)
		if w := f.send(http.MethodGet, "/v2/orders/"+right, "", "192.0.2.66"); w.Code != http.StatusOK {
			t.Errorf("five minutes later: %d %s", w.Code, w.Body)
		}
	})
}

// Who has guessed as often as an hour allows is told how long that keeps the address out, and is not refused once more then.
func TestGuessedForAnHour(t *testing.T) {
	f := setup(t, testkit.Open(t, testkit.Database(t, "sqlite")))
	right := f.Opened(5500).Reveal()
	for i := range 60 {
		if w := f.send(http.MethodGet, fmt.Sprintf("/v2/orders/%020d", i), "", "192.0.2.66"); w.Code != http.StatusNotFound {
			t.Fatalf("guess %d: %d %s", i, w.Code, w.Body)
		}
		if i%15 == 14 {
			f.Clock.Advance(time.Minute)
		}
	}
	// Four minutes of the hour have passed.
	if w := f.send(http.MethodGet, "/v2/orders/"+right, "", "192.0.2.66"); w.Code != http.StatusForbidden || w.Header().Get("Retry-After") != "3360" {
		t.Errorf("%d, again after %q", w.Code, w.Header().Get("Retry-After"))
	}
	f.Clock.Advance(3360 * time.Second)
	if w := f.send(http.MethodGet, "/v2/orders/"+right, "", "192.0.2.66"); w.Code != http.StatusOK {
		t.Errorf("then: %d %s", w.Code, w.Body)
	}
}

// Codes that are guessed, from however many addresses and with every resend, get no more tries than an order's codes have, and all wrong ones are answered alike.
func TestGuessedCodes(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		f := setup(t, db)
		token := f.Opened(5500).Reveal()
		dispatch := func(from string) int {
			return f.send(http.MethodPost, "/v2/phones?order_id="+token, `{"phone_number":"`+cashdesk.Number+`","recaptcha_response":"`+cashdesk.Answer+`"}`, from).Code
		}
		if code := dispatch("192.0.2.7"); code != http.StatusOK {
			t.Fatal(code)
		}
		answers, sends := map[string]int{}, 1
		for i := range guesses() {
			from := fmt.Sprintf("10.%d.%d.%d", i/65536, i/256%256, i%256)
			if i%10 == 9 { // a guesser with patience, and a captcha farm
				f.Clock.Advance(31 * time.Second)
				if dispatch(from) == http.StatusOK {
					sends++
				}
			}
			guess := fmt.Sprintf("%04d", i)
			if guess == f.Phone.Last().Reveal() {
				continue // luck would end the test
			}
			w := f.send(http.MethodPost, "/v2/phones/code?order_id="+token,
				`{"phone_number":"`+cashdesk.Number+`","verification_code":"`+guess+`","recaptcha_response":"`+cashdesk.Answer+`"}`, from)
			answers[fmt.Sprintf("%d %s", w.Code, w.Body)]++
		}
		for answer := range answers { // wrong codes while the order lives, and no order afterwards
			if answer != `400 {"message":"the verification code is wrong or too old","data":{}}` && answer != `404 {"message":"Order not found","data":{}}` {
				t.Errorf("answers %v", answers)
			}
		}
		if sends > 5 {
			t.Errorf("%d codes were sent", sends)
		}
		if tries := f.tries(); tries > 25 {
			t.Errorf("%d guesses were judged", tries)
		}
	})
}

// tries is how many guesses were judged, as the one row of codes has them.
func (f *front) tries() int64 {
	f.T.Helper()
	tables, err := storage.Tables(f.T.Context(), f.DB)
	f.Must(err)
	tries := int64(-1)
	for _, table := range tables {
		if table.Name != "cashout_codes" {
			continue
		}
		f.Must(table.Each(f.T.Context(), f.DB, func(row []any) error {
			for i, column := range table.Columns {
				if column.Name == "failures" {
					tries = row[i].(int64)
				}
			}
			return nil
		}))
	}
	if tries < 5 {
		f.T.Errorf("%d guesses were judged: nobody guessed", tries)
	}
	return tries
}

// One address that guesses codes is kept out.
func TestGuessedCodesFromOneAddress(t *testing.T) {
	f := setup(t, testkit.Open(t, testkit.Database(t, "sqlite")))
	statuses := map[int]int{}
	for range 100 {
		token := f.Opened(5500).Reveal()
		w := f.send(http.MethodPost, "/v2/phones/code?order_id="+token, `{"phone_number":"`+cashdesk.Number+`","verification_code":"0000"}`, "192.0.2.66")
		statuses[w.Code]++
	}
	if statuses[400] != 15 || statuses[403] != 85 {
		t.Errorf("answers %v", statuses)
	}
}

// Who asks too often is refused with 403 for a while, and only that address.
func TestTooManyRequests(t *testing.T) {
	f := setup(t, testkit.Open(t, testkit.Database(t, "sqlite")))
	f.perLimit = 10
	f.mount()
	for i := range 12 {
		if w := f.send(http.MethodGet, "/v2/tickers", "", "192.0.2.66"); (w.Code == 200) != (i < 10) || w.Code != 200 && w.Code != 403 {
			t.Errorf("request %d: %d", i+1, w.Code)
		}
	}
	f.Clock.Advance(time.Minute)
	if w := f.send(http.MethodGet, "/v2/tickers", "", "192.0.2.66"); w.Code != 403 || w.Header().Get("Retry-After") == "" {
		t.Errorf("a minute later: %d", w.Code)
	}
	if w := f.send(http.MethodGet, "/v2/tickers", "", "192.0.2.67"); w.Code != 200 {
		t.Errorf("somebody else: %d", w.Code)
	}
	f.Clock.Advance(4 * time.Minute)
	if w := f.send(http.MethodGet, "/v2/tickers", "", "192.0.2.66"); w.Code != 200 {
		t.Errorf("five minutes later: %d", w.Code)
	}
}

// Hostile requests get well-formed refusals that fit the document, and no 500.
func TestHostileRequests(t *testing.T) {
	f := setup(t, testkit.Open(t, testkit.Database(t, "sqlite")))
	f.perLimit = 100_000_000
	f.mount()
	document, _ := spec.Document("cardcoins")
	n := 0
	wiretest.FuzzSurface(t, wiretest.Attack{Document: document, Handler: f.handler, Seed: 7, AnyMedia: true, Prepare: func(r *http.Request, _ []byte) {
		n++
		r.RemoteAddr = fmt.Sprintf("10.%d.%d.%d:1", n/65536, n/256%256, n%256)
	}})
}
