package authorization

import (
	"time"

	"github.com/scripcards/scrip/internal/core/money"
)

// Policy is the operator's rules for payments; DefaultPolicy has the usual ones.
type Policy struct {
	// HoldFor is how long an authorization holds money that is not captured, unless
	// Trades says otherwise.
	HoldFor time.Duration
	// Trades are the merchants whose payments have rules of their own; the first that
	// has an MCC counts.
	Trades []Trade
	// DeclineAt and ChallengeAt are the fraud scores, in hundredths, from which a payment
	// is declined, and from which one made online needs a 3-D Secure challenge. Zero: never.
	DeclineAt, ChallengeAt int
	// DeclinePostcode declines when a postcode was presented and is not the cardholder's.
	DeclinePostcode bool
	// ScoreWithin is how long the fraud scorer may take.
	ScoreWithin time.Duration
	// StandIn answers while the fraud scorer or a decision webhook does not.
	StandIn StandIn
}

// Trade is a range of merchant category codes with rules of their own.
type Trade struct {
	// From and To are ISO 18245 codes, both included.
	From, To string
	// HoldFor replaces Policy.HoldFor; zero: it does not.
	HoldFor time.Duration
	// OverPercent is how much more than was authorized may be captured: tips, minibars.
	OverPercent int64
}

// StandIn is what is approved while a part of what decides is down. What is above is declined.
type StandIn struct {
	// MaxMajor bounds one payment and MaxDayMajor those of a card and day of UTC, in major
	// units of the card's currency. Zero: nothing is approved.
	MaxMajor, MaxDayMajor int64
}

const day = 24 * time.Hour

// DefaultPolicy holds for seven days and longer where guests stay, lets tips be added,
// declines scores of 0.85 and challenges those of 0.60, and stands in for up to 50 a
// payment and 200 a day.
func DefaultPolicy() Policy {
	return Policy{
		HoldFor: 7 * day,
		Trades: []Trade{
			{From: "3351", To: "3441", HoldFor: 30 * day, OverPercent: 15}, // car rental, by company
			{From: "3501", To: "3999", HoldFor: 30 * day, OverPercent: 15}, // lodging, by company
			{From: "4111", To: "4111", OverPercent: 20},                    // local transport
			{From: "4121", To: "4121", OverPercent: 20},                    // taxis
			{From: "4411", To: "4411", HoldFor: 30 * day, OverPercent: 15}, // cruises
			{From: "5812", To: "5814", OverPercent: 20},                    // restaurants, bars, fast food
			{From: "7011", To: "7011", HoldFor: 30 * day, OverPercent: 15}, // hotels
			{From: "7033", To: "7033", HoldFor: 30 * day, OverPercent: 15}, // camps
			{From: "7230", To: "7230", OverPercent: 20},                    // hairdressers
			{From: "7297", To: "7298", OverPercent: 20},                    // massage and beauty
			{From: "7512", To: "7513", HoldFor: 30 * day, OverPercent: 15}, // car and truck rental
			{From: "7519", To: "7519", HoldFor: 30 * day, OverPercent: 15}, // motor homes
		},
		DeclineAt: 85, ChallengeAt: 60, DeclinePostcode: true, ScoreWithin: 50 * time.Millisecond,
		StandIn: StandIn{MaxMajor: 50, MaxDayMajor: 200},
	}
}

// trade returns the rules for a merchant category code.
func (p *Policy) trade(mcc string) Trade {
	found := Trade{HoldFor: p.HoldFor}
	for _, t := range p.Trades {
		if len(mcc) == len(t.From) && t.From <= mcc && mcc <= t.To {
			found.OverPercent = t.OverPercent
			if t.HoldFor > 0 {
				found.HoldFor = t.HoldFor
			}
			break
		}
	}
	return found
}

// ceiling is the most that may be captured of what was authorized, rounded down.
func (t Trade) ceiling(authorized money.Amount) money.Amount {
	over, err := authorized.Share(max(t.OverPercent, 0), 100, money.Floor)
	if err != nil {
		return authorized
	}
	sum, err := authorized.Add(over)
	if err != nil {
		return authorized
	}
	return sum
}

// minorUnits converts whole major units, bounded where they overflow.
func minorUnits(major int64, currency money.Currency) int64 {
	const most = int64(1) << 60
	for range currency.Digits() {
		if major > most/10 {
			return most
		}
		major *= 10
	}
	return major
}
