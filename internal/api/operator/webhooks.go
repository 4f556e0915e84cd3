package operator

import (
	"cmp"
	"context"
	"net/http"
	"strings"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/webhook"
)

func (a *api) eventRoutes(s *surface) {
	const event = "/books/{book_id}/events/{event_id}"
	wire.Handle(s, get("events.feed", "/events"), a.eventFeed)
	wire.Handle(s, get("events.list", "/books/{book_id}/events"), a.listEvents)
	wire.Handle(s, get("events.get", event), a.getEvent)
	wire.Handle(s, get("events.deliveries", event+"/deliveries"), a.eventDeliveries)
}

func (a *api) webhookRoutes(s *surface) {
	const hooks, hook = "/books/{book_id}/webhooks", "/books/{book_id}/webhooks/{webhook_id}"
	const delivery = hook + "/deliveries/{event_id}"
	remove := wire.Spec{Name: "webhooks.delete", Method: http.MethodDelete, Path: base + hook, Scope: administer, Status: http.StatusNoContent}
	wire.Handle(s, created(post("webhooks.create", hooks, administer)), a.createWebhook)
	wire.Handle(s, get("webhooks.list", hooks), a.listWebhooks)
	wire.Handle(s, get("webhooks.get", hook), a.getWebhook)
	wire.Handle(s, patch("webhooks.change", hook, administer), a.changeWebhook)
	wire.Handle(s, remove, a.deleteWebhook)
	wire.Handle(s, once(post("webhooks.rotate", hook+"/rotate", administer)), a.rotateWebhook)
	wire.Handle(s, post("webhooks.enable", hook+"/enable", assist), a.enableWebhook)
	wire.Handle(s, post("webhooks.disable", hook+"/disable", assist), a.disableWebhook)
	wire.Handle(s, once(post("webhooks.test", hook+"/test", assist)), a.testWebhook)
	wire.Handle(s, get("deliveries.list", hook+"/deliveries"), a.listDeliveries)
	wire.Handle(s, get("deliveries.get", delivery), a.getDelivery)
	wire.Handle(s, once(post("deliveries.resend", delivery+"/resend", assist)), a.resendDelivery)
}

type eventView struct {
	EventID   string `json:"event_id"`
	BookID    string `json:"book_id"`
	Realm     string `json:"realm"`
	Type      string `json:"type"`
	State     string `json:"state"`
	Sensitive bool   `json:"sensitive"`
	// Data is absent where it is sensitive.
	Data wire.Raw        `json:"data,omitzero"`
	At   wire.TimeMillis `json:"at"`
}

func viewEvent(e webhook.Event) eventView {
	return eventView{EventID: string(e.ID), BookID: string(e.Book), Realm: string(e.Realm), Type: e.Type, State: e.State, Sensitive: e.Sensitive,
		Data: wire.Raw(e.Data), At: at(e.At)}
}

type eventQuery struct {
	wire.CursorQuery
	Type string `query:"type" json:"-" wire:"max=64"`
	// After turns the list around: the oldest of what is newer than a place, for followers.
	After string `query:"after" json:"-" wire:"max=1024"`
}

type eventFeed struct {
	eventQuery
	Realm string `query:"realm" json:"-" wire:"required"`
}

// eventListing is a list that can be followed: NewestCursor is the place of its
// newest event, or the one that the request gave; before what is not settled.
type eventListing struct {
	wire.Listing[eventView]
	NewestCursor string `json:"newest_cursor,omitzero"`
}

func (a *api) eventFeed(ctx context.Context, _ *call, in eventFeed) (eventListing, error) {
	r, err := realmOf(in.Realm)
	if err != nil {
		return eventListing{}, err
	}
	return a.events(ctx, in.eventQuery, webhook.EventFilter{Realm: r})
}

type eventList struct {
	bookPath
	eventQuery
}

func (a *api) listEvents(ctx context.Context, _ *call, in eventList) (eventListing, error) {
	owner, err := a.desk.Receiver(ctx, in.BookID)
	if err != nil {
		return eventListing{}, err
	}
	return a.events(ctx, in.eventQuery, webhook.EventFilter{Book: owner.Book})
}

