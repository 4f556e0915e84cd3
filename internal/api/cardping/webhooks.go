package cardping

import (
	"context"
	"net/http"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/webhook"
)

func (a *api) webhookRoutes(s *surface) {
	const hooks, hook = "/webhooks", "/webhooks/{id}"
	const read, write = account.ScopeWebhookRead, account.ScopeWebhookWrite
	wire.Handle(s, answering(http.StatusCreated, route("webhooks.create", http.MethodPost, hooks, write)), a.createWebhook)
	wire.Handle(s, route("webhooks.list", http.MethodGet, hooks, read), a.listWebhooks)
	wire.Handle(s, route("webhooks.change", http.MethodPatch, hook, write), a.changeWebhook)
	wire.Handle(s, answering(http.StatusNoContent, route("webhooks.delete", http.MethodDelete, hook, write)), a.deleteWebhook)
	wire.Handle(s, route("webhooks.rotate", http.MethodPost, hook+"/rotate", write), a.rotateWebhook)
}

func (a *api) createWebhook(ctx context.Context, c *call, in newWebhook) (webhookView, error) {
	made, err := a.Webhooks.Create(ctx, webhook.NewEndpoint{Book: c.Principal.Book, Realm: c.Principal.Realm, URL: in.URL,
		Events: in.Events, Scheme: webhook.SchemeCardPing, Actor: c.Principal.Credential})
	return viewIssued(made), full(err)
}

func (a *api) listWebhooks(ctx context.Context, c *call, _ wire.None) (list[webhookView], error) {
	found, err := a.Webhooks.List(ctx, c.Principal.Book)
	out := list[webhookView]{Data: make([]webhookView, 0, len(found))}
	for _, e := range found {
		out.Data = append(out.Data, webhookOf(e))
	}
	return out, err
}

// endpoint says which webhook of the caller's book is to be changed. One that is sent secrets,
// such as codes of 3-D Secure, is only for keys that may see them.
func (a *api) endpoint(ctx context.Context, c *call, text string) (webhook.Change, error) {
	which := webhook.Change{Book: c.Principal.Book, Endpoint: webhook.EndpointID(text), Actor: c.Principal.Credential}
	if !id.Valid("wh", text) {
		return which, fault.New(fault.NotFound, "no such webhook")
	}
	found, err := a.Webhooks.Find(ctx, which.Book, which.Endpoint)
	if err == nil && a.Webhooks.TakesSecrets(&found) {
		err = c.Principal.Require(account.ScopeCardReveal)
	}
	return which, err
}

func (a *api) changeWebhook(ctx context.Context, c *call, in webhookChange) (webhookView, error) {
	which, err := a.endpoint(ctx, c, in.ID)
	if err != nil {
		return webhookView{}, err
	}
	changed, err := a.Webhooks.Change(ctx, which, webhook.Settings{URL: in.URL, Events: in.Events, Active: in.Active})
	return webhookOf(changed), err
}

func (a *api) deleteWebhook(ctx context.Context, c *call, in webhookPath) (wire.None, error) {
	which, err := a.endpoint(ctx, c, in.ID)
	if err != nil {
		return wire.None{}, err
	}
	return wire.None{}, a.Webhooks.Delete(ctx, which)
}

func (a *api) rotateWebhook(ctx context.Context, c *call, in webhookPath) (webhookView, error) {
	which, err := a.endpoint(ctx, c, in.ID)
	if err != nil {
		return webhookView{}, err
	}
	made, err := a.Webhooks.Rotate(ctx, which, webhook.Rotation{})
	return viewIssued(made), err
}
