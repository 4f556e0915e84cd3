package iso8583

import (
	"github.com/scripcards/scrip/internal/provider/call"

	"crypto/cipher"
	"crypto/des"
	"encoding/hex"
	"strings"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/pan"
)

// Lengths of a PIN in ISO 9564-1.
const (
	minPIN = 4
	maxPIN = 12
)

// zoneKey makes PIN blocks under a zone PIN key.
type zoneKey struct{ block cipher.Block }

// parseZoneKey reads a triple DES key of two or three parts from 32 or 48
// hexadecimal digits. It returns the fault invalid_request.
func parseZoneKey(secret pan.Secret) (*zoneKey, error) {
	key, err := hex.DecodeString(strings.TrimSpace(secret.Reveal()))
	if err != nil || (len(key) != 16 && len(key) != 24) {
		return nil, call.Refuse("", "a zone PIN key has 32 or 48 hexadecimal digits")
	}
	if string(key[:8]) == string(key[8:16]) {
		return nil, call.Refuse("", "a zone PIN key has parts that differ")
	}
	if len(key) == 16 {
		key = append(key, key[:8]...)
	}
	block, err := des.NewTripleDESCipher(key)
	if err != nil {
		return nil, call.Refuse("", "the zone PIN key is unfit")
	}
	return &zoneKey{block: block}, nil
}

// pinBlock returns the encrypted block of format 0 of ISO 9564-1: the
// PIN with its length, exclusive-or the twelve digits of the number before its check
// digit. It returns the fault card_invalid for a PIN that is not 4 to 12 digits.
func (k *zoneKey) pinBlock(number pan.Number, pin pan.Secret) (string, error) {
	text := pin.Reveal()
	if len(text) < minPIN || len(text) > maxPIN || !allDigits(text) {
		return "", fault.New(fault.CardInvalid, "the PIN cannot be this network's").At("pin")
	}
	digits := strings.Repeat("0", 12) + number.Reveal()
	account := "0000" + digits[len(digits)-13:len(digits)-1]
	control := "0" + strings.ToUpper(hex.EncodeToString([]byte{byte(len(text))})[1:]) + text
	block, err := hex.DecodeString(control + strings.Repeat("F", 16-len(control)))
	if err != nil {
		return "", unavailable("the PIN block cannot be made")
	}
	mask, err := hex.DecodeString(account)
	if err != nil {
		return "", unavailable("the PIN block cannot be made")
	}
	for i := range block {
		block[i] ^= mask[i]
	}
	k.block.Encrypt(block, block)
	return string(block), nil
}

func allDigits(text string) bool {
	return text != "" && strings.Trim(text, "0123456789") == ""
}
