package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/core/clock"
)

// How many codes are bought and claimed, each by itself, and how many at once.
const (
	deadCodes = 30
	deadCrowd = 8
)

// Claims are filed and decided through servers that are killed in the middle, each call
// repeated under its key until it is answered: every code is replaced, refunded or
// rejected as was decided, once, the wallet has back what was refunded, and the day's
// orders, codes and postings come out even.
func TestClaimsThroughCrashes(t *testing.T) {
	eachEngine(t, func(t *testing.T, at *installation) {
		server := at.start(t, "--demo")
		d := at.dead(t, raceItem, racePrice)
		for _, crashAfter := range []int{11, 25, 0} {
			d.base = server.base
			if crashAfter == 0 {
				d.run(0, nil)
				continue
			}
			d.run(crashAfter, server.kill)
			server = at.start(t, "--demo")
		}
		d.check(at)
		want := fmt.Sprint(raceCodes - deadCodes - deadCodes/3)
		if out := at.run(t, "stock", "count", "--realm", "test", "-o", "json"); !strings.Contains(out, `"item_code": "`+raceItem+`",`+"\n"+`    "codes": `+want+`,`) {
			t.Errorf("want %s codes in stock of %s", want, out)
		}
		server.stop(t)
	})
}

// Dead codes that another installation sold are replaced by others of it however often the
// server that decided so is killed: it sold as many as were bought and replaced, none is
// twice, and the days come out even.
func TestReplacementsThroughCrashes(t *testing.T) {
	eachEngine(t, func(t *testing.T, at *installation) {
		upstream := newInstallation(t, "sqlite")
		partner := upstream.start(t, "--demo")
		up := &race{t: t, base: partner.base, key: upstream.customer(t)}
		secrets := at.resell(t, partner.base, up.key)
		server := at.start(t, "--secrets", secrets)
		d := at.dead(t, "RESOLD", resalePrice)
		for _, crashAfter := range []int{11, 25, 37, 0} {
			d.base = server.base
			if crashAfter == 0 {
				d.run(0, nil)
				continue
			}
			d.run(crashAfter, server.kill)
			server = at.start(t, "--secrets", secrets)
		}
		d.settled("/v1/orders/1/claims", `"replacing"`)
		d.check(at)
		var wallet struct{ Data struct{ Balance string } }
		up.read("/v1/balance", &wallet)
		if want := decimal(resaleFunds - (deadCodes+deadCodes/3)*resaleCost); wallet.Data.Balance != want {
			t.Errorf("the balance at the other installation is %s, want %s", wallet.Data.Balance, want)
		}
		server.stop(t)
		partner.stop(t)
	})
}

// dead makes a customer with money who buys codes of an item at a price, and an operator.
func (at *installation) dead(t *testing.T, item string, price int64) *dead {
	t.Helper()
	customer := at.fields(t, "customer", "create", "--name", "Claimer")["customer_id"]
	at.run(t, "customer", "load", "--customer", customer, "--realm", "test", "--amount", "1000.00", "--reference", "claims")
	return &dead{t: t, item: item, price: price, answers: map[string]string{}, book: at.fields(t, "customer", "show", customer)["test_book_id"],
		key:      at.fields(t, "key", "create", "--customer", customer, "--realm", "test", "--name", "claims")["secret"],
		operator: at.fields(t, "operator", "create", "--name", "Ada")["secret"]}
}

// settled returns when the answer to a path does not hold a text any more.
func (d *dead) settled(path, text string) {
	d.t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), 2*patience)
	defer stop()
	for {
		status, body, err := d.send(ctx, http.MethodGet, path, "", "")
		if err != nil || status != http.StatusOK {
			d.t.Fatalf("%s: %d %s %v", path, status, body, err)
		}
		if !strings.Contains(body, text) {
			return
		}
		if clock.Wait(ctx, time.Second/4) != nil {
			d.t.Fatalf("%s is still %s", path, body)
		}
	}
}

// dead is a buyer whose codes are dead, and an operator.
type dead struct {
	t             *testing.T
	base, book    string
	item          string
	price         int64 // in cents
	key, operator string
	mu            sync.Mutex
	answers       map[string]string // by idempotency key: the body that was acknowledged
}

// verdict is what the operator decides about a code, and what it is called then.
func verdict(code int) (verb, state string) {
	return []string{"refund", "replace", "reject"}[code%3], []string{"refunded", "replaced", "rejected"}[code%3]
}

// run plays every code's story, those that were played again, until all are at their end
// or, if crash is not nil, that many calls were answered, whereupon it crashes the server.
func (d *dead) run(crashAfter int, crash func()) {
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	heard := make(chan struct{}, 4*deadCodes)
	crashed := make(chan struct{})
	go func() {
		defer close(crashed)
		if crash != nil {
			for range crashAfter {
				select {
				case <-heard:
				case <-ctx.Done(): // something went wrong before
				}
			}
			crash()
			stop()
		}
	}()
	codes := make(chan int)
	var group sync.WaitGroup
	if err := d.call(ctx, heard, "order", "/v1/orders", fmt.Sprintf(`{"item_code":%q,"quantity":%d}`, d.item, deadCodes)); err != nil {
		d.t.Fatal(err)
	}
	d.settled("/v1/orders/1", `"processing"`)
	for range deadCrowd {
		group.Go(func() {
			for code := range codes {
				if err := d.story(ctx, heard, code); err != nil && crash == nil {
					d.t.Errorf("code %d: %v", code, err)
				}
			}
		})
	}
	for code := range deadCodes {
		codes <- code + 1
	}
	close(codes)
	group.Wait()
	<-crashed
}

