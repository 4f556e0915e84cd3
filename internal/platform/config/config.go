// Package config is the settings of Scrip: where each comes from, what is wrong
// with it, and how it is shown. A flag wins over an environment variable
// (SCRIP_…), that over the configuration file, that over the default.
//
// The master key comes from the environment alone, and no listing, error or print
// shows it or a password in a URL. Names that the file should not have are refused:
// a misspelt setting must not be a default in disguise. All problems are told at once.
package config

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"

	"github.com/scripcards/scrip/internal/core/pan"
)

// Config is every setting.
//
// A field's tags are its name in the file, from which the flag's follows, its
// environment variable without the prefix, and its description. A field with
// many:"true" takes a list in the file; one with shown:"whole" holds no URL that could
// have a password.
type Config struct {
	Listen   string `yaml:"listen" env:"LISTEN" about:"address to listen on, HOST:PORT; port 0 picks one"`
	Data     string `yaml:"data" env:"DATA" about:"directory of the master key and the embedded database"`
	Database string `yaml:"database" env:"DATABASE" about:"postgres:// URL; empty: the embedded database"`
	// DatabaseConnections is per process and for PostgreSQL alone.
	DatabaseConnections int  `yaml:"database_connections" env:"DATABASE_CONNECTIONS" about:"most connections of one process to PostgreSQL"`
	Demo                bool `yaml:"demo" env:"DEMO" about:"make demo data and accept the published demo credentials; loopback only"`
	// BaseURL has no slash at its end.
	BaseURL string `yaml:"base_url" env:"BASE_URL" about:"public address for links, such as https://cards.example"`
	// TLSListen is empty where TLS is somebody else's.
	TLSListen     string `yaml:"tls_listen" env:"TLS_LISTEN" about:"address to end TLS on, HOST:PORT, with certificates on demand for base_url and portals' own domains; empty: none"`
	ACMEDirectory string `yaml:"acme_directory" env:"ACME_DIRECTORY" about:"ACME directory that certificates come from; empty: Let's Encrypt"`
	ACMEEmail     string `yaml:"acme_email" env:"ACME_EMAIL" shown:"whole" about:"address that the certificate authority writes to"`
	ACMERoots     string `yaml:"acme_roots" env:"ACME_ROOTS" about:"PEM file of the roots that the ACME directory's own certificate needs; empty: the system's"`
	// DNSServer is asked for the records that prove domains.
	DNSServer string `yaml:"dns_server" env:"DNS_SERVER" about:"DNS server that portals' own domains are looked up at, HOST:PORT; empty: the system's"`
	// Proxies is a list with commas; TrustedProxies reads it.
	Proxies         string        `yaml:"trusted_proxies" env:"TRUSTED_PROXIES" many:"true" about:"addresses and networks whose X-Forwarded-For is believed, comma-separated"`
	MaxConnections  int           `yaml:"max_connections" env:"MAX_CONNECTIONS" about:"most open connections of callers; more wait"`
	ReadTimeout     time.Duration `yaml:"read_timeout" env:"READ_TIMEOUT" about:"longest time to read a request"`
	WriteTimeout    time.Duration `yaml:"write_timeout" env:"WRITE_TIMEOUT" about:"longest time from a request to the end of its answer"`
	IdleTimeout     time.Duration `yaml:"idle_timeout" env:"IDLE_TIMEOUT" about:"how long an unused connection stays open; longer than the balancer's"`
	ShutdownTimeout time.Duration `yaml:"shutdown_timeout" env:"SHUTDOWN_TIMEOUT" about:"how long a stop waits for requests and jobs under way"`
	LogLevel        string        `yaml:"log_level" env:"LOG_LEVEL" about:"debug, info, warn or error"`
	LogFormat       string        `yaml:"log_format" env:"LOG_FORMAT" about:"auto, text or json; auto is text on a terminal"`
	// Metrics is empty, MetricsOff or an address.
	Metrics string `yaml:"metrics" env:"METRICS" about:"where /metrics is: an address of its own, HOST:PORT; off; or empty: on the main address for loopback callers only"`
	// AllowPrivateWebhooks is a development switch.
	AllowPrivateWebhooks bool `yaml:"allow_private_webhooks" env:"ALLOW_PRIVATE_WEBHOOKS" about:"let webhooks go to private addresses and plain http; for development"`
	// Secrets is empty where configurations may name no files.
	Secrets string `yaml:"secrets" env:"SECRETS" about:"folder of the files with secrets that the configurations of networks and suppliers may name; empty: they may name none"`
	// ProxyList is read at the start.
	ProxyList string `yaml:"proxy_list" env:"PROXY_LIST" about:"file of addresses and networks that hide who uses them (proxies, VPNs, Tor exits), one a line, for fraud scores; empty: none"`
	// Deposits is read at the start.
	Deposits string `yaml:"deposits" env:"DEPOSITS" about:"JSON file that describes crypto deposits: public keys, confirmations, sources of rates; empty: deposits in the sandbox alone"`
	// Cashout is read at the start.
	Cashout string `yaml:"cashout" env:"CASHOUT" about:"JSON file that describes how prepaid cards are turned into bitcoin: fee, messages, tiers, lists; empty: they are not"`
	// Payouts is read at the start.
	Payouts string `yaml:"payouts" env:"PAYOUTS" about:"JSON file that describes the nodes that pay bitcoin, and by which rules; empty: the sandbox's alone"`
	// Captcha is empty where visitors prove work instead; with one the key and the file are required.
	Captcha           string `yaml:"captcha" env:"CAPTCHA" about:"what visitors of portals who look like machines are asked: recaptcha, hcaptcha or turnstile; empty: a proof of work"`
	CaptchaSiteKey    string `yaml:"captcha_site_key" env:"CAPTCHA_SITE_KEY" about:"site key of the captcha service"`
	CaptchaSecretFile string `yaml:"captcha_secret_file" env:"CAPTCHA_SECRET_FILE" about:"file with the secret of the captcha service"`
	CaptchaEndpoint   string `yaml:"captcha_endpoint" env:"CAPTCHA_ENDPOINT" about:"where answers to captchas are verified; empty: the service's own address"`
	// GiftcardValidity holds for cards that are made from now on.
	GiftcardValidity time.Duration `yaml:"giftcard_validity" env:"GIFTCARD_VALIDITY" about:"how long a gift card can be spent after it is made"`
	GiftcardHold     time.Duration `yaml:"giftcard_hold" env:"GIFTCARD_HOLD" about:"how long a hold on a gift card lasts, unless its merchant asks for less"`
	// HighRisk is a score in hundredths.
	HighRisk        int `yaml:"high_risk" env:"HIGH_RISK" about:"score of a balance check, in hundredths, from which fraud.high_risk is told"`
	ChecksPerMinute int `yaml:"checks_per_minute" env:"CHECKS_PER_MINUTE" about:"most requests about balance checks a minute by one key, and from one address"`
	// Issuing is off unless it is asked for: it lets anybody have a seed.
	Issuing bool `yaml:"issuing" env:"ISSUING" about:"let customers make virtual cards, and anybody a seed at GET /v1/api/; a demo always does"`
	// SeedRealm is live or test.
	SeedRealm string `yaml:"seed_realm" env:"SEED_REALM" about:"realm of the seeds that anybody makes: test or live"`
	// RequireCardholder leaves cards for nobody in particular as they are.
	RequireCardholder bool `yaml:"require_cardholder" env:"REQUIRE_CARDHOLDER" about:"make virtual cards for verified cardholders alone, and so no seeds at GET /v1/api/; a demo makes them for anybody"`
	// CardholderName and CardholderAddress are what merchants see; Billing reads the address.
	CardholderName    string `yaml:"cardholder_name" env:"CARDHOLDER_NAME" about:"name on virtual cards that are for nobody in particular; empty: ANONYMOUS"`
	CardholderAddress string `yaml:"cardholder_address" env:"CARDHOLDER_ADDRESS" about:"billing address of virtual cards, comma-separated: street, city, state, postcode, country; empty: 123 Privacy Street, Wilmington, DE, 19801, US"`
	// DisputeCredit is opened or won.
	DisputeCredit string `yaml:"dispute_credit" env:"DISPUTE_CREDIT" about:"when what is contested of a payment with a virtual card is credited, once its dispute is: opened or won"`
	// ISO8583 is empty where no card network connects.
	ISO8583      string `yaml:"iso8583" env:"ISO8583" about:"address on which card networks connect for payments with virtual cards, HOST:PORT; empty: none"`
	ISO8583Realm string `yaml:"iso8583_realm" env:"ISO8583_REALM" about:"realm of the cards that card networks pay with: test or live"`
	// ISO8583Sources and ISO8583Acquirers are lists with commas; CardNetworks and Acquirers read them.
	ISO8583Sources   string `yaml:"iso8583_sources" env:"ISO8583_SOURCES" many:"true" about:"addresses and networks from which card networks connect, comma-separated; empty: this machine alone"`
	ISO8583Acquirers string `yaml:"iso8583_acquirers" env:"ISO8583_ACQUIRERS" many:"true" about:"ids of the acquiring institutions that are served (DE32), comma-separated; empty: all"`
	ISO8583Bitmap    string `yaml:"iso8583_bitmap" env:"ISO8583_BITMAP" about:"how card networks write bitmaps: binary or hex"`
	// MasterKey is in base64. It is in neither the file nor a flag.
	MasterKey pan.Secret `yaml:"-" env:"MASTER_KEY" about:"master key, 32 bytes in base64; empty: the file master.key in the data directory"`
}

