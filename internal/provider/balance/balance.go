// Package balance asks any partner's HTTP endpoint for the balance of a card, as
// the operator's configuration describes it: the request by templates, the answer by
// paths into its JSON (kind "http", see docs/operate/networks.md).
//
// It promises one attempt per inquiry, a bound on its time and on the size of the
// answer, amounts that never pass through a float, and an answer that is either what
// the configuration describes or the fault unavailable: a partner's content is never
// guessed at. It follows no redirect and knows no proxy.
//
// It must never let a card number, a PIN, a secret or any text of the partner's into
// an error.
package balance

import (
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/plain"
	"github.com/scripcards/scrip/internal/ping"
	"github.com/scripcards/scrip/internal/platform/keyfile"
	"github.com/scripcards/scrip/internal/platform/line"
	"github.com/scripcards/scrip/internal/provider/call"
)

// maxPIN bounds a PIN, in bytes.
const maxPIN = 64

// Open returns the network that a JSON configuration describes, whose files must be in
// folder; where that is empty, they may be anywhere. It calls nobody. The network is an
// io.Closer. It returns the fault invalid_request, with the key that is wrong.
func Open(folder keyfile.Folder, config []byte) (ping.Network, error) {
	s, err := parse(config)
	if err != nil {
		return nil, err
	}
	n, err := s.compile()
	if err != nil {
		return nil, err
	}
	if err := n.loadSecrets(folder, s.SecretFiles); err != nil {
		return nil, err
	}
	tlsConfig, err := s.TLS.Read(folder)
	if err != nil {
		return nil, err
	}
	n.client = call.NewClient(call.Limits{TLS: tlsConfig, Timeout: n.timeout, Conns: n.conns, Loopback: n.plain})
	return n, nil
}

// network is one partner's endpoint.
type network struct {
	request
	answer
	outcomes map[int]outcome // what an HTTP status means
	client   *http.Client
	clock    clock.Clock
}

// Inquire implements ping.Network.
func (n *network) Inquire(ctx context.Context, inquiry ping.Inquiry) (ping.Balance, error) {
	if inquiry.Number.IsZero() || !inquiry.Currency.IsValid() {
		return ping.Balance{}, fault.New(fault.CardInvalid, "the card number or currency cannot be this network's")
	}
	if !plausible(inquiry.PIN) {
		return ping.Balance{}, fault.New(fault.CardInvalid, "the PIN cannot be this network's").At("pin")
	}
	limited, cancel := context.WithTimeout(ctx, n.timeout)
	defer cancel()
	request, err := n.build(limited, inquiry)
	if err != nil {
		return ping.Balance{}, err
	}
	response, err := n.client.Do(request)
	if err != nil {
		return ping.Balance{}, failed(limited, err)
	}
	defer func() { _ = response.Body.Close() }() // read, or given up
	body, err := io.ReadAll(io.LimitReader(response.Body, n.maxAnswer+1))
	switch means, known := n.outcomes[response.StatusCode]; {
	case known && means != readAnswer && means != networkAway:
		return means.balance(inquiry) // whatever the body is
	case err != nil:
		return ping.Balance{}, failed(limited, err)
	case int64(len(body)) > n.maxAnswer:
		return ping.Balance{}, unavailable("the answer is longer than %d bytes", n.maxAnswer)
	case means != readAnswer:
		return ping.Balance{}, refused(response.StatusCode)
	}
	return n.read(body, inquiry, n.clock.Now())
}

// Close gives up the connections that are kept for the next inquiry.
func (n *network) Close() error {
	n.client.CloseIdleConnections()
	return nil
}

// plausible reports whether a PIN can be sent as text at all.
func plausible(pin pan.Secret) bool {
	return plain.LineBytes(pin.Reveal(), 0, maxPIN)
}

// outcome is what a partner's word or HTTP status means.
type outcome string

const (
	readAnswer    outcome = "answer" // of an HTTP status: the body says it
	cardActive    outcome = "active"
	cardInactive  outcome = "inactive"
	cardExpired   outcome = "expired"
	cardUnknown   outcome = "invalid"
	pinWrong      outcome = "wrong_pin"
	numberInvalid outcome = "card_invalid"
	networkAway   outcome = "unavailable"
)

// balance returns what an outcome says by itself, without a balance.
func (o outcome) balance(inquiry ping.Inquiry) (ping.Balance, error) {
	nothing := money.New(0, inquiry.Currency)
	switch o {
	case cardInactive:
		return ping.Balance{Status: ping.Inactive, Amount: nothing}, nil
	case cardExpired:
		return ping.Balance{Status: ping.Expired, Amount: nothing}, nil
	case cardUnknown:
		return ping.Balance{Status: ping.Invalid, Amount: nothing}, nil
	case pinWrong:
		b := ping.Balance{Status: ping.Invalid, Amount: nothing, PIN: ping.PINWrong}
		if inquiry.PIN.IsZero() {
			b.PIN = ping.PINUnchecked // one is needed, and none was tried
		}
		return b, nil
	case numberInvalid:
		return ping.Balance{}, fault.New(fault.CardInvalid, "the network says that the number cannot be its own")
	case readAnswer, cardActive, networkAway:
	}
	return ping.Balance{}, unavailable("the partner says that it cannot answer")
}

// refused is the fault of a status that is no answer. Two say that nobody is served, or not
// us; the others, such as 429 and 500, may be about the card.
func refused(status int) error {
	err := unavailable("the HTTP status is %d", status)
	if status == http.StatusUnauthorized || status == http.StatusServiceUnavailable {
		return line.Outage(err)
	}
	return err
}

// failed is the fault of an attempt that got no answer. The cause's text would hold
// the URL, and with it the number.
func failed(ctx context.Context, err error) error {
	if ended := ctx.Err(); ended != nil {
		if errors.Is(ended, context.DeadlineExceeded) {
			return fault.Wrap(ended, fault.Unavailable, "the network did not answer in time")
		}
		return fault.Wrap(ended, fault.Unavailable, "the inquiry was given up")
	}
	if call.Unreached(err) {
		return line.Outage(unavailable("%s", call.Reason(err)))
	}
	return unavailable("%s", call.Reason(err))
}

func unavailable(format string, args ...any) error { return line.Because(format, args...) }

// at names the key of the configuration that a fault is about.
func at(key string, err error) error { return fault.From(err).At(key) }
