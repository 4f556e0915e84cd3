package config

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func write(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "scrip.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// samples has, for every setting, four values: of the file, the environment, a flag and
// one that is wrong; empty where there is none.
var samples = map[string][4]string{
	"listen":                 {"127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3", "nowhere"},
	"data":                   {"from-file", "from-environment", "from-flag", ""},
	"database":               {"postgres://file/a", "postgres://environment/a", "postgresql://flag/a", "mysql://x"},
	"database_connections":   {"1", "2", "3", "many"},
	"demo":                   {"true", "true", "true", "maybe"},
	"tls_listen":             {"127.0.0.1:1443", "127.0.0.1:2443", "127.0.0.1:3443", "443"},
	"acme_directory":         {"https://file.example/dir", "https://environment.example/dir", "https://flag.example/dir", "flag.example"},
	"acme_email":             {"file@a.example", "environment@a.example", "flag@a.example", "nobody"},
	"acme_roots":             {"file.pem", "environment.pem", "flag.pem", ""},
	"base_url":               {"https://file.example", "http://environment.example", "https://flag.example/a", "flag.example"},
	"dns_server":             {"192.0.2.1:53", "192.0.2.2:53", "192.0.2.3:53", "192.0.2.4"},
	"trusted_proxies":        {"10.0.0.0/8", "10.1.0.0/16", "10.2.0.1", "10.0.0.0/99"},
	"max_connections":        {"11", "12", "13", "0"},
	"read_timeout":           {"1s", "2s", "3s", "4"},
	"write_timeout":          {"1m", "2m", "3m", "0s"},
	"idle_timeout":           {"1m1s", "2m1s", "3m1s", "2h"},
	"shutdown_timeout":       {"1m2s", "2m2s", "3m2s", "soon"},
	"log_level":              {"debug", "warn", "error", "loud"},
	"log_format":             {"text", "json", "text", "xml"},
	"metrics":                {"127.0.0.1:9", "off", ":9", "on"},
	"allow_private_webhooks": {"true", "true", "true", "perhaps"},
	"secrets":                {"file-secrets", "environment-secrets", "flag-secrets", ""},
	"proxy_list":             {"file.txt", "environment.txt", "flag.txt", ""},
	"cashout":                {"file.json", "environment.json", "flag.json", ""},
	"payouts":                {"file.json", "environment.json", "flag.json", ""},
	"deposits":               {"file.json", "environment.json", "flag.json", ""},
	"captcha":                {"recaptcha", "hcaptcha", "turnstile", "other"},
	"captcha_site_key":       {"file-key", "environment-key", "flag-key", ""},
	"captcha_secret_file":    {"file.key", "environment.key", "flag.key", ""},
	"captcha_endpoint":       {"https://file.example/verify", "http://127.0.0.1:9/verify", "https://flag.example", "http://captcha.example"},
	"giftcard_validity":      {"8760h", "17520h", "1h", "5y"},
	"giftcard_hold":          {"1h", "24h", "1m", "30s"},
	"high_risk":              {"70", "90", "100", "0.8"},
	"checks_per_minute":      {"100", "600", "100000", "99"},
	"issuing":                {"true", "true", "true", "perhaps"},
	"seed_realm":             {"live", "test", "live", "production"},
	"require_cardholder":     {"true", "true", "true", "perhaps"},
	"dispute_credit":         {"won", "opened", "won", "later"},
	"iso8583":                {"127.0.0.1:1583", "127.0.0.1:2583", ":3583", "8583"},
	"iso8583_realm":          {"live", "test", "live", "sandbox"},
	"iso8583_sources":        {"192.0.2.0/24", "198.51.100.7", "2001:db8::/32", "anywhere"},
	"iso8583_acquirers":      {"411111", "422222", "00433333", "bank"},
	"iso8583_bitmap":         {"hex", "binary", "hex", "octal"},
	"cardholder_name":        {"FILE", "ENVIRONMENT", "FLAG & CO.", "Umlaut Ä"},
	"cardholder_address":     {"1 File St, A, DE, 1, US", "2 Environment St, B, DE, 2, US", "3 Flag St, C, DE, 3, US", "4 Nowhere St"},
	"master_key":             {"", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "", "c2hvcnQ="},
}

// value returns the setting with the given name.
func value(t testing.TB, c Config, origin Provenance, name string) Setting {
	t.Helper()
	all := c.Describe(origin)
	at := slices.IndexFunc(all, func(s Setting) bool { return s.Name == name })
	if at < 0 {
		t.Fatalf("there is no setting %s", name)
	}
	return all[at]
}

// For every setting a flag wins over the environment, that over the file, that over the
// default, and it is told which.
func TestPrecedence(t *testing.T) {
	for _, f := range fields() {
		sample, ok := samples[f.name]
		if !ok {
			t.Fatalf("no sample for %s", f.name)
		}
		var s Sources
		c, origin, err := Load(s)
		if got := value(t, c, origin, f.name); err != nil || got.Origin != FromDefault || got.Value != got.Default {
			t.Errorf("without sources: %+v, %v", got, err)
		}
		for i, from := range []string{FromFile, FromEnvironment, FromFlag} {
			if sample[i] == "" {
				continue
			}
			switch from {
			case FromFile:
				s.File = write(t, f.name+": "+sample[i]+"\n")
			case FromEnvironment:
				s.Environ = []string{"OTHER=1", f.env + "=" + sample[i]}
			case FromFlag:
				s.Flags = map[string]string{f.name: sample[i], "other": "1"}
			}
			c, origin, err := Load(s)
			got := value(t, c, origin, f.name)
			if err != nil || got.Origin != from || (got.Value != sample[i] && !f.secret()) {
				t.Errorf("%s from the %s: %+v, %v", f.name, from, got, err)
			}
		}
	}
	if len(samples) != len(fields()) {
		t.Errorf("%d samples for %d settings", len(samples), len(fields()))
	}
}

// A value that is the same as the default still comes from where it was set.
func TestOriginOfEqualValues(t *testing.T) {
	standard := Default().Listen
	for from, s := range map[string]Sources{
		FromFile: {File: write(t, "listen: "+standard)}, FromEnvironment: {Environ: []string{"SCRIP_LISTEN=" + standard}},
		FromFlag: {Flags: map[string]string{"listen": standard}},
	} {
		if _, origin, err := Load(s); err != nil || origin["listen"] != from {
			t.Errorf("origin %q, %v; want %s", origin["listen"], err, from)
		}
	}
}

// Flags are found by the name of the setting and by that of the flag; an empty
// variable is not set, an empty flag is.
func TestFlagNames(t *testing.T) {
	c, _, err := Load(Sources{File: write(t, "base_url: https://cards.example"), Environ: []string{"SCRIP_BASE_URL=", "SCRIP_DATA="},
		Flags: map[string]string{"log-level": "warn", "base_url": ""}})
	if err != nil || c.LogLevel != "warn" || c.BaseURL != "" || c.Data != Default().Data {
		t.Errorf("%v, %v", c, err)
	}
}

// Everything that is wrong is named at once, with where it is.
func TestProblemsAtOnce(t *testing.T) {
	file, environ, flags := "", []string{}, map[string]string{}
	want := map[string]string{}
	path := filepath.Join(t.TempDir(), "scrip.yaml")
	for i, f := range fields() {
		wrong := samples[f.name][3]
		switch {
		case f.kind == KindText && wrong == "": // every text could be a path
		case f.secret() || i%3 == 0:
			environ, want[f.name] = append(environ, f.env+"="+wrong), f.env
		case i%3 == 1:
			file += f.name + ": " + wrong + "\n"
			want[f.name] = fmt.Sprintf("%s:%d", path, strings.Count(file, "\n"))
		default:
			flags[f.name], want[f.name] = wrong, f.flag()
		}
	}
	if err := os.WriteFile(path, []byte(file+"unheard: of\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	want[""] = fmt.Sprintf("%s:%d", path, strings.Count(file, "\n")+1)
	_, origin, err := Load(Sources{File: path, Environ: environ, Flags: flags})
	if origin == nil {
		t.Error("no provenance beside an error")
	}
	if diff := cmp.Diff(want, places(t, err)); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}

// places returns where the problems of err are, by setting.
func places(t *testing.T, err error) map[string]string {
	t.Helper()
	found := map[string]string{}
	var joined interface{ Unwrap() []error }
	if !errors.As(err, &joined) {
		t.Fatalf("%v is not joined", err)
	}
	for _, one := range joined.Unwrap() {
		var p Problem
		if !errors.As(one, &p) || p.Text == "" {
			t.Fatalf("%v is no problem of a setting", one)
		}
		if _, twice := found[p.Name]; twice {
			t.Errorf("%s is told twice: %v", p.Name, err)
		}
		found[p.Name] = p.Where
	}
	return found
}

// The rules of single settings, and what is said of a value that breaks them.
func TestCheck(t *testing.T) {
	for _, c := range []struct{ name, value, want string }{
		{"listen", ":8420", ""}, {"listen", "[::1]:8420", ""}, {"listen", "cards.example:443", ""}, {"listen", "127.0.0.1", "HOST:PORT"},
		{"listen", "127.0.0.1:http", "HOST:PORT"}, {"listen", "127.0.0.1:65536", "HOST:PORT"}, {"listen", "::1:80", "HOST:PORT"},
		{"data", "", "directory"}, {"data", "a\x00b", "directory"}, {"data", "/var/lib/scrip", ""},
		{"database", "postgres://scrip:p@db.example/scrip?sslmode=require", ""}, {"database", "postgres:///scrip?host=/run", ""},
		{"database", "host=db password=x", "postgres://"}, {"database", "postgres://a:%zz@b/c", "%XX"}, {"database", "postgres:x", "postgres://"},
		{"database_connections", "1000", ""}, {"database_connections", "1001", "1 to 1000"}, {"database_connections", "-1", "1 to 1000"},
		{"base_url", "https://cards.example/", "slash"}, {"base_url", "https://", "https://cards.example"}, {"base_url", "ftp://a", "https://"},
		{"base_url", "https://u:p@cards.example", "credentials"}, {"base_url", "https://cards.example?a=b", "query"}, {"base_url", "https://cards.example#", "query"},
		{"tls_listen", ":443", ""}, {"tls_listen", "443", "HOST:PORT"}, {"tls_listen", Default().Listen, "beside listen"},
		{"iso8583", ":8583", ""}, {"iso8583", Default().Listen, "beside listen"}, {"iso8583_sources", "10.0.0.1/8", "10.0.0.0/8"},
		{"iso8583_acquirers", "000", "up to 11 digits"}, {"iso8583_acquirers", "123456789012", "up to 11 digits"}, {"iso8583_acquirers", strings.Repeat("1,", 257), "at most 256"},
		{"acme_directory", "https://acme.example/dir", ""}, {"acme_directory", "http://acme.example/dir", "https URL"}, {"acme_directory", "acme.example", "https URL"},
		{"acme_email", "ops@cards.example", ""}, {"acme_email", "Ops <ops@cards.example>", "address"}, {"acme_email", "ops", "address"},
		{"trusted_proxies", "10.0.0.0/8, 192.0.2.1 ,2001:db8::/32", ""}, {"trusted_proxies", "10.0.0.1/8", "10.0.0.0/8"}, {"trusted_proxies", "all", "networks"},
		{"trusted_proxies", "fe80::1%eth0", "networks"}, {"trusted_proxies", strings.Repeat("10.0.0.1,", 64), ""}, {"trusted_proxies", strings.Repeat("10.0.0.1,", 65), "at most 64"},
		{"giftcard_validity", "876000h", ""}, {"giftcard_validity", "59m", "1h to 876000h"}, {"giftcard_validity", "876001h", "1h to 876000h"},
		{"giftcard_hold", "8760h", ""}, {"giftcard_hold", "8761h", "1m to 8760h"}, {"high_risk", "1", ""}, {"high_risk", "0", "1 to 100"}, {"high_risk", "101", "1 to 100"},
		{"read_timeout", "100ms", ""}, {"read_timeout", "99ms", "100ms to 1h"}, {"idle_timeout", "1h", ""}, {"idle_timeout", "61m", "100ms to 1h"},
		{"captcha_endpoint", "http://[::1]:9/", ""}, {"captcha_endpoint", "http://localhost/", "https URL"}, {"captcha_endpoint", "https://u:p@captcha.example", "credentials"},
		{"captcha_endpoint", "https://captcha.example/?a=b", "query"}, {"captcha", "Turnstile", "recaptcha, hcaptcha or turnstile"},
		{"dns_server", "[2001:db8::53]:53", ""}, {"dns_server", "192.0.2.53", "HOST:PORT"},
		{"log_level", "INFO", "debug, info, warn or error"}, {"metrics", "off", ""}, {"metrics", "[::]:9100", ""}, {"metrics", "/metrics", "off"},
	} {
		_, _, err := Load(Sources{Flags: map[string]string{c.name: c.value}})
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s %.40q is refused: %v", c.name, c.value, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s %.40q: error %v does not say %q", c.name, c.value, err, c.want)
		}
	}
}

// Of two settings that would open one address the later one is refused.
func TestAddressTwice(t *testing.T) {
	for _, c := range []struct {
		flags map[string]string
		want  string
	}{
		{map[string]string{"metrics": "127.0.0.1:8420"}, "metrics (--metrics): \"127.0.0.1:8420\": metrics need an address beside listen"},
		{map[string]string{"metrics": ":8420"}, "beside listen"}, {map[string]string{"listen": "[::]:9420", "metrics": "127.0.0.1:9420"}, "beside listen"},
		{map[string]string{"tls_listen": "0.0.0.0:8420"}, "beside listen"},
		{map[string]string{"tls_listen": ":443", "metrics": "10.0.0.1:443"}, "beside tls_listen"},
		{map[string]string{"tls_listen": ":8583", "iso8583": ":8583"}, "beside tls_listen"},
		{map[string]string{"iso8583": "10.0.0.1:8583", "metrics": "10.0.0.1:8583"}, "beside iso8583"},
		{map[string]string{"metrics": "10.0.0.1:8420"}, ""}, {map[string]string{"metrics": "127.0.0.1:9420", "iso8583": "127.0.0.1:8583", "tls_listen": "127.0.0.1:443"}, ""},
	} {
		_, _, err := Load(Sources{Flags: c.flags})
		if (c.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: error %v does not say %q", c.flags, err, c.want)
		}
	}
}

// Port 0 is any free port: two addresses with it are two.
func TestAnyPort(t *testing.T) {
	const free = "127.0.0.1:0"
	for _, name := range []string{"tls_listen", "iso8583", "metrics"} {
		if _, _, err := Load(Sources{Flags: map[string]string{"listen": free, name: free}}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A demo listens on loopback addresses only, wherever the two settings come from.
func TestDemo(t *testing.T) {
	for listen, allowed := range map[string]bool{"127.0.0.1:0": true, "localhost:80": true, "[::1]:80": true, ":80": false, "0.0.0.0:80": false, "10.0.0.1:80": false, "cards.example:80": false} {
		for _, s := range []Sources{
			{Flags: map[string]string{"demo": "true", "listen": listen}},
			{Environ: []string{"SCRIP_DEMO=1"}, File: write(t, "listen: '"+listen+"'")},
		} {
			_, _, err := Load(s)
			if allowed != (err == nil) || (err != nil && !strings.Contains(err.Error(), "loopback addresses only")) {
				t.Errorf("a demo on %s: %v", listen, err)
			}
		}
		if _, _, err := Load(Sources{Flags: map[string]string{"demo": "false", "listen": listen}}); err != nil {
			t.Errorf("no demo on %s: %v", listen, err)
		}
		for _, beside := range []string{"tls_listen", "iso8583", "metrics"} {
			_, _, err := Load(Sources{Flags: map[string]string{"demo": "true", beside: listen}})
			if allowed != (err == nil) || (err != nil && !strings.Contains(err.Error(), beside)) {
				t.Errorf("a demo with %s %s: %v", beside, listen, err)
			}
		}
	}
}

// Files that are not one flat mapping of known names are refused, with line and hint.
func TestFile(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "# nothing\n": "", "---\n": "", "{}": "", "listen: 127.0.0.1:1": "", "\"listen\": \"127.0.0.1:1\"\n": "", "{listen: '127.0.0.1:1', data: x}": "",
		"trusted_proxies: [10.0.0.0/8, 192.0.2.1]\n": "", "trusted_proxies:\n  - 10.0.0.0/8\n": "", "trusted_proxies: []": "", "data: |\n  /var/lib\n": "",
		"lisen: 127.0.0.1:1\n":                        `scrip.yaml:1: there is no setting "lisen": is it listen?`,
		"data: x\n\nlog-level: warn\n":                `scrip.yaml:3: there is no setting "log-level": is it log_level?`,
		"zebra: 1\n":                                  `there is no setting "zebra"` + "\n",
		"listen: 127.0.0.1:1\nlisten: 127.0.0.1:1":    "listen (scrip.yaml:2): it is on line 1 already",
		"log_level:\n":                                "want one value",
		"log_level: [warn]\n":                         "want one value",
		"log_level: {a: b}\n":                         "want one value",
		"trusted_proxies: [[10.0.0.0/8]]":             "want one value",
		"trusted_proxies: [\"10.0.0.0/8,10.1.1.1\"]":  "want one value",
		"demo: yes\n":                                 "demo (scrip.yaml:1): want true or false",
		"read_timeout: 5\n":                           "want a duration such as 30s",
		"max_connections: 1.5\n":                      "want a whole number",
		"master_key: c2VjcmV0\n":                      "set SCRIP_MASTER_KEY",
		"- listen\n":                                  "want lines such as",
		"listen\n":                                    "want lines such as",
		"data: a\n---\ndata: b\n":                     "want lines such as",
		"a: 1\nb: 2\n":                                `no setting "b"`,
		"log_level: warn\nx: \"\n":                    "scrip.yaml:2: this is not YAML",
		"? {a: b}\n: c\n":                             "",
		strings.Repeat("x", maxFile+1):                "at most",
		"database: postgres://u:hunter2@h/d\nx: \"\n": "not YAML",
	} {
		_, _, err := Load(Sources{File: write(t, text)})
		got := ""
		if err != nil {
			got = strings.ReplaceAll(err.Error(), filepath.Dir(pathOf(err)), "") + "\n"
		}
		got = strings.ReplaceAll(got, "/scrip.yaml", "scrip.yaml")
		if strings.HasPrefix(text, "?") {
			if err == nil {
				t.Errorf("%q is accepted", text)
			}
			continue
		}
		if (want == "") != (err == nil) || !strings.Contains(got, want) {
			t.Errorf("%.60q: error %q does not say %q", text, got, want)
		}
		if strings.Contains(got, "hunter2") {
			t.Errorf("the error shows a password: %s", got)
		}
	}
	for _, path := range []string{filepath.Join(t.TempDir(), "none.yaml"), t.TempDir()} {
		if _, _, err := Load(Sources{File: path}); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// pathOf returns the file that an error speaks of.
func pathOf(err error) string {
	before, _, _ := strings.Cut(err.Error(), "scrip.yaml")
	at := strings.LastIndexAny(before, " (\n")
	return before[at+1:] + "scrip.yaml"
}

// A variable that looks like a setting's is told of, one of somebody else's is not.
func TestMisspelt(t *testing.T) {
	for variable, meant := range map[string]string{
		"SCRIP_LISTN=x": "SCRIP_LISTEN", "SCRIP_DATABASE_URL=postgres://scrip:hunter2@db.example/scrip": "SCRIP_DATABASE", "SCRIP_DATA_BASE=x": "SCRIP_DATABASE",
		"SCRIP_MASTERKEY=x": "SCRIP_MASTER_KEY", "SCRIP_MASTER_KEY_FILE=x": "SCRIP_MASTER_KEY", "SCRIP_listen=x": "SCRIP_LISTEN",
		"SCRIP_LISTEN=x": "", "SCRIP_MASTER_KEY=x": "", "SCRIP_CONFIG=x": "", "SCRIP_LISTN=": "", "SCRIP_": "", "LISTN=x": "", "": "",
		"SCRIP_URL=x": "", "SCRIP_API_KEY=x": "", "SCRIP_SERVICE_HOST=x": "", "SCRIP_PORT=tcp://10.0.0.1:8420": "", "SCRIP_PORT_8420_TCP=x": "",
	} {
		want, name := []string(nil), strings.Split(variable, "=")[0]
		if meant != "" {
			want = []string{name + " is no setting, and nothing reads it: is it " + meant + "?"}
		}
		if got := Misspelt([]string{"PATH=/bin", variable}); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", variable, got, want)
		}
	}
}

// A network of IPv4 addresses is one however it is written, as they are when callers come.
func TestMappedNetworks(t *testing.T) {
	c := Config{Proxies: "::ffff:10.0.0.0/104, ::ffff:192.0.2.1, ::ffff:0:0/96", ISO8583Sources: "::ffff:192.0.2.0/120"}
	proxies, err := c.TrustedProxies()
	if want := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("0.0.0.0/0")}; err != nil || !slices.Equal(proxies, want) {
		t.Errorf("%s: %v, %v", c.Proxies, proxies, err)
	}
	sources, err := c.CardNetworks()
	if want := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}; err != nil || !slices.Equal(sources, want) {
		t.Errorf("%s: %v, %v", c.ISO8583Sources, sources, err)
	}
}

// A list in the file is the same as a text with commas.
func TestTrustedProxies(t *testing.T) {
	want := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("::1/128")}
	for _, text := range []string{"trusted_proxies: [10.0.0.0/8, 192.0.2.1, '::1']", "trusted_proxies: 10.0.0.0/8,192.0.2.1 , ::1"} {
		c, _, err := Load(Sources{File: write(t, text)})
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.TrustedProxies()
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
}

// Neither the master key nor a password is ever shown: in listings, prints, logs or errors.
func TestSecretsAreMasked(t *testing.T) {
	key := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{0xb7}, 32))
	for _, database := range []string{
		"postgres://u:hunter2@h/d", "postgres://h/d?user=u&password=hunter2", "postgres://h/d?sslpassword=hunter2&x=1", "postgres://u:hunter2%zz@h/d",
		"postgres://u:hunter2/@h/d", "host=h password=hunter2", "host=h PASSWORD=hunter2", "mysql://u:hunter2@h/d", "u:hunter2@h", "postgres:u:hunter2@h",
	} {
		c, origin, err := Load(Sources{Environ: []string{"SCRIP_MASTER_KEY=" + key, "SCRIP_DATABASE=" + database, "SCRIP_BASE_URL=https://u:hunter2@cards.example"}})
		if c.MasterKey.Reveal() != key || c.Database != database {
			t.Fatal("the secrets were not read")
		}
		var log bytes.Buffer
		slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "config", c, "pointer", &c)
		text := fmt.Sprintf("%+v %v %+v %#v %s %d %q", c.Describe(origin), c, &c, c, c, c, c) + log.String() + fmt.Sprint(err)
		for _, secret := range []string{key[:8], "hunter2"} {
			if strings.Contains(text, secret) {
				t.Errorf("%s: shown: %s", secret, text)
			}
		}
	}
	_, _, err := Load(Sources{Environ: []string{"SCRIP_MASTER_KEY=hunter2hunter2", "SCRIP_READ_TIMEOUT=hunter2"}, Flags: map[string]string{"master_key": "hunter2"}})
	if err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "never a flag") {
		t.Errorf("an error shows a secret: %v", err)
	}
}

