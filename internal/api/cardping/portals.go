package cardping

import (
	"context"
	"net/http"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/ping"
	"github.com/scripcards/scrip/internal/portal"
)

func (a *api) portalRoutes(s *surface) {
	const all, one = "/portals", "/portals/{id}"
	const read, write = account.ScopePortalRead, account.ScopePortalWrite
	wire.Handle(s, answering(http.StatusCreated, route("portals.create", http.MethodPost, all, write)), a.createPortal)
	wire.Handle(s, route("portals.list", http.MethodGet, all, read), a.listPortals)
	wire.Handle(s, route("portals.get", http.MethodGet, one, read), a.getPortal)
	wire.Handle(s, route("portals.change", http.MethodPatch, one, write), a.changePortal)
	wire.Handle(s, route("portals.verify", http.MethodPost, one+"/verify", write), a.verifyPortal)
	wire.Handle(s, answering(http.StatusNoContent, route("portals.delete", http.MethodDelete, one, write)), a.deletePortal)
}

// barred refuses a key that is suspended for searching cards: a portal is another way to.
func (a *api) barred(c *call) error {
	return a.Pings.Barred(ping.Caller{Book: c.Principal.Book, Credential: c.Principal.Credential})
}

func (a *api) createPortal(ctx context.Context, c *call, in newPortal) (portalView, error) {
	if err := a.barred(c); err != nil {
		return portalView{}, err
	}
	made, err := a.Portals.Create(ctx, portal.NewPortal{Book: c.Principal.Book, Realm: c.Principal.Realm, Name: in.Name, Slug: in.Slug,
		CustomDomain: in.CustomDomain, Branding: portal.Branding(in.Branding), Languages: in.Languages, Networks: in.Networks,
		Inactive: in.Active != nil && !*in.Active, Actor: c.Principal.Credential})
	return portalOf(made), full(err)
}

func (a *api) listPortals(ctx context.Context, c *call, in portalList) (wire.Listing[portalView], error) {
	limit, err := in.Size(defaultPage, portal.MaxPage)
	if err != nil {
		return wire.Listing[portalView]{}, err
	}
	found, err := a.Portals.List(ctx, c.Principal.Book, portal.ID(in.Cursor), limit+1)
	out := wire.Listing[portalView]{Data: make([]portalView, 0, len(found))}
	if len(found) > limit {
		found = found[:limit]
		out.NextCursor = string(found[limit-1].ID)
	}
	for _, p := range found {
		out.Data = append(out.Data, portalOf(p))
	}
	return out, err
}

const defaultPage = 50

// portalID reads the id of a path.
func portalID(text string) (portal.ID, error) {
	if !id.Valid("portal", text) {
		return "", fault.New(fault.NotFound, "no such portal")
	}
	return portal.ID(text), nil
}

func (a *api) getPortal(ctx context.Context, c *call, in portalPath) (portalView, error) {
	which, err := portalID(in.ID)
	if err != nil {
		return portalView{}, err
	}
	found, err := a.Portals.Find(ctx, c.Principal.Book, which)
	return portalOf(found), err
}

func (a *api) changePortal(ctx context.Context, c *call, in portalChange) (portalView, error) {
	if err := a.barred(c); err != nil {
		return portalView{}, err
	}
	which, err := portalID(in.ID)
	if err != nil {
		return portalView{}, err
	}
	changed, err := a.Portals.Change(ctx, portal.Change{Book: c.Principal.Book, Portal: which, Name: in.Name, Slug: in.Slug,
		CustomDomain: in.CustomDomain, Branding: (*portal.Branding)(in.Branding), Languages: in.Languages, Networks: in.Networks,
		Active: in.Active, Actor: c.Principal.Credential})
	return portalOf(changed), full(err)
}

// verifyPortal has the record of the portal's domain looked for now.
func (a *api) verifyPortal(ctx context.Context, c *call, in portalPath) (portalView, error) {
	which, err := portalID(in.ID)
	if err != nil {
		return portalView{}, err
	}
	after, err := a.Portals.VerifyDomain(ctx, portal.Change{Book: c.Principal.Book, Portal: which, Actor: c.Principal.Credential})
	return portalOf(after), err
}

func (a *api) deletePortal(ctx context.Context, c *call, in portalPath) (wire.None, error) {
	which, err := portalID(in.ID)
	if err != nil {
		return wire.None{}, err
	}
	return wire.None{}, a.Portals.Delete(ctx, portal.Change{Book: c.Principal.Book, Portal: which, Actor: c.Principal.Credential})
}

func portalOf(p portal.Portal) portalView {
	view := portalView{ID: string(p.ID), Name: p.Name, Slug: p.Slug, Branding: branding(p.Branding), Languages: listed(p.Languages),
		Networks: listed(p.Networks), Active: p.Active, CreatedAt: wire.TimeSecond(p.CreatedAt)}
	if p.CustomDomain != "" {
		name, text := p.Record()
		view.CustomDomain = &p.CustomDomain
		view.DomainProof = &domainProof{State: p.DomainState(), RecordType: "TXT", RecordName: name, RecordText: text}
		if checked := wire.TimeSecond(p.Proof.CheckedAt); !checked.IsZero() {
			view.DomainProof.CheckedAt = &checked
		}
	}
	return view
}

// listed is an empty list where there is none.
func listed(texts []string) []string {
	if texts == nil {
		return []string{}
	}
	return texts
}
