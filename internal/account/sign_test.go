package account_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// pair returns an RSA key with its public half in PEM.
func pair(t testing.TB, bits int) (*rsa.PrivateKey, string) {
	t.Helper()
	key := must(rsa.GenerateKey(rand.Reader, bits))(t)
	der := must(x509.MarshalPKIXPublicKey(&key.PublicKey))(t)
	return key, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// signed is what openssl dgst -sha256 -sign makes of text, in base64.
func signed(t testing.TB, key *rsa.PrivateKey, text string) string {
	t.Helper()
	sum := sha256.Sum256([]byte(text))
	return base64.StdEncoding.EncodeToString(must(rsa.SignPKCS1v15(nil, key, crypto.SHA256, sum[:]))(t))
}

// A challenge works once, for five minutes, for the book that asked for it, with a
// signature of its own key over its own text.
func TestUseChallenge(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		ctx, customer := t.Context(), b.customer(t, "Shop")
		key, public := pair(t, 2048)
		other, _ := pair(t, 2048)
		must(b.SetSigner(ctx, actor, customer.Test, public))(t)
		signer, signs, err := b.FindSigner(ctx, customer.Test)
		if err != nil || !signs || len(signer.Fingerprint) != 64 {
			t.Fatalf("%+v %t %v", signer, signs, err)
		}
		use := func(challenge, signature string) fault.Code {
			return fault.CodeOf(b.UseChallenge(ctx, signer, challenge, signature))
		}
		first, until := b.Challenge(customer.Test)
		if got := until.Sub(b.clock.Now()); got != account.ChallengeLife {
			t.Errorf("a challenge lives %s", got)
		}
		if again, _ := b.Challenge(customer.Test); again == first {
			t.Error("two challenges of one second are one")
		}
		foreign, _ := b.Challenge(customer.Live)
		changed := byte('A')
		if first[20] == changed {
			changed = 'B'
		}
		flipped := first[:20] + string(changed) + first[21:]
		for i, step := range []struct {
			challenge, signature string
			want                 fault.Code
		}{
			{"", signed(t, key, first), fault.NonceInvalid},
			{"chl_", signed(t, key, "chl_"), fault.NonceInvalid},
			{strings.Repeat("x", 1<<20), signed(t, key, first), fault.NonceInvalid},
			{foreign, signed(t, key, foreign), fault.NonceInvalid},
			{flipped, signed(t, key, flipped), fault.NonceInvalid},
			{first, "", fault.SignatureInvalid},
			{first, "not base64!", fault.SignatureInvalid},
			{first, strings.Repeat("A", 1<<20), fault.SignatureInvalid},
			{first, signed(t, other, first), fault.SignatureInvalid},
			{first, signed(t, key, first+"\n"), fault.SignatureInvalid},
			{first, signed(t, key, first), ""},
			{first, signed(t, key, first), fault.NonceInvalid},
		} {
			if got := use(step.challenge, step.signature); got != step.want {
				t.Errorf("step %d: %s, want %s", i, got, step.want)
			}
		}
		late, _ := b.Challenge(customer.Test)
		b.clock.Advance(account.ChallengeLife - time.Second)
		last, _ := b.Challenge(customer.Test)
		b.clock.Advance(time.Second)
		if got := use(late, signed(t, key, late)); got != fault.NonceInvalid {
			t.Errorf("five minutes later: %s", got)
		}
		if got := use(last, signed(t, key, last)); got != "" {
			t.Errorf("one second later: %s", got)
		}
	})
}

