package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"
)

// The item that buyers race for, how many codes of it the demonstration has, and what
// one of them costs, in cents.
const (
	raceItem   = "GOOGLE-5USD-KOXx"
	raceCodes  = 60
	racePrice  = 490
	raceBuyers = 70
	raceCrowd  = 16 // requests at once
)

// Of 70 orders that race for the last 60 codes through servers which are killed in the
// middle, exactly 60 get one code each and the others are told: every order is repeated
// under its key until it is answered, an answer is the same bytes ever after, and the
// wallet has paid for what was delivered.
func TestOrdersThroughCrashes(t *testing.T) {
	eachEngine(t, func(t *testing.T, at *installation) {
		r := &race{t: t, item: raceItem, buyers: raceBuyers, answers: map[int]string{}}
		server := at.start(t, "--demo")
		customer := at.fields(t, "customer", "create", "--name", "Racer")["customer_id"]
		at.run(t, "customer", "load", "--customer", customer, "--realm", "test", "--amount", "1000.00", "--reference", "race")
		r.key = at.fields(t, "key", "create", "--customer", customer, "--realm", "test", "--name", "race")["secret"]
		for range 3 {
			r.base = server.base
			r.run(1+rand.IntN(raceBuyers/4), server.kill)
			server = at.start(t, "--demo")
		}
		r.base = server.base
		r.run(0, nil)
		r.check()
		if problems := at.fields(t, "verify")["problems"]; problems != "0" {
			t.Errorf("the books have %s problems", problems)
		}
		server.stop(t)
	})
}

// race is the buyers and what they were told.
type race struct {
	t         *testing.T
	item      string
	buyers    int
	base, key string
	mu        sync.Mutex
	answers   map[int]string // by buyer: the body of the answer that was acknowledged
}

// run has every buyer ask, those who have an answer again, until all are answered or, if
// crash is not nil, that many are, whereupon it crashes the server.
func (r *race) run(crashAfter int, crash func()) {
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	heard := make(chan struct{}, 2*r.buyers)
	if crash != nil {
		go func() {
			for range crashAfter {
				<-heard
			}
			crash()
			stop() // what waits for a dead server
		}()
	}
	buyers := make(chan int)
	var group sync.WaitGroup
	for range raceCrowd {
		group.Go(func() {
			for buyer := range buyers {
				status, body, err := r.send(ctx, http.MethodPost, "/v1/orders", fmt.Sprint("buyer-", buyer))
				if err == nil {
					r.heard(buyer, status, body)
					heard <- struct{}{}
				} else if crash == nil {
					r.t.Errorf("buyer %d: %v", buyer, err)
				}
			}
		})
	}
	for _, buyer := range rand.Perm(r.buyers) {
		buyers <- buyer
	}
	close(buyers)
	group.Wait()
	if crash != nil {
		for range r.buyers { // however few were heard
			heard <- struct{}{}
		}
		<-ctx.Done()
	}
}

func (r *race) heard(buyer, status int, body string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	first, before := r.answers[buyer]
	switch {
	case status == http.StatusBadRequest && !before: // refusals are not kept: ask again later
	case status == http.StatusOK && (!before || body == first):
		r.answers[buyer] = body
	default:
		r.t.Errorf("buyer %d: %d %s\nand before: %s", buyer, status, body, first)
	}
}

func (r *race) send(ctx context.Context, method, path, key string) (int, string, error) {
	var body io.Reader
	if method == http.MethodPost {
		body = bytes.NewReader([]byte(`{"item_code":"` + r.item + `","quantity":1}`))
	}
	request, err := http.NewRequestWithContext(ctx, method, r.base+path, body)
	if err != nil {
		return 0, "", err
	}
	request.Header.Set("X-API-Key", r.key)
	if body != nil {
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

// check compares what buyers were told with what the server says now.
func (r *race) check() {
	var codes []string
	for buyer, answer := range r.answers {
		var got struct {
			Data struct{ Codes []struct{ Code string } }
		}
		decode(r.t, []byte(answer), &got)
		if len(got.Data.Codes) != 1 {
			r.t.Errorf("buyer %d got %s", buyer, answer)
			continue
		}
		codes = append(codes, got.Data.Codes[0].Code)
	}
	slices.Sort(codes)
	if len(codes) != raceCodes || len(slices.Compact(codes)) != raceCodes {
		r.t.Errorf("%d codes were sold, %d of them different; want %d", len(codes), len(slices.Compact(codes)), raceCodes)
	}
	var list struct {
		Data struct{ Pagination struct{ Total int } }
	}
	var wallet struct{ Data struct{ Balance string } }
	r.read("/v1/orders", &list)
	r.read("/v1/balance", &wallet)
	if want := decimal(100_000 - racePrice*raceCodes); list.Data.Pagination.Total != raceCodes || wallet.Data.Balance != want {
		r.t.Errorf("%d orders and a balance of %s, want %d and %s", list.Data.Pagination.Total, wallet.Data.Balance, raceCodes, want)
	}
}

func (r *race) read(path string, out any) {
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	status, body, err := r.send(ctx, http.MethodGet, path, "")
	if err != nil || status != http.StatusOK {
		r.t.Fatalf("%s: %d %s %v", path, status, body, err)
	}
	if err := json.Unmarshal([]byte(body), out); err != nil {
		r.t.Fatal(err)
	}
}