// Every setting is described, under names that follow one rule, and the documents' table has
// a line for each that says the same.
func TestDescribe(t *testing.T) {
	page, err := os.ReadFile("../../../docs/operate/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	code := func(text string) string {
		if text == "" {
			return ""
		}
		return "`" + text + "`"
	}
	for _, s := range Default().Describe(nil) {
		if s.About == "" || s.Kind == "" || s.Environment != Prefix+strings.ToUpper(s.Name) {
			t.Errorf("setting %+v is not described", s)
		}
		if s.Kind != KindSecret && (s.Flag != "--"+strings.ReplaceAll(s.Name, "_", "-") || !slices.Contains(Names(), s.Name)) {
			t.Errorf("setting %+v has no flag or name of its own", s)
		}
		if s.Kind == KindSecret && (s.Flag != "" || slices.Contains(Names(), s.Name)) {
			t.Errorf("secret %s can be a flag or in the file", s.Name)
		}
		name := code(s.Name)
		if s.Kind == KindSecret {
			name = ""
		}
		line := fmt.Sprintf("| %s | %s | %s | %s |\n", name, code(s.Environment), code(s.Default), s.About)
		if !strings.Contains(string(page), line) {
			t.Errorf("docs/operate/configuration.md lacks the line %s", line)
		}
	}
	if got, want := strings.Count(string(page), " | `"+Prefix), len(fields()); got != want {
		t.Errorf("docs/operate/configuration.md has lines for %d settings, want %d", got, want)
	}
}

