// Package reseller buys codes from an upstream that speaks the cardpluspay dialect, such
// as another Scrip (kind "cardpluspay", see docs/operate/suppliers.md).
//
// It promises one attempt per call, a bound on its time and on the size of the answer,
// and amounts that never pass through a float. An order goes out under an Idempotency-Key
// made of our own submission's id. What became of it is looked up by the upstream's order
// number, or, where that is not known, by sending the same order under the same key, as
// long as the upstream keeps its first answer. Whatever cannot be read is no answer. It
// follows no redirect and knows no proxy.
//
// It must never let a code, a secret or any text of the upstream's into an error.
package reseller

import (
	"cmp"
	"context"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/scripcards/scrip/internal/catalog/stock"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/order/supply"
	"github.com/scripcards/scrip/internal/platform/keyfile"
)

// Open returns the supplier that a JSON configuration describes, whose files are in folder.
// It calls nobody. The supplier is an io.Closer. It returns the fault invalid_request, with
// the key that is wrong.
func Open(folder keyfile.Folder, config []byte) (supply.Supplier, error) {
	u, err := open(folder, config, clock.System())
	if err != nil {
		return nil, err // and no upstream that is half open
	}
	return u, nil
}

func open(folder keyfile.Folder, config []byte, machine clock.Clock) (*upstream, error) {
	s, err := parse(config)
	if err != nil {
		return nil, err
	}
	u := &upstream{clock: machine}
	for _, step := range []func(*upstream) error{s.address, s.limits, s.money} {
		if err := step(u); err != nil {
			return nil, err
		}
	}
	if err := s.secrets(folder, u); err != nil {
		return nil, err
	}
	return u, nil
}

// upstream is one account at one upstream.
type upstream struct {
	base     string // "https://host/v1"
	key      pan.Secret
	signing  *rsa.PrivateKey // nil: requests are not signed
	currency money.Currency  // of the account's balance, which prices are in
	// repeatable is how long the upstream keeps the first answer under a key; zero: it does not.
	repeatable time.Duration
	maxAnswer  int64
	plain      bool // it knows no extensions
	clock      clock.Clock

	asks   *http.Client // for what may be asked again
	orders *http.Client // on connections of their own
}

// Close implements io.Closer.
func (u *upstream) Close() error {
	u.asks.CloseIdleConnections()
	return nil
}

// Location implements supply.Located: an order is repeated with the same members, too.
func (u *upstream) Location() string {
	if u.plain {
		return u.base + " " + u.currency.String() + " plain"
	}
	return u.base + " " + u.currency.String()
}

// Account implements supply.Identified.
func (u *upstream) Account() string {
	sum := sha256.Sum256([]byte(u.key.Reveal()))
	return hex.EncodeToString(sum[:])
}

// Plain implements supply.Plain.
func (u *upstream) Plain() bool { return u.plain }

// Quote implements supply.Supplier.
func (u *upstream) Quote(ctx context.Context, w supply.Wanted) (supply.Quote, error) {
	r, err := u.call(ctx, u.asks, request{method: http.MethodPost, path: "/orders/check", body: checkBody{w.Item, w.Quantity, u.extensions(&w)}})
	switch {
	case err != nil:
		return supply.Quote{}, err
	case r.refused() && isAboutOrder(r.status): // out of stock, or not sold at all, or not so
		return supply.Quote{Unfit: r.status == http.StatusUnprocessableEntity}, nil
	}
	var in struct {
		Price  number `json:"price"`
		Status bool   `json:"status"`
	}
	if err := r.read(&in); err != nil {
		return supply.Quote{}, err
	}
	cost, err := u.cost(string(in.Price), u.currency)
	return supply.Quote{Cost: cost, Available: in.Status && err == nil}, err
}

