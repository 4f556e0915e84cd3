package upload

import (
	"bufio"
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"

	"github.com/scripcards/scrip/internal/cashout/image"
	"github.com/scripcards/scrip/internal/cashout/image/policy"
	"github.com/scripcards/scrip/internal/core/fault"
)

// Limits of what comes around a file.
const (
	maxBefore = policy.MaxBytes // S3's own
	maxFields = 64
	maxFile   = "file"
	// slack is for boundaries and headers, and for what is read ahead of what is asked for.
	slack = 32 << 10
	// ownMost bounds the files of one order that are read at once: as many as it may have to
	// show. Otherwise one form is enough to keep everybody else from the store, by sending slowly.
	ownMost = 5
	// maxDrain is how much of a refused body is read, so that its sender reads the answer.
	maxDrain = 16 << 20
)

// budget reads a body as far as it may be read by now.
type budget struct {
	from io.Reader
	left int64
	over error // what more is
	read int64
}

func (b *budget) allow(n int64, over error) { b.left, b.over = n, over }

// Read implements io.Reader.
func (b *budget) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, b.over
	}
	n, err := b.from.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	b.read += int64(n)
	return n, err
}

func (b *budget) drain() {
	n, _ := io.CopyN(io.Discard, b.from, maxDrain) // a sender that is gone needs no answer
	b.read += n
}

// stored is a file that was taken.
type stored struct{ key, etag string }

// post reads the form, then its file. What follows the file is not looked at.
func (e *Endpoint) post(ctx context.Context, r *http.Request, body *budget) (stored, error) {
	body.allow(maxBefore+slack, tooMuchBefore())
	from := bufio.NewReader(body)
	boundary := boundaryOf(r.Header.Get("Content-Type"), from)
	if boundary == "" {
		return stored{}, policy.Refuse(policy.PreconditionFailed, "At least one of the pre-conditions you specified did not hold").
			With("Condition", "Bucket POST must be of the enclosure-type multipart/form-data")
	}
	reader := multipart.NewReader(from, boundary)
	form, file, err := readForm(reader)
	if err != nil {
		return stored{}, err
	}
	ticket, err := e.Images.Accept(ctx, form)
	if err != nil {
		return stored{}, err
	}
	if !e.crowd.Enter(ticket.Owner(), ownMost) {
		return stored{}, slowDown()
	}
	defer e.crowd.Leave(ticket.Owner())
	select {
	case e.slots <- struct{}{}:
		defer func() { <-e.slots }()
	default:
		return stored{}, slowDown()
	}
	content, err := readFile(file, ticket, body)
	if err != nil {
		return stored{}, err
	}
	if err := e.Images.Take(ctx, ticket, content); err != nil {
		return stored{}, err
	}
	sum := md5.Sum(content)
	return stored{key: ticket.Key, etag: hex.EncodeToString(sum[:])}, nil
}

// maxBoundary is how long a boundary may be (RFC 2046).
const maxBoundary = 70

// boundaryOf returns what separates the parts of a body: what its type says or, as in the
// published example, which curl sends under the type of another form, its first line.
func boundaryOf(contentType string, body *bufio.Reader) string {
	kind, params, err := mime.ParseMediaType(contentType)
	switch {
	case err != nil:
		return ""
	case kind == "multipart/form-data":
		return params["boundary"]
	case kind != "application/x-www-form-urlencoded":
		return ""
	}
	start, _ := body.Peek(len("--") + maxBoundary + len("\r\n")) // a shorter body is looked at as far as it goes
	line, _, ends := strings.Cut(string(start), "\r\n")
	boundary, dashes := strings.CutPrefix(line, "--")
	if !ends || !dashes {
		return ""
	}
	return boundary
}

// readForm reads fields until the file begins.
func readForm(reader *multipart.Reader) (form []policy.Field, file *multipart.Part, err error) {
	size := 0
	for {
		part, err := reader.NextRawPart()
		if errors.Is(err, io.EOF) && len(form) > 0 {
			return nil, nil, policy.Refuse(policy.InvalidArgument, "POST requires exactly one file upload per request.").
				With("ArgumentName", maxFile).With("ArgumentValue", "0")
		}
		if err != nil {
			return nil, nil, malformed(err)
		}
		name := part.FormName()
		if strings.EqualFold(name, maxFile) {
			return form, part, nil
		}
		value, err := io.ReadAll(io.LimitReader(part, maxBefore+1))
		if err != nil {
			return nil, nil, malformed(err)
		}
		if size += len(name) + len(value); size > maxBefore || len(form) == maxFields {
			return nil, nil, tooMuchBefore()
		}
		if name == "" {
			return nil, nil, malformed(errNameless)
		}
		form = append(form, policy.Field{Name: name, Value: string(value)})
	}
}

var errNameless = errors.New("a field without a name")

// readFile reads a file to its end, or one byte further than it may go.
func readFile(file io.Reader, ticket image.Ticket, body *budget) ([]byte, error) {
	body.allow(ticket.Most+slack, tooLarge(ticket))
	var content bytes.Buffer
	if _, err := content.ReadFrom(io.LimitReader(file, ticket.Most+1)); err != nil {
		var refusal *policy.Refusal
		if errors.As(err, &refusal) {
			return nil, refusal
		}
		return nil, fault.Wrap(err, fault.MalformedBody, "You did not provide the number of bytes specified by the Content-Length HTTP header")
	}
	switch size := int64(content.Len()); {
	case size > ticket.Most:
		return nil, tooLarge(ticket)
	case size < ticket.Least:
		return nil, policy.Refuse(policy.EntityTooSmall, "Your proposed upload is smaller than the minimum allowed size").
			With("ProposedSize", decimal(size)).With("MinSizeAllowed", decimal(ticket.Least))
	}
	return content.Bytes(), nil
}

func tooLarge(ticket image.Ticket) error {
	return policy.Refuse(policy.EntityTooLarge, "Your proposed upload exceeds the maximum allowed size").
		With("ProposedSize", decimal(ticket.Most+1)).With("MaxSizeAllowed", decimal(ticket.Most))
}

func tooMuchBefore() error {
	return policy.Refuse(policy.MaxPostPreDataLength, "Your POST request fields preceding the upload file were too large.").
		With("MaxPostPreDataLengthBytes", decimal(maxBefore))
}

// malformed is what a body is that cannot be read. A refusal within err goes first.
func malformed(err error) error {
	var refusal *policy.Refusal
	if errors.As(err, &refusal) {
		return refusal
	}
	return policy.Refuse(policy.MalformedPOSTRequest, "The body of your POST request is not well-formed multipart/form-data.")
}

func decimal(n int64) string { return strconv.FormatInt(n, 10) }
