package wire

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/scripcards/scrip/internal/core/fault"
)

// A call that does the work of several is counted as often, by address and by principal, and refused when that is too much.
func TestCharge(t *testing.T) {
	limiter := &counter{}
	b := setup(t, Options{Take: limiter.take}, func(d *Dialect[string]) {
		d.Limits = []Limit{{By: ByPrincipal, Windows: perMinute(10)}, {By: ByAddress, Windows: perMinute(20)}}
		d.LimitHeaders = func(h http.Header, d Decision) { h.Set("X-Left", fmt.Sprint(d.Remaining)) }
	})
	Handle(b.Surface, Spec{Name: "batch", Method: "POST", Path: "/v1/batch"}, func(ctx context.Context, c *Call[string], in struct {
		Items int `json:"items"`
	}) (None, error) {
		return None{}, c.Charge(ctx, in.Items-1)
	})
	b.mount()
	for _, step := range []struct {
		body   string
		status int
		left   string
	}{{`{"items":1}`, 200, "9"}, {`{"items":6}`, 200, "3"}, {`{"items":9}`, 429, "0"}} {
		if w := b.do("POST", "/v1/batch", step.body); w.Code != step.status || w.Header().Get("X-Left") != step.left {
			t.Errorf("%s: %d, %s left; want %d, %s", step.body, w.Code, w.Header().Get("X-Left"), step.status, step.left)
		}
	}
	if got := limiter.used["test/all/192.0.2.1"]; got != 16 {
		t.Errorf("the address was counted %d times, want 16", got)
	}
}

// Parts of a call fail by themselves: with the dialect's row, without the text of a mistake, and
// without ending the process. However many are mistakes, the log has one line of them, of a panic if there is one.
func TestParts(t *testing.T) {
	b := setup(t, Options{}, nil)
	fails := []error{nil, fault.New(fault.NotFound, "no such card"), errors.New("secret detail"), nil, errors.New("the same again")}
	Handle(b.Surface, Spec{Name: "batch", Method: "GET", Path: "/v1/batch"}, func(ctx context.Context, c *Call[string], _ None) ([]testError, error) {
		out := make([]testError, len(fails))
		for i, r := range c.Parts(ctx, len(fails), make(chan struct{}, 2), func(_ context.Context, i int) error {
			if i == 3 {
				panic("no hands")
			}
			return fails[i]
		}) {
			if r.Fault != nil {
				out[i] = testError{Error: r.Verdict.Code, Message: r.Verdict.Message}
			}
		}
		return out, nil
	})
	mistake := `{"error":"internal","message":"internal error"}`
	want(t, b.mount().do("GET", "/v1/batch", ""), 200, `[{"error":"","message":""},{"error":"not_found","message":"no such card"},`+mistake+","+mistake+","+mistake+"]")
	log := b.log.String()
	if strings.Count(log, "request_id=") != 1 || !strings.Contains(log, "panic: no hands") || !strings.Contains(log, "failed=3") {
		t.Errorf("the log holds %q", log)
	}
}

// A panic among the parts is logged with where it happened.
func TestPanicOfPart(t *testing.T) {
	b := setup(t, Options{}, nil)
	Handle(b.Surface, Spec{Name: "batch", Method: "GET", Path: "/v1/batch"}, func(ctx context.Context, c *Call[string], _ None) (None, error) {
		c.Parts(ctx, 1, nil, func(context.Context, int) error { panic("no hands") })
		return None{}, nil
	})
	want(t, b.mount().do("GET", "/v1/batch", ""), 200, "{}")
	if log := b.log.String(); !strings.Contains(log, "no hands") || !strings.Contains(log, "part_test.go") {
		t.Errorf("the log holds %q", log)
	}
}