// events lists a page, newest first, in either direction. A follower reads on from the
// newest one, not from the last.
func (a *api) events(ctx context.Context, q eventQuery, f webhook.EventFilter) (eventListing, error) {
	if q.After != "" && q.Cursor != "" {
		return eventListing{}, fault.New(fault.InvalidCursor, "give cursor or after, not both").At("after")
	}
	place := q.CursorQuery
	if q.After != "" {
		place.Cursor = q.After
	}
	s, err := a.span(place, "events", string(f.Book), string(f.Realm), q.Type)
	if err != nil && q.After != "" && fault.CodeOf(err) == fault.InvalidCursor {
		err = fault.From(err).At("after")
	}
	if err != nil {
		return eventListing{}, err
	}
	f.Type, f.Before, f.Limit = q.Type, webhook.Cursor(s.after), s.limit+1
	if q.After != "" {
		f.After, f.Before, f.Settled, f.Limit = f.Before, "", true, s.limit
	}
	found, more, err := a.Webhooks.Outbox.Search(ctx, f)
	if err != nil {
		return eventListing{}, err
	}
	found, next := cut(found, s, func(e webhook.Event) string { return string(e.Cursor()) })
	list := eventListing{Listing: page(found, viewEvent)}
	var newest webhook.Cursor
	switch {
	case q.After == "":
		list.NextCursor = a.more(s, cmp.Or(next, string(more)))
		newest, err = a.newest(ctx, q, f, found)
	case more != "": // nobody looks there again for what is seldom
		newest = more
	case len(found) > 0:
		newest = found[0].Cursor()
	}
	list.NewestCursor = cmp.Or(a.more(s, string(newest)), q.After)
	return list, err
}

// newest returns from where the list is followed that has a page: behind all there is, of
// whatever type, where the first page has none.
func (a *api) newest(ctx context.Context, q eventQuery, f webhook.EventFilter, page []webhook.Event) (webhook.Cursor, error) {
	if len(page) == 0 && q.Cursor == "" {
		f.Type, f.Limit = "", 1
		var err error
		if page, err = a.Webhooks.Outbox.List(ctx, f); err != nil {
			return "", err
		}
	}
	if len(page) == 0 {
		return "", nil
	}
	return a.Webhooks.Outbox.Follow(f, &page[0]), nil
}

type eventPath struct {
	bookPath
	EventID string `path:"event_id" json:"-"`
}

// eventOwner returns the owner of the path's book; not_found for what cannot be an event.
func (a *api) eventOwner(ctx context.Context, in eventPath) (account.Owner, error) {
	owner, err := a.desk.Receiver(ctx, in.BookID)
	if err == nil {
		err = known("event", "evt", in.EventID)
	}
	return owner, err
}

// idLetters are the characters of ids after their prefix, in order.
const idLetters = "0123456789abcdefghjkmnpqrstvwxyz"

// preceding returns the id right before a valid one; the lowest of all has none.
func preceding(id string) (string, bool) {
	b := []byte(id)
	for i := len(b) - 1; b[i] != '_'; i-- {
		if n := strings.IndexByte(idLetters, b[i]); n > 0 {
			b[i] = idLetters[n-1]
			return string(b), true
		}
		b[i] = idLetters[len(idLetters)-1]
	}
	return "", false
}

func (a *api) getEvent(ctx context.Context, _ *call, in eventPath) (eventView, error) {
	owner, err := a.eventOwner(ctx, in)
	if err != nil {
		return eventView{}, err
	}
	noEvent := fault.New(fault.NotFound, "no such event")
	before, ok := preceding(in.EventID)
	if !ok {
		return eventView{}, noEvent
	}
	// The outbox lists; the first event after the id before this one is this one, if it is there.
	place := webhook.Event{ID: webhook.EventID(before), Book: owner.Book, At: a.Clocks.Now(owner.Realm)}
	found, err := a.Webhooks.Outbox.List(ctx, webhook.EventFilter{Book: owner.Book, After: place.Cursor(), Limit: 1})
	if err != nil {
		return eventView{}, err
	}
	if len(found) == 0 || string(found[0].ID) != in.EventID {
		return eventView{}, noEvent
	}
	return viewEvent(found[0]), nil
}

