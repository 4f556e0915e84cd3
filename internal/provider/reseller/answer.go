package reseller

import (
	"cmp"
	"errors"
	"net/http"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/catalog/stock"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/order/supply"
	"github.com/scripcards/scrip/internal/platform/line"
)

type checkBody struct {
	ItemID   string `json:"item_id"`
	Quantity int    `json:"quantity"`
	extensions
}

type orderBody struct {
	ItemCode string `json:"item_code"`
	Quantity int    `json:"quantity"`
	extensions
}

// extensions are the members that Scrip knows and not every upstream.
type extensions struct {
	Value    string `json:"value,omitzero"`
	Currency string `json:"price_currency,omitzero"` // which nothing in the answers says of a price
	Most     string `json:"max_price,omitzero"`
}

// extensions returns how something is asked for. That there is no denomination was so of all
// items but ranges once, and no currency was named then, nor a price of what is kept without:
// a repetition is as the first time.
func (u *upstream) extensions(w *supply.Wanted) extensions {
	if u.plain || w.Denomination == "" {
		return extensions{Value: w.Denomination}
	}
	all := extensions{Value: w.Denomination, Currency: u.currency.String()}
	if w.Most.Currency == u.currency {
		all.Most = w.Most.String()
	}
	return all
}

// number is a number as it stands, in a JSON number or in a string.
type number string

// UnmarshalJSON takes the digits.
func (n *number) UnmarshalJSON(text []byte) error {
	switch jsontext.Value(text).Kind() {
	case '0':
		*n = number(text)
	case '"':
		var s string
		if err := json.Unmarshal(text, &s); err != nil {
			return err
		}
		*n = number(s)
	}
	return nil
}

// envelope is what every answer is.
type envelope struct {
	Success *bool          `json:"success"`
	Data    jsontext.Value `json:"data"`
}

// response is an answer whose envelope could be read, or not.
type response struct {
	status   int
	readable bool
	envelope
}

// refused reports whether the upstream itself says that it did not do it.
func (r *response) refused() bool { return r.readable && r.Success != nil && !*r.Success }

// read reads the data of a success.
func (r *response) read(into any) error {
	if r.status != http.StatusOK || !r.readable || r.Success == nil || !*r.Success {
		return unavailable("the upstream's HTTP status is %d, without the data of a success", r.status)
	}
	if err := json.Unmarshal(r.Data, into); err != nil {
		return unavailable("the upstream's data is not what the dialect says")
	}
	return nil
}

// purchased is the answer to a new order and that to an old one read again.
type purchased struct {
	OrderID number `json:"order_id"`
	Status  string `json:"status"`
	Codes   []struct {
		Code          string              `json:"code"`
		Currency      string              `json:"currency"`
		ChargedAmount number              `json:"charged_amount"`
		Denomination  number              `json:"denomination"`
		Unit          string              `json:"denomination_unit"`
		Status        string              `json:"status"`
		Metadata      []map[string]number `json:"metadata"`
	} `json:"codes"`
	Amount    number `json:"amount"`
	CreatedAt number `json:"created_at"`
	// Worth is what all codes are worth together, of a new order.
	Worth number `json:"total_denomination"`
	Unit  number `json:"denomination_unit"`
}

// errOther: an answer is not about the order that is known.
var errOther = errors.New("another order")

// purchase makes an answer of what the upstream says of an order.
func (u *upstream) purchase(r response, s supply.Submission) (supply.Answer, error) {
	var in purchased
	if err := r.read(&in); err != nil {
		return supply.Answer{}, err
	}
	at, ok := in.mark(&s)
	if !ok {
		return supply.Answer{}, errors.Join(errOther, unavailable("the upstream's answer is that to another order, or to none"))
	}
	a := supply.Answer{Reference: at.String()}
	switch in.Status {
	case "pending", "processing":
		a.State = supply.Working
		return a, nil
	case "failed", "cancelled", "refunded":
		a.State, a.Reason = supply.Refused, "the upstream's order is "+in.Status
		return a, nil
	case "completed":
	default:
		return a, unavailable("the upstream's order has an unknown status")
	}
	if len(in.Codes) == 0 || len(in.Codes) > stock.MaxDelivered {
		return a, unavailable("the upstream's order is completed and has no codes, or too many")
	}
	costs, err := u.costs(&in)
	if err != nil {
		return a, err
	}
	for i, c := range in.Codes {
		switch {
		case c.Status == "replacing": // it is dead, and another one on its way
			return supply.Answer{State: supply.Working, Reference: a.Reference}, nil
		case c.Status == "refunded": // it is dead, and was paid back
			continue
		case c.Code == "":
			return supply.Answer{Reference: a.Reference}, unavailable("the upstream's order has a code that is empty")
		}
		delivered := stock.Delivered{Text: pan.NewSecret(c.Code), Cost: costs[i], Face: cmp.Or(face(string(c.Denomination), c.Unit), at.worth)}
		for _, member := range c.Metadata {
			if pin := member["Pin"]; pin != "" {
				delivered.PIN = pan.NewSecret(string(pin))
			}
		}
		a.Codes = append(a.Codes, delivered)
	}
	if a.State = supply.Delivered; len(a.Codes) == 0 {
		a.State, a.Reason = supply.Refused, "the upstream paid its codes back"
	}
	return a, nil
}

// costs returns what each code cost: what it was charged at or, in an order that is read
// again, its part of the amount.
func (u *upstream) costs(in *purchased) ([]catalog.Cost, error) {
	costs := make([]catalog.Cost, len(in.Codes))
	if in.Codes[0].ChargedAmount == "" {
		all, err := u.cost(string(in.Amount), u.currency)
		if err != nil {
			return nil, err
		}
		parts, err := all.Split(len(in.Codes))
		if err != nil {
			return nil, unavailable("the upstream's amount cannot be shared out")
		}
		for i := range costs {
			costs[i] = catalog.Cost{Amount: parts[i]}
		}
		return costs, nil
	}
	for i, c := range in.Codes {
		currency := u.currency
		if c.Currency != "" {
			parsed, err := money.Parse(c.Currency)
			if err != nil {
				return nil, unavailable("the upstream charges in a currency that is not known")
			}
			currency = parsed
		}
		var err error
		if costs[i], err = u.cost(string(c.ChargedAmount), currency); err != nil {
			return nil, err
		}
	}
	return costs, nil
}

// cost reads an amount.
func (u *upstream) cost(text string, currency money.Currency) (catalog.Cost, error) {
	amount, err := money.ParseAmount(text, currency)
	if err != nil {
		return catalog.Cost{}, unavailable("the upstream's amount cannot be read")
	}
	return catalog.Cost{Amount: amount}, nil
}

// face is what a code is said to be worth; zero where that is not said in money.
func face(text, unit string) catalog.Face {
	currency, err := money.Parse(unit)
	if err != nil {
		return catalog.Face{}
	}
	amount, err := money.ParseAmount(text, currency)
	if err != nil {
		return catalog.Face{}
	}
	return catalog.Face{Amount: amount}
}

func unavailable(format string, args ...any) error { return line.Because(format, args...) }
