package portal

import (
	"context"
	"errors"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/ping"
)

// Limits of what a visitor types, in bytes: those of a check. The key of a gift card is
// its PIN, and longer than most.
const (
	maxNumber = 64
	maxPIN    = 64
)

// form shows the empty form.
func (s *Site) form(ctx context.Context, v *visit) error {
	if len(v.page.networks) == 0 {
		t := &v.page.lang.texts
		v.page.tell(http.StatusServiceUnavailable, notice{title: t.UnavailableTitle, text: t.NoNetworksText})
		return nil
	}
	v.page.form = &form{}
	return s.ready(ctx, v)
}

// ready has the form, if there is one, ask for what the visitor's next check needs.
func (s *Site) ready(ctx context.Context, v *visit) error {
	if v.page.form == nil {
		return nil
	}
	level, err := s.level(ctx, &v.Visitor)
	if err != nil || level == 0 {
		return err
	}
	return s.challenge(ctx, v, level)
}

// challenge puts a new challenge into the form.
func (s *Site) challenge(ctx context.Context, v *visit, level int) error {
	c, err := s.Driver.Pose(ctx, v.Visitor, max(level, 1))
	v.page.form.challenge = &c
	return err
}

// check answers a form.
func (s *Site) check(ctx context.Context, v *visit) error {
	filled, err := s.read(v)
	if err != nil {
		return err
	}
	f := &form{network: filled.network, number: filled.number.Reveal(), pinTyped: !filled.pin.IsZero()}
	v.page.form = f
	level, err := s.level(ctx, &v.Visitor)
	if err != nil {
		return err
	}
	network := v.page.validate(filled)
	if len(f.errors) > 0 {
		v.page.status = http.StatusUnprocessableEntity
		if level == 0 {
			return nil
		}
		if filled.answer.Proof == "" { // it was not judged, and whoever waits does not wait anew
			v.Unspent = filled.answer.Token
		}
		return s.challenge(ctx, v, level)
	}
	if err := s.most(ctx, v); err != nil {
		return err
	}
	counted := level == 0
	if counted { // of those who come at once as many go on as there is room for
		if level, err = s.count(ctx, &v.Visitor); err != nil {
			return err
		}
	}
	if level > 0 {
		passed, err := s.judge(ctx, v, judged{answer: filled.answer, level: level})
		if err != nil || !passed {
			return err
		}
	}
	if !counted {
		if _, err := s.count(ctx, &v.Visitor); err != nil {
			return err
		}
	}
	if err := s.ping(ctx, v, inquiry{network: network, filled: filled}); err != nil {
		return err
	}
	return s.ready(ctx, v) // for another try
}

// filled is what came with a form.
type filled struct {
	network     string
	number, pin pan.Secret
	answer      Answer
}

// read takes the form apart. It refuses what other sites send.
func (s *Site) read(v *visit) (filled, error) {
	r := v.request
	if err := s.origin.Check(r); err != nil {
		return filled{}, fault.New(fault.PermissionDenied, "cross-origin form")
	}
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/x-www-form-urlencoded" {
		return filled{}, fault.New(fault.UnsupportedMediaType, "want a form")
	}
	r.Body = http.MaxBytesReader(nil, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
			return filled{}, fault.New(fault.BodyTooLarge, "the form is larger than %d bytes", maxForm)
		}
		return filled{}, fault.New(fault.MalformedBody, "the form is malformed") // its text may hold what was typed
	}
	field := func(name string) string { return strings.TrimSpace(r.PostForm.Get(name)) }
	return filled{
		network: field(fieldNetwork), number: pan.NewSecret(field(fieldNumber)), pin: pan.NewSecret(field(fieldPIN)),
		answer: Answer{Token: field(fieldChallenge), Proof: field(s.Driver.Field())},
	}, nil
}

// validate blames the fields that cannot be right and returns the network that was chosen.
func (p *page) validate(in filled) ping.NetworkInfo {
	chosen := slices.IndexFunc(p.networks, func(n ping.NetworkInfo) bool { return n.ID == in.network })
	if chosen < 0 && len(p.networks) == 1 && in.network == "" {
		chosen = 0
	}
	var network ping.NetworkInfo
	if chosen < 0 {
		p.form.network = ""
		p.form.blame(fieldNetwork, p.lang.ErrorNetwork)
	} else {
		network = p.networks[chosen]
	}
	number := in.number.Reveal()
	switch {
	case number == "":
		p.form.blame(fieldNumber, p.lang.ErrorNumber)
	case len(number) > maxNumber:
		p.form.number = ""
		p.form.blame(fieldNumber, p.lang.ErrorNumberForm)
	}
	if in.pin.IsZero() && network.VisitorsNeedPIN() || len(in.pin.Reveal()) > maxPIN {
		p.form.blame(fieldPIN, p.lang.ErrorPIN)
	}
	return network
}

