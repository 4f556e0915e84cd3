package catalog

import (
	"context"
	"errors"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/plain"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Bounds of a product and of the catalog.
const (
	maxProducts    = 500_000
	maxName        = 200
	maxBrand       = 100
	maxDescription = 4000
	maxImage       = 500
	maxTerms       = 8000
	maxCountries   = 250
	maxLowStock    = 1_000_000
	maxMajor       = 10_000_000_000 // of a face value or price: any currency's fits into a Value
)

var (
	itemCodes = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)
	regions   = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)
	countries = regexp.MustCompile(`^[A-Z]{2}$`)
	templates = regexp.MustCompile(`^[A-Za-z0-9_-]{0,64}$`)
)

// errSame undoes a transaction that would change nothing.
var errSame = errors.New("nothing changes")

// Outcome is what became of a product.
type Outcome string

// The outcomes.
const (
	Added   Outcome = "added"
	Changed Outcome = "changed"
	Same    Outcome = "same"
)

// edit is a product that is written, and which columns of it: whatever somebody else put into
// the others meanwhile stays.
type edit struct {
	*Product
	sets columns
	was  Face // before, by what is known of it; zero: it is new
}

// Put adds a product or replaces the one with its code, in all processes within two
// seconds and in this one at once. Versions and times are set here. It returns the product
// as it is now and what that changed, or invalid_request, or quota_exceeded.
func (s *Service) Put(ctx context.Context, p Product, actor string) (Product, Outcome, error) {
	return s.edit(ctx, edit{Product: &p, sets: allColumns}, actor)
}

// edit writes one product.
func (s *Service) edit(ctx context.Context, e edit, actor string) (Product, Outcome, error) {
	if err := e.check(); err != nil {
		return Product{}, "", err
	}
	r := audit.Record{Actor: actor, Action: "catalog.put", Subject: audit.Clean(string(e.Code)), Detail: map[string]string{"state": string(e.State)}}
	outcomes, err := s.put(ctx, []edit{e}, r)
	if err != nil {
		return Product{}, "", err
	}
	now, err := s.Find(ctx, e.Code)
	return now, outcomes[0], err
}

// Retire ends the sale of a product, or returns not_found.
func (s *Service) Retire(ctx context.Context, code ItemCode, actor string) (Product, error) {
	return s.SetState(ctx, code, Retired, actor)
}

// SetState sells a product, hides it or retires it, or returns not_found or invalid_request.
func (s *Service) SetState(ctx context.Context, code ItemCode, to State, actor string) (Product, error) {
	if !to.valid() {
		return Product{}, invalidAt(columnState, "want active, hidden or retired")
	}
	if err := s.Refresh(ctx); err != nil { // the rest stays as another process just put it
		return Product{}, err
	}
	p, err := s.Find(ctx, code)
	if err != nil {
		return Product{}, err
	}
	p.State = to
	record := audit.Record{Actor: actor, Action: "catalog.state", Subject: audit.Clean(string(code)), Detail: map[string]string{"state": string(to)}}
	if to == Retired {
		record.Action, record.Detail = "catalog.retire", nil
	}
	state := columnsOf(func(column string) bool { return column == columnState })
	if _, err := s.put(ctx, []edit{{Product: &p, sets: state}}, record); err != nil {
		return Product{}, err
	}
	return s.Find(ctx, code)
}

// maxHistory bounds the versions that are listed of one product, the newest ones.
const maxHistory = 200

// History returns the versions of a product, newest first, or not_found.
func (s *Service) History(ctx context.Context, code ItemCode) ([]Version, error) {
	all, err := storage.All(ctx, s.DB, scanVersion, listHistory, string(code), maxHistory)
	if err == nil && len(all) == 0 {
		err = unknownItem()
	}
	return all, err
}

// now is the time of changes of the catalog, which belongs to no realm.
func (s *Service) now() time.Time { return s.Clocks.Now(realm.Live) }

// put writes products and has this process know them.
func (s *Service) put(ctx context.Context, products []edit, r audit.Record) ([]Outcome, error) {
	outcomes, err := s.write(ctx, products, r)
	if err != nil {
		return nil, err
	}
	return outcomes, s.Refresh(ctx)
}

// Keeps returns the effect of having an item keep its one value until the end of the transaction.
// It fails with storage.ErrStale where the item has another one, or a range, by now.
func Keeps(item ItemCode, value Face) storage.Effect {
	return keepValue.With(string(item), value.Currency.String(), value.Minor).Exactly(1).Locking(string(item))
}

func rowsOf(items []ItemCode) [][]any {
	rows := make([][]any, len(items))
	for i, item := range items {
		rows[i] = []any{string(item)}
	}
	return rows
}

