// Package objectstore is a store for tests that speaks Amazon S3's interface as far as an
// installation needs it: uploads with a signed form, GET and DELETE of one object. It
// believes nothing: every form is held against its policy, by a clock of the test's, and
// every request against its signature, by that of the machine.
package objectstore

import (
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/cashout/image/policy"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/platform/sigv4"
)

// Store is one bucket, addressed by path.
type Store struct {
	*httptest.Server
	Bucket     string
	Credential sigv4.Credential
	// Forms is the clock by which forms run out.
	Forms clock.Clock

	mu      sync.Mutex
	objects map[string][]byte
	gone    int
}

// most bounds an upload, in bytes; skew is by how much a request's time may be off.
const (
	most = 8 << 20
	skew = 15 * time.Minute
)

// New starts a store that ends with the test. With secure it speaks TLS, with a certificate
// that the store's Client and nobody else believes.
func New(t testing.TB, bucket string, c sigv4.Credential, secure bool) *Store {
	t.Helper()
	s := &Store{Bucket: bucket, Credential: c, Forms: clock.System(), objects: map[string][]byte{}}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	if secure {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s
}

// Left returns how many objects there are, and how many were removed.
func (s *Store) Left() (objects, removed int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.objects), s.gone
}

func (s *Store) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key, inside := strings.CutPrefix(r.URL.Path, "/"+s.Bucket)
	key = strings.TrimPrefix(key, "/")
	switch {
	case !inside:
		refuse(w, http.StatusNotFound, "NoSuchBucket")
	case r.Method == http.MethodPost && key == "":
		s.post(w, r)
	case !s.signed(r):
		refuse(w, http.StatusForbidden, "SignatureDoesNotMatch")
	case r.Method == http.MethodGet && s.objects[key] == nil:
		refuse(w, http.StatusNotFound, "NoSuchKey")
	case r.Method == http.MethodGet:
		_, _ = w.Write(s.objects[key]) // whoever asked may be gone
	case r.Method == http.MethodDelete:
		if s.objects[key] != nil {
			s.gone++
		}
		delete(s.objects, key)
		w.WriteHeader(http.StatusNoContent)
	default:
		refuse(w, http.StatusMethodNotAllowed, "MethodNotAllowed")
	}
}

// signed reports whether a request carries the signature that its headers must have.
func (s *Store) signed(r *http.Request) bool {
	now := clock.System().Now()
	at, err := sigv4.ParseStamp(r.Header.Get("X-Amz-Date"))
	if err != nil || at.Before(now.Add(-skew)) || at.After(now.Add(skew)) {
		return false
	}
	again := httptest.NewRequestWithContext(r.Context(), r.Method, "http://"+r.Host+r.URL.Path, nil)
	s.Credential.SignRequest(again, at)
	return r.Header.Get("Authorization") == again.Header.Get("Authorization")
}

// post takes a file whose form holds.
func (s *Store) post(w http.ResponseWriter, r *http.Request) {
	reader, err := r.MultipartReader()
	if err != nil {
		refuse(w, http.StatusBadRequest, "MalformedPOSTRequest")
		return
	}
	form, file, err := read(reader)
	if err != nil {
		refuse(w, http.StatusBadRequest, "MalformedPOSTRequest")
		return
	}
	accepted, err := policy.Verify(s.Credential, s.Bucket, form, s.Forms.Now())
	var refusal *policy.Refusal
	switch {
	case errors.As(err, &refusal):
		refuse(w, http.StatusForbidden, string(refusal.Code))
	case err != nil:
		refuse(w, http.StatusInternalServerError, "InternalError")
	case int64(len(file)) < accepted.Least || int64(len(file)) > accepted.Most:
		refuse(w, http.StatusBadRequest, "EntityTooLarge")
	default:
		s.objects[accepted.Key] = file
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, "<PostResponse><Location>"+s.URL+"/"+s.Bucket+"/"+accepted.Key+"</Location></PostResponse>")
	}
}

func read(reader *multipart.Reader) (form []policy.Field, file []byte, err error) {
	for {
		part, err := reader.NextPart()
		if err != nil {
			return nil, nil, err
		}
		value, err := io.ReadAll(io.LimitReader(part, most))
		if err != nil {
			return nil, nil, err
		}
		if part.FormName() == "file" {
			return form, value, nil
		}
		form = append(form, policy.Field{Name: part.FormName(), Value: string(value)})
	}
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, "<Error><Code>"+code+"</Code></Error>")
}
