package account

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strings"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/memo"
)

// What a generated key looks like: a prefix, 40 random characters, and 8 that
// prove to this installation, without a look-up, that it made the rest. Guesses
// therefore do not reach the database.
const (
	operatorKeyPrefix = "op_"
	randomLen         = 40 // characters: 30 bytes
	proofLen          = 8  // characters: 6 bytes
	maxPresented      = 128
)

// keyPrefix returns how API keys of r begin.
func keyPrefix(r realm.Realm) string { return "cp_" + string(r) + "_sk_" }

// Purposes of the vault's hashes and seals. To change one is to lose what was made with it.
const (
	purposeKeyHash        = "account.key"
	purposeOperatorHash   = "account.operator_key"
	purposeSeedHash       = "account.seed"
	purposeProof          = "account.proof"
	purposeMerchantSecret = "account.merchant_secret"
	purposeChallenge      = "account.challenge"
)

// mint returns a new secret that begins with prefix.
func (s *Service) mint(prefix string) string {
	text := prefix + randomText(randomLen)
	return text + s.proof(text)
}

// genuine reports whether mint(prefix) can have made text.
func (s *Service) genuine(prefix, text string) bool {
	if len(text) != len(prefix)+randomLen+proofLen || !strings.HasPrefix(text, prefix) {
		return false
	}
	made, proof := text[:len(text)-proofLen], text[len(text)-proofLen:]
	return hmac.Equal([]byte(proof), []byte(s.proof(made)))
}

func (s *Service) proof(text string) string {
	return base64.RawURLEncoding.EncodeToString(s.vault.Hash(purposeProof, text)[:proofLen*6/8])
}

// randomText returns n characters, six random bits each. n is a multiple of four.
func randomText(n int) string {
	random := make([]byte, n/4*3)
	_, _ = rand.Read(random) // never fails: crypto/rand ends the process instead
	return base64.RawURLEncoding.EncodeToString(random)
}

// digest is under what a presented text is remembered in memory, which thus holds no secret.
func digest(text string) memo.Key {
	var buffer [maxPresented]byte
	return sha256.Sum256(buffer[:copy(buffer[:], text)])
}

// last4 is how an owner recognizes a key in a list.
func last4(secret string) string { return secret[len(secret)-4:] }

// errCredentials is the one answer to a credential that is missing, malformed, unknown, revoked or expired.
func errCredentials() error {
	return fault.New(fault.CredentialsInvalid, "the credentials are missing or invalid")
}

func errAddress() error {
	return fault.New(fault.PermissionDenied, "this credential may not be used from this address")
}

func errSuspended() error {
	return fault.New(fault.PermissionDenied, "this account is suspended")
}