// The values of DisputeCredit.
const (
	CreditOpened = "opened"
	CreditWon    = "won"
)

// MetricsOff is the value of Metrics with which there are none.
const MetricsOff = "off"

// fiveYears have two leap days at most: a card is never short of them by the calendar.
const fiveYears = (5*365 + 2) * 24 * time.Hour

// Default returns the settings that hold when nothing is said.
func Default() Config {
	return Config{
		Listen: "127.0.0.1:8420", Data: "./scrip-data", DatabaseConnections: 24, MaxConnections: 4096,
		ReadTimeout: 30 * time.Second, WriteTimeout: time.Minute, IdleTimeout: 2 * time.Minute, ShutdownTimeout: 30 * time.Second,
		GiftcardValidity: fiveYears, GiftcardHold: 7 * 24 * time.Hour, HighRisk: 80, ChecksPerMinute: 6000,
		LogLevel: "info", LogFormat: "auto", SeedRealm: "test", DisputeCredit: CreditOpened, ISO8583Realm: "test", ISO8583Bitmap: "binary",
	}
}

// Prefix begins the name of every environment variable.
const Prefix = "SCRIP_"

// Sources are where settings come from.
type Sources struct {
	// File is the configuration file; empty: none. A file that was named must exist.
	File string
	// Environ is the environment, as os.Environ gives it. A variable without a value is not set.
	Environ []string
	// Flags are the flags that were set, as text, by the setting's name in the file
	// or by the flag's. Others, a command's own, may be among them.
	Flags map[string]string
}

