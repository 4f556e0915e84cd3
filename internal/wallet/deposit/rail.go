package deposit

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/wallet/address"
)

// Surveyor is a Chain that tells of itself, in heights: blocks, or whatever it counts.
type Surveyor interface {
	// Tip returns the height at which the chain ends.
	Tip(ctx context.Context) (int64, error)
	// Height returns the height of a place of Seen's.
	Height(place string) (int64, error)
	// Before returns the place after which Seen goes on with a height, from 1 on.
	Before(ctx context.Context, height int64) (string, error)
}

// Survey is how a chain is watched at the moment.
type Survey struct {
	State
	// Height was read and Tip is where the chain ends; −1: not known.
	Height, Tip int64
	// Problem is why the chain does not tell; empty: it does.
	Problem string
}

// Lag is how much of the chain is still to be read; −1: not known.
func (s *Survey) Lag() int64 {
	if s.Height < 0 || s.Tip < 0 {
		return -1
	}
	return max(s.Tip-s.Height, 0)
}

// IsHealthy reports whether the chain answers, and did at the last look.
func (s *Survey) IsHealthy() bool { return s.Problem == "" && s.FailingSince.IsZero() }

// statusTimeout bounds what one chain is waited for.
const statusTimeout = 10 * time.Second

// Surveys asks every chain that is watched where it ends, all at once, and says how far it was read.
func (s *Service) Surveys(ctx context.Context) ([]Survey, error) {
	known, err := s.States(ctx)
	if err != nil {
		return nil, err
	}
	states := map[address.Place]State{}
	for _, k := range known {
		states[k.Place] = k
	}
	var places []address.Place
	for _, r := range []realm.Realm{realm.Live, realm.Test} {
		for _, name := range asset.Chains() {
			if p := (address.Place{Realm: r, Chain: name}); s.Chains[p] != nil {
				places = append(places, p)
			}
		}
	}
	all := make([]Survey, len(places))
	var group sync.WaitGroup
	for i, p := range places {
		group.Go(func() { all[i] = s.survey(ctx, p, states[p]) })
	}
	group.Wait()
	return all, nil
}

// Survey asks one chain where it ends, and says how far it was read. It returns
// feature_disabled for one that nobody watches.
func (s *Service) Survey(ctx context.Context, p address.Place) (Survey, error) {
	if s.Chains[p] == nil {
		return Survey{}, notWatched(p)
	}
	state, _, err := storage.One(ctx, s.DB, scanState, findState, string(p.Realm), string(p.Chain))
	if err != nil {
		return Survey{}, err
	}
	return s.survey(ctx, p, state), nil
}

// survey asks a chain about itself.
func (s *Service) survey(ctx context.Context, p address.Place, state State) Survey {
	one := Survey{State: state, Height: -1, Tip: -1}
	one.Place = p
	c, ok := s.Chains[p].(Surveyor)
	if !ok {
		return one
	}
	if one.At != "" {
		if height, err := c.Height(one.At); err == nil {
			one.Height = height
		}
	}
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	tip, err := c.Tip(ctx)
	if err != nil {
		one.Problem = fault.From(err).Message
		return one
	}
	if one.Tip = tip; tip < one.Height {
		one.Problem = fmt.Sprintf("it is behind: it ends at %d, and %d was read before", tip, one.Height)
	}
	return one
}

// ScanChain looks at one chain now. It returns feature_disabled for one that nobody watches.
func (s *Service) ScanChain(ctx context.Context, p address.Place) error {
	if s.Chains[p] == nil {
		return notWatched(p)
	}
	if err := s.scan(ctx, p); err != nil {
		return fmt.Errorf("scan %s: %w", p.Chain, err)
	}
	return nil
}

func notWatched(p address.Place) error {
	return fault.New(fault.FeatureDisabled, "nobody watches %s in the %s realm", p.Chain, p.Realm).At("chain")
}

// Rescan asks for a chain to be read again.
type Rescan struct {
	address.Place
	From  int64 // the first height to be read, from 1 on
	Actor string
}

// Rescan has a chain read again from a height on, at the next scan. Nothing is credited a
// second time. It returns feature_disabled for a chain that cannot be, and invalid_request
// for a height that it does not have.
func (s *Service) Rescan(ctx context.Context, in Rescan) error {
	c, ok := s.Chains[in.Place].(Surveyor)
	if !ok {
		return notWatched(in.Place)
	}
	tip, err := c.Tip(ctx)
	if err != nil {
		return err
	}
	if most := max(tip, 1); in.From < 1 || in.From > most { // a chain that is empty is read from its first block on
		return fault.New(fault.InvalidRequest, "want a height of 1 to %d", most).At("from")
	}
	place, err := c.Before(ctx, in.From)
	if err != nil {
		return err
	}
	return s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		if _, err := tx.Exec(ctx, setCursor, string(in.Realm), string(in.Chain), place); err != nil {
			return err
		}
		return s.AddressBook.Audit.Append(ctx, tx, audit.Record{Actor: in.Actor, Action: "wallet.rescan", Subject: string(in.Chain), At: s.Clocks.Now(in.Realm),
			Detail: map[string]string{"realm": string(in.Realm), "from": strconv.FormatInt(in.From, 10)}})
	})
}
