package cardping_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/api/cardping"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/giftcard"
	"github.com/scripcards/scrip/internal/ping"
	"github.com/scripcards/scrip/internal/platform/limit"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/webhook"
)

const (
	pingPath  = "/v1/cards/ping"
	batchPath = "/v1/cards/ping/batch"
	sample    = `{"card_number":"6006-4913-0000-0011","pin":"1234","network":"visa_gift"}`
)

// keyed is the sample under an idempotency key.
func keyed(key string) string {
	return strings.TrimSuffix(sample, "}") + `,"idempotency_key":"` + key + `"}`
}

var pingID = regexp.MustCompile(`"id":"ping_[0-9a-z]{26}"`)

// The published answer comes out byte for byte but the id, and 20 times the same.
func TestPublishedSample(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		const want = `{"id":"ping_9f4a3b2c","status":"active","balance":47.50,"currency":"USD","expiry":"2027-03","fraud_score":0.02,` +
			`"fraud_signals":[],"ai_verified":true,"network":"visa_gift","latency_ms":68}`
		for range 20 {
			w := b.do("acme", "POST", pingPath, sample)
			got := pingID.ReplaceAllString(w.Body.String(), `"id":"ping_9f4a3b2c"`)
			if diff := cmp.Diff(want, got); diff != "" || w.Code != 200 || w.Header().Get("Content-Type") != "application/json" || w.Header().Get("Age") != "0" {
				t.Fatalf("%d %v %s", w.Code, w.Header(), diff)
			}
		}
		b.quiet()
	})
}

// events counts the events of Acme's test book by type.
func (b *bundle) events() map[string]int {
	b.t.Helper()
	found, err := b.Webhooks.Outbox.List(b.t.Context(), webhook.EventFilter{Book: b.acme.Test, Limit: webhook.MaxLimit})
	check.OK(b.t, err)
	count := map[string]int{}
	for _, e := range found {
		count[e.Type]++
	}
	return count
}

// Of the same check made at once, within a process and in several, one is made: all get
// its bytes, and there is one event.
func TestRepeatsAtOnce(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		var processes []http.Handler
		for range 3 {
			b.mount()
			processes = append(processes, b.handler)
		}
		answers := make([]string, 24)
		var all sync.WaitGroup
		for i := range answers {
			all.Go(func() {
				h := processes[i%len(processes)]
				if i%4 == 3 { // alone or in a batch, it is the same check
					w := send(h, b.keys["acme"], "POST", batchPath, `{"checks":[`+keyed("at once")+`]}`)
					var got struct {
						Results []struct{ Result json.RawMessage }
					}
					if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || len(got.Results) != 1 {
						t.Errorf("%d %s", w.Code, w.Body)
						return
					}
					answers[i] = string(got.Results[0].Result)
					return
				}
				answers[i] = send(h, b.keys["acme"], "POST", pingPath, keyed("at once")).Body.String()
			})
		}
		all.Wait()
		for i, answer := range answers {
			if answer != answers[0] || !pingID.MatchString(answer) {
				t.Errorf("answer %d is %s\nand not %s", i, answer, answers[0])
			}
		}
		if got := b.events()["ping.completed"]; got != 1 {
			t.Errorf("%d events of one check", got)
		}
		b.quiet()
	})
}

// Of different checks under one key at once, one is made and the others are refused.
func TestConflictsAtOnce(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		made, refused := 0, 0
		var mu sync.Mutex
		var all sync.WaitGroup
		first := b.handler
		b.mount()
		for i := range 12 {
			all.Go(func() {
				h := first
				if i%2 == 0 {
					h = b.handler
				}
				body := strings.Replace(keyed("one key"), `"1234"`, strconv.Quote(fmt.Sprint(2000+i)), 1)
				w := send(h, b.keys["acme"], "POST", pingPath, body)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case w.Code == 200:
					made++
				case w.Code == 409 && strings.Contains(w.Body.String(), `"idempotency_conflict"`):
					refused++
				default:
					t.Errorf("%d %s", w.Code, w.Body)
				}
			})
		}
		all.Wait()
		if made != 1 || refused != 11 || b.events()["ping.completed"] != 1 {
			t.Errorf("%d made, %d refused, events %v", made, refused, b.events())
		}
	})
}

