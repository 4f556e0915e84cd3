package cashout

import (
	"context"
	"errors"
	"time"

	"github.com/scripcards/scrip/internal/cashout/phone"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Contact is what a caller may say before a phone is confirmed; nil: nothing.
type Contact struct {
	Phone   *string
	Address *string
	Invoice *string // an invoice or a Lightning Address
}

// Opening is an order as it is asked for.
type Opening struct {
	Realm  realm.Realm
	Amount int64 // cents
	// Currency is the name of what is bought.
	Currency string
	Contact  Contact
}

// Bitcoin is the name of what can be bought.
const Bitcoin = "bitcoin"

// Create makes an order and returns it with the token that opens it, which is shown this
// once. It returns invalid_request, also for an amount that nobody could be paid for at the
// price of the moment, and unavailable where there is none.
func (s *Service) Create(ctx context.Context, n Opening) (Order, pan.Secret, error) {
	d, err := s.desk(n.Realm)
	if err != nil {
		return Order{}, pan.Secret{}, err
	}
	if n.Currency != Bitcoin {
		return Order{}, pan.Secret{}, fault.New(fault.InvalidRequest, "currency must be %s", Bitcoin).At("currency")
	}
	amount := money.New(n.Amount, money.USD)
	if err := d.Tiers.CheckOrder(amount); err != nil {
		return Order{}, pan.Secret{}, err
	}
	to, err := s.contact(n.Realm, &n.Contact)
	if err != nil {
		return Order{}, pan.Secret{}, err
	}
	price, err := d.Ticker.Price(ctx)
	if err == nil {
		err = d.payable(amount, price)
	}
	if err != nil {
		return Order{}, pan.Secret{}, err
	}
	book, err := s.open(ctx, n.Realm)
	if err != nil {
		return Order{}, pan.Secret{}, err
	}
	now := s.Clocks.Now(n.Realm)
	token, err := s.draw(now)
	if err != nil {
		return Order{}, pan.Secret{}, err
	}
	o := Order{Book: book, ID: ID(id.New(Prefix)), Realm: n.Realm, Status: Created, Revision: 1, Amount: amount, CreatedAt: now, ChangedAt: now, ExpiresAt: now.Add(Lifetime)}
	if err := s.apply(&o, to); err != nil {
		return Order{}, pan.Secret{}, err
	}
	hash, _ := s.hash(token)
	effects := []storage.Effect{o.insert(hash)}
	err = s.DB.Apply(ctx, effects)
	return o, token, err
}

// told is what a Contact says once it is read.
type told struct {
	phone *phone.Number
	to    *Destination
}

// contact reads what a caller says. Both ways to be paid at once are invalid.
func (s *Service) contact(r realm.Realm, c *Contact) (told, error) {
	var t told
	if c.Phone != nil && *c.Phone != "" {
		n, err := s.Phones.Parse(r, *c.Phone)
		if err != nil {
			return t, err
		}
		t.phone = &n
	}
	to, err := s.destination(r, c)
	t.to = to
	return t, err
}

// destination reads where to pay; nil where a caller does not say.
func (s *Service) destination(r realm.Realm, c *Contact) (*Destination, error) {
	address, invoice := given(c.Address), given(c.Invoice)
	text, field, method := address, "address", OnChain
	switch {
	case address != "" && invoice != "":
		return nil, fault.New(fault.InvalidRequest, "give either address or ln_invoice").At("ln_invoice")
	case address == "" && invoice == "":
		return nil, nil
	case invoice != "":
		text, field, method = invoice, "ln_invoice", Lightning
	}
	if s.Desks[r].Payouts == nil {
		return nil, fault.New(fault.Unavailable, "nothing can be paid out just now")
	}
	to, err := s.Desks[r].Payouts.Parse(r, text)
	if err == nil && to.Method != method {
		err = misplaced(to.Method)
	}
	if err != nil {
		return nil, fault.From(err).At(field)
	}
	return &to, nil
}

// misplaced says where a destination belongs that was said as one of the other method.
func misplaced(m Method) error {
	if m == Lightning {
		return fault.New(fault.InvalidRequest, "this is paid over Lightning: it belongs in ln_invoice")
	}
	return fault.New(fault.InvalidRequest, "this is an address: it belongs in address")
}

func given(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}

// apply puts what a caller said into an order.
func (s *Service) apply(o *Order, t told) error {
	if t.to != nil {
		o.To = *t.to
	}
	if t.phone == nil {
		return nil
	}
	sealed, err := s.Phones.Seal(string(o.ID), *t.phone)
	o.phone = sealed
	return err
}

// doing is one change of an order by whoever has its token.
type doing struct {
	realm realm.Realm
	token pan.Secret
	act   Act
	// do changes the order within tx and returns what is written with it. It may run again.
	do func(ctx context.Context, tx *storage.Tx, o *Order) ([]storage.Effect, error)
}

// change makes a change, anew where the order changed meanwhile.
func (s *Service) change(ctx context.Context, d doing) (Order, error) {
	for try := 1; ; try++ {
		var o Order
		err := s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) (err error) {
			if o, err = s.byToken(ctx, tx, d.realm, d.token); err != nil {
				return err
			}
			if err := o.Allows(d.act); err != nil {
				return err
			}
			o.ChangedAt = s.Clocks.Now(o.Realm)
			effects, err := d.do(ctx, tx, &o)
			if err != nil {
				return err
			}
			return tx.Apply(ctx, append(effects, o.revise()))
		})
		if !errors.Is(err, storage.ErrStale) || try == maxTries {
			return o, busy(err)
		}
	}
}

// busy says of a change that was decided anew too often that it can be tried again.
func busy(err error) error {
	if errors.Is(err, storage.ErrStale) {
		return fault.Wrap(err, fault.Unavailable, "the order is being changed: try again").After(time.Second)
	}
	return err
}

// Change says anew what an order's phone is, or where it is paid, until its phone is
// confirmed. The code that was sent to another phone ends.
func (s *Service) Change(ctx context.Context, r realm.Realm, token pan.Secret, c Contact) error {
	found, err := s.ready(ctx, r, token, Change)
	if err != nil {
		return err
	}
	said, err := s.contact(found.Realm, &c)
	if err != nil {
		return err
	}
	_, err = s.change(ctx, doing{r, token, Change, func(_ context.Context, _ *storage.Tx, o *Order) ([]storage.Effect, error) {
		var effects []storage.Effect
		if said.phone != nil {
			effects = append(effects, s.Phones.Moved(o.place(), *said.phone))
		}
		return effects, s.apply(o, said)
	}})
	return err
}
