package operator

import (
	"cmp"
	"context"
	"encoding/hex"
	"net/http"
	"time"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/api/operator/desk"
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
	var err error
	field, answer := "by", storing(a, c, a.clockAt)
	if in.By != nil {
		_, err = a.Accounts.AdvanceTestClock(ctx, actor(c), in.By.Or(0), answer)
	} else {
		field = "to"
		_, err = a.Accounts.MoveTestClock(ctx, actor(c), to, answer)
	}
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
	f.Before, f.Limit = audit.Cursor(s.after), s.limit+1
	found, more, err := a.Audit.Search(ctx, f)
	found, next := cut(found, s, func(e audit.Entry) string { return string(e.Cursor()) })
	list := page(found, viewAudit)
	list.NextCursor = a.more(s, cmp.Or(next, string(more)))
	return list, err
}

func (a *api) operatorRoutes(s *surface) {
	const one, keys = "/operators/{operator_id}", "/operators/{operator_id}/keys"
	wire.Handle(s, created(post("operators.create", "/operators", administer)), a.createOperator)
	wire.Handle(s, get("operators.list", "/operators"), a.listOperators)
	wire.Handle(s, get("operators.get", one), a.getOperator)
	wire.Handle(s, patch("operators.change", one, administer), a.changeOperator)
	wire.Handle(s, post("operators.enable", one+"/enable", administer), a.enableOperator)
	wire.Handle(s, post("operators.disable", one+"/disable", administer), a.disableOperator)
	wire.Handle(s, created(post("operator_keys.create", keys, administer)), a.createOperatorKey)
	wire.Handle(s, get("operator_keys.list", keys), a.listOperatorKeys)
	revoke := post("operator_keys.revoke", keys+"/{key_id}/revoke", administer)
	revoke.Status = http.StatusNoContent
	wire.Handle(s, revoke, a.revokeOperatorKey)
}

type operatorPath struct {
	OperatorID string `path:"operator_id" json:"-"`
}

func (in operatorPath) id() (account.OperatorID, error) {
	return account.OperatorID(in.OperatorID), known("operator", "opr", in.OperatorID)
}

type operatorView struct {
	OperatorID string          `json:"operator_id"`
	Name       string          `json:"name"`
	Role       string          `json:"role"`
	State      string          `json:"state"`
	CreatedAt  wire.TimeMillis `json:"created_at"`
	ChangedAt  wire.TimeMillis `json:"changed_at"`
}

func viewOperator(o account.Operator) operatorView {
	return operatorView{OperatorID: string(o.ID), Name: o.Name, Role: string(o.Role), State: string(o.State),
		CreatedAt: at(o.CreatedAt), ChangedAt: at(o.ChangedAt)}
}

type newOperator struct {
	Name string `json:"name" wire:"required,max=128"`
	Role string `json:"role" wire:"required"`
}

func (a *api) createOperator(ctx context.Context, c *call, in newOperator) (operatorView, error) {
	made, err := a.Accounts.CreateOperator(ctx, actor(c), account.NewOperator{Name: in.Name, Role: account.Role(in.Role), Also: storing(a, c, viewOperator)})
	return viewOperator(made), a.raced(ctx, c, err)
}

func (a *api) listOperators(ctx context.Context, _ *call, in struct{ wire.CursorQuery }) (wire.Listing[operatorView], error) {
	s, err := a.span(in.CursorQuery, "operators")
	if err != nil {
		return wire.Listing[operatorView]{}, err
	}
	found, err := a.Accounts.ListOperators(ctx, account.Page{After: s.after, Limit: s.limit})
	list := page(found.Items, viewOperator)
	list.NextCursor = a.more(s, found.Next)
	return list, err
}

func (a *api) operator(ctx context.Context, in operatorPath) (account.Operator, error) {
	id, err := in.id()
	if err != nil {
		return account.Operator{}, err
	}
	return a.Accounts.FindOperator(ctx, id)
}

func (a *api) getOperator(ctx context.Context, _ *call, in operatorPath) (operatorView, error) {
	found, err := a.operator(ctx, in)
	return viewOperator(found), err
}

type operatorChange struct {
	operatorPath
	Name *string `json:"name"`
	Role *string `json:"role"`
}

func (a *api) changeOperator(ctx context.Context, c *call, in operatorChange) (operatorView, error) {
	id, err := in.id()
	if err != nil {
		return operatorView{}, err
	}
	changed, err := a.Accounts.ChangeOperator(ctx, actor(c), id, func(to account.NewOperator) (account.NewOperator, error) {
		before := to.Role
		desk.Set(&to.Name, in.Name)
		if in.Role != nil {
			to.Role = account.Role(*in.Role)
		}
		if to.Role != before {
			return to, notSelf(c, id, "change your own role")
		}
		return to, nil
	})
	return viewOperator(changed), err
}

