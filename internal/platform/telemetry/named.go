package telemetry

import "strings"

// findNamed looks for a value behind the ':' or '=' at i that the name before it says
// is secret: password=x, "pin": "1234", {PIN:1234}, Authorization: Basic x.
func findNamed(text string, i int, fields bool) span {
	name, quoted := nameBefore(text, i)
	class := classify(name)
	if class == plainName || (class == doubtfulName && !fields && !quoted && text[i] == ':') {
		return span{}
	}
	start := i + 1
	for start < len(text) && (text[start] == '=' || text[start] == '>') { // == and =>
		start++
	}
	spaced := start
	if text[i] == ':' || text[i-1] == ' ' { // "a= b" has no value
		spaced = skipSpaces(text, start)
	}
	value := valueAt(text, spaced, class == headerName)
	plain := text[value.from:value.to]
	switch {
	case isNothing(plain):
		return span{}
	case class == doubtfulName && isHarmless(plain):
		return span{}
	case class != headerName && spaced > start && !quoted && !fields && isProse(plain):
		return span{} // "pin: wrong length" is a sentence
	}
	if value.from < value.to && isDigit(plain[0]) { // a card's number goes on behind a space
		value.to = max(value.to, findNumber(text, value.from, fields).to)
	}
	return value
}

// nameBefore returns the name before i, and whether it is quoted, as names are in JSON.
func nameBefore(text string, i int) (name string, quoted bool) {
	end := i
	for end > 0 && text[end-1] == ' ' && i-end < 2 {
		end--
	}
	if end > 0 && (text[end-1] == '"' || text[end-1] == '\'') {
		end, quoted = end-1, true
		for end > 0 && text[end-1] == '\\' {
			end--
		}
	}
	start := end
	for start > 0 && end-start < maxName && (isWord(text[start-1]) || text[start-1] == '-') {
		start--
	}
	return text[start:end], quoted
}

// valueAt returns the value that begins at i: what is in quotes or brackets, the rest
// of the line, or what no space or comma interrupts.
func valueAt(text string, i int, line bool) span {
	if i >= len(text) {
		return span{from: i, to: i}
	}
	open := i
	for open < len(text) && text[open] == '\\' {
		open++
	}
	if open < len(text) && (text[open] == '"' || text[open] == '\'') {
		mark := text[i : open+1] // with as many backslashes as it is quoted deep
		return span{from: open + 1, to: closing(text, open+1, mark)}
	}
	switch {
	case line:
		return span{from: i, to: until(text, i, "\r\n\"")}
	case strings.HasPrefix(text[i:], Masked):
		return span{from: i, to: i + len(Masked)}
	case text[i] == '[':
		return span{from: i, to: past(text, i, ']')}
	case text[i] == '{':
		return span{from: i, to: past(text, i, '}')}
	}
	return span{from: i, to: until(text, i, " \t\r\n,;&)]}\"'")}
}

// closing returns where the quote that mark opened before i ends; len(text) if nowhere.
// A quote within has more backslashes than mark.
func closing(text string, i int, mark string) int {
	escapes := 0
	for at := i; at < len(text); at++ {
		switch {
		case text[at] == '\\':
			escapes++
			continue
		case text[at] == mark[len(mark)-1] && (escapes == len(mark)-1 || (len(mark) == 1 && escapes%2 == 0)):
			return at - (len(mark) - 1)
		}
		escapes = 0
	}
	return len(text)
}

func until(text string, i int, ends string) int {
	for i < len(text) && strings.IndexByte(ends, text[i]) < 0 {
		i++
	}
	return i
}

// past returns what follows the bracket that closes the one at i.
func past(text string, i int, closer byte) int {
	opener, depth := text[i], 0
	for at := i; at < len(text); at++ {
		switch text[at] {
		case opener:
			depth++
		case closer:
			depth--
		}
		if depth == 0 {
			return at + 1
		}
	}
	return len(text)
}
