package account_test

import (
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
)

// The published credentials work after Demo, in the realms they name, and are made once however often it runs.
func TestDemo(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		var first account.DemoAccount
		for i := range 3 {
			process := b.another()
			got := must(process.Demo(ctx, "system"))(t)
			if i == 0 {
				first = got
			}
			if diff := cmp.Diff(first, got); diff != "" {
				t.Errorf("start %d: %s", i, diff)
			}
			for key, r := range map[string]realm.Realm{"cp_live_sk_demo": realm.Live, "cp_test_sk_demo": realm.Test} {
				p := must(process.AuthenticateKey(ctx, key, somewhere))(t)
				if p.Realm != r || p.Book != first.Customer.Book(r) || !p.Scopes.Has(account.ScopePing) {
					t.Errorf("%s gives %+v", key, p)
				}
			}
			merchant := must(process.MerchantSecret(ctx, "demo-merchant"))(t)
			if merchant.Book != first.Customer.Test || !merchant.Secret.Equal(pan.NewSecret("demo-secret")) {
				t.Errorf("the demo merchant is %+v", merchant.Principal)
			}
			if p := must(process.AuthenticateSeed(ctx, account.DemoSeed))(t); p.Realm != realm.Test || p.Book != first.Holder.Test || p.Book == first.Customer.Test {
				t.Errorf("the demo seed gives %+v", p)
			}
			operator := must(process.AuthenticateOperator(ctx, "op_demo", somewhere))(t)
			if operator.Role != account.RoleAdmin || operator.ID != first.Operator {
				t.Errorf("the demo operator is %+v", operator)
			}
		}
		if customers := must(b.ListCustomers(ctx, account.Page{}))(t); len(customers.Items) != 2 {
			t.Errorf("%d customers", len(customers.Items))
		}
	})
}

// A database that has once been a demonstration does not open to a process that is none.
func TestDemoCredentialsNeedDemo(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		_, before := b.AuthenticateKey(ctx, "cp_live_sk_demo", somewhere)
		wantCode(t, before, fault.CredentialsInvalid)
		must(b.Demo(ctx, "system"))(t)
		must(b.AuthenticateKey(ctx, "cp_live_sk_demo", somewhere))(t)
		plain := b.another()
		for _, key := range []string{"cp_live_sk_demo", "cp_test_sk_demo"} {
			_, err := plain.AuthenticateKey(ctx, key, somewhere)
			wantCode(t, err, fault.CredentialsInvalid)
		}
		_, err := plain.MerchantSecret(ctx, "demo-merchant")
		wantCode(t, err, fault.CredentialsInvalid)
		_, err = plain.AuthenticateOperator(ctx, "op_demo", somewhere)
		wantCode(t, err, fault.CredentialsInvalid)
		_, err = plain.AuthenticateSeed(ctx, account.DemoSeed)
		wantCode(t, err, fault.CredentialsInvalid)
	})
}

// Processes that start at once make one demonstration.
func TestDemoConcurrently(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		accounts := make([]account.DemoAccount, 6)
		var group sync.WaitGroup
		for i := range accounts {
			process := b.another()
			group.Go(func() {
				var err error
				if accounts[i], err = process.Demo(t.Context(), "system"); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		for _, got := range accounts[1:] {
			if diff := cmp.Diff(accounts[0], got); diff != "" {
				t.Error(diff)
			}
		}
	})
}
