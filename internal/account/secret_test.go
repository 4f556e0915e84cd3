package account_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/storage"
)

var tables = []string{
	"account_customers", "account_customer_terms", "account_books", "account_keys", "account_key_hashes", "account_seeds", "account_seed_hashes", "account_merchants", "account_merchant_clients",
	"account_nonces", "account_operators", "account_operator_keys", "account_operator_key_hashes", "realm_clock",
}

// The tables that are searched for secrets are those of the migration.
func TestTablesAreComplete(t *testing.T) {
	text := must(os.ReadFile("../platform/storage/migrations/0007_account.sql"))(t)
	var want []string
	for _, match := range regexp.MustCompile(`CREATE TABLE (\w+)`).FindAllStringSubmatch(string(text), -1) {
		want = append(want, match[1])
	}
	if !slices.Equal(want, tables) {
		t.Errorf("tables %v, want %v", tables, want)
	}
}

// dump returns every value of a table as text, one row a line.
func (b *bundle) dump(t testing.TB, name string) []string {
	t.Helper()
	var lines []string
	for _, known := range must(storage.Tables(t.Context(), b.db))(t) {
		if known.Name != name {
			continue
		}
		err := known.Each(t.Context(), b.db, func(row []any) error {
			var line strings.Builder
			for _, value := range row {
				switch v := value.(type) {
				case []byte:
					line.Write(v)
				default:
					fmt.Fprint(&line, v)
				}
				line.WriteByte('|')
			}
			lines = append(lines, line.String())
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return lines
}

// issueAll makes one of everything that has a secret and returns the secrets.
func (b *bundle) issueAll(t testing.TB) []pan.Secret {
	t.Helper()
	ctx, customer := t.Context(), b.customer(t, "Shop")
	key := b.key(t, customer.Live)
	rotated := must(b.RotateKey(ctx, actor, key.KeyRef, account.KeyRotation{Grace: time.Hour}))(t)
	merchant := b.merchant(t, customer.Test)
	next := must(b.RotateMerchant(ctx, actor, merchant.MerchantRef, account.MerchantRotation{Grace: time.Hour}))(t)
	operator := b.operatorKey(t, b.operator(t, account.RoleAdmin).ID)
	seed := must(b.CreateSeed(ctx, actor, account.NewSeed{Realm: realm.Live}))(t)
	must(b.AuthenticateKey(ctx, key.Secret.Reveal(), somewhere))(t)
	must(b.AuthenticateOperator(ctx, operator.Secret.Reveal(), somewhere))(t)
	must(b.AuthenticateSeed(ctx, seed.Secret.Reveal()))(t)
	if err := b.UseNonce(ctx, string(merchant.ClientID), "n1", b.clock.Now()); err != nil {
		t.Fatal(err)
	}
	must(b.AdvanceTestClock(ctx, actor, time.Hour, nil))(t)
	must(b.Demo(ctx, "system"))(t)
	if err := b.FlushUsage(ctx); err != nil {
		t.Fatal(err)
	}
	secrets := []pan.Secret{key.Secret, rotated.Secret, merchant.Secret, next.Secret, operator.Secret, seed.Secret}
	for _, published := range []string{"cp_live_sk_demo", "cp_test_sk_demo", "demo-secret", "op_demo", account.DemoSeed} {
		secrets = append(secrets, pan.NewSecret(published))
	}
	return secrets
}

// No column of no table, and no record of the audit log, holds a secret or the random part of one.
func TestNoSecretIsStored(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		secrets := b.issueAll(t)
		lines := map[string][]string{}
		for _, one := range tables {
			if lines[one] = b.dump(t, one); len(lines[one]) == 0 {
				t.Errorf("%s is empty: nothing was searched", one)
			}
		}
		entries := must(b.audit.List(t.Context(), audit.Filter{Everywhere: true, Limit: 200}))(t)
		for _, e := range entries {
			lines["audit"] = append(lines["audit"], fmt.Sprint(e.Record))
		}
		for _, secret := range secrets {
			text := secret.Reveal()
			if len(text) > 40 {
				text = text[len(text)-40 : len(text)-4] // the last four are kept to recognize it
			}
			for name, table := range lines {
				for _, line := range table {
					if strings.Contains(line, text) {
						t.Errorf("%s holds a secret", name)
					}
				}
			}
		}
	})
}

// Whatever holds a secret prints, marshals and logs without it.
func TestSecretsMaskThemselves(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		customer := b.customer(t, "Shop")
		key, merchant := b.key(t, customer.Live), b.merchant(t, customer.Live)
		operator := b.operatorKey(t, b.operator(t, account.RoleAdmin).ID)
		signer := must(b.MerchantSecret(t.Context(), string(merchant.ClientID)))(t)
		seed := must(b.CreateSeed(t.Context(), actor, account.NewSeed{Realm: realm.Live}))(t)
		for _, c := range []struct {
			value  any
			secret pan.Secret
		}{
			{key, key.Secret}, {&key, key.Secret}, {merchant, merchant.Secret}, {&merchant, merchant.Secret},
			{operator, operator.Secret}, {seed, seed.Secret}, {&seed, seed.Secret}, {signer, signer.Secret}, {[]account.Merchant{signer}, signer.Secret},
		} {
			var sinks bytes.Buffer
			fmt.Fprintf(&sinks, "%v %+v %#v %s %q %x %d", c.value, c.value, c.value, c.value, c.value, c.value, c.value)
			sinks.Write(must(json.Marshal(c.value))(t))
			slog.New(slog.NewTextHandler(&sinks, nil)).Info("issued", "value", c.value)
			slog.New(slog.NewJSONHandler(&sinks, nil)).Info("issued", "value", c.value)
			for _, form := range []string{c.secret.Reveal(), fmt.Sprintf("%x", c.secret.Reveal()), fmt.Sprintf("%v", []byte(c.secret.Reveal()))} {
				if strings.Contains(sinks.String(), strings.Trim(form, "[]")) {
					t.Errorf("%T shows its secret", c.value)
				}
			}
		}
	})
}
