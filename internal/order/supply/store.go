package supply

import (
	"time"

	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/platform/storage"
)

const (
	supplierColumns   = `realm, supplier_id, name, kind, timeout_ms, concurrency, config, state, version, created_at, changed_at`
	routeColumns      = `realm, item_code, supplier_id, supplier_item, priority, at_loss, state, version`
	submissionColumns = `book_id, order_id, remedy, try, submission_id, realm, supplier_id, supplier_item, quantity, denomination, reference, state, reason,
		delivered, currency, cost_minor, asked, sent_at, busy_until, changed_at`
	// listedRoute is true of the routes that there are: those of a supplier go with it.
	listedRoute = `state = 'active' AND NOT EXISTS (SELECT 1 FROM supply_suppliers s
		WHERE s.realm = supply_routes.realm AND s.supplier_id = supply_routes.supplier_id AND s.state = 'removed')`
)

var (
	// bumpVersion keeps every other change waiting until its transaction ends: versions
	// are committed in their order.
	bumpVersion = storage.SQL("supply.bump_version", `INSERT INTO supply_state (name, version) VALUES ('supply', 1)
		ON CONFLICT (name) DO UPDATE SET version = supply_state.version + 1 RETURNING version`)
	findVersion = storage.SQL("supply.find_version", `SELECT version FROM supply_state WHERE name = 'supply'`)

	findSupplier     = storage.SQL("supply.find_supplier", `SELECT `+supplierColumns+` FROM supply_suppliers WHERE realm = $1 AND supplier_id = $2`)
	listSuppliers    = storage.SQL("supply.list_suppliers", `SELECT `+supplierColumns+` FROM supply_suppliers WHERE realm = $1 AND state <> 'removed' ORDER BY supplier_id LIMIT $2`)
	changedSuppliers = storage.SQL("supply.changed_suppliers", `SELECT `+supplierColumns+` FROM supply_suppliers WHERE version > $1`)
	countSuppliers   = storage.SQL("supply.count_suppliers", `SELECT COUNT(*) FROM supply_suppliers WHERE state <> 'removed'`)
	writeSupplier    = storage.Upsert("supply.write_supplier", "supply_suppliers", []string{"realm", "supplier_id"}, "realm", "supplier_id", "name", "kind",
		"timeout_ms", "concurrency", "config", "state", "version", "created_at", "changed_at")

	listRoutes    = storage.SQL("supply.list_routes", `SELECT `+routeColumns+` FROM supply_routes WHERE realm = $1 AND item_code = $2 AND `+listedRoute+` ORDER BY priority, supplier_id`)
	changedRoutes = storage.SQL("supply.changed_routes", `SELECT `+routeColumns+` FROM supply_routes WHERE version > $1`)
	countRoutes   = storage.SQL("supply.count_routes", `SELECT COUNT(*) FROM supply_routes WHERE `+listedRoute)
	writeRoute    = storage.Upsert("supply.write_route", "supply_routes", []string{"realm", "item_code", "supplier_id"}, "realm", "item_code", "supplier_id",
		"supplier_item", "priority", "at_loss", "state", "version", "changed_at")

	insertSubmission = storage.Insert("supply.insert_submission", "supply_submissions", "book_id", "order_id", "remedy", "try", "submission_id", "realm", "supplier_id",
		"supplier_item", "quantity", "denomination", "reference", "state", "reason", "delivered", "currency", "cost_minor", "asked", "sent_at", "busy_until", "changed_at")
	// changeSubmission changes an open one that nobody asked about since it was read.
	changeSubmission = storage.SQL("supply.change_submission", `UPDATE supply_submissions SET state = $4, reference = $5, reason = $6, delivered = $7,
		currency = $8, cost_minor = $9, asked = $10, busy_until = $11, changed_at = $12
		WHERE book_id = $1 AND order_id = $2 AND try = $3 AND state IN ('sent', 'working') AND asked = $13 AND remedy = $14`)
	listSubmissions = storage.SQL("supply.list_submissions", `SELECT `+submissionColumns+` FROM supply_submissions
		WHERE book_id = $1 AND order_id = $2 AND remedy = $3 ORDER BY try`)
	listOpen = storage.SQL("supply.list_open", `SELECT `+submissionColumns+` FROM supply_submissions
		WHERE realm = $1 AND state IN ('sent', 'working') ORDER BY sent_at, book_id, order_id LIMIT $2`)
	countOpen = storage.SQL("supply.count_open", `SELECT COUNT(*) FROM supply_submissions WHERE realm = $1 AND supplier_id = $2 AND state IN ('sent', 'working')`)
)

