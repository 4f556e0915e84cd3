package balance

import (
	"reflect"
	"testing"

	"github.com/scripcards/scrip/internal/testkit/page"
)

// The page for operators explains every key, and each of its examples can be opened
// as it stands but for the files.
func TestPage(t *testing.T) {
	text := page.Explains(t, "../../../docs/operate/networks.md", reflect.TypeFor[settings]())
	for _, example := range page.Examples(t, text, "url", 2) {
		s, err := parse([]byte(example))
		if err == nil {
			_, err = s.compile()
		}
		if err != nil {
			t.Errorf("%v in\n%s", err, example)
		}
	}
}
