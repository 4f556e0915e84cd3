package catalog

import (
	"database/sql"
	"strings"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/platform/storage"
)

const (
	productColumns = `item_code, name, brand, category, description, image, terms, currency, face_minor, face_max_minor, cost_currency, cost_minor,
	region, countries, delivery, state, template_id, low_stock, version, actor, created_at, updated_at`
	priceColumns = `rule_id, revision, customer, tier, item_code, brand, basis, percent, currency, charged_minor, priority, from_at, until_at,
	state, version, actor, created_at`
)

// productNames are productColumns one by one.
var productNames = []string{"item_code", "name", "brand", "category", "description", "image", "terms", "currency", "face_minor", "face_max_minor",
	"cost_currency", "cost_minor", "region", "countries", "delivery", "state", "template_id", "low_stock", "version", "actor", "created_at", "updated_at"}

var (
	// bumpVersion keeps every other change of the catalog waiting until its transaction
	// ends: versions are committed in their order.
	bumpVersion = storage.SQL("catalog.bump_version", `INSERT INTO catalog_state (name, version) VALUES ('catalog', 1)
		ON CONFLICT (name) DO UPDATE SET version = catalog_state.version + 1 RETURNING version`)
	findVersion = storage.SQL("catalog.find_version", `SELECT version FROM catalog_state WHERE name = 'catalog'`)

	findProducts = storage.Lookup("catalog.find_products", `SELECT `+productColumns+` FROM catalog_products WHERE item_code IN ({values})`, "TEXT")
	// keepValue changes nothing: whoever changes the product waits, or was waited for.
	keepValue = storage.SQL("catalog.keep_value", `UPDATE catalog_products SET item_code = item_code
		WHERE item_code = $1 AND currency = $2 AND face_minor = $3 AND face_max_minor = $3`)
	lockProducts    = storage.Lookup("catalog.lock_products", `SELECT item_code FROM catalog_products WHERE item_code IN ({values}) ORDER BY item_code {lock}`, "TEXT")
	changedProducts = storage.SQL("catalog.changed_products", `SELECT `+productColumns+` FROM catalog_products WHERE version > $1`)
	countProducts   = storage.SQL("catalog.count_products", `SELECT COUNT(*) FROM catalog_products`)
	listHistory     = storage.SQL("catalog.list_history", `SELECT `+productColumns+` FROM catalog_history WHERE item_code = $1 ORDER BY version DESC LIMIT $2`)
	writeProduct    = storage.Upsert("catalog.write_product", "catalog_products", []string{"item_code"}, productNames...)
	insertHistory   = storage.Insert("catalog.insert_history", "catalog_history", productNames...)

	changedPrices = storage.SQL("catalog.changed_prices", `SELECT `+priceColumns+` FROM catalog_prices WHERE version > $1 ORDER BY version, revision`)
	lastPrice     = storage.SQL("catalog.last_price", `SELECT `+priceColumns+` FROM catalog_prices WHERE rule_id = $1 ORDER BY revision DESC LIMIT 1`)
	countPrices   = storage.SQL("catalog.count_prices", `SELECT COUNT(*) FROM catalog_prices WHERE revision = 1`)
	insertPrice   = storage.Insert("catalog.insert_price", "catalog_prices", "rule_id", "revision", "customer", "tier", "item_code", "brand", "basis",
		"percent", "currency", "charged_minor", "priority", "from_at", "until_at", "state", "version", "actor", "created_at")

	changedTiers = storage.SQL("catalog.changed_tiers", `SELECT account_id, tier, version FROM catalog_tiers WHERE version > $1`)
	findTier     = storage.SQL("catalog.find_tier", `SELECT tier FROM catalog_tiers WHERE account_id = $1`)
	writeTier    = storage.Upsert("catalog.write_tier", "catalog_tiers", []string{"account_id"}, "account_id", "tier", "version", "changed_at")

	insertImage   = storage.Insert("catalog.insert_image", "catalog_images", "image_hash", "type", "data", "actor", "created_at")
	hasImage      = storage.SQL("catalog.has_image", `SELECT 1 FROM catalog_images WHERE image_hash = $1`)
	findImage     = storage.SQL("catalog.find_image", `SELECT type, image_hash, data FROM catalog_images WHERE image_hash = $1`)
	countImages   = storage.SQL("catalog.count_images", `SELECT COUNT(*) FROM catalog_images`)
	knownImages   = storage.Lookup("catalog.known_images", `SELECT image_hash FROM catalog_images WHERE image_hash IN ({values})`, "TEXT")
	changedBrands = storage.SQL("catalog.changed_brands", `SELECT brand, image, version, changed_at FROM catalog_brands WHERE version > $1`)
	findBrand     = storage.SQL("catalog.find_brand", `SELECT image FROM catalog_brands WHERE brand = $1`)
	writeBrand    = storage.Upsert("catalog.write_brand", "catalog_brands", []string{"brand"}, "brand", "image", "version", "changed_at")
)