// A check under a key that is over its day is made anew once its answer is purged, and
// until then its answer gets older.
func TestRepeatAges(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		first := b.do("acme", "POST", pingPath, keyed("k"))
		for _, wait := range []time.Duration{0, 90 * time.Second, 23 * time.Hour} {
			b.clock.Advance(wait)
			w := b.do("acme", "POST", pingPath, keyed("k"))
			if age := strconv.Itoa(int(b.clock.Now().Sub(began).Seconds())); w.Body.String() != first.Body.String() || w.Header().Get("Age") != age {
				t.Errorf("after %s: age %s, want %s; %s", wait, w.Header().Get("Age"), age, w.Body)
			}
		}
		b.purge(t)
		if w := b.do("acme", "POST", pingPath, keyed("k")); w.Body.String() != first.Body.String() {
			t.Error("the answer was purged within its day")
		}
		b.clock.Advance(2 * time.Hour)
		b.purge(t)
		if w := b.do("acme", "POST", pingPath, keyed("k")); w.Code != 200 || w.Body.String() == first.Body.String() || w.Header().Get("Age") != "0" {
			t.Errorf("after a day: %d %s", w.Code, w.Body)
		}
	})
}

// A batch of a hundred is answered in order, counts a hundred times, and is refused when that is too much.
func TestBatchOrder(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		b.Pings.Policy.Credential, b.Pings.Policy.Address = perMinute(150), perMinute(1000)
		b.mount()
		var checks []string
		for i := range 100 {
			checks = append(checks, fmt.Sprintf(`{"card_number":"60064913%08d","network":"visa_gift"}`, 30_000_000+i*100+i%50))
		}
		body := `{"checks":[` + strings.Join(checks, ",") + `]}`
		w := b.do("acme", "POST", batchPath, body)
		var got struct {
			Results []struct {
				Result struct{ Balance json.Number }
			}
		}
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != 200 || len(got.Results) != 100 {
			t.Fatalf("%d %.300s (%v)", w.Code, w.Body, err)
		}
		for i, r := range got.Results {
			// The number's last four digits are its balance in cents.
			cents := (i*100 + i%50) % 10_000
			if want := fmt.Sprintf("%d.%02d", cents/100, cents%100); string(r.Result.Balance) != want {
				t.Errorf("result %d has the balance %s, want %s", i, r.Result.Balance, want)
			}
		}
		if left := w.Header().Get("X-RateLimit-Remaining"); db.Engine() == "sqlite" && left != "50" {
			t.Errorf("%s requests are left, want 50", left)
		}
		w = b.do("acme", "POST", batchPath, body)
		if w.Code != 429 || !strings.Contains(w.Body.String(), `"rate_limited"`) || w.Header().Get("Retry-After") == "" {
			t.Errorf("%d %.300s", w.Code, w.Body)
		}
		b.quiet()
	})
}

func perMinute(n int) []limit.Window { return []limit.Window{{Limit: n, Per: time.Minute}} }

