package ping

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/plain"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/line"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Configured is a network that an operator configured. What it is configured with is
// sealed and never shown.
type Configured struct {
	Realm realm.Realm
	ID    string
	Name  string
	Type  Type
	// Kind is that of its adapter, such as "http".
	Kind  string
	Rules Rules
	// Timeout, Attempts and Concurrency bound its calls; zero means the default.
	Timeout     time.Duration
	Attempts    int
	Concurrency int
	// Active networks are offered to callers.
	Active bool
	// State is what this process sees of it.
	State                State
	CreatedAt, ChangedAt time.Time
}

// Setup is what a network is to be. Its realm and id name it; State and times are ignored.
type Setup struct {
	Configured
	// Config is the adapter's, a JSON object of at most MaxConfig bytes.
	Config []byte
	Actor  string
	Also   storage.Also[Configured]
}

// NetworkChange names a network and says what is to be different.
type NetworkChange struct {
	Realm realm.Realm
	ID    string
	// Edit makes of what the network is what it is to be. It is asked again where somebody
	// else changed that meanwhile, and must have no effects of its own.
	Edit func(*Configured) error
	// Config replaces the adapter's; empty keeps what there is.
	Config []byte
	Actor  string
	Also   storage.Also[Configured]
}

// NetworkRemoval names a network that is to go, and who has it go.
type NetworkRemoval struct {
	Realm realm.Realm
	ID    string
	Actor string
	Also  storage.Also[Configured]
}

// Bounds of a network.
const (
	MaxConfig      = 64 << 10
	maxNetworks    = 500
	maxName        = 100
	maxRules       = 32
	maxPrefix      = 16
	longestTimeout = time.Minute
	mostAttempts   = 5
	mostConcurrent = 1024
)

var (
	networkID = regexp.MustCompile(`^[a-z][a-z0-9_]{1,31}$`)
	prefixes  = regexp.MustCompile(`^[A-Z0-9]+$`)
)

// AddNetwork adds a network, which every process offers within seconds. It returns
// invalid_request for what cannot be one, already_exists for an id that is taken, and
// quota_exceeded when there are too many.
func (s *Service) AddNetwork(ctx context.Context, setup Setup) (Configured, error) {
	if len(setup.Config) == 0 {
		return Configured{}, invalidAt("config", "a configuration is required")
	}
	return s.configure(ctx, setup, "network.add", func(ctx context.Context, tx *storage.Tx, old *networkRow) error {
		if old != nil && old.state != networkRemoved {
			return fault.New(fault.AlreadyExists, "there is a network of this id").At("id")
		}
		count, _, err := storage.One(ctx, tx, storage.Scalar[int64], countNetworks)
		if err == nil && count >= maxNetworks {
			err = fault.New(fault.QuotaExceeded, "there are %d networks, the most is %d", count, maxNetworks)
		}
		return err
	})
}

// changeTries bounds how often a change begins anew.
const changeTries = 16

// ChangeNetwork changes what a network is, with the faults of AddNetwork, or not_found. Of
// changes of different parts at once all are kept.
func (s *Service) ChangeNetwork(ctx context.Context, c NetworkChange) (Configured, error) {
	for try := 1; ; try++ {
		changed, err := s.changeNetwork(ctx, c)
		switch {
		case !errors.Is(err, storage.ErrStale):
			return changed, err
		case try == changeTries:
			return Configured{}, fault.Wrap(err, fault.Unavailable, "the network is being changed by others: try again").After(time.Second)
		}
	}
}

// changeNetwork is one try, storage.ErrStale where somebody else was faster.
func (s *Service) changeNetwork(ctx context.Context, c NetworkChange) (Configured, error) {
	found, ok, err := storage.One(ctx, s.DB, scanNetwork, findNetwork, string(c.Realm), c.ID)
	if err == nil && !ok {
		err = unknownNetwork()
	}
	if err != nil {
		return Configured{}, err
	}
	setup := Setup{Configured: found.Configured, Config: c.Config, Actor: c.Actor, Also: c.Also}
	if err := c.Edit(&setup.Configured); err != nil {
		return Configured{}, err
	}
	setup.Realm, setup.ID = c.Realm, c.ID
	return s.configure(ctx, setup, "network.change", func(_ context.Context, _ *storage.Tx, old *networkRow) error {
		switch {
		case old == nil || old.state == networkRemoved:
			return unknownNetwork()
		case old.version != found.version:
			return storage.ErrStale
		}
		return nil
	})
}

