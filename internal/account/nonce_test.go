package account_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/platform/storage"
)

var countNonces = storage.SQL("account_test.count_nonces", `SELECT COUNT(*) FROM account_nonces`)

func (b *bundle) nonceRows(t testing.TB) int {
	t.Helper()
	n, _, err := storage.One(t.Context(), b.db, func(r storage.Row) (n int, err error) { err = r.Scan(&n); return n, err }, countNonces)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// mature lets the process be older than anything that an earlier one accepted.
func (b *bundle) mature() { b.clock.Advance(time.Minute) }

// A nonce is accepted once per client id, whatever timestamp comes with it, for as long as the timestamp could be replayed.
func TestUseNonce(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		ctx, customer := t.Context(), b.customer(t, "Shop")
		one, two := string(b.merchant(t, customer.Live).ClientID), string(b.merchant(t, customer.Live).ClientID)
		b.mature()
		use := func(client, nonce string, skew time.Duration) fault.Code {
			return fault.CodeOf(b.UseNonce(ctx, client, nonce, b.clock.Now().Add(skew)))
		}
		for i, step := range []struct {
			client, nonce string
			skew, wait    time.Duration
			want          fault.Code
		}{
			{client: one, nonce: "abc"},
			{client: one, nonce: "abc", want: fault.NonceInvalid},
			{client: one, nonce: "ABC"},
			{client: two, nonce: "abc"},
			{client: one, nonce: "abd", skew: 10 * time.Second},
			{client: one, nonce: "abe", skew: -10 * time.Second},
			{client: one, nonce: "abd", wait: 29 * time.Second, want: fault.NonceInvalid},
			{client: one, nonce: "abe", want: fault.NonceInvalid},
			{client: one, nonce: "abh", skew: -time.Millisecond},
			{client: one, nonce: "abh", wait: 9 * time.Second, skew: -9 * time.Second, want: fault.NonceInvalid},
			{client: one, nonce: "abf", skew: 10001 * time.Millisecond, want: fault.TimestampSkewed},
			{client: one, nonce: "abf", skew: -10001 * time.Millisecond, want: fault.TimestampSkewed},
			{client: one, nonce: "abf"},
			{client: one, nonce: "", want: fault.NonceInvalid},
			{client: one, nonce: "a-b", want: fault.NonceInvalid},
			{client: one, nonce: strings.Repeat("a", 33), want: fault.NonceInvalid},
			{client: "nobody", nonce: "abg", want: fault.CredentialsInvalid},
		} {
			b.clock.Advance(step.wait)
			if got := use(step.client, step.nonce, step.skew); got != step.want {
				t.Errorf("step %d, %q: %q, want %q", i, step.nonce, got, step.want)
			}
		}
	})
}

// A nonce that there is no room to remember is not accepted, and room comes with time. On a
// shared database each is a row.
func TestNoncesWithoutRoom(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		if b.db.Shared() {
			return
		}
		client := string(b.merchant(t, b.customer(t, "Shop").Live).ClientID)
		b.mature()
		use := func(nonce string) error {
			return b.UseNonce(t.Context(), client, nonce, b.clock.Now().Add(-time.Second))
		}
		n := 0
		for ; n < 200_000; n++ {
			if err := use(strconv.Itoa(n)); err != nil {
				wantCode(t, err, fault.Overloaded)
				break
			}
		}
		if n != 131_072 {
			t.Errorf("there was room for %d", n)
		}
		wantCode(t, use("0"), fault.NonceInvalid)
		b.clock.Advance(30 * time.Second)
		wantCode(t, use("0"), fault.NonceInvalid)
		wantCode(t, use("new"), "")
	})
}

// Of many requests with one nonce at once, one is accepted; on a shared database across processes too.
func TestUseNonceConcurrently(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		client := string(b.merchant(t, b.customer(t, "Shop").Live).ClientID)
		processes := []*bundle{b}
		if b.db.Shared() {
			processes = append(processes, b.another(), b.another())
		}
		b.mature()
		var accepted atomic.Int32
		var group sync.WaitGroup
		for i := range 30 {
			process := processes[i%len(processes)]
			group.Go(func() {
				err := process.UseNonce(t.Context(), client, "once", b.clock.Now())
				if err == nil {
					accepted.Add(1)
					return
				}
				wantCode(t, err, fault.NonceInvalid)
			})
		}
		group.Wait()
		if n := accepted.Load(); n != 1 {
			t.Errorf("accepted %d times", n)
		}
	})
}

