package solana

import (
	"crypto/sha256"
	"errors"

	"filippo.io/edwards25519"
	"github.com/btcsuite/btcd/address/v2/base58"
)

// The programs that tokens and their usual accounts are of.
const (
	tokenProgram      = "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA"
	associatedProgram = "ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL"
)

// derivedMarker ends what the address of a program's account is hashed from.
const derivedMarker = "ProgramDerivedAddress"

const (
	keyLength       = 32
	signatureLength = 64
)

// isKey reports whether text is 32 bytes in base58, as public keys and hashes are written.
func isKey(text string) bool {
	return len(text) >= keyLength && len(text) <= 44 && len(base58.Decode(text)) == keyLength
}

// isSignature reports whether text is the signature that names a transaction.
func isSignature(text string) bool {
	return len(text) >= signatureLength && len(text) <= 88 && len(base58.Decode(text)) == signatureLength
}

// errDerived says that there is no such account, which is so for one owner in 2^256.
var errDerived = errors.New("no account can be derived")

// associated returns the address of the account in which an owner holds a token unless they
// chose another: the first of 256 hashes that is no point of the curve, so that nobody can
// have its private key.
func associated(owner, mint string) (string, error) {
	for bump := 255; bump >= 0; bump-- {
		h := sha256.New()
		h.Write(base58.Decode(owner))
		h.Write(base58.Decode(tokenProgram))
		h.Write(base58.Decode(mint))
		h.Write([]byte{byte(bump)})
		h.Write(base58.Decode(associatedProgram))
		h.Write([]byte(derivedMarker))
		key := h.Sum(nil)
		if _, err := new(edwards25519.Point).SetBytes(key); err != nil {
			return base58.Encode(key), nil
		}
	}
	return "", errDerived
}
