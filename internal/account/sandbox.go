package account

import (
	"context"
	"errors"
	"time"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
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

	// DemoSeed opens the test realm of the demonstration's cardholder.
	DemoSeed = "dec0-de00-dec0-de00"
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
	// Holder is whose the seed is.
	Holder   Customer
	Operator OperatorID
}

// Demo makes, once per database, a customer with the keys cp_live_sk_demo and
// cp_test_sk_demo and the signing credential demo-merchant with the secret demo-secret
// in the test realm, another one with the seed DemoSeed in the test realm, and an
// administrator with the key op_demo; and it makes this process accept them. No other
// function takes a secret that was chosen.
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
	s.seeds.Forget(func(*seedGrant) bool { return false })
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
	if account.Holder, err = c.createCustomer(ctx, NewCustomer{Name: "Demo cardholder"}); err != nil {
		return account, err
	}
	seed := Seed{SeedRef: SeedRef{Book: account.Holder.Test}, Customer: account.Holder.ID, Realm: realm.Test, Name: "Demo seed"}
	if _, err := s.insertSeed(ctx, c, seed, DemoSeed); err != nil {
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
	if account.Customer, err = findOwnerOf(ctx, q, key.Book); err != nil {
		return account, err
	}
	seed, _, err := storage.One(ctx, q, scanSeedRef, readSeedHash, s.vault.Hash(purposeSeedHash, DemoSeed))
	if err != nil {
		return account, err
	}
	if account.Holder, err = findOwnerOf(ctx, q, seed.Book); err != nil {
		return account, err
	}
	operator, _, err := storage.One(ctx, q, scanOperatorKeyRef, readOperatorHash, s.vault.Hash(purposeOperatorHash, demoOperatorKey))
	account.Operator = operator.Operator
	return account, err
}

// findOwnerOf returns the customer whose a book is.
func findOwnerOf(ctx context.Context, q storage.Queryer, book ledger.BookID) (Customer, error) {
	owner, err := findOwner(ctx, q, readBook, book)
	if err != nil {
		return Customer{}, err
	}
	return findCustomer(ctx, q, readCustomer, owner.Customer)
}

// LoadTestClock moves the test realm's clock to where the database says it is. It
// is called once at the start, before anything happens in that realm, and then by Run.
func (s *Service) LoadTestClock(ctx context.Context) error {
	offset, err := Offset(ctx, s.db)
	if err != nil || offset == 0 {
		return err
	}
	return s.applyOffset(offset)
}

// Offset returns how far ahead of the machine's clock the test realm's is, as stored.
func Offset(ctx context.Context, q storage.Queryer) (time.Duration, error) {
	micros, _, err := storage.One(ctx, q, storage.Scalar[int64], readOffset, string(realm.Test))
	return fromMicros(micros), err
}

// AdvanceTestClock moves the test realm by d, more than zero, and returns its new time; also
// is told how far it is ahead of the machine's then. Every process follows within seconds. It
// returns fault.InvalidRequest when the realm would be more than clock.MaxOffset ahead.
func (s *Service) AdvanceTestClock(ctx context.Context, actor string, d time.Duration, also storage.Also[time.Duration]) (time.Time, error) {
	return s.moveTestClock(ctx, actor, func(time.Time) time.Duration { return d }, also)
}

// MoveTestClock is AdvanceTestClock to an instant of the test realm, however far others move
// it meanwhile. It returns fault.InvalidRequest where that is no more ahead.
func (s *Service) MoveTestClock(ctx context.Context, actor string, to time.Time, also storage.Also[time.Duration]) (time.Time, error) {
	return s.moveTestClock(ctx, actor, to.Sub, also)
}

// moveTestClock moves the test realm by as much as by says of its time.
func (s *Service) moveTestClock(ctx context.Context, actor string, by func(time.Time) time.Duration, also storage.Also[time.Duration]) (time.Time, error) {
	var offset time.Duration
	err := s.write(ctx, actor, func(ctx context.Context, c *change) error {
		var err error
		if offset, err = c.advance(ctx, by); err != nil {
			return err
		}
		return also.Apply(ctx, c.Tx, offset)
	})
	if err != nil {
		return time.Time{}, err
	}
	if err := s.applyOffset(offset); err != nil {
		return time.Time{}, err
	}
	return s.clocks.Now(realm.Test), nil
}

// advance adds to the stored offset what by says of the realm's time, and returns the sum.
func (c *change) advance(ctx context.Context, by func(time.Time) time.Duration) (time.Duration, error) {
	if _, err := c.Exec(ctx, beginOffset, string(realm.Test), storage.Micros(c.at)); err != nil {
		return 0, err
	}
	micros, ok, err := storage.One(ctx, c, storage.Scalar[int64], lockOffset, string(realm.Test))
	if err != nil {
		return 0, err
	}
	if !ok {
		return 0, errors.New("advance test clock: its row is gone")
	}
	before := fromMicros(micros)
	d := by(c.at.Add(before)).Truncate(time.Microsecond)
	switch {
	case d <= 0:
		return 0, invalid("advance", "the test realm's clock only moves forward")
	case d > clock.MaxOffset-before:
		return 0, invalid("advance", "the test realm may be at most %s ahead", clock.MaxOffset)
	}
	offset := before + d
	write := updateOffset.With(string(realm.Test), offset.Microseconds(), storage.Micros(c.at))
	if err := c.Apply(ctx, []storage.Effect{write.Exactly(1)}); err != nil {
		return 0, err
	}
	return offset, c.record(ctx, note{action: "test_clock.advance", subject: string(realm.Test),
		detail: map[string]string{"by": d.String(), "offset": offset.String()}})
}

// applyOffset moves this process's clock, unless a later move came first.
func (s *Service) applyOffset(offset time.Duration) error {
	if err := s.clocks.SetOffset(offset); err != nil && offset > s.clocks.Offset() {
		return err
	}
	return nil
}

func fromMicros(micros int64) time.Duration { return time.Duration(micros) * time.Microsecond }