func unknownNetwork() error { return fault.New(fault.NotFound, "no such network") }

func invalidAt(field, format string, args ...any) error {
	return fault.New(fault.InvalidRequest, format, args...).At(field)
}

// configure writes a network unless allowed refuses what there was.
func (s *Service) configure(ctx context.Context, setup Setup, action string, allowed func(context.Context, *storage.Tx, *networkRow) error) (Configured, error) {
	if err := s.check(&setup); err != nil {
		return Configured{}, err
	}
	n := &networkRow{Configured: setup.Configured, state: networkDisabled}
	if setup.Active {
		n.state = networkActive
	}
	if len(setup.Config) > 0 {
		if err := s.tryConfig(setup.Kind, setup.Config); err != nil {
			return Configured{}, err
		}
		var err error
		if n.config, err = s.Vault.Seal(purposeNetwork, n.sealedAs(), setup.Config); err != nil {
			return Configured{}, err
		}
	}
	sealed := n.config
	err := s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		old, _, err := storage.One(ctx, tx, scanNetwork, lockNetwork, string(n.Realm), n.ID)
		if err != nil {
			return err
		}
		if err := allowed(ctx, tx, old); err != nil {
			return err
		}
		n.succeed(old, s.now())
		if sealed == nil {
			if old.Kind != n.Kind {
				return invalidAt("config", "another kind needs another configuration")
			}
			n.config = old.config
		}
		if err := s.write(ctx, tx, n, audit.Record{Actor: setup.Actor, Action: action}); err != nil {
			return err
		}
		return setup.Also.Apply(ctx, tx, n.begun())
	})
	if storage.IsUnique(err) { // two were added at once
		err = fault.New(fault.AlreadyExists, "there is a network of this id").At("id")
	}
	if err != nil {
		return Configured{}, err
	}
	s.learnNetwork(ctx, n)
	return n.begun(), nil
}

// begun is a network as a change leaves it: one that is offered has not failed yet.
func (n *networkRow) begun() Configured {
	c := n.Configured
	c.State = Down
	if c.Active {
		c.State = Operational
	}
	return c
}

// succeed makes n the version after old, which may be nil.
func (n *networkRow) succeed(old *networkRow, now time.Time) {
	n.version, n.CreatedAt, n.ChangedAt = 1, now, now
	if old == nil {
		return
	}
	n.version = old.version + 1
	if old.state != networkRemoved {
		n.CreatedAt = old.CreatedAt
	}
}

func (n *networkRow) sealedAs() string { return string(n.Realm) + "/" + n.ID }

// write stores a version. Of two first ones only one can be.
func (s *Service) write(ctx context.Context, tx *storage.Tx, n *networkRow, r audit.Record) error {
	statement := writeNetwork
	if n.version == 1 {
		statement = insertNetwork
	}
	if err := tx.ExecRows(ctx, statement, [][]any{n.values()}); err != nil {
		return err
	}
	r.Subject, r.At = n.sealedAs(), s.now()
	r.Detail = map[string]string{"kind": n.Kind, "state": n.state}
	return s.Audit.Append(ctx, tx, r)
}

