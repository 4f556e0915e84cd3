package cashdesk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"github.com/scripcards/scrip/internal/cashout"
	"github.com/scripcards/scrip/internal/cashout/customer"
	"github.com/scripcards/scrip/internal/cashout/image"
	"github.com/scripcards/scrip/internal/cashout/payout/destination"
	"github.com/scripcards/scrip/internal/cashout/phone"
	"github.com/scripcards/scrip/internal/cashout/review"
	"github.com/scripcards/scrip/internal/cashout/ticker"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/keyfile"
	"github.com/scripcards/scrip/internal/provider/captcha"
	"github.com/scripcards/scrip/internal/provider/geo"
	"github.com/scripcards/scrip/internal/provider/s3"
	"github.com/scripcards/scrip/internal/provider/screening"
	"github.com/scripcards/scrip/internal/provider/sms"
)

// file is what describes a desk; docs/cashout.md explains each key.
type file struct {
	Realm string `json:"realm"`
	// Network is the sandbox's; the live realm's is bitcoin's main one.
	Network string `json:"network"`
	Fee     string `json:"fee"`
	// PriceLockMinutes is how long a price is locked; 0: a day.
	PriceLockMinutes int `json:"price_lock_minutes"`
	// Captcha is "work" for a proof of work; empty: the account of the setting captcha.
	Captcha  string            `json:"captcha"`
	Tiers    *tiersFile        `json:"tiers"`
	Messages json.RawMessage   `json:"messages"`
	Limits   limitsFile        `json:"message_limits"`
	Lists    []listFile        `json:"lists"`
	Services []json.RawMessage `json:"services"`
	Places   placesFile        `json:"places"`
	Review   reviewFile        `json:"review"`
	// Store is an S3 bucket that images are uploaded to; absent: the built-in store.
	Store json.RawMessage `json:"store"`
	// KeepImagesDays and KeepBlockedDays count from a decision, KeepMarksDays from the end of
	// any order.
	KeepImagesDays  int `json:"keep_images_days"`
	KeepBlockedDays int `json:"keep_blocked_days"`
	KeepMarksDays   int `json:"keep_marks_days"`
}

type tiersFile struct {
	WindowDays int        `json:"window_days"`
	Smallest   string     `json:"smallest"`
	Largest    string     `json:"largest"`
	Most       string     `json:"most"`
	Steps      []stepFile `json:"steps"`
}

type stepFile struct {
	Above string   `json:"above"`
	Asks  []string `json:"asks"`
}

type limitsFile struct {
	Countries   []string `json:"countries"`
	TextCents   int64    `json:"text_cents"`
	CallCents   int64    `json:"call_cents"`
	CentsPerDay int64    `json:"cents_per_day"`
	AlarmFrom   int64    `json:"alarm_from"`
	AlarmBelow  int64    `json:"alarm_below_percent"`
}

type listFile struct {
	Name string `json:"name"`
	File string `json:"file"`
}

type placesFile struct {
	Database string   `json:"database"`
	Deny     []string `json:"deny"`
	Allow    []string `json:"allow"`
}

type reviewFile struct {
	TwoAbove    string `json:"two_above"`
	HoldMinutes int    `json:"hold_minutes"`
}

// maxDays bounds for how long pictures may be kept.
const (
	maxDays     = 3_660
	keepImages  = 30 * 24 * time.Hour
	keepBlocked = 5 * 365 * 24 * time.Hour
)

