// Package catalog is what resellers can buy: products with their face values, what they
// are charged for them, and in catalog/stock the codes.
//
// It is reference data, the operator's and the same for every customer and realm: kept in
// the database, served from an index in memory that follows changes of other processes
// within two seconds. Every version of a product and of a price rule is kept, with who
// made it.
//
// Face values and charged amounts are different types and do not convert into each other.
// It must never move money, nor hold a code in the clear.
package catalog

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// ItemCode names a product to resellers, such as "GOOGLE-5USD-KOXx". Its case matters.
type ItemCode string

// Delivery is how a product reaches its buyer.
type Delivery string

// The deliveries.
const (
	Physical Delivery = "PHYSICAL"
	Digital  Delivery = "DIGITAL"
	Both     Delivery = "BOTH"
)

// State is what can be done with a product.
type State string

// The states. A hidden product is not listed, but sold to who knows its code. A retired
// one is not sold; orders of it still find it.
const (
	Active  State = "active"
	Hidden  State = "hidden"
	Retired State = "retired"
)

func (s State) valid() bool { return s == Active || s == Hidden || s == Retired }

// Product is one kind of code: a fixed denomination, or a range of them.
type Product struct {
	Code        ItemCode
	Name        string
	Brand       string
	Category    string
	Description string
	// Image is the address of a picture, https, or what AddImage called one; empty: none of
	// its own.
	Image string
	Terms string
	// Face is what a code is worth; in a range, the least.
	Face Face
	// FaceMax is the most of a range; equal to Face for a fixed denomination.
	FaceMax Face
	// Cost is what a code usually costs the operator; its zero value is unknown.
	Cost Cost
	// Region is in lower case, such as "global" or "eu".
	Region string
	// Countries are ISO 3166-1 codes of where it can be redeemed, sorted; none: anywhere.
	Countries []string
	Delivery  Delivery
	State     State
	// Mint is the gift card template with which codes are made when they are sold; empty:
	// codes come from stock.
	Mint string
	// LowStock is below how many codes the operator is told; 0: never.
	LowStock int
	// Version is that of the catalog that made the product what it is.
	Version   int64
	CreatedAt time.Time
	UpdatedAt time.Time
}

// IsRange reports whether a buyer chooses the denomination.
func (p *Product) IsRange() bool { return p.Face != p.FaceMax }

// Sellable reports whether the product may be ordered.
func (p *Product) Sellable() bool { return p.State != Retired }

// Deps is what a Service stands on.
type Deps struct {
	DB     *storage.DB
	Audit  *audit.Log
	Clocks *clock.Realms
	Logger *slog.Logger
}

// Service is the catalog of one installation. It is safe for concurrent use.
type Service struct {
	Deps
	view    atomic.Pointer[view]
	refresh sync.Mutex
	stocked Stocked // nil: nothing is
}

// Stocked returns which of some items have codes that will be sold as what the item is, in
// any realm.
type Stocked func(ctx context.Context, q storage.Queryer, items []ItemCode) (map[ItemCode]bool, error)

// KeepValues has items keep their value while they have such codes, which have none of their
// own. It is for package stock, before the service is used.
func (s *Service) KeepValues(stocked Stocked) { s.stocked = stocked }

// New returns the service. It knows no product before the first Refresh.
func New(d Deps) *Service {
	s := &Service{Deps: d}
	s.view.Store(emptyView())
	return s
}
