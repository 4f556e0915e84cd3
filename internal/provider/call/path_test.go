package call

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/scripcards/scrip/internal/core/fault"
)

// A path finds in any JSON what a walk over the decoded document finds.
func FuzzPath(f *testing.F) {
	for _, way := range []string{"data.card.0.balance", "0", "a.b.c", "a.", ".", "18446744073709551616", "a.1"} {
		f.Add(way, `{"data":{"card":[{"balance":1}]},"a":{"b":{"c":null},"1":2}}`)
		f.Add(way, `[[1,2],{"0":3}]`)
	}
	f.Fuzz(func(t *testing.T, way, document string) {
		p, err := ParsePath(way)
		if err != nil {
			if fault.CodeOf(err) != fault.InvalidRequest {
				t.Fatal(err)
			}
			return
		}
		if !jsontext.Value(document).IsValid() {
			return
		}
		found, ok := p.Find(jsontext.Value(document))
		want, wantOK := walk(p, []byte(document))
		if ok != wantOK {
			t.Fatalf("%s in %s: %v, want %v", way, document, ok, wantOK)
		}
		if ok && strings.TrimSpace(string(found)) != strings.TrimSpace(string(want)) {
			t.Fatalf("%s in %s: %s, want %s", way, document, found, want)
		}
	})
}

// walk finds the same with the standard library.
func walk(p Path, document json.RawMessage) (json.RawMessage, bool) {
	for _, segment := range p {
		object, array := map[string]json.RawMessage{}, []json.RawMessage{}
		switch {
		case json.Unmarshal(document, &object) == nil && object != nil:
			next, ok := object[segment]
			if !ok {
				return nil, false
			}
			document = next
		case json.Unmarshal(document, &array) == nil && array != nil:
			index, err := json.Number(segment).Int64()
			if err != nil || index < 0 || index >= int64(len(array)) || strings.Trim(segment, "0123456789") != "" {
				return nil, false
			}
			document = array[index]
		default:
			return nil, false
		}
	}
	return document, strings.TrimSpace(string(document)) != "null"
}
