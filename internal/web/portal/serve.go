package portal

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
	portals "github.com/scripcards/scrip/internal/portal"
)

// route is one address of a page.
type route struct {
	pattern string // for the log; never the address itself
	path    string
	find    func(ctx context.Context) (portals.Portal, error)
}

// visit is one request for a page.
type visit struct {
	Visitor
	request *http.Request
	route   route
	record  wire.Record
	page    page
}

// asked is the language that the address names; may be anything.
func (v *visit) asked() string { return v.request.URL.Query().Get("lang") }

const (
	deadline = 25 * time.Second
	// maxForm bounds a form, in bytes. Its longest honest field is a captcha's answer.
	maxForm = 16 << 10
)

// serve makes one page and always answers.
func (s *Site) serve(w http.ResponseWriter, r *http.Request, at route) {
	watch := clock.Start()
	ctx, cancel := context.WithTimeout(r.Context(), deadline)
	defer cancel()
	v := &visit{request: r, route: at}
	v.record = wire.Record{Dialect: "portal", Route: "page", Method: r.Method, Path: at.pattern, RequestID: id.New("req"), From: wire.ClientAddress(r, s.Proxies)}
	v.Subject, v.Address = wire.AddressSubject(v.record.From), v.record.From.String()
	if s.Context != nil {
		ctx = s.Context(ctx, v.record.RequestID)
	}
	var body bytes.Buffer
	s.render(ctx, v, &body)
	s.headers(w.Header(), v)
	w.Header().Set("X-Request-Id", v.record.RequestID)
	w.Header().Set("Content-Length", strconv.Itoa(body.Len()))
	w.WriteHeader(v.page.status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body.Bytes()) // the visitor may have left
	}
	if s.Observe != nil {
		v.record.Status, v.record.Sent, v.record.Elapsed = v.page.status, body.Len(), watch.Elapsed()
		s.Observe(ctx, v.record)
	}
}

// render decides which page to show and writes it into body.
func (s *Site) render(ctx context.Context, v *visit, body *bytes.Buffer) {
	v.page = page{status: http.StatusOK, lang: languageOf(pick(portals.Languages(), v.asked(), v.request.Header.Get("Accept-Language")))}
	err := s.guarded(ctx, v)
	if err != nil {
		s.fail(ctx, v, err)
	}
	if err := s.show(v).Render(context.WithoutCancel(ctx), body); err != nil {
		s.Logger.ErrorContext(ctx, "render page", "error", err)
		body.Reset()
		v.page.status = http.StatusInternalServerError
	}
}

// guarded answers the visit within the bounds of pages at once, of all visitors and of one
// address. What panics becomes an error.
func (s *Site) guarded(ctx context.Context, v *visit) (err error) {
	if !s.crowd.Enter(v.Subject, maxInFlight/2) { // whoever sends forms slowly keeps nobody else out
		return fault.New(fault.RateLimited, "too many pages of this address are under way").After(time.Second)
	}
	defer s.crowd.Leave(v.Subject)
	select {
	case s.slots <- struct{}{}:
	default:
		return fault.New(fault.Overloaded, "the server is busy").After(time.Second)
	}
	defer func() {
		<-s.slots
		if p := recover(); p != nil {
			s.Logger.LogAttrs(ctx, slog.LevelError, "page panicked", slog.String("request_id", v.record.RequestID), slog.String("stack", string(debug.Stack())))
			err = fmt.Errorf("page: panic")
		}
	}()
	return s.answer(ctx, v)
}

