package telemetry

import (
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
)

// nameClass is what the name of an attribute or field says about its value.
type nameClass int

const (
	plainName nameClass = iota
	// doubtfulName: "key" and "code" are secrets unless their values show otherwise.
	doubtfulName
	secretName
	// headerName: the value is all of the line.
	headerName
)

// wholeNames are names, in lower case and without separators.
var wholeNames = map[string]nameClass{
	"key": doubtfulName, "code": doubtfulName, "authorization": headerName, "proxyauthorization": headerName, "cookie": headerName, "setcookie": headerName,
	"redemptioncode": secretName, "redeemcode": secretName, "giftcode": secretName, "verificationcode": secretName, "smscode": secretName, "authcode": secretName,
	"accesskey": secretName, "cardkey": secretName, "giftkey": secretName, "hashkey": secretName, "datakey": secretName, "signingkey": secretName,
	"primaryaccountnumber": secretName,
}

// lastWords are names, or the last words of names such as "card_pin" and "userPin".
var lastWords = map[string]bool{
	"pin": true, "pins": true, "pan": true, "pans": true, "cvv": true, "cvv2": true, "cvc": true, "cvc2": true, "otp": true, "totp": true, "seed": true, "pwd": true,
}

// endings are secrets' names wherever a name ends with them, in words or not.
var endings = [...]string{
	"secret", "secrets", "password", "passwd", "passphrase", "token", "cookie", "mnemonic", "signature", "authorization",
	"apikey", "masterkey", "privatekey", "secretkey", "encryptionkey", "cardnumber",
}

// maxName bounds how much of a name is looked at, from its end, in bytes.
const maxName = 40

// classify tells what a name says, however it is written: api_key, X-API-Key, apiKey.
func classify(name string) nameClass {
	var space [maxName]byte
	letters, last := space[:0], 0
	if len(name) > maxName {
		name = name[len(name)-maxName:]
	}
	lower := false
	for i := range len(name) {
		c := name[i]
		switch {
		case isUpper(c):
			if lower { // camelCase
				last = len(letters)
			}
			letters, lower = append(letters, c|0x20), false
		case isAlnum(c):
			letters, lower = append(letters, c), true
		default:
			last, lower = len(letters), false
		}
	}
	if class, ok := wholeNames[string(letters)]; ok {
		return class
	}
	if lastWords[string(letters)] || lastWords[string(letters[last:])] {
		return secretName
	}
	for _, ending := range endings {
		if n := len(letters) - len(ending); n >= 0 && letters[n] == ending[0] && string(letters[n:]) == ending {
			return secretName
		}
	}
	return plainName
}

// isHarmless reports whether the value of a doubtful name is no secret: one of our
// ids, which never are credentials, or a code of a fault.
func isHarmless(text string) bool {
	for i := range len(text) {
		if text[i] == '_' && id.Valid(text[:i], text) {
			return true
		}
	}
	known := fault.Code(text).Kind() != fault.KindInternal || text == string(fault.Internal)
	return known || isNothing(text)
}

// isNothing reports whether a text stands for no value, or for yes or no.
func isNothing(text string) bool {
	switch text {
	case "", "true", "false", "null", "nil", "<nil>", Masked:
		return true
	}
	return false
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isUpper(c byte) bool { return 'A' <= c && c <= 'Z' }

func isLower(c byte) bool { return 'a' <= c && c <= 'z' }

func isAlnum(c byte) bool { return isDigit(c) || isUpper(c) || isLower(c) }

func isHex(c byte) bool { return isDigit(c) || ('a' <= c|0x20 && c|0x20 <= 'f') }

// isWord reports whether c goes on with a word or an identifier.
func isWord(c byte) bool { return isAlnum(c) || c == '_' }
