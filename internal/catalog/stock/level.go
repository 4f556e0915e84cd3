package stock

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/webhook"
)

// Level is an item that runs out.
type Level struct {
	Realm realm.Realm
	Item  catalog.ItemCode
	// Codes are how many there were when that was found out.
	Codes int
	Since time.Time
}

// EventTypes returns the types of this package's events: they are the operators'.
func EventTypes() []string { return []string{eventLow, eventEnough} }

const (
	eventLow    = "stock.low"
	eventEnough = "stock.enough"
	levelLow    = "low"
	levelEnough = "enough"
	maxLevels   = 1000
)

// Low returns the items of a realm that run out, 1000 at most, as CheckLevels found them. What
// nobody looks after any more, since it was retired say, is not among them.
func (s *Stock) Low(ctx context.Context, r realm.Realm) ([]Level, error) {
	all, err := storage.All(ctx, s.DB, func(row storage.Row) (Level, error) {
		l, at := Level{Realm: r}, int64(0)
		err := row.Scan((*string)(&l.Item), &l.Codes, &at)
		l.Since = storage.Time(at)
		return l, err
	}, listLevels, string(r), maxLevels)
	return slices.DeleteFunc(all, func(l Level) bool {
		p, err := s.Catalog.Find(ctx, l.Item)
		return err == nil && !watched(&p)
	}), err
}

// watched reports whether the operator is told when a product's codes run out: those of
// others cannot be uploaded.
func watched(p *catalog.Product) bool {
	return p.LowStock > 0 && p.Sellable() && p.Mint == "" && !p.IsRange()
}

// CheckLevels looks which items have fewer codes than their product's LowStock, and tells
// the operator of each once, by an event and in the logs (audit and program): stock.low, and
// stock.enough when there are codes again. Items that never had a batch are none of those.
// It returns how many changed. It is run from time to time, by any number of processes.
func (s *Stock) CheckLevels(ctx context.Context) (int, error) {
	least := map[catalog.ItemCode]int{}
	_ = s.Catalog.Each(ctx, func(p catalog.Product) error { // it returns what the function does
		if watched(&p) {
			least[p.Code] = p.LowStock
		}
		return nil
	})
	changed := 0
	var failed error
	for item, codes := range least {
		for _, r := range realm.All() {
			told, err := s.checkLevel(ctx, r, item, codes)
			if failed = errors.Join(failed, err); told {
				changed++
			}
		}
	}
	return changed, failed
}

// checkLevel tells of one item if its level changed.
func (s *Stock) checkLevel(ctx context.Context, r realm.Realm, item catalog.ItemCode, least int) (told bool, err error) {
	if _, has, err := storage.One(ctx, s.DB, storage.Scalar[int], hasBatch, string(r), string(item)); err != nil || !has {
		return false, err
	}
	before, _, err := storage.One(ctx, s.DB, storage.Scalar[string], findLevel, string(r), string(item))
	if err != nil {
		return false, err
	}
	codes, err := s.countTo(ctx, least, r, item)
	if err != nil {
		return false, err
	}
	level, event := levelEnough, eventEnough
	if codes < least {
		level, event = levelLow, eventLow
	}
	if level == before || level == levelEnough && before == "" {
		return false, nil
	}
	err = s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		now := s.Clocks.Now(r)
		n, err := tx.Exec(ctx, tellLevel, string(r), string(item), level, int64(codes), storage.Micros(now))
		if told = n > 0; err != nil || !told {
			return err
		}
		data := &webhook.Data{}
		data.Text("item_code", string(item)).Int("codes", int64(codes)).Int("low_stock", int64(least))
		if err := tx.Apply(ctx, s.Outbox.Operators(webhook.Event{Realm: r, Type: event, Data: data.JSON(), At: now})); err != nil {
			return err
		}
		return s.Audit.Append(ctx, tx, audit.Record{Actor: "system", Action: event, Subject: audit.Clean(string(item)), At: now,
			Detail: map[string]string{"realm": string(r), "codes": strconv.Itoa(codes), "low_stock": strconv.Itoa(least)}})
	})
	if err == nil && told && level == levelLow {
		s.Logger.WarnContext(ctx, "stock is low", "realm", string(r), "item", string(item), "codes", codes, "low_stock", least)
	}
	return told && err == nil, err
}