// answer fills in the page.
func (s *Site) answer(ctx context.Context, v *visit) error {
	d, err := s.Limits.Take(ctx, v.addressSubject("page"), []wire.Window{s.Pace.Pages}, 1)
	if err != nil {
		return err
	}
	if !d.Allowed {
		return fault.New(fault.RateLimited, "too many pages").After(d.RetryAfter)
	}
	p, err := v.route.find(ctx)
	if err == nil && !p.Active {
		err = fault.New(fault.NotFound, "the portal is switched off")
	}
	if err != nil {
		return err
	}
	v.Portal, v.record.Subject = p, string(p.ID)
	s.dress(v)
	switch v.request.Method {
	case http.MethodGet, http.MethodHead:
		return s.form(ctx, v)
	case http.MethodPost:
		v.record.Route = "check"
		return s.check(ctx, v)
	}
	return fault.New(fault.MethodNotAllowed, "method not allowed")
}

// dress gives the page what depends on the portal alone.
func (s *Site) dress(v *visit) {
	p := &v.Portal
	asked := v.asked()
	code := pick(p.Languages, asked, v.request.Header.Get("Accept-Language"))
	v.page.lang, v.page.portal = languageOf(code), p
	v.page.action = v.route.path
	if asked == code {
		v.page.action += "?lang=" + code
	}
	if len(p.Languages) > 1 {
		for _, other := range p.Languages {
			l := languageOf(other)
			v.page.languages = append(v.page.languages, languageLink{code: l.code, name: l.name, href: v.route.path + "?lang=" + l.code, current: other == code})
		}
	}
	v.page.networks = s.networks(p)
}

// fail turns an error into a page, and logs what is a mistake of ours. The error may
// come from a product and holds no secret; a visitor sees none of it.
func (s *Site) fail(ctx context.Context, v *visit, err error) {
	f := wire.AsFault(ctx, err)
	v.record.Code, v.record.Err = f.Code, f
	t := &v.page.lang.texts
	p := &v.page
	switch f.Code.Kind() {
	case fault.KindNotFound:
		p.portal = nil
		p.tell(http.StatusNotFound, notice{title: t.UnknownTitle, text: t.UnknownText})
	case fault.KindLimit:
		if f.Code == fault.QuotaExceeded { // the customer's, not the visitor's
			p.tell(http.StatusServiceUnavailable, notice{title: t.UnavailableTitle, text: t.UnavailableText})
			return
		}
		p.retryAfter = max(f.RetryAfter, time.Second)
		s.later(ctx, v, http.StatusTooManyRequests, notice{title: t.LimitedTitle, text: strings.ReplaceAll(t.LimitedText, "{wait}", p.lang.wait(p.retryAfter))})
	case fault.KindForbidden:
		p.tell(http.StatusForbidden, notice{title: t.ForbiddenTitle, text: t.ForbiddenText})
	case fault.KindUnavailable:
		p.retryAfter = max(f.RetryAfter, time.Second)
		s.later(ctx, v, http.StatusServiceUnavailable, notice{title: t.UnavailableTitle, text: t.UnavailableText})
	case fault.KindInvalid:
		p.tell(statusOfInvalid(f.Code), notice{title: t.ForbiddenTitle, text: t.ForbiddenText})
	default:
		s.Logger.ErrorContext(ctx, "portal page", "request_id", v.record.RequestID, "error", err)
		p.tell(http.StatusInternalServerError, notice{title: t.InternalTitle, text: t.InternalText, reference: v.record.RequestID})
	}
}

// later says to try again later, above the form with the number that was typed, if there is one.
func (s *Site) later(ctx context.Context, v *visit, status int, n notice) {
	p := &v.page
	if p.form == nil || s.ready(ctx, v) != nil {
		p.tell(status, n)
		return
	}
	p.status, p.notice = status, &n
}

func statusOfInvalid(code fault.Code) int {
	switch code {
	case fault.MethodNotAllowed:
		return http.StatusMethodNotAllowed
	case fault.BodyTooLarge:
		return http.StatusRequestEntityTooLarge
	default:
		return http.StatusBadRequest
	}
}

// show is the component of the page.
func (s *Site) show(v *visit) templ.Component { return layout(&v.page, s.assets.links(v.page.portal)) }
