package policy

import "fmt"

// Code is how S3 calls a refusal.
type Code string

// The refusals of forms, as S3 publishes them.
const (
	AccessDenied          Code = "AccessDenied"
	CredentialMalformed   Code = "AuthorizationQueryParametersError"
	EntityTooLarge        Code = "EntityTooLarge"
	EntityTooSmall        Code = "EntityTooSmall"
	IncompleteBody        Code = "IncompleteBody"
	InternalError         Code = "InternalError"
	InvalidAccessKeyID    Code = "InvalidAccessKeyId"
	InvalidArgument       Code = "InvalidArgument"
	InvalidPolicyDocument Code = "InvalidPolicyDocument"
	MalformedPOSTRequest  Code = "MalformedPOSTRequest"
	MaxPostPreDataLength  Code = "MaxPostPreDataLengthExceeded"
	MethodNotAllowed      Code = "MethodNotAllowed"
	NoSuchBucket          Code = "NoSuchBucket"
	PreconditionFailed    Code = "PreconditionFailed"
	SignatureDoesNotMatch Code = "SignatureDoesNotMatch"
	SlowDown              Code = "SlowDown"
)

// Refusal is an answer to a form that is not taken.
type Refusal struct {
	Code    Code
	Message string
	// Details are further elements of the answer, in order.
	Details []Field
}

// Error implements error.
func (r *Refusal) Error() string { return string(r.Code) + ": " + r.Message }

// With returns a copy with one more detail.
func (r *Refusal) With(name, value string) *Refusal {
	copied := *r
	copied.Details = append(append([]Field{}, r.Details...), Field{Name: name, Value: value})
	return &copied
}

// Refuse returns a refusal.
func Refuse(code Code, message string) *Refusal { return &Refusal{Code: code, Message: message} }

func refuse(code Code, format string, args ...any) *Refusal {
	return &Refusal{Code: code, Message: fmt.Sprintf(format, args...)}
}
