// Package address gives wallets the addresses that customers pay to: one for each wallet
// and chain, whatever asset of the chain is paid, given once and honoured for ever.
//
// Bitcoin's and Ethereum's are derived from extended public keys of the operator's, so
// that no private key is on the server; Solana's, where public keys have no children,
// come from a list that was made elsewhere; Monero's from a wallet that can only look.
// Who asks first, and how many ask at once, makes no difference to what they get.
//
// It must never hold a private key, and refuses one.
package address

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"strconv"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/webhook"
)

// Maker makes the addresses of one chain: a key, or a wallet process.
type Maker interface {
	// Name tells makers apart in what is stored: the same for the same key, and no secret.
	Name() string
	// Address returns the address at a position from 0 on, always the same.
	Address(ctx context.Context, position uint32) (string, error)
}

// Place is a chain in a realm.
type Place struct {
	Realm realm.Realm
	Chain asset.Chain
}

// Wallet is who gets addresses: a customer in a realm.
type Wallet struct {
	Book  ledger.BookID
	Realm realm.Realm
}

// Deps are what a Service needs.
type Deps struct {
	DB     *storage.DB
	Audit  *audit.Log
	Outbox *webhook.Outbox
	Clocks *clock.Realms
	Logger *slog.Logger
	// Makers are who makes addresses where. A chain in neither Makers nor Pools has none to give.
	Makers map[Place]Maker
	// Pools are the chains whose addresses come from an imported list, with how many should
	// be left; fewer are an alarm.
	Pools map[Place]int
}

// Service gives addresses. It is safe for concurrent use, by several processes too.
type Service struct{ Deps }

// New returns the service.
func New(d Deps) *Service { return &Service{d} }

// Has reports whether there are addresses to give in a place.
func (s *Service) Has(p Place) bool {
	_, pool := s.Pools[p]
	return pool || s.Makers[p] != nil
}

// given is what a wallet was given on a chain.
type given struct {
	wallet   Wallet
	chain    asset.Chain
	maker    string
	position int64
	address  string // empty: to be made
}

// Address returns the address of a wallet on a chain, and gives it one when it has none.
// It returns feature_disabled where the chain has none to give, and unavailable when a
// list is used up or a maker does not answer.
func (s *Service) Address(ctx context.Context, w Wallet, chain asset.Chain) (string, error) {
	has, found, err := storage.One(ctx, s.DB, scanGiven, findAddress, string(w.Book), string(chain))
	if err != nil {
		return "", err
	}
	if found && has.address != "" {
		return has.address, storage.Settle(ctx, s.DB)
	}
	if has, err = s.reserve(ctx, w, chain); err != nil || has.address != "" {
		return has.address, err
	}
	return s.fill(ctx, w, chain, has)
}

// makerOf names who makes the addresses of a place that has some.
func (s *Service) makerOf(p Place) string {
	if m := s.Makers[p]; m != nil {
		return m.Name()
	}
	return poolName
}

// reserve gives a wallet the next position, and with it the address where that is known.
// The row of the maker is locked: who comes second finds what the first was given.
func (s *Service) reserve(ctx context.Context, w Wallet, chain asset.Chain) (has given, err error) {
	place := Place{w.Realm, chain}
	if !s.Has(place) {
		return given{}, fault.New(fault.FeatureDisabled, "there are no addresses on %s here", chain)
	}
	maker := s.makerOf(place)
	key := []any{string(w.Realm), string(chain), maker}
	err = s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		if _, err := tx.Exec(ctx, addMaker, key...); err != nil {
			return err
		}
		next, _, err := storage.One(ctx, tx, storage.Scalar[int64], lockMaker, key...)
		if err != nil {
			return err
		}
		before, found, err := storage.One(ctx, tx, scanGiven, findAddress, string(w.Book), string(chain))
		if has = before; err != nil || found && (has.address != "" || has.maker == maker) {
			return err
		}
		if next > math.MaxInt32 {
			return fault.New(fault.Unavailable, "the key has no addresses left")
		}
		has = given{wallet: w, chain: chain, maker: maker, position: next}
		if maker == poolName {
			if has.address, err = takeFromPool(ctx, tx, place, next); err != nil {
				return err
			}
		}
		return s.keep(ctx, tx, has)
	})
	if err != nil {
		return given{}, fmt.Errorf("give address: %w", err)
	}
	return has, nil
}

