package account_test

import (
	"net/netip"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
)

func (b *bundle) operatorKey(t testing.TB, operator account.OperatorID) account.IssuedOperatorKey {
	t.Helper()
	return must(b.CreateOperatorKey(t.Context(), actor, account.NewOperatorKey{Operator: operator, Name: "Laptop"}))(t)
}

// An operator's key says who it is and with what role; the audit log knows who made both.
func TestAuthenticateOperator(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		if list := must(b.ListOperators(ctx, account.Page{}))(t); len(list.Items) != 0 {
			t.Fatalf("a new installation has %d operators", len(list.Items))
		}
		made := b.operator(t, account.RoleSupport)
		key := b.operatorKey(t, made.ID)
		if !id.Valid("opr", string(made.ID)) || !regexp.MustCompile(`^op_[A-Za-z0-9_-]{40,}$`).MatchString(key.Secret.Reveal()) {
			t.Errorf("made %s", made.ID)
		}
		want := made
		want.Credential = key.ID
		for range 2 { // from the database, then from memory
			got := must(b.AuthenticateOperator(ctx, key.Secret.Reveal(), somewhere))(t)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		}
		must(b.AuthenticateOperator(cannotRead(t), key.Secret.Reveal(), somewhere))(t)
		if err := b.FlushUsage(ctx); err != nil {
			t.Fatal(err)
		}
		keys := must(b.ListOperatorKeys(ctx, made.ID, account.Page{}))(t)
		if len(keys.Items) != 1 || !keys.Items[0].LastUsedAt.Equal(began) {
			t.Errorf("keys: %+v", keys.Items)
		}
		if diff := cmp.Diff([]account.Operator{made}, must(b.ListOperators(ctx, account.Page{}))(t).Items); diff != "" {
			t.Error(diff)
		}
		if got := b.actions(t, "", string(made.ID)); !slices.Equal(got, []string{"operator.create"}) {
			t.Errorf("audit: %v", got)
		}
		if got := b.actions(t, "", string(key.ID)); !slices.Equal(got, []string{"operator_key.create"}) {
			t.Errorf("audit: %v", got)
		}
	})
}

// Every way in which an operator's key does not work has one answer, at once.
func TestOperatorRefusals(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		ctx, made := t.Context(), b.operator(t, account.RoleAdmin)
		revoked, good := b.operatorKey(t, made.ID), b.operatorKey(t, made.ID)
		expiring := must(b.CreateOperatorKey(ctx, actor, account.NewOperatorKey{Operator: made.ID, Name: "Guest", ExpiresAt: began.Add(time.Millisecond)}))(t)
		refused := func(bearer string) {
			t.Helper()
			_, err := b.AuthenticateOperator(ctx, bearer, somewhere)
			if e := fault.From(err); e.Code != fault.CredentialsInvalid || e.Message != "the credentials are missing or invalid" {
				t.Errorf("refused with %v", err)
			}
		}
		for _, key := range []account.IssuedOperatorKey{revoked, good, expiring} {
			must(b.AuthenticateOperator(ctx, key.Secret.Reveal(), somewhere))(t)
		}
		for range 2 {
			if err := b.RevokeOperatorKey(ctx, actor, revoked.OperatorKeyRef); err != nil {
				t.Fatal(err)
			}
		}
		b.clock.Advance(time.Millisecond) // memory still holds all three
		for _, bearer := range []string{"", "op_", "op_demo", good.Secret.Reveal()[3:], good.Secret.Reveal() + "x", revoked.Secret.Reveal(), expiring.Secret.Reveal()} {
			refused(bearer)
		}
		must(b.SetOperatorState(ctx, actor, made.ID, account.OperatorDisabled))(t)
		refused(good.Secret.Reveal())
		must(b.SetOperatorState(ctx, actor, made.ID, account.OperatorActive))(t)
		changed := must(b.ChangeOperator(ctx, actor, made.ID, to(account.NewOperator{Name: "Otto", Role: account.RoleAuditor})))(t)
		got := must(b.AuthenticateOperator(ctx, good.Secret.Reveal(), somewhere))(t)
		if got.Role != account.RoleAuditor || got.Name != changed.Name {
			t.Errorf("authenticated %+v", got)
		}
		wantCode(t, got.Require(account.DutyAssist), fault.PermissionDenied)
		b.clock.Advance(time.Hour)
		if same := must(b.ChangeOperator(ctx, actor, made.ID, to(account.NewOperator{Name: "Otto", Role: account.RoleAuditor})))(t); same != changed {
			t.Errorf("the same again: %+v", same)
		}
		if same := must(b.SetOperatorState(ctx, actor, made.ID, account.OperatorActive))(t); same != changed {
			t.Errorf("the same state again: %+v", same)
		}
		if got := b.actions(t, "", string(made.ID)); len(got) != 4 {
			t.Errorf("audit: %v", got)
		}
		if got := b.actions(t, "", string(revoked.ID)); !slices.Equal(got, []string{"operator_key.create", "operator_key.revoke"}) {
			t.Errorf("audit: %v", got)
		}
	})
}