// Of many uses of one challenge at once, in two processes, one succeeds; a row that is
// purged is of a challenge that does not work any more.
func TestChallengeOnce(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		ctx, customer := t.Context(), b.customer(t, "Shop")
		key, public := pair(t, 2048)
		must(b.SetSigner(ctx, actor, customer.Test, public))(t)
		challenge, _ := b.Challenge(customer.Test)
		signature := signed(t, key, challenge)
		var accepted atomic.Int32
		var all sync.WaitGroup
		for _, process := range []*bundle{b, b.another()} {
			signer, _, err := process.FindSigner(ctx, customer.Test)
			if err != nil {
				t.Fatal(err)
			}
			for range 8 {
				all.Go(func() {
					switch code := fault.CodeOf(process.UseChallenge(ctx, signer, challenge, signature)); code {
					case "":
						accepted.Add(1)
					case fault.NonceInvalid:
					default:
						t.Errorf("refused with %s", code)
					}
				})
			}
		}
		all.Wait()
		if accepted.Load() != 1 {
			t.Errorf("%d uses were accepted", accepted.Load())
		}
		signer, _, _ := b.FindSigner(ctx, customer.Test)
		for range 8 {
			b.clock.Advance(time.Minute)
			if err := b.PurgeChallenges(ctx); err != nil {
				t.Fatal(err)
			}
			if got := fault.CodeOf(b.UseChallenge(ctx, signer, challenge, signature)); got != fault.NonceInvalid {
				t.Errorf("at %s it was accepted again (%s)", b.clock.Now(), got)
			}
		}
		if left, _, err := storage.One(ctx, b.db, storage.Scalar[int], countChallenges); err != nil || left != 0 {
			t.Errorf("%d rows are left (%v)", left, err)
		}
	})
}

var countChallenges = storage.SQL("account_test.count_challenges", `SELECT COUNT(*) FROM account_challenges`)

// A book's key is set, replaced and removed, which other processes see within seconds
// and the audit log at once; what is no key of the right kind and size is refused.
func TestSetSigner(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		ctx, customer := t.Context(), b.customer(t, "Shop")
		other := b.another()
		signs := func(p *bundle) bool {
			_, signs, err := p.FindSigner(ctx, customer.Test)
			if err != nil {
				t.Fatal(err)
			}
			return signs
		}
		if signs(b) || signs(other) {
			t.Error("a new book signs")
		}
		key, public := pair(t, 2048)
		set := must(b.SetSigner(ctx, actor, customer.Test, public))(t)
		if !signs(b) {
			t.Error("the process that set the key does not know")
		}
		if _, live, err := b.FindSigner(ctx, customer.Live); err != nil || live {
			t.Errorf("the other realm signs, too (%v)", err)
		}
		b.clock.Advance(2 * time.Second)
		if !signs(other) || !signs(b) {
			t.Error("two seconds later a process does not know")
		}
		older := string(pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(&key.PublicKey)}))
		if same := must(b.SetSigner(ctx, actor, customer.Test, older))(t); !cmp.Equal(same, set, cmpopts.IgnoreUnexported(account.Signer{})) {
			t.Errorf("the same key in openssl's older form: %+v, want %+v", same, set)
		}
		must(b.SetSigner(ctx, actor, customer.Test, ""))(t)
		if signs(b) {
			t.Error("it signs after the key was removed")
		}
		_, small := pair(t, 1024)
		curve := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
		der := must(x509.MarshalPKIXPublicKey(&curve.PublicKey))(t)
		for name, text := range map[string]string{"small": small, "two": public + public, "no PEM": "key", "huge": strings.Repeat(public, 100),
			"another kind": string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})),
			"damaged":      string(pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: der[:10]}))} {
			if got := fault.CodeOf(second(b.SetSigner(ctx, actor, customer.Test, text))); got != fault.InvalidRequest {
				t.Errorf("%s: %s", name, got)
			}
		}
		if got := fault.CodeOf(second(b.SetSigner(ctx, actor, "book_none", public))); got != fault.NotFound {
			t.Errorf("no book: %s", got)
		}
		got := b.actions(t, customer.Test, string(customer.Test))
		slices.Sort(got)
		if diff := cmp.Diff([]string{"book.open", "signer.remove", "signer.set"}, got); diff != "" {
			t.Errorf("the audit log has %s", diff)
		}
	})
}