// Submit implements supply.Supplier.
func (u *upstream) Submit(ctx context.Context, s supply.Submission) (supply.Answer, error) {
	r, err := u.order(ctx, s)
	if errors.Is(err, errNotSent) {
		return supply.Answer{State: supply.Refused, Reason: "the upstream was not reached"}, err
	}
	if err != nil {
		return supply.Answer{}, err
	}
	if r.refused() && isRefusal(r.status) {
		a := u.refusal(&r)
		a.State = supply.Refused
		return a, refusalFault(r.status)
	}
	return u.purchase(r, s)
}

// Query implements supply.Supplier.
func (u *upstream) Query(ctx context.Context, s supply.Submission) (supply.Answer, error) {
	at, _ := parseMark(s.Reference)
	repeats := u.clock.Now().Sub(s.SentAt) < u.repeatable
	switch {
	case s.Reference != "" && !(at.repeat && repeats):
		return u.lookUp(ctx, s)
	case !repeats:
		return supply.Answer{Reason: "the upstream does not say any more what became of it: ask its people"}, nil
	}
	r, err := u.order(ctx, s)
	if err != nil {
		return supply.Answer{}, err
	}
	// Under way or for another request under the same key: either way something is there.
	if !r.refused() || !isRefusal(r.status) || r.status == http.StatusConflict {
		return u.repeated(ctx, r, s)
	}
	// A key that is not taken any more, or a limit, is looked at before what the call before
	// did: whoever is refused for that hears nothing of it.
	a := u.refusal(&r)
	switch {
	case isAboutOrder(r.status) && s.Reference != "": // it is there, and its key forgotten
		a.Reference = at.unrepeated()
	case isAboutOrder(r.status):
		a.State = supply.Refused
	}
	return a, refusalFault(r.status)
}

// Cancel implements supply.Supplier. The dialect cannot cancel, and an order of which
// nothing is known is not placed for that: one whose number is known is asked about.
func (u *upstream) Cancel(ctx context.Context, s supply.Submission) (supply.Answer, error) {
	if s.Reference == "" {
		return supply.Answer{Reason: "the upstream cannot cancel, and its number of the order is not known: ask its people"}, nil
	}
	return u.Query(ctx, s)
}

// isRefusal reports whether a status, with an envelope that says so, means that nothing was
// bought. 408 and what is not listed may come from something in between.
func isRefusal(status int) bool { return refusals[status] != "" }

// refusals say what a status means.
var refusals = map[int]string{
	http.StatusBadRequest:           "out of stock, or the balance at the upstream is not sufficient",
	http.StatusUnauthorized:         "the upstream does not take the key or the signature",
	http.StatusForbidden:            "the upstream does not allow it",
	http.StatusNotFound:             "the upstream does not know the item",
	http.StatusMethodNotAllowed:     "the upstream does not take orders here",
	http.StatusConflict:             "the upstream does not sell the item at present",
	http.StatusUnsupportedMediaType: "the upstream does not read such orders",
	http.StatusUnprocessableEntity:  "the upstream finds the order wrong",
	http.StatusTooManyRequests:      "the upstream has had too many requests",
}

// refusal is why an order was refused. That the balance does not suffice is told by what was
// required, beside it.
func (u *upstream) refusal(r *response) supply.Answer {
	var short struct {
		Required number `json:"required"`
		Balance  number `json:"balance"`
	}
	if r.status == http.StatusBadRequest && json.Unmarshal(r.Data, &short) == nil && short.Required != "" && short.Balance != "" {
		a := supply.Answer{Reason: "the balance at the upstream is not sufficient", Unpaid: true}
		required, err := u.cost(string(short.Required), u.currency)
		if balance, wrong := u.cost(string(short.Balance), u.currency); err == nil && wrong == nil && balance.Minor < required.Minor {
			a.Balance = balance
		}
		return a
	}
	if r.status == http.StatusUnprocessableEntity && dearer(r) {
		return supply.Answer{Reason: "the upstream's price is above the one that it named"}
	}
	return supply.Answer{Reason: refusals[r.status]}
}