func (p *Product) values(actor string) []any {
	costCurrency := ""
	if p.Cost.Currency.IsValid() {
		costCurrency = p.Cost.Currency.String()
	}
	return []any{string(p.Code), p.Name, p.Brand, p.Category, p.Description, p.Image, p.Terms, p.Face.Currency.String(), p.Face.Minor, p.FaceMax.Minor,
		costCurrency, p.Cost.Minor, p.Region, strings.Join(p.Countries, " "), string(p.Delivery), string(p.State), p.Mint, int64(p.LowStock),
		p.Version, actor, storage.Micros(p.CreatedAt), storage.Micros(p.UpdatedAt)}
}

// Version is a product as it was made by somebody.
type Version struct {
	Product
	Actor string
}

func scanVersion(r storage.Row) (v Version, err error) {
	var (
		currency, costCurrency, countries string
		face, faceMax, cost, lowStock     int64
		created, updated                  int64
	)
	err = r.Scan((*string)(&v.Code), &v.Name, &v.Brand, &v.Category, &v.Description, &v.Image, &v.Terms, &currency, &face, &faceMax, &costCurrency, &cost,
		&v.Region, &countries, (*string)(&v.Delivery), (*string)(&v.State), &v.Mint, &lowStock, &v.Version, &v.Actor, &created, &updated)
	if err != nil {
		return v, err
	}
	parsed, err := money.Parse(currency)
	if err != nil {
		return v, err
	}
	v.Face, v.FaceMax, v.LowStock = NewFace(face, parsed), NewFace(faceMax, parsed), int(lowStock)
	if costCurrency != "" {
		if parsed, err = money.Parse(costCurrency); err != nil {
			return v, err
		}
		v.Cost = NewCost(cost, parsed)
	}
	v.Countries, v.CreatedAt, v.UpdatedAt = strings.Fields(countries), storage.Time(created), storage.Time(updated)
	return v, nil
}

func scanProduct(r storage.Row) (*Product, error) {
	v, err := scanVersion(r)
	return &v.Product, err
}

const (
	priceActive  = "active"
	priceRemoved = "removed"
)

func (r *Rule) values() []any {
	currency, state := "", priceActive
	if r.Amount.Currency.IsValid() {
		currency = r.Amount.Currency.String()
	}
	if r.Removed {
		state = priceRemoved
	}
	return []any{string(r.ID), r.Revision, string(r.Customer), r.Tier, string(r.Item), r.Brand, string(r.Basis), r.Percent, currency, r.Amount.Minor,
		int64(r.Priority), storage.NullMicros(r.From), storage.NullMicros(r.Until), state, r.Version, r.Actor, storage.Micros(r.At)}
}

func scanRule(row storage.Row) (r Rule, err error) {
	var (
		currency, state string
		minor, priority int64
		from, until     sql.NullInt64
		at              int64
	)
	err = row.Scan((*string)(&r.ID), &r.Revision, (*string)(&r.Customer), &r.Tier, (*string)(&r.Item), &r.Brand, (*string)(&r.Basis), &r.Percent,
		&currency, &minor, &priority, &from, &until, &state, &r.Version, &r.Actor, &at)
	if err != nil {
		return r, err
	}
	if currency != "" {
		parsed, err := money.Parse(currency)
		if err != nil {
			return r, err
		}
		r.Amount = NewCharged(minor, parsed)
	}
	r.Priority, r.Removed, r.At = int(priority), state == priceRemoved, storage.Time(at)
	r.From, r.Until = storage.NullTime(from), storage.NullTime(until)
	return r, nil
}

func scanBrand(r storage.Row) (b Brand, err error) {
	var changed int64
	err = r.Scan(&b.Name, &b.Image, &b.version, &changed)
	b.ChangedAt = storage.Time(changed)
	return b, err
}

// tier is a customer's tier as it is stored.
type tier struct {
	customer account.CustomerID
	name     string
	version  int64
}

func scanTier(r storage.Row) (t tier, err error) {
	err = r.Scan((*string)(&t.customer), &t.name, &t.version)
	return t, err
}