// A key with networks works from them alone.
func TestOperatorNetworks(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		networks := must(account.ParseNetworks([]string{"10.0.0.0/8"}))(t)
		key := must(b.CreateOperatorKey(t.Context(), actor, account.NewOperatorKey{
			Operator: b.operator(t, account.RoleAdmin).ID, Name: "Office", Networks: networks,
		}))(t)
		must(b.AuthenticateOperator(t.Context(), key.Secret.Reveal(), netip.MustParseAddr("10.1.2.3")))(t)
		_, err := b.AuthenticateOperator(t.Context(), key.Secret.Reveal(), somewhere)
		wantCode(t, err, fault.PermissionDenied)
	})
}

// What an operator cannot be is refused, and so is a key of nobody.
func TestOperatorInput(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		ctx, made := t.Context(), b.operator(t, account.RoleAdmin)
		for field, n := range map[string]account.NewOperator{"name": {Role: account.RoleAdmin}, "role": {Name: "A", Role: "king"}} {
			_, err := b.CreateOperator(ctx, actor, n)
			if e := fault.From(err); e.Code != fault.InvalidRequest || e.Field != field {
				t.Errorf("%s: %v", field, err)
			}
			_, err = b.ChangeOperator(ctx, actor, made.ID, to(n))
			wantCode(t, err, fault.InvalidRequest)
		}
		_, err := b.SetOperatorState(ctx, actor, made.ID, "asleep")
		wantCode(t, err, fault.InvalidRequest)
		_, err = b.CreateOperatorKey(ctx, actor, account.NewOperatorKey{Operator: "opr_nobody", Name: "A"})
		wantCode(t, err, fault.NotFound)
		_, err = b.CreateOperatorKey(ctx, actor, account.NewOperatorKey{Operator: made.ID, Name: "A", ExpiresAt: began})
		wantCode(t, err, fault.InvalidRequest)
		wantCode(t, b.RevokeOperatorKey(ctx, actor, account.OperatorKeyRef{Operator: made.ID, ID: "key_none"}), fault.NotFound)
		_, err = b.FindOperator(ctx, "opr_nobody")
		wantCode(t, err, fault.NotFound)
	})
}

// Each role may do its own duties and no other.
func TestDuties(t *testing.T) {
	for role, want := range map[account.Role][]account.Duty{
		account.RoleAdmin:   {account.DutyRead, account.DutyAssist, account.DutyAdminister},
		account.RoleSupport: {account.DutyRead, account.DutyAssist},
		account.RoleAuditor: {account.DutyRead},
		"":                  nil,
		"king":              nil,
	} {
		for _, duty := range []account.Duty{account.DutyRead, account.DutyAssist, account.DutyAdminister, "rule", ""} {
			if got := role.May(duty); got != slices.Contains(want, duty) {
				t.Errorf("%q may %q: %t", role, duty, got)
			}
		}
	}
}