// Where fewer checks are allowed at once than a batch may have, the batch is the shorter one.
func TestSmallBatches(t *testing.T) {
	b := setup(t, testkit.Open(t, testkit.Database(t, "sqlite")))
	b.Pings.Policy.Credential, b.Pings.Policy.Address = []limit.Window{{Limit: 3, Per: time.Second}, {Limit: 1000, Per: time.Hour}}, nil
	b.mount()
	w := b.do("acme", "POST", batchPath, `{"checks":[{},{},{},{}]}`)
	if w.Code != 400 || !strings.Contains(w.Body.String(), "1 to 3 checks") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := b.do("acme", "POST", batchPath, `{"checks":[{},{}]}`); w.Code != 200 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// A key and an address have their limits, each with its own headers, whoever is behind the address.
func TestLimits(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		b.Pings.Policy.Credential, b.Pings.Policy.Address = perMinute(2), perMinute(4)
		b.mount()
		for i, want := range []struct {
			key           string
			status, limit int
		}{{"acme", 200, 2}, {"acme", 200, 2}, {"acme", 429, 2}, {"rival", 200, 2}, {"rival", 429, 4}, {"", 429, 4}} {
			w := b.do(want.key, "GET", "/v1/networks", "")
			if w.Code != want.status || w.Header().Get("X-RateLimit-Limit") != strconv.Itoa(want.limit) {
				t.Errorf("%d: %d with limit %s, want %+v", i, w.Code, w.Header().Get("X-RateLimit-Limit"), want)
			}
			if waits := w.Header().Get("Retry-After") != ""; waits != (want.status == 429) {
				t.Errorf("%d: Retry-After is %q", i, w.Header().Get("Retry-After"))
			}
		}
		b.clock.Advance(time.Minute)
		if w := b.do("acme", "GET", "/v1/networks", ""); w.Code != 200 || w.Header().Get("X-RateLimit-Reset") == "" {
			t.Errorf("a minute later: %d", w.Code)
		}
	})
}

// An address that presents too many wrong keys has to wait, even with a right one; a missing key does not count.
func TestFailuresAreThrottled(t *testing.T) {
	b := setup(t, testkit.Open(t, testkit.Database(t, "sqlite")))
	b.Pings.Policy.Address = nil
	b.mount()
	wait := ""
	wrong := func(key string) int {
		w := send(b.handler, key, "GET", "/v1/networks", "")
		wait = w.Header().Get("Retry-After")
		return w.Code
	}
	for range 100 {
		if code := wrong(""); code != 401 {
			t.Fatalf("no key: %d", code)
		}
	}
	for i := range 60 {
		if code := wrong("cp_test_sk_wrong" + strconv.Itoa(i)); code != 401 {
			t.Fatalf("wrong key %d: %d", i, code)
		}
	}
	for _, key := range []string{"cp_test_sk_wrong", b.keys["acme"]} {
		if code := wrong(key); code != 429 || wait != "60" {
			t.Errorf("then: %d, again after %s", code, wait)
		}
	}
	b.clock.Advance(time.Minute)
	if code := wrong(b.keys["acme"]); code != 200 {
		t.Errorf("a minute later: %d", code)
	}
}

