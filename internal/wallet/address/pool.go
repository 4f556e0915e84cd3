package address

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/btcsuite/btcd/address/v2/base58"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/webhook"
)

// poolName is the maker of addresses that were imported.
const poolName = "pool"

// MaxImport bounds the addresses of one import.
const MaxImport = 100_000

// Import is a list of addresses for a place, made where their private keys are.
type Import struct {
	Place
	Addresses []string
	Actor     string
}

// Import adds addresses to a list, in order, and returns how many are new. What is no
// address of the chain refuses all of them. It returns invalid_request.
func (s *Service) Import(ctx context.Context, in Import) (int, error) {
	if in.Chain != asset.Solana {
		return 0, fault.New(fault.InvalidRequest, "only solana has a list of addresses").At("chain")
	}
	if len(in.Addresses) == 0 || len(in.Addresses) > MaxImport {
		return 0, fault.New(fault.InvalidRequest, "want 1 to %d addresses", MaxImport).At("addresses")
	}
	for i, text := range in.Addresses {
		if !isSolana(text) {
			return 0, fault.New(fault.InvalidRequest, "address %d is none of solana: want 32 bytes in base58", i+1).At("addresses")
		}
	}
	added := 0
	err := s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		added = 0
		key := []any{string(in.Realm), string(in.Chain), poolName}
		if _, err := tx.Exec(ctx, addMaker, key...); err != nil {
			return err
		}
		if _, _, err := storage.One(ctx, tx, storage.Scalar[int64], lockMaker, key...); err != nil { // one import at a time
			return err
		}
		next, _, err := storage.One(ctx, tx, storage.Scalar[int], countPool, key[:2]...)
		if err != nil {
			return err
		}
		now := s.Clocks.Now(in.Realm)
		for _, text := range in.Addresses {
			n, err := tx.Exec(ctx, insertPool, string(in.Realm), string(in.Chain), text, next+added, storage.Micros(now))
			if err != nil {
				return err
			}
			added += int(n)
		}
		return s.Audit.Append(ctx, tx, audit.Record{Actor: in.Actor, Action: "wallet.import_addresses", Subject: string(in.Chain), At: now,
			Detail: map[string]string{"realm": string(in.Realm), "added": strconv.Itoa(added), "known": strconv.Itoa(len(in.Addresses) - added)}})
	})
	if err != nil {
		return 0, fmt.Errorf("import addresses: %w", err)
	}
	return added, nil
}

// isSolana reports whether text is 32 bytes in base58, as Solana writes public keys.
func isSolana(text string) bool {
	return len(text) >= 32 && len(text) <= 44 && len(base58.Decode(text)) == 32
}

// takeFromPool returns the address at a position of the list.
func takeFromPool(ctx context.Context, tx *storage.Tx, p Place, position int64) (string, error) {
	text, found, err := storage.One(ctx, tx, storage.Scalar[string], takePool, string(p.Realm), string(p.Chain), position)
	if err == nil && !found {
		err = fault.New(fault.Unavailable, "there are no addresses left on %s", p.Chain)
	}
	return text, err
}

// Level is how far a list is used up.
type Level struct {
	Place
	Left, Given int
	// Low says that fewer are left than there should be.
	Low bool
}

// Levels returns the levels of all lists that are used, live first.
func (s *Service) Levels(ctx context.Context) ([]Level, error) {
	var all []Level
	for p, least := range s.Pools {
		l := Level{Place: p}
		total, _, err := storage.One(ctx, s.DB, storage.Scalar[int], countPool, string(p.Realm), string(p.Chain))
		if err != nil {
			return nil, err
		}
		if l.Given, _, err = storage.One(ctx, s.DB, storage.Scalar[int], findMaker, string(p.Realm), string(p.Chain), poolName); err != nil {
			return nil, err
		}
		l.Left = max(total-l.Given, 0)
		l.Low = l.Left < least
		all = append(all, l)
	}
	slices.SortFunc(all, func(a, b Level) int {
		if a.Realm != b.Realm && a.Realm == "live" || a.Realm == b.Realm && a.Chain < b.Chain {
			return -1
		}
		return 1
	})
	return all, nil
}

// EventTypes returns the types of this package's events: they are the operators'.
func EventTypes() []string { return []string{eventLow, eventEnough} }

const (
	eventLow    = "addresses.low"
	eventEnough = "addresses.enough"
)

// The levels of a list, and what the audit log calls them.
const (
	levelLow    = "low"
	levelEnough = "enough"
)

// CheckLevels tells the operator once of each list that runs low, by an event and in the logs
// (audit and program): addresses.low, and addresses.enough when there are more again. It returns how many changed. It is run from time to time, by any number of processes.
func (s *Service) CheckLevels(ctx context.Context) (int, error) {
	all, err := s.Levels(ctx)
	if err != nil {
		return 0, err
	}
	changed := 0
	for _, l := range all {
		told, err := s.tell(ctx, l)
		if err != nil {
			return changed, err
		}
		if told {
			changed++
		}
	}
	return changed, nil
}

func (s *Service) tell(ctx context.Context, l Level) (told bool, err error) {
	level, event := levelEnough, eventEnough
	if l.Low {
		level, event = levelLow, eventLow
	}
	key := []any{string(l.Realm), string(l.Chain)}
	now := s.Clocks.Now(l.Realm)
	err = s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		// The row of the list is locked: of two processes one tells.
		if _, err := tx.Exec(ctx, addMaker, append(key, poolName)...); err != nil {
			return err
		}
		if _, _, err := storage.One(ctx, tx, storage.Scalar[int64], lockMaker, append(key, poolName)...); err != nil {
			return err
		}
		before, found, err := storage.One(ctx, tx, storage.Scalar[string], findLevel, key...)
		if err != nil {
			return err
		}
		if told = before != level && (found || l.Low); !told {
			return nil
		}
		if err := tx.ExecRows(ctx, upsertLevel, [][]any{{string(l.Realm), string(l.Chain), level, storage.Micros(now)}}); err != nil {
			return err
		}
		data := &webhook.Data{}
		data.Text("chain", string(l.Chain)).Int("left", int64(l.Left))
		if err := tx.Apply(ctx, s.Outbox.Operators(webhook.Event{Realm: l.Realm, Type: event, Data: data.JSON(), At: now})); err != nil {
			return err
		}
		return s.Audit.Append(ctx, tx, audit.Record{Actor: "system", Action: "wallet.addresses_" + level, Subject: string(l.Chain), At: now,
			Detail: map[string]string{"realm": string(l.Realm), "left": strconv.Itoa(l.Left)}})
	})
	if err == nil && told && l.Low {
		s.Logger.WarnContext(ctx, "addresses run low: import more", "realm", string(l.Realm), "chain", string(l.Chain), "left", l.Left)
	}
	return told, err
}
