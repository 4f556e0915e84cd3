package wire

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
)

// serve runs one request and always answers it.
func (s *Surface[P]) serve(w http.ResponseWriter, req *http.Request, r *route[P]) {
	watch := clock.Start()
	c := &Call[P]{Request: req, surface: s, route: r, header: w.Header(), status: r.Status, Message: r.Message}
	if r.refuse == nil {
		c.Route = &r.Route
	}
	c.RequestID = requestID(req.Header["X-Request-Id"])
	c.From = clientAddress(req.RemoteAddr, req.Header["X-Forwarded-For"], s.kit.options.Proxies)
	ctx, cancel := context.WithTimeout(req.Context(), r.Timeout)
	defer cancel()
	if r.slow {
		c.connection = http.NewResponseController(w)
	}
	if s.kit.options.Context != nil {
		ctx = s.kit.options.Context(ctx, c.RequestID)
	}
	defer s.close(c)
	buf := s.kit.buffer()
	defer s.kit.release(buf)
	f := s.attempt(ctx, c, buf)
	status := c.status
	switch {
	case f != nil:
		status = s.renderFault(ctx, buf, c, f)
	case r.Tagged && status == http.StatusOK:
		status = c.tag(buf.Bytes())
	}
	sent := s.send(w, c, status, buf.Bytes())
	if s.kit.options.Observe != nil {
		s.observe(ctx, c, f, Record{Status: status, Sent: sent, Elapsed: watch.Elapsed()})
	}
}

// close gives back what the call holds, however it ended.
func (s *Surface[P]) close(c *Call[P]) {
	if c.leave != nil {
		c.leave()
	}
	s.kit.exit(c.From, c.entered)
}

// attempt runs the phases, the product and the encoding of a success into buf.
// What panics becomes an internal fault.
func (s *Surface[P]) attempt(ctx context.Context, c *Call[P], buf *bytes.Buffer) (f *fault.Error) {
	defer func() {
		if p := recover(); p != nil {
			f = s.panicked(ctx, c, p)
		}
	}()
	if f := s.kit.enter(c.From); f != nil {
		return f
	}
	c.entered = true
	out, err := s.run(ctx, c)
	if err == nil {
		err = s.encodeOutcome(buf, c, out)
	}
	if err != nil && s.kit.options.Observe != nil { // who is told of the call's end logs it
		return AsFault(ctx, err)
	}
	return s.failed(ctx, c, err)
}

// failed turns an error into the fault to show, nil for none, and logs what is a mistake of ours.
func (s *Surface[P]) failed(ctx context.Context, c *Call[P], err error) *fault.Error {
	if err == nil {
		return nil
	}
	f := AsFault(ctx, err)
	if f.Code.Kind() == fault.KindInternal {
		s.kit.options.Logger.LogAttrs(ctx, slog.LevelError, "request failed", slog.String("dialect", s.Name), slog.String("route", c.route.Name),
			slog.String("request_id", c.RequestID), slog.String("error", err.Error()))
	}
	return f
}

func (s *Surface[P]) panicked(ctx context.Context, c *Call[P], p any) *fault.Error {
	if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(p) // net/http ends the connection
	}
	s.kit.options.Logger.LogAttrs(ctx, slog.LevelError, "request panicked", slog.String("dialect", s.Name), slog.String("route", c.route.Name),
		slog.String("request_id", c.RequestID), slog.String("panic", fmt.Sprint(p)), slog.String("stack", string(debug.Stack())))
	return fault.New(fault.Internal, "panic in %s", c.route.Name)
}

// renderFault replaces buf by the body of f in the dialect's form and returns its status.
func (s *Surface[P]) renderFault(ctx context.Context, buf *bytes.Buffer, c *Call[P], f *fault.Error) (status int) {
	defer func() {
		if p := recover(); p != nil {
			status = s.lastResort(ctx, buf, c, p)
		}
	}()
	buf.Reset()
	c.file = nil
	verdict, f := s.verdict(f)
	if err := encode(buf, s.FaultBody(c, verdict, f)); err != nil {
		return s.lastResort(ctx, buf, c, err)
	}
	if seconds, tell := verdict.RetryAfter(f); tell {
		c.header["Retry-After"] = []string{strconv.FormatInt(seconds, 10)}
	}
	c.header["Cache-Control"] = noStore
	if s.FaultType != "" {
		c.faultType = []string{s.FaultType}
	}
	return verdict.Status
}

// verdict looks f up in the error table. An internal fault loses its text.
func (s *Surface[P]) verdict(f *fault.Error) (Verdict, *fault.Error) {
	v, known := s.Faults[f.Code]
	if !known {
		v = s.Faults[fault.Internal]
	}
	if f.Code.Kind() == fault.KindInternal || !known {
		f = fault.New(fault.Internal, "internal error")
	}
	if v.Message == "" {
		v.Message = f.Message
	}
	return v, f
}

