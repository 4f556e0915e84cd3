package cardping

import (
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/core/pan"
)

// Requests.

// checkRequest asks for one check. Null and empty members count as absent.
type checkRequest struct {
	CardNumber pan.Secret `json:"card_number" wire:"required"`
	PIN        pan.Secret `json:"pin"`
	Network    string     `json:"network" wire:"required,max=64"`
	Currency   string     `json:"currency"`
	// IdempotencyKey makes the check repeatable.
	IdempotencyKey string `json:"idempotency_key"`
}

type batchRequest struct {
	Checks []checkRequest `json:"checks" wire:"required"`
}

type newWebhook struct {
	URL    string   `json:"url" wire:"required,max=2048"`
	Events []string `json:"events" wire:"required"`
}

type webhookPath struct {
	ID string `path:"id" json:"-"`
}

type webhookChange struct {
	webhookPath
	URL    *string  `json:"url"`
	Events []string `json:"events"`
	Active *bool    `json:"active"`
}

// Responses.

type envelope struct {
	Error problem `json:"error"`
}

type problem struct {
	Code      string `json:"code"`
	Message   string `json:"message"`
	RequestID string `json:"request_id"`
}

// result is the published answer, member for member.
type result struct {
	ID      string     `json:"id"`
	Status  string     `json:"status"`
	Balance wire.Major `json:"balance"`
	// Currency is the card's where that is known, otherwise the one asked for.
	Currency string `json:"currency"`
	// Expiry is null when the network does not say.
	Expiry       *string     `json:"expiry"`
	FraudScore   wire.Number `json:"fraud_score"`
	FraudSignals []string    `json:"fraud_signals"`
	AIVerified   bool        `json:"ai_verified"`
	Network      string      `json:"network"`
	LatencyMS    int64       `json:"latency_ms"`
}

// batchResult holds one item per check, in the order of the request.
type batchResult struct {
	Results []item `json:"results"`
}

// item is what one check of a batch came to: Result with Age, or Error, perhaps with RetryAfter.
type item struct {
	// Result is the text of a result, the same bytes when it is repeated.
	Result wire.Raw `json:"result,omitzero"`
	// Age is what the header of that name is to a single check.
	Age   *int64   `json:"age,omitzero"`
	Error *problem `json:"error,omitzero"`
	// RetryAfter is what the header of that name is to a single check.
	RetryAfter *int64 `json:"retry_after,omitzero"`
}

type list[T any] struct {
	Data []T `json:"data"`
}

type network struct {
	ID            string   `json:"id"`
	Name          string   `json:"name"`
	Type          string   `json:"type"`
	PINRequired   bool     `json:"pin_required"`
	Currencies    []string `json:"currencies"`
	NumberLengths []int    `json:"number_lengths"`
	Status        string   `json:"status"`
}

type webhookView struct {
	ID     string   `json:"id"`
	URL    string   `json:"url"`
	Events []string `json:"events"`
	// Secret is shown by the call that made it.
	Secret string `json:"secret,omitzero"`
	Active bool   `json:"active"`
	// Reason says why it is not active.
	Reason string `json:"reason,omitzero"`
	// PreviousUntil is how long the secret before the last rotation signs, too.
	PreviousUntil wire.TimeSecond `json:"previous_until,omitzero"`
	CreatedAt     wire.TimeSecond `json:"created_at"`
}

type branding struct {
	LogoURL      string `json:"logo_url,omitzero"`
	PrimaryColor string `json:"primary_color,omitzero"`
	TextColor    string `json:"text_color,omitzero"`
	Tagline      string `json:"tagline,omitzero"`
	SupportURL   string `json:"support_url,omitzero"`
	PrivacyURL   string `json:"privacy_url,omitzero"`
}

type newPortal struct {
	Name         string   `json:"name" wire:"required"`
	Slug         string   `json:"slug" wire:"required"`
	CustomDomain string   `json:"custom_domain"`
	Branding     branding `json:"branding"`
	Languages    []string `json:"languages"`
	Networks     []string `json:"networks"`
	Active       *bool    `json:"active"`
}

type portalPath struct {
	ID string `path:"id" json:"-"`
}

type portalList struct {
	wire.CursorQuery
}

// portalChange changes what it names; branding and lists are replaced as a whole.
type portalChange struct {
	portalPath
	Name         *string   `json:"name"`
	Slug         *string   `json:"slug"`
	CustomDomain *string   `json:"custom_domain"`
	Branding     *branding `json:"branding"`
	Languages    *[]string `json:"languages"`
	Networks     *[]string `json:"networks"`
	Active       *bool     `json:"active"`
}

type portalView struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Slug string `json:"slug"`
	// CustomDomain and DomainProof are null where there is none.
	CustomDomain *string         `json:"custom_domain"`
	DomainProof  *domainProof    `json:"domain_proof"`
	Branding     branding        `json:"branding"`
	Languages    []string        `json:"languages"`
	Networks     []string        `json:"networks"`
	Active       bool            `json:"active"`
	CreatedAt    wire.TimeSecond `json:"created_at"`
}

// domainProof is the record of DNS that shows whose a domain is, and what is known of it.
type domainProof struct {
	State      string           `json:"state"`
	RecordType string           `json:"record_type"`
	RecordName string           `json:"record_name"`
	RecordText string           `json:"record_text"`
	CheckedAt  *wire.TimeSecond `json:"checked_at"`
}