// Calls share the room for their parts: all of it is used and no more, and a call for which
// there is none goes on, one part after the other.
func TestPartsShareRoom(t *testing.T) {
	const room, many = 3, 50
	c := &Call[string]{surface: setup(t, Options{}, nil).Surface}
	spare := make(chan struct{}, room)
	entered, leave := make(chan int), make(chan struct{})
	var calls sync.WaitGroup
	calls.Go(func() {
		c.Parts(t.Context(), many, spare, func(_ context.Context, i int) error {
			entered <- i
			<-leave
			return nil
		})
	})
	for range room + 1 {
		<-entered
	}
	select {
	case i := <-entered:
		t.Errorf("part %d is one too many", i)
	default:
	}
	var last atomic.Int64
	for _, r := range c.Parts(t.Context(), many, spare, func(_ context.Context, i int) error {
		if was := last.Swap(int64(i)); i > 0 && was != int64(i)-1 {
			t.Errorf("part %d came after part %d", i, was)
		}
		return nil
	}) {
		if r.Fault != nil {
			t.Error(r.Fault)
		}
	}
	close(leave)
	for range many - room - 1 {
		<-entered
	}
	calls.Wait()
	if len(spare) > 0 {
		t.Errorf("%d places were not given back", len(spare))
	}
}

// What has not begun when the call's time is over is refused, what has is finished.
func TestPartsEnd(t *testing.T) {
	c := &Call[string]{surface: setup(t, Options{}, nil).Surface}
	ctx, cancel := context.WithCancel(t.Context())
	for i, r := range c.Parts(ctx, 5, nil, func(context.Context, int) error { cancel(); return nil }) {
		if done := r.Fault == nil; done != (i == 0) {
			t.Errorf("part %d: %v", i, r.Fault)
		}
	}
}

// A part of a request is read and refused as a request of its type is.
func TestMustPart(t *testing.T) {
	type item struct {
		Name   string `json:"name" wire:"required,max=3"`
		Amount string `json:"amount" wire:"required"`
	}
	b := setup(t, Options{}, nil)
	Handle(b.Surface, Spec{Name: "single", Method: "POST", Path: "/v1/single"}, func(context.Context, *Call[string], item) (None, error) { return None{}, nil })
	b.mount()
	read := MustPart[item]()
	for _, body := range []string{`{}`, `{"name":"éàü"}`, `{"name":"long","amount":"1"}`, `{"name":5}`, `{"name":"a","amount":null}`, `[]`, `5`, `null`, `"text"`} {
		_, err := read(Raw(body))
		if fault.CodeOf(err) != fault.InvalidRequest {
			t.Errorf("%s: %v", body, err)
			continue
		}
		if w := b.do("POST", "/v1/single", body); body[0] == '{' && !strings.Contains(w.Body.String(), fault.From(err).Message) {
			t.Errorf("%s: %q, by itself %s", body, fault.From(err).Message, w.Body)
		}
	}
	if in, err := read(Raw(`{"name":"éàü","amount":"1","more":[5]}`)); err != nil || in != (item{"éàü", "1"}) {
		t.Errorf("%v, %v", in, err)
	}
}

type pair struct {
	One string `json:"one" wire:"required"`
	Two string `json:"two"`
}

func (p *pair) Check(problems *Problems) {
	if p.One != p.Two {
		problems.Add("two", "must be equal to one")
	}
}

// What a request knows of its own values holds for a part, too, once its fields are right.
func TestMustPartChecks(t *testing.T) {
	read := MustPart[pair]()
	for body, want := range map[string]string{`{"one":"a","two":"a"}`: "", `{"one":"a","two":"b"}`: "two must be equal to one", `{"two":"b"}`: "one is required"} {
		if _, err := read(Raw(body)); err == nil && want != "" || err != nil && fault.From(err).Message != want {
			t.Errorf("%s: %v, want %q", body, err, want)
		}
	}
}

// Of calls that want the same name one runs at a time, and who waits goes on when it ends; a call
// that cannot wait any longer gives up.
func TestAlone(t *testing.T) { synctest.Test(t, testAlone) }

func testAlone(t *testing.T) {
	b := setup(t, Options{}, nil)
	c := &Call[string]{surface: b.Surface}
	leave, err := c.Alone(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	other, err := c.Alone(t.Context(), "l")
	if err != nil {
		t.Fatal(err)
	}
	other()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Alone(ended, "k"); !errors.Is(err, context.Canceled) {
		t.Errorf("a call that is over got %v", err)
	}
	entered := make(chan struct{})
	go func() {
		if again, err := c.Alone(t.Context(), "k"); err == nil {
			again()
		}
		close(entered)
	}()
	synctest.Wait()
	leave()
	<-entered
}