// A body beyond its route's limit is refused unread.
func TestBodyTooLarge(t *testing.T) {
	b := setup(t, testkit.Open(t, testkit.Database(t, "sqlite")))
	for path, most := range map[string]int{pingPath: 64 << 10, batchPath: 256 << 10, "/v1/webhooks": 64 << 10, "/v1/portals": 64 << 10} {
		if w := b.do("acme", "POST", path, `{"a":"`+strings.Repeat("x", most)+`"}`); w.Code != 413 || !strings.Contains(w.Body.String(), `"body_too_large"`) {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
		if w := b.do("acme", "POST", path, `{"a":"`+strings.Repeat("x", most-8)+`"}`); w.Code != 400 {
			t.Errorf("%s, just within: %d %s", path, w.Code, w.Body)
		}
	}
}

// A busy server says so in the envelope, with the limits.
func TestOverloaded(t *testing.T) {
	b := setup(t, testkit.Open(t, testkit.Database(t, "sqlite")))
	entered, leave := make(chan struct{}), make(chan struct{})
	kit := wire.NewKit(wire.Options{Clock: b.clock, Logger: slog.New(slog.DiscardHandler), MaxInFlight: 1, Take: b.Take})
	mux := http.NewServeMux()
	cardping.New(kit, b.Deps).Mount(mux)
	slow := httptest.NewRequest("POST", pingPath, &waiting{entered: entered, leave: leave})
	slow.Header.Set("X-API-Key", b.keys["acme"])
	slow.Header.Set("Content-Type", "application/json")
	slow.ContentLength = -1
	var first sync.WaitGroup
	first.Go(func() { mux.ServeHTTP(httptest.NewRecorder(), slow) })
	<-entered
	w := send(mux, b.keys["acme"], "GET", "/v1/networks", "")
	close(leave)
	first.Wait()
	if w.Code != 503 || !strings.Contains(w.Body.String(), `"overloaded"`) || w.Header().Get("Retry-After") != "1" || w.Header().Get("X-RateLimit-Remaining") != "0" {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
}

// waiting is a body that does not come until it may.
type waiting struct {
	entered, leave chan struct{}
	once           sync.Once
}

func (w *waiting) Read([]byte) (int, error) {
	w.once.Do(func() { close(w.entered) })
	<-w.leave
	return 0, http.ErrBodyReadAfterClose
}

// Neither a number, nor a PIN, nor a key made of them is in an answer, the log, an event or a table, whatever became of the check.
func TestSecretsAreNowhere(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		b.hooked(`["*"]`)
		var heard strings.Builder
		for _, ending := range []string{"0011", "0044", "0055", "0066", "0088", "0099", "7531"} {
			for _, pin := range []string{"1234", "864209"} {
				check := `{"card_number":"6006-4913-0000-` + ending + `","pin":"` + pin + `","network":"visa_gift","idempotency_key":"ping 600649130000` + ending + ` ` + pin + `"}`
				for _, w := range []*httptest.ResponseRecorder{
					b.do("acme", "POST", pingPath, check), b.do("acme", "POST", batchPath, `{"checks":[`+check+`]}`),
					b.do("acme", "POST", pingPath, check[:len(check)-1]), // not JSON any more
					b.do("acme", "POST", pingPath, strings.Replace(check, "visa_gift", "6006-4913-0000-"+ending, 1)),
					b.do("acme", "POST", pingPath, strings.Replace(check, `"pin":"`+pin+`"`, `"pin":`+pin, 1)),
					b.do("acme", "POST", pingPath, strings.Replace(check, `"currency`, `"currency":"`+pin+`","x`, 1)),
					b.do("acme", "GET", "/v1/cards/600649130000"+ending, ""), b.do("acme", "GET", "/v1/webhooks/600649130000"+ending, ""),
				} {
					fmt.Fprintln(&heard, w.Code, w.Header(), w.Body)
				}
			}
		}
		b.deliver()
		for _, d := range b.receiver.Take() {
			fmt.Fprintln(&heard, d.Body)
		}
		texts := map[string]string{"an answer or an event": heard.String(), "the log": b.log.String(), "the database": testkit.Contents(t, b.DB)}
		if !strings.Contains(texts["the database"], string(b.acme.Test)) {
			t.Error("the test reads the wrong database")
		}
		for where, text := range texts {
			for _, secret := range []string{"6006-4913-0000", "600649130000", "864209"} {
				if at := strings.Index(text, secret); at >= 0 {
					t.Errorf("%s holds %s: %s", where, secret, text[max(0, at-80):at+40])
				}
			}
		}
	})
}

// Of checks whose status is invalid, nothing but the id tells why.
func TestInvalidIsOneAnswer(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		answers := map[string]bool{}
		for _, body := range []string{
			strings.Replace(sample, "0011", "0099", 1), strings.Replace(sample, "0011", "0088", 1), strings.Replace(sample, "1234", "4321", 1),
		} {
			w := b.do("acme", "POST", pingPath, body)
			headers := w.Header().Clone()
			for _, name := range []string{"X-Request-Id", "X-Ratelimit-Remaining", "X-Ratelimit-Reset"} {
				headers.Del(name)
			}
			answers[fmt.Sprint(w.Code, headers, pingID.ReplaceAllString(w.Body.String(), ""))] = true
		}
		if len(answers) != 1 {
			t.Errorf("answers differ: %v", answers)
		}
	})
}

// issued makes a gift card of Acme's and returns its number and key.
func (b *bundle) issued(r realm.Realm) (number, key string) {
	b.t.Helper()
	shop := giftcard.Merchant{Book: b.acme.Book(r), Realm: r, Actor: seeder}
	made, err := b.cards.Create(b.t.Context(), shop, giftcard.Issue{Title: "Gift", TemplateID: "aurora", Amount: money.New(2500, money.EUR)})
	check.OK(b.t, err)
	return made.Card.Number.Reveal(), made.Key.Reveal()
}