// RemoveNetwork removes a network in all processes within seconds, or returns not_found.
// What was checked on it stays.
func (s *Service) RemoveNetwork(ctx context.Context, r NetworkRemoval) error {
	var n *networkRow
	err := s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		old, found, err := storage.One(ctx, tx, scanNetwork, lockNetwork, string(r.Realm), r.ID)
		if err != nil {
			return err
		}
		if !found || old.state == networkRemoved {
			return unknownNetwork()
		}
		n = old
		n.state, n.Active, n.config = networkRemoved, false, []byte{}
		n.version++
		n.ChangedAt = s.now()
		if err := s.write(ctx, tx, n, audit.Record{Actor: r.Actor, Action: "network.remove"}); err != nil {
			return err
		}
		return r.Also.Apply(ctx, tx, n.begun())
	})
	if err != nil {
		return err
	}
	s.learnNetwork(ctx, n)
	return nil
}

// FindNetwork returns a configured network, or not_found.
func (s *Service) FindNetwork(ctx context.Context, r realm.Realm, network string) (Configured, error) {
	n, found, err := storage.One(ctx, s.DB, scanNetwork, findNetwork, string(r), network)
	if err == nil && !found {
		err = unknownNetwork()
	}
	if err != nil {
		return Configured{}, err
	}
	return s.withState(n), nil
}

// ListNetworks returns every configured network of a realm, by id.
func (s *Service) ListNetworks(ctx context.Context, r realm.Realm) ([]Configured, error) {
	rows, err := storage.All(ctx, s.DB, scanNetwork, listNetworks, string(r), maxNetworks)
	var all []Configured
	for _, n := range rows {
		all = append(all, s.withState(n))
	}
	return all, err
}

// withState adds what this process sees of a network; what it does not offer is down.
func (s *Service) withState(n *networkRow) Configured {
	c := n.Configured
	c.State = Down
	if known, err := s.networks.find(n.Realm, n.ID); err == nil {
		c.State = known.state()
	}
	return c
}

// refreshNetworks takes over what changed since then, in any process.
func (s *Service) refreshNetworks(ctx context.Context, since int64) error {
	rows, err := storage.All(ctx, s.DB, scanNetwork, changedNetworks, since)
	for _, n := range rows {
		s.learnNetwork(ctx, n)
	}
	return err
}

// learnNetwork offers a network as its row says, or no more. One that cannot be opened
// here, for want of a secret's file say, is listed and down. A server says so in its log; to
// a command, which asks none, it does not matter.
func (s *Service) learnNetwork(ctx context.Context, n *networkRow) {
	c := &connection{realm: n.Realm, id: n.ID, name: n.Name, kind: n.Type, rules: n.Rules, version: n.version}
	if s.networks.current(c.key(), n.version) {
		return
	}
	c.line = line.New(line.Config{Answer: answerOf, Timeout: n.Timeout, Attempts: n.Attempts, Concurrency: n.Concurrency}, s.Clocks.Of(realm.Live))
	if n.state == networkActive {
		if c.network, c.failed = s.open(n); s.runs.Load() {
			s.complain(ctx, c)
		}
	}
	s.networks.put(c, n.state != networkActive)
}

// complain says why a network cannot be asked, if it cannot.
func (s *Service) complain(ctx context.Context, c *connection) {
	if c.failed != nil {
		s.Logger.ErrorContext(ctx, "open network", "realm", string(c.realm), "network", c.id, "error", c.failed)
	}
}

// open opens the adapter of a stored network.
func (s *Service) open(n *networkRow) (Network, error) {
	adapter := s.Adapters[n.Kind]
	if adapter == nil {
		return nil, fmt.Errorf("open network %s: this version has no adapter of its kind", n.ID)
	}
	config, err := s.Vault.Unseal(purposeNetwork, n.sealedAs(), n.config)
	if err != nil {
		return nil, err
	}
	return adapter(config)
}

// tryConfig opens a network to see whether its configuration is one.
func (s *Service) tryConfig(kind string, config []byte) error {
	network, err := s.Adapters[kind](config)
	if err != nil {
		f := fault.From(err)
		if f.Code == fault.Internal { // the adapter's own words on what is wrong
			f = fault.Wrap(err, fault.InvalidRequest, "the configuration does not open: %s", err)
		}
		return f.At(strings.TrimSuffix("config."+f.Field, "."))
	}
	if closer, ok := network.(io.Closer); ok {
		_ = closer.Close() // it was opened to be looked at
	}
	return nil
}

