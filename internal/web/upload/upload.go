// Package upload is the built-in store's endpoint: what Amazon S3 answers to a browser's
// upload with a signed form (POST Object), and nothing else of S3.
//
// A form is judged before its file is read, and a file is never read further than its
// policy allows: an upload takes the memory of its file at most, and so many files are
// taken at once, of each order a few. Answers are S3's in status, XML and words. Images are never given out.
package upload

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/cashout/image"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/platform/limit"
)

// Path begins the addresses of the store: the bucket's name follows.
const Path = "/uploads/"

// Deps are what the endpoint uses.
type Deps struct {
	Images *image.Service
	Logger *slog.Logger
	// BaseURL is the public address of the installation; empty: the one that a request was sent to.
	BaseURL string
	// Proxies are the networks whose X-Forwarded-For is believed.
	Proxies []netip.Prefix
	// AtOnce bounds the files that are read at once: 32.
	AtOnce int
	// Observe sees every finished request, Context puts its id where the log finds it; both may be nil.
	Observe func(ctx context.Context, record wire.Record)
	Context func(ctx context.Context, requestID string) context.Context
}

// Endpoint answers uploads. It is safe for concurrent use.
type Endpoint struct {
	Deps
	slots chan struct{}
	crowd limit.Crowd[image.Owner]
}

// deadline bounds one upload: five megabytes over a slow phone take a while.
const (
	deadline = 2 * time.Minute
	farewell = 10 * time.Second // for the answer
)

// New returns the endpoint.
func New(d Deps) *Endpoint {
	if d.AtOnce <= 0 {
		d.AtOnce = 32
	}
	return &Endpoint{Deps: d, slots: make(chan struct{}, d.AtOnce)}
}

// ServeHTTP answers one request, always with S3's XML.
func (e *Endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	watch := clock.Start()
	record := wire.Record{Dialect: "upload", Route: "post", Method: r.Method, Path: Path + "{bucket}", RequestID: id.New("req"), From: wire.ClientAddress(r, e.Proxies)}
	ctx, cancel := context.WithTimeout(r.Context(), deadline)
	defer cancel()
	if e.Context != nil {
		ctx = e.Context(ctx, record.RequestID)
	}
	// The server's own limits are for requests that are smaller.
	control, end := http.NewResponseController(w), clock.System().Now().Add(deadline)
	_ = errors.Join(control.SetReadDeadline(end), control.SetWriteDeadline(end.Add(farewell)))
	body := &budget{from: r.Body}
	a := e.answer(ctx, r, body)
	body.drain()
	a.write(w, record.RequestID, r.Method == http.MethodHead)
	if a.err != nil {
		e.Logger.ErrorContext(ctx, "upload", "error", a.err, "request_id", record.RequestID)
	}
	if e.Observe != nil {
		record.Status, record.Code, record.Received, record.Elapsed = a.status, a.code, int(body.read), watch.Elapsed()
		e.Observe(ctx, record)
	}
}

// answer finds out what was asked.
func (e *Endpoint) answer(ctx context.Context, r *http.Request, body *budget) answer {
	bucket, object, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, Path), "/")
	if bucket != e.Images.BucketName() {
		return refused(noSuchBucket(bucket))
	}
	if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") == http.MethodPost {
		return answer{status: http.StatusOK}
	}
	if r.Method != http.MethodPost {
		return refused(accessDenied())
	}
	if object != "" {
		return refused(wrongMethod(r.Method))
	}
	done, err := e.post(ctx, r, body)
	if err != nil {
		return failed(ctx, err)
	}
	return created(e.Images, done, wire.PublicURL(e.BaseURL, r))
}
