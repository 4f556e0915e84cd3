package supply

import (
	"context"
	"slices"
	"strconv"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/plain"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Route says that a supplier delivers an item.
type Route struct {
	Realm    realm.Realm
	Item     catalog.ItemCode
	Supplier string // Stock, or the id of one that is configured
	// SupplierItem is the supplier's own name for the item; empty: the same.
	SupplierItem string
	// Priority is 0 to MaxPriority; the lowest is asked first.
	Priority int
	// BelowCost lets codes be sold for less than they cost.
	BelowCost bool

	removed bool
	version int64
}

// Bounds of routes.
const (
	MaxPriority  = 1000
	maxRoutes    = 1_000_000
	maxItemRoute = 16
	maxItemName  = 64
)

// TheirItem is the supplier's name for the item.
func (r *Route) TheirItem() string {
	if r.SupplierItem == "" {
		return string(r.Item)
	}
	return r.SupplierItem
}

// PutRoute adds a route, or replaces that of its item and supplier, in all processes within
// two seconds and in this one at once. It returns invalid_request, not_found for an unknown
// item or supplier, or quota_exceeded.
func (s *Service) PutRoute(ctx context.Context, r Route, actor string) error {
	if err := s.checkRoute(ctx, &r); err != nil {
		return err
	}
	r.removed = false
	return s.writeRoute(ctx, r, audit.Record{Actor: actor, Action: "supplier.route"})
}

// RemoveRoute removes a route, or returns not_found. Orders that were submitted over it are
// not touched.
func (s *Service) RemoveRoute(ctx context.Context, r Route, actor string) error {
	r.removed = true
	return s.writeRoute(ctx, r, audit.Record{Actor: actor, Action: "supplier.unroute"})
}

func (s *Service) checkRoute(ctx context.Context, r *Route) error {
	if _, err := realm.Parse(string(r.Realm)); err != nil {
		return invalidAt("realm", "want live or test")
	}
	if r.Priority < 0 || r.Priority > MaxPriority {
		return invalidAt("priority", "want 0 to %d", MaxPriority)
	}
	if !plain.LineBytes(r.SupplierItem, 0, maxItemName) {
		return invalidAt("supplier_item", "want at most %d bytes of plain text", maxItemName)
	}
	p, err := s.Catalog.Find(ctx, r.Item)
	if err != nil {
		return err
	}
	if r.Supplier == Stock {
		return nil
	}
	to, err := s.Find(ctx, r.Realm, r.Supplier)
	if err != nil {
		return err
	}
	if to.Kind == KindGiftcard && p.Mint == "" {
		return invalidAt("supplier", "the item has no template to make gift cards with")
	}
	return nil
}

// writeRoute writes a route as a new version, unless it is as it was.
func (s *Service) writeRoute(ctx context.Context, r Route, record audit.Record) error {
	err := s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		version, _, err := storage.One(ctx, tx, storage.Scalar[int64], bumpVersion)
		if err != nil {
			return err
		}
		there, err := storage.All(ctx, tx, scanRoute, listRoutes, string(r.Realm), string(r.Item))
		if err != nil {
			return err
		}
		if err := s.roomForRoute(ctx, tx, &r, there); err != nil {
			return err
		}
		if slices.ContainsFunc(there, func(old Route) bool { r.version = old.version; return old == r }) {
			return nil
		}
		r.version = version
		if err := tx.ExecRows(ctx, writeRoute, [][]any{r.values(s.now())}); err != nil {
			return err
		}
		record.Subject, record.At = string(r.Realm)+"/"+r.Supplier, s.now()
		record.Detail = map[string]string{"item": string(r.Item), "supplier_item": r.SupplierItem, "priority": strconv.Itoa(r.Priority),
			"below_cost": strconv.FormatBool(r.BelowCost)}
		return s.Audit.Append(ctx, tx, record)
	})
	if err != nil {
		return err
	}
	return s.Refresh(ctx)
}

// roomForRoute refuses a route too many, and the removal of one that is not there.
func (s *Service) roomForRoute(ctx context.Context, tx *storage.Tx, r *Route, there []Route) error {
	for _, old := range there {
		if old.Supplier == r.Supplier {
			return nil
		}
	}
	if r.removed {
		return fault.New(fault.NotFound, "no such route")
	}
	all, _, err := storage.One(ctx, tx, storage.Scalar[int], countRoutes)
	if err == nil && (len(there) >= maxItemRoute || all >= maxRoutes) {
		err = fault.New(fault.QuotaExceeded, "an item has at most %d routes, and all items %d", maxItemRoute, maxRoutes)
	}
	return err
}

// Routes returns the routes of an item in a realm, by priority and supplier, but for those of
// suppliers that were removed. Where stock is none of them the item comes from it all the
// same, before the others. It returns not_found for an unknown item.
func (s *Service) Routes(ctx context.Context, r realm.Realm, item catalog.ItemCode) ([]Route, error) {
	if _, err := s.Catalog.Find(ctx, item); err != nil {
		return nil, err
	}
	return storage.All(ctx, s.DB, scanRoute, listRoutes, string(r), string(item))
}
