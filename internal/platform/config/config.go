// Package config is the settings of Scrip: where each comes from, what is wrong
// with it, and how it is shown. A flag wins over an environment variable
// (SCRIP_…), that over the configuration file, that over the default.
//
// The master key comes from the environment alone, and no listing shows it or a
// password in a URL. Unknown names in the file are refused: a misspelt setting
// must not be a default in disguise.
package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"os"
	"reflect"
	"strings"

	"github.com/caarlos0/env/v11"
	"github.com/goccy/go-yaml"

	"github.com/scripcards/scrip/internal/core/pan"
)

// Config is every setting.
type Config struct {
	Listen    string `yaml:"listen" env:"LISTEN" about:"address to listen on, HOST:PORT; port 0 picks one"`
	Data      string `yaml:"data" env:"DATA" about:"directory of the master key and the embedded database"`
	Database  string `yaml:"database" env:"DATABASE" about:"postgres:// URL; empty: the embedded database"`
	BaseURL   string `yaml:"base_url" env:"BASE_URL" about:"public address for links, such as https://cards.example"`
	Proxies   string `yaml:"trusted_proxies" env:"TRUSTED_PROXIES" about:"networks whose X-Forwarded-For is believed, comma-separated"`
	LogLevel  string `yaml:"log_level" env:"LOG_LEVEL" about:"debug, info, warn or error"`
	LogFormat string `yaml:"log_format" env:"LOG_FORMAT" about:"auto, text or json; auto is text on a terminal"`
	Metrics   string `yaml:"metrics" env:"METRICS" about:"address of /metrics, HOST:PORT; empty: on the main address for loopback callers only"`
	// AllowPrivateWebhooks is a development switch.
	AllowPrivateWebhooks bool `yaml:"allow_private_webhooks" env:"ALLOW_PRIVATE_WEBHOOKS" about:"let webhooks go to private addresses and plain http; for development"`
	// MasterKey is in base64. It is never in the file.
	MasterKey pan.Secret `yaml:"-" env:"MASTER_KEY" about:"master key in base64; empty: the file master.key in the data directory"`
}

// Default returns the settings that hold when nothing is said.
func Default() Config {
	return Config{Listen: "127.0.0.1:8420", Data: "./scrip-data", LogLevel: "info", LogFormat: "auto"}
}

// Prefix begins the name of every environment variable.
const Prefix = "SCRIP_"

// maxFile bounds the configuration file, in bytes.
const maxFile = 1 << 20

// Sources are where settings come from.
type Sources struct {
	// File is the configuration file; empty: none. A file that was named must exist.
	File string
	// Environ is the environment, as os.Environ gives it.
	Environ []string
	// Flags are the flags that were set, by the setting's name in the file.
	Flags map[string]string
}

// Load puts the settings together and returns them with where each came from:
// "flag", "environment", "file" or "default". The error names every problem.
func Load(s Sources) (Config, map[string]string, error) {
	c := Default()
	origin := map[string]string{}
	for _, field := range fields() {
		origin[field.name] = "default"
	}
	var problems []error
	problems = append(problems, c.readFile(s.File, origin), c.readEnvironment(s.Environ, origin), c.readFlags(s.Flags, origin))
	if err := errors.Join(problems...); err != nil {
		return c, origin, err
	}
	return c, origin, c.Check()
}

func (c *Config) readFile(path string, origin map[string]string) error {
	if path == "" {
		return nil
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("configuration file %s: there is none", path)
	}
	if err != nil || info.Size() > maxFile {
		return errors.Join(fmt.Errorf("configuration file %s: want a file of at most %d bytes", path, maxFile), err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before := *c
	if err := yaml.NewDecoder(bytes.NewReader(text), yaml.Strict()).Decode(c); err != nil && len(bytes.TrimSpace(text)) > 0 {
		return fmt.Errorf("configuration file %s: %w", path, err)
	}
	c.mark(before, origin, "file")
	return nil
}

func (c *Config) readEnvironment(environ []string, origin map[string]string) error {
	known := env.ToMap(environ)
	before := *c
	if err := env.ParseWithOptions(c, env.Options{Prefix: Prefix, Environment: known}); err != nil {
		return fmt.Errorf("environment: %w", err)
	}
	c.mark(before, origin, "environment")
	return nil
}

func (c *Config) readFlags(flags map[string]string, origin map[string]string) error {
	value := reflect.ValueOf(c).Elem()
	for _, field := range fields() {
		text, set := flags[field.name]
		if !set {
			continue
		}
		origin[field.name] = "flag"
		switch target := value.Field(field.index); target.Kind() {
		case reflect.Bool:
			target.SetBool(text == "true")
		default:
			target.SetString(text)
		}
	}
	return nil
}

// mark notes the fields that differ from before.
func (c *Config) mark(before Config, origin map[string]string, source string) {
	now, then := reflect.ValueOf(*c), reflect.ValueOf(before)
	for _, field := range fields() {
		if !reflect.DeepEqual(now.Field(field.index).Interface(), then.Field(field.index).Interface()) {
			origin[field.name] = source
		}
	}
}

// Check returns everything that is wrong with the settings.
func (c *Config) Check() error {
	var problems []error
	wrong := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		wrong("listen %q: want HOST:PORT, such as 127.0.0.1:8420", c.Listen)
	}
	if c.Metrics != "" {
		if _, _, err := net.SplitHostPort(c.Metrics); err != nil {
			wrong("metrics %q: want HOST:PORT", c.Metrics)
		}
	}
	if c.Data == "" {
		wrong("data: want a directory")
	}
	if c.Database != "" && !strings.HasPrefix(c.Database, "postgres://") && !strings.HasPrefix(c.Database, "postgresql://") {
		wrong("database: want a postgres:// URL")
	}
	if u, err := url.Parse(c.BaseURL); err != nil || (c.BaseURL != "" && (u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") || strings.HasSuffix(c.BaseURL, "/"))) {
		wrong("base_url %q: want a URL such as https://cards.example, without a slash at its end", c.BaseURL)
	}
	if _, err := c.TrustedProxies(); err != nil {
		problems = append(problems, err)
	}
	switch c.LogLevel {
	case "debug", "info", "warn", "error":
	default:
		wrong("log_level %q: want debug, info, warn or error", c.LogLevel)
	}
	switch c.LogFormat {
	case "auto", "text", "json":
	default:
		wrong("log_format %q: want auto, text or json", c.LogFormat)
	}
	return errors.Join(problems...)
}

// TrustedProxies returns the networks of Proxies.
func (c *Config) TrustedProxies() ([]netip.Prefix, error) {
	var networks []netip.Prefix
	for text := range strings.SplitSeq(c.Proxies, ",") {
		text = strings.TrimSpace(text)
		if text == "" {
			continue
		}
		if address, err := netip.ParseAddr(text); err == nil {
			networks = append(networks, netip.PrefixFrom(address, address.BitLen()))
			continue
		}
		network, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("trusted_proxies %q: want addresses or networks such as 10.0.0.0/8", text)
		}
		networks = append(networks, network)
	}
	return networks, nil
}

// IsLoopback reports whether address can be reached from this machine alone.
func IsLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
