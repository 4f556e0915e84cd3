package cardcoins

import (
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/cashout"
	"github.com/scripcards/scrip/internal/cashout/customer"
)

// symbol and dollars are what is bought, and what with.
const (
	symbol  = "BTC"
	dollars = "USD"
)

// descriptions say what each picture must show.
var descriptions = map[cashout.Kind]string{
	cashout.Card:         "The front of the prepaid card together with its packaging. Cover the security code.",
	cashout.Receipt:      "The receipt of the prepaid card, with its date and amount.",
	cashout.DocFront:     "The front of your government ID or the photo page of your passport.",
	cashout.DocBack:      "The back of your government ID or the cover of your passport.",
	cashout.SelfPortrait: "You, holding that government ID beside your face.",
}

func viewTiers(t *customer.Tiers) limitsAnswer {
	return limitsAnswer{SmallestOrder: t.Smallest.Minor, LargestOrder: t.Largest.Minor, WindowDays: int64(t.Window / (24 * time.Hour)),
		NamesAbove: t.Until(customer.Names).Minor, IDAbove: t.Until(customer.Document).Minor, Most: t.Most.Minor}
}

func viewOrder(v *cashout.View) orderAnswer {
	out := orderAnswer{
		Status: string(v.Shown()),
		Order: orderView{CurrencySymbol: symbol, BaseCurrency: dollars, BaseCurrencyAmount: v.Amount.Minor, CreatedAt: wire.TimeMillis(v.CreatedAt),
			Currency: cashout.Bitcoin, CurrencyPriceUSD: v.Price.Cents.Minor, CurrencyAmount: v.Bitcoin.Minor},
		Ticker: tickerView{LastUpdatedAt: wire.TimeMillis(v.Price.At), UpdateFrequency: frequency},
	}
	for _, r := range v.Required {
		out.RequiredImages = append(out.RequiredImages, requiredImage{ImageType: string(r.Kind), Description: descriptions[r.Kind], Uploaded: r.Uploaded, Feedback: r.Feedback})
	}
	if l := v.Limits; l != nil {
		out.Limits = &customerLimits{Used: l.Used.Minor, Left: l.Left.Minor, NamesAbove: l.NamesAbove.Minor, IDAbove: l.DocumentAbove.Minor,
			NamesRequired: l.NeedsNames, IDRequired: l.NeedsDocument}
	}
	switch {
	case v.Status == cashout.Authorized && !v.Floats:
		out.PriceLockedUntil = wire.TimeMillis(v.LockedUntil)
	case v.Undone:
		out.PaymentProblem = "The payment did not succeed, and nothing is owed for the order any more."
	case v.Unpaid():
		out.PaymentProblem = "The payment did not succeed. Submit another address or ln_invoice."
	case v.Status == cashout.Completed && v.To.Method == cashout.Lightning:
		out.Preimage = v.Proof
	case v.Status == cashout.Completed:
		out.TxID = v.Proof
	}
	return out
}

// viewForm shows a form. The built-in store is at this installation's own address.
func (a *api) viewForm(c *call, f *cashout.Form) uploadForm {
	where := f.URL
	if strings.HasPrefix(where, "/") {
		where = wire.PublicURL(a.BaseURL, c.Request) + where
	}
	return uploadForm{URL: where, Fields: uploadFields{Key: f.Key, ACL: f.ACL, ContentType: f.ContentType, SuccessStatus: f.SuccessStatus, Bucket: f.Bucket,
		Algorithm: f.Algorithm, Credential: f.Credential, Date: f.Date, Policy: f.Policy, Signature: f.Signature}}
}
