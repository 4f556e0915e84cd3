package upload

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/cashout/image"
	"github.com/scripcards/scrip/internal/cashout/image/policy"
	"github.com/scripcards/scrip/internal/core/fault"
)

// answer is what goes back.
type answer struct {
	status int
	root   string // the XML's outermost element; empty: no body, which a browser that asks whether it may post does not read
	fields []policy.Field
	// etag and location are headers of a file that was taken.
	etag, location string
	code           fault.Code // for the log
	err            error      // to be logged
}

// created is S3's answer with status 201.
func created(images *image.Service, s stored, base string) answer {
	at := images.Address() + "/" + s.key
	if strings.HasPrefix(at, "/") {
		at = base + at
	}
	quoted := `"` + s.etag + `"`
	return answer{status: http.StatusCreated, root: "PostResponse", etag: quoted, location: at, fields: []policy.Field{
		{Name: "Location", Value: at}, {Name: "Bucket", Value: images.BucketName()}, {Name: "Key", Value: s.key}, {Name: "ETag", Value: quoted},
	}}
}

// statuses are those of S3's codes; the others have 400.
var statuses = map[policy.Code]int{
	policy.AccessDenied: http.StatusForbidden, policy.InvalidAccessKeyID: http.StatusForbidden, policy.SignatureDoesNotMatch: http.StatusForbidden,
	policy.NoSuchBucket: http.StatusNotFound, policy.MethodNotAllowed: http.StatusMethodNotAllowed, policy.PreconditionFailed: http.StatusPreconditionFailed,
	policy.SlowDown: http.StatusServiceUnavailable, policy.InternalError: http.StatusInternalServerError,
}

// faults are what the log calls a refusal; the others are invalid requests.
var faults = map[policy.Code]fault.Code{
	policy.AccessDenied: fault.PermissionDenied, policy.InvalidAccessKeyID: fault.CredentialsInvalid, policy.SignatureDoesNotMatch: fault.SignatureInvalid,
	policy.NoSuchBucket: fault.RouteNotFound, policy.MethodNotAllowed: fault.MethodNotAllowed, policy.EntityTooLarge: fault.BodyTooLarge,
	policy.MaxPostPreDataLength: fault.BodyTooLarge, policy.PreconditionFailed: fault.UnsupportedMediaType, policy.MalformedPOSTRequest: fault.MalformedBody,
	policy.IncompleteBody: fault.MalformedBody, policy.SlowDown: fault.Overloaded, policy.InternalError: fault.Internal,
}

func refused(r *policy.Refusal) answer {
	a := answer{status: http.StatusBadRequest, root: "Error", code: fault.InvalidRequest}
	if status, known := statuses[r.Code]; known {
		a.status = status
	}
	if code, known := faults[r.Code]; known {
		a.code = code
	}
	a.fields = append([]policy.Field{{Name: "Code", Value: string(r.Code)}, {Name: "Message", Value: r.Message}}, r.Details...)
	return a
}

// failed answers any error in S3's words.
func failed(ctx context.Context, err error) answer {
	var refusal *policy.Refusal
	if errors.As(err, &refusal) {
		return refused(refusal)
	}
	f := wire.AsFault(ctx, err)
	switch f.Code.Kind() {
	case fault.KindInvalid:
		if f.Code == fault.MalformedBody {
			return refused(policy.Refuse(policy.IncompleteBody, f.Message))
		}
		return refused(policy.Refuse(policy.InvalidArgument, f.Message).With("ArgumentName", maxFile))
	case fault.KindPrecondition, fault.KindForbidden, fault.KindNotFound:
		return refused(policy.Refuse(policy.AccessDenied, f.Message))
	case fault.KindLimit, fault.KindUnavailable:
		return refused(slowDown())
	case fault.KindConflict, fault.KindUnauthenticated, fault.KindInternal:
	}
	a := refused(policy.Refuse(policy.InternalError, "We encountered an internal error. Please try again."))
	a.err = err
	return a
}

func accessDenied() *policy.Refusal { return policy.Refuse(policy.AccessDenied, "Access Denied") }

func slowDown() *policy.Refusal {
	return policy.Refuse(policy.SlowDown, "Please reduce your request rate.")
}

func noSuchBucket(name string) *policy.Refusal {
	const longest = 63 // of a bucket's name
	return policy.Refuse(policy.NoSuchBucket, "The specified bucket does not exist").With("BucketName", name[:min(len(name), longest)])
}

func wrongMethod(method string) *policy.Refusal {
	return policy.Refuse(policy.MethodNotAllowed, "The specified method is not allowed against this resource.").
		With("Method", method).With("ResourceType", "OBJECT")
}

// write sends the answer. A form carries its own credential, so any page may send it, with
// any headers, and read what comes back.
func (a answer) write(w http.ResponseWriter, requestID string, head bool) {
	if a.root == "Error" {
		a.fields = append(a.fields, policy.Field{Name: "RequestId", Value: requestID})
	}
	h, out := w.Header(), a.xml()
	if out != "" {
		h.Set("Content-Type", "application/xml")
	} else {
		h.Set("Access-Control-Allow-Methods", http.MethodPost)
		h.Set("Access-Control-Allow-Headers", "*")
		h.Set("Access-Control-Max-Age", "3000")
	}
	h.Set("Content-Length", strconv.Itoa(len(out)))
	h.Set("X-Amz-Request-Id", requestID)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Expose-Headers", "ETag, Location")
	if a.etag != "" {
		h.Set("Etag", a.etag)
		h.Set("Location", a.location)
	}
	w.WriteHeader(a.status)
	if !head {
		_, _ = w.Write([]byte(out)) // the sender may have left
	}
}

// xml is the body, empty where there is none.
func (a answer) xml() string {
	if a.root == "" {
		return ""
	}
	var out strings.Builder
	out.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n<" + a.root + ">")
	for _, f := range a.fields {
		out.WriteString("<" + f.Name + ">" + escape(f.Value) + "</" + f.Name + ">")
	}
	return out.String() + "</" + a.root + ">"
}

// escape writes text for the inside of an element: quotes stay as S3 leaves them, and what
// no XML can hold is replaced.
func escape(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xfffe || r == 0xffff {
			return '\ufffd'
		}
		return r
	}, strings.ToValidUTF8(text, "\ufffd"))
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "\r", "&#13;").Replace(text)
}