// notSelf keeps operators from locking themselves, and so perhaps everybody, out.
func notSelf(c *call, operator account.OperatorID, what string) error {
	if operator == c.Principal.ID {
		return fault.New(fault.InvalidState, "you cannot %s: have another administrator do it", what)
	}
	return nil
}

func (a *api) enableOperator(ctx context.Context, c *call, in operatorPath) (operatorView, error) {
	return a.setOperator(ctx, c, in, account.OperatorActive)
}

func (a *api) disableOperator(ctx context.Context, c *call, in operatorPath) (operatorView, error) {
	if err := notSelf(c, account.OperatorID(in.OperatorID), "disable yourself"); err != nil {
		return operatorView{}, err
	}
	return a.setOperator(ctx, c, in, account.OperatorDisabled)
}

func (a *api) setOperator(ctx context.Context, c *call, in operatorPath, to account.OperatorState) (operatorView, error) {
	id, err := in.id()
	if err != nil {
		return operatorView{}, err
	}
	changed, err := a.Accounts.SetOperatorState(ctx, actor(c), id, to)
	return viewOperator(changed), err
}

type operatorKeyView struct {
	KeyID      string   `json:"key_id"`
	OperatorID string   `json:"operator_id"`
	Name       string   `json:"name"`
	Networks   []string `json:"networks"`
	Last4      string   `json:"last4"`
	life
}

type issuedOperatorKey struct {
	operatorKeyView
	Secret string `json:"secret"`
}

func (a *api) viewOperatorKey(k account.OperatorKey) operatorKeyView {
	return operatorKeyView{KeyID: string(k.ID), OperatorID: string(k.Operator), Name: k.Name, Networks: k.Networks.Texts(), Last4: k.Last4,
		life: a.viewLife(k.Life)}
}

func (a *api) viewIssuedOperatorKey(k account.IssuedOperatorKey) issuedOperatorKey {
	return issuedOperatorKey{operatorKeyView: a.viewOperatorKey(k.OperatorKey), Secret: k.Secret.Reveal()}
}

type newOperatorKey struct {
	operatorPath
	Name      string     `json:"name" wire:"required,max=128"`
	Networks  []string   `json:"networks"`
	ExpiresAt wire.Since `json:"expires_at"`
}

func (a *api) createOperatorKey(ctx context.Context, c *call, in newOperatorKey) (issuedOperatorKey, error) {
	owner, err := a.operator(ctx, in.operatorPath)
	if err != nil {
		return issuedOperatorKey{}, err
	}
	networks, err := account.ParseNetworks(in.Networks)
	if err != nil {
		return issuedOperatorKey{}, err
	}
	made, err := a.Accounts.CreateOperatorKey(ctx, actor(c), account.NewOperatorKey{Operator: owner.ID, Name: in.Name, Networks: networks,
		ExpiresAt: in.ExpiresAt.Time(), Also: storing(a, c, a.viewIssuedOperatorKey)})
	return a.viewIssuedOperatorKey(made), a.raced(ctx, c, err)
}

type operatorKeyList struct {
	operatorPath
	wire.CursorQuery
}

func (a *api) listOperatorKeys(ctx context.Context, _ *call, in operatorKeyList) (wire.Listing[operatorKeyView], error) {
	none := wire.Listing[operatorKeyView]{}
	owner, err := a.operator(ctx, in.operatorPath)
	if err != nil {
		return none, err
	}
	s, err := a.span(in.CursorQuery, "operator_keys", in.OperatorID)
	if err != nil {
		return none, err
	}
	found, err := a.Accounts.ListOperatorKeys(ctx, owner.ID, account.Page{After: s.after, Limit: s.limit})
	list := page(found.Items, a.viewOperatorKey)
	list.NextCursor = a.more(s, found.Next)
	return list, err
}

type operatorKeyPath struct {
	operatorPath
	KeyID string `path:"key_id" json:"-"`
}

func (a *api) revokeOperatorKey(ctx context.Context, c *call, in operatorKeyPath) (wire.None, error) {
	owner, err := in.id()
	if err == nil {
		err = known("key", "key", in.KeyID)
	}
	if err != nil {
		return wire.None{}, err
	}
	return wire.None{}, a.Accounts.RevokeOperatorKey(ctx, actor(c), account.OperatorKeyRef{Operator: owner, ID: account.KeyID(in.KeyID)})
}
