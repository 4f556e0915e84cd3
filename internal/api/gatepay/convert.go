package gatepay

import (
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/giftcard"
	"github.com/scripcards/scrip/internal/ledger"
)

var amountForm = regexp.MustCompile(`^[0-9]{1,13}(\.[0-9]{1,6})?$`)

// amountOf reads an amount as the contract writes it.
func amountOf(text, code string) (money.Amount, error) {
	currency, err := money.Parse(code)
	if err != nil {
		return money.Amount{}, fault.New(fault.UnknownCurrency, "currency must be an ISO 4217 code").At("currency")
	}
	if !amountForm.MatchString(text) {
		return money.Amount{}, fault.New(fault.InvalidAmount, "amount must be a decimal string with at most 6 decimals").At("amount")
	}
	amount, err := money.ParseAmount(text, currency)
	switch {
	case errors.Is(err, money.ErrPrecision):
		return money.Amount{}, fault.New(fault.InvalidAmount, "amount is finer than %s allows, which has %d decimals", currency, currency.Digits()).At("amount")
	case err != nil || !amount.IsPositive():
		return money.Amount{}, fault.New(fault.InvalidAmount, "amount must be from 0.0001 to 5000000").At("amount")
	}
	return amount, nil
}

// required names the first of the given fields that is empty.
func required(fields ...string) error {
	for i := 0; i < len(fields); i += 2 {
		if fields[i+1] == "" {
			return fault.New(fault.InvalidRequest, "%s is required", fields[i]).At(fields[i])
		}
	}
	return nil
}

func secretOf(number, key string) (giftcard.Secret, error) {
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
	if err := required("title", r.Title, "templateId", r.TemplateID, "currency", r.Currency, "amount", r.Amount); err != nil {
		return giftcard.Issue{}, err
	}
	amount, err := amountOf(r.Amount, r.Currency)
	return giftcard.Issue{Title: r.Title, TemplateID: r.TemplateID, Amount: amount, AmountText: r.Amount, Reference: r.MerchantTradeNo}, err
}

func (r *spendRequest) spend() (giftcard.Spend, error) {
	secret, err := secretOf(r.CardNumber, r.Key)
	if err != nil {
		return giftcard.Spend{}, err
	}
	if err := required("amount", r.Amount, "currency", r.Currency, "merchantTradeNo", r.MerchantTradeNo); err != nil {
		return giftcard.Spend{}, err
	}
	amount, err := amountOf(r.Amount, r.Currency)
	return giftcard.Spend{Secret: secret, Amount: amount, Reference: r.MerchantTradeNo}, err
}

func (r *holdRequest) spend() (giftcard.Spend, error) {
	plain := spendRequest{CardNumber: r.CardNumber, Key: r.Key, Amount: r.Amount, Currency: r.Currency, MerchantTradeNo: r.MerchantTradeNo}
	spend, err := plain.spend()
	if err != nil || r.ExpireSeconds == "" {
		return spend, err
	}
	seconds, err := strconv.ParseUint(r.ExpireSeconds, 10, 31)
	if err != nil || seconds == 0 {
		return spend, fault.New(fault.InvalidRequest, "expireSeconds must be a whole number above zero").At("expireSeconds")
	}
	spend.HoldFor = time.Duration(seconds) * time.Second
	return spend, nil
}

func (r *refundRequest) refund() (giftcard.Refund, error) {
	err := required("originalMerchantTradeNo", r.OriginalMerchantTradeNo, "amount", r.Amount, "currency", r.Currency, "merchantTradeNo", r.MerchantTradeNo)
	if err != nil {
		return giftcard.Refund{}, err
	}
	amount, err := amountOf(r.Amount, r.Currency)
	return giftcard.Refund{Original: r.OriginalMerchantTradeNo, Amount: amount, Reference: r.MerchantTradeNo}, err
}

func (r *captureRequest) end() (giftcard.End, error) {
	end := giftcard.End{Hold: ledger.HoldID(r.HoldID), Reference: r.MerchantTradeNo, Final: r.Final == "true"}
	if err := required("holdId", r.HoldID, "merchantTradeNo", r.MerchantTradeNo); err != nil {
		return end, err
	}
	if r.Final != "" && r.Final != "true" && r.Final != "false" {
		return end, fault.New(fault.InvalidRequest, `final must be "true" or "false"`).At("final")
	}
	if r.Amount == "" && r.Currency == "" {
		return end, nil
	}
	var err error
	end.Amount, err = amountOf(r.Amount, r.Currency)
	return end, err
}

func (r *voidRequest) end() (giftcard.End, error) {
	end := giftcard.End{Hold: ledger.HoldID(r.HoldID), Reference: r.MerchantTradeNo}
	return end, required("holdId", r.HoldID, "merchantTradeNo", r.MerchantTradeNo)
}

func statusOf(s giftcard.Status) string { return strings.ToUpper(string(s)) }

// moved describes a movement; of the zero one, where the call failed, nothing is shown.
func moved(m giftcard.Movement, secret giftcard.Secret) movement {
	if m.Card == nil {
		return movement{}
	}
	return movement{TransactionID: string(m.Transaction), MerchantTradeNo: m.Reference, CardNumber: secret.Number.Reveal(),
		HoldID: string(m.Hold), Amount: m.Amount.Decimal(), Currency: m.Card.Amount.Currency.String(), Balance: m.Card.Balance.Decimal(),
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
	base := a.BaseURL
	if base == "" {
		base = "http://" + c.Request.Host
		if c.Request.TLS != nil {
			base = "https://" + c.Request.Host
		}
	}
	return base + "/v1/pay/giftcard/template/cover/" + templateID
}

// describe shows a card with its transactions, oldest first.
func (a *api) describe(c *call, card *giftcard.Card, secret giftcard.Secret, lines []giftcard.Line) details {
	d := details{CardNumber: card.Number.Reveal(), Key: secret.Key.Reveal(), Title: card.Title, TemplateID: card.TemplateID,
		CoverURL: a.coverURL(c, card.TemplateID), Currency: card.Amount.Currency.String(), Amount: card.AmountText,
		Balance: card.Balance.Decimal(), Status: statusOf(card.Status), CreateTime: card.CreatedAt.UnixMilli(),
		ExpireTime: card.ExpiresAt.UnixMilli(), Transactions: make([]transaction, 0, len(lines))}
	for _, line := range slices.Backward(lines) {
		at := line.At.UnixMilli()
		d.Transactions = append(d.Transactions, transaction{TransactionID: string(line.Transaction), Type: strings.ToUpper(line.Type),
			Amount: line.Amount.Decimal(), BalanceAfter: line.Balance.Decimal(), CreateTime: at})
		if card.Status == giftcard.Redeemed && (line.Type == "redeem" || line.Type == "capture") {
			d.RedeemTime = &at
		}
	}
	return d
}
