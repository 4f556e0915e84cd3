package claim

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/catalog/stock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/order"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/webhook"
)

// Report says which codes of an order are dead.
type Report struct {
	Order order.Number
	// Places are which of the order's codes, from 1; no place stands twice.
	Places []int
	Reason Reason
	// Note is required where the reason is Other.
	Note string
	Also storage.Also[*Claim]
}

func reasonNames() (names []string) {
	for _, reason := range Reasons() {
		names = append(names, string(reason))
	}
	return names
}

func (r *Report) check() error {
	switch {
	case len(r.Places) == 0 || len(r.Places) > order.MaxQuantity:
		return fault.New(fault.InvalidRequest, "name 1 to %d codes", order.MaxQuantity).At("codes")
	case !slices.Contains(Reasons(), r.Reason):
		return fault.New(fault.InvalidRequest, "reason must be one of %s", strings.Join(reasonNames(), ", ")).At("reason")
	case CheckNote(r.Note) != nil:
		return CheckNote(r.Note)
	case r.Reason == Other && strings.TrimSpace(r.Note) == "":
		return fault.New(fault.InvalidRequest, "say in the note what is wrong").At("note")
	}
	return nil
}

// CheckNote returns invalid_request for what is no text, too long, or may hold a secret.
func CheckNote(note string) error {
	if len(note) > MaxNote || audit.Clean(note) != note {
		return fault.New(fault.InvalidRequest, "the note must be text of at most %d bytes without codes, keys or card numbers", MaxNote).At("note")
	}
	return nil
}

// Create files a claim about codes of the buyer's order. It returns invalid_request,
// not_found as for another buyer's order, invalid_state when the order is not completed, or a
// code's time is over, or it was not looked at or is refunded, and already_exists for a
// code that another claim is about.
func (s *Service) Create(ctx context.Context, b order.Buyer, r Report) (Claim, error) {
	if err := r.check(); err != nil {
		return Claim{}, err
	}
	found, err := s.Orders.Find(ctx, b.Book, r.Order)
	if err != nil {
		return Claim{}, err
	}
	now := s.Clocks.Now(b.Realm)
	if found.Status != order.Completed {
		return Claim{}, fault.New(fault.InvalidState, "order %s is %s", found.Name(), found.Status)
	}
	c := Claim{Book: b.Book, Realm: b.Realm, ID: ID(id.New(Prefix)), Order: r.Order, OrderedAt: found.CreatedAt, Reason: r.Reason, Note: r.Note,
		Credential: b.Credential, State: Open, Revision: 1, CreatedAt: now, ChangedAt: now}
	if c.Lines, err = s.lines(ctx, &found, r.Places); err != nil {
		return Claim{}, err
	}
	if err := s.addCards(ctx, []Claim{c}); err != nil {
		return Claim{}, err
	}
	err = s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error { return s.file(ctx, tx, &c, r.Also) })
	if storage.IsUnique(err) {
		if taken, findErr := s.claimed(ctx, &c); findErr != nil || taken {
			return Claim{}, fault.Wrap(err, fault.AlreadyExists, "there is a claim about one of these codes").At("codes")
		}
	}
	return c, err
}

// lines are the codes that an order has in some places, each with its first look.
func (s *Service) lines(ctx context.Context, o *order.Order, wanted []int) ([]Line, error) {
	held, err := s.Stock.Holdings(ctx, o.Book, strconv.FormatInt(int64(o.Number), 10))
	if err != nil {
		return nil, err
	}
	has := map[int]stock.Held{}
	for _, h := range held {
		has[h.Place] = h // the one that has the place comes last
	}
	sorted := slices.Sorted(slices.Values(wanted))
	lines := make([]Line, len(sorted))
	for i, place := range sorted {
		h, ok := has[place]
		if !ok || i > 0 && sorted[i-1] == place {
			return nil, fault.New(fault.InvalidRequest, "the order has %d codes; name each of them once", o.Quantity).At("codes")
		}
		if s.Clocks.Now(o.Realm).Sub(h.SoldAt) > Window {
			return nil, fault.New(fault.InvalidState, "a code can be claimed for %d days after it was delivered", int(Window/(24*time.Hour))).At("codes")
		}
		if lines[i], err = s.line(ctx, o, h); err != nil {
			return nil, err
		}
	}
	return lines, nil
}

