package telemetry

import (
	"regexp"
	"strings"
)

// Masked replaces what must not be read.
const Masked = "[redacted]"

// secretNames are attributes whose value is never shown, whatever it holds.
var secretNames = map[string]bool{
	"authorization": true, "api_key": true, "apikey": true, "x-api-key": true, "x-seed": true, "cookie": true, "set-cookie": true,
	"secret": true, "password": true, "pin": true, "cvv": true, "cvc": true, "otp": true, "pan": true, "card_number": true,
	"cardnumber": true, "seed": true, "token": true, "master_key": true, "signature": true, "redemption_code": true,
}

// secretForms are texts that are secrets wherever they stand: keys of every kind,
// gift cards' numbers and keys, bearer tokens, seeds, and passwords in URLs.
var secretForms = regexp.MustCompile(`cp_(?:live|test)_sk_[A-Za-z0-9_-]+|\bop_[A-Za-z0-9]{4,}|whsec_[A-Za-z0-9_-]+|KEY_[A-Za-z0-9]+|\bGC[0-9]{16}\b` +
	`|(?i:bearer) +[A-Za-z0-9._~+/=-]+|\b[0-9a-f]{4}(?:-[0-9a-f]{4}){3}\b|//[^/\s:@]+:[^/\s@]+@`)

// numberForm is a run that may be a PAN: 13 to 19 digits, with single spaces or dashes between them.
var numberForm = regexp.MustCompile(`\b[0-9](?:[ -]?[0-9]){12,18}\b`)

// Redact returns text with every secret in it masked. Texts without one come back as they are.
func Redact(text string) string {
	if !suspicious(text) {
		return text
	}
	text = secretForms.ReplaceAllString(text, Masked)
	return numberForm.ReplaceAllString(text, Masked)
}

// suspicious is a cheap look for what the expressions could match: most texts hold neither
// enough digits nor one of the marks.
func suspicious(text string) bool {
	digits := 0
	for i := range len(text) {
		switch c := text[i]; {
		case c >= '0' && c <= '9':
			digits++
		case c == '@' || c == '_':
			return true
		}
	}
	return digits >= 8 || strings.Contains(text, "earer") || strings.Contains(text, "EARER")
}
