package cryptocardy

import (
	"context"
	"net/http"

	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/webhook"
)

func (a *api) webhookRoutes(s *surface) {
	wire.Handle(s, creating("webhooks.create", "/webhooks"), a.createWebhook)
	wire.Handle(s, get("webhooks.list", "/webhooks"), a.listWebhooks)
	wire.Handle(s, changing("webhooks.delete", http.MethodDelete, "/webhooks/{webhook_id}"), a.deleteWebhook)
}

// hook is an endpoint with its secret.
type hook struct {
	endpoint webhook.Endpoint
	secret   pan.Secret
}

func viewMadeWebhook(h hook) webhookView {
	view := viewWebhook(h.endpoint)
	view.Secret = h.secret.Reveal()
	return view
}

func (a *api) createWebhook(ctx context.Context, c *call, in newWebhook) (webhookView, error) {
	return once(ctx, &made[hook, webhookView]{a, c, viewMadeWebhook}, func(keep also[hook]) (hook, error) {
		n := webhook.NewEndpoint{Book: c.Principal.Book, Realm: c.Principal.Realm, URL: in.URL, Events: in.Events, Scheme: webhook.SchemeCryptoCardy,
			Secret: in.Secret, Actor: c.Principal.Credential, Also: hooked(keep)}
		made, secret, err := a.Webhooks.Create(ctx, n)
		return hook{made, secret}, err
	})
}

// hooked is what to write with a webhook.
func hooked(keep also[hook]) webhook.Also {
	if keep == nil {
		return nil
	}
	return func(e webhook.Endpoint, secret pan.Secret) ([]storage.Effect, error) { return keep(hook{e, secret}) }
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
	gone := func(hook) deleted { return deleted{ID: in.ID, Deleted: true} }
	return once(ctx, &made[hook, deleted]{a, c, gone}, func(keep also[hook]) (hook, error) {
		change := webhook.Change{Book: c.Principal.Book, Endpoint: webhook.EndpointID(in.ID), Actor: c.Principal.Credential, Also: hooked(keep)}
		return hook{}, a.Webhooks.Delete(ctx, change)
	})
}