// revalued returns the place of the first product that would get another value than it had
// while there are codes of that, or -1.
func (s *Service) revalued(ctx context.Context, q storage.Queryer, products []edit) (int, error) {
	var items []ItemCode
	for _, e := range products {
		if e.was != (Face{}) && e.was != e.Face {
			items = append(items, e.Code)
		}
	}
	if s.stocked == nil || len(items) == 0 {
		return -1, nil
	}
	// Whoever adds codes of the value that there is holds the product until they are committed.
	if _, err := storage.AllOf(ctx, q, storage.Scalar[string], lockProducts, rowsOf(items)); err != nil {
		return -1, err
	}
	have, err := s.stocked(ctx, q, items)
	return slices.IndexFunc(products, func(e edit) bool { return have[e.Code] }), err
}

// soldAsAnother is what is wrong with such a product.
const soldAsAnother = "codes of this value are for sale, or delivered for an order under way, and would be sold as another: " +
	"quarantine them and let such orders end first, or make another item"

// write writes those of some products that differ from what there is, as one version.
func (s *Service) write(ctx context.Context, products []edit, r audit.Record) ([]Outcome, error) {
	var outcomes []Outcome
	err := s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		version, _, err := storage.One(ctx, tx, storage.Scalar[int64], bumpVersion)
		if err != nil {
			return err
		}
		r.At = s.now()
		var changed []edit
		if outcomes, changed, err = compare(ctx, tx, products); err != nil {
			return err
		}
		if len(changed) == 0 {
			return errSame
		}
		lost, err := lostImage(ctx, tx, changed)
		if err == nil && lost >= 0 {
			err = invalidAt(columnImage, noImage)
		}
		if err != nil {
			return err
		}
		sold, err := s.revalued(ctx, tx, changed)
		if err == nil && sold >= 0 {
			err = fault.New(fault.InvalidState, soldAsAnother).At(columnValue)
		}
		if err != nil {
			return err
		}
		rows := make([][]any, len(changed))
		for i, p := range changed {
			p.Version, p.UpdatedAt = version, r.At
			if p.CreatedAt.IsZero() {
				p.CreatedAt = r.At
			}
			rows[i] = p.values(r.Actor)
		}
		if err := errors.Join(tx.ExecRows(ctx, writeProduct, rows), tx.ExecRows(ctx, insertHistory, rows)); err != nil {
			return err
		}
		return s.Audit.Append(ctx, tx, r)
	})
	if errors.Is(err, errSame) {
		err = nil
	}
	return outcomes, err
}

// compare returns what products would do to those that are stored, and the ones that do something.
func compare(ctx context.Context, tx *storage.Tx, products []edit) (outcomes []Outcome, changed []edit, err error) {
	codes := make([]ItemCode, len(products))
	for i, p := range products {
		codes[i] = p.Code
	}
	stored, err := storage.AllOf(ctx, tx, scanProduct, findProducts, rowsOf(codes))
	if err != nil {
		return nil, nil, err
	}
	known := make(map[ItemCode]*Product, len(stored))
	for _, p := range stored {
		known[p.Code] = p
	}
	outcomes, added := make([]Outcome, len(products)), 0
	for i, p := range products {
		old := known[p.Code]
		if err := p.catchUp(old); err != nil {
			return nil, nil, err
		}
		switch {
		case old == nil:
			p.CreatedAt, p.was, outcomes[i] = time.Time{}, Face{}, Added
			added++
		case p.same(old):
			outcomes[i] = Same
			continue
		default:
			p.CreatedAt, p.was, outcomes[i] = old.CreatedAt, old.Face, Changed
		}
		changed = append(changed, p)
	}
	if added == 0 {
		return outcomes, changed, nil
	}
	count, _, err := storage.One(ctx, tx, storage.Scalar[int64], countProducts)
	if err == nil && count+int64(added) > maxProducts {
		err = fault.New(fault.QuotaExceeded, "there are %d products, the most is %d", count, maxProducts)
	}
	return outcomes, changed, err
}

// catchUp makes the edit one of the product as it is stored, which may be another version
// than the one that it was made of. It returns invalid_request where that cannot be.
func (e *edit) catchUp(stored *Product) error {
	if stored == nil || e.sets == allColumns || stored.Version == e.Version {
		return nil
	}
	e.keep(stored, e.sets)
	return e.check()
}

// same reports whether two products differ in nothing but versions and times.
func (p *Product) same(other *Product) bool {
	a, b := *p, *other
	a.Version, a.CreatedAt, a.UpdatedAt = b.Version, b.CreatedAt, b.UpdatedAt
	if len(a.Countries) == 0 && len(b.Countries) == 0 {
		a.Countries, b.Countries = nil, nil
	}
	return reflect.DeepEqual(a, b)
}

