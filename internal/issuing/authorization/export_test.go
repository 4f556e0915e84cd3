package authorization

import (
	"context"
	"time"

	"github.com/scripcards/scrip/internal/core/money"
)

// Words returns what a reason says.
func (r Reason) Words() (sentence, advice string) { return r.words() }

// Of returns how long is held for a merchant, and how much may be captured of an amount.
func (p *Policy) Of(mcc string, authorized money.Amount) (time.Duration, money.Amount) {
	t := p.trade(mcc)
	return t.HoldFor, t.ceiling(authorized)
}

// CaptureHeld is the step of Complete after the payment held too little.
func (s *Service) CaptureHeld(ctx context.Context, a Advice) (Decision, error) {
	return s.captureHeld(ctx, a)
}