// Provenance is where each setting comes from, by its name in the file.
type Provenance map[string]string

// The places that a setting comes from.
const (
	FromDefault     = "default"
	FromFile        = "file"
	FromEnvironment = "environment"
	FromFlag        = "flag"
)

// Problem is one setting that is wrong.
type Problem struct {
	Name  string // the setting's, in the file; empty: the source as a whole
	Where string // such as "scrip.yaml:3", "SCRIP_LISTEN" or "--listen"; may be empty
	Text  string // what is wrong and what is wanted
}

// Error names the setting, where it is, and what is wrong.
func (p Problem) Error() string {
	switch {
	case p.Name == "":
		return p.Where + ": " + p.Text
	case p.Where == "":
		return p.Name + ": " + p.Text
	}
	return p.Name + " (" + p.Where + "): " + p.Text
}

// Load puts the settings together and returns them with where each comes from. The
// error joins every Problem; the settings are as good as could be read even then.
func Load(s Sources) (Config, Provenance, error) {
	l := loader{config: Default(), origin: Provenance{}, where: map[string]string{}}
	for _, f := range fields() {
		l.origin[f.name] = FromDefault
	}
	l.readFile(s.File)
	l.readEnvironment(s.Environ)
	l.readFlags(s.Flags)
	for _, p := range l.config.problems() {
		p.Where = l.where[p.Name]
		l.problems = append(l.problems, p)
	}
	return l.config, l.origin, join(l.problems)
}

