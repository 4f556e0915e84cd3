package catalog

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// view is one version of the catalog. It never changes.
type view struct {
	version  int64
	products []*Product // in every state, by code
	index    *index
	rules    map[RuleID]Rule
	prices   prices
	tiers    map[account.CustomerID]string
	brands   map[string]Brand
}

func emptyView() *view {
	return &view{index: newIndex(nil), rules: map[RuleID]Rule{}, prices: prices{}, tiers: map[account.CustomerID]string{}, brands: map[string]Brand{}}
}

func (v *view) find(code ItemCode) *Product {
	at, found := slices.BinarySearchFunc(v.products, code, compareCode)
	if !found {
		return nil
	}
	return v.products[at]
}

func compareCode(p *Product, code ItemCode) int { return strings.Compare(string(p.Code), string(code)) }

// changes are the rows of the catalog above some version.
type changes struct {
	version  int64
	products []*Product
	rules    []Rule
	tiers    []tier
	brands   []Brand
}

// refreshEvery is how far Run lets this process fall behind the others.
const refreshEvery = time.Second

// Run follows what other processes change until ctx ends.
func (s *Service) Run(ctx context.Context) {
	for clock.Wait(ctx, refreshEvery) == nil {
		if err := s.Refresh(ctx); err != nil && ctx.Err() == nil {
			s.Logger.ErrorContext(ctx, "refresh catalog", "error", err)
		}
	}
}

// Refresh reads what changed since the last time, all of it the first time.
func (s *Service) Refresh(ctx context.Context) error {
	s.refresh.Lock()
	defer s.refresh.Unlock()
	now := s.view.Load()
	version, found, err := storage.One(ctx, s.DB, storage.Scalar[int64], findVersion)
	if err != nil || !found || version == now.version {
		return err
	}
	var c changes
	err = s.DB.Snapshot(ctx, func(ctx context.Context, q storage.Queryer) error {
		var err error
		c, err = readChanges(ctx, q, now.version)
		return err
	})
	if err != nil {
		return err
	}
	s.view.Store(now.with(c))
	return nil
}

func readChanges(ctx context.Context, q storage.Queryer, since int64) (c changes, err error) {
	if c.version, _, err = storage.One(ctx, q, storage.Scalar[int64], findVersion); err != nil {
		return c, err
	}
	if c.products, err = storage.All(ctx, q, scanProduct, changedProducts, since); err != nil {
		return c, err
	}
	if c.rules, err = storage.All(ctx, q, scanRule, changedPrices, since); err != nil {
		return c, err
	}
	if c.tiers, err = storage.All(ctx, q, scanTier, changedTiers, since); err != nil {
		return c, err
	}
	c.brands, err = storage.All(ctx, q, scanBrand, changedBrands, since)
	return c, err
}

// with returns the view after some changes. What did not change is shared.
func (v *view) with(c changes) *view {
	next := *v
	next.version = c.version
	if len(c.products) > 0 {
		next.products = merge(v.products, c.products)
		next.index = newIndex(next.products)
	}
	if len(c.rules) > 0 {
		next.rules = maps.Clone(v.rules)
		for _, r := range c.rules { // later revisions later
			if next.rules[r.ID] = r; r.Removed {
				delete(next.rules, r.ID)
			}
		}
		next.prices = newPrices(next.rules)
	}
	if len(c.tiers) > 0 {
		next.tiers = maps.Clone(v.tiers)
		for _, t := range c.tiers {
			if next.tiers[t.customer] = t.name; t.name == "" {
				delete(next.tiers, t.customer)
			}
		}
	}
	if len(c.brands) > 0 {
		next.brands = maps.Clone(v.brands)
		for _, b := range c.brands {
			if next.brands[b.Name] = b; b.Image == "" {
				delete(next.brands, b.Name)
			}
		}
	}
	return &next
}

// merge returns products by code, changed ones in place of those that have their code.
func merge(old, changed []*Product) []*Product {
	slices.SortFunc(changed, func(a, b *Product) int { return compareCode(a, b.Code) })
	merged := make([]*Product, 0, len(old)+len(changed))
	for _, p := range changed {
		for len(old) > 0 && old[0].Code < p.Code {
			merged, old = append(merged, old[0]), old[1:]
		}
		if len(old) > 0 && old[0].Code == p.Code {
			old = old[1:]
		}
		merged = append(merged, p)
	}
	return append(merged, old...)
}