// story claims a code and has it decided about.
func (d *dead) story(ctx context.Context, heard chan<- struct{}, code int) error {
	claim := fmt.Sprint("claim-", code)
	if err := d.call(ctx, heard, claim, "/v1/orders/1/claims", fmt.Sprintf(`{"codes":[%d],"reason":"used"}`, code)); err != nil {
		return err
	}
	var made struct {
		Data struct {
			ClaimID string `json:"claim_id"`
		}
	}
	d.mu.Lock()
	text := d.answers[claim]
	d.mu.Unlock()
	decode(d.t, []byte(text), &made)
	verb, _ := verdict(code)
	path := "/operator/v1/books/" + d.book + "/claims/" + made.Data.ClaimID + "/" + verb
	return d.call(ctx, heard, fmt.Sprint("decision-", code), path, `{"reason":"checked with the shop"}`)
}

// call posts under a key until it is answered. The answer is the same bytes ever after.
func (d *dead) call(ctx context.Context, heard chan<- struct{}, key, path, body string) error {
	for {
		status, text, err := d.send(ctx, http.MethodPost, path, body, key)
		switch {
		case err != nil:
			return err
		case status == http.StatusServiceUnavailable:
			continue
		case status != http.StatusOK:
			return fmt.Errorf("%s: %d %s", key, status, text)
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		if first, before := d.answers[key]; before && first != text {
			return fmt.Errorf("%s was answered %s\nand then %s", key, first, text)
		}
		d.answers[key] = text
		heard <- struct{}{}
		return nil
	}
}

func (d *dead) send(ctx context.Context, method, path, body, key string) (int, string, error) {
	request, err := http.NewRequestWithContext(ctx, method, d.base+path, bytes.NewReader([]byte(body)))
	if err != nil {
		return 0, "", err
	}
	if strings.HasPrefix(path, "/operator/") {
		request.Header.Set("Authorization", "Bearer "+d.operator)
	} else {
		request.Header.Set("X-API-Key", d.key)
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Idempotency-Key", key)
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	return response.StatusCode, string(text), err
}

// check compares what was decided with what there is now.
func (d *dead) check(at *installation) {
	var order struct {
		Data struct {
			CreatedAt string `json:"created_at"`
			Codes     []struct{ Code, Status string }
		}
	}
	var claims struct {
		Data struct {
			Claims []struct {
				Codes []struct {
					Number int
					Status string
				}
			}
		}
	}
	var wallet struct{ Data struct{ Balance string } }
	d.read("/v1/orders/1", &order)
	d.read("/v1/orders/1/claims", &claims)
	d.read("/v1/balance", &wallet)
	seen := map[string]bool{}
	for i, c := range order.Data.Codes {
		if _, state := verdict(i + 1); (state == "refunded") != (c.Status == "refunded") {
			d.t.Errorf("code %d is %s", i+1, c.Status)
		}
		seen[c.Code] = true
	}
	for _, c := range claims.Data.Claims {
		if _, state := verdict(c.Codes[0].Number); c.Codes[0].Status != state {
			d.t.Errorf("the claim about code %d is %s", c.Codes[0].Number, c.Codes[0].Status)
		}
	}
	const refunded = deadCodes / 3
	if len(seen) != deadCodes || len(claims.Data.Claims) != deadCodes || wallet.Data.Balance != decimal(100_000-d.price*(deadCodes-refunded)) {
		d.t.Errorf("%d codes, %d claims, a balance of %s", len(seen), len(claims.Data.Claims), wallet.Data.Balance)
	}
	d.even(at, order.Data.CreatedAt)
}

// even fails unless the reports of the days of the test are without a difference.
func (d *dead) even(at *installation, created string) {
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	if status, body, err := d.send(ctx, http.MethodPost, "/operator/v1/clock/advance", `{"by":"72h"}`, "ahead"); err != nil || status != http.StatusOK {
		d.t.Fatalf("%d %s %v", status, body, err)
	}
	day, err := time.Parse(time.RFC3339, created)
	if err != nil {
		d.t.Fatal(err)
	}
	for _, day := range []time.Time{day.UTC(), day.UTC().AddDate(0, 0, 1)} {
		at.run(d.t, "report", "codes", "--day", day.Format(time.DateOnly), "--realm", "test", "--again")
	}
	if problems := at.fields(d.t, "verify")["problems"]; problems != "0" {
		d.t.Errorf("the books have %s problems", problems)
	}
}

func (d *dead) read(path string, out any) {
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	status, body, err := d.send(ctx, http.MethodGet, path, "", "")
	if err != nil || status != http.StatusOK {
		d.t.Fatalf("%s: %d %s %v", path, status, body, err)
	}
	decode(d.t, []byte(body), out)
}
