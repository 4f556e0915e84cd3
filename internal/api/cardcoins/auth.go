package cardcoins

import (
	"context"
	"time"

	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/core/fault"
)

// visit lets an address in that is where somebody may be served, and has not guessed too often.
func (a *api) visit(ctx context.Context, c *call) (visitor, error) {
	v := visitor{wire.AddressSubject(c.From)}
	if a.Place != nil {
		if err := a.Place(ctx, c.From); err != nil {
			return visitor{}, err
		}
	}
	d, err := a.Look(ctx, guessing(v), guesses, 1)
	if err == nil && !d.Allowed {
		err = a.keepOut(ctx, v, max(penalty, d.RetryAfter))
	}
	return v, err
}

// guesses are how many orders that do not exist an address may ask for, and how many wrong
// codes it may enter: an id has 83 random bits and a code few tries, and what is left of
// guessing is slow.
var guesses = []wire.Window{{Limit: 15, Per: time.Minute}, {Limit: 60, Per: time.Hour}}

func guessing(v visitor) string { return name + "/guesses/" + v.address }

// keepOut blocks an address for so long.
func (a *api) keepOut(ctx context.Context, v visitor, wait time.Duration) error {
	if a.Block != nil {
		if err := a.Block(ctx, name+"/"+v.address, a.Clock.Now().Add(wait)); err != nil {
			return err
		}
	}
	return fault.New(fault.RateLimited, "too many requests").After(wait)
}

// guessed counts what an address did not know. Its last guess is answered as the first one,
// and the next request is not.
func (a *api) guessed(ctx context.Context, c *call, err error) error {
	f := fault.From(err)
	if err == nil || f.Code != fault.NotFound && (f.Code != fault.InvalidRequest || f.Field != "verification_code") {
		return err
	}
	if _, counting := a.Take(ctx, guessing(c.Principal), guesses, 1); counting != nil {
		return counting
	}
	return err
}
