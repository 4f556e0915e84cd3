package cashout

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/webhook"
)

// Reason is what is wrong with a picture.
type Reason string

// The reasons.
const (
	Blurred    Reason = "blurred"
	CutOff     Reason = "cut_off"
	WrongThing Reason = "wrong_picture"
	Mismatch   Reason = "mismatch"
	NoValue    Reason = "no_value"
	Edited     Reason = "edited"
	SeenBefore Reason = "seen_before"
	OutOfDate  Reason = "expired"
	NotTheFace Reason = "face_mismatch"
	Other      Reason = "other" // the note says what
)

// sentences are the reasons as customers read them.
var sentences = []struct {
	reason Reason
	text   string
}{
	{Blurred, "The picture is blurred or too dark to read."},
	{CutOff, "A part of it is outside of the picture."},
	{WrongThing, "The picture shows something else than what was asked for."},
	{Mismatch, "What it shows does not fit the other pictures."},
	{NoValue, "The value of the card, or that it was paid for, cannot be seen."},
	{Edited, "The picture was edited."},
	{SeenBefore, "The same picture was sent with another order."},
	{OutOfDate, "The document is out of date."},
	{NotTheFace, "The face does not fit the document."},
	{Other, ""},
}

// Reasons returns the closed list in its documented order.
func Reasons() []Reason {
	all := make([]Reason, len(sentences))
	for i := range sentences {
		all[i] = sentences[i].reason
	}
	return all
}

// Verdict is what a reviewer says of one picture.
type Verdict struct {
	Kind     Kind
	Image    string // which picture of the kind
	Accepted bool
	Reason   Reason // where it is rejected
	Note     string
	Actor    string
	At       time.Time
}

// Feedback is a verdict in words for the customer; empty where the picture is accepted.
func (v *Verdict) Feedback() string {
	if v.Accepted {
		return ""
	}
	text := ""
	for _, s := range sentences {
		if s.reason == v.Reason {
			text = s.text
		}
	}
	if v.Note != "" && text != "" {
		text += " "
	}
	return text + v.Note
}

// Needs are the pictures that an order of this kind takes.
func (o *Order) Needs() []Kind {
	if o.NeedsDocument {
		return Kinds()
	}
	return []Kind{Card, Receipt}
}

// require says which pictures an order waits for: those that were not accepted before.
func require(o *Order, verdicts []Verdict, images []Image) []Required {
	all := []Required{}
	for _, kind := range o.Needs() {
		r := Required{Kind: kind}
		rejected := ""
		if i := slices.IndexFunc(verdicts, func(v Verdict) bool { return v.Kind == kind }); i >= 0 {
			if verdicts[i].Accepted {
				continue
			}
			rejected, r.Feedback = verdicts[i].Image, verdicts[i].Feedback()
		}
		if i := slices.IndexFunc(images, func(m Image) bool { return m.Kind == kind }); i >= 0 {
			switch m := &images[i]; {
			case m.ID != "" && m.ID != rejected:
				r.Uploaded, r.Feedback = true, ""
			case m.Refused != "":
				r.Feedback = m.Refused
			}
		}
		all = append(all, r)
	}
	return all
}

// Verdicts returns what was said about an order's pictures.
func (s *Service) Verdicts(ctx context.Context, o *Order) ([]Verdict, error) {
	return storage.All(ctx, s.DB, scanVerdict, listVerdicts, string(o.Book), string(o.ID))
}

// Pictures returns an order's pictures; none where nobody keeps any.
func (s *Service) Pictures(ctx context.Context, o *Order) ([]Image, error) {
	d := s.keeper(o.Realm)
	if d == nil {
		return nil, nil
	}
	return d.Images.List(ctx, o.owner())
}

func (o *Order) owner() Owner { return Owner{o.Realm, o.ID} }

// Required returns the pictures that an order waits for.
func (s *Service) Required(ctx context.Context, o *Order) ([]Required, error) {
	verdicts, err := s.Verdicts(ctx, o)
	if err != nil {
		return nil, err
	}
	images, err := s.Pictures(ctx, o)
	return require(o, verdicts, images), err
}

// Picture is a picture as a caller announces it.
type Picture struct {
	Realm realm.Realm
	Token pan.Secret
	Kind  string
	Name  string
	Size  int64
}