// most holds the visitor to what one address may ask, whatever it proves.
func (s *Site) most(ctx context.Context, v *visit) error {
	d, err := s.Limits.Take(ctx, v.addressSubject("most"), s.Pace.Most, 1)
	if err == nil && !d.Allowed {
		err = fault.New(fault.RateLimited, "too many checks").After(d.RetryAfter)
	}
	return err
}

type judged struct {
	answer Answer
	level  int
}

// judge lets a visitor pass who proved something; others get the form again, with
// the number that they typed, and what to prove.
func (s *Site) judge(ctx context.Context, v *visit, j judged) (bool, error) {
	verdict, err := s.Driver.Judge(ctx, v.Visitor, j.answer)
	if err != nil || verdict == Passed {
		return err == nil, err
	}
	t := &v.page.lang.texts
	if verdict == Early {
		v.Unspent = j.answer.Token
	}
	if err := s.challenge(ctx, v, j.level); err != nil {
		return false, err
	}
	v.page.retryAfter = v.page.form.challenge.Wait
	v.page.status = http.StatusTooManyRequests
	v.page.notice = &notice{title: t.ChallengeTitle, text: t.ChallengeText, wait: v.page.form.challenge.Wait}
	return false, nil
}

type inquiry struct {
	network ping.NetworkInfo
	filled
}

// ping asks for the balance and shows what came of it.
func (s *Site) ping(ctx context.Context, v *visit, q inquiry) error {
	p := v.Portal
	agent, device := wire.Guise(v.request.Header)
	result, err := s.Checker.Ping(ctx, ping.Check{
		Caller:  ping.Caller{Book: p.Book, Realm: p.Realm, Credential: string(p.ID), Address: v.record.From, Agent: agent, Device: device},
		Network: q.network.ID, Number: q.number, PIN: q.pin, Currency: currencyOf(q.network),
	})
	if err != nil {
		return s.refused(v, err)
	}
	if err := s.note(ctx, &v.Visitor, &result); err != nil {
		return err
	}
	v.page.found(result, q.network)
	return nil
}

// currencyOf is the currency to ask in: the default, if the network knows it.
func currencyOf(n ping.NetworkInfo) money.Currency {
	usd, _ := money.Parse("USD") // always there
	if known := n.Rules.Currencies; len(known) > 0 && !slices.Contains(known, usd) {
		return known[0]
	}
	return money.NoCurrency
}

// refused shows the form again for what the visitor can mend, and passes on the rest.
func (s *Site) refused(v *visit, err error) error {
	f := fault.From(err)
	field, text := "", ""
	switch {
	case f.Code == fault.CardInvalid && f.Field == fieldPIN:
		field, text = fieldPIN, v.page.lang.ErrorPIN
	case f.Code == fault.CardInvalid:
		field, text = fieldNumber, v.page.lang.ErrorNumberForm
	case f.Code.Kind() == fault.KindForbidden, f.Code.Kind() == fault.KindNotFound, f.Code.Kind() == fault.KindInvalid:
		// The portal may not ask, or its network is gone or another: nothing that a visitor can change.
		return fault.Wrap(err, fault.Unavailable, "the portal cannot ask")
	default:
		return err
	}
	v.record.Code = f.Code
	v.page.form.blame(field, text)
	v.page.status = http.StatusUnprocessableEntity
	return nil
}

// stale is from when on a balance is said to be of a certain time.
const stale = time.Minute

// found shows a result.
func (p *page) found(r ping.Result, n ping.NetworkInfo) {
	t := &p.lang.texts
	out := &result{status: r.Status, network: n.Name}
	if r.Expiry != "" {
		out.expiry = p.lang.month(r.Expiry)
	}
	again := p.form
	p.form = nil
	switch r.Status {
	case ping.Active:
		out.balance = p.lang.amount(r.Balance)
		if !r.AsOf.IsZero() && r.At.Sub(r.AsOf) >= stale {
			out.asOf = p.lang.moment(r.AsOf)
		}
	case ping.Expired:
		out.title, out.comment = t.ExpiredTitle, t.ExpiredText
	case ping.Inactive:
		out.title, out.comment, out.expiry = t.InactiveTitle, t.InactiveText, ""
	case ping.Invalid:
		// One answer for a number that does not exist, a wrong PIN and a locked card.
		out.title, out.comment, out.expiry = t.InvalidTitle, t.InvalidText, ""
		p.form = again
	}
	p.result = out
}
