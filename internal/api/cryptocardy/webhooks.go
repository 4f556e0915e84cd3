package cryptocardy

import (
	"context"
	"net/http"

	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/webhook"
)

func (a *api) webhookRoutes(s *surface) {
	wire.Handle(s, creating("webhooks.create", "/webhooks"), a.createWebhook)
	wire.Handle(s, get("webhooks.list", "/webhooks"), a.listWebhooks)
	wire.Handle(s, changing("webhooks.delete", http.MethodDelete, "/webhooks/{webhook_id}"), a.deleteWebhook)
}

func viewMadeWebhook(made webhook.Issued) webhookView {
	view := viewWebhook(made.Endpoint)
	view.Secret = made.Secret.Reveal()
	return view
}

func (a *api) createWebhook(ctx context.Context, c *call, in newWebhook) (webhookView, error) {
	return once(ctx, &made[webhook.Issued, webhookView]{a, c, viewMadeWebhook}, func(keep also[webhook.Issued]) (webhook.Issued, error) {
		return a.Webhooks.Create(ctx, webhook.NewEndpoint{Book: c.Principal.Book, Realm: c.Principal.Realm, URL: in.URL, Events: in.Events, Scheme: webhook.SchemeCryptoCardy,
			Secret: in.Secret, Actor: c.Principal.Credential, Also: keep})
	})
}

func (a *api) listWebhooks(ctx context.Context, c *call, _ wire.None) (list[webhookView], error) {
	found, err := a.Webhooks.List(ctx, c.Principal.Book)
	out := list[webhookView]{Data: make([]webhookView, 0, len(found))}
	for _, e := range found {
		out.Data = append(out.Data, viewWebhook(e))
	}
	return out, err
}

func (a *api) deleteWebhook(ctx context.Context, c *call, in webhookPath) (deleted, error) {
	if !id.Valid("wh", in.ID) {
		return deleted{}, unknown("webhook")
	}
	gone := func(webhook.Issued) deleted { return deleted{ID: in.ID, Deleted: true} }
	return once(ctx, &made[webhook.Issued, deleted]{a, c, gone}, func(keep also[webhook.Issued]) (webhook.Issued, error) {
		change := webhook.Change{Book: c.Principal.Book, Endpoint: webhook.EndpointID(in.ID), Actor: c.Principal.Credential, Also: keep}
		return webhook.Issued{}, a.Webhooks.Delete(ctx, change)
	})
}
