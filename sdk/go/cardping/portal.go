package cardping

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/scripcards/scrip/sdk/go/internal/send"
)

// Portals keeps the pages on which cardholders check a balance.
type Portals struct{ sender *send.Sender }

// Branding is how a portal looks; empty members are absent.
type Branding struct {
	LogoURL      string `json:"logo_url,omitempty"`
	PrimaryColor string `json:"primary_color,omitempty"`
	TextColor    string `json:"text_color,omitempty"`
	Tagline      string `json:"tagline,omitempty"`
	SupportURL   string `json:"support_url,omitempty"`
	PrivacyURL   string `json:"privacy_url,omitempty"`
}

// NewPortal is a portal to be made. A name and a slug are enough.
type NewPortal struct {
	Name         string   `json:"name"`
	Slug         string   `json:"slug"`
	CustomDomain string   `json:"custom_domain,omitempty"`
	Branding     Branding `json:"branding"`
	// Languages has the default first.
	Languages []string `json:"languages,omitempty"`
	// Networks are those that visitors can choose; none means all.
	Networks []string `json:"networks,omitempty"`
	// Active says whether the page is served; nil: it is.
	Active *bool `json:"active,omitempty"`
}

// PortalChange says what to change; nil leaves it as it is. Branding and lists are
// replaced as a whole; an empty CustomDomain gives the domain up.
type PortalChange struct {
	Name         *string   `json:"name,omitempty"`
	Slug         *string   `json:"slug,omitempty"`
	CustomDomain *string   `json:"custom_domain,omitempty"`
	Branding     *Branding `json:"branding,omitempty"`
	Languages    *[]string `json:"languages,omitempty"`
	Networks     *[]string `json:"networks,omitempty"`
	Active       *bool     `json:"active,omitempty"`
}

// Portal is a page on which cardholders check a balance.
type Portal struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Slug string `json:"slug"`
	// CustomDomain is empty, and DomainProof nil, where there is none.
	CustomDomain string       `json:"custom_domain"`
	DomainProof  *DomainProof `json:"domain_proof"`
	Branding     Branding     `json:"branding"`
	Languages    []string     `json:"languages"`
	Networks     []string     `json:"networks"`
	Active       bool         `json:"active"`
	CreatedAt    time.Time    `json:"created_at"`
}

// DomainProof is the record of DNS that shows whose a domain is.
type DomainProof struct {
	// State is "pending" or "verified".
	State      string `json:"state"`
	RecordType string `json:"record_type"`
	RecordName string `json:"record_name"`
	RecordText string `json:"record_text"`
	// CheckedAt is when DNS answered last; nil before.
	CheckedAt *time.Time `json:"checked_at"`
}

// Page asks for a part of a list: what follows Cursor, at most Limit; the API's own number for 0.
type Page struct {
	Cursor string
	Limit  int
}

// Create makes a portal.
func (p *Portals) Create(ctx context.Context, in NewPortal) (*Portal, error) {
	return p.one(ctx, send.Request{Method: http.MethodPost, Path: "/portals", In: in})
}

// List returns a page of portals, the newest first, and the cursor of the next one; empty on the last.
func (p *Portals) List(ctx context.Context, page Page) (portals []Portal, next string, err error) {
	query := url.Values{}
	if page.Cursor != "" {
		query.Set("cursor", page.Cursor)
	}
	if page.Limit != 0 {
		query.Set("limit", strconv.Itoa(page.Limit))
	}
	var out listing[Portal]
	_, err = p.sender.Send(ctx, send.Request{Method: http.MethodGet, Path: "/portals?" + query.Encode(), Out: &out, Repeatable: true})
	return out.Data, out.NextCursor, err
}

// Find reads one portal.
func (p *Portals) Find(ctx context.Context, id string) (*Portal, error) {
	return p.one(ctx, send.Request{Method: http.MethodGet, Path: "/portals" + send.Segment(id), Repeatable: true})
}

// Update changes a portal.
func (p *Portals) Update(ctx context.Context, id string, change PortalChange) (*Portal, error) {
	change.Languages, change.Networks = send.List(change.Languages), send.List(change.Networks)
	return p.one(ctx, send.Request{Method: http.MethodPatch, Path: "/portals" + send.Segment(id), In: change, Repeatable: true})
}

// Verify has the record of the portal's domain looked for now.
func (p *Portals) Verify(ctx context.Context, id string) (*Portal, error) {
	return p.one(ctx, send.Request{Method: http.MethodPost, Path: "/portals" + send.Segment(id) + "/verify", Repeatable: true})
}

// Delete removes a portal.
func (p *Portals) Delete(ctx context.Context, id string) error {
	_, err := p.sender.Send(ctx, send.Request{Method: http.MethodDelete, Path: "/portals" + send.Segment(id), Repeatable: true})
	return err
}

func (p *Portals) one(ctx context.Context, r send.Request) (*Portal, error) {
	var out Portal
	r.Out = &out
	if _, err := p.sender.Send(ctx, r); err != nil {
		return nil, err
	}
	return &out, nil
}