func invalidAt(field, format string, args ...any) error {
	return fault.New(fault.InvalidRequest, format, args...).At(field)
}

// check refuses what cannot be a product, and fills in what was left out: a range's end,
// the region "global", delivery DIGITAL, the state active. Its errors blame a column of
// imports.
func (p *Product) check() error {
	if all := p.wrong(); len(all) > 0 {
		return all[0]
	}
	return nil
}

// wrong fills in what was left out and returns all that check would refuse, a column once.
func (p *Product) wrong() []error {
	p.fill()
	all := p.wrongWords()
	refuse := func(is bool, column, format string, args ...any) {
		if is {
			all = append(all, invalidAt(column, format, args...))
		}
	}
	refuse(!itemCodes.MatchString(string(p.Code)), columnCode, "an item code has 1 to 64 letters, digits, dots, - and _, and begins with a letter or digit")
	refuse(!regions.MatchString(p.Region), columnRegion, "a region is one word in lower case, such as global or eu")
	refuse(len(p.Countries) > maxCountries || slices.ContainsFunc(p.Countries, func(c string) bool { return !countries.MatchString(c) }),
		columnCountries, "countries are at most %d ISO 3166-1 codes of two letters", maxCountries)
	refuse(!p.Delivery.valid(), columnDelivery, "want PHYSICAL, DIGITAL or BOTH")
	refuse(!p.State.valid(), columnState, "want active, hidden or retired")
	refuse(!templates.MatchString(p.Mint), columnTemplate, "a template id has at most 64 letters, digits, - and _")
	refuse(p.LowStock < 0 || p.LowStock > maxLowStock, columnLowStock, "want 0 to %d codes", maxLowStock)
	return append(all, p.wrongAmounts()...)
}

func (p *Product) fill() {
	if p.FaceMax == (Face{}) {
		p.FaceMax = p.Face
	}
	p.Region, p.Delivery, p.State = orDefault(p.Region, "global"), orDefault(p.Delivery, Digital), orDefault(p.State, Active)
	p.Countries = slices.Clone(p.Countries)
	slices.Sort(p.Countries)
	p.Countries = slices.Compact(p.Countries)
}

func (p *Product) wrongWords() (all []error) {
	for _, t := range []struct {
		column, text string
		least, most  int
		is           func(s string, least, most int) bool
	}{
		{columnName, p.Name, 1, maxName, plain.Line}, {columnBrand, p.Brand, 1, maxBrand, plain.Line}, {columnCategory, p.Category, 0, maxBrand, plain.Line},
		{columnDescription, p.Description, 0, maxDescription, plain.Lines}, {columnTerms, p.Terms, 0, maxTerms, plain.Lines},
	} {
		if strings.TrimSpace(t.text) != t.text || !t.is(t.text, t.least, t.most) {
			all = append(all, invalidAt(t.column, "want %d to %d characters of plain text without spaces around them", t.least, t.most))
		}
	}
	if _, is := Uploaded(p.Image); is || p.Image == "" {
		return all
	}
	u, err := url.Parse(p.Image)
	if err != nil || u.Scheme != "https" || u.Host == "" || !plain.LineBytes(p.Image, 1, maxImage) {
		all = append(all, invalidAt(columnImage, "want an https address of at most %d characters, or image: and the hash of a picture that was uploaded", maxImage))
	}
	return all
}

// wrongAmounts blames one column of a denomination, since each is read by the one before.
func (p *Product) wrongAmounts() (all []error) {
	most := int64(maxMajor)
	for range p.Face.Currency.Digits() {
		most *= 10
	}
	switch {
	case !p.Face.Currency.IsValid() || p.FaceMax.Currency != p.Face.Currency:
		all = append(all, invalidAt(columnCurrency, "want the ISO 4217 code of one currency"))
	case !p.Face.IsPositive() || p.Face.Minor > most:
		all = append(all, invalidAt(columnValue, "the face value must be above zero and at most %d", int64(maxMajor)))
	case p.FaceMax.Minor < p.Face.Minor || p.FaceMax.Minor > most:
		all = append(all, invalidAt(columnValueMax, "the end of the range must not be below its beginning, and at most %d", int64(maxMajor)))
	}
	if p.Cost != (Cost{}) && (!p.Cost.Currency.IsValid() || !p.Cost.IsPositive()) {
		all = append(all, invalidAt(columnCost, "a cost is above zero, in a currency"))
	}
	return all
}
