package account_test

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// What goes with a change is told what the change made, and where it cannot be written
// there is no change, in the database, in the audit log or in memory.
func TestAlsoUndoes(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		customer, operator := b.customer(t, "Acme"), b.operator(t, account.RoleAdmin)
		key, merchant := b.key(t, customer.Test), b.merchant(t, customer.Test)
		seed := b.seed(t, customer.ID)
		errUndo := errors.New("undo")
		var told any
		tell := func(made any) ([]storage.Effect, error) {
			told = made
			return nil, errUndo
		}
		undoKey := func(k account.IssuedKey) ([]storage.Effect, error) { return tell(k.Last4) }
		undoMerchant := func(m account.IssuedMerchant) ([]storage.Effect, error) { return tell(m.Secret.Reveal()) }
		undoCustomer := func(c account.Customer) ([]storage.Effect, error) { return tell(c.Name) }
		undoSeed := func(s account.IssuedSeed) ([]storage.Effect, error) { return tell(s.Secret.Reveal()) }
		undoOperator := func(o account.Operator) ([]storage.Effect, error) { return tell(o.Name) }
		log := must(b.audit.List(ctx, audit.Filter{Everywhere: true}))(t)
		for name, do := range map[string]func() error{
			"create customer": func() error {
				_, err := b.CreateCustomer(ctx, actor, account.NewCustomer{Name: "New", Also: undoCustomer})
				return err
			},
			"change customer": func() error {
				_, err := b.ChangeCustomer(ctx, actor, customer.ID, to(account.NewCustomer{Name: "New", Also: undoCustomer}))
				return err
			},
			"create key": func() error {
				_, err := b.CreateKey(ctx, actor, account.NewKey{Book: customer.Test, KeySettings: everything(), Also: undoKey})
				return err
			},
			"rotate key": func() error {
				_, err := b.RotateKey(ctx, actor, key.KeyRef, account.KeyRotation{Also: undoKey})
				return err
			},
			"create merchant": func() error {
				_, err := b.CreateMerchant(ctx, actor, account.NewMerchant{Book: customer.Test, Name: "New", Also: undoMerchant})
				return err
			},
			"rotate merchant": func() error {
				_, err := b.RotateMerchant(ctx, actor, merchant.MerchantRef, account.MerchantRotation{Also: undoMerchant})
				return err
			},
			"create operator": func() error {
				_, err := b.CreateOperator(ctx, actor, account.NewOperator{Name: "New", Role: account.RoleAuditor, Also: undoOperator})
				return err
			},
			"change operator": func() error {
				_, err := b.ChangeOperator(ctx, actor, operator.ID, to(account.NewOperator{Name: "New", Role: account.RoleAuditor, Also: undoOperator}))
				return err
			},
			"create operator's key": func() error {
				_, err := b.CreateOperatorKey(ctx, actor, account.NewOperatorKey{Operator: operator.ID, Name: "New",
					Also: func(k account.IssuedOperatorKey) ([]storage.Effect, error) { return tell(k.Name) }})
				return err
			},
			"create seed": func() error {
				_, err := b.CreateSeed(ctx, actor, account.NewSeed{Realm: realm.Test, Also: undoSeed})
				return err
			},
			"rotate seed": func() error {
				_, err := b.RotateSeed(ctx, actor, seed.SeedRef, account.SeedRotation{Also: undoSeed})
				return err
			},
			"advance": func() error {
				_, err := b.AdvanceTestClock(ctx, actor, time.Hour, func(ahead time.Duration) ([]storage.Effect, error) { return tell(ahead) })
				return err
			},
		} {
			told = nil
			if err := do(); !errors.Is(err, errUndo) || told == nil || reflect.ValueOf(told).IsZero() {
				t.Errorf("%s: %v, told %v", name, err, told)
			}
		}
		if now := must(b.audit.List(ctx, audit.Filter{Everywhere: true}))(t); len(now) != len(log) {
			t.Errorf("the log has %d records more", len(now)-len(log))
		}
		must(b.AuthenticateKey(ctx, key.Secret.Reveal(), somewhere))(t)
		must(b.AuthenticateSeed(ctx, seed.Secret.Reveal()))(t)
		if m := must(b.MerchantSecret(ctx, string(merchant.ClientID)))(t); m.Secret.Reveal() != merchant.Secret.Reveal() {
			t.Error("the signing secret is another one")
		}
		if got := must(b.FindCustomer(ctx, customer.ID))(t); got != customer {
			t.Errorf("customer %+v, want %+v", got, customer)
		}
		if got := must(b.FindOperator(ctx, operator.ID))(t); got != operator {
			t.Errorf("operator %+v, want %+v", got, operator)
		}
		if b.clocks.Offset() != 0 {
			t.Errorf("the test realm is %s ahead", b.clocks.Offset())
		}
	})
}