// keep writes down what a wallet was given. It replaces a position whose address was never
// made, and never will be since its key was replaced: nobody has seen that one.
func (s *Service) keep(ctx context.Context, tx *storage.Tx, has given) error {
	r, chain := has.wallet.Realm, string(has.chain)
	effects := []storage.Effect{
		advanceMaker.With(string(r), chain, has.maker, 1).Exactly(1),
		putAddress.With(string(has.wallet.Book), chain, string(r), has.maker, has.position, has.address, storage.Micros(s.Clocks.Now(r))).Exactly(1),
	}
	if has.address != "" {
		effects = append(effects, insertOwner.With(string(r), chain, has.address, string(has.wallet.Book)))
	}
	return tx.Apply(ctx, effects)
}

// MaxSkip bounds the addresses that are passed over at once: a wallet of Monero's watches as
// many more than it made.
const MaxSkip = 200

// Skip is a number of addresses of a place to pass over.
type Skip struct {
	Place
	Count int
	Actor string
}

// Skip gives the next addresses of a place to nobody, and returns how many were given or passed
// over by then. Those that were given after a backup would be given to others once more by what
// was restored from it. It returns feature_disabled where there are none to give, and
// invalid_request for a count that cannot be, or is more than a list has left.
func (s *Service) Skip(ctx context.Context, k Skip) (given int64, err error) {
	if !s.Has(k.Place) {
		return 0, fault.New(fault.FeatureDisabled, "there are no addresses on %s in the %s realm", k.Chain, k.Realm)
	}
	if k.Count < 1 || k.Count > MaxSkip {
		return 0, fault.New(fault.InvalidRequest, "want 1 to %d addresses", MaxSkip).At("count")
	}
	maker := s.makerOf(k.Place)
	key := []any{string(k.Realm), string(k.Chain), maker}
	err = s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		if _, err := tx.Exec(ctx, addMaker, key...); err != nil {
			return err
		}
		if given, _, err = storage.One(ctx, tx, storage.Scalar[int64], lockMaker, key...); err != nil {
			return err
		}
		if maker == poolName {
			has, _, err := storage.One(ctx, tx, storage.Scalar[int64], countPool, key[:2]...)
			if err != nil {
				return err
			}
			if left := max(has-given, 0); left < int64(k.Count) {
				return fault.New(fault.InvalidRequest, "the list has no more than %d left", left).At("count")
			}
		}
		given += int64(k.Count)
		if err := tx.Apply(ctx, []storage.Effect{advanceMaker.With(append(key, k.Count)...).Exactly(1)}); err != nil {
			return err
		}
		return s.Audit.Append(ctx, tx, audit.Record{Actor: k.Actor, Action: "wallet.skip_addresses", Subject: string(k.Chain), At: s.Clocks.Now(k.Realm),
			Detail: map[string]string{"realm": string(k.Realm), "skipped": strconv.Itoa(k.Count)}})
	})
	if err != nil {
		return 0, fmt.Errorf("skip addresses: %w", err)
	}
	return given, nil
}

// fill makes the address of a position, which is always the same, and writes it down. When
// the process dies before, the next who asks does it.
func (s *Service) fill(ctx context.Context, w Wallet, chain asset.Chain, has given) (string, error) {
	made, err := s.Makers[Place{w.Realm, chain}].Address(ctx, uint32(has.position))
	if err != nil {
		return "", fault.Wrap(err, fault.Unavailable, "the address cannot be made now")
	}
	err = s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		n, err := tx.Exec(ctx, fillAddress, string(w.Book), string(chain), made, has.maker, has.position)
		if err != nil {
			return err
		}
		if n == 1 {
			return tx.Apply(ctx, []storage.Effect{insertOwner.With(string(w.Realm), string(chain), made, string(w.Book)).Exactly(1)})
		}
		now, _, err := storage.One(ctx, tx, scanGiven, findAddress, string(w.Book), string(chain))
		if err == nil && now.address != made {
			err = fault.New(fault.Unavailable, "the key was replaced meanwhile")
		}
		return err
	})
	if err != nil {
		return "", fmt.Errorf("keep address: %w", err)
	}
	return made, nil
}

