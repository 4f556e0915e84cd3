package gatepay

import (
	"errors"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/giftcard"
	"github.com/scripcards/scrip/internal/ledger"
)

var amountForm = regexp.MustCompile(`^[0-9]+(\.[0-9]{1,6})?$`)

// The contract's least and largest amount. What a card may hold is the operator's rule.
const (
	leastAmount   = "0.0001"
	largestAmount = "5000000"
)

// amountOf reads an amount as the contract writes it.
func amountOf(text, code string) (money.Amount, error) {
	currency, err := money.Parse(code)
	if err != nil {
		return money.Amount{}, fault.New(fault.UnknownCurrency, "currency must be a code of ISO 4217 in capitals, such as USD").At("currency")
	}
	if !amountForm.MatchString(text) {
		return money.Amount{}, fault.New(fault.InvalidAmount, "amount must be a decimal string with at most 6 decimals").At("amount")
	}
	amount, err := money.ParseAmount(text, currency)
	switch {
	case errors.Is(err, money.ErrPrecision):
		return money.Amount{}, fault.New(fault.InvalidAmount, "amount is finer than %s allows, which has %d decimals", currency, currency.Digits()).At("amount")
	case err != nil || !inRange(amount):
		return money.Amount{}, fault.New(fault.InvalidAmount, "amount must be from %s to %s", leastAmount, largestAmount).At("amount")
	}
	return amount, nil
}

func inRange(amount money.Amount) bool {
	least, err := money.ParseAmount(leastAmount, amount.Currency)
	if err != nil { // finer than the currency: its smallest unit is the least
		least = money.New(1, amount.Currency)
	}
	largest, err := money.ParseAmount(largestAmount, amount.Currency)
	return err == nil && least.Minor <= amount.Minor && amount.Minor <= largest.Minor
}

// secretOf reads what names a card; spaces around it are none of it.
func secretOf(number, key string) (giftcard.Secret, error) {
	key = strings.TrimSpace(key)
	switch {
	case (number == "") == (key == ""):
		return giftcard.Secret{}, fault.New(fault.InvalidRequest, "exactly one of cardNumber and key is required").At("cardNumber")
	case key != "":
		return giftcard.Secret{Key: pan.NewSecret(key)}, nil
	}
	parsed, err := pan.ParseAlnum(number)
	if err != nil {
		return giftcard.Secret{}, fault.Wrap(err, fault.NotFound, "no such gift card").At("cardNumber")
	}
	return giftcard.Secret{Number: parsed}, nil
}

func (r *createRequest) issue() (giftcard.Issue, error) {
	amount, err := amountOf(r.Amount, r.Currency)
	return giftcard.Issue{Title: r.Title, TemplateID: r.TemplateID, Amount: amount, AmountText: r.Amount, Reference: r.MerchantTradeNo}, err
}

func (r *spendRequest) spend() (giftcard.Transfer, error) {
	secret, err := secretOf(r.CardNumber, r.Key)
	if err != nil {
		return giftcard.Transfer{}, err
	}
	amount, err := amountOf(r.Amount, r.Currency)
	return giftcard.Transfer{Secret: secret, Amount: amount, Reference: r.MerchantTradeNo}, err
}

func (r *holdRequest) spend() (giftcard.Transfer, error) {
	spend, err := r.spendRequest.spend()
	if err != nil || r.ExpireSeconds == "" {
		return spend, err
	}
	seconds, err := strconv.ParseUint(r.ExpireSeconds, 10, 31)
	if err != nil || seconds == 0 {
		return spend, fault.New(fault.InvalidRequest, "expireSeconds must be a whole number of seconds, from 1 to %d", math.MaxInt32).At("expireSeconds")
	}
	spend.HoldFor = time.Duration(seconds) * time.Second
	return spend, nil
}

