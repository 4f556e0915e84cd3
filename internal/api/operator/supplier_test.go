package operator_test

import (
	"context"

	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/order/supply"
)

// slow is a supplier that takes every order and never says what becomes of it.
type slow struct{}

func (slow) Quote(context.Context, supply.Wanted) (supply.Quote, error) {
	return supply.Quote{Cost: catalog.Cost{Amount: money.New(2000, money.USD)}, Available: true}, nil
}

func (slow) Submit(context.Context, supply.Submission) (supply.Answer, error) { return working() }
func (slow) Query(context.Context, supply.Submission) (supply.Answer, error)  { return working() }
func (slow) Cancel(context.Context, supply.Submission) (supply.Answer, error) { return working() }

func working() (supply.Answer, error) {
	return supply.Answer{State: supply.Working, Reference: "SLOW-1"}, nil
}
