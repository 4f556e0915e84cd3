package iso8583

import (
	"context"
	"fmt"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/issuing/authorization"
	"github.com/scripcards/scrip/internal/platform/iso"
)

// The classes of messages, the second digit of the type.
const (
	classAuthorization = '1'
	classFinancial     = '2'
	classReversal      = '4'
	classNetwork       = '8'
)

// isRequest reports whether a type is one that is answered: of the version of 1987, and
// no answer itself.
func isRequest(kind string) bool {
	return digits(kind, 4) && kind[0] == '0' && kind[2]%2 == 0
}

// isServed reports whether a type is one of those that the pages of the wire list: a
// request or an advice, of the acquirer, or its repetition. Everything else, such as a
// notification or what another issuer sent, is not read as one of them.
func isServed(kind string) bool { return (kind[2] == '0' || kind[2] == '2') && kind[3] <= '1' }

// isAdvice reports whether a type tells what happened, instead of asking whether it may.
func isAdvice(kind string) bool { return kind[2] == '2' }

// answerTo is the type of an answer; a repetition is answered as what it repeats.
func answerTo(kind string) string { return kind[:2] + string(kind[2]+1) + "0" }

// typeOf is a message's type for metrics.
func typeOf(m iso.Message) string {
	switch m[0] {
	case "0100", "0101", "0120", "0121", "0200", "0201", "0220", "0221", "0400", "0401", "0420", "0421", "0800":
		return m[0]
	}
	return "other"
}

// The codes of network management, DE70.
const (
	functionSignOn  = "001"
	functionSignOff = "002"
	functionEcho    = "301"
)

// respond works on a message and returns its answer, whatever happens.
func (h *Host) respond(ctx context.Context, m iso.Message) (answer iso.Message) {
	defer func() {
		if wrong := recover(); wrong != nil {
			h.Logger.ErrorContext(ctx, "a message of a card network broke its handler", "type", m[0], "kind", fmt.Sprintf("%T", wrong))
			answer = reply(m, result{code: codeBroken})
		}
	}()
	r, err := h.decide(ctx, m)
	if err != nil {
		if ctx.Err() != nil {
			err = fault.Wrap(err, fault.Timeout, "the message took too long")
		}
		r.code = codeOf(err)
		if r.missing != "" && fault.CodeOf(err) == fault.NotFound {
			r.code = r.missing
		}
		h.complain(ctx, m, r.code, err)
	}
	return reply(m, r)
}

// complain logs what an operator should look at. Neither the message nor the error that
// the product made of it holds a number.
func (h *Host) complain(ctx context.Context, m iso.Message, code string, err error) {
	switch fault.CodeOf(err).Kind() {
	case fault.KindInternal:
		h.Logger.ErrorContext(ctx, "message of a card network failed", "type", m[0], "response", code, "error", err)
	case fault.KindUnavailable:
		h.Logger.WarnContext(ctx, "message of a card network failed", "type", m[0], "response", code, "error", err)
	case fault.KindInvalid, fault.KindUnauthenticated, fault.KindForbidden, fault.KindNotFound, fault.KindConflict, fault.KindPrecondition, fault.KindLimit:
		h.Logger.DebugContext(ctx, "message of a card network refused", "type", m[0], "response", code, "fault", string(fault.CodeOf(err)))
	}
}

// atOnce returns the code of an answer that needs no work: to network management, and to what
// comes after a sign-off; nothing for all else. It is asked in the order in which messages came.
func (s *session) atOnce(m iso.Message) string {
	switch {
	case m[0][1] == classNetwork:
		return s.manage(m)
	case s.signedOff:
		return codeAway
	}
	return ""
}

