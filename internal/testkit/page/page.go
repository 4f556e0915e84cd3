// Package page compares pages of the documentation with the settings that they explain.
package page

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// Explains fails the test unless a page names every key of a type of settings, and returns
// what the page says.
func Explains(t testing.TB, file string, settings reflect.Type) string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := string(content)
	for _, key := range keysOf(settings, "") {
		if !strings.Contains(text, "`"+key+"`") {
			t.Errorf("%s does not explain `%s`", file, key)
		}
	}
	return text
}

// Examples fails the test unless a page has so many examples in JSON with a key, and returns
// them.
func Examples(t testing.TB, text, key string, want int) (examples []string) {
	t.Helper()
	for _, block := range regexp.MustCompile("(?s)```json\n(.*?)```").FindAllStringSubmatch(text, -1) {
		if strings.Contains(block[1], `"`+key+`":`) {
			examples = append(examples, block[1])
		}
	}
	if len(examples) != want {
		t.Errorf("%d examples with %s, want %d", len(examples), key, want)
	}
	return examples
}

// keysOf returns the keys of a configuration; those of TLS are explained together.
func keysOf(of reflect.Type, prefix string) []string {
	var keys []string
	for i := range of.NumField() {
		key := prefix + of.Field(i).Tag.Get("json")
		kind := of.Field(i).Type
		if kind.Kind() == reflect.Pointer {
			kind = kind.Elem()
		}
		switch {
		case kind.Kind() != reflect.Struct:
			keys = append(keys, key)
		case key == "tls":
			keys = append(keys, append(keysOf(kind, ""), key)...)
		default:
			keys = append(keys, keysOf(kind, key+".")...)
		}
	}
	return keys
}
