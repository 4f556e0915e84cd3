package stock

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/plain"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/sheet"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Limits of an upload.
const (
	// MaxRows bounds its codes.
	MaxRows = 5_000_000
	// MaxBad bounds Report.Bad.
	MaxBad  = 1000
	maxLine = 4 << 10
	maxCode = 200 // bytes: its length is sealed in one
	// chunk is how many codes one transaction adds.
	chunk = 2000
)

// The columns of an upload.
const (
	columnCode    = "code"
	columnPIN     = "pin"
	columnExpires = "expires"
	columnCost    = "cost"
)

// Columns returns the names that an upload knows. All but the first may be missing.
func Columns() []string { return []string{columnCode, columnPIN, columnExpires, columnCost} }

// Options of an upload.
type Options struct {
	Realm    realm.Realm
	Item     catalog.ItemCode
	Supplier string
	// Batch names the upload within its realm and item. A file may be sent again under the
	// same name: rows that are in stock from the first time are counted as known.
	Batch string
	// Cost is that of codes whose row has none.
	Cost catalog.Cost
	// Currency is that of costs in rows; none: that of Cost or, without one, of the item.
	Currency money.Currency
	// DryRun says what would happen and changes nothing. It remembers every code of the
	// file, some 60 bytes each; an upload remembers none.
	DryRun   bool
	Actor    string
	Progress func(rows int) // may be nil
	// Rejected is told of every bad row, in the order of lines; may be nil.
	Rejected func(BadRow)

	quarantined string // why the batch is from the beginning; empty: it is not
}

// BadRow is why a row was refused: one of possibly several reasons. It repeats no code.
type BadRow struct {
	Line   int // from 1, the header's
	Field  string
	Reason string
}

// Report is what an upload did.
type Report struct {
	Batch BatchID // empty where there is none: in a dry run of a new one, and where nothing was added to it
	Rows  int     // besides the header and empty lines
	Added int     // or would be, in a dry run
	Known int     // in stock from the same line of the same batch
	Wrong int     // rows refused
	Bad   []BadRow
}

// Import adds the codes that a CSV file lists, in bounded memory: columns code and, if
// there are, pin, expires (the last day, YYYY-MM-DD, in UTC) and cost. A bad row is
// reported and does not keep the others out; a code that is in stock of this realm already,
// or twice in the file, is one. It returns invalid_request for options or a header that
// cannot be, not_found for an unknown item, invalid_state for one whose codes are not uploaded or whose
// value changes meanwhile, and body_too_large for more than MaxRows.
//
// Codes are on sale as soon as they are written. An upload that breaks off is sent again
// under the same batch name.
func (s *Stock) Import(ctx context.Context, r io.Reader, o Options) (Report, error) {
	u, err := s.newUpload(ctx, &o)
	if err != nil {
		return Report{}, err
	}
	rows, err := sheet.Open(r, maxLine, Columns(), Columns()[:1])
	if errors.Is(err, sheet.ErrHeader) {
		err = invalidAt("file", "%s", err)
	}
	if err == nil {
		err = u.begin(ctx)
	}
	if err != nil {
		return Report{}, err
	}
	for {
		row, err := rows.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil && u.report.Rows+u.pending >= MaxRows {
			err = fault.New(fault.BodyTooLarge, "the file has more than %d rows", MaxRows).At("file")
		}
		if err != nil {
			return u.report, err
		}
		u.read(rows.Header(), row)
		if u.pending++; u.pending == chunk {
			if err := u.flush(ctx); err != nil {
				return u.report, err
			}
		}
	}
	if err := u.flush(ctx); err != nil || o.DryRun || u.batch.ID == "" {
		return u.report, err
	}
	return u.report, s.note(ctx, u.batch, &o, &u.report)
}

// upload is an import under way.
type upload struct {
	*Stock
	o        *Options
	currency money.Currency // of costs
	face     catalog.Face   // what the item was worth when it began
	batch    Batch
	report   Report

	// What was read and not written yet.
	pending int
	codes   []newCode
	bad     []BadRow
	seen    map[[32]byte]int // in a dry run: every code, with its line
}

// newCode is a row that is well written.
type newCode struct {
	line      int
	text, pin string
	hash      [32]byte
	expires   int64
	cost      catalog.Cost
}

