package chain

import (
	"context"
	"crypto/sha512"
	"fmt"
	"math/big"
	"strings"

	"golang.org/x/crypto/sha3"
)

// Monero stands in for the wallet process that makes Monero's subaddresses: it makes ones
// of the test network, with a right checksum, that nobody owns.
type Monero struct{}

// Name implements address.Maker.
func (Monero) Name() string { return "simulated:monero" }

// testSubaddress is the first byte of subaddresses of the test network.
const testSubaddress = 63

// Address implements address.Maker.
func (Monero) Address(_ context.Context, position uint32) (string, error) {
	keys := sha512.Sum512(fmt.Appendf(nil, "scrip sandbox: a subaddress that nobody owns, number %d", position))
	data := append([]byte{testSubaddress}, keys[:]...)
	h := sha3.NewLegacyKeccak256()
	h.Write(data)
	return encodeMonero(append(data, h.Sum(nil)[:4]...)), nil
}

// digits58 are those of base 58, and widths how many of them stand for so many bytes.
const digits58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"

var widths = [...]int{0, 2, 3, 5, 6, 7, 9, 10, 11}

// encodeMonero writes bytes in Monero's base 58: eight at a time, each block by itself.
func encodeMonero(data []byte) string {
	var text strings.Builder
	for len(data) > 0 {
		block := data[:min(8, len(data))]
		data = data[len(block):]
		n, digit := new(big.Int).SetBytes(block), new(big.Int)
		out := []byte(strings.Repeat("1", widths[len(block)]))
		for i := len(out) - 1; n.Sign() > 0; i-- {
			n.QuoRem(n, big.NewInt(int64(len(digits58))), digit)
			out[i] = digits58[digit.Int64()]
		}
		text.Write(out)
	}
	return text.String()
}
