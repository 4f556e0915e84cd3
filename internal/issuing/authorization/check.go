package authorization

import (
	"context"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/plain"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/issuing/spending"
)

// Bounds of a message, in bytes.
const (
	maxKey  = 200
	maxText = 128
	// maxMerchantID is that of a card network: such an id is shorter than a card's number.
	maxMerchantID = 15
	redacted      = "[redacted]"
)

// check returns what is wrong with how a request is written.
func (r *Request) check() error {
	if r.Key != "" {
		if err := checkKey(r.Key); err != nil {
			return err
		}
	}
	if r.Amount.IsNegative() || !r.Amount.Currency.IsValid() || r.Original.IsNegative() {
		return fault.New(fault.InvalidAmount, "the amount must be in a currency and not below zero").At("amount")
	}
	if err := r.Merchant.check(); err != nil {
		return err
	}
	switch r.Entry {
	case "", Online, Chip, Contactless, Stripe, Manual, Stored:
	default:
		return fault.New(fault.InvalidRequest, "unknown way of presenting a card").At("entry")
	}
	for _, text := range []string{r.Expiry, r.Postcode, r.Address, string(r.Challenge)} {
		if !plain.LineBytes(text, 0, maxText) {
			return fault.New(fault.InvalidRequest, "want at most %d bytes of plain text", maxText)
		}
	}
	return nil
}

// check returns what is wrong with how a merchant is written, and leaves out of its texts
// what passes for a card number: they are kept, shown and sent around.
func (m *Merchant) check() error {
	for _, text := range []*string{&m.ID, &m.Name, &m.City} {
		if len(*text) > maxMerchantID && audit.HoldsNumber(*text) {
			*text = redacted
		}
	}
	for _, text := range []string{m.ID, m.Name, m.MCC, m.City, m.Country, m.Terminal, m.Acquirer} {
		if !plain.LineBytes(text, 0, maxText) {
			return fault.New(fault.InvalidRequest, "the merchant's texts have at most %d bytes of plain text", maxText).At("merchant")
		}
	}
	return nil
}

func (a *Advice) check() error {
	if err := checkKey(a.Key); err != nil {
		return err
	}
	if a.Key == a.Original {
		return fault.New(fault.InvalidRequest, "a message about a payment has a key of its own").At("key")
	}
	if a.Amount.IsNegative() || (!a.Amount.IsZero() && !a.Amount.Currency.IsValid()) || a.Charged.IsNegative() || a.Stands.IsNegative() {
		return fault.New(fault.InvalidAmount, "the amount must be in a currency and not below zero").At("amount")
	}
	return a.Merchant.check()
}

// offCurrency is the fault of an amount that is not in the card's currency.
func offCurrency(c *issuing.Card) error {
	return fault.New(fault.CurrencyMismatch, "the card is in %s", c.BIN.Currency).At("amount")
}

func checkKey(key string) error {
	if !plain.LineBytes(key, 1, maxKey) {
		return fault.New(fault.InvalidRequest, "the key must have 1 to %d bytes of plain text", maxKey).At("key")
	}
	return nil
}

// rank is where in the order of checks a reason stands. The books check the limits of
// the month between outright and afterMonth, and the balance before last.
type rank int

const (
	outright rank = iota
	afterMonth
	last
)

// finding is what speaks against a payment, as far as it can be known without the books.
type finding struct {
	reason Reason
	rank   rank
}

// examine returns the first thing that speaks against a payment with a card at now, in
// the contract's order; one without a reason when nothing does.
func examine(c *issuing.Card, r *Request, now time.Time) finding {
	if reason := standing(c, now); reason != ReasonNone {
		return finding{reason, outright}
	}
	if over(r.Amount, c.BIN.MaxTransaction) {
		return finding{ReasonMaxTransaction, outright}
	}
	if !c.Controls.AllowsCategory(r.Merchant.MCC) {
		return finding{ReasonCategory, afterMonth}
	}
	return finding{controls(c, r), last}
}

// standing is why a card cannot pay at all.
func standing(c *issuing.Card, now time.Time) Reason {
	switch c.Status {
	case issuing.PendingTopUp:
		return ReasonCardInactive
	case issuing.Frozen:
		return ReasonCardFrozen
	case issuing.Terminated:
		switch c.Reason {
		case issuing.ReasonExpired:
			return ReasonCardExpired
		case issuing.ReasonUsedUp:
			return ReasonUsed
		}
		return ReasonCardTerminated
	case issuing.Active:
	}
	if !now.Before(c.ExpiresAt) {
		return ReasonCardExpired
	}
	return ReasonNone
}

