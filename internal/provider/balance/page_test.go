package balance

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

const page = "../../../docs/operate/networks.md"

// The page for operators explains every key, and each of its examples can be opened
// as it stands but for the files.
func TestPage(t *testing.T) {
	content, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	text := string(content)
	for _, key := range keysOf(reflect.TypeFor[settings](), "") {
		if !strings.Contains(text, "`"+key+"`") {
			t.Errorf("%s does not explain `%s`", page, key)
		}
	}
	examples := 0
	for _, block := range regexp.MustCompile("(?s)```json\n(.*?)```").FindAllStringSubmatch(text, -1) {
		if !strings.Contains(block[1], `"url":`) {
			continue
		}
		examples++
		s, err := parse([]byte(block[1]))
		if err == nil {
			_, err = s.compile()
		}
		if err != nil {
			t.Errorf("%v in\n%s", err, block[1])
		}
	}
	if examples != 2 {
		t.Errorf("%d examples, want 2", examples)
	}
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