// lastResort answers where the dialect could not render a fault.
func (s *Surface[P]) lastResort(ctx context.Context, buf *bytes.Buffer, c *Call[P], reason any) (status int) {
	_ = s.panicked(ctx, c, reason) // logged; there is nothing better to answer
	buf.Reset()
	buf.WriteString(`{"message":"internal error"}`)
	return http.StatusInternalServerError
}

// send writes the answer and returns how many bytes its body has.
func (s *Surface[P]) send(w http.ResponseWriter, c *Call[P], status int, body []byte) int {
	h := c.header
	c.idHeader[0] = c.RequestID
	h["X-Request-Id"] = c.idHeader[:]
	h["X-Content-Type-Options"] = nosniff
	if s.LimitHeaders != nil && c.decision.Limit > 0 {
		s.LimitHeaders(h, c.decision)
	}
	if h["Cache-Control"] == nil {
		h["Cache-Control"] = c.route.cache
	}
	h["Content-Type"] = jsonType
	if c.faultType != nil {
		h["Content-Type"] = c.faultType
	}
	if c.file != nil {
		body = c.file.Body
		fileHeaders(h, c.file)
	}
	if status == http.StatusNoContent || status == http.StatusNotModified {
		delete(h, "Content-Type")
		w.WriteHeader(status)
		return 0
	}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(status)
	// A client that is gone cannot be told; the record still shows the status.
	_, _ = w.Write(body)
	return len(body)
}

func (s *Surface[P]) observe(ctx context.Context, c *Call[P], f *fault.Error, r Record) {
	r.Dialect, r.Route, r.Method, r.Path = s.Name, c.route.Name, c.Request.Method, c.route.Path
	r.RequestID, r.From, r.Received = c.RequestID, c.From, len(c.Body)
	r.Replayed = c.replayed
	if f != nil {
		r.Code, r.Err = f.Code, f
	}
	if s.Subject != nil && !c.route.Public {
		r.Subject = s.Subject(c.Principal)
	}
	s.kit.options.Observe(ctx, r)
}

// Fixed header values, shared by all answers; nobody may change them.
var (
	jsonType = []string{"application/json"}
	nosniff  = []string{"nosniff"}
	noStore  = []string{"no-store"}
)

// encodeOptions: the order of struct fields, sorted map keys, no HTML escapes.
// Text that is not UTF-8 is mended rather than refused, because the write that
// it answers may be done already.
var encodeOptions = json.JoinOptions(json.Deterministic(true), jsontext.AllowInvalidUTF8(true))

func encode(buf *bytes.Buffer, v any) error {
	return json.MarshalWrite(buf, v, encodeOptions)
}

// encodeOutcome writes what a successful call answers: the stored answer, or out
// in the dialect's envelope. A File is sent as it is.
func (s *Surface[P]) encodeOutcome(buf *bytes.Buffer, c *Call[P], out any) error {
	if c.stored != nil {
		c.status = c.stored.Status
		buf.Write(c.stored.Body)
		return nil
	}
	switch file := out.(type) {
	case File:
		c.sendFile(&file)
		return nil
	case *File:
		c.sendFile(file)
		return nil
	}
	if c.status == http.StatusNoContent {
		return nil
	}
	return s.encodeSuccess(buf, c, out)
}

func (s *Surface[P]) encodeSuccess(buf *bytes.Buffer, c *Call[P], out any) error {
	if s.Success != nil {
		out = s.Success(c, out)
	}
	return encode(buf, out)
}

// sendFile answers with a file, or with 304 to a caller who has it.
func (c *Call[P]) sendFile(file *File) {
	c.file = file
	if isGet := !takesBody(c.Request.Method); isGet && file.Version != "" && holds(c.Request.Header["If-None-Match"], file.Version) {
		c.status = http.StatusNotModified
	}
}

// tag names an answer by its bytes, and returns 304 for a caller who has them.
func (c *Call[P]) tag(body []byte) int {
	sum := sha256.Sum256(body)
	version := hex.EncodeToString(sum[:16])
	c.header["Etag"] = []string{`"` + version + `"`}
	if holds(c.Request.Header["If-None-Match"], version) {
		return http.StatusNotModified
	}
	return http.StatusOK
}

// holds reports whether the values of If-None-Match name a version: weakly or not, in a list, or by "*".
func holds(values []string, version string) bool {
	for _, value := range values {
		for tag := range strings.SplitSeq(value, ",") {
			tag = strings.TrimPrefix(strings.TrimSpace(tag), "W/")
			if tag == "*" || tag == `"`+version+`"` {
				return true
			}
		}
	}
	return false
}

func fileHeaders(h http.Header, file *File) {
	h["Content-Type"] = []string{file.ContentType}
	// What a customer uploaded must never run as a page of this origin.
	h["Content-Security-Policy"] = []string{"default-src 'none'; sandbox"}
	if file.Version != "" {
		h["Etag"] = []string{`"` + file.Version + `"`}
	}
	if file.Name != "" {
		h["Content-Disposition"] = []string{mime.FormatMediaType("attachment", map[string]string{"filename": file.Name})}
	}
}
