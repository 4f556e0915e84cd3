// Package code is the room of the operator API for selling codes: items and their
// pictures, imports, price rules and tiers, the stock with its batches, orders of all
// customers, and what a book signs with and is told of.
//
// It translates between the wire and packages catalog, stock, order, wallet and account,
// and holds no rule of theirs. No answer of it holds a code: of an order's codes it shows
// where they came from, and who looked at them.
package code

import (
	"net/http"
	"time"

	"github.com/scripcards/scrip/internal/api/operator/desk"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/catalog/stock"
	"github.com/scripcards/scrip/internal/order"
	"github.com/scripcards/scrip/internal/wallet"
)

// Deps is what the room stands on.
type Deps struct {
	Desk    *desk.Desk
	Catalog *catalog.Service
	Stock   *stock.Stock
	Orders  *order.Service
	Alerts  *wallet.Alerts
}

type (
	call    = desk.Call
	surface = desk.Surface
)

type api struct{ Deps }

// Bounds of uploads, which are held in memory: the commands read longer files line by line.
const (
	maxUpload     = 32 << 20
	uploadTimeout = 5 * time.Minute
	maxItem       = 64 << 10
	// imageBytes are the media types of a picture: what it is, its bytes tell.
	imageBytes = "application/octet-stream, image/jpeg, image/png"
	csvText    = "text/csv"
	jsonText   = "application/json"
)

// Register adds the room's routes to the operator API.
func Register(s *surface, d Deps) {
	a := &api{d}
	a.itemRoutes(s)
	a.pictureRoutes(s)
	a.priceRoutes(s)
	a.stockRoutes(s)
	a.orderRoutes(s)
	a.bookRoutes(s)
}

// upload returns the spec of a call whose body is a file.
func upload(name, path, media string) wire.Spec {
	spec := desk.Post(name, path, desk.Administer)
	spec.Accept, spec.MaxBody, spec.Timeout = media, maxUpload, uploadTimeout
	return spec
}

// put returns the spec of a call that replaces something whole.
func put(name, path string, most int64) wire.Spec {
	return wire.Spec{Name: name, Method: http.MethodPut, Path: desk.Base + path, Scope: desk.Administer, MaxBody: most}
}
