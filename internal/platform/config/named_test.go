package config

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A file that a setting names is read strictly: what stands twice, or is no key, is no setting.
func TestReadNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "named.json")
	for text, want := range map[string]string{
		`{"fee": "1", "parts": {"days": 2}, "raw": [1]}`: "",
		`{"fee": "1", "fee": "2"}`:                       `"fee" stands twice`,
		`{"parts": {"days": 1, "days": 1}}`:              `"parts.days" stands twice`,
		`{"raw": {"x": 1, "x": 2}}`:                      `"raw.x" stands twice`,
		`{"fee": "1", "Fee": "2"}`:                       `unknown field "Fee"`,
		`{"parts": {"days": 1, "hours": 1}}`:             `unknown field "parts.hours"`,
		`{"parts": {"days": "1"}}`:                       "unmarshal JSON string into Go int within",
		`{} {}`:                                          "after top-level value",
		`{"fee": `:                                       "unexpected EOF",
		``:                                               "EOF",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var into struct {
			Fee   string `json:"fee"`
			Parts struct {
				Days int `json:"days"`
			} `json:"parts"`
			Raw json.RawMessage `json:"raw"`
		}
		switch err := ReadNamed(path, &into); {
		case want == "" && (err != nil || into.Fee != "1" || into.Parts.Days != 2 || string(into.Raw) != "[1]"):
			t.Errorf("%s: %+v, %v", text, into, err)
		case want != "" && (err == nil || !strings.HasPrefix(err.Error(), path+": ") || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}
