package config

import (
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/core/pan"
)

// Kind is what a setting's values look like.
type Kind string

// The kinds.
const (
	KindText     Kind = "text"
	KindSwitch   Kind = "switch"   // true or false
	KindNumber   Kind = "number"   // whole
	KindDuration Kind = "duration" // such as 30s
	KindSecret   Kind = "secret"
)

// Setting describes one setting as it stands.
type Setting struct {
	Name        string // in the file, where a secret cannot be
	Environment string // variable
	Flag        string // such as "--log-level"; empty where there is none
	Kind        Kind
	Value       string // masked where it is secret
	Default     string
	Origin      string // as in Provenance
	About       string
}

// field is a field of Config.
type field struct {
	index                    int
	goName, name, env, about string
	kind                     Kind
	many, whole              bool
}

func (f field) secret() bool { return f.kind == KindSecret }

func (f field) flag() string {
	if f.secret() {
		return ""
	}
	return "--" + strings.ReplaceAll(f.name, "_", "-")
}

// fields lists the settings in the order of Config.
func fields() []field {
	t := reflect.TypeFor[Config]()
	list := make([]field, 0, t.NumField())
	for i := range t.NumField() {
		f := t.Field(i)
		tag := f.Tag.Get
		one := field{index: i, goName: f.Name, name: tag("yaml"), env: Prefix + tag("env"), about: tag("about"), kind: kindOf(f.Type), many: tag("many") != "", whole: tag("shown") == "whole"}
		if one.secret() {
			one.name = strings.ToLower(tag("env"))
		}
		list = append(list, one)
	}
	return list
}

// Names returns the names of the settings that a file and flags can have, in order.
func Names() []string {
	var names []string
	for _, f := range fields() {
		if !f.secret() {
			names = append(names, f.name)
		}
	}
	return names
}

func kindOf(t reflect.Type) Kind {
	switch t {
	case reflect.TypeFor[bool]():
		return KindSwitch
	case reflect.TypeFor[int]():
		return KindNumber
	case reflect.TypeFor[time.Duration]():
		return KindDuration
	case reflect.TypeFor[pan.Secret]():
		return KindSecret
	}
	return KindText
}

// Describe returns every setting, in a fixed order, with secrets masked. Without an
// origin it serves documentation and the making of flags.
func (c Config) Describe(origin Provenance) []Setting {
	now, standard := reflect.ValueOf(c), reflect.ValueOf(Default())
	list := make([]Setting, 0, now.NumField())
	for _, f := range fields() {
		list = append(list, Setting{Name: f.name, Environment: f.env, Flag: f.flag(), Kind: f.kind, About: f.about,
			Value: f.shown(now.Field(f.index)), Default: f.shown(standard.Field(f.index)), Origin: origin[f.name]})
	}
	return list
}

// shown is a value without what must not be read: secrets and passwords in URLs.
func (f field) shown(value reflect.Value) string {
	switch v := value.Interface().(type) {
	case pan.Secret:
		if v.IsZero() {
			return ""
		}
		return v.String()
	case string:
		if f.whole {
			return v
		}
		return maskURL(v)
	case int:
		return strconv.Itoa(v)
	case time.Duration:
		return shortDuration(v)
	default:
		return fmt.Sprint(v)
	}
}

// masked replaces a text that cannot be shown in part.
const masked = "[redacted]"

// maskURL hides the passwords of a URL, and all of a text that seems to hold one in
// another form.
func maskURL(text string) string {
	if strings.Contains(strings.ToLower(text), "password=") && !strings.Contains(text, "://") {
		return masked
	}
	if !strings.ContainsAny(text, "@?") {
		return text
	}
	u, err := url.Parse(text)
	if err != nil || u.Opaque != "" || (u.User == nil && strings.Contains(text, "@")) {
		return masked
	}
	query := u.Query()
	for name := range query {
		if strings.Contains(strings.ToLower(name), "password") {
			query.Set(name, "xxxxx")
		}
	}
	if u.RawQuery != "" {
		u.RawQuery = query.Encode()
	}
	return u.Redacted()
}

// shortDuration leaves out the zeros that time.Duration prints: 2m, not 2m0s.
func shortDuration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// Format prints the settings with secrets masked, whatever the verb.
func (c Config) Format(state fmt.State, _ rune) {
	texts := make([]string, 0, len(fields()))
	for _, s := range c.Describe(nil) {
		texts = append(texts, s.Name+"="+strconv.Quote(s.Value))
	}
	_, _ = io.WriteString(state, "{"+strings.Join(texts, " ")+"}") // fmt reports errors itself
}

// LogValue returns the settings that differ from the defaults, with secrets masked.
func (c Config) LogValue() slog.Value {
	var attrs []slog.Attr
	for _, s := range c.Describe(nil) {
		if s.Value != s.Default {
			attrs = append(attrs, slog.String(s.Name, s.Value))
		}
	}
	return slog.GroupValue(attrs...)
}