// manage carries out network management and returns the code of its answer.
func (s *session) manage(m iso.Message) string {
	switch {
	case !digits(m[11], 6):
		return codeOf(malformed("11"))
	case !isServed(m[0]) || isAdvice(m[0]):
		return codeSupported
	case !digits(m[70], 3):
		return codeOf(malformed("70"))
	case m[70] == functionSignOn:
		s.signedOff = false
	case m[70] == functionSignOff:
		s.signedOff = true
	case m[70] != functionEcho:
		return codeSupported
	}
	return codeApproved
}

// result is what an answer says.
type result struct {
	code     string
	decision *authorization.Decision
	cvc      bool // a security code was presented
	inquiry  bool
	part     bool // a part of the amount was approved
	missing  string
}

// order is a message as it was read.
type order struct {
	naming
	sums
	tags     map[string]string
	number   pan.Number
	expiry   string
	merchant authorization.Merchant
}

// read reads what every message about a card has.
func (h *Host) read(m iso.Message) (o order, err error) {
	if o.naming, err = nameOf(m); err != nil {
		return o, err
	}
	if len(h.acquirers) > 0 && !h.acquirers[o.acquirer] {
		return o, fault.New(fault.PermissionDenied, "the acquirer is not served")
	}
	if !digits(m[3], 6) {
		return o, malformed("3")
	}
	if o.sums, err = amounts(m); err != nil {
		return o, err
	}
	if m[18] != "" && !digits(m[18], 4) {
		return o, malformed("18")
	}
	if o.tags, err = tagged(m[48]); err != nil {
		return o, err
	}
	if o.number, o.expiry, err = plastic(m); err != nil {
		return o, err
	}
	o.merchant = merchant(m, o.acquirer)
	return o, nil
}

// decide has the product do what a message asks for.
func (h *Host) decide(ctx context.Context, m iso.Message) (result, error) {
	o, err := h.read(m)
	if err != nil {
		return result{}, err
	}
	if o.number.IsZero() {
		return result{code: codeCard}, nil
	}
	if !isServed(m[0]) {
		return result{}, fault.New(fault.FeatureDisabled, "there is no such kind of message")
	}
	spends := false
	switch m[3][:2] {
	case "00", "01", "09", "11": // goods, cash, goods with cash back, quasi-cash
		spends = true
	}
	switch class := m[0][1]; {
	case class == classReversal:
		return h.reverse(ctx, m, &o)
	case m[3][:2] == "31" && !isAdvice(m[0]) && (class == classAuthorization || class == classFinancial):
		return h.inquire(ctx, m, &o)
	case class == classAuthorization && spends:
		return h.authorize(ctx, m, &o)
	case class == classFinancial && spends:
		return h.settle(ctx, m, &o)
	case class == classFinancial && m[3][:2] == "20":
		return h.refund(ctx, &o)
	}
	return result{}, fault.New(fault.FeatureDisabled, "there is no such kind of message")
}

// request is the message as the product is asked.
func (h *Host) request(m iso.Message, o *order) authorization.Request {
	return authorization.Request{Realm: h.options.Realm, Number: o.number, Key: o.key, Amount: o.billed, Original: o.charged, Merchant: o.merchant,
		Presented: authorization.Presented{Entry: entry(m), CVC: pan.NewSecret(o.tags[tagCode]), Expiry: o.expiry, Postcode: o.tags[tagPostcode], Address: o.tags[tagAddress]},
		// What was approved could not be told in the merchant's currency.
		PartialAllowed: o.tags[tagSupport] == "1" && !o.charged.Currency.IsValid(),
		Challenge:      authorization.ChallengeID(o.tags[tagChallenge]), At: o.at}
}

// advice is the message as the product is told.
func (h *Host) advice(o *order) authorization.Advice {
	return authorization.Advice{Realm: h.options.Realm, Number: o.number, Original: o.original, Key: o.key, Amount: o.billed, Charged: o.charged,
		Merchant: o.merchant, Final: o.tags[tagMore] != "1", At: o.at}
}

