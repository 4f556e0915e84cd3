package cashout

import (
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/core/pan"
)

// Whoever has an order's token may do anything with it. A token is random characters, and
// before them when it was made, under a keyed mask that those characters choose: to others
// all of it is random, and we find orders where they lie, in the order of their making.
// At random places each would have a page of the index of its own written.
const (
	// TokenLength is how many characters a token has.
	TokenLength = timeLength + randomLength
	timeLength  = 6
	// randomLength is 83 random bits.
	randomLength = 14
	// times is how many milliseconds timeLength tells apart: 657 days, and then from the start.
	times = 62 * 62 * 62 * 62 * 62 * 62
)

// alphabet is what tokens are made of.
const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// What the vault hashes: tokens, and the random part that masks the rest.
const (
	purposeToken = "cashout.token"
	purposeMask  = "cashout.token_mask"
)

// draw returns a token of an order that is made at a time.
func (s *Service) draw(at time.Time) (pan.Secret, error) {
	random, err := s.random()
	if err != nil {
		return pan.Secret{}, err
	}
	masked := (uint64(at.UnixMilli()) + s.mask(random)) % times
	text := make([]byte, timeLength, TokenLength)
	for i := range text {
		text[i] = alphabet[masked%uint64(len(alphabet))]
		masked /= uint64(len(alphabet))
	}
	return pan.NewSecret(string(append(text, random...))), nil
}

// random draws randomLength characters of which every one is as likely as any other.
func (s *Service) random() (string, error) {
	const fair = 256 - 256%len(alphabet)
	text, some := make([]byte, 0, randomLength), make([]byte, 2*randomLength)
	for len(text) < randomLength {
		if _, err := io.ReadFull(s.Random, some); err != nil {
			return "", fmt.Errorf("draw a token: %w", err)
		}
		for _, b := range some {
			if int(b) < fair && len(text) < randomLength {
				text = append(text, alphabet[int(b)%len(alphabet)])
			}
		}
	}
	return string(text), nil
}

// mask is the number that hides the time of the token with these random characters.
func (s *Service) mask(random string) uint64 {
	return binary.BigEndian.Uint64(s.Vault.Hash(purposeMask, random)) % times
}

// hash is what an order is found by: when its token was made, and the token's keyed hash.
// ok is false for a text that is no token.
func (s *Service) hash(token pan.Secret) (hash []byte, ok bool) {
	text := token.Reveal()
	if len(text) != TokenLength {
		return nil, false
	}
	masked := uint64(0)
	for i := timeLength - 1; i >= 0; i-- {
		digit := strings.IndexByte(alphabet, text[i])
		if digit < 0 {
			return nil, false
		}
		masked = masked*uint64(len(alphabet)) + uint64(digit)
	}
	made := (masked + times - s.mask(text[timeLength:])) % times
	return append(binary.BigEndian.AppendUint64(nil, made)[3:], s.Vault.Hash(purposeToken, text)...), true
}
