package audit

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/plain"
)

// Limits of one record, in bytes.
const (
	maxActor   = 200
	maxAction  = 64
	maxSubject = 200
	maxBook    = 64
	maxDetails = 16
	maxName    = 64
	maxValue   = 512
)

var (
	actionForm = regexp.MustCompile(`^[a-z0-9_]+(\.[a-z0-9_]+)*$`)
	nameForm   = regexp.MustCompile(`^[a-z0-9_]+$`)
)

var errSecret = errors.New("looks like a card number, a key or another secret")

func (r *Record) validate() error {
	switch {
	case len(r.Action) > maxAction || !actionForm.MatchString(r.Action):
		return fmt.Errorf("the action must be dotted lower case of at most %d bytes", maxAction)
	case r.Actor == "":
		return errors.New("an actor is required")
	case r.At.IsZero():
		return errors.New("a time is required")
	case len(r.Detail) > maxDetails:
		return fmt.Errorf("%d details, the most is %d", len(r.Detail), maxDetails)
	}
	for _, field := range []struct {
		name, text string
		most       int
	}{{"actor", r.Actor, maxActor}, {"subject", r.Subject, maxSubject}, {"book", r.Book, maxBook}} {
		if err := checkText(field.text, field.most); err != nil {
			return fmt.Errorf("%s %w", field.name, err)
		}
	}
	for name, value := range r.Detail {
		if len(name) > maxName || !nameForm.MatchString(name) {
			return fmt.Errorf("a detail's name must be lower case of at most %d bytes", maxName)
		}
		if secretNames[name] {
			return fmt.Errorf("detail %s: %w", name, errSecret)
		}
		if err := checkText(value, maxValue); err != nil {
			return fmt.Errorf("detail %s: %w", name, err)
		}
	}
	return nil
}

func checkText(text string, most int) error {
	switch {
	case len(text) > most:
		return fmt.Errorf("has %d bytes, the most is %d", len(text), most)
	case !plain.LinesBytes(text, 0, most):
		return errors.New("is not plain text")
	case HoldsSecret(text):
		return errSecret
	}
	return nil
}

// secretNames are details that nobody means to publish, whatever they hold.
var secretNames = map[string]bool{
	"pan": true, "card_number": true, "number": true, "pin": true, "cvv": true, "cvc": true, "cvv2": true,
	"otp": true, "track1": true, "track2": true, "password": true, "passphrase": true, "secret": true,
	"token": true, "api_key": true, "seed": true, "private_key": true, "mnemonic": true, "code": true,
	"redemption_code": true, "authorization": true,
}

// secretForms are the shapes of credentials: API keys, operators' keys, signing and webhook
// secrets, PEM keys, HTTP credentials, JSON web tokens, wallet seeds and passwords in URLs;
// and the numbers and keys of gift cards, whose digits may begin as no other card's do.
var secretForms = regexp.MustCompile(`(?i)(\b[a-z]{2,8}_(live|test)_(sk|rk|key)_[a-z0-9_-]{4}` +
	`|\b(sk|rk)_(live|test)_[a-z0-9_-]{4}` +
	`|\b(op|ms)_[a-z0-9_-]{40}` +
	`|(?-i:KEY_[0-9a-f]{16})|GC([ -]?[0-9]){16}` +
	`|\bwhsec_[a-z0-9+/_=-]{8}` +
	`|-----BEGIN [A-Z ]*KEY` +
	`|\b(bearer|basic) +[a-z0-9+/_.=-]{8}` +
	`|\beyJ[a-z0-9_-]{8,}\.[a-z0-9_-]{8,}\.` +
	`|\b[xyz]prv[a-z0-9]{20}` +
	`|://[^\s/?#:]*:[^\s/?#]+@` +
	`|(^|[^0-9a-f-])[0-9a-f]{4}(-[0-9a-f]{4}){3}($|[^0-9a-f-]))`)

// digests are SHA-256 sums, UUIDs and addresses of Ethereum in hexadecimal: some hold a run
// of digits that would pass for a card number.
var digests = regexp.MustCompile(`\b([0-9a-f]{64}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|0x[0-9a-fA-F]{40})\b`)

// HoldsSecret reports whether text, however long, has the shape of a credential in it or
// holds a card number.
func HoldsSecret(text string) bool {
	if secretForms.MatchString(text) {
		return true
	}
	if !holdsPAN(text) {
		return false
	}
	return holdsPAN(digests.ReplaceAllStringFunc(text, hideDigest))
}

// hideDigest leaves out what has the form of a digest, unless it is digits alone.
func hideDigest(text string) string {
	if strings.ContainsAny(text, "abcdefABCDEF") {
		return "digest"
	}
	return text
}

// Lengths of card numbers (ISO/IEC 7812-1), in digits.
const (
	minPAN    = 13
	usualPAN  = 16
	maxPAN    = pan.MaxDigits
	separator = " -"
)

// HoldsNumber reports whether text holds what passes for a card number, grouped or not:
// for what strangers wrote, where the other forms of secrets may be honest words.
func HoldsNumber(text string) bool { return holdsPAN(text) }

// holdsPAN looks at every run of digits, grouped by single spaces or dashes or not at all.
func holdsPAN(text string) bool {
	run := make([]byte, 0, 32)
	gap := false // the last character was one separator within a run
	for i := range len(text) {
		c := text[i]
		switch {
		case c >= '0' && c <= '9':
			run, gap = append(run, c), false
		case len(run) > 0 && !gap && strings.IndexByte(separator, c) >= 0:
			gap = true
		default:
			if isPAN(string(run)) {
				return true
			}
			run, gap = run[:0], false
		}
	}
	return isPAN(string(run))
}

// isPAN takes a run of digits for a card number when its check digit fits and it
// begins like the networks' and stores' numbers do, which times since 1970 do not.
func isPAN(run string) bool {
	if len(run) <= maxPAN {
		return len(run) >= minPAN && panStart(run[0]) && pan.Luhn(run)
	}
	for i := range len(run) - usualPAN + 1 {
		if panStart(run[i]) && pan.Luhn(run[i:i+usualPAN]) {
			return true
		}
	}
	return false
}

func panStart(c byte) bool { return c >= '2' && c <= '6' }

// Clean makes text that a customer or an operator wrote fit for a record: it is cut
// to the length of a value, and becomes "[redacted]" where Append would refuse it.
func Clean(text string) string {
	if len(text) > maxValue {
		// What is cut off may have been joined to what stays.
		text = strings.TrimRight(strings.ToValidUTF8(text[:maxValue], ""), "\u200d\ufe0f")
	}
	if checkText(text, maxValue) != nil {
		return "[redacted]"
	}
	return text
}
