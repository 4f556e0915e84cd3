package operator

import (
	"context"
	"time"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/core/realm"
)

// credentialGrace is how long a rotated secret still works unless the request says otherwise.
const credentialGrace = 24 * time.Hour

func (a *api) credentialRoutes(s *surface) {
	const keys, key = "/books/{book_id}/keys", "/books/{book_id}/keys/{key_id}"
	wire.Handle(s, created(post("keys.create", keys, administer)), a.createKey)
	wire.Handle(s, get("keys.list", keys), a.listKeys)
	wire.Handle(s, get("keys.get", key), a.getKey)
	wire.Handle(s, patch("keys.change", key, administer), a.changeKey)
	wire.Handle(s, created(post("keys.rotate", key+"/rotate", administer)), a.rotateKey)
	wire.Handle(s, post("keys.revoke", key+"/revoke", administer), a.revokeKey)

	const seeds, seed = "/books/{book_id}/seeds", "/books/{book_id}/seeds/{seed_id}"
	wire.Handle(s, created(post("seeds.create", seeds, administer)), a.createSeed)
	wire.Handle(s, get("seeds.list", seeds), a.listSeeds)
	wire.Handle(s, get("seeds.get", seed), a.getSeed)
	wire.Handle(s, created(post("seeds.rotate", seed+"/rotate", administer)), a.rotateSeed)
	wire.Handle(s, post("seeds.revoke", seed+"/revoke", administer), a.revokeSeed)

	const merchants, merchant = "/books/{book_id}/merchants", "/books/{book_id}/merchants/{client_id}"
	wire.Handle(s, created(post("merchants.create", merchants, administer)), a.createMerchant)
	wire.Handle(s, get("merchants.list", merchants), a.listMerchants)
	wire.Handle(s, get("merchants.get", merchant), a.getMerchant)
	wire.Handle(s, once(post("merchants.rotate", merchant+"/rotate", administer)), a.rotateMerchant)
	wire.Handle(s, post("merchants.enable", merchant+"/enable", administer), a.enableMerchant)
	wire.Handle(s, post("merchants.disable", merchant+"/disable", administer), a.disableMerchant)
}

type keyPath struct {
	bookPath
	KeyID string `path:"key_id" json:"-"`
}

// life is when a key was made and how long it works.
type life struct {
	State      string          `json:"state"`
	CreatedAt  wire.TimeMillis `json:"created_at"`
	ExpiresAt  wire.TimeMillis `json:"expires_at,omitzero"`
	RevokedAt  wire.TimeMillis `json:"revoked_at,omitzero"`
	LastUsedAt wire.TimeMillis `json:"last_used_at,omitzero"`
}

func (a *api) viewLife(l account.Life) life {
	return life{State: string(l.State(a.Clocks.Now(realm.Live))), CreatedAt: at(l.CreatedAt), ExpiresAt: at(l.ExpiresAt),
		RevokedAt: at(l.RevokedAt), LastUsedAt: at(l.LastUsedAt)}
}

type keyView struct {
	KeyID      string   `json:"key_id"`
	BookID     string   `json:"book_id"`
	Realm      string   `json:"realm"`
	Name       string   `json:"name"`
	Scopes     []string `json:"scopes"`
	Networks   []string `json:"networks"`
	Last4      string   `json:"last4"`
	ReplacedBy string   `json:"replaced_by,omitzero"`
	life
}

type issuedKey struct {
	keyView
	Secret string `json:"secret"`
}

func (a *api) viewKey(k account.Key) keyView {
	return keyView{KeyID: string(k.ID), BookID: string(k.Book), Realm: string(k.Realm), Name: k.Name, Scopes: k.Scopes.Names(),
		Networks: k.Networks.Texts(), Last4: k.Last4, ReplacedBy: string(k.ReplacedBy), life: a.viewLife(k.Life)}
}

func (a *api) viewIssued(k account.IssuedKey) issuedKey {
	return issuedKey{keyView: a.viewKey(k.Key), Secret: k.Secret.Reveal()}
}

type newKey struct {
	bookPath
	Name      string     `json:"name" wire:"required,max=128"`
	Scopes    []string   `json:"scopes" wire:"required"`
	Networks  []string   `json:"networks"`
	ExpiresAt wire.Since `json:"expires_at"`
}

