package pan

import (
	"fmt"
	"io"
)

// minRandom is the least number of random digits in a generated number.
const minRandom = 4

// Generate returns a Luhn-valid number of length digits, 8 to 19, that begins
// with bin and has at least four random digits. The random ones are uniform
// when rand is: pass crypto/rand.Reader. It returns ErrLength, ErrPrefix, or
// the error of rand.
func Generate(rand io.Reader, bin string, length int) (Number, error) {
	if length < MinLength || length > MaxDigits {
		return Number{}, ErrLength
	}
	if len(bin) > length-1-minRandom {
		return Number{}, ErrPrefix
	}
	digits, err := luhnDigits(rand, bin, length)
	if err != nil {
		return Number{}, err
	}
	return newNumber(digits), nil
}

// GenerateAlnum returns a closed-loop number: letters, such as "GC", then the
// given count of digits, which by themselves are random and Luhn-valid. It
// returns ErrPrefix unless letters are all A–Z, ErrLength unless digits is 8 to
// 19 and the whole has at most 32 characters, or the error of rand.
func GenerateAlnum(rand io.Reader, letters string, digits int) (Number, error) {
	if digits < MinLength || digits > MaxDigits || len(letters) > MaxAlnum-digits {
		return Number{}, ErrLength
	}
	for _, char := range []byte(letters) {
		if !isUpper(char) {
			return Number{}, ErrPrefix
		}
	}
	text, err := luhnDigits(rand, "", digits)
	if err != nil {
		return Number{}, err
	}
	return newNumber(letters + text), nil
}

func luhnDigits(rand io.Reader, prefix string, length int) (string, error) {
	digits := make([]byte, 0, MaxDigits)
	digits = append(digits, prefix...)
	digits, err := appendRandom(rand, digits, length-1-len(prefix))
	if err != nil {
		return "", err
	}
	check, err := CheckDigit(string(digits))
	if err != nil {
		return "", ErrPrefix
	}
	return string(append(digits, check)), nil
}

// appendRandom appends count digits, at most MaxDigits. A byte of 250 or more is thrown away,
// because 256 is no multiple of ten and the low digits would be favoured.
func appendRandom(rand io.Reader, digits []byte, count int) ([]byte, error) {
	var buffer [MaxDigits]byte
	// Good randomness wastes one byte in forty; a source that needs this many
	// rounds is broken.
	for range 16 {
		if _, err := io.ReadFull(rand, buffer[:count]); err != nil {
			return nil, fmt.Errorf("generate digits: read random bytes: %w", err)
		}
		for _, random := range buffer[:count] {
			if random < 250 {
				digits = append(digits, '0'+random%10)
				count--
			}
		}
		if count == 0 {
			return digits, nil
		}
	}
	return nil, ErrRandom
}
