package pan

// Luhn reports whether digits ends in its check digit by the modulus-10 double
// add double formula (ISO/IEC 7812-1, annex B). It is false for a text that is
// empty or has another character than a digit.
func Luhn(digits string) bool {
	sum, ok := luhnSum(digits, false)
	return ok && len(digits) > 0 && sum%10 == 0
}

// CheckDigit returns the digit, '0' to '9', that makes payload valid when
// appended. It returns ErrCharacter unless payload has only digits, and
// ErrLength when it is empty.
func CheckDigit(payload string) (byte, error) {
	if payload == "" {
		return 0, ErrLength
	}
	sum, ok := luhnSum(payload, true)
	if !ok {
		return 0, ErrCharacter
	}
	return '0' + byte((10-sum%10)%10), nil
}

// luhnSum adds the digits from the right, every second one doubled: the last
// digit too when doubled is true.
func luhnSum(digits string, doubled bool) (sum int, ok bool) {
	for i := len(digits) - 1; i >= 0; i-- {
		if !isDigit(digits[i]) {
			return 0, false
		}
		digit := int(digits[i] - '0')
		if doubled {
			digit *= 2
			if digit > 9 {
				digit -= 9
			}
		}
		// Reduced at once, so that no length overflows.
		sum = (sum + digit) % 10
		doubled = !doubled
	}
	return sum, true
}