// The states of rows.
const (
	supplierActive   = "active"
	supplierDisabled = "disabled"
	supplierRemoved  = "removed"
	routeActive      = "active"
	routeRemoved     = "removed"
	submissionSent   = "sent"
)

// supplierRow is a configured supplier as it is stored.
type supplierRow struct {
	Configured
	config  []byte // sealed
	state   string
	version int64
}

func (r *supplierRow) values() []any {
	return []any{string(r.Realm), r.ID, r.Name, r.Kind, r.Timeout.Milliseconds(), int64(r.Concurrency), r.config, r.state, r.version,
		storage.Micros(r.CreatedAt), storage.Micros(r.ChangedAt)}
}

func scanSupplier(row storage.Row) (*supplierRow, error) {
	var (
		r                         supplierRow
		timeout, created, changed int64
	)
	err := row.Scan((*string)(&r.Realm), &r.ID, &r.Name, &r.Kind, &timeout, &r.Concurrency, &r.config, &r.state, &r.version, &created, &changed)
	r.Timeout, r.Active = time.Duration(timeout)*time.Millisecond, r.state == supplierActive
	r.CreatedAt, r.ChangedAt = storage.Time(created), storage.Time(changed)
	return &r, err
}

func (r *Route) values(now time.Time) []any {
	state, below := routeActive, int64(0)
	if r.removed {
		state = routeRemoved
	}
	if r.BelowCost {
		below = 1
	}
	return []any{string(r.Realm), string(r.Item), r.Supplier, r.SupplierItem, int64(r.Priority), below, state, r.version, storage.Micros(now)}
}

func scanRoute(row storage.Row) (r Route, err error) {
	var below int64
	var state string
	err = row.Scan((*string)(&r.Realm), (*string)(&r.Item), &r.Supplier, &r.SupplierItem, &r.Priority, &below, &state, &r.version)
	r.BelowCost, r.removed = below == 1, state == routeRemoved
	return r, err
}

// stored is a submission's state as it is written: what is not known was sent.
func stored(s State) string {
	if s == Unknown {
		return submissionSent
	}
	return string(s)
}

// cost is the one amount that is kept of a submission: what its codes cost once there are some,
// and what each may cost at most before.
func (r *Row) cost() *catalog.Cost {
	if r.State == Delivered {
		return &r.Cost
	}
	return &r.Most
}

// amount is cost as it is stored.
func (r *Row) amount() (currency string, minor int64) {
	c := r.cost()
	if c.Currency.IsValid() {
		currency = c.Currency.String()
	}
	return currency, c.Minor
}

func (r *Row) values() []any {
	currency, minor := r.amount()
	return []any{string(r.Book), r.Order, r.Remedy, int64(r.Try), string(r.ID), string(r.Realm), r.Supplier, r.Item, int64(r.Quantity), r.Denomination, r.Reference, stored(r.State),
		r.Reason, int64(r.Delivered), currency, minor, int64(r.Asked), storage.Micros(r.SentAt), storage.Micros(r.BusyUntil), storage.Micros(r.ChangedAt)}
}

func scanSubmission(row storage.Row) (r Row, err error) {
	var (
		currency                  string
		cost, sent, busy, changed int64
	)
	err = row.Scan((*string)(&r.Book), &r.Order, &r.Remedy, &r.Try, (*string)(&r.ID), (*string)(&r.Realm), &r.Supplier, &r.Item, &r.Quantity, &r.Denomination, &r.Reference,
		(*string)(&r.State), &r.Reason, &r.Delivered, &currency, &cost, &r.Asked, &sent, &busy, &changed)
	if err != nil {
		return r, err
	}
	if r.State == submissionSent {
		r.State = Unknown
	}
	r.SentAt, r.BusyUntil, r.ChangedAt = storage.Time(sent), storage.Time(busy), storage.Time(changed)
	if currency == "" {
		return r, nil
	}
	parsed, err := money.Parse(currency)
	*r.cost() = catalog.NewCost(cost, parsed)
	return r, err
}