// controls is what the card's owner and operator do not allow.
func controls(c *issuing.Card, r *Request) Reason {
	currency := r.Amount.Currency
	if r.Original.Currency.IsValid() {
		currency = r.Original.Currency
	}
	own, _ := spending.Of(c.Controls.Limits, spending.PerPayment)
	tier, _ := spending.Of(c.Tier.Limits, spending.PerPayment)
	switch {
	case over(r.Amount, own.Amount):
		return ReasonSpendingLimit
	case otherMoney(c), over(r.Amount, tier.Amount):
		return ReasonTierLimit
	case !c.Controls.AllowsCountry(r.Merchant.Country):
		return ReasonCountry
	case !c.Controls.AllowsCurrency(currency):
		return ReasonCurrency
	case !c.Controls.AllowsMerchant(r.Merchant.ID):
		return ReasonMerchant
	}
	return ReasonNone
}

// otherMoney reports whether a tier has limits in a currency that the card is not in, as it
// has where an operator changed its limits while there were cards: they cannot be kept.
func otherMoney(c *issuing.Card) bool {
	return len(c.Tier.Limits) > 0 && c.Tier.Currency != c.BIN.Currency
}

// over reports whether an amount is above a bound; a bound of zero is none.
func over(amount, bound money.Amount) bool { return bound.IsPositive() && amount.Minor > bound.Minor }

// expiryMatches compares an expiry as it is presented, YYMM, with the card's.
func expiryMatches(presented string, c *issuing.Card) bool {
	return presented == "" || presented == c.Expiry()
}

// compare returns what an address that was presented and the cardholder's have in common.
func compare(a issuing.Address, p *Presented) AVS {
	if p.Postcode == "" && p.Address == "" {
		return AVSNotSent
	}
	postcode := p.Postcode == "" || postcodeIn(a.Country, p.Postcode) == postcodeIn(a.Country, a.Zip)
	line := p.Address == "" || leadingNumber(p.Address) == leadingNumber(a.Line1)
	switch {
	case postcode && line:
		return AVSMatch
	case postcode && p.Postcode != "":
		return AVSPostcode
	case line && p.Address != "":
		return AVSAddress
	}
	return AVSNone
}

// postcodeIn is a postcode of a country as it is compared. Of nine digits of the United States
// the first five count, as not everybody knows, or sends, the others.
func postcodeIn(country, text string) string {
	text = squeeze(text)
	if country == "US" && len(text) == 9 && strings.Trim(text, "0123456789") == "" {
		return text[:5]
	}
	return text
}

// squeeze leaves letters and digits, in capitals: "sw1a 1aa" is SW1A1AA.
func squeeze(text string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' {
			return r
		}
		return -1
	}, strings.ToUpper(text))
}

// leadingNumber is the first digits of an address.
func leadingNumber(text string) string {
	start := strings.IndexAny(text, "0123456789")
	if start < 0 {
		return ""
	}
	text = text[start:]
	return text[:len(text)-len(strings.TrimLeft(text, "0123456789"))]
}

// presented compares what a merchant sent along with the card. Who guesses codes is told
// of the score alone, whether the last guess was right or not.
func (s *Service) presented(a *attempt) Reason {
	p := &a.request.Presented
	switch {
	case s.Policy.DeclineAt > 0 && a.score >= s.Policy.DeclineAt:
		return ReasonFraud
	case !expiryMatches(p.Expiry, a.card):
		return ReasonExpiryWrong
	case !p.CVC.IsZero() && !s.Cards.CheckCVC(a.card, p.CVC):
		return ReasonCVCWrong
	case s.Policy.DeclinePostcode && p.Postcode != "" && (a.avs == AVSNone || a.avs == AVSAddress):
		return ReasonAddressWrong
	}
	return ReasonNone
}

// Inquire says what a card can spend, if it could pay at all. Nothing is kept of it.
func (s *Service) Inquire(ctx context.Context, r Request) (Decision, error) {
	r.Key, r.Amount = "inquiry", money.New(0, money.USD)
	if err := r.check(); err != nil {
		return Decision{}, err
	}
	card, err := s.find(ctx, &r)
	if fault.CodeOf(err) == fault.NotFound {
		return s.unknown(&r), nil
	}
	if err != nil {
		return Decision{}, err
	}
	r.Amount = money.New(0, card.BIN.Currency)
	a := s.begin(card, &r)
	billing, err := s.billing(ctx, a)
	if err != nil {
		return Decision{}, err
	}
	a.avs = compare(billing, &r.Presented)
	s.judge(a) // an inquiry guesses codes as well as a payment does
	reason := standing(card, a.at)
	if reason == ReasonNone {
		reason = s.presented(a)
	}
	d := Decision{Book: card.Book, Card: card.ID, Approved: reason == ReasonNone, Amount: r.Amount, Reason: reason, Balance: r.Amount, AVS: a.avs,
		Score: a.score, At: a.at}
	d.Sentence, d.Advice = reason.words()
	s.learn(a, &d)
	if d.Approved {
		d.Balance, err = s.available(ctx, card)
	}
	return d, err
}