// dearer reports whether a refusal is about max_price alone.
func dearer(r *response) bool {
	var in struct {
		Errors map[string]jsontext.Value `json:"errors"`
	}
	if json.Unmarshal(r.Data, &in) != nil {
		return false
	}
	_, is := in.Errors["max_price"]
	return is && len(in.Errors) == 1
}

// isAboutOrder reports whether a refusal is about what is ordered, and not about who orders.
func isAboutOrder(status int) bool {
	switch status {
	case http.StatusBadRequest, http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity:
		return true
	}
	return false
}

// refusalFault is the failing behind a refusal; nil for what is no more than an answer.
func refusalFault(status int) error {
	if isAboutOrder(status) {
		return nil
	}
	return unavailable("%s", refusals[status])
}

// order sends a submission under its key.
func (u *upstream) order(ctx context.Context, s supply.Submission) (response, error) {
	return u.call(ctx, u.orders, request{method: http.MethodPost, path: "/orders", key: "scrip-" + string(s.ID),
		body: orderBody{s.Item, s.Quantity, u.extensions(&s.Wanted)}})
}

// lookUp reads an order by its number.
func (u *upstream) lookUp(ctx context.Context, s supply.Submission) (supply.Answer, error) {
	at, ok := parseMark(s.Reference)
	if !ok {
		return supply.Answer{}, unavailable("the upstream's number of the order is none")
	}
	r, err := u.call(ctx, u.asks, request{method: http.MethodGet, path: "/orders/" + at.number})
	switch {
	case err != nil:
		return supply.Answer{}, err
	case r.refused() && r.status == http.StatusNotFound:
		return supply.Answer{}, errors.Join(errNoOrder, unavailable("the upstream knows no such order"))
	}
	return u.purchase(r, s)
}

// errNoOrder: the upstream itself says that it knows no order of a number.
var errNoOrder = errors.New("no such order")

// repeated makes an answer of a first one that was asked for once more. That is how the order
// was: how it is now is looked up, and later once more where that cannot be said, since its
// codes may be dead. The first answer holds where the upstream does not know the number.
func (u *upstream) repeated(ctx context.Context, r response, s supply.Submission) (supply.Answer, error) {
	first, err := u.purchase(r, s)
	at, _ := parseMark(cmp.Or(first.Reference, s.Reference))
	switch {
	case errors.Is(err, errOther) && s.Reference != "": // the key is forgotten: it would be bought again and again
		return supply.Answer{Reference: at.unrepeated()}, err
	case err != nil || first.State == supply.Refused:
		return first, err
	}
	at.repeat = slices.ContainsFunc(first.Codes, func(c stock.Delivered) bool { return !c.PIN.IsZero() })
	s.Reference = first.Reference
	reading, cancel := early(ctx)
	defer cancel()
	now, failed := u.lookUp(reading, s)
	switch {
	case errors.Is(failed, errNoOrder):
		return first, nil
	case failed != nil:
		return supply.Answer{State: supply.Working, Reference: at.String(), Reason: "the upstream does not say how its order " + at.number + " is now"}, failed
	}
	known := map[string]stock.Delivered{}
	for _, c := range first.Codes {
		known[c.Text.Reveal()] = c
	}
	for i, c := range now.Codes { // the first answer says more of each
		if was, ok := known[c.Text.Reveal()]; ok {
			now.Codes[i] = was
		}
	}
	if now.State == supply.Working {
		now.Reference = at.String()
	}
	return now, nil
}

// toAnswer is the time that it takes to say what a call came to.
const toAnswer = 250 * time.Millisecond

// early is ctx, but ends before it: an answer that is late is not heard, and with it the
// number of the order would be lost.
func early(ctx context.Context) (context.Context, context.CancelFunc) {
	if end, ok := ctx.Deadline(); ok {
		return context.WithDeadline(ctx, end.Add(-toAnswer))
	}
	return ctx, func() {}
}
