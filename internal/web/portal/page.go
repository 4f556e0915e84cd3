package portal

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ping"
	portals "github.com/scripcards/scrip/internal/portal"
)

// page is what there is to show.
type page struct {
	status     int
	lang       *language
	portal     *portals.Portal // nil: nobody's page
	action     string          // where the form goes, and where a visitor begins again
	languages  []languageLink
	networks   []ping.NetworkInfo
	notice     *notice
	result     *result
	form       *form
	retryAfter time.Duration
}

// tell puts a notice in the place of everything else.
func (p *page) tell(status int, n notice) {
	p.status, p.notice, p.form, p.result = status, &n, nil, nil
}

// notice is something that the visitor must know.
type notice struct {
	title, text string
	reference   string // for a mistake of ours; may be empty
	// wait is how long those wait who have no JavaScript; 0: that does not help.
	wait time.Duration
}

// result is what a check found.
type result struct {
	status         ping.Status
	balance        string // empty where there is none to show
	expiry         string // in words; may be empty
	network        string
	asOf           string // empty: now
	title, comment string // for everything but a balance
}

// form is the form as it is shown again.
type form struct {
	network, number string
	pinTyped        bool // and not kept
	errors          []formError
	challenge       *Challenge
}

// formError is what is wrong with a field.
type formError struct{ field, text string }

// wrong returns what is wrong with a field; empty: nothing.
func (f *form) wrong(field string) string {
	for _, e := range f.errors {
		if e.field == field {
			return e.text
		}
	}
	return ""
}

func (f *form) blame(field, text string) {
	f.errors = append(f.errors, formError{field, text})
}

type languageLink struct {
	code, name, href string
	current          bool
}

// The fields of the form.
const (
	fieldNetwork   = "network"
	fieldNumber    = "number"
	fieldPIN       = "pin"
	fieldChallenge = "challenge"
	fieldProof     = "proof"
)

// title is the title of the document. It tells nobody's balance: titles are kept in histories.
func (p *page) title() string {
	t := &p.lang.texts
	title := t.Title
	switch {
	case p.notice != nil:
		title = p.notice.title
	case p.result != nil && p.result.title != "":
		title = p.result.title
	case p.result != nil:
		title = t.ResultTitle
	}
	if p.form != nil && len(p.form.errors) > 0 {
		title = t.ErrorPrefix + " " + title
	}
	if p.portal != nil {
		title += " – " + p.portal.Name
	}
	return title
}

// inputMode is the keyboard for numbers: digits, unless a network has letters.
func (p *page) inputMode() string {
	if slices.ContainsFunc(p.networks, func(n ping.NetworkInfo) bool { return n.Rules.Letters }) {
		return "text"
	}
	return "numeric"
}

// pinHint says where a PIN is found and which cards need one.
func (p *page) pinHint() string {
	var names []string
	for _, n := range p.networks {
		if n.VisitorsNeedPIN() {
			names = append(names, n.Name)
		}
	}
	hint := p.lang.PINHint
	if p.pinAgain() {
		hint = p.lang.PINAgain + " " + hint
	}
	if len(names) == 0 || len(names) == len(p.networks) {
		return hint
	}
	return hint + " " + strings.ReplaceAll(p.lang.PINNeeded, "{names}", strings.Join(names, ", "))
}

// pinAgain reports whether a PIN was typed that has to be typed once more: without it the
// next check finds no card.
func (p *page) pinAgain() bool {
	return p.form != nil && p.form.pinTyped && p.form.wrong(fieldPIN) == ""
}

// pinNeeded reports whether every card that can be chosen needs a PIN.
func (p *page) pinNeeded() bool {
	return !slices.ContainsFunc(p.networks, func(n ping.NetworkInfo) bool { return !n.VisitorsNeedPIN() })
}

// isTest reports whether the page is of the test realm.
func (p *page) isTest() bool { return p.portal != nil && p.portal.Realm == realm.Test }

// monogram stands for a logo: the first letter or digit of the name.
func (p *page) monogram() string {
	for _, c := range p.portal.Name {
		return strings.ToUpper(string(c))
	}
	return ""
}

// describedBy lists the ids of a field's hint and, if there is one, of its error.
func (f *form) describedBy(field string, hint bool) string {
	var ids []string
	if f.wrong(field) != "" {
		ids = append(ids, field+"-error")
	}
	if hint {
		ids = append(ids, field+"-hint")
	}
	return strings.Join(ids, " ")
}

// networks are those that the portal offers, in its order.
func (s *Site) networks(p *portals.Portal) []ping.NetworkInfo {
	all := s.Checker.Networks(p.Realm)
	if len(p.Networks) == 0 {
		return all
	}
	var offered []ping.NetworkInfo
	for _, name := range p.Networks {
		if i := slices.IndexFunc(all, func(n ping.NetworkInfo) bool { return n.ID == name }); i >= 0 {
			offered = append(offered, all[i])
		}
	}
	return offered
}

// heading is the page's first heading; what a check finds has one of its own below it.
func (p *page) heading() string {
	if p.portal == nil && p.notice != nil {
		return p.notice.title
	}
	return p.lang.Title
}

// noticeTitle is the id of the heading of a notice.
func (p *page) noticeTitle() string {
	if p.portal == nil {
		return "heading"
	}
	return "notice-title"
}

// intro is the sentence below it: the portal's own, or what to do.
func (p *page) intro() string {
	switch {
	case p.portal == nil:
		return ""
	case p.portal.Branding.Tagline != "":
		return p.portal.Branding.Tagline
	case p.result != nil || p.notice != nil:
		return ""
	}
	return p.lang.Intro
}

// networkName is a network with what a visitor should know before choosing it.
func (p *page) networkName(n ping.NetworkInfo) string {
	if n.State == ping.Down {
		return n.Name + " (" + p.lang.Down + ")"
	}
	return n.Name
}

// widget is the captcha that is on the page; nil: none.
func (p *page) widget() *Widget {
	if p.form == nil || p.form.challenge == nil {
		return nil
	}
	return p.form.challenge.Widget
}

// challengeWait says what those do who have no JavaScript.
func (p *page) challengeWait() string {
	return strings.ReplaceAll(p.lang.ChallengeWait, "{wait}", p.lang.wait(p.notice.wait))
}

// described are the attributes that tie a field to its hint and its error.
func (f *form) described(field string, hint bool) templ.Attributes {
	attributes := templ.Attributes{}
	if ids := f.describedBy(field, hint); ids != "" {
		attributes["aria-describedby"] = ids
	}
	if f.wrong(field) != "" {
		attributes["aria-invalid"] = "true"
	}
	return attributes
}

// attributes tell the script what to compute.
func (f *form) attributes() templ.Attributes {
	if f.challenge == nil || f.challenge.Bits == 0 {
		return nil
	}
	return templ.Attributes{"data-bits": strconv.Itoa(f.challenge.Bits)}
}