func (r *refundRequest) refund() (giftcard.Refund, error) {
	amount, err := amountOf(r.Amount, r.Currency)
	return giftcard.Refund{Original: r.OriginalMerchantTradeNo, Amount: amount, Reference: r.MerchantTradeNo}, err
}

func (r *captureRequest) end() (giftcard.End, error) {
	end := giftcard.End{Hold: ledger.HoldID(r.HoldID), Reference: r.MerchantTradeNo, Final: r.Final == "true"}
	if r.Final != "" && r.Final != "true" && r.Final != "false" {
		return end, fault.New(fault.InvalidRequest, `final must be "true" or "false"`).At("final")
	}
	switch {
	case r.Amount == "" && r.Currency == "":
		return end, nil
	case r.Amount == "" || r.Currency == "":
		return end, fault.New(fault.InvalidRequest, "amount and currency go together").At("amount")
	}
	var err error
	end.Amount, err = amountOf(r.Amount, r.Currency)
	return end, err
}

func (r *voidRequest) end() giftcard.End {
	return giftcard.End{Hold: ledger.HoldID(r.HoldID), Reference: r.MerchantTradeNo}
}

func statusOf(s giftcard.Status) string { return strings.ToUpper(string(s)) }

// moved describes a movement, with the amount as the merchant wrote it if he did; of
// the zero one, where the call failed, nothing is shown.
func moved(m giftcard.Movement, secret giftcard.Secret, amount string) movement {
	if m.Card == nil {
		return movement{}
	}
	if amount == "" {
		amount = m.Amount.Decimal()
	}
	return movement{TransactionID: string(m.Transaction), MerchantTradeNo: m.Reference, CardNumber: secret.Number.Reveal(),
		HoldID: string(m.Hold), Amount: amount, Currency: m.Card.Amount.Currency.String(), Balance: m.Card.Balance.Decimal(),
		Status: statusOf(m.Card.Status), CreateTime: m.At.UnixMilli()}
}

func (a *api) template(c *call, t giftcard.Template) template {
	status := "INACTIVE"
	if t.Active {
		status = "ACTIVE"
	}
	return template{TemplateID: t.ID, TemplateName: t.Name, CoverURL: a.coverURL(c, t.ID), Status: status}
}

func (a *api) coverURL(c *call, templateID string) string {
	return wire.PublicURL(a.BaseURL, c.Request) + "/v1/pay/giftcard/template/cover/" + templateID
}

// describe shows a card with its transactions, oldest first.
func (a *api) describe(c *call, card *giftcard.Card, secret giftcard.Secret, lines []giftcard.Line) details {
	d := details{CardNumber: card.Number.Reveal(), Key: secret.Key.Reveal(), Title: card.Title, TemplateID: card.TemplateID,
		CoverURL: a.coverURL(c, card.TemplateID), Currency: card.Amount.Currency.String(), Amount: card.AmountText,
		Balance: card.Balance.Decimal(), Status: statusOf(card.Status), CreateTime: card.CreatedAt.UnixMilli(),
		ExpireTime: card.ExpiresAt.UnixMilli(), Transactions: make([]transaction, 0, len(lines))}
	for _, line := range slices.Backward(lines) {
		at, kind := line.At.UnixMilli(), typeOf(line)
		d.Transactions = append(d.Transactions, transaction{TransactionID: string(line.Transaction), Type: kind,
			Amount: line.Amount.Decimal(), BalanceAfter: line.Balance.Decimal(), CreateTime: at})
		if card.Status == giftcard.Redeemed && (kind == "REDEEM" || kind == "CAPTURE") {
			d.RedeemTime = &at
		}
	}
	return d
}

// typeOf is a transaction's type in the contract's words, which have none for what an
// operator reversed: that is shown as what a merchant would have done.
func typeOf(line giftcard.Line) string {
	switch line.Reversed {
	case "redeem", "capture":
		return "REFUND"
	case "refund":
		return "REDEEM"
	case "create", "reload":
		return "CANCEL"
	}
	return strings.ToUpper(line.Type)
}
