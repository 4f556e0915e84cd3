package telemetry

import (
	"encoding/base64"
	"strings"
)

// Masked replaces what must not be read.
const Masked = "[redacted]"

// Redact returns text with what looks like a secret masked: card numbers, gift cards'
// numbers and keys, API and operator keys, webhook and merchant secrets, seeds, bearer
// and basic credentials, passwords in URLs, and values named as secrets. A text
// without any comes back as it is, without an allocation.
func Redact(text string) string { return redact(text, false) }

// span is a part of a text to be masked; empty: none. The look for others goes on at next.
type span struct{ from, to, next int }

// triggers are the bytes at which a secret can be recognised.
var triggers = [256]bool{
	'0': true, '1': true, '2': true, '3': true, '4': true, '5': true, '6': true, '7': true, '8': true, '9': true,
	'_': true, '-': true, ':': true, '=': true, 'b': true, 'B': true,
}

// redact masks what is secret in text. fields: the text prints a value with its
// fields' names, rather than being written for people.
func redact(text string, fields bool) string {
	var clean []byte
	done := 0
	for i := 0; i < len(text); {
		if !triggers[text[i]] {
			i++
			continue
		}
		found := find(text, i, fields)
		// What begins before done is part of what is masked already.
		if from := max(found.from, done); from < found.to && text[from:found.to] != Masked {
			clean = append(append(clean, text[done:from]...), Masked...)
			done = found.to
		}
		i = max(i+1, found.to, found.next)
	}
	if done == 0 {
		return text
	}
	return string(append(clean, text[done:]...))
}

// find looks for a secret that is recognised by the byte at i.
func find(text string, i int, fields bool) span {
	switch text[i] {
	case '_':
		if s := findToken(text, i); s.from < s.to {
			return s
		}
		return passID(text, i)
	case '-':
		return findSeed(text, i)
	case 'b', 'B':
		return findCredential(text, i)
	case ':', '=':
		if strings.HasPrefix(text[i:], "://") {
			return findPassword(text, i)
		}
		return findNamed(text, i, fields)
	}
	return findNumber(text, i, fields)
}

// token is a form of secret: what stands before and after its first underscore, and
// how long the rest must be.
type token struct {
	before, after string
	least         int
	// apart: it counts only where no letter or digit stands before it.
	apart bool
	// dashes: the rest may hold dashes and underscores.
	dashes bool
}

var tokens = [...]token{
	{before: "cp", after: "_live_sk_", least: 1, dashes: true},
	{before: "cp", after: "_test_sk_", least: 1, dashes: true},
	{before: "whsec", after: "_", least: 1, dashes: true},
	{before: "op", after: "_", least: 4, apart: true, dashes: true},
	{before: "ms", after: "_", least: 40, apart: true, dashes: true},
	{before: "KEY", after: "_", least: 4, apart: true},
	{before: "KEY", after: "_", least: 16},
}

// findToken looks for a token whose first underscore is at i.
func findToken(text string, i int) span {
	for _, t := range tokens {
		from := i - len(t.before)
		if from < 0 || text[from:i] != t.before || !strings.HasPrefix(text[i:], t.after) || (t.apart && !begins(text, from)) {
			continue
		}
		start := i + len(t.after)
		end := start
		for end < len(text) && (isAlnum(text[end]) || (t.dashes && (text[end] == '_' || text[end] == '-'))) {
			end++
		}
		if end-start >= t.least && (t.dashes || !isConstant(text[start:end])) {
			return span{from: from, to: end}
		}
	}
	return span{}
}

// idLength is how long the part of an id is that follows its underscore.
const idLength = 26