// What one process accepted, the next one refuses, whenever in the time of the timestamp's validity it starts.
func TestNoReplayAcrossRestart(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		client := string(b.merchant(t, b.customer(t, "Shop").Live).ClientID)
		b.mature()
		// A timestamp from skew, sent again after a restart that lasts pause and a while in the new process.
		for skew := -10 * time.Second; skew <= 10*time.Second; skew += 2500 * time.Millisecond {
			for _, pause := range []time.Duration{0, time.Microsecond, 5 * time.Second, 12 * time.Second} {
				for _, while := range []time.Duration{0, 3 * time.Second, 7 * time.Second} {
					nonce := fmt.Sprintf("n%dp%dw%d", skew.Milliseconds()+10_000, pause, while)
					at := b.clock.Now().Add(skew)
					if err := b.UseNonce(t.Context(), client, nonce, at); err != nil {
						t.Fatalf("first use from %s: %v", skew, err)
					}
					b.clock.Advance(pause)
					next := b.another()
					b.clock.Advance(while)
					if err := next.UseNonce(t.Context(), client, nonce, at); err == nil {
						t.Errorf("replayed: skew %s, restart %s, then %s", skew, pause, while)
					}
					b.mature() // the old process goes on in the next round
				}
			}
		}
	})
}

// A fresh timestamp is accepted right after a start, and a client whose clock is ten seconds late after ten seconds.
func TestNoncesAfterStart(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		client := string(b.merchant(t, b.customer(t, "Shop").Live).ClientID)
		next := b.another()
		if err := next.UseNonce(t.Context(), client, "now", b.clock.Now()); err != nil {
			t.Error(err)
		}
		late := next.UseNonce(t.Context(), client, "late", b.clock.Now().Add(-account.MaxSkew))
		if b.db.Shared() != (late == nil) {
			t.Errorf("a late clock at the start: %v", late)
		}
		b.clock.Advance(account.MaxSkew)
		if err := next.UseNonce(t.Context(), client, "later", b.clock.Now().Add(-account.MaxSkew)); err != nil {
			t.Error(err)
		}
	})
}

// Alone on its database, a process in its prime writes no row for a timestamp of the past; rows of old nonces go away.
func TestPurgeNonces(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		client := string(b.merchant(t, b.customer(t, "Shop").Live).ClientID)
		b.mature()
		use := func(nonce string, skew time.Duration) {
			t.Helper()
			if err := b.UseNonce(t.Context(), client, nonce, b.clock.Now().Add(skew)); err != nil {
				t.Fatal(err)
			}
		}
		use("past", -time.Millisecond)
		want := 0
		if b.db.Shared() {
			want = 1
		}
		if got := b.nonceRows(t); got != want {
			t.Errorf("%d rows, want %d", got, want)
		}
		use("future", time.Millisecond)
		b.clock.Advance(31 * time.Second)
		use("later", time.Millisecond)
		if err := b.PurgeNonces(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := b.nonceRows(t); got != 1 {
			t.Errorf("%d rows after the purge, want 1", got)
		}
	})
}

// A use is noted by a nonce, which is accepted after the signature was checked, and not by asking for the secret.
func TestMerchantUsage(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		made := b.merchant(t, b.customer(t, "Shop").Live)
		lastUse := func(ctx context.Context) time.Time {
			if err := b.FlushUsage(ctx); err != nil {
				t.Fatal(err)
			}
			return must(b.FindMerchant(ctx, made.MerchantRef))(t).LastUsedAt
		}
		must(b.MerchantSecret(t.Context(), string(made.ClientID)))(t)
		if got := lastUse(t.Context()); !got.IsZero() {
			t.Errorf("used at %s by asking", got)
		}
		if err := b.UseNonce(t.Context(), string(made.ClientID), "a1", b.clock.Now()); err != nil {
			t.Fatal(err)
		}
		if got := lastUse(t.Context()); !got.Equal(began) {
			t.Errorf("used at %s", got)
		}
	})
}
