package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A command that is given a secret where none belongs does not say it again.
func TestMistakesAreNotRepeated(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	run := func(args string) (string, error) {
		var out bytes.Buffer
		cmd := New()
		cmd.SetArgs(append(strings.Fields(args), "--data", data, "-o", "json"))
		cmd.SetOut(&out)
		cmd.SetErr(&out)
		err := cmd.ExecuteContext(t.Context())
		return out.String(), err
	}
	made, err := run("customer create --name Ada")
	var customer struct {
		ID string `json:"customer_id"`
	}
	if err != nil || json.Unmarshal([]byte(made), &customer) != nil {
		t.Fatalf("%s, %v", made, err)
	}
	mistaken := filepath.Join(t.TempDir(), "scrip.yaml")
	if err := os.WriteFile(mistaken, []byte("trusted_proxies: https://ada:hush@proxy.example\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for secret, args := range map[string]string{
		"4111111111111111":                    "giftcard 4111111111111111",
		"cp_live_sk_nobodyhasthiskey":         "key revoke cp_live_sk_nobodyhasthiskey --customer " + customer.ID,
		"0123-4567-89ab-cdef":                 "seed revoke 0123-4567-89ab-cdef --customer " + customer.ID,
		"KEY_0123456789abcdef0123456789abcde": "order show KEY_0123456789abcdef0123456789abcde --customer " + customer.ID,
		"hush":                                "config check --config " + mistaken,
	} {
		if out, err := run(args); err == nil {
			t.Errorf("scrip %s: %s", args, out)
		} else if said := Say(err); !strings.HasPrefix(said, "scrip: ") || strings.Contains(said+out, secret) || !strings.Contains(said, "[redacted]") {
			t.Errorf("scrip %s: %s", args, said)
		}
	}
	const honest = "want 0 to 1000000000000 checks a month"
	if said := Say(errors.New(honest)); said != "scrip: "+honest {
		t.Error(said)
	}
}
