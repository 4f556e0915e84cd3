package gatepay

import (
	"context"
	"strings"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/platform/lane"
)

const (
	// maxBatch bounds the operations of one request; any body has room for as many.
	maxBatch = 100
	// spareOperations are how many are under way of all batches together, beside one of each:
	// two commits' worth, and far less than may wait for the ledger.
	spareOperations = 2 * lane.Group
)

// action is what an operation of a batch does: what the call of its name does.
type action struct {
	scope account.Scope
	do    func(ctx context.Context, c *call, operation wire.Raw) (movement, error)
}

// move registers a call that moves money of a card, by itself and as an action of batches.
func move[In any](a *api, s *wire.Surface[account.Principal], spec wire.Spec, handler wire.Handler[account.Principal, In, movement]) {
	wire.Handle(s, spec, handler)
	read := wire.MustPart[In]()
	a.actions[strings.TrimPrefix(spec.Name, "giftcard.")] = action{account.ScopeOf(spec.Scope), func(ctx context.Context, c *call, operation wire.Raw) (movement, error) {
		in, err := read(operation)
		if err != nil {
			return movement{}, err
		}
		return handler(ctx, c, in)
	}}
}

// batch does operations each by itself, as their own calls do them, a few at once, and answers
// in the order of the request. It counts as many requests as it has operations.
func (a *api) batch(ctx context.Context, c *call, in batchRequest) (batchResult, error) {
	n := len(in.Operations)
	if n == 0 || n > maxBatch {
		return batchResult{}, fault.New(fault.InvalidRequest, "operations must hold 1 to %d operations", maxBatch).At("operations")
	}
	if err := c.Charge(ctx, n-1); err != nil {
		return batchResult{}, err
	}
	bodies := make([]any, n)
	refusals := c.Parts(ctx, n, a.spare, func(ctx context.Context, i int) error {
		operation := in.Operations[i]
		if operation.Kind() != '{' {
			return fault.New(fault.InvalidRequest, "operations[%d] must be an object", i)
		}
		moved, err := a.operate(ctx, c, operation)
		bodies[i] = success(c, moved)
		return err
	})
	out := batchResult{Results: make([]wire.Raw, n)}
	for i, refused := range refusals {
		if refused.Fault != nil {
			bodies[i] = failure(c, refused.Verdict, refused.Fault)
		}
		var err error
		if out.Results[i], err = wire.Marshal(bodies[i]); err != nil {
			return batchResult{}, err
		}
	}
	return out, nil
}

func (a *api) operate(ctx context.Context, c *call, operation wire.Raw) (movement, error) {
	named, err := a.named(operation)
	if err != nil {
		return movement{}, err
	}
	act, known := a.actions[named.Action]
	if !known {
		return movement{}, fault.New(fault.InvalidRequest, "action must be redeem, refund, hold, capture, void, reload or cancel").At("action")
	}
	if err := c.Principal.Require(act.scope); err != nil {
		return movement{}, err
	}
	return act.do(ctx, c, operation)
}
