package simulator

import (
	"bytes"
	"crypto/cipher"
	"crypto/des"
	"encoding/hex"
	"strings"

	"github.com/moov-io/iso8583"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/pan"
)

// parseKey reads a key of two or three parts; nil for the empty secret.
func parseKey(secret pan.Secret) ([]byte, error) {
	if secret.IsZero() {
		return nil, nil
	}
	key, err := hex.DecodeString(secret.Reveal())
	if err != nil || (len(key) != 16 && len(key) != 24) {
		return nil, fault.New(fault.InvalidRequest, "a zone PIN key has 32 or 48 hexadecimal digits")
	}
	if len(key) == 16 {
		key = append(key, key[:8]...)
	}
	return key, nil
}

// pinFits opens the PIN block of DE52, which is in format 0 of ISO 9564-1, and
// compares what is in it with the card's PIN.
func (h *Host) pinFits(card *Card, m *iso8583.Message) bool {
	block, err := m.GetBytes(52)
	if err != nil || len(block) != des.BlockSize {
		return false
	}
	var opener cipher.Block
	if opener, err = des.NewTripleDESCipher(h.pinKey); err != nil {
		return false
	}
	opened := make([]byte, des.BlockSize)
	opener.Decrypt(opened, block)

	number := card.Number.Reveal()
	digits := strings.Repeat("0", 12) + number[:len(number)-1]
	account, err := hex.DecodeString("0000" + digits[len(digits)-12:])
	if err != nil {
		return false
	}
	for i := range opened {
		opened[i] ^= account[i]
	}
	pin := card.PIN.Reveal()
	want := []byte("0" + hex.EncodeToString([]byte{byte(len(pin))})[1:] + pin)
	got := []byte(hex.EncodeToString(opened))
	return bytes.HasPrefix(got, want) && len(bytes.Trim(got[len(want):], "f")) == 0
}
