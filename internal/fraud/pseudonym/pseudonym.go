// Package pseudonym makes the keyed hashes that stand for card numbers where the fraud engine
// looks: for a number, for those next to it, and for the tens, hundreds and thousands
// around it.
//
// It promises the same names for the same number, network and realm, for good: what was
// counted under one is found under it. Nobody learns a number from its names.
package pseudonym

import (
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/fraud"
	"github.com/scripcards/scrip/internal/platform/vault"
)

// Own is the network of every card of this installation.
const Own = "scrip"

// Purposes of what the vault hashes for this package; they began in package ping.
const (
	purposeCard    = "ping.card"
	purposeBlock   = "ping.block"
	purposeHundred = "ping.hundred"
	purposeRange   = "ping.range"
)

// Names are those of one network's numbers in one realm.
type Names struct {
	Vault   *vault.Vault
	Realm   realm.Realm
	Network string
}

func (n Names) of(purpose, text string) fraud.Hash {
	return fraud.Hash(n.Vault.Hash(purpose, string(n.Realm)+"/"+n.Network+"/"+text))
}

// Card returns the name of a number.
func (n Names) Card(number string) fraud.Hash { return n.of(purposeCard, number) }

// Next gives an event the names of the numbers next to a card's.
func (n Names) Next(e *fraud.Event, number string) {
	before, after := nextTo(number)
	e.Before, e.After = n.Card(before), n.Card(after)
}

// Around gives an event the names of the numbers around a card's.
func (n Names) Around(e *fraud.Event, number string) {
	at := aroundOf(number)
	e.Block, e.Hundred, e.Range = n.of(purposeBlock, at.block), n.of(purposeHundred, at.hundred), n.of(purposeRange, at.span)
}

// around is what the numbers around a number begin with.
type around struct{ block, hundred, span string }

func aroundOf(number string) around {
	return around{block: number[:max(0, len(number)-2)], hundred: number[:max(0, len(number)-3)], span: spanOf(number)}
}

// nextTo returns the numbers next to one: of a number with a right check digit those
// whose check digits are right too, as whoever counts up would make them.
func nextTo(number string) (before, after string) {
	start := len(number)
	for start > 0 && number[start-1] >= '0' && number[start-1] <= '9' {
		start--
	}
	prefix, digits := number[:start], number[start:]
	if !pan.Luhn(digits) {
		return prefix + step(digits, false), prefix + step(digits, true)
	}
	payload := digits[:len(digits)-1]
	return prefix + checked(step(payload, false)), prefix + checked(step(payload, true))
}

// spanOf names the 5000 serial numbers around a number: the serial is what stands before
// the check digit, and half of its last four digits' range decides.
func spanOf(number string) string {
	const last = 5 // four digits of the serial, and the check digit
	if len(number) < last {
		return ""
	}
	half := "0"
	if number[len(number)-last] >= '5' {
		half = "5"
	}
	return number[:len(number)-last] + half
}

// step counts digits up or down by one; the last number is followed by the first.
func step(digits string, up bool) string {
	next := []byte(digits)
	for i := len(next) - 1; i >= 0; i-- {
		switch {
		case up && next[i] < '9':
			next[i]++
			return string(next)
		case up:
			next[i] = '0'
		case next[i] > '0':
			next[i]--
			return string(next)
		default:
			next[i] = '9'
		}
	}
	return string(next)
}

// checked appends the check digit.
func checked(payload string) string {
	digit, err := pan.CheckDigit(payload)
	if err != nil {
		return payload // one digit alone has nothing to check
	}
	return payload + string(digit)
}