func (a *api) createKey(ctx context.Context, c *call, in newKey) (issuedKey, error) {
	owner, err := a.owner(ctx, in.BookID)
	if err != nil {
		return issuedKey{}, err
	}
	settings := account.KeySettings{Name: in.Name}
	if settings.Scopes, err = account.ParseScopes(in.Scopes); err != nil {
		return issuedKey{}, err
	}
	if settings.Networks, err = account.ParseNetworks(in.Networks); err != nil {
		return issuedKey{}, err
	}
	made, err := a.Accounts.CreateKey(ctx, actor(c), account.NewKey{Book: owner.Book, KeySettings: settings, ExpiresAt: in.ExpiresAt.Time(),
		Also: storing(a, c, a.viewIssued)})
	return a.viewIssued(made), a.raced(ctx, c, err)
}

func (a *api) listKeys(ctx context.Context, _ *call, in bookList) (wire.Listing[keyView], error) {
	none := wire.Listing[keyView]{}
	owner, err := a.owner(ctx, in.BookID)
	if err != nil {
		return none, err
	}
	s, err := a.span(in.CursorQuery, "keys", in.BookID)
	if err != nil {
		return none, err
	}
	found, err := a.Accounts.ListKeys(ctx, owner.Book, account.Page{After: s.after, Limit: s.limit})
	list := page(found.Items, a.viewKey)
	list.NextCursor = a.more(s, found.Next)
	return list, err
}

// keyRef returns what names a key; not_found for what cannot be one.
func (a *api) keyRef(ctx context.Context, in keyPath) (account.KeyRef, error) {
	owner, err := a.owner(ctx, in.BookID)
	if err == nil {
		err = known("key", "key", in.KeyID)
	}
	return account.KeyRef{Book: owner.Book, ID: account.KeyID(in.KeyID)}, err
}

func (a *api) getKey(ctx context.Context, _ *call, in keyPath) (keyView, error) {
	ref, err := a.keyRef(ctx, in)
	if err != nil {
		return keyView{}, err
	}
	found, err := a.Accounts.FindKey(ctx, ref)
	return a.viewKey(found), err
}

type keyChange struct {
	keyPath
	Name     *string   `json:"name"`
	Scopes   *[]string `json:"scopes"`
	Networks *[]string `json:"networks"`
}

func (a *api) changeKey(ctx context.Context, c *call, in keyChange) (keyView, error) {
	ref, err := a.keyRef(ctx, in.keyPath)
	if err != nil {
		return keyView{}, err
	}
	changed, err := a.Accounts.ChangeKey(ctx, actor(c), ref, in.apply)
	return a.viewKey(changed), err
}

// apply returns the settings with what the request changes.
func (in *keyChange) apply(to account.KeySettings) (account.KeySettings, error) {
	var err error
	if in.Name != nil {
		to.Name = *in.Name
	}
	if in.Scopes != nil {
		if to.Scopes, err = account.ParseScopes(*in.Scopes); err != nil {
			return to, err
		}
	}
	if in.Networks != nil {
		to.Networks, err = account.ParseNetworks(*in.Networks)
	}
	return to, err
}

type keyRotation struct {
	keyPath
	Grace *duration `json:"grace"`
}

func (a *api) rotateKey(ctx context.Context, c *call, in keyRotation) (issuedKey, error) {
	ref, err := a.keyRef(ctx, in.keyPath)
	if err != nil {
		return issuedKey{}, err
	}
	made, err := a.Accounts.RotateKey(ctx, actor(c), ref, account.KeyRotation{Grace: in.Grace.Or(credentialGrace), Also: storing(a, c, a.viewIssued)})
	return a.viewIssued(made), a.raced(ctx, c, err)
}

func (a *api) revokeKey(ctx context.Context, c *call, in keyPath) (keyView, error) {
	ref, err := a.keyRef(ctx, in)
	if err != nil {
		return keyView{}, err
	}
	if err := a.Accounts.RevokeKey(ctx, actor(c), ref); err != nil {
		return keyView{}, err
	}
	found, err := a.Accounts.FindKey(ctx, ref)
	return a.viewKey(found), err
}

type seedPath struct {
	bookPath
	SeedID string `path:"seed_id" json:"-"`
}

