package cardping

import (
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
	if err != nil {
		return check, fault.New(fault.UnknownCurrency, "currency must be a code of ISO 4217 in capitals, such as USD").At("currency")
	}
	check.Currency = currency
	return check, nil
}

func resultOf(r *ping.Result) result {
	out := result{
		ID: string(r.ID), Status: string(r.Status), Balance: wire.Major(r.Balance), Currency: r.Balance.Currency.String(),
		FraudScore: score(r.Score.Hundredths), FraudSignals: make([]string, 0, len(r.Score.Signals)), AIVerified: r.Score.Model != "",
		Network: r.Network, LatencyMS: r.Latency.Milliseconds(),
	}
	if r.Expiry != "" {
		out.Expiry = &r.Expiry
	}
	for _, signal := range r.Score.Signals {
		out.FraudSignals = append(out.FraudSignals, signal.Name)
	}
	return out
}

// score writes hundredths as a number with two decimals, such as 0.02.
func score(hundredths int) wire.Number {
	n := min(max(hundredths, 0), 100)
	return wire.Number([]byte{'0' + byte(n/100), '.', '0' + byte(n/10%10), '0' + byte(n%10)})
}

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
