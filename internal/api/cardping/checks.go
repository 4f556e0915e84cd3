package cardping

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/core/fault"
)

const (
	// maxBatch bounds the checks of one request.
	maxBatch = 100
	// batchWidth is how many of them are under way at once.
	batchWidth = 8
	// batchBody has room for maxBatch checks with the longest numbers, PINs and keys in use.
	batchBody = 256 << 10
	// batchTime is longer than that of a single check: networks take their time.
	batchTime = 45 * time.Second
)

func (a *api) checkRoutes(s *surface) {
	batch := route("cards.ping_batch", http.MethodPost, "/cards/ping/batch", account.ScopePing)
	batch.MaxBody, batch.Timeout = batchBody, batchTime
	wire.Handle(s, route("cards.ping", http.MethodPost, "/cards/ping", account.ScopePing), a.ping)
	wire.Handle(s, batch, a.pingBatch)
	wire.Handle(s, route("networks.list", http.MethodGet, "/networks", account.ScopePing), a.networks)
}

// ping answers with the bytes that are kept for its repetition.
func (a *api) ping(ctx context.Context, c *call, in checkRequest) (result, error) {
	found, err := a.once(ctx, c, &in)
	if err != nil {
		return result{}, err
	}
	c.Header().Set("Age", strconv.FormatInt(seconds(found.age), 10))
	c.Kept(found.answer)
	return result{}, nil
}

// pingBatch makes every check by itself, a few at once, and answers in the order of
// the request. The batch counts as many requests as it has checks.
func (a *api) pingBatch(ctx context.Context, c *call, in batchRequest) (batchResult, error) {
	n, most := len(in.Checks), a.mostChecks()
	if n == 0 || n > most {
		return batchResult{}, fault.New(fault.InvalidRequest, "checks must hold 1 to %d checks", most).At("checks")
	}
	if err := c.Charge(ctx, n-1); err != nil {
		return batchResult{}, err
	}
	found, out, turns := make([]answered, n), batchResult{Results: make([]item, n)}, turnsOf(in.Checks)
	refusals := c.Parts(ctx, n, make(chan struct{}, batchWidth-1), func(ctx context.Context, i int) (err error) {
		if err := turns[i].begin(ctx); err != nil {
			return err
		}
		defer turns[i].end()
		found[i], err = a.once(ctx, c, &in.Checks[i])
		return err
	})
	for i, refused := range refusals {
		out.Results[i] = itemOf(c, &found[i], refused)
	}
	return out, nil
}

// turn has checks of a batch under one idempotency key follow each other, so that the first of
// them is the one that is made.
type turn struct{ before, done chan struct{} }

func turnsOf(checks []checkRequest) []turn {
	turns, last := make([]turn, len(checks)), map[string]chan struct{}{}
	for i := range checks {
		if key := checks[i].IdempotencyKey; key != "" {
			turns[i] = turn{before: last[key], done: make(chan struct{})}
			last[key] = turns[i].done
		}
	}
	return turns
}

func (t turn) begin(ctx context.Context) error {
	if t.before == nil {
		return nil
	}
	select {
	case <-t.before:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t turn) end() {
	if t.done != nil {
		close(t.done)
	}
}

// mostChecks is how many checks a batch may have: no more than the limits allow.
func (a *api) mostChecks() int {
	most := maxBatch
	for _, w := range slices.Concat(a.perKey, a.perAddress) {
		most = min(most, w.Limit)
	}
	return most
}

func itemOf(c *call, found *answered, refused wire.Refusal) item {
	if refused.Fault == nil {
		age := seconds(found.age)
		return item{Result: found.answer.Body, Age: &age}
	}
	p := problemOf(c, refused.Verdict)
	refusal := item{Error: &p}
	if wait, tell := refused.Verdict.RetryAfter(refused.Fault); tell {
		refusal.RetryAfter = &wait
	}
	return refusal
}

func (a *api) networks(_ context.Context, c *call, _ wire.None) (list[network], error) {
	all := a.Pings.Networks(c.Principal.Realm)
	out := list[network]{Data: make([]network, 0, len(all))}
	for i := range all {
		out.Data = append(out.Data, networkOf(&all[i]))
	}
	return out, nil
}

// seconds are whole ones; nothing is younger than now.
func seconds(age time.Duration) int64 { return max(0, int64(age/time.Second)) }
