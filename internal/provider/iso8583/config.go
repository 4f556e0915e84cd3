package iso8583

import (
	"crypto/tls"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/platform/iso"
	"github.com/scripcards/scrip/internal/platform/keyfile"
	"github.com/scripcards/scrip/internal/provider/call"
)

// Limits of a configuration.
const (
	maxConfig  = 64 << 10 // bytes
	maxEntries = 256      // response codes
	maxAddress = 512      // bytes
)

// Lengths of identifiers.
const (
	terminalLen = 8
	merchantLen = 15
	maxAcquirer = 11
)

// settings are the JSON of a configuration; docs/operate/networks.md explains each key.
type settings struct {
	Address          string             `json:"address"`
	TLS              *call.TLS          `json:"tls"`
	Bitmap           string             `json:"bitmap"`
	TerminalID       string             `json:"terminal_id"`
	MerchantID       string             `json:"merchant_id"`
	AcquirerID       string             `json:"acquirer_id"`
	MerchantType     string             `json:"merchant_type"`
	EntryMode        string             `json:"entry_mode"`
	ConditionCode    string             `json:"condition_code"`
	ProcessingCode   string             `json:"processing_code"`
	PIN              string             `json:"pin"`
	PINKeyFile       string             `json:"pin_key_file"`
	AmountTypes      []string           `json:"amount_types"`
	Currencies       []string           `json:"currencies"`
	ResponseCodes    map[string]outcome `json:"response_codes"`
	SignOn           *bool              `json:"sign_on"`
	TimeoutMS        int                `json:"timeout_ms"`
	ConnectTimeoutMS int                `json:"connect_timeout_ms"`
	EchoMS           int                `json:"echo_ms"`
	ReconnectMS      int                `json:"reconnect_ms"`
	ReconnectMaxMS   int                `json:"reconnect_max_ms"`
	MaxInFlight      int                `json:"max_in_flight"`
}

// host is a configuration that was checked.
type host struct {
	address     string
	tls         *tls.Config // nil: TCP alone
	spec        *iso.Spec
	constant    message // the elements that are the same in every inquiry
	terminal    string
	pinKey      *zoneKey // nil: PINs are not sent
	amountTypes []string
	currencies  map[money.Currency]bool // empty: all
	codes       map[string]outcome
	signOn      bool

	timeout, connectTimeout time.Duration
	echo                    time.Duration
	pause, maxPause         time.Duration
	inFlight                int
}

func parse(config []byte) (*settings, error) {
	var s settings
	return &s, call.Config(config, maxConfig, &s)
}

func (s *settings) compile(folder keyfile.Folder) (*host, error) {
	h := &host{address: s.Address, signOn: s.SignOn == nil || *s.SignOn}
	name, port, err := net.SplitHostPort(s.Address)
	if number, portErr := strconv.ParseUint(port, 10, 16); err != nil || name == "" || portErr != nil || number == 0 || len(s.Address) > maxAddress {
		return nil, call.Refuse("address", "the address is a host and a port, such as host.example:8583")
	}
	if s.Bitmap != "binary" && s.Bitmap != "hex" {
		return nil, call.Refuse("bitmap", "the bitmap is binary or hex")
	}
	h.spec = iso.NewSpec(s.Bitmap == "hex")
	steps := []func(*host) error{
		s.identity, s.money, s.times,
		func(h *host) error { return s.files(h, folder, name) },
	}
	for _, step := range steps {
		if err := step(h); err != nil {
			return nil, err
		}
	}
	if h.codes, err = codesWith(s.ResponseCodes); err != nil {
		return nil, err
	}
	return h, nil
}

// identity takes what names this side, and what is the same in every inquiry.
func (s *settings) identity(h *host) error {
	if s.TerminalID == "" || len(s.TerminalID) > terminalLen || !printable(s.TerminalID) {
		return call.Refuse("terminal_id", "a terminal id has 1 to %d printable characters", terminalLen)
	}
	h.terminal = pad(s.TerminalID, terminalLen)
	if len(s.MerchantID) > merchantLen || !printable(s.MerchantID) {
		return call.Refuse("merchant_id", "a merchant id has at most %d printable characters", merchantLen)
	}
	if len(s.AcquirerID) > maxAcquirer || (s.AcquirerID != "" && !allDigits(s.AcquirerID)) {
		return call.Refuse("acquirer_id", "an acquirer id has at most %d digits", maxAcquirer)
	}
	h.constant = message{0: "0100", 4: strings.Repeat("0", 12), 32: s.AcquirerID, 41: h.terminal}
	if s.MerchantID != "" {
		h.constant[42] = pad(s.MerchantID, merchantLen)
	}
	numbers := []struct {
		key, value, usual, prefix string
		length, number            int
	}{
		{"processing_code", s.ProcessingCode, "310000", "31", 6, 3},
		{"merchant_type", s.MerchantType, "", "", 4, 18},
		{"entry_mode", s.EntryMode, "012", "", 3, 22},
		{"condition_code", s.ConditionCode, "00", "", 2, 25},
	}
	for _, n := range numbers {
		if n.value == "" {
			h.constant[n.number] = n.usual
			continue
		}
		if len(n.value) != n.length || !allDigits(n.value) || !strings.HasPrefix(n.value, n.prefix) {
			return call.Refuse(n.key, "the value has %d digits, beginning with %q", n.length, n.prefix)
		}
		h.constant[n.number] = n.value
	}
	return nil
}

