package webhook

import (
	"encoding/json"
	"html"
	"net/url"
	"strings"
	"testing"

	"github.com/scripcards/scrip/internal/core/pan"
)

// Whatever an endpoint answers, and wherever what is kept of it ends, neither its secret nor
// anything else that nobody must read is in it, not even in part.
func TestAnswersAreScrubbed(t *testing.T) {
	secret := `Of/the"owners<own>&'choice\0123456789`
	inJSON, err := json.Marshal(secret)
	if err != nil {
		t.Fatal(err)
	}
	quoted := strings.Trim(string(inJSON), `"`)
	for name, form := range map[string]string{
		"as it is": secret, "JSON": quoted, "JSON with slashes": strings.ReplaceAll(quoted, "/", `\/`), "query": url.QueryEscape(secret), "path": url.PathEscape(secret),
		"HTML": html.EscapeString(secret), "number": "4111 1111 1111 1111", "digits": "5500005555555559", "gift card": "KEY_0123456789abcdef0123456789abcdef",
		"credential": "Bearer 0123456789abcdefghijklmnop",
	} {
		for before := range 80 {
			answer := strings.Repeat("x", before*20) + " " + strings.Repeat("got "+form+" and ", 100)
			kept := string(scrub([]byte(answer[:maxAnswer+longestSecret]), []pan.Secret{pan.NewSecret(secret)}))
			const part = 8
			for at := range len(form) - part {
				if strings.Contains(kept, form[at:at+part]) {
					t.Fatalf("%s, %d bytes in: %q is left in %q", name, before*20, form[at:at+part], kept)
				}
			}
			if len(kept) > maxAnswer || before < 40 && !strings.Contains(kept, "[redacted] and ") {
				t.Fatalf("%s, %d bytes in: %d bytes are kept: %q", name, before*20, len(kept), kept)
			}
		}
	}
	for _, honest := range []string{"", "answer 200", `{"received":true,"id":"evt_01kf3v8q5tfzk9w2m7x4c6n0ab"}`, strings.Repeat("ü", maxAnswer/2)} {
		if kept := string(scrub([]byte(honest), []pan.Secret{pan.NewSecret(secret)})); kept != honest {
			t.Errorf("%q is kept as %q", honest, kept)
		}
	}
}