// passID passes over an id of ours whose underscore is at i: its digits and letters are of
// chance, and some hold a run of digits that would pass for a number. No card number begins
// with the 0 that ids begin with.
func passID(text string, i int) span {
	end := i + 1 + idLength
	if i == 0 || !isAlnum(text[i-1]) || end > len(text) || text[i+1] != '0' || (end < len(text) && isWord(text[end])) {
		return span{}
	}
	for _, c := range []byte(text[i+1 : end]) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') {
			return span{}
		}
	}
	return span{next: end}
}

// isConstant reports whether text has capitals alone: the name of a constant or variable.
func isConstant(text string) bool {
	return strings.IndexFunc(text, func(r rune) bool { return r < 'A' || r > 'Z' }) < 0
}

// begins reports whether a word begins at i. The letter of an escape such as \n, in a
// text that was quoted, belongs to no word.
func begins(text string, i int) bool {
	if i == 0 || !isWord(text[i-1]) {
		return true
	}
	return i > 1 && text[i-2] == '\\' && strings.IndexByte("nrt", text[i-1]) >= 0
}

// findSeed looks for four groups of four hexadecimal digits whose first dash is at i.
func findSeed(text string, i int) span {
	const group, size = 4, 19
	from := i - group
	to := from + size
	if from < 0 || to > len(text) || !begins(text, from) || (to < len(text) && isWord(text[to])) {
		return span{}
	}
	for j := range size {
		if c := text[from+j]; (j%(group+1) == group) != (c == '-') || (c != '-' && !isHex(c)) {
			return span{}
		}
	}
	return span{from: from, to: to}
}

// longestWord is the longest word of lower-case letters that is taken for prose.
const longestWord = 16

// findCredential looks for what follows "bearer" or "basic".
func findCredential(text string, i int) span {
	const bearer, basic = "bearer ", "basic "
	rest := text[i:]
	switch {
	case len(rest) > len(bearer) && strings.EqualFold(rest[:len(bearer)], bearer):
		from := skipSpaces(text, i+len(bearer))
		to := endOf(text, from, "._~+/=-")
		if word := text[from:to]; len(word) <= longestWord && isProse(word) {
			return span{}
		}
		return span{from: from, to: to}
	case len(rest) > len(basic) && strings.EqualFold(rest[:len(basic)], basic):
		from := skipSpaces(text, i+len(basic))
		to := endOf(text, from, "+/=-_")
		plain, err := base64.StdEncoding.DecodeString(text[from:to])
		if err == nil && strings.IndexByte(string(plain), ':') >= 0 {
			return span{from: from, to: to}
		}
	}
	return span{}
}

func isProse(word string) bool {
	return strings.IndexFunc(word, func(r rune) bool { return r < 'a' || r > 'z' }) < 0
}

func skipSpaces(text string, i int) int {
	for i < len(text) && text[i] == ' ' {
		i++
	}
	return i
}

// endOf returns where a run of letters, digits and others ends.
func endOf(text string, i int, others string) int {
	for i < len(text) && (isWord(text[i]) || strings.IndexByte(others, text[i]) >= 0) {
		i++
	}
	return i
}

// maxURL bounds how much of a URL is looked at, in bytes.
const maxURL = 512

// findPassword looks for the password of a URL whose "://" is at i.
func findPassword(text string, i int) span {
	start := i + len("://")
	whole := text[start:min(len(text), start+maxURL)]
	if end := strings.IndexAny(whole, " \t\r\n\"'`<>"); end >= 0 {
		whole = whole[:end]
	}
	host := whole
	if at := strings.IndexAny(whole, "/?#"); at >= 0 {
		host = whole[:at]
	}
	at := strings.LastIndexByte(host, '@')
	if at < 0 && !strings.HasSuffix(text[:i], "http") && !strings.HasSuffix(text[:i], "https") {
		at = strings.LastIndexByte(whole, '@') // a password that should have been escaped
	}
	if at < 0 {
		return span{}
	}
	colon := strings.IndexByte(whole[:at], ':')
	if colon < 0 {
		return span{}
	}
	return span{from: start + colon + 1, to: start + at}
}