// The defaults are in order.
func TestDefault(t *testing.T) {
	if err := Default().Check(); err != nil {
		t.Error(err)
	}
	if !IsLoopback(Default().Listen) {
		t.Error("the default address can be reached from elsewhere")
	}
}

// Loopback is told from other addresses.
func TestIsLoopback(t *testing.T) {
	for address, want := range map[string]bool{"127.0.0.1:0": true, "[::1]:80": true, "localhost:1": true, "127.9.9.9:1": true, "[::ffff:127.0.0.1]:1": true,
		"0.0.0.0:80": false, ":80": false, "10.0.0.1:80": false, "example.com:80": false, "127.0.0.1": false, "localhost.example:1": false, "": false} {
		if got := IsLoopback(address); got != want {
			t.Errorf("IsLoopback(%s) = %t", address, got)
		}
	}
}

// Durations lose the zeros at their end and nothing else.
func TestShortDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "0s", time.Second: "1s", 10 * time.Minute: "10m", time.Hour: "1h", 90 * time.Minute: "1h30m", time.Hour + time.Second: "1h0m1s", 100 * time.Millisecond: "100ms"} {
		got := shortDuration(d)
		if back, err := time.ParseDuration(got); got != want || err != nil || back != d {
			t.Errorf("%s is shown as %s", d, got)
		}
	}
}

// Whatever a file holds, Load answers with settings or problems, and shows no password.
func FuzzLoad(f *testing.F) {
	f.Add("listen: 127.0.0.1:1\ntrusted_proxies: [10.0.0.0/8]\n")
	f.Add("database: &a postgres://u:hunter2@h/d\nbase_url: *a\n? x\n")
	f.Add("{a: [}, \"\t")
	f.Fuzz(func(t *testing.T, text string) {
		c, origin, err := Load(Sources{File: write(t, text)})
		if len(origin) != len(fields()) {
			t.Fatalf("%d origins", len(origin))
		}
		if (err == nil) != (c.Check() == nil) && err == nil {
			t.Fatalf("settings that are wrong are no problem: %v", c.Check())
		}
		if shown := fmt.Sprint(c, err); strings.Contains(c.Database, "hunter2") && strings.Contains(shown, ":hunter2@") {
			t.Fatalf("shown: %s", shown)
		}
	})
}