// check refuses what cannot be a network.
func (s *Service) check(setup *Setup) error {
	if _, err := realm.Parse(string(setup.Realm)); err != nil {
		return invalidAt("realm", "want live or test")
	}
	known, err := s.networks.find(setup.Realm, setup.ID)
	builtIn := err == nil && known.line == nil
	switch {
	case !networkID.MatchString(setup.ID) || builtIn:
		return invalidAt("id", "want 2 to 32 of a-z, 0-9 and _, beginning with a letter, and none that is built in")
	case !plain.LineBytes(setup.Name, 1, maxName):
		return invalidAt("name", "want 1 to %d bytes of plain text", maxName)
	case setup.Type != OpenLoop && setup.Type != ClosedLoop:
		return invalidAt("type", "want open_loop or closed_loop")
	case s.Adapters[setup.Kind] == nil:
		return invalidAt("kind", "there is no such kind of network")
	case len(setup.Config) > MaxConfig || (len(setup.Config) > 0 && !isObject(setup.Config)):
		return invalidAt("config", "want a JSON object of at most %d bytes", MaxConfig)
	case setup.Timeout < 0 || setup.Timeout > longestTimeout:
		return invalidAt("timeout", "want at most %s", longestTimeout)
	case setup.Attempts < 0 || setup.Attempts > mostAttempts:
		return invalidAt("attempts", "want at most %d", mostAttempts)
	case setup.Concurrency < 0 || setup.Concurrency > mostConcurrent:
		return invalidAt("concurrency", "want at most %d", mostConcurrent)
	}
	return setup.Rules.check()
}

func isObject(text []byte) bool {
	var object map[string]any
	return json.Unmarshal(text, &object) == nil && object != nil
}

// check refuses rules that no number could meet or that the table cannot hold.
func (r *Rules) check() error {
	if len(r.Lengths) > maxRules || len(r.Prefixes) > maxRules || len(r.Currencies) > maxRules {
		return invalidAt("rules", "want at most %d lengths, prefixes and currencies", maxRules)
	}
	for _, n := range r.Lengths {
		if n < pan.MinLength || n > pan.MaxAlnum {
			return invalidAt("rules", "a number has %d to %d characters", pan.MinLength, pan.MaxAlnum)
		}
	}
	for _, p := range r.Prefixes {
		if len(p) > maxPrefix || !prefixes.MatchString(p) {
			return invalidAt("rules", "a prefix has 1 to %d of A-Z and 0-9", maxPrefix)
		}
	}
	switch {
	case r.Letters:
	case len(r.Lengths) > 0 && slices.Min(r.Lengths) > pan.MaxDigits:
		return invalidAt("rules", "a number without letters has at most %d digits", pan.MaxDigits)
	case len(r.Prefixes) > 0 && !slices.ContainsFunc(r.Prefixes, isDigits):
		return invalidAt("rules", "all prefixes have letters, and the numbers none: set letters")
	}
	if slices.ContainsFunc(r.Currencies, func(c money.Currency) bool { return !c.IsValid() }) {
		return fault.New(fault.UnknownCurrency, "there is no such currency").At("rules")
	}
	return nil
}

// The rules' lists are stored with spaces between.

func joinInts(all []int) string {
	texts := make([]string, len(all))
	for i, n := range all {
		texts[i] = strconv.Itoa(n)
	}
	return strings.Join(texts, " ")
}

func splitInts(text string) (all []int, err error) {
	for field := range strings.FieldsSeq(text) {
		n, err := strconv.Atoi(field)
		if err != nil {
			return nil, err
		}
		all = append(all, n)
	}
	return all, nil
}

func joinCurrencies(all []money.Currency) string {
	texts := make([]string, len(all))
	for i, c := range all {
		texts[i] = c.String()
	}
	return strings.Join(texts, " ")
}

func splitCurrencies(text string) (all []money.Currency, err error) {
	for field := range strings.FieldsSeq(text) {
		c, err := money.Parse(field)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}
