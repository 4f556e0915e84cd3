package cardping

import (
	"net/http"

	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/plain"
	"github.com/scripcards/scrip/internal/ping"
	"github.com/scripcards/scrip/internal/webhook"
)

func invalid(field, format string, args ...any) error {
	return fault.New(fault.InvalidRequest, field+" "+format, args...).At(field)
}

// check is what a request asks for. It judges what every request must have, a part of
// a batch too; whether the number can be the network's is for the product to say.
func (in *checkRequest) check(c *call) (ping.Check, error) {
	agent, device := wire.Guise(c.Request.Header)
	check := ping.Check{
		Caller: ping.Caller{Book: c.Principal.Book, Realm: c.Principal.Realm, Credential: c.Principal.Credential, Address: c.From, Agent: agent,
			Device: device},
		Network: in.Network, Number: in.CardNumber, PIN: in.PIN,
	}
	switch {
	case in.CardNumber.IsZero():
		return check, invalid("card_number", "is required")
	case in.Network == "":
		return check, invalid("network", "is required")
	case !plain.Line(in.IdempotencyKey, 0, maxKey):
		return check, invalid("idempotency_key", "must be at most %d printable characters", maxKey)
	case in.Currency == "":
		return check, nil
	}
	currency, err := money.Parse(in.Currency)
	if err != nil || currency.Numeric() == "" { // bitcoin is none of ISO 4217
		return check, fault.New(fault.UnknownCurrency, "currency must be a code of ISO 4217 in capitals, such as USD").At("currency")
	}
	check.Currency = currency
	return check, nil
}

// answerOf is a result as it is sent, and kept for repetitions: the text that webhooks have
// of it too. TestResult holds it to the members of type result.
func answerOf(r *ping.Result) answered {
	return answered{answer: wire.Answer{Status: http.StatusOK, Body: r.AppendJSON(make([]byte, 0, resultSize))}, age: r.At.Sub(r.AsOf)}
}

// resultSize has room for most results.
const resultSize = 384

func networkOf(n *ping.NetworkInfo) network {
	out := network{ID: n.ID, Name: n.Name, Type: string(n.Type), PINRequired: n.Rules.PINRequired,
		Currencies: make([]string, 0, len(n.Rules.Currencies)), NumberLengths: n.Rules.Lengths, Status: string(n.State)}
	for _, currency := range n.Rules.Currencies {
		out.Currencies = append(out.Currencies, currency.String())
	}
	if out.NumberLengths == nil {
		out.NumberLengths = []int{}
	}
	return out
}

func webhookOf(e webhook.Endpoint) webhookView {
	return webhookView{ID: string(e.ID), URL: e.URL, Events: e.Events, Active: e.Active, Reason: e.Reason,
		PreviousUntil: wire.TimeSecond(e.PreviousUntil), CreatedAt: wire.TimeSecond(e.CreatedAt)}
}

func viewIssued(made webhook.Issued) webhookView {
	view := webhookOf(made.Endpoint)
	view.Secret = made.Secret.Reveal()
	return view
}