type seedView struct {
	SeedID     string `json:"seed_id"`
	BookID     string `json:"book_id"`
	CustomerID string `json:"customer_id"`
	Realm      string `json:"realm"`
	Name       string `json:"name"`
	ReplacedBy string `json:"replaced_by,omitzero"`
	life
}

type issuedSeed struct {
	seedView
	Seed string `json:"seed"`
}

func (a *api) viewSeed(d account.Seed) seedView {
	return seedView{SeedID: string(d.ID), BookID: string(d.Book), CustomerID: string(d.Customer), Realm: string(d.Realm), Name: d.Name,
		ReplacedBy: string(d.ReplacedBy), life: a.viewLife(d.Life)}
}

func (a *api) viewIssuedSeed(d account.IssuedSeed) issuedSeed {
	return issuedSeed{seedView: a.viewSeed(d.Seed), Seed: d.Secret.Reveal()}
}

type newSeed struct {
	bookPath
	Name string `json:"name" wire:"required,max=128"`
}

func (a *api) createSeed(ctx context.Context, c *call, in newSeed) (issuedSeed, error) {
	owner, err := a.owner(ctx, in.BookID)
	if err != nil {
		return issuedSeed{}, err
	}
	made, err := a.Accounts.CreateSeed(ctx, actor(c), account.NewSeed{Customer: owner.Customer, Realm: owner.Realm, Name: in.Name,
		Also: storing(a, c, a.viewIssuedSeed)})
	return a.viewIssuedSeed(made), a.raced(ctx, c, err)
}

func (a *api) listSeeds(ctx context.Context, _ *call, in bookList) (wire.Listing[seedView], error) {
	none := wire.Listing[seedView]{}
	owner, err := a.owner(ctx, in.BookID)
	if err != nil {
		return none, err
	}
	s, err := a.span(in.CursorQuery, "seeds", in.BookID)
	if err != nil {
		return none, err
	}
	found, err := a.Accounts.ListSeeds(ctx, owner.Book, account.Page{After: s.after, Limit: s.limit})
	list := page(found.Items, a.viewSeed)
	list.NextCursor = a.more(s, found.Next)
	return list, err
}

// seedRef returns what names a seed; not_found for what cannot be one.
func (a *api) seedRef(ctx context.Context, in seedPath) (account.SeedRef, error) {
	owner, err := a.owner(ctx, in.BookID)
	if err == nil {
		err = known("seed", "seed", in.SeedID)
	}
	return account.SeedRef{Book: owner.Book, ID: account.SeedID(in.SeedID)}, err
}

func (a *api) getSeed(ctx context.Context, _ *call, in seedPath) (seedView, error) {
	ref, err := a.seedRef(ctx, in)
	if err != nil {
		return seedView{}, err
	}
	found, err := a.Accounts.FindSeed(ctx, ref)
	return a.viewSeed(found), err
}

type seedRotation struct {
	seedPath
	Grace *duration `json:"grace"`
}

func (a *api) rotateSeed(ctx context.Context, c *call, in seedRotation) (issuedSeed, error) {
	ref, err := a.seedRef(ctx, in.seedPath)
	if err != nil {
		return issuedSeed{}, err
	}
	made, err := a.Accounts.RotateSeed(ctx, actor(c), ref, account.SeedRotation{Grace: in.Grace.Or(credentialGrace), Also: storing(a, c, a.viewIssuedSeed)})
	return a.viewIssuedSeed(made), a.raced(ctx, c, err)
}

func (a *api) revokeSeed(ctx context.Context, c *call, in seedPath) (seedView, error) {
	ref, err := a.seedRef(ctx, in)
	if err != nil {
		return seedView{}, err
	}
	if err := a.Accounts.RevokeSeed(ctx, actor(c), ref); err != nil {
		return seedView{}, err
	}
	found, err := a.Accounts.FindSeed(ctx, ref)
	return a.viewSeed(found), err
}

type merchantPath struct {
	bookPath
	ClientID string `path:"client_id" json:"-"`
}