func (s *Stock) newUpload(ctx context.Context, o *Options) (*upload, error) {
	if _, err := realm.Parse(string(o.Realm)); err != nil {
		return nil, invalidAt("realm", "want live or test")
	}
	if !plain.Line(o.Batch, 1, maxName) {
		return nil, invalidAt("batch", "want 1 to %d characters of plain text", maxName)
	}
	if !plain.Line(o.Supplier, 0, maxName) {
		return nil, invalidAt("supplier", "want at most %d characters of plain text", maxName)
	}
	if o.Cost != (catalog.Cost{}) && (!o.Cost.Currency.IsValid() || o.Cost.IsNegative()) {
		return nil, invalidAt("cost", "want a cost that is not negative, in a currency")
	}
	if err := s.Catalog.Refresh(ctx); err != nil { // another process may just have put it
		return nil, err
	}
	p, err := s.Catalog.Find(ctx, o.Item)
	if err != nil {
		return nil, err
	}
	if p.Mint != "" {
		return nil, fault.New(fault.InvalidState, "codes of the item %s are minted when they are sold", p.Code)
	}
	if p.IsRange() {
		return nil, fault.New(fault.InvalidState, "buyers choose the denomination of the item %s: uploaded codes have one that is fixed", p.Code)
	}
	return &upload{Stock: s, o: o, currency: cmp.Or(o.Currency, o.Cost.Currency, p.Face.Currency), face: p.Face}, nil
}

// begin finds the batch, if there is one: the first codes of a new one make it.
func (u *upload) begin(ctx context.Context) error {
	if u.o.DryRun {
		u.seen = map[[32]byte]int{}
	}
	b, err := u.find(ctx, u.DB, peekBatch)
	u.into(b)
	return err
}

// find returns the batch, or none where there is none yet. It refuses one of another supplier.
func (u *upload) find(ctx context.Context, q storage.Queryer, statement *storage.Statement) (Batch, error) {
	b, found, err := storage.One(ctx, q, scanBatch, statement, string(u.o.Realm), string(u.o.Item), u.o.Batch)
	if found && u.o.Supplier != "" && b.Supplier != u.o.Supplier {
		err = invalidAt("supplier", "the batch %s is of another supplier: give this upload a name of its own", b.Name)
	}
	return b, err
}

// into notes the batch that the codes are of, or none yet.
func (u *upload) into(b Batch) { u.batch, u.report.Batch = b, b.ID }

// again repeats what found a key taken that was free a moment before.
func again(fn func() error) error {
	const tries = 5
	err := fn()
	for range tries {
		if !storage.IsUnique(err) {
			break
		}
		err = fn()
	}
	return err
}

// read takes one row: a code, or what is wrong with it.
func (u *upload) read(header []string, row sheet.Row) {
	if row.Wrong != "" {
		u.bad = append(u.bad, BadRow{Line: row.Line, Reason: row.Wrong})
		return
	}
	c := newCode{line: row.Line, expires: never, cost: u.o.Cost}
	before := len(u.bad)
	wrong := func(field, reason string) { u.bad = append(u.bad, BadRow{row.Line, field, reason}) }
	for i, column := range header {
		text := strings.TrimSpace(row.Fields[i])
		switch {
		case column == columnCode && !plain.LineBytes(text, 1, maxCode):
			wrong(column, fmt.Sprintf("want 1 to %d bytes of plain text", maxCode))
		case (column == columnCode || column == columnPIN) && rounded.MatchString(text):
			wrong(column, "a spreadsheet made a number of it and rounded that: export it as text")
		case column == columnCode:
			c.text = text
		case column == columnPIN && !plain.LineBytes(text, 0, maxCode):
			wrong(column, fmt.Sprintf("want at most %d bytes of plain text", maxCode))
		case column == columnPIN:
			c.pin = text
		case text == "": // what was not said
		case column == columnExpires:
			day, err := time.Parse(time.DateOnly, text)
			if err != nil {
				wrong(column, "want a day such as 2027-12-31")
			}
			c.expires = expiry(day.AddDate(0, 0, 1))
			if err == nil && c.expires <= u.now(u.o.Realm) {
				wrong(column, "it has expired")
			}
		case column == columnCost:
			amount, err := money.ParseAmount(text, u.currency)
			if err != nil {
				wrong(column, err.Error())
			}
			c.cost = catalog.Cost{Amount: amount}
		}
	}
	if len(u.bad) == before {
		c.hash = u.hashOf(u.o.Realm, c.text)
		u.codes = append(u.codes, c)
	}
}

// rounded is what spreadsheets make of long numbers, such as 4.00012E+15: whoever buys that has no code.
var rounded = regexp.MustCompile(`^[0-9]([.,][0-9]+)?E\+[0-9]{2,}$`)

// sameness is what two writings of one code have in common: all but spaces and dashes.
func sameness(code string) string {
	same := strings.NewReplacer(" ", "", "-", "").Replace(code)
	if same == "" {
		return code
	}
	return same
}

// flush writes what was read, and reports it.
func (u *upload) flush(ctx context.Context) error {
	if u.pending == 0 {
		return nil
	}
	var (
		sorted sorted
		err    error
	)
	b := u.batch
	if u.o.DryRun {
		sorted, err = u.sort(ctx, u.DB, b)
	} else {
		err = again(func() error {
			return u.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
				b, sorted, err = u.write(ctx, tx)
				return err
			})
		})
	}
	if errors.Is(err, storage.ErrStale) {
		err = fault.Wrap(err, fault.InvalidState, "the item %s got another value meanwhile: see of which the codes are, and upload them again", u.o.Item)
	}
	if err != nil {
		return err
	}
	u.into(b)
	u.tell(sorted)
	return nil
}