// Find returns whose an address is, and whether it is anybody's.
func (s *Service) Find(ctx context.Context, p Place, address string) (ledger.BookID, bool, error) {
	return storage.One(ctx, s.DB, scanBook, findOwner, string(p.Realm), string(p.Chain), address)
}

// Known returns those of the given addresses that are somebody's. It asks once for any number.
func (s *Service) Known(ctx context.Context, p Place, addresses []string) (map[string]bool, error) {
	values := make([][]any, len(addresses))
	for i, address := range addresses {
		values[i] = []any{address}
	}
	found, err := storage.AllOf(ctx, s.DB, storage.Scalar[string], knownAddresses, values, string(p.Realm), string(p.Chain))
	known := make(map[string]bool, len(found))
	for _, address := range found {
		known[address] = true
	}
	return known, err
}

// Issued returns how many addresses of a place its only maker gave. Where another one gave
// some before, it returns unavailable: whoever watches the first one's does not see the other's.
func (s *Service) Issued(ctx context.Context, p Place) (int64, error) {
	type row struct {
		maker string
		given int64
	}
	all, err := storage.All(ctx, s.DB, func(r storage.Row) (m row, err error) {
		err = r.Scan(&m.maker, &m.given)
		return m, err
	}, listMakers, string(p.Realm), string(p.Chain))
	if err != nil || len(all) == 0 {
		return 0, err
	}
	if maker := s.Makers[p]; len(all) > 1 || maker == nil || all[0].maker != maker.Name() {
		return 0, fault.New(fault.Unavailable, "addresses on %s were given that were made by another wallet", p.Chain)
	}
	return all[0].given, nil
}

// Owner is whose an address is.
type Owner struct {
	Address string
	Book    ledger.BookID
}

// Owners returns the addresses of a place that follow after one, in order.
func (s *Service) Owners(ctx context.Context, p Place, after string, limit int) ([]Owner, error) {
	return storage.All(ctx, s.DB, func(r storage.Row) (o Owner, err error) {
		err = r.Scan(&o.Address, (*string)(&o.Book))
		return o, err
	}, listOwners, string(p.Realm), string(p.Chain), after, limit)
}

// Given is an address with its chain.
type Given struct {
	Chain   asset.Chain
	Address string
}

// List returns the addresses that a book has been given, by chain. It gives none.
func (s *Service) List(ctx context.Context, book ledger.BookID) ([]Given, error) {
	return storage.All(ctx, s.DB, func(r storage.Row) (g Given, err error) {
		err = r.Scan((*string)(&g.Chain), &g.Address)
		return g, err
	}, listAddresses, string(book))
}

// MaxPreview bounds the addresses of one preview.
const MaxPreview = 100

// Preview returns the first addresses of a place, whether or not they were given, so that
// whoever set up its key can compare them with their own wallet's. It returns
// feature_disabled for a place whose addresses are not made here.
func (s *Service) Preview(ctx context.Context, p Place, count int) ([]string, error) {
	maker := s.Makers[p]
	if maker == nil {
		return nil, fault.New(fault.FeatureDisabled, "there is no key for %s in the %s realm", p.Chain, p.Realm)
	}
	if count < 1 || count > MaxPreview {
		return nil, fault.New(fault.InvalidRequest, "want 1 to %d addresses", MaxPreview).At("count")
	}
	var all []string
	for position := range count {
		text, err := maker.Address(ctx, uint32(position))
		if err != nil {
			return nil, fmt.Errorf("make address %d: %w", position, err)
		}
		all = append(all, text)
	}
	return all, nil
}
