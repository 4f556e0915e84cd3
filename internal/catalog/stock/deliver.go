package stock

import (
	"cmp"
	"context"
	"time"

	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/plain"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// MaxDelivered bounds the codes of one delivery.
const MaxDelivered = 1000

// Delivered is a code that a supplier delivered.
type Delivered struct {
	Text pan.Secret
	PIN  pan.Secret   // empty: it has none
	Cost catalog.Cost // zero: unknown
	Face catalog.Face // what its supplier says that it is worth; zero: unknown
}

// Delivery is what a supplier delivered for an order of a book, or the key of a remedy of one.
type Delivery struct {
	Realm    realm.Realm
	Item     catalog.ItemCode
	Supplier string
	Book     ledger.BookID
	Order    string
	Codes    []Delivered  // at most MaxDelivered
	Face     catalog.Face // what each of them is to be worth; zero: whatever it is
	// Spare is what becomes of codes beyond those that the order keeps; Available when empty.
	Spare State
}

// Receipt is a delivery that is sealed and ready to be written.
type Receipt struct {
	// Codes are the ones that can be taken, by id.
	Codes []Code
	// Known counts those that are in stock of the realm already or twice in the delivery,
	// Unfit those that are none. They are not taken.
	Known, Unfit int
	// Apart counts those that are worth something else than was asked for. They are kept in
	// quarantine.
	Apart int

	delivery *Delivery
	rows     [][]any // of Codes, but for what Keep decides
	apart    [][]any
}

// Receive seals what a supplier delivered. A code that the realm has had before, sold or
// not, is not taken: a supplier that delivers one twice delivered it once. Nothing is
// written but, the first time, the batch that the supplier's codes of an item are in: those
// of another value than the item's, which are not for sale as what it is, have one of their own.
// Whoever writes it is refused, as storage.IsUnique tells, if one came from elsewhere
// meanwhile: Receive again then.
func (s *Stock) Receive(ctx context.Context, d Delivery) (Receipt, error) {
	if len(d.Codes) > MaxDelivered {
		return Receipt{}, invalidAt("codes", "a delivery has at most %d codes", MaxDelivered)
	}
	known, err := s.knownCodes(ctx, &d)
	if err != nil {
		return Receipt{}, err
	}
	r, now, batches := Receipt{delivery: &d}, s.now(d.Realm), map[string]Batch{}
	for _, c := range d.Codes {
		text, pin := c.Text.Reveal(), c.PIN.Reveal()
		hash := s.hashOf(d.Realm, text)
		switch {
		case !plain.LineBytes(text, 1, maxCode) || !plain.LineBytes(pin, 0, maxCode):
			r.Unfit++
			continue
		case known[hash]:
			r.Known++
			continue
		}
		known[hash] = true
		apart := d.Face != (catalog.Face{}) && c.Face != (catalog.Face{}) && c.Face != d.Face
		o := d.options(apart || d.Spare == Quarantined)
		batch, found := batches[o.Batch]
		if !found {
			if batch, err = s.suppliedBatch(ctx, o); err != nil {
				return Receipt{}, err
			}
			batches[o.Batch] = batch
		}
		code := Code{ID: CodeID(id.New(codePrefix)), Item: d.Item, Text: c.Text, PIN: c.PIN, Cost: c.Cost}
		sealed, err := s.Vault.Seal(purposeSeal, string(code.ID), plainCode(text, pin))
		if err != nil {
			return Receipt{}, err
		}
		currency := ""
		if c.Cost.Currency.IsValid() {
			currency = c.Cost.Currency.String()
		}
		row := []any{string(code.ID), string(d.Realm), string(d.Item), string(batch.ID), int64(len(r.Codes) + r.Apart + 1), hash[:], sealed, currency,
			c.Cost.Minor, string(Quarantined), int64(never), "", "", nil, now}
		if apart {
			r.Apart++
			r.apart = append(r.apart, row)
			continue
		}
		r.Codes, r.rows = append(r.Codes, code), append(r.rows, row)
	}
	return r, nil
}

// Keep returns the effects of writing a delivery at a time of its realm: the first n codes
// are reserved for the order, or sold to it, and the others are spare. What is not sold goes
// on sale as what the item is, now or once the order ends: it fails with storage.ErrStale where
// the item is worth something else by now than the codes, unless spare ones are kept apart.
func (r *Receipt) Keep(n int, as State, at time.Time) []storage.Effect {
	spare, face := cmp.Or(r.delivery.Spare, Available), r.delivery.Face
	effects, unsold := make([]storage.Effect, len(r.rows), len(r.rows)+len(r.apart)+1), len(r.rows)
	if as == Sold {
		unsold -= n
	}
	if unsold > 0 && spare == Available && face != (catalog.Face{}) {
		effects = append(effects, catalog.Keeps(r.delivery.Item, face))
	}
	for i, row := range r.rows {
		args := append([]any(nil), row...)
		args[9], args[11], args[12] = string(spare), "", ""
		if i < n {
			args[9], args[11], args[12] = string(as), string(r.delivery.Book), r.delivery.Order
			if as == Sold {
				args[13] = storage.Micros(at)
			}
		}
		effects[i] = insertCode.Row(args...)
	}
	for _, row := range r.apart {
		effects = append(effects, insertCode.Row(row...))
	}
	return effects
}

// For names the order that the codes are for, where it had no name when they were received.
func (r *Receipt) For(order string) { r.delivery.Order = order }

// hashOf is by what a code is found in its realm.
func (s *Stock) hashOf(r realm.Realm, text string) (hash [32]byte) {
	copy(hash[:], s.Vault.Hash(purposeHash, string(r)+"/"+sameness(text)))
	return hash
}

// knownCodes returns the hashes of a delivery that the realm has.
func (s *Stock) knownCodes(ctx context.Context, d *Delivery) (map[[32]byte]bool, error) {
	rows := make([][]any, len(d.Codes))
	for i, c := range d.Codes {
		hash := s.hashOf(d.Realm, c.Text.Reveal())
		rows[i] = []any{hash[:]}
	}
	found, err := storage.AllOf(ctx, s.DB, scanPresent, findHashes, rows, string(d.Realm))
	known := make(map[[32]byte]bool, len(d.Codes))
	for _, p := range found {
		known[p.hash] = true
	}
	return known, err
}

// options name the batch of what a supplier delivers of an item, or of what is to be kept
// apart: it is in quarantine from the beginning.
func (d *Delivery) options(apart bool) *Options {
	o := &Options{Realm: d.Realm, Item: d.Item, Supplier: d.Supplier, Batch: "supplier " + d.Supplier, Actor: "system"}
	if apart {
		o.Batch += ", other values"
		o.quarantined = "codes that are worth something else than the item"
	}
	return o
}

// suppliedBatch finds or makes a batch of what a supplier delivers.
func (s *Stock) suppliedBatch(ctx context.Context, o *Options) (b Batch, err error) {
	b, found, err := storage.One(ctx, s.DB, scanBatch, peekBatch, string(o.Realm), string(o.Item), o.Batch)
	if err != nil || found {
		return b, err
	}
	err = again(func() error {
		return s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) (err error) {
			if b, found, err = storage.One(ctx, tx, scanBatch, findBatch, string(o.Realm), string(o.Item), o.Batch); err != nil || found {
				return err
			}
			b, err = s.openBatch(ctx, tx, o)
			return err
		})
	})
	return b, err
}

// Reserved returns the codes that were delivered for an order and are not sold, in the
// clear, by id: for whoever sells them with SellReserved.
func (s *Stock) Reserved(ctx context.Context, q storage.Queryer, book ledger.BookID, order string) ([]Code, error) {
	found, err := storage.All(ctx, q, scanCode, listReserved, string(book), order)
	if err != nil {
		return nil, err
	}
	codes := make([]Code, len(found))
	for i, c := range found {
		if codes[i], err = s.unseal(c); err != nil {
			return nil, err
		}
	}
	return codes, nil
}

// SellReserved returns the effect of selling the n codes that were delivered for an order
// to it. It fails with storage.ErrStale if there are more or fewer.
func SellReserved(book ledger.BookID, order string, n int, at time.Time) storage.Effect {
	return sellReserved.With(string(book), order, storage.Micros(at)).Exactly(int64(n))
}

// FreeReserved returns the effect of putting what was delivered for an order on sale, or
// in quarantine.
func FreeReserved(book ledger.BookID, order string, to State) storage.Effect {
	return freeReserved.With(string(book), order, string(to))
}