// heard makes a result of what the product said.
func (o *order) heard(d authorization.Decision, err error) (result, error) {
	r := result{decision: &d, missing: codeCard, cvc: o.tags[tagCode] != ""}
	if err != nil {
		return result{missing: codeCard}, err
	}
	r.code = said(&d, o.billed.Minor)
	r.part = r.code == codePart
	return r, nil
}

func (h *Host) inquire(ctx context.Context, m iso.Message, o *order) (result, error) {
	d, err := h.Payments.Inquire(ctx, h.request(m, o))
	o.billed = money.New(0, o.billed.Currency)
	r, err := o.heard(d, err)
	r.inquiry = true
	return r, err
}

// authorize asks for a hold, or for more of one.
func (h *Host) authorize(ctx context.Context, m iso.Message, o *order) (result, error) {
	switch {
	case isAdvice(m[0]) && m[39] != "" && m[39] != codeApproved && m[39] != codePart:
		return result{code: codeApproved}, nil // another declined it
	case o.charged.Currency.IsValid() && o.charged.IsZero() != o.billed.IsZero():
		return result{}, fault.New(fault.InvalidAmount, "one amount is zero and the other is not").At("6")
	case isAdvice(m[0]) && !o.billed.IsZero():
		return h.stoodIn(ctx, o)
	}
	var d authorization.Decision
	var err error
	if o.original != "" {
		d, err = h.Payments.Increment(ctx, h.advice(o))
	} else {
		d, err = h.Payments.Authorize(ctx, h.request(m, o))
	}
	r, err := o.heard(d, err)
	if o.original != "" {
		r.missing = ""
	}
	if isAdvice(m[0]) && err == nil && r.code != codeCard {
		return result{code: codeApproved}, nil
	}
	return r, err
}

// stoodIn holds what another approved in the issuer's stead, and acknowledges it in any
// case: it is owed.
func (h *Host) stoodIn(ctx context.Context, o *order) (result, error) {
	if _, err := h.Payments.StandIn(ctx, h.advice(o)); err != nil {
		return result{missing: codeCard}, err
	}
	return result{code: codeApproved}, nil
}

// settle takes money: in a single message, of a payment that was authorized, or because
// it is owed.
func (h *Host) settle(ctx context.Context, m iso.Message, o *order) (result, error) {
	if o.hasZero() {
		return result{}, fault.New(fault.InvalidAmount, "an amount of zero takes nothing").At("4")
	}
	switch {
	case isAdvice(m[0]):
		d, err := h.Payments.Complete(ctx, h.advice(o))
		return o.heard(d, err)
	case o.original != "":
		d, err := h.Payments.Capture(ctx, h.advice(o))
		r, err := o.heard(d, err)
		r.missing = ""
		return r, err
	}
	asked := h.request(m, o)
	asked.Captured = true
	d, err := h.Payments.Authorize(ctx, asked)
	return o.heard(d, err)
}

func (h *Host) refund(ctx context.Context, o *order) (result, error) {
	if o.hasZero() {
		return result{}, fault.New(fault.InvalidAmount, "an amount of zero gives nothing back").At("4")
	}
	d, err := h.Payments.Refund(ctx, h.advice(o))
	r, err := o.heard(d, err)
	if o.original != "" {
		r.missing = ""
	}
	return r, err
}

// reverse undoes the message that DE90 names.
func (h *Host) reverse(ctx context.Context, m iso.Message, o *order) (result, error) {
	if o.original == "" {
		return result{}, malformed("90")
	}
	a := h.advice(o)
	var err error
	if a.Stands, err = o.stands(m); err != nil {
		return result{}, err
	}
	a.Amount, a.Final, a.Charged = money.New(0, o.billed.Currency), false, money.Amount{}
	o.billed = a.Amount // less than was asked for is fine
	d, err := h.Payments.Reverse(ctx, a)
	r, err := o.heard(d, err)
	if fault.From(err).Field == "payment" { // it is there, and another card's
		r.missing = ""
	}
	return r, err
}