// A card of this installation is seen by its owner, and by others with its key alone; in its own realm, whatever the currency asked for.
func TestOwnCards(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		number, key := b.issued(realm.Test)
		const mine = `"status":"active","balance":25.00,"currency":"EUR","expiry":"2031-11"`
		const none = `"status":"invalid","balance":0.00,"currency":"USD","expiry":null`
		for _, c := range []struct{ who, pin, want string }{
			{"acme", "", mine}, {"acme", key, mine}, {"acme", "wrong", none}, {"rival", "", none}, {"rival", key, mine}, {"rival", "wrong", none},
			{"acme_live", "", none}, {"acme_live", key, none},
		} {
			w := b.do(c.who, "POST", pingPath, fmt.Sprintf(`{"card_number":%q,"pin":%q,"network":"scrip"}`, number, c.pin))
			if w.Code != 200 || !strings.Contains(w.Body.String(), c.want) {
				t.Errorf("%s with %.5q: %d %s", c.who, c.pin, w.Code, w.Body)
			}
		}
		b.quiet()
	})
}

// A key that is suspended for searching cards makes and changes no portal, through which it
// could go on; it may take one off, and others are not concerned.
func TestSuspendedMakesNoPortal(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		const portals, made, number = "/v1/portals", `{"name":"Page","slug":"page-1"}`, "GC9900000000004711"
		one := b.do("acme", "POST", portals, made)
		var page struct{ ID string }
		check.OK(t, json.Unmarshal(one.Body.Bytes(), &page))
		_, err := b.Pings.AddHoney(t.Context(), ping.NewHoney{Realm: realm.Test, Network: "scrip", Number: pan.NewSecret(number), Actor: seeder})
		check.OK(t, err)
		do := func(key string) (codes [3]int) {
			codes[0] = b.do(key, "POST", pingPath, `{"card_number":"`+number+`","network":"scrip"}`).Code
			codes[1] = b.do(key, "PATCH", portals+"/"+page.ID, `{"networks":["visa_gift"]}`).Code
			codes[2] = b.do(key, "POST", portals, `{"name":"Page","slug":"page-2"}`).Code
			return codes
		}
		check.Equal(t, "the key that asked", do("acme"), [3]int{200, 403, 403})
		b.key("acme_2", b.acme.Test, account.ScopePortalWrite)
		check.Equal(t, "another key", do("acme_2"), [3]int{403, 200, 201})
		check.Equal(t, "taken off by the first", b.do("acme", "DELETE", portals+"/"+page.ID, "").Code, 204)
	})
}

// A month's quota counts checks that were answered, not repetitions or refusals; the next
// month begins anew, and the sandbox has none.
func TestQuota(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		b.Pings.Quotas.Standard = 3
		number, _ := b.issued(realm.Live)
		check := func(key, more string) *httptest.ResponseRecorder {
			return b.do(key, "POST", pingPath, `{"card_number":"`+number+`","network":"scrip"`+more+`}`)
		}
		for _, more := range []string{`,"idempotency_key":"a"`, `,"idempotency_key":"a"`, `,"currency":"none"`, "", ""} {
			if w := check("acme_live", more); w.Code != 200 && w.Code != 400 {
				t.Errorf("%s: %d %s", more, w.Code, w.Body)
			}
		}
		refused := check("acme_live", "")
		month := strconv.Itoa(int(limit.MonthEnd(began).Sub(began).Seconds()))
		if refused.Code != 429 || !strings.Contains(refused.Body.String(), `"quota_exceeded"`) || refused.Header().Get("Retry-After") != month {
			t.Errorf("the fourth: %d %v %s", refused.Code, refused.Header(), refused.Body)
		}
		w := b.do("acme_live", "POST", batchPath, `{"checks":[{"card_number":"`+number+`","network":"scrip","idempotency_key":"a"},{"card_number":"`+number+`","network":"scrip"}]}`)
		if w.Code != 200 || strings.Count(w.Body.String(), `"quota_exceeded"`) != 1 || strings.Count(w.Body.String(), `"active"`) != 1 {
			t.Errorf("a repetition is free, in a batch too: %d %s", w.Code, w.Body)
		}
		if w := check("acme", ""); w.Code != 200 {
			t.Errorf("the sandbox: %d %s", w.Code, w.Body)
		}
		b.clock.Advance(limit.MonthEnd(began).Sub(began))
		if w := check("acme_live", ""); w.Code != 200 {
			t.Errorf("next month: %d %s", w.Code, w.Body)
		}
	})
}

