// Package cardcoins makes the scenarios of the cardcoins dialect: making orders that turn
// prepaid cards into bitcoin, and reading them, the two calls that most people make.
//
// It puts load on the test realm alone.
package cardcoins

import (
	"context"
	"fmt"
	"sync"

	"github.com/scripcards/scrip/internal/bench"
	"github.com/scripcards/scrip/internal/cashout"
	"github.com/scripcards/scrip/internal/core/realm"
)

// Orders are the scenarios of one run.
type Orders struct{ paths []string }

// Bounds of what Prepare makes, and how many it makes at once.
const (
	maxOrders = 1_000_000
	together  = 32
	cents     = 5500
)

// Prepare makes n orders to read.
func Prepare(ctx context.Context, s *cashout.Service, n int) (*Orders, error) {
	if n < 1 || n > maxOrders {
		return nil, fmt.Errorf("prepare %d orders: want 1 to %d", n, maxOrders)
	}
	o := &Orders{paths: make([]string, n)}
	errs := make([]error, together)
	var group sync.WaitGroup
	for w := range together {
		group.Go(func() {
			for i := w; i < n && errs[w] == nil; i += together {
				_, token, err := s.Create(ctx, cashout.Opening{Realm: realm.Test, Amount: cents, Currency: cashout.Bitcoin})
				o.paths[i], errs[w] = "/v2/orders/"+token.Reveal(), err
			}
		})
	}
	group.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, fmt.Errorf("prepare orders: %w", err)
		}
	}
	return o, nil
}

// Create makes a new order with each request.
func (o *Orders) Create() bench.Scenario {
	body := []byte(`{"amount":5500,"currency":"bitcoin"}`)
	return bench.Scenario{Name: "cardcoins create", Expect: bench.Expect{Contains: `"order_id"`}, Make: func(int, int64) bench.Request {
		return bench.Request{Method: "POST", Path: "/v2/orders", Body: body}
	}}
}

// Read reads all orders in turn.
func (o *Orders) Read() bench.Scenario {
	return bench.Scenario{Name: "cardcoins read", Expect: bench.Expect{Contains: `"currency_amount":83523`}, Make: func(_ int, n int64) bench.Request {
		return bench.Request{Method: "GET", Path: o.paths[n%int64(len(o.paths))]}
	}}
}