func join(problems []Problem) error {
	errs := make([]error, len(problems))
	for i, p := range problems {
		errs[i] = p
	}
	return errors.Join(errs...)
}

// loader is settings as they are read.
type loader struct {
	config   Config
	origin   Provenance
	where    map[string]string // by name: the place of the value that holds
	problems []Problem
}

// took notes that a setting has its value from a place.
func (l *loader) took(f field, origin, where string) {
	l.origin[f.name], l.where[f.name] = origin, where
}

func (l *loader) refuse(f field, where, text string) {
	l.problems = append(l.problems, Problem{Name: f.name, Where: where, Text: text})
}

func (l *loader) readEnvironment(environ []string) {
	known := env.ToMap(environ)
	refused := map[string]bool{} // by the name of the field in Go
	if err := env.ParseWithOptions(&l.config, env.Options{Prefix: Prefix, Environment: known}); err != nil {
		var all env.AggregateError
		if !errors.As(err, &all) {
			l.problems = append(l.problems, Problem{Where: "environment", Text: err.Error()})
		}
		for _, one := range all.Errors {
			var parse env.ParseError
			if errors.As(one, &parse) {
				refused[parse.Name] = true
			}
		}
	}
	for _, f := range fields() {
		switch {
		case refused[f.goName]:
			l.refuse(f, f.env, f.wants())
		case known[f.env] != "":
			l.took(f, FromEnvironment, f.env)
		}
	}
}

func (l *loader) readFlags(flags map[string]string) {
	for _, f := range fields() {
		text, set := flags[f.name]
		if !set {
			text, set = flags[strings.TrimPrefix(f.flag(), "--")]
		}
		switch {
		case !set:
		case f.secret():
			l.refuse(f, "", "a secret is never a flag, which every process of the machine can read: set "+f.env)
		case !f.set(&l.config, text):
			l.refuse(f, f.flag(), f.wants())
		default:
			l.took(f, FromFlag, f.flag())
		}
	}
}

// set reads text into the field of c; it reports whether that is possible.
func (f field) set(c *Config, text string) bool {
	switch target := reflect.ValueOf(c).Elem().Field(f.index).Addr().Interface().(type) {
	case *string:
		*target = text
		return true
	case *bool:
		return parsed(target, text, strconv.ParseBool)
	case *int:
		return parsed(target, text, strconv.Atoi)
	case *time.Duration:
		return parsed(target, text, time.ParseDuration)
	}
	return false
}

func parsed[T any](target *T, text string, parse func(string) (T, error)) bool {
	value, err := parse(text)
	if err == nil {
		*target = value
	}
	return err == nil
}

// wants says what a value of the field looks like. The value itself is not repeated:
// it may be a secret in the wrong place.
func (f field) wants() string {
	switch f.kind {
	case KindSwitch:
		return "want true or false"
	case KindNumber:
		return "want a whole number"
	case KindDuration:
		return "want a duration such as 30s or 2m"
	case KindText, KindSecret:
	}
	return fmt.Sprintf("want a %s", f.kind)
}