func (s *Service) line(ctx context.Context, o *order.Order, h stock.Held) (Line, error) {
	if h.State != stock.Sold {
		return Line{}, fault.New(fault.InvalidState, "code %d is %s", h.Place, h.State).At("codes")
	}
	look, seen, err := s.Stock.FirstLook(ctx, o.Book, strconv.FormatInt(int64(o.Number), 10), h.SoldAt)
	if err == nil && !seen {
		err = fault.New(fault.InvalidState, "nobody has looked at code %d yet: read the order first", h.Place).At("codes")
	}
	return Line{Place: h.Place, Code: h.ID, SoldAt: h.SoldAt, FirstLook: look, Charged: o.Price, Verdict: Pending}, err
}

// file writes a new claim within tx.
func (s *Service) file(ctx context.Context, tx *storage.Tx, c *Claim, also storage.Also[*Claim]) error {
	n, _, err := storage.One(ctx, tx, storage.Scalar[int], countClaims, string(c.Book), int64(c.Order))
	if err != nil {
		return err
	}
	if n >= MaxPerOrder {
		return fault.New(fault.InvalidState, "there are %d claims about this order, which is the most", n)
	}
	effects := []storage.Effect{insertClaim.Row(c.row()...)}
	for i := range c.Lines {
		effects = append(effects, insertLine.Row(c.lineRow(&c.Lines[i])...))
	}
	effects = append(effects, s.Outbox.Effects(webhook.Event{Book: c.Book, Realm: c.Realm, Type: eventCreated, Data: c.event(c.Lines), At: c.CreatedAt})...)
	if effects, err = also.With(effects, c); err != nil {
		return err
	}
	if err := tx.Apply(ctx, effects); err != nil {
		return err
	}
	return s.Audit.Append(ctx, tx, audit.Record{Actor: c.Credential, Action: "claim.create", Subject: string(c.ID), Book: string(c.Book), At: c.CreatedAt,
		Detail: map[string]string{"order": strconv.FormatInt(int64(c.Order), 10), "codes": places(c.Lines), "reason": string(c.Reason)}})
}

// claimed reports whether another claim is about one of c's codes.
func (s *Service) claimed(ctx context.Context, c *Claim) (bool, error) {
	rows := make([][]any, len(c.Lines))
	for i := range c.Lines {
		rows[i] = []any{string(c.Book), string(c.Lines[i].Code)}
	}
	found, err := storage.AllOf(ctx, s.DB, storage.Scalar[string], findClaimed, rows)
	return len(found) > 0, err
}

// event is the data of an event about some codes of a claim. There is no code in it.
func (c *Claim) event(lines []Line) []byte { return c.told(&webhook.Data{}, lines) }

// told is that data behind what data has already.
func (c *Claim) told(data *webhook.Data, lines []Line) []byte {
	data = data.Text("claim_id", string(c.ID)).Int("order_id", int64(c.Order)).Text("reason", string(c.Reason)).
		Text("status", string(c.State)).Text("codes", places(lines))
	if len(lines) > 0 && lines[0].Verdict == Refund {
		data = data.Text("amount", charged(lines).String()).Text("currency", lines[0].Charged.Currency.String())
	}
	if len(lines) > 0 {
		data = data.Text("transaction_id", string(lines[0].Transaction)).Text("decision", lines[0].Decision).Text("voided", voided(lines))
	}
	return data.JSON()
}

// charged is what lines, one at least, cost together.
func charged(lines []Line) catalog.Charged {
	sum := catalog.NewCharged(0, lines[0].Charged.Currency)
	for i := range lines {
		sum.Minor += lines[i].Charged.Minor
	}
	return sum
}

func appendPlace(text []byte, place int) []byte {
	if len(text) > 0 {
		text = append(text, ',')
	}
	return strconv.AppendInt(text, int64(place), 10)
}
