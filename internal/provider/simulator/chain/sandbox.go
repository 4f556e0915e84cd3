package chain

import (
	"context"
	"fmt"

	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/wallet/address"
	"github.com/scripcards/scrip/internal/wallet/deposit"
)

// Sandbox pays to wallets of the test realm on chains of its own.
type Sandbox struct {
	Deposits *deposit.Service
	Chains   map[asset.Chain]*Chain
}

// Deposit pays an amount to a wallet and has so many blocks follow; 0: it waits for one.
// Other payments to the same address are confirmed by these blocks too. It returns the
// deposit as it stands then; feature_disabled in the live realm; or invalid_request.
func (s *Sandbox) Deposit(ctx context.Context, w address.Wallet, amount asset.Amount, confirmations int64) (deposit.Deposit, error) {
	if w.Realm != realm.Test {
		return deposit.Deposit{}, fault.New(fault.FeatureDisabled, "payments are simulated in the test realm alone")
	}
	if amount.IsZero() {
		return deposit.Deposit{}, fault.New(fault.InvalidAmount, "the amount must be above zero").At("amount")
	}
	c, err := s.chain(amount.Asset)
	if err != nil {
		return deposit.Deposit{}, err
	}
	to, err := s.Deposits.Address(ctx, w, amount.Asset)
	if err != nil {
		return deposit.Deposit{}, err
	}
	p, err := c.Pay(ctx, Sent{Address: to, Amount: amount, Confirmations: confirmations})
	if err != nil {
		return deposit.Deposit{}, err
	}
	return s.look(ctx, c, p, to)
}

func (s *Sandbox) chain(a asset.Asset) (*Chain, error) {
	c := s.Chains[a.Chain()]
	if c == nil {
		return nil, fault.New(fault.FeatureDisabled, "a node watches this chain: pay on it")
	}
	return c, nil
}

// Mine has blocks follow on the chain of an asset, as a wallet's address sees it, and looks
// at the deposits that they confirm. It returns feature_disabled and invalid_request as
// Deposit does.
func (s *Sandbox) Mine(ctx context.Context, w address.Wallet, a asset.Asset, blocks int64) error {
	if w.Realm != realm.Test {
		return fault.New(fault.FeatureDisabled, "blocks are simulated in the test realm alone")
	}
	c, err := s.chain(a)
	if err != nil {
		return err
	}
	to, err := s.Deposits.Address(ctx, w, a)
	if err != nil {
		return err
	}
	if err := c.Mine(ctx, to, blocks); err != nil {
		return err
	}
	_, err = s.look(ctx, c, deposit.Payment{}, to)
	return err
}

// look takes account at once of what an address was paid, and returns one of the deposits.
func (s *Sandbox) look(ctx context.Context, c *Chain, p deposit.Payment, address string) (one deposit.Deposit, err error) {
	all, err := c.Payments(ctx, address)
	if err != nil {
		return one, err
	}
	for _, seen := range all {
		d, err := s.Deposits.Observe(ctx, realm.Test, seen)
		if err != nil {
			return one, fmt.Errorf("simulate deposit: %w", err)
		}
		if seen.Payment == p {
			one = d
		}
	}
	return one, nil
}