func (s *settings) money(h *host) error {
	h.amountTypes = s.AmountTypes
	if s.AmountTypes == nil {
		h.amountTypes = []string{"02", "01"}
	}
	if len(h.amountTypes) == 0 || len(h.amountTypes) > maxAmounts {
		return call.Refuse("amount_types", "there are 1 to %d amount types", maxAmounts)
	}
	for _, kind := range h.amountTypes {
		if len(kind) != 2 || !allDigits(kind) {
			return call.Refuse("amount_types", "an amount type has two digits")
		}
	}
	h.currencies = make(map[money.Currency]bool, len(s.Currencies))
	for _, code := range s.Currencies {
		currency, err := money.Parse(code)
		if err != nil || currency.Numeric() == "" {
			return call.Refuse("currencies", "there is a currency that is not known, or has no numeric code")
		}
		h.currencies[currency] = true
	}
	if len(s.ResponseCodes) > maxEntries {
		return call.Refuse("response_codes", "there are more than %d", maxEntries)
	}
	return nil
}

func (s *settings) times(h *host) error {
	durations := []struct {
		key                       string
		value, least, usual, most int
		to                        *time.Duration
	}{
		{"timeout_ms", s.TimeoutMS, 50, 8_000, 60_000, &h.timeout},
		{"connect_timeout_ms", s.ConnectTimeoutMS, 50, 5_000, 60_000, &h.connectTimeout},
		{"echo_ms", s.EchoMS, 50, 60_000, 3_600_000, &h.echo},
		{"reconnect_ms", s.ReconnectMS, 10, 500, 60_000, &h.pause},
		{"reconnect_max_ms", s.ReconnectMaxMS, 10, 15_000, 600_000, &h.maxPause},
	}
	for _, d := range durations {
		value := d.value
		if value == 0 {
			value = d.usual
		}
		if value < d.least || value > d.most {
			return call.Refuse(d.key, "the value is not between %d and %d", d.least, d.most)
		}
		*d.to = time.Duration(value) * time.Millisecond
	}
	if h.maxPause < h.pause {
		return call.Refuse("reconnect_max_ms", "the longest pause is shorter than the first")
	}
	if h.inFlight = s.MaxInFlight; s.MaxInFlight == 0 {
		h.inFlight = 32
	}
	if h.inFlight < 1 || h.inFlight > mostInFlight {
		return call.Refuse("max_in_flight", "the value is not between 1 and %d", mostInFlight)
	}
	return nil
}

// mostInFlight bounds the inquiries in flight, far below the trace numbers there are.
const mostInFlight = 1024

// files reads the TLS material and the zone PIN key.
func (s *settings) files(h *host, folder keyfile.Folder, name string) error {
	if s.TLS != nil {
		config, err := s.TLS.Read(folder)
		if err != nil {
			return err
		}
		if config.ServerName == "" {
			config.ServerName = name
		}
		h.tls = config
	}
	switch {
	case s.PIN != "none" && s.PIN != "iso0":
		return call.Refuse("pin", "the PIN is none or iso0")
	case (s.PIN == "iso0") != (s.PINKeyFile != ""):
		return call.Refuse("pin_key_file", "iso0 and a key go together: a PIN is never sent in the clear")
	case s.PIN == "none":
		return nil
	}
	secret, err := folder.Secret(s.PINKeyFile)
	if err != nil {
		return fault.From(err).At("pin_key_file")
	}
	if h.pinKey, err = parseZoneKey(secret); err != nil {
		return fault.From(err).At("pin_key_file")
	}
	return nil
}

func pad(text string, length int) string { return text + strings.Repeat(" ", length-len(text)) }

// printable reports whether a text is printable ASCII.
func printable(text string) bool {
	return strings.IndexFunc(text, func(char rune) bool { return char < ' ' || char > '~' }) < 0
}
