// Package s3 is a store of files that speaks Amazon S3's interface, to which customers
// upload images themselves: the installation fetches them from there once, and removes
// them.
//
// It promises to read no more of an object than it was told, to follow no redirect, and to
// print no key. Uploads need nothing of it: their forms are signed where they are made.
package s3

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/platform/reply"
	"github.com/scripcards/scrip/internal/platform/sigv4"
)

// Config is where the store is.
type Config struct {
	// Endpoint is the store's address, such as "https://s3.eu-central-1.amazonaws.com".
	// http is for stores in the same house.
	Endpoint string
	Bucket   string
	// PathStyle has the bucket named in the path (store/bucket) instead of in the host (bucket.store).
	PathStyle bool
	// TLS says whose certificates are believed; nil: the system's.
	TLS *tls.Config
	// Credential may get and delete objects of the bucket; forms are signed with it too.
	Credential sigv4.Credential
	// Timeout bounds one request: 30 seconds.
	Timeout time.Duration
}

// Bucket is one bucket. It is safe for concurrent use.
type Bucket struct {
	config Config
	base   string
	client *http.Client
	clock  clock.Clock
}

var (
	bucketForm = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	keyForm    = regexp.MustCompile(`^[A-Za-z0-9_-]{1,256}$`)
)

const (
	defaultTimeout = 30 * time.Second
	idle           = time.Minute
	connections    = 16
)

// New returns the bucket that c names. It connects to nothing; now is the machine's clock.
func New(c Config, now clock.Clock) (*Bucket, error) {
	u, err := url.Parse(c.Endpoint)
	switch {
	case !c.PathStyle && strings.Contains(c.Bucket, ".") && u != nil && u.Scheme == "https":
		return nil, errors.New("s3: a bucket with dots in its name is no host of the store's certificate: address it by path")
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("s3: the endpoint must be an http or https address without credentials")
	case u.Path != "" && u.Path != "/":
		return nil, errors.New("s3: the endpoint has no path: the bucket is named apart")
	case !bucketForm.MatchString(c.Bucket):
		return nil, fmt.Errorf("s3: bucket %q: want 3 to 63 of a–z, 0–9, dots and dashes", c.Bucket)
	case c.Credential.AccessKey == "" || c.Credential.Secret.IsZero() || c.Credential.Region == "":
		return nil, errors.New("s3: an access key, its secret and a region are required")
	}
	if c.Timeout <= 0 {
		c.Timeout = defaultTimeout
	}
	transport := &http.Transport{TLSClientConfig: c.TLS, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: connections, MaxConnsPerHost: connections,
		IdleConnTimeout: idle, ResponseHeaderTimeout: c.Timeout, TLSHandshakeTimeout: c.Timeout}
	client := &http.Client{Timeout: c.Timeout, Transport: reply.Bounded{Transport: transport}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return &Bucket{config: c, base: c.address(u), client: client, clock: now}, nil
}

// address is that of the bucket, without a slash at the end.
func (c *Config) address(u *url.URL) string {
	at := url.URL{Scheme: u.Scheme, Host: u.Host}
	if c.PathStyle {
		at.Path = "/" + c.Bucket
	} else {
		at.Host = c.Bucket + "." + u.Host
	}
	return at.String()
}

// Address is where forms are sent.
func (b *Bucket) Address() string { return b.base }

// Name is the bucket's.
func (b *Bucket) Name() string { return b.config.Bucket }

// Credential is what forms are signed with.
func (b *Bucket) Credential() sigv4.Credential { return b.config.Credential }

// Fetch returns an object of at most so many bytes, and false where there is none. A larger
// one is an error.
func (b *Bucket) Fetch(ctx context.Context, key string, most int64) (object []byte, found bool, err error) {
	response, err := b.send(ctx, http.MethodGet, key)
	if err != nil {
		return nil, false, err
	}
	defer func() { _ = response.Body.Close() }()
	switch response.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound:
		return nil, false, nil
	default:
		return nil, false, refusal("get", response)
	}
	object, err = io.ReadAll(io.LimitReader(response.Body, most+1))
	if err != nil {
		return nil, false, fmt.Errorf("s3: get object: %w", err)
	}
	if int64(len(object)) > most {
		return nil, false, fmt.Errorf("s3: get object: it has more than %d bytes", most)
	}
	return object, true, nil
}

// Remove removes an object. One that is not there is removed.
func (b *Bucket) Remove(ctx context.Context, key string) error {
	response, err := b.send(ctx, http.MethodDelete, key)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	switch response.StatusCode {
	case http.StatusOK, http.StatusNoContent, http.StatusNotFound:
		return nil
	}
	return refusal("delete", response)
}

// send asks about one object. The key stands in no error: it is what the object is uploaded under.
func (b *Bucket) send(ctx context.Context, method, key string) (*http.Response, error) {
	if !keyForm.MatchString(key) {
		return nil, errors.New("s3: want a key of letters, digits, dashes and underscores")
	}
	r, err := http.NewRequestWithContext(ctx, method, b.base+"/"+key, nil)
	if err != nil {
		return nil, fmt.Errorf("s3: %w", err)
	}
	b.config.Credential.SignRequest(r, b.clock.Now())
	response, err := b.client.Do(r)
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) {
			err = wrapped.Err
		}
		return nil, fmt.Errorf("s3: %s object: %w", strings.ToLower(method), err)
	}
	return response, nil
}

var errorCode = regexp.MustCompile(`<Code>([A-Za-z]{1,64})</Code>`)

// refusal tells what the store answered, without its words.
func refusal(what string, response *http.Response) error {
	const enough = 4 << 10
	text, _ := io.ReadAll(io.LimitReader(response.Body, enough)) // the status says most of it
	if code := errorCode.FindSubmatch(text); code != nil {
		return fmt.Errorf("s3: %s object: %d %s", what, response.StatusCode, code[1])
	}
	return fmt.Errorf("s3: %s object: status %d", what, response.StatusCode)
}