func (a *api) eventDeliveries(ctx context.Context, _ *call, in eventPath) (wire.Listing[deliveryView], error) {
	owner, err := a.eventOwner(ctx, in)
	if err != nil {
		return wire.Listing[deliveryView]{}, err
	}
	found, err := a.Webhooks.DeliveriesOf(ctx, owner.Book, webhook.EventID(in.EventID))
	return page(found, viewDelivery), err
}

type webhookPath struct {
	bookPath
	WebhookID string `path:"webhook_id" json:"-"`
}

type webhookView struct {
	WebhookID     string          `json:"webhook_id"`
	BookID        string          `json:"book_id"`
	Realm         string          `json:"realm"`
	URL           string          `json:"url"`
	Events        []string        `json:"events"`
	Scheme        string          `json:"scheme"`
	Active        bool            `json:"active"`
	Reason        string          `json:"reason,omitzero"`
	Failures      int             `json:"failures"`
	FailingSince  wire.TimeMillis `json:"failing_since,omitzero"`
	PreviousUntil wire.TimeMillis `json:"previous_until,omitzero"`
	CreatedAt     wire.TimeMillis `json:"created_at"`
}

type issuedWebhook struct {
	webhookView
	Secret string `json:"secret"`
}

func viewWebhook(e webhook.Endpoint) webhookView {
	return webhookView{WebhookID: string(e.ID), BookID: string(e.Book), Realm: string(e.Realm), URL: e.URL, Events: e.Events, Scheme: e.Scheme,
		Active: e.Active, Reason: e.Reason, Failures: e.Failures, FailingSince: at(e.FailingSince), PreviousUntil: at(e.PreviousUntil),
		CreatedAt: at(e.CreatedAt)}
}

func viewIssuedWebhook(made webhook.Issued) issuedWebhook {
	return issuedWebhook{webhookView: viewWebhook(made.Endpoint), Secret: made.Secret.Reveal()}
}

type newWebhook struct {
	bookPath
	URL    string     `json:"url" wire:"required,max=2048"`
	Events []string   `json:"events" wire:"required"`
	Scheme string     `json:"scheme"`
	Secret pan.Secret `json:"secret"`
}

func (a *api) createWebhook(ctx context.Context, c *call, in newWebhook) (issuedWebhook, error) {
	owner, err := a.desk.Receiver(ctx, in.BookID)
	if err != nil {
		return issuedWebhook{}, err
	}
	switch in.Scheme {
	case "":
		in.Scheme = webhook.SchemeCardPing
	case webhook.SchemeCardPing, webhook.SchemeCryptoCardy:
	default:
		return issuedWebhook{}, invalid("scheme", "the scheme must be %s or %s", webhook.SchemeCardPing, webhook.SchemeCryptoCardy)
	}
	made, err := a.Webhooks.Create(ctx, webhook.NewEndpoint{Book: owner.Book, Realm: owner.Realm, URL: in.URL, Events: in.Events,
		Scheme: in.Scheme, Secret: in.Secret, Actor: actor(c), Also: storing(a, c, viewIssuedWebhook)})
	return viewIssuedWebhook(made), a.raced(ctx, c, err)
}

func (a *api) listWebhooks(ctx context.Context, _ *call, in bookPath) (wire.Listing[webhookView], error) {
	owner, err := a.desk.Receiver(ctx, in.BookID)
	if err != nil {
		return wire.Listing[webhookView]{}, err
	}
	found, err := a.Webhooks.List(ctx, owner.Book)
	return page(found, viewWebhook), err
}

// webhookOf says which endpoint a path names, and who changes it.
func (a *api) webhookOf(ctx context.Context, c *call, in webhookPath) (webhook.Change, error) {
	owner, err := a.desk.Receiver(ctx, in.BookID)
	if err == nil {
		err = known("webhook", "wh", in.WebhookID)
	}
	return webhook.Change{Book: owner.Book, Endpoint: webhook.EndpointID(in.WebhookID), Actor: actor(c)}, err
}