// Presign returns what one picture is uploaded with. It returns not_found, invalid_state
// where the picture is not asked for, invalid_request, and unavailable.
func (s *Service) Presign(ctx context.Context, p Picture) (Form, error) {
	o, err := s.ready(ctx, p.Realm, p.Token, Upload)
	if err != nil {
		return Form{}, err
	}
	kind := Kind(p.Kind)
	if !slices.Contains(Kinds(), kind) {
		return Form{}, fault.New(fault.InvalidRequest, "there is no such image type").At("image_type")
	}
	verdicts, err := s.Verdicts(ctx, &o)
	if err != nil {
		return Form{}, err
	}
	if !slices.ContainsFunc(require(&o, verdicts, nil), func(r Required) bool { return r.Kind == kind }) {
		return Form{}, fault.New(fault.InvalidState, "this image is not asked for")
	}
	images := s.Desks[o.Realm].Images
	if images == nil {
		return Form{}, fault.New(fault.Unavailable, "no images are taken just now")
	}
	form, err := images.Presign(ctx, NewImage{Owner: o.owner(), Kind: kind, Name: p.Name, Size: p.Size})
	if err == nil {
		err = s.unchanged(ctx, &o, images)
	}
	if err != nil {
		return Form{}, err
	}
	return form, nil
}

// unchanged closes a form that was made for an order which was submitted or ended meanwhile:
// that has closed those before it. It returns invalid_state then, not_found, or unavailable
// where the order came back since.
func (s *Service) unchanged(ctx context.Context, o *Order, images Images) error {
	var refused error
	err := s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		now, found, err := storage.One(ctx, tx, scanOrder, lockOrder, string(o.Book), string(o.ID))
		switch {
		case err != nil:
			return err
		case !found || now.Status.IsGone():
			refused = unknown()
		case now.Revision != o.Revision:
			refused = cmp.Or(now.Allows(Upload), busy(storage.ErrStale))
		default:
			refused = nil
			return nil
		}
		return tx.Apply(ctx, images.Close(o.owner()))
	})
	return cmp.Or(err, refused)
}

// Submit has an order reviewed, at its locked price, or at that of the moment where it
// floats. It returns not_found, invalid_state, invalid_request with the first picture that
// is missing or where the amount cannot be paid at the price, and unavailable where there is no price.
func (s *Service) Submit(ctx context.Context, r realm.Realm, token pan.Secret) error {
	o, err := s.ready(ctx, r, token, Submit)
	if err != nil {
		return err
	}
	required, err := s.Required(ctx, &o)
	if err != nil {
		return err
	}
	for _, one := range required {
		if !one.Uploaded {
			return fault.New(fault.InvalidRequest, "%s is missing", one.Kind).At("image_type")
		}
	}
	if _, err := s.refresh(ctx, &o); err != nil {
		return err
	}
	price := o.Price
	if err := s.Desks[r].payable(o.Amount, price); err != nil {
		return err
	}
	_, err = s.change(ctx, doing{r, token, Submit, func(_ context.Context, _ *storage.Tx, o *Order) ([]storage.Effect, error) {
		if err := o.price(price); err != nil {
			return nil, err
		}
		o.SubmittedAt = o.ChangedAt
		if err := o.become(Processing); err != nil {
			return nil, err
		}
		effects := s.tell(o, eventSubmitted)
		if images := s.Desks[r].Images; images != nil {
			effects = append(effects, images.Close(o.owner())...)
		}
		return effects, nil
	}})
	return err
}

// tell is the effect of an event about an order. Its token is not in it.
func (s *Service) tell(o *Order, kind string) []storage.Effect {
	data := (&webhook.Data{}).Text("order_id", string(o.ID)).Text("status", string(o.Status))
	if o.Amount.IsPositive() { // of a payout's end only the bitcoin is known
		data = data.Text("amount", o.Amount.String()).Text("currency", o.Amount.Currency.String())
	}
	data = data.Text("bitcoin", o.Bitcoin.String()).Text("method", string(o.To.Method)).Text("payout_id", o.Payout).Text("proof", o.Proof).Text("reason", o.Reason)
	return s.Outbox.Effects(webhook.Event{Book: o.Book, Realm: o.Realm, Type: kind, Data: data.JSON(), At: o.ChangedAt})
}