// check returns what is wrong with a file that is served in a realm: what it says, and the
// files that it names. It calls nobody.
func (f *file) check(r realm.Realm) error {
	for _, step := range []func() error{
		f.checkCaptcha,
		func() error { return f.openStore(&image.Deps{}) },
		func() error { _, err := f.network(); return err },
		func() error { _, err := f.fee(); return err },
		func() error { _, err := f.priceLock(); return err },
		func() error { _, err := f.Tiers.tiers(); return err },
		func() error { return f.messages(r, &phone.Line{}) },
		func() error { _, err := f.screeners(); return err },
		func() error { _, err := f.Places.open(); return err },
		func() error { return (&Desk{Reviews: &review.Service{}}).reviews(&f.Review) },
		func() error { return f.keep(&cashout.Desk{}) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// openStore has images uploaded to the store that the file names, if it names one.
func (f *file) openStore(d *image.Deps) error {
	if f.Store == nil {
		return nil
	}
	store, err := s3.Open(f.Store, keyfile.Folder(""), clock.System())
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	c := store.Credential()
	d.Bucket = store
	d.Config = image.Config{URL: store.Address(), Bucket: store.Name(), Region: c.Region, AccessKey: c.AccessKey, Secret: c.Secret}
	return nil
}

// configure serves what a file describes.
func (k *Desk) configure(f file, o Options) error {
	r, err := realm.Parse(f.Realm)
	if err != nil {
		return err
	}
	d := &cashout.Desk{Captcha: o.Captcha, Payouts: payouts{k.Payouts}, Images: pictures{k.Images}}
	var line phone.Line
	for _, step := range []func() error{
		func() error { return k.pays(r, &f, d) },
		func() error { return k.prices(r, &f, d) },
		func() (err error) { d.Tiers, err = f.Tiers.tiers(); return err },
		func() error { return f.messages(r, &line) },
		func() (err error) { d.Screener, err = f.screeners(); return err },
		func() (err error) { k.place, err = f.Places.open(); return err },
		func() error { return k.reviews(&f.Review) },
		func() error { return f.keep(d) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	k.serve(r, d, line)
	return nil
}

// pays says who pays and tells people from machines.
func (k *Desk) pays(r realm.Realm, f *file, d *cashout.Desk) error {
	if err := f.checkCaptcha(); err != nil {
		return err
	}
	if f.Captcha == work {
		d.Captcha = captcha.NewWork(clock.System(), captcha.UsualZeros)
	}
	payer, paid := k.Payouts.Nodes[r]
	if r == realm.Live {
		switch {
		case d.Captcha == nil:
			return errCaptcha
		case !paid:
			return errNodes
		case f.Network != "" && f.Network != string(destination.Main):
			return errors.New("network: the live realm is on bitcoin's main network")
		}
		return nil
	}
	if d.Captcha == nil {
		d.Captcha = captcha.Demo{}
	}
	network, err := f.network()
	if err != nil {
		return err
	}
	if paid {
		if f.Network != "" && network != payer.Network {
			return fmt.Errorf("network: the node that pays is on the %s network", payer.Network)
		}
		return nil
	}
	n := k.simulated(network)
	k.deps.Jobs.Every("cashout.fund_sandbox", alarmSweep, func(ctx context.Context) error { return n.Fill(ctx, funding) })
	return nil
}

// work is the captcha that needs no service.
const work = "work"

func (f *file) checkCaptcha() error {
	if f.Captcha != "" && f.Captcha != work {
		return fmt.Errorf("captcha: %q: want work, or nothing", f.Captcha)
	}
	return nil
}

// network is the sandbox's.
func (f *file) network() (destination.Network, error) {
	if f.Network == "" {
		return destination.Main, nil
	}
	network, err := destination.ParseNetwork(f.Network)
	if err != nil {
		return "", fmt.Errorf("network: %w", err)
	}
	return network, nil
}

// fee is what is added to the market's price, in hundredths of a percent.
func (f *file) fee() (int64, error) {
	if f.Fee == "" {
		return 0, nil
	}
	fee, err := money.ParsePercent(f.Fee)
	if err == nil && (fee < 0 || fee > ticker.MaxFee) {
		err = fmt.Errorf("want 0 to %d", ticker.MaxFee/100)
	}
	if err != nil {
		return 0, fmt.Errorf("fee: %q: %w", f.Fee, err)
	}
	return fee, nil
}

func (k *Desk) prices(r realm.Realm, f *file, d *cashout.Desk) error {
	fee, err := f.fee()
	if err != nil {
		return err
	}
	if d.PriceLock, err = f.priceLock(); err != nil {
		return err
	}
	d.Ticker, err = ticker.New(ticker.Config{Rates: k.deps.Rates[r], Clock: k.deps.Clocks.Of(r), Fee: fee})
	return err
}

// priceLock is how long a price is locked.
func (f *file) priceLock() (time.Duration, error) {
	const least, most = 10, int(cashout.PriceLock / time.Minute)
	switch {
	case f.PriceLockMinutes == 0:
		return cashout.PriceLock, nil
	case f.PriceLockMinutes < least || f.PriceLockMinutes > most:
		return 0, fmt.Errorf("price_lock_minutes: want %d to %d", least, most)
	}
	return time.Duration(f.PriceLockMinutes) * time.Minute, nil
}

// tiers are the published ones with what the file says otherwise.
func (t *tiersFile) tiers() (customer.Tiers, error) {
	all := customer.DefaultTiers()
	if t == nil {
		return all, nil
	}
	if t.WindowDays != 0 {
		all.Window = time.Duration(t.WindowDays) * 24 * time.Hour
	}
	for _, a := range []struct {
		name, text string
		to         *money.Amount
	}{{"smallest", t.Smallest, &all.Smallest}, {"largest", t.Largest, &all.Largest}, {"most", t.Most, &all.Most}} {
		if a.text == "" {
			continue
		}
		var err error
		if *a.to, err = money.ParseAmount(a.text, money.USD); err != nil {
			return all, fmt.Errorf("tiers.%s: %q: %w", a.name, a.text, err)
		}
	}
	if t.Steps != nil {
		all.Steps = nil
	}
	for i, s := range t.Steps {
		above, err := money.ParseAmount(s.Above, money.USD)
		if err != nil {
			return all, fmt.Errorf("tiers.steps.%d.above: %q: %w", i, s.Above, err)
		}
		step := customer.Tier{Above: above}
		for _, ask := range s.Asks {
			step.Asks = append(step.Asks, customer.Ask(ask))
		}
		all.Steps = append(all.Steps, step)
	}
	if err := all.Check(); err != nil {
		return all, fmt.Errorf("tiers: %w", err)
	}
	return all, nil
}

// messages says how codes are sent, and by which rules: a sandbox's where none leaves the machine.
func (f *file) messages(r realm.Realm, line *phone.Line) error {
	if f.Messages == nil {
		return errors.New("messages: say how codes are sent")
	}
	sender, err := sms.Open(f.Messages, keyfile.Folder(""))
	if err != nil {
		return fmt.Errorf("messages: %w", err)
	}
	line.Sender, line.Policy = sender, phone.DefaultPolicy()
	if _, stays := sender.(*sms.File); stays && r == realm.Test {
		line.Policy = phone.SandboxPolicy()
	}
	p, l := &line.Policy, &f.Limits
	if p.Countries = l.Countries; slices.ContainsFunc(l.Countries, func(c string) bool { return !countryForm.MatchString(c) }) {
		return errors.New("message_limits.countries: want codes of countries in capitals")
	}
	for _, c := range []struct {
		own int64
		to  *int64
	}{{l.TextCents, &p.CostText}, {l.CallCents, &p.CostVoice}, {l.CentsPerDay, &p.Cap}, {l.AlarmFrom, &p.AlarmFrom}, {l.AlarmBelow, &p.AlarmBelow}} {
		if c.own < 0 {
			return errors.New("message_limits: want figures that are not below zero")
		}
		if c.own > 0 {
			*c.to = c.own
		}
	}
	return nil
}

// screeners are the lists and services that say who may be paid.
func (f *file) screeners() (customer.Screener, error) {
	var all customer.Screeners
	for i, l := range f.Lists {
		list, err := l.read()
		if err != nil {
			return nil, fmt.Errorf("lists.%d: %w", i, err)
		}
		all = append(all, list)
	}
	for i, text := range f.Services {
		service, err := screening.Open(text, keyfile.Folder(""))
		if err != nil {
			return nil, fmt.Errorf("services.%d: %w", i, err)
		}
		all = append(all, service)
	}
	return all, nil
}

func (l listFile) read() (*customer.List, error) {
	if !filepath.IsAbs(l.File) || l.Name == "" {
		return nil, errors.New("want a name and the absolute path of a file")
	}
	opened, err := os.Open(l.File)
	if err != nil {
		return nil, err
	}
	defer func() { _ = opened.Close() }() // only read
	return customer.ReadList(l.Name, opened)
}

func (k *Desk) reviews(f *reviewFile) error {
	if f.TwoAbove != "" {
		two, err := money.ParseAmount(f.TwoAbove, money.USD)
		if err != nil {
			return fmt.Errorf("review.two_above: %q: %w", f.TwoAbove, err)
		}
		k.Reviews.Policy.TwoAbove = two
	}
	if f.HoldMinutes < 0 || f.HoldMinutes > 24*60 {
		return errors.New("review.hold_minutes: want 1 to 1440")
	}
	if f.HoldMinutes > 0 {
		k.Reviews.Policy.Hold = time.Duration(f.HoldMinutes) * time.Minute
	}
	return nil
}

// keep says how long what is left over of orders stays.
func (f *file) keep(d *cashout.Desk) error {
	d.KeepImages, d.KeepBlocked, d.KeepMarks = keepImages, keepBlocked, image.KeepMarks
	for _, c := range []struct {
		name string
		days int
		to   *time.Duration
	}{{"keep_images_days", f.KeepImagesDays, &d.KeepImages}, {"keep_blocked_days", f.KeepBlockedDays, &d.KeepBlocked}, {"keep_marks_days", f.KeepMarksDays, &d.KeepMarks}} {
		if c.days < 0 || c.days > maxDays {
			return fmt.Errorf("%s: want 1 to %d", c.name, maxDays)
		}
		if c.days > 0 {
			*c.to = time.Duration(c.days) * 24 * time.Hour
		}
	}
	if f.KeepMarksDays > 0 && d.KeepMarks < d.KeepImages {
		return fmt.Errorf("keep_marks_days: %d: want at least the %d days that pictures are kept", f.KeepMarksDays, int(d.KeepImages.Hours())/24)
	}
	return nil
}

// places are the countries from where somebody is served.
type places struct {
	database    *geo.Database
	deny, allow []string
}

var countryForm = regexp.MustCompile(`^[A-Z]{2}$`)

func (f *placesFile) open() (places, error) {
	p := places{deny: f.Deny, allow: f.Allow}
	for _, code := range slices.Concat(f.Deny, f.Allow) {
		if !countryForm.MatchString(code) {
			return p, fmt.Errorf("places: %q: want codes of countries in capitals", code)
		}
	}
	if f.Database == "" {
		if len(f.Deny)+len(f.Allow) > 0 {
			return p, errors.New("places.database: say which file knows where addresses are")
		}
		return p, nil
	}
	var err error
	if p.database, err = geo.Open(f.Database); err != nil {
		return p, fmt.Errorf("places.database: %w", err)
	}
	return p, nil
}

// check refuses an address of a country that is denied, or not among those that are
// allowed. Where an address is that the database does not know, nobody is refused unless
// some countries alone are allowed.
func (p *places) check(from netip.Addr) error {
	if p.database == nil {
		return nil
	}
	country, err := p.database.Country(from)
	switch {
	case err != nil:
		return err
	case slices.Contains(p.deny, country), len(p.allow) > 0 && !slices.Contains(p.allow, country):
		return fault.New(fault.PermissionDenied, "nobody is served there")
	}
	return nil
}
