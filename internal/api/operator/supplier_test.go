package operator_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/order/supply"
)

// slow is a supplier that takes every order and never says what becomes of it.
type slow struct{}

func (slow) Quote(context.Context, supply.Wanted) (supply.Quote, error) {
	return supply.Quote{Cost: catalog.Cost{Amount: money.New(2000, money.USD)}, Available: true}, nil
}

func (slow) Submit(context.Context, supply.Submission) (supply.Answer, error) { return working() }
func (slow) Query(context.Context, supply.Submission) (supply.Answer, error)  { return working() }
func (slow) Cancel(context.Context, supply.Submission) (supply.Answer, error) { return working() }

func working() (supply.Answer, error) {
	return supply.Answer{State: supply.Working, Reference: "SLOW-1"}, nil
}

// suppliers are the calls about suppliers that can be repeated.
func (b *bundle) suppliers(t *testing.T) map[string]repeatable {
	t.Helper()
	for _, name := range []string{"delia", "ella"} {
		_, err := b.Supply.Add(t.Context(), supply.Setup{Actor: seeder, Config: []byte(`{}`),
			Configured: supply.Configured{Realm: realm.Test, ID: name, Name: "Supplier", Kind: "slow", Active: name == "delia"}})
		check(t, err)
	}
	const all = "/operator/v1/suppliers"
	return map[string]repeatable{
		"suppliers.create": {target: all, body: `{"realm":"test","supplier_id":"carla","name":"Carla","kind":"slow","config":{}}`},
		"suppliers.change": {method: http.MethodPatch, target: all + "/test/delia", body: `{"name":"Delia"}`},
		"suppliers.delete": {method: http.MethodDelete, target: all + "/test/ella"},
	}
}
