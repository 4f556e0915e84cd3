package account_test

import (
	"testing"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/testkit"
)

// A key that is in memory is authenticated without allocation.
func TestAuthenticateKeyDoesNotAllocate(t *testing.T) {
	b := setup(t, testkit.Open(t, testkit.Database(t, "sqlite")))
	secret := b.key(t, b.customer(t, "Shop").Live).Secret.Reveal()
	allocations := testing.AllocsPerRun(100, func() {
		if _, err := b.AuthenticateKey(t.Context(), secret, somewhere); err != nil {
			t.Fatal(err)
		}
	})
	if allocations > 0 {
		t.Errorf("%v allocations", allocations)
	}
}

func BenchmarkAuthenticateKey(b *testing.B) {
	process := setup(b, testkit.Open(b, testkit.Database(b, "sqlite")))
	process.Service = account.New(account.Deps{
		DB: process.db, Vault: process.vault, Audit: process.audit, Clocks: clock.NewRealms(clock.System()),
	})
	secret := process.key(b, process.customer(b, "Shop").Live).Secret.Reveal()
	b.ReportAllocs()
	b.Run("one", func(b *testing.B) {
		for b.Loop() {
			if _, err := process.AuthenticateKey(b.Context(), secret, somewhere); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := process.AuthenticateKey(b.Context(), secret, somewhere); err != nil {
					b.Error(err)
				}
			}
		})
	})
}
