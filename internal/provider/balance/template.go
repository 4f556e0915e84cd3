package balance

import (
	"github.com/scripcards/scrip/internal/provider/call"

	"net/url"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/scripcards/scrip/internal/core/pan"
)

// Limits of templates.
const (
	maxTemplate     = 16 << 10 // bytes
	maxPlaceholders = 64
)

// The placeholders beside "secret." and a name of secret_files.
const (
	holdNumber   = "number"
	holdPIN      = "pin"
	holdCurrency = "currency"
	secretPrefix = "secret."
)

// part is fixed text, or a place to be filled.
type part struct {
	text string // as it is sent
	hold string // what goes here; empty: text
}

// template is a text with placeholders such as {{number}}. Outside of placeholders
// it is sent as it stands; what fills a place is escaped for where it stands.
type template []part

// parseTemplate reads a text whose placeholders allowed knows. A "{{" always begins a
// placeholder, which holds its name alone. It returns the fault invalid_request.
func parseTemplate(text string, allowed func(hold string) bool) (template, error) {
	if len(text) > maxTemplate {
		return nil, call.Refuse("", "a template is longer than %d bytes", maxTemplate)
	}
	var t template
	for text != "" {
		before, rest, open := strings.Cut(text, "{{")
		if before != "" {
			t = append(t, part{text: before})
		}
		if !open {
			return t, nil
		}
		hold, after, closed := strings.Cut(rest, "}}")
		switch {
		case !closed:
			return nil, call.Refuse("", "a template has {{ without }}")
		case !allowed(hold):
			return nil, call.Refuse("", "a template has a placeholder that is not known here: the names are number, pin, currency and secret.NAME, without spaces")
		case len(t) >= 2*maxPlaceholders:
			return nil, call.Refuse("", "a template has more than %d placeholders", maxPlaceholders)
		}
		t = append(t, part{hold: hold})
		text = after
	}
	return t, nil
}

// fill returns the text with every place filled.
func (t template) fill(v values, escape func(string) string) []byte {
	var out []byte
	for _, p := range t {
		if p.hold == "" {
			out = append(out, p.text...)
		} else {
			out = append(out, escape(v.of(p.hold))...)
		}
	}
	return out
}

// values are what fills the places of one inquiry.
type values struct {
	number   pan.Number
	pin      pan.Secret
	currency string
	secrets  map[string]pan.Secret
}

func (v values) of(hold string) string {
	switch hold {
	case holdNumber:
		return v.number.Reveal()
	case holdPIN:
		return v.pin.Reveal()
	case holdCurrency:
		return v.currency
	}
	return v.secrets[strings.TrimPrefix(hold, secretPrefix)].Reveal()
}

// escapeJSON makes a text fit between the quotes of a JSON string.
func escapeJSON(text string) string {
	quoted, err := jsontext.AppendQuote(nil, text)
	if err != nil {
		return "" // no valid UTF-8, which is refused before
	}
	return string(quoted[1 : len(quoted)-1])
}

func escapePath(text string) string    { return url.PathEscape(text) }
func escapeQuery(text string) string   { return url.QueryEscape(text) }
func escapeNothing(text string) string { return text }

// formField is one field of a form.
type formField struct {
	name  string
	value template
}

// fillForm encodes a form as application/x-www-form-urlencoded.
func fillForm(fields []formField, v values) []byte {
	var out []byte
	for i, f := range fields {
		if i > 0 {
			out = append(out, '&')
		}
		out = append(out, url.QueryEscape(f.name)...)
		out = append(out, '=')
		// The fixed text of a value is the operator's plain text: all of it is escaped.
		out = append(out, url.QueryEscape(string(f.value.fill(v, escapeNothing)))...)
	}
	return out
}
