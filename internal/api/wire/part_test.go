package wire

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

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

// Parts of a call fail by themselves: with the dialect's row, without the text of a mistake, and without ending the process.
func TestPart(t *testing.T) {
	b := setup(t, Options{}, nil)
	fails := []error{nil, fault.New(fault.NotFound, "no such card"), errors.New("secret detail"), nil}
	Handle(b.Surface, Spec{Name: "batch", Method: "GET", Path: "/v1/batch"}, func(ctx context.Context, c *Call[string], _ None) ([]testError, error) {
		out := make([]testError, len(fails))
		var group sync.WaitGroup
		for i, err := range fails {
			group.Go(func() {
				v, f := c.Part(ctx, func(context.Context) error {
					if i == 3 {
						panic("no hands")
					}
					return err
				})
				if f != nil {
					out[i] = testError{Error: v.Code, Message: v.Message}
				}
			})
		}
		group.Wait()
		return out, nil
	})
	want(t, b.mount().do("GET", "/v1/batch", ""), 200, `[{"error":"","message":""},{"error":"not_found","message":"no such card"},`+
		`{"error":"internal","message":"internal error"},{"error":"internal","message":"internal error"}]`)
	for _, text := range []string{"secret detail", "no hands"} {
		if !strings.Contains(b.log.String(), text) {
			t.Errorf("the log does not hold %q", text)
		}
	}
}

// Of calls that want the same name one runs at a time; a call that cannot wait any longer gives up.
func TestAlone(t *testing.T) {
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
	leave()
	<-entered
}