func (a *api) getWebhook(ctx context.Context, c *call, in webhookPath) (webhookView, error) {
	which, err := a.webhookOf(ctx, c, in)
	if err != nil {
		return webhookView{}, err
	}
	found, err := a.Webhooks.Find(ctx, which.Book, which.Endpoint)
	return viewWebhook(found), err
}

type webhookChange struct {
	webhookPath
	URL    *string  `json:"url"`
	Events []string `json:"events"`
}

func (a *api) changeWebhook(ctx context.Context, c *call, in webhookChange) (webhookView, error) {
	which, err := a.webhookOf(ctx, c, in.webhookPath)
	if err != nil {
		return webhookView{}, err
	}
	changed, err := a.Webhooks.Change(ctx, which, webhook.Settings{URL: in.URL, Events: in.Events})
	return viewWebhook(changed), err
}

func (a *api) deleteWebhook(ctx context.Context, c *call, in webhookPath) (wire.None, error) {
	which, err := a.webhookOf(ctx, c, in)
	if err != nil {
		return wire.None{}, err
	}
	return wire.None{}, a.Webhooks.Delete(ctx, which)
}

type webhookRotation struct {
	webhookPath
	Grace  *duration  `json:"grace"`
	Secret pan.Secret `json:"secret"`
}

func (a *api) rotateWebhook(ctx context.Context, c *call, in webhookRotation) (issuedWebhook, error) {
	which, err := a.webhookOf(ctx, c, in.webhookPath)
	if err != nil {
		return issuedWebhook{}, err
	}
	grace := in.Grace.Or(webhook.DefaultGrace)
	if grace <= 0 {
		return issuedWebhook{}, invalid("grace", "the grace must be above zero and at most %s", webhook.MaxGrace)
	}
	which.Also = storing(a, c, viewIssuedWebhook)
	made, err := a.Webhooks.Rotate(ctx, which, webhook.Rotation{Secret: in.Secret, Grace: grace})
	return viewIssuedWebhook(made), a.raced(ctx, c, err)
}

func (a *api) enableWebhook(ctx context.Context, c *call, in webhookPath) (webhookView, error) {
	which, err := a.webhookOf(ctx, c, in)
	if err != nil {
		return webhookView{}, err
	}
	changed, err := a.Webhooks.Enable(ctx, which)
	return viewWebhook(changed), err
}

type webhookReason struct {
	webhookPath
	reasoned
}

func (a *api) disableWebhook(ctx context.Context, c *call, in webhookReason) (webhookView, error) {
	which, err := a.webhookOf(ctx, c, in.webhookPath)
	if err != nil {
		return webhookView{}, err
	}
	reason, err := written("reason", in.Reason)
	if err != nil {
		return webhookView{}, err
	}
	changed, err := a.Webhooks.Disable(ctx, which, reason)
	return viewWebhook(changed), err
}

func (a *api) testWebhook(ctx context.Context, c *call, in webhookPath) (deliveryView, error) {
	which, err := a.webhookOf(ctx, c, in)
	if err != nil {
		return deliveryView{}, err
	}
	which.Queued = storing(a, c, viewDelivery)
	queued, err := a.Webhooks.SendTest(ctx, which)
	return viewDelivery(queued), a.raced(ctx, c, err)
}

type deliveryView struct {
	DeliveryID string          `json:"delivery_id"`
	BookID     string          `json:"book_id"`
	EventID    string          `json:"event_id"`
	WebhookID  string          `json:"webhook_id"`
	State      string          `json:"state"`
	Attempts   int             `json:"attempts"`
	QueuedAt   wire.TimeMillis `json:"queued_at"`
	DueAt      wire.TimeMillis `json:"due_at"`
}

func viewDelivery(d webhook.Delivery) deliveryView {
	return deliveryView{DeliveryID: d.ID, BookID: string(d.Book), EventID: string(d.Event), WebhookID: string(d.Endpoint), State: d.State,
		Attempts: d.Attempts, QueuedAt: at(d.QueuedAt), DueAt: at(d.DueAt)}
}