// write adds the codes that were read and are not in stock, and makes the batch for the first.
func (u *upload) write(ctx context.Context, tx *storage.Tx) (Batch, sorted, error) {
	b, found, err := u.look(ctx, tx)
	if err == nil && b.ID == "" && len(found.fresh) == 0 { // somebody else may have made it before the codes were looked for
		b, found, err = u.look(ctx, tx)
	}
	if err != nil || len(found.fresh) == 0 {
		return b, found, err
	}
	if err := tx.Apply(ctx, []storage.Effect{catalog.Keeps(u.o.Item, u.face)}); err != nil {
		return b, found, err
	}
	if b.ID == "" {
		if b, err = u.openBatch(ctx, tx, u.o); err != nil {
			return b, found, err
		}
	}
	return b, found, u.insert(ctx, tx, found.fresh, b)
}

// look finds the batch, which may be in quarantine by now, and sorts what was read.
func (u *upload) look(ctx context.Context, tx *storage.Tx) (Batch, sorted, error) {
	b, err := u.find(ctx, tx, findBatch)
	if err != nil {
		return b, sorted{}, err
	}
	found, err := u.sort(ctx, tx, b)
	return b, found, err
}

// sorted are codes by whether they are in stock.
type sorted struct {
	fresh []newCode
	known int
	bad   []BadRow
}

// sort looks which of the codes that were read are in stock, in the batch or elsewhere, or were read before.
func (u *upload) sort(ctx context.Context, q storage.Queryer, b Batch) (s sorted, err error) {
	rows := make([][]any, len(u.codes))
	for i := range u.codes {
		rows[i] = []any{u.codes[i].hash[:]}
	}
	found, err := storage.AllOf(ctx, q, scanPresent, findHashes, rows, string(u.o.Realm))
	if err != nil {
		return s, err
	}
	stocked := make(map[[32]byte]present, len(found))
	for _, p := range found {
		stocked[p.hash] = p
	}
	first := u.seen
	if first == nil {
		first = make(map[[32]byte]int, len(u.codes))
	}
	for _, c := range u.codes {
		p, there := stocked[c.hash]
		line, twice := first[c.hash]
		if twice {
			s.bad = append(s.bad, BadRow{c.line, columnCode, fmt.Sprintf("line %d has it, too", line)})
			continue
		}
		first[c.hash] = c.line
		switch {
		case !there:
			s.fresh = append(s.fresh, c)
		case p.batch == b.ID && p.line == c.line:
			s.known++
		case p.batch == b.ID:
			s.bad = append(s.bad, BadRow{c.line, columnCode, fmt.Sprintf("line %d of the batch has it, too", p.line)})
		default:
			s.bad = append(s.bad, BadRow{c.line, columnCode, "it is in stock already"})
		}
	}
	return s, nil
}

// insert adds codes to a batch.
func (u *upload) insert(ctx context.Context, tx *storage.Tx, fresh []newCode, batch Batch) error {
	state, now := Available, storage.Micros(u.Clocks.Now(u.o.Realm))
	if batch.State != BatchOpen {
		state = Quarantined
	}
	rows := make([][]any, len(fresh))
	for i, c := range fresh {
		code, currency := id.New(codePrefix), ""
		sealed, err := u.Vault.Seal(purposeSeal, code, plainCode(c.text, c.pin))
		if err != nil {
			return err
		}
		if c.cost.Currency.IsValid() {
			currency = c.cost.Currency.String()
		}
		rows[i] = []any{code, string(u.o.Realm), string(u.o.Item), string(batch.ID), int64(c.line), c.hash[:], sealed, currency, c.cost.Minor,
			string(state), c.expires, "", "", nil, now}
	}
	return tx.ExecRows(ctx, insertCode, rows)
}

// tell reports what was read and begins anew.
func (u *upload) tell(s sorted) {
	u.report.Rows += u.pending
	u.report.Added += len(s.fresh)
	u.report.Known += s.known
	bad := append(u.bad, s.bad...)
	slices.SortStableFunc(bad, func(a, b BadRow) int { return cmp.Compare(a.Line, b.Line) })
	last := 0
	for _, b := range bad {
		if b.Line != last {
			u.report.Wrong, last = u.report.Wrong+1, b.Line
		}
		if len(u.report.Bad) < MaxBad {
			u.report.Bad = append(u.report.Bad, b)
		}
		if u.o.Rejected != nil {
			u.o.Rejected(b)
		}
	}
	u.pending, u.codes, u.bad = 0, u.codes[:0], u.bad[:0]
	if u.o.Progress != nil {
		u.o.Progress(u.report.Rows)
	}
}