type merchantView struct {
	ClientID   string          `json:"client_id"`
	BookID     string          `json:"book_id"`
	Realm      string          `json:"realm"`
	Name       string          `json:"name"`
	State      string          `json:"state"`
	CreatedAt  wire.TimeMillis `json:"created_at"`
	RotatedAt  wire.TimeMillis `json:"rotated_at"`
	GraceUntil wire.TimeMillis `json:"grace_until,omitzero"`
	LastUsedAt wire.TimeMillis `json:"last_used_at,omitzero"`
}

type issuedMerchant struct {
	merchantView
	Secret string `json:"secret"`
}

func viewMerchant(m account.MerchantCredential) merchantView {
	return merchantView{ClientID: string(m.ClientID), BookID: string(m.Book), Realm: string(m.Realm), Name: m.Name, State: string(m.State),
		CreatedAt: at(m.CreatedAt), RotatedAt: at(m.RotatedAt), GraceUntil: at(m.GraceUntil), LastUsedAt: at(m.LastUsedAt)}
}

func viewIssuedMerchant(m account.IssuedMerchant) issuedMerchant {
	return issuedMerchant{merchantView: viewMerchant(m.MerchantCredential), Secret: m.Secret.Reveal()}
}

type newMerchant struct {
	bookPath
	Name     string `json:"name" wire:"required,max=128"`
	ClientID string `json:"client_id" wire:"max=64"`
}

func (a *api) createMerchant(ctx context.Context, c *call, in newMerchant) (issuedMerchant, error) {
	owner, err := a.owner(ctx, in.BookID)
	if err != nil {
		return issuedMerchant{}, err
	}
	if in.ClientID != "" {
		if _, err := written("client_id", in.ClientID); err != nil {
			return issuedMerchant{}, err
		}
	}
	made, err := a.Accounts.CreateMerchant(ctx, actor(c), account.NewMerchant{Book: owner.Book, Name: in.Name, ClientID: account.ClientID(in.ClientID),
		Also: storing(a, c, viewIssuedMerchant)})
	return viewIssuedMerchant(made), a.raced(ctx, c, err)
}

func (a *api) listMerchants(ctx context.Context, _ *call, in bookPath) (wire.Listing[merchantView], error) {
	owner, err := a.owner(ctx, in.BookID)
	if err != nil {
		return wire.Listing[merchantView]{}, err
	}
	found, err := a.Accounts.ListMerchants(ctx, owner.Book)
	return page(found, viewMerchant), err
}

func (a *api) merchantRef(ctx context.Context, in merchantPath) (account.MerchantRef, error) {
	owner, err := a.owner(ctx, in.BookID)
	return account.MerchantRef{Book: owner.Book, ClientID: account.ClientID(in.ClientID)}, err
}

func (a *api) getMerchant(ctx context.Context, _ *call, in merchantPath) (merchantView, error) {
	ref, err := a.merchantRef(ctx, in)
	if err != nil {
		return merchantView{}, err
	}
	found, err := a.Accounts.FindMerchant(ctx, ref)
	return viewMerchant(found), err
}

type merchantRotation struct {
	merchantPath
	Grace *duration `json:"grace"`
}

func (a *api) rotateMerchant(ctx context.Context, c *call, in merchantRotation) (issuedMerchant, error) {
	ref, err := a.merchantRef(ctx, in.merchantPath)
	if err != nil {
		return issuedMerchant{}, err
	}
	made, err := a.Accounts.RotateMerchant(ctx, actor(c), ref,
		account.MerchantRotation{Grace: in.Grace.Or(credentialGrace), Also: storing(a, c, viewIssuedMerchant)})
	return viewIssuedMerchant(made), a.raced(ctx, c, err)
}

func (a *api) enableMerchant(ctx context.Context, c *call, in merchantPath) (merchantView, error) {
	return a.setMerchant(ctx, c, in, account.MerchantActive)
}

func (a *api) disableMerchant(ctx context.Context, c *call, in merchantPath) (merchantView, error) {
	return a.setMerchant(ctx, c, in, account.MerchantDisabled)
}

func (a *api) setMerchant(ctx context.Context, c *call, in merchantPath, to account.MerchantState) (merchantView, error) {
	ref, err := a.merchantRef(ctx, in)
	if err != nil {
		return merchantView{}, err
	}
	changed, err := a.Accounts.SetMerchantState(ctx, actor(c), ref, to)
	return viewMerchant(changed), err
}
