package operator

import (
	"context"
	"encoding/hex"
	"time"

	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/spec"
)

func (a *api) systemRoutes(s *surface) {
	document := get("document", "/openapi.yaml")
	document.Public, document.Scope, document.Cache = true, "", "public, max-age=300"
	wire.Handle(s, document, a.document)
	wire.Handle(s, get("status", "/status"), a.status)
	wire.Handle(s, get("me", "/me"), a.me)
	wire.Handle(s, get("clock.get", "/clock"), a.getClock)
	wire.Handle(s, once(post("clock.advance", "/clock/advance", administer)), a.advanceClock)
	wire.Handle(s, get("audit.list", "/audit"), a.listAudit)
}

func (a *api) document(context.Context, *call, wire.None) (wire.File, error) {
	text, ok := spec.Document("operator")
	if !ok {
		return wire.File{}, fault.New(fault.Unavailable, "the document is not part of this program")
	}
	return wire.File{ContentType: "application/yaml", Body: text}, nil
}

type migrationsView struct {
	Applied int    `json:"applied"`
	Pending int    `json:"pending"`
	Latest  string `json:"latest"`
}

type statusView struct {
	Version    string         `json:"version"`
	Engine     string         `json:"engine"`
	Migrations migrationsView `json:"migrations"`
	Clock      clockView      `json:"clock"`
}

func (a *api) status(ctx context.Context, _ *call, _ wire.None) (statusView, error) {
	view := statusView{Version: a.Version, Engine: a.DB.Engine(), Clock: a.clock()}
	all, err := a.DB.MigrationStatus(ctx)
	for _, m := range all {
		if m.AppliedAt == 0 {
			view.Migrations.Pending++
			continue
		}
		view.Migrations.Applied++
		view.Migrations.Latest = m.Name
	}
	return view, err
}

type meView struct {
	operatorView
	KeyID string `json:"key_id"`
}

func (a *api) me(_ context.Context, c *call, _ wire.None) (meView, error) {
	return meView{operatorView: viewOperator(c.Principal), KeyID: string(c.Principal.Credential)}, nil
}

type clockView struct {
	LiveAt wire.TimeMillis `json:"live_at"`
	TestAt wire.TimeMillis `json:"test_at"`
	Ahead  duration        `json:"ahead"`
}

func (a *api) clock() clockView { return a.clockAt(a.Clocks.Offset()) }

func (a *api) clockAt(ahead time.Duration) clockView {
	live := a.Clocks.Now(realm.Live)
	return clockView{LiveAt: at(live), TestAt: at(live.Add(ahead)), Ahead: duration(ahead)}
}

func (a *api) getClock(context.Context, *call, wire.None) (clockView, error) { return a.clock(), nil }

type clockAdvance struct {
	By *duration  `json:"by"`
	To wire.Since `json:"to"`
}

func (a *api) advanceClock(ctx context.Context, c *call, in clockAdvance) (clockView, error) {
	to := in.To.Time()
	if (in.By == nil) == to.IsZero() {
		return clockView{}, invalid("by", "exactly one of by and to is required")
	}
	field, by := "by", in.By.or(0)
	if in.By == nil {
		field, by = "to", to.Sub(a.Clocks.Now(realm.Test))
	}
	if by < time.Microsecond {
		return clockView{}, invalid(field, "the test realm's clock only moves forward")
	}
	_, err := a.Accounts.AdvanceTestClock(ctx, actor(c), by, storing(a, c, a.clockAt))
	if fault.CodeOf(err) == fault.InvalidRequest {
		err = fault.From(err).At(field)
	}
	return a.clock(), a.raced(ctx, c, err)
}

type auditQuery struct {
	wire.CursorQuery
	BookID       string `query:"book_id" json:"-"`
	Installation bool   `query:"installation" json:"-"`
	Actor        string `query:"actor" json:"-" wire:"max=200"`
	Action       string `query:"action" json:"-" wire:"max=64"`
	Subject      string `query:"subject" json:"-" wire:"max=200"`
}

type auditView struct {
	Seq     int64             `json:"seq"`
	BookID  string            `json:"book_id,omitzero"`
	Actor   string            `json:"actor"`
	Action  string            `json:"action"`
	Subject string            `json:"subject,omitzero"`
	Detail  map[string]string `json:"detail"`
	At      wire.TimeMillis   `json:"at"`
	Hash    string            `json:"hash"`
}

func viewAudit(e audit.Entry) auditView {
	return auditView{Seq: e.Seq, BookID: e.Book, Actor: e.Actor, Action: e.Action, Subject: e.Subject, Detail: e.Detail, At: at(e.At),
		Hash: hex.EncodeToString(e.Hash[:])}
}

// listAudit lists the records of all books, of one, or of the installation itself.
func (a *api) listAudit(ctx context.Context, _ *call, in auditQuery) (wire.Listing[auditView], error) {
	none := wire.Listing[auditView]{}
	f := audit.Filter{Everywhere: in.BookID == "" && !in.Installation, Actor: in.Actor, Action: in.Action, Subject: in.Subject}
	chain := "all"
	switch {
	case in.BookID != "" && in.Installation:
		return none, invalid("installation", "give book_id or installation, not both")
	case in.Installation:
		chain = "installation"
	case in.BookID != "":
		owner, err := a.owner(ctx, in.BookID)
		if err != nil {
			return none, err
		}
		f.Book, chain = string(owner.Book), in.BookID
	}
	s, err := a.span(in.CursorQuery, "audit", chain, in.Actor, in.Action, in.Subject)
	if err != nil {
		return none, err
	}
	f.Before, f.Limit = audit.Cursor(s.after), s.limit
	found, err := a.Audit.List(ctx, f)
	list := page(found, viewAudit)
	if n := len(found); n == s.limit {
		list.NextCursor = a.more(s, string(found[n-1].Cursor()))
	}
	return list, err
}
