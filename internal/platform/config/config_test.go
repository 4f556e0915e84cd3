package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "scrip.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A flag wins over the environment, that over the file, that over the default.
func TestPrecedence(t *testing.T) {
	file := write(t, "listen: 127.0.0.1:1\ndata: from-file\nlog_level: warn\n")
	c, origin, err := Load(Sources{File: file, Environ: []string{"SCRIP_LISTEN=127.0.0.1:2", "SCRIP_DATA=from-env", "OTHER=1"},
		Flags: map[string]string{"listen": "127.0.0.1:3", "allow_private_webhooks": "true"}})
	if err != nil {
		t.Fatal(err)
	}
	if c.Listen != "127.0.0.1:3" || c.Data != "from-env" || c.LogLevel != "warn" || c.LogFormat != "auto" || !c.AllowPrivateWebhooks {
		t.Errorf("config = %+v", c)
	}
	for name, want := range map[string]string{"listen": "flag", "data": "environment", "log_level": "file", "log_format": "default"} {
		if origin[name] != want {
			t.Errorf("%s comes from the %s, want %s", name, origin[name], want)
		}
	}
}

// Everything that is wrong is named at once; a misspelt setting in the file is refused.
func TestProblems(t *testing.T) {
	_, _, err := Load(Sources{Flags: map[string]string{"listen": "nowhere", "log_level": "loud", "database": "mysql://x", "trusted_proxies": "10.0.0.0/99"}})
	for _, want := range []string{"listen", "log_level", "database", "trusted_proxies"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not name %s", err, want)
		}
	}
	if _, _, err := Load(Sources{File: write(t, "lisen: 127.0.0.1:1\n")}); err == nil || !strings.Contains(err.Error(), "lisen") {
		t.Errorf("a misspelt name: %v", err)
	}
	if _, _, err := Load(Sources{File: filepath.Join(t.TempDir(), "none.yaml")}); err == nil {
		t.Error("a missing file was accepted")
	}
	if _, _, err := Load(Sources{File: write(t, "master_key: abc\n")}); err == nil {
		t.Error("a master key in the file was accepted")
	}
}

// Neither the master key nor a password in a URL is ever shown.
func TestDescribeMasks(t *testing.T) {
	c, origin, err := Load(Sources{Environ: []string{"SCRIP_MASTER_KEY=c2VjcmV0LW1hc3Rlci1rZXk=", "SCRIP_DATABASE=postgres://u:hunter2@h/d"}})
	if err != nil {
		t.Fatal(err)
	}
	if c.MasterKey.Reveal() != "c2VjcmV0LW1hc3Rlci1rZXk=" {
		t.Error("the master key was not read")
	}
	text := fmt.Sprintf("%+v %v", c.Describe(origin), c.MasterKey)
	for _, secret := range []string{"c2VjcmV0", "hunter2"} {
		if strings.Contains(text, secret) {
			t.Errorf("shown: %s", secret)
		}
	}
	for _, s := range c.Describe(origin) {
		if s.About == "" || s.Environment == Prefix || s.Origin == "" {
			t.Errorf("setting %+v is not described", s)
		}
	}
}

// Loopback is told from other addresses.
func TestIsLoopback(t *testing.T) {
	for address, want := range map[string]bool{"127.0.0.1:0": true, "[::1]:80": true, "localhost:1": true, "0.0.0.0:80": false,
		":80": false, "10.0.0.1:80": false, "example.com:80": false, "127.0.0.1": false} {
		if got := IsLoopback(address); got != want {
			t.Errorf("IsLoopback(%s) = %t", address, got)
		}
	}
}
