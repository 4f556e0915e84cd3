package iso8583

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
		if !strings.Contains(block[1], `"address":`) {
			continue
		}
		examples++
		files := t.TempDir()
		example := strings.ReplaceAll(block[1], "/etc/scrip/secrets/host-zpk", files+"/zpk")
		example = regexp.MustCompile(`(?s)"tls": \{.*?\},`).ReplaceAllString(example, "")
		if err := os.WriteFile(files+"/zpk", []byte(zonePINKey), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open([]byte(example)); err != nil {
			t.Errorf("%v in\n%s", err, example)
		}
	}
	if examples != 1 {
		t.Errorf("%d examples, want 1", examples)
	}
	table := text[strings.Index(text, "### Response codes"):]
	for code, means := range usualCodes {
		row := regexp.MustCompile("(?m)^\\| `" + string(means) + "` \\|.*\\b" + code + "\\b")
		if !row.MatchString(table) {
			t.Errorf("the page does not say that %s means %s", code, means)
		}
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
