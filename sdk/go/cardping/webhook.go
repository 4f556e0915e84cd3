package cardping

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/scripcards/scrip/sdk/go/internal/send"
)

// Webhooks keeps where events are sent.
type Webhooks struct{ sender *send.Sender }

// NewWebhook is a webhook to be made.
type NewWebhook struct {
	URL string `json:"url"`
	// Events are types of events, such as fraud.high_risk.
	Events []string `json:"events"`
}

// WebhookChange says what to change; nil leaves it as it is.
type WebhookChange struct {
	URL    *string  `json:"url,omitempty"`
	Events []string `json:"events,omitempty"`
	Active *bool    `json:"active,omitempty"`
}

// Webhook is where events are sent.
type Webhook struct {
	ID     string   `json:"id"`
	URL    string   `json:"url"`
	Events []string `json:"events"`
	// Secret is what requests are signed with, in the answers that make it alone.
	Secret string `json:"secret"`
	Active bool   `json:"active"`
	// Reason says why it is not active.
	Reason string `json:"reason"`
	// PreviousUntil is how long the secret before the last rotation signs too; zero without one.
	PreviousUntil time.Time `json:"previous_until"`
	CreatedAt     time.Time `json:"created_at"`
}

// Create has events sent to an address. The answer alone has the secret.
func (w *Webhooks) Create(ctx context.Context, in NewWebhook) (*Webhook, error) {
	return w.one(ctx, send.Request{Method: http.MethodPost, Path: "/webhooks", In: in})
}

// List returns the webhooks, the oldest first.
func (w *Webhooks) List(ctx context.Context) ([]Webhook, error) {
	var out listing[Webhook]
	_, err := w.sender.Send(ctx, send.Request{Method: http.MethodGet, Path: "/webhooks", Out: &out, Repeatable: true})
	return out.Data, err
}

// Update changes a webhook.
func (w *Webhooks) Update(ctx context.Context, id string, change WebhookChange) (*Webhook, error) {
	return w.one(ctx, send.Request{Method: http.MethodPatch, Path: "/webhooks" + send.Segment(id), In: change, Repeatable: true})
}

// Delete removes a webhook.
func (w *Webhooks) Delete(ctx context.Context, id string) error {
	_, err := w.sender.Send(ctx, send.Request{Method: http.MethodDelete, Path: "/webhooks" + send.Segment(id), Repeatable: true})
	return err
}

// Rotate makes a new secret; for 24 hours both sign.
func (w *Webhooks) Rotate(ctx context.Context, id string) (*Webhook, error) {
	return w.one(ctx, send.Request{Method: http.MethodPost, Path: "/webhooks" + send.Segment(id) + "/rotate"})
}

// Verify is the function Verify.
func (w *Webhooks) Verify(body []byte, signature, secret string) (*Event, error) {
	return Verify(body, signature, secret)
}

func (w *Webhooks) one(ctx context.Context, r send.Request) (*Webhook, error) {
	var out Webhook
	r.Out = &out
	if _, err := w.sender.Send(ctx, r); err != nil {
		return nil, err
	}
	return &out, nil
}

// Event is an event as it was sent.
type Event struct {
	ID        string    `json:"id"`
	Type      string    `json:"type"`
	CreatedAt time.Time `json:"created_at"`
	// Data depends on Type: of ping.completed it is a Result, of fraud.high_risk a HighRisk.
	Data json.RawMessage `json:"data"`
}

// HighRisk is the data of fraud.high_risk.
type HighRisk struct {
	// CardID is the same for the same card, and leads to no number.
	CardID       string   `json:"card_id"`
	PingID       string   `json:"ping_id"`
	Network      string   `json:"network"`
	FraudScore   float64  `json:"fraud_score"`
	FraudSignals []string `json:"fraud_signals"`
}

// Codes of webhooks that must not be believed.
const (
	CodeSignatureInvalid = "signature_invalid" // malformed, or not made with the secret
	CodeTimestampSkewed  = "timestamp_skewed"  // made with it, too long ago or ahead
)

// Tolerance is how far a signature's time may be from the receiver's unless a Verifier says otherwise.
const Tolerance = 300 * time.Second

// Limits of a signature header.
const (
	maxSignature  = 1024 // bytes
	maxSignatures = 8
)

// Verifier checks who sent webhooks.
type Verifier struct {
	// Secret is the webhook's, whsec_….
	Secret string
	// Tolerance is how far a signature's time may be from Now, either way; Tolerance unless given.
	Tolerance time.Duration
	// Now is the receiver's time; the machine's unless given.
	Now func() time.Time
}

// Verify checks who sent a webhook and returns its event. body is what came, before
// anything parsed it; signature the header CP-Signature. It fails with an *Error of
// CodeSignatureInvalid or CodeTimestampSkewed.
func Verify(body []byte, signature, secret string) (*Event, error) {
	return Verifier{Secret: secret}.Verify(body, signature)
}

// Verify is like the function Verify.
func (v Verifier) Verify(body []byte, signature string) (*Event, error) {
	if v.Secret == "" {
		return nil, unbelievable(CodeSignatureInvalid, "there is no secret to verify with")
	}
	at, signatures, ok := parseSignature(signature)
	if !ok {
		return nil, unbelievable(CodeSignatureInvalid, "the signature header is missing or malformed")
	}
	sum := hmac.New(sha256.New, []byte(v.Secret))
	_, _ = sum.Write([]byte(strconv.FormatInt(at, 10) + ".")) // a hash never returns an error
	_, _ = sum.Write(body)
	want, matched := sum.Sum(nil), false
	for _, got := range signatures {
		matched = hmac.Equal(got, want) || matched
	}
	if !matched {
		return nil, unbelievable(CodeSignatureInvalid, "the signature does not match")
	}
	now := time.Now
	if v.Now != nil {
		now = v.Now
	}
	if now().Sub(time.Unix(at, 0)).Abs() > cmp.Or(v.Tolerance, Tolerance) {
		return nil, unbelievable(CodeTimestampSkewed, "the signature is too old, or ahead")
	}
	var event Event
	if err := json.Unmarshal(body, &event); err != nil || event.Type == "" {
		return nil, unbelievable(CodeSignatureInvalid, "the signature is right and the body is no event")
	}
	return &event, nil
}

func unbelievable(code, message string) *Error { return &Error{Code: code, Message: message} }

// parseSignature reads t=<seconds>,v1=<hex>… in any order; names that it does not know
// are left to later versions. t must stand once, in the form in which it was signed.
func parseSignature(header string) (at int64, signatures [][]byte, ok bool) {
	if len(header) > maxSignature {
		return 0, nil, false
	}
	times := 0
	for part := range strings.SplitSeq(header, ",") {
		name, value, found := strings.Cut(strings.TrimSpace(part), "=")
		if !found {
			return 0, nil, false
		}
		switch name {
		case "t":
			var err error
			if at, err = strconv.ParseInt(value, 10, 64); err != nil || at < 0 || strconv.FormatInt(at, 10) != value {
				return 0, nil, false
			}
			times++
		case "v1":
			signature, err := hex.DecodeString(value)
			if err != nil || len(signature) != sha256.Size {
				return 0, nil, false
			}
			signatures = append(signatures, signature)
		}
	}
	return at, signatures, times == 1 && len(signatures) > 0 && len(signatures) <= maxSignatures
}
