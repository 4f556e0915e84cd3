package account

import (
	"context"

	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// The published credentials of a demonstration. They work only in a process that
// called Demo, whatever is in the database.
const (
	demoLiveKey        = "cp_live_sk_demo"
	demoTestKey        = "cp_test_sk_demo"
	demoOperatorKey    = "op_demo"
	demoMerchantSecret = "demo-secret"

	demoClientID ClientID = "demo-merchant"
)

func demoKey(r realm.Realm) string {
	if r == realm.Live {
		return demoLiveKey
	}
	return demoTestKey
}

func (s *Service) isDemoKey(presented string) bool {
	return (presented == demoLiveKey || presented == demoTestKey) && s.demo.Load()
}

func (s *Service) isDemoOperatorKey(presented string) bool {
	return presented == demoOperatorKey && s.demo.Load()
}

// DemoAccount is who the published credentials belong to.
type DemoAccount struct {
	Customer Customer
	Operator OperatorID
}

// Demo makes, once per database, a customer with the keys cp_live_sk_demo and
// cp_test_sk_demo, the signing credential demo-merchant with the secret
// demo-secret in the test realm, and an administrator with the key op_demo; and it
// makes this process accept them. No other function takes a secret that was chosen.
func (s *Service) Demo(ctx context.Context, actor string) (DemoAccount, error) {
	var account DemoAccount
	seed := func(ctx context.Context, c *change) error {
		var err error
		account, err = s.seedDemo(ctx, c)
		return err
	}
	err := s.write(ctx, actor, seed)
	if storage.IsUnique(err) { // another process was first
		err = s.write(ctx, actor, seed)
	}
	if err != nil {
		return DemoAccount{}, err
	}
	s.demo.Store(true)
	s.keys.Forget(func(*grant) bool { return false })
	s.merchants.Forget(func(*merchantGrant) bool { return false })
	s.operators.Forget(func(*operatorGrant) bool { return false })
	return account, nil
}

// seedDemo returns what is there, or makes it.
func (s *Service) seedDemo(ctx context.Context, c *change) (account DemoAccount, err error) {
	found, err := s.findDemo(ctx, c)
	if err != nil || found.Operator != "" {
		return found, err
	}
	if account.Customer, err = c.createCustomer(ctx, NewCustomer{Name: "Demo customer"}); err != nil {
		return account, err
	}
	for _, r := range realm.All() {
		key := Key{KeyRef: KeyRef{Book: account.Customer.Book(r)}, Realm: r,
			KeySettings: KeySettings{Name: "Demo key", Scopes: NewScopes(ScopeAll)}}
		issued, err := s.insertKey(ctx, c, key, demoKey(r))
		if err != nil {
			return account, err
		}
		if err := c.recordKey(ctx, "key.create", issued.Key); err != nil {
			return account, err
		}
	}
	merchant := NewMerchant{Book: account.Customer.Test, Name: "Demo merchant", ClientID: demoClientID}
	if _, err := s.insertMerchant(ctx, c, merchant, pan.NewSecret(demoMerchantSecret)); err != nil {
		return account, err
	}
	operator, err := c.createOperator(ctx, NewOperator{Name: "Demo operator", Role: RoleAdmin})
	if err != nil {
		return account, err
	}
	account.Operator = operator.ID
	_, err = s.insertOperatorKey(ctx, c, NewOperatorKey{Operator: operator.ID, Name: "Demo key"}, demoOperatorKey)
	return account, err
}

// findDemo returns the account that an earlier start made; its Operator is empty when there is none.
func (s *Service) findDemo(ctx context.Context, q storage.Queryer) (account DemoAccount, err error) {
	key, ok, err := storage.One(ctx, q, scanKeyRef, readKeyHash, s.vault.Hash(purposeKeyHash, demoTestKey))
	if err != nil || !ok {
		return account, err
	}
	owner, err := findOwner(ctx, q, readBook, key.Book)
	if err != nil {
		return account, err
	}
	if account.Customer, err = findCustomer(ctx, q, readCustomer, owner.Customer); err != nil {
		return account, err
	}
	operator, _, err := storage.One(ctx, q, scanOperatorKeyRef, readOperatorHash, s.vault.Hash(purposeOperatorHash, demoOperatorKey))
	account.Operator = operator.Operator
	return account, err
}
