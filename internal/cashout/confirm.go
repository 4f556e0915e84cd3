package cashout

import (
	"context"
	"errors"
	"net/netip"
	"slices"

	"github.com/scripcards/scrip/internal/cashout/customer"
	"github.com/scripcards/scrip/internal/cashout/phone"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Dispatch asks for a code.
type Dispatch struct {
	Realm realm.Realm
	Token pan.Secret
	Phone string
	Voice bool
	// Captcha is the answer that shows a person; From where it was given.
	Captcha string
	From    netip.Addr
}

// fieldCaptcha is what callers call the answer to a captcha.
const fieldCaptcha = "recaptcha_response"

// SendCode has a code sent to a phone, which becomes the order's. It returns not_found,
// invalid_state, invalid_request for a number or an answer that is wrong, and what
// phone.Service.Send returns.
func (s *Service) SendCode(ctx context.Context, d Dispatch) error {
	o, err := s.ready(ctx, d.Realm, d.Token, AskCode)
	if err != nil {
		return err
	}
	n, err := s.Phones.Parse(d.Realm, d.Phone)
	if err != nil {
		return err
	}
	if err := s.person(ctx, d.Realm, d.Captcha, d.From); err != nil {
		return err
	}
	if err := s.Phones.Send(ctx, phone.Request{Place: o.place(), To: n, Voice: d.Voice, From: d.From}); err != nil {
		if _, over := s.ready(ctx, d.Realm, d.Token, AskCode); over != nil { // it ended while the captcha was asked
			return over
		}
		return err
	}
	_, err = s.change(ctx, doing{d.Realm, d.Token, AskCode, func(_ context.Context, _ *storage.Tx, o *Order) ([]storage.Effect, error) {
		return nil, s.apply(o, told{phone: &n})
	}})
	return err
}

// person asks the captcha whether somebody is one.
func (s *Service) person(ctx context.Context, r realm.Realm, answer string, from netip.Addr) error {
	d, err := s.desk(r)
	if err != nil {
		return err
	}
	if d.Captcha == nil {
		return fault.New(fault.Unavailable, "no codes are sent just now")
	}
	if err := d.Captcha.Verify(ctx, answer, from.String()); err != nil {
		if fault.CodeOf(err) == fault.InvalidRequest {
			return fault.From(err).At(fieldCaptcha)
		}
		return err
	}
	return nil
}

func (o *Order) place() phone.Place {
	return phone.Place{Book: o.Book, Realm: o.Realm, Order: string(o.ID)}
}

// Entry is a code as it is entered.
type Entry struct {
	Realm   realm.Realm
	Token   pan.Secret
	Phone   string
	Code    pan.Secret
	Captcha string // needed after some failures
	From    netip.Addr
}

// EnterCode confirms a phone. It returns not_found, invalid_state, and invalid_request for a
// code that is wrong, used, too old or another number's, all alike.
func (s *Service) EnterCode(ctx context.Context, e Entry) error {
	o, err := s.ready(ctx, e.Realm, e.Token, Confirm)
	if err != nil {
		return err
	}
	n, err := s.Phones.Parse(e.Realm, e.Phone)
	if err != nil {
		return err
	}
	asked, err := s.Phones.NeedsCaptcha(ctx, o.place())
	if err == nil && asked && e.Captcha == "" {
		err = errPerson()
	}
	if err == nil && asked {
		err = s.person(ctx, e.Realm, e.Captcha, e.From)
	}
	if err != nil {
		return err
	}
	used, err := s.Phones.Check(ctx, phone.Attempt{Place: o.place(), To: n, Code: e.Code, Person: asked})
	if errors.Is(err, phone.ErrPerson) { // others were wrong meanwhile
		err = errPerson()
	}
	if err != nil {
		return err
	}
	_, err = s.change(ctx, doing{e.Realm, e.Token, Confirm, func(ctx context.Context, tx *storage.Tx, o *Order) ([]storage.Effect, error) {
		if err := s.apply(o, told{phone: &n}); err != nil {
			return nil, err
		}
		who, err := s.customers.Admit(ctx, tx, customer.Newcomer{Book: o.Book, Hash: s.Phones.Hash(n), At: o.ChangedAt,
			Seal: func(row string) ([]byte, error) { return s.Phones.Seal(row, n) }})
		if err != nil {
			return nil, err
		}
		o.Customer = who.ID
		return slices.Clone(used), o.become(Confirmed)
	}})
	return err
}

func errPerson() error {
	return fault.New(fault.InvalidRequest, "after so many wrong codes %s is required", fieldCaptcha).At(fieldCaptcha)
}

// Where says where an order is paid, and who is paid.
type Where struct {
	Realm       realm.Realm
	Token       pan.Secret
	Contact     Contact // its phone does not count
	First, Last string
}

// Authorize says where to pay and locks the price; of an order whose payout failed, it says
// where to pay instead. It returns not_found, invalid_state, invalid_request where an
// address or names are missing or the amount cannot be paid at this price, guard_exceeded where the customer's volume would pass the
// most, and unavailable where there is no price.
func (s *Service) Authorize(ctx context.Context, w Where) error {
	found, err := s.ready(ctx, w.Realm, w.Token, Pay)
	if err != nil && !found.Unpaid() {
		return err
	}
	to, err := s.destination(w.Realm, &w.Contact)
	if err != nil {
		return err
	}
	if found.Unpaid() {
		return s.instead(ctx, &found, to)
	}
	if to == nil && found.To.Method == Lightning { // an invoice may have expired since it was given
		if to, err = s.destination(w.Realm, &Contact{Invoice: &found.To.Text}); err != nil {
			return err
		}
	}
	name, err := customer.ParseName(w.First, w.Last)
	if err != nil {
		return err
	}
	d := s.Desks[w.Realm]
	price, err := d.Ticker.Price(ctx)
	if err == nil {
		err = d.payable(found.Amount, price)
	}
	if err != nil {
		return err
	}
	_, err = s.change(ctx, doing{w.Realm, w.Token, Pay, func(ctx context.Context, tx *storage.Tx, o *Order) ([]storage.Effect, error) {
		if to != nil {
			o.To = *to
		}
		if o.To.Method == None {
			return nil, fault.New(fault.InvalidRequest, "address or ln_invoice is required").At("address")
		}
		if err := o.price(price); err != nil {
			return nil, err
		}
		o.AuthorizedAt, o.LockedUntil = o.ChangedAt, o.ChangedAt.Add(d.PriceLock)
		effects, err := s.admit(ctx, tx, o, name)
		if err != nil {
			return nil, err
		}
		return effects, o.become(Authorized)
	}})
	return err
}

// instead pays an order whose payout failed where its customer says now.
func (s *Service) instead(ctx context.Context, o *Order, to *Destination) error {
	if to == nil {
		return fault.New(fault.InvalidRequest, "address or ln_invoice is required").At("address")
	}
	_, err := s.PayAgain(ctx, Decision{Book: o.Book, Order: o.ID, Actor: "customer"}, to.Text)
	switch {
	case fault.CodeOf(err) == fault.GuardExceeded: // the limit is the house's, and another day it may be paid
		return fault.Wrap(err, fault.Unavailable, "nothing more is paid out today")
	case errors.Is(err, fault.New(fault.InsufficientFunds, "")): // so are its books
		return fault.Wrap(err, fault.InvalidState, "nothing is owed for the order any more")
	}
	return err
}

// admit holds an order to its customer's tier. Two orders of one customer at once are
// decided one after the other.
func (s *Service) admit(ctx context.Context, tx *storage.Tx, o *Order, name customer.Name) ([]storage.Effect, error) {
	d := s.Desks[o.Realm]
	who, err := s.customers.Lock(ctx, tx, o.Book, o.Customer)
	if err != nil {
		return nil, err
	}
	used, err := s.volume(ctx, tx, d, o)
	if err != nil {
		return nil, err
	}
	asks, err := d.Tiers.At(money.New(used.Minor+o.Amount.Minor, used.Currency))
	if err != nil {
		return nil, err
	}
	if slices.Contains(asks, customer.Names) && !who.HasName && name.IsZero() {
		return nil, fault.New(fault.InvalidRequest, "first_name and last_name are required").At("first_name")
	}
	o.NeedsDocument = slices.Contains(asks, customer.Document)
	return s.customers.Touch(who, name, o.ChangedAt)
}