// A part of a batch that has to wait says how long, as a check by itself does.
func TestBatchSaysWhen(t *testing.T) {
	b := setup(t, testkit.Open(t, testkit.Database(t, "sqlite")))
	b.Pings.Policy.Card = perMinute(1)
	w := b.do("acme", "POST", batchPath, `{"checks":[{"card_number":"GC1111111111111111","network":"scrip"},{"card_number":"GC1111111111111111","network":"scrip"},{"card_number":"1","network":"scrip"}]}`)
	for text, want := range map[string]int{`"code":"rate_limited"`: 1, `},"retry_after":60}`: 1, `"retry_after"`: 1, `"code":"card_invalid"`: 1, `"result":`: 1} {
		if got := strings.Count(w.Body.String(), text); got != want {
			t.Errorf("%s stands %d times in %s", text, got, w.Body)
		}
	}
}

// Of a batch's checks with one key the first one is made, whatever else is under way.
func TestBatchOfTwins(t *testing.T) {
	b := setup(t, testkit.Open(t, testkit.Database(t, "sqlite")))
	var checks []string
	for i := range 30 {
		for _, number := range []string{"6006491300000022", "6006491300000011", "6006491300000022"} {
			checks = append(checks, fmt.Sprintf(`{"card_number":"%s","network":"visa_gift","idempotency_key":"twin-%d"}`, number, i))
		}
	}
	w := b.do("acme", "POST", batchPath, `{"checks":[`+strings.Join(checks, ",")+`]}`)
	var got struct {
		Results []struct {
			Result *struct{ ID, Status string }
			Error  *struct{ Code string }
		}
	}
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != 200 || len(got.Results) != 90 {
		t.Fatalf("%d %.300s (%v)", w.Code, w.Body, err)
	}
	for i := 0; i < 90; i += 3 {
		first, other, again := got.Results[i], got.Results[i+1], got.Results[i+2]
		if first.Result == nil || first.Result.Status != "inactive" || other.Error == nil || other.Error.Code != "idempotency_conflict" || again.Result == nil ||
			again.Result.ID != first.Result.ID {
			t.Fatalf("the checks from %d on with one key: %+v", i, got.Results[i:i+3])
		}
	}
}

// What a batch's checks lack is each check's own refusal.
func TestBatchOfScraps(t *testing.T) {
	b := setup(t, testkit.Open(t, testkit.Database(t, "sqlite")))
	w := b.do("acme", "POST", batchPath, `{"checks":[null,{},{"card_number":"6006491300000011"},`+sample+`,{"idempotency_key":"\t","card_number":"1","network":"x"}]}`)
	var got struct {
		Results []struct {
			Result *struct{ Status string }
			Age    *int
			Error  *struct {
				Code, Message string
				RequestID     string `json:"request_id"`
			}
		}
	}
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	var texts []string
	for _, r := range got.Results {
		switch {
		case r.Error == nil && r.Result != nil && r.Age != nil:
			texts = append(texts, r.Result.Status)
		case r.Error != nil && r.Result == nil && r.Age == nil && r.Error.RequestID == w.Header().Get("X-Request-Id"):
			texts = append(texts, r.Error.Code+": "+r.Error.Message)
		default:
			texts = append(texts, "neither one nor the other")
		}
	}
	want := []string{"invalid_request: card_number is required", "invalid_request: card_number is required", "invalid_request: network is required", "active",
		"invalid_request: idempotency_key must be at most 255 printable characters"}
	if diff := cmp.Diff(want, texts); diff != "" {
		t.Error(diff)
	}
}
