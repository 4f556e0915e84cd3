package cryptocardy

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"time"

	"github.com/scripcards/scrip/sdk/go/internal/send"
)

// Webhooks are where events are sent.
type Webhooks struct{ sender *send.Sender }

// Webhook is one of them. Create alone gives its Secret.
type Webhook struct {
	ID     string   `json:"id"`
	URL    string   `json:"url"`
	Events []string `json:"events"`
	Secret string   `json:"secret"`
	Active bool     `json:"active"`
	// Reason says why it is not active.
	Reason    string    `json:"reason"`
	CreatedAt time.Time `json:"created_at"`
}

// NewWebhook asks for a webhook.
type NewWebhook struct {
	URL string `json:"url"`
	// Events are types, or "*" for all.
	Events []string `json:"events"`
	// Secret may be chosen; one is made unless given.
	Secret         string `json:"secret,omitempty"`
	IdempotencyKey string `json:"-"`
}

// Create has events sent to an address.
func (w *Webhooks) Create(ctx context.Context, n NewWebhook) (*Webhook, error) {
	return change[Webhook](ctx, w.sender, call{method: http.MethodPost, path: "/webhooks", in: n, key: n.IdempotencyKey})
}

// List lists the webhooks, the oldest first.
func (w *Webhooks) List(ctx context.Context) (*Page[Webhook], error) {
	return read[Page[Webhook]](ctx, w.sender, "/webhooks", nil)
}

// Delete removes a webhook.
func (w *Webhooks) Delete(ctx context.Context, id string) error {
	_, err := change[struct{}](ctx, w.sender, call{method: http.MethodDelete, path: "/webhooks" + send.Segment(id)})
	return err
}

// Event is what a webhook tells of.
type Event struct {
	ID        string          `json:"id"`
	Type      string          `json:"type"`
	CreatedAt time.Time       `json:"created_at"`
	Data      json.RawMessage `json:"data"`
}

// Verify returns the event of a webhook. body is what came, byte for byte; signature is
// the header X-CryptoCardy-Signature. Its error is an *Error with CodeSignatureInvalid.
func Verify(body []byte, signature, secret string) (*Event, error) {
	got, err := hex.DecodeString(signature)
	sum := hmac.New(sha256.New, []byte(secret))
	_, _ = sum.Write(body) // a hash never returns an error
	if err != nil || secret == "" || !hmac.Equal(got, sum.Sum(nil)) {
		return nil, &Error{Code: CodeSignatureInvalid, Message: "the signature does not match"}
	}
	var event Event
	if json.Unmarshal(body, &event) != nil || event.Type == "" {
		return nil, &Error{Code: CodeSignatureInvalid, Message: "the signature is right and the body is no event"}
	}
	return &event, nil
}
