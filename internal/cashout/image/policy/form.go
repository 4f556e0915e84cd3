package policy

import (
	"encoding/base64"
	"regexp"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/platform/sigv4"
)

// Lifetime is how long a form can be used.
const Lifetime = 15 * time.Second

// Form is what an upload is sent with: where to, and its fields, of which Content-Type and
// those that begin with X-Amz are called so.
type Form struct {
	URL                                  string
	Key, ACL, ContentType, SuccessStatus string
	Bucket, Algorithm, Credential, Date  string
	Policy, Signature                    string
}

// Upload is the one file that a form is for.
type Upload struct {
	Bucket, Key, ContentType string
	// Most is how many bytes it may have. The least is 1.
	Most int64
}

// The values of fields that are always the same.
const (
	private = "private"
	created = "201"
)

// The names of fields, in lower case.
const (
	fieldKey        = "key"
	fieldBucket     = "bucket"
	fieldPolicy     = "policy"
	fieldAlgorithm  = "x-amz-algorithm"
	fieldCredential = "x-amz-credential"
	fieldDate       = "x-amz-date"
	fieldSignature  = "x-amz-signature"
)

// Sign returns the form for u, without an address. It can be used for Lifetime from at,
// which counts in whole seconds.
func Sign(c sigv4.Credential, u Upload, at time.Time) Form {
	f := Form{
		Key: u.Key, ACL: private, ContentType: u.ContentType, SuccessStatus: created, Bucket: u.Bucket,
		Algorithm: sigv4.Algorithm, Credential: c.Name(at), Date: sigv4.Stamp(at),
	}
	d := Document{Expiration: at.Truncate(time.Second).Add(Lifetime), Conditions: []Condition{
		Equal("acl", f.ACL), Equal("Content-Type", f.ContentType), Equal("success_action_status", f.SuccessStatus), Between(1, u.Most),
		Equal(fieldBucket, f.Bucket), Equal(fieldKey, f.Key),
		Equal(fieldAlgorithm, f.Algorithm), Equal(fieldCredential, f.Credential), Equal(fieldDate, f.Date),
	}}
	f.Policy = base64.StdEncoding.EncodeToString([]byte(d.Text()))
	f.Signature = c.Sign(f.Policy, at)
	return f
}

// Fields returns the form's fields, named and in the order in which they are published.
func (f Form) Fields() []Field {
	return []Field{
		{"key", f.Key}, {"acl", f.ACL}, {"Content-Type", f.ContentType}, {"success_action_status", f.SuccessStatus},
		{"bucket", f.Bucket}, {"X-Amz-Algorithm", f.Algorithm}, {"X-Amz-Credential", f.Credential}, {"X-Amz-Date", f.Date},
		{"Policy", f.Policy}, {"X-Amz-Signature", f.Signature},
	}
}

// Value returns the value of a field of a form, empty without it.
func Value(form []Field, name string) string {
	for _, f := range form {
		if strings.EqualFold(f.Name, name) {
			return f.Value
		}
	}
	return ""
}

// needed are the fields without which nothing can be verified, as S3 calls them.
var needed = []string{"key", "policy", "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Signature"}

// Accepted is a form that was verified.
type Accepted struct {
	Key         string
	ContentType string
	// Least and Most are how many bytes the file may have.
	Least, Most int64
}

var credentialForm = regexp.MustCompile(`^([^/]+)/(\d{8})/([^/]+)/s3/aws4_request$`)

// Verify holds a form that came against the credential with which Sign made it, for the
// bucket that it was sent to. It returns a *Refusal: the signature is judged before the
// policy is read, the time before the conditions.
func Verify(c sigv4.Credential, bucket string, form []Field, now time.Time) (Accepted, error) {
	for _, name := range needed {
		if Value(form, name) == "" {
			return Accepted{}, refuse(InvalidArgument, "Bucket POST must contain a field named '%s'.  If it is specified, please check the order of the fields.", name).
				With("ArgumentName", name).With("ArgumentValue", "")
		}
	}
	if twice := repeated(form); twice != "" {
		return Accepted{}, refuse(InvalidArgument, "POST requires each field at most once.").With("ArgumentName", twice).With("ArgumentValue", Value(form, twice))
	}
	if err := verifySignature(c, form); err != nil {
		return Accepted{}, err
	}
	text, err := base64.StdEncoding.DecodeString(Value(form, fieldPolicy))
	if err != nil {
		return Accepted{}, refuse(InvalidPolicyDocument, "Invalid Policy: Invalid JSON.")
	}
	d, err := Parse(text)
	if err != nil {
		return Accepted{}, err
	}
	if Value(form, fieldBucket) == "" { // the address names it as well as the field
		form = append(form[:len(form):len(form)], Field{fieldBucket, bucket})
	}
	if err := d.Check(form, now); err != nil {
		return Accepted{}, err
	}
	a := Accepted{Key: Value(form, fieldKey), ContentType: Value(form, "Content-Type")}
	a.Least, a.Most = d.Size()
	return a, nil
}

// repeated returns the name of a field that comes twice, which two readers of the form
// could take for two values; empty without one.
func repeated(form []Field) string {
	seen := make(map[string]bool, len(form))
	for _, f := range form {
		name := strings.ToLower(f.Name)
		if seen[name] {
			return f.Name
		}
		seen[name] = true
	}
	return ""
}

func verifySignature(c sigv4.Credential, form []Field) error {
	if algorithm := Value(form, fieldAlgorithm); algorithm != sigv4.Algorithm {
		return refuse(InvalidArgument, "X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\"").With("ArgumentName", "X-Amz-Algorithm").With("ArgumentValue", algorithm)
	}
	name := credentialForm.FindStringSubmatch(Value(form, fieldCredential))
	if name == nil {
		return refuse(CredentialMalformed, "Error parsing the X-Amz-Credential parameter; the Credential is mal-formed; expecting \"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\".")
	}
	at, err := sigv4.ParseStamp(Value(form, fieldDate))
	if err != nil {
		return refuse(CredentialMalformed, "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"")
	}
	switch {
	case name[1] != c.AccessKey:
		return refuse(InvalidAccessKeyID, "The AWS Access Key Id you provided does not exist in our records.").With("AWSAccessKeyId", name[1])
	case name[3] != c.Region:
		return refuse(CredentialMalformed, "Error parsing the X-Amz-Credential parameter; the region '%s' is wrong; expecting '%s'", name[3], c.Region).With("Region", c.Region)
	case !strings.HasPrefix(sigv4.Stamp(at), name[2]):
		return refuse(CredentialMalformed, "Invalid credential date \"%s\". This date is not the same as X-Amz-Date: \"%s\".", name[2], sigv4.Stamp(at)[:8])
	case !c.Verify(Value(form, fieldSignature), Value(form, fieldPolicy), at):
		return refuse(SignatureDoesNotMatch, "The request signature we calculated does not match the signature you provided. Check your key and signing method.").
			With("AWSAccessKeyId", c.AccessKey)
	}
	return nil
}