type deliveryList struct {
	webhookPath
	wire.CursorQuery
	State string `query:"state" json:"-" wire:"max=32"`
}

func (a *api) listDeliveries(ctx context.Context, c *call, in deliveryList) (wire.Listing[deliveryView], error) {
	none := wire.Listing[deliveryView]{}
	which, err := a.webhookOf(ctx, c, in.webhookPath)
	if err != nil {
		return none, err
	}
	if _, err := a.Webhooks.Find(ctx, which.Book, which.Endpoint); err != nil {
		return none, err
	}
	s, err := a.span(in.CursorQuery, "deliveries", in.BookID, in.WebhookID, in.State)
	if err != nil {
		return none, err
	}
	found, more, err := a.Webhooks.Deliveries(ctx, webhook.DeliveryFilter{Book: which.Book, Endpoint: which.Endpoint, State: in.State,
		Before: webhook.EventID(s.after), Limit: s.limit + 1})
	found, next := cut(found, s, func(d webhook.Delivery) string { return string(d.Event) })
	list := page(found, viewDelivery)
	list.NextCursor = a.more(s, cmp.Or(next, string(more)))
	return list, err
}

type deliveryPath struct {
	webhookPath
	EventID string `path:"event_id" json:"-"`
}

type attemptView struct {
	Number    int             `json:"number"`
	Status    int             `json:"status"`
	Error     string          `json:"error,omitzero"`
	LatencyMS int64           `json:"latency_ms"`
	Answer    string          `json:"answer"`
	At        wire.TimeMillis `json:"at"`
}

func viewAttempt(t webhook.Attempt) attemptView {
	return attemptView{Number: t.Number, Status: t.Status, Error: t.Error, LatencyMS: t.Latency.Milliseconds(),
		Answer: strings.ToValidUTF8(string(t.Answer), "\ufffd"), At: at(t.At)}
}

type deliveryDetail struct {
	deliveryView
	Requests []attemptView `json:"requests"`
}

func (a *api) getDelivery(ctx context.Context, c *call, in deliveryPath) (deliveryDetail, error) {
	d, err := a.delivery(ctx, c, in)
	if err != nil {
		return deliveryDetail{}, err
	}
	attempts, err := a.Webhooks.Attempts(ctx, d)
	return deliveryDetail{deliveryView: viewDelivery(d), Requests: page(attempts, viewAttempt).Data}, err
}

// delivery finds the delivery of one event to one endpoint.
func (a *api) delivery(ctx context.Context, c *call, in deliveryPath) (webhook.Delivery, error) {
	which, err := a.webhookOf(ctx, c, in.webhookPath)
	if err == nil {
		err = known("event", "evt", in.EventID)
	}
	if err != nil {
		return webhook.Delivery{}, err
	}
	found, err := a.deliveryOf(ctx, which.Book, which.Endpoint, webhook.EventID(in.EventID))
	return found, err
}

func (a *api) deliveryOf(ctx context.Context, book ledger.BookID, endpoint webhook.EndpointID, event webhook.EventID) (webhook.Delivery, error) {
	all, err := a.Webhooks.DeliveriesOf(ctx, book, event)
	if err != nil {
		return webhook.Delivery{}, err
	}
	for _, d := range all {
		if d.Endpoint == endpoint {
			return d, nil
		}
	}
	return webhook.Delivery{}, fault.New(fault.NotFound, "the event has no delivery to this webhook")
}

func (a *api) resendDelivery(ctx context.Context, c *call, in deliveryPath) (deliveryView, error) {
	which, err := a.webhookOf(ctx, c, in.webhookPath)
	if err == nil {
		err = known("event", "evt", in.EventID)
	}
	if err != nil {
		return deliveryView{}, err
	}
	which.Queued = storing(a, c, viewDelivery)
	queued, err := a.Webhooks.Resend(ctx, which, webhook.EventID(in.EventID))
	return viewDelivery(queued), a.raced(ctx, c, err)
}
