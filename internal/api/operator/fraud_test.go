package operator_test

import (
	"encoding/binary"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/fraud"
	"github.com/scripcards/scrip/internal/fraud/builtin"
	"github.com/scripcards/scrip/internal/fraud/office"
	"github.com/scripcards/scrip/internal/fraud/rulebook"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
)

// hunt N: somebody asks for N cards that there are not, one after the other.
func (b *bundle) hunt(t testing.TB, args []string) {
	t.Helper()
	n, err := strconv.Atoi(args[0])
	check(t, err)
	number := func(i int) (h fraud.Hash) {
		binary.BigEndian.PutUint64(h[:], uint64(i))
		return h
	}
	for i := 1; i <= n; i++ {
		e := fraud.Event{Kind: fraud.Ping, At: b.clock.Now().Add(time.Duration(i) * time.Second), Realm: realm.Test, Book: b.customer.Test, Caller: "key_desk", Network: "scrip",
			Address: netip.MustParseAddr("192.0.2.7"), Card: number(1000 + i), Before: number(999 + i), After: number(1001 + i), Block: number(1)}
		b.Fraud.Score(e)
		b.Fraud.Learn(e, fraud.Outcome{})
	}
	check(t, b.Fraud.Flush(t.Context()))
}

// model [KIND]: the model in the program is kept as if it had been brought.
func (b *bundle) model(t testing.TB, args []string) {
	t.Helper()
	kind := fraud.Ping
	if len(args) > 0 {
		kind = fraud.Kind(args[0])
	}
	_, err := b.Fraud.Import(t.Context(), builtin.Bytes(kind), seeder)
	check(t, err)
}

// A check and its decision have one label, whichever of them was labelled last.
func TestLabels(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		b.Pings.Fraud, b.Pings.Mark = b.Fraud, b.Fraud.Mark
		b.look(t, "visa_gift", "6006491300004711", "1", "2")
		check(t, b.Fraud.Flush(t.Context()))
		made, err := b.Pings.List(t.Context(), b.customer.Test, "", 2)
		check(t, err)
		checks, newest := "/operator/v1/books/"+string(b.customer.Test)+"/checks/", made[0]
		want := func(after, label string) {
			t.Helper()
			for _, target := range []string{checks + string(newest.ID), "/operator/v1/decisions/" + newest.Score.Decision} {
				if w := b.do(account.RoleAuditor, http.MethodGet, target, ""); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"label":"`+label+`"`) {
					t.Errorf("after %s: %d %s, want %s", after, w.Code, w.Body, label)
				}
			}
		}
		b.do(account.RoleSupport, http.MethodPost, "/operator/v1/fraud/labels", `{"decision_id":"`+newest.Score.Decision+`","label":"fraud"}`)
		want("the decision was labelled", "fraud")
		b.do(account.RoleSupport, http.MethodPost, checks+string(newest.ID)+"/label", `{"label":"genuine"}`)
		want("the check was labelled", "genuine")
		if w := b.do(account.RoleAuditor, http.MethodGet, checks+string(made[1].ID), ""); strings.Contains(w.Body.String(), `"label"`) {
			t.Errorf("the other check of that moment: %s", w.Body)
		}
	})
}

// judgements are the calls about the fraud engine that can be repeated.
func (b *bundle) judgements(t *testing.T) map[string]repeatable {
	t.Helper()
	b.hunt(t, []string{"12"})
	found, _, err := b.Fraud.List(t.Context(), office.Filter{Realm: realm.Test, Limit: 1})
	check(t, err)
	model, err := b.Fraud.Import(t.Context(), builtin.Bytes(fraud.Ping), seeder)
	check(t, err)
	// So that it can be rolled back, whichever call comes first.
	_, err = b.Fraud.Promote(t.Context(), office.Promotion{Model: model.ID, As: office.Champion, Actor: seeder})
	check(t, err)
	var rules []string
	for range 4 {
		made, err := b.Fraud.WriteRule(t.Context(), office.Writing{Actor: seeder,
			Rule: rulebook.Rule{Name: "misses", When: "address.missed_1h >= 10", Action: rulebook.Block, AtLeast: 95}})
		check(t, err)
		_, err = b.Fraud.TestRule(t.Context(), made.ID)
		check(t, err)
		rules = append(rules, string(made.ID))
	}
	_, err = b.Fraud.SwitchRule(t.Context(), office.Switching{Rule: office.RuleID(rules[3]), On: true, Actor: seeder})
	check(t, err)
	const (
		engine = "/operator/v1/fraud"
		rule   = `{"name":"misses","when":"address.missed_1h >= 20","action":"block","at_least_hundredths":95}`
	)
	return map[string]repeatable{
		"fraud.label":           {target: engine + "/labels", body: `{"decision_id":"` + string(found[0].ID) + `","label":"fraud"}`},
		"fraud.models.promote":  {target: engine + "/models/" + string(model.ID) + "/promote", body: `{"as":"champion"}`},
		"fraud.models.rollback": {target: engine + "/rollback", body: `{"kind":"ping"}`},
		"fraud.rules.create":    {target: engine + "/rules", body: rule},
		"fraud.rules.change":    {target: engine + "/rules/" + rules[0] + "/versions", body: rule},
		"fraud.rules.backtest":  {target: engine + "/rules/" + rules[1] + "/backtest", again: true},
		"fraud.rules.enable":    {target: engine + "/rules/" + rules[2] + "/enable"},
		"fraud.rules.disable":   {target: engine + "/rules/" + rules[3] + "/disable"},
	}
}
