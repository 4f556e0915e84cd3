package iso8583

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/testkit/page"
)

// The page for operators explains every key, and each of its examples can be opened
// as it stands but for the files.
func TestPage(t *testing.T) {
	text := page.Explains(t, "../../../docs/operate/networks.md", reflect.TypeFor[settings]())
	for _, example := range page.Examples(t, text, "address", 1) {
		files := t.TempDir()
		check.OK(t, os.WriteFile(files+"/zpk", []byte(zonePINKey), 0o600))
		example = strings.ReplaceAll(example, "/etc/scrip/secrets/host-zpk", files+"/zpk")
		example = regexp.MustCompile(`(?s)"tls": \{.*?\},`).ReplaceAllString(example, "")
		if _, err := Open("", []byte(example)); err != nil {
			t.Errorf("%v in\n%s", err, example)
		}
	}
	table := text[strings.Index(text, "### Response codes"):]
	for code, means := range usualCodes {
		row := regexp.MustCompile("(?m)^\\| `" + string(means) + "` \\|.*\\b" + code + "\\b")
		if !row.MatchString(table) {
			t.Errorf("the page does not say that %s means %s", code, means)
		}
	}
}
