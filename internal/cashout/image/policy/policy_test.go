package policy_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/cashout/image/policy"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/platform/sigv4"
)

const most = 5 << 20

// vector is a form as another implementation made it.
type vector struct {
	AccessKey   string            `json:"access_key"`
	Secret      string            `json:"secret"`
	Region      string            `json:"region"`
	Bucket      string            `json:"bucket"`
	Key         string            `json:"key"`
	ContentType string            `json:"content_type"`
	At          string            `json:"at"`
	Fields      map[string]string `json:"fields,omitempty"`
}

func (v vector) credential() sigv4.Credential {
	return sigv4.Credential{AccessKey: v.AccessKey, Secret: pan.NewSecret(v.Secret), Region: v.Region}
}

func (v vector) form(t *testing.T) policy.Form {
	t.Helper()
	at, err := time.Parse(time.RFC3339, v.At)
	if err != nil {
		t.Fatal(err)
	}
	return policy.Sign(v.credential(), policy.Upload{Bucket: v.Bucket, Key: v.Key, ContentType: v.ContentType, Most: most}, at)
}

// fields are those of a form by name, as the client of the vectors calls them: without the
// bucket, which stands in its address.
func fields(f policy.Form) map[string]string {
	all := map[string]string{}
	for _, field := range f.Fields() {
		name := field.Name
		if strings.HasPrefix(name, "X-") || name == "Policy" {
			name = strings.ToLower(name)
		}
		all[name] = field.Value
	}
	delete(all, "bucket")
	return all
}

// Forms are those of Amazon's own client for Python, byte for byte.
func TestVectors(t *testing.T) {
	text, err := os.ReadFile("testdata/forms.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Forms []vector }
	if err := json.Unmarshal(text, &file); err != nil || len(file.Forms) == 0 {
		t.Fatalf("%d forms, %v", len(file.Forms), err)
	}
	for _, v := range file.Forms {
		if diff := cmp.Diff(v.Fields, fields(v.form(t))); diff != "" {
			t.Errorf("%s: -want +got\n%s", v.Key, diff)
		}
	}
}

// Forms of any input are those that a program of another language makes.
func TestPython(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		t.Fatal("python3 is not on PATH: install it (Debian: apt-get install python3)")
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 4 {
		secret := make([]byte, 30)
		for i := range secret {
			secret[i] = byte(random.Uint32())
		}
		v := vector{
			AccessKey: "AK" + hex.EncodeToString(secret[:6]), Secret: hex.EncodeToString(secret), Region: "eu-west-3", Bucket: "images-<é>",
			Key: hex.EncodeToString(secret[6:]) + "_Image1", ContentType: "image/png",
			At: time.Unix(1_600_000_000+random.Int64N(1<<30), 0).UTC().Format(time.RFC3339),
		}
		v.Bucket = strings.ReplaceAll(v.Bucket, "é", "e")
		input, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		command := exec.CommandContext(t.Context(), "python3", "-B", "testdata/form.py")
		command.Stdin, command.Stderr = bytes.NewReader(input), os.Stderr
		output, err := command.Output()
		if err != nil {
			t.Fatal(err)
		}
		var want map[string]string
		if err := json.Unmarshal(output, &want); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, fields(v.form(t))); diff != "" {
			t.Errorf("%s: -python +go\n%s", input, diff)
		}
	}
}

var (
	made  = time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC)
	owner = sigv4.Credential{AccessKey: "AKIDEXAMPLE", Secret: pan.NewSecret("wJalrXUtnFEMI"), Region: "us-east-1"}
)

func sound() []policy.Field {
	return policy.Sign(owner, policy.Upload{Bucket: "pictures", Key: "ab_Image1", ContentType: "image/jpeg", Most: most}, made).Fields()
}

// change returns a form with a field of another value; without the field for "-".
func change(form []policy.Field, name, value string) []policy.Field {
	var out []policy.Field
	found := false
	for _, f := range form {
		if strings.EqualFold(f.Name, name) {
			found = true
			if value == "-" {
				continue
			}
			f.Value = value
		}
		out = append(out, f)
	}
	if !found && value != "-" {
		out = append(out, policy.Field{Name: name, Value: value})
	}
	return out
}

// resign replaces the policy by another text and signs it.
func resign(text string) []policy.Field {
	encoded := base64.StdEncoding.EncodeToString([]byte(text))
	return change(change(sound(), "Policy", encoded), "X-Amz-Signature", owner.Sign(encoded, made))
}

// A form is accepted as it was made, in any order and spelling of its fields and with
// fields that are to be ignored, until its time is over.
func TestVerifyAccepts(t *testing.T) {
	want := policy.Accepted{Key: "ab_Image1", ContentType: "image/jpeg", Least: 1, Most: most}
	reversed := sound()
	for i, j := 0, len(reversed)-1; i < j; i, j = i+1, j-1 {
		reversed[i], reversed[j] = reversed[j], reversed[i]
	}
	shouted := sound()
	for i := range shouted {
		shouted[i].Name = strings.ToUpper(shouted[i].Name)
	}
	for name, form := range map[string][]policy.Field{
		"as made": sound(), "reversed": reversed, "upper case": shouted,
		"ignored fields":              change(change(sound(), "x-ignore-me", "1"), "X-IGNORE-you", "2"),
		"bucket in the address alone": change(sound(), "bucket", "-"),
	} {
		for _, after := range []time.Duration{0, time.Second, policy.Lifetime - time.Nanosecond} {
			got, err := policy.Verify(owner, "pictures", form, made.Add(after))
			if err != nil || got != want {
				t.Errorf("%s after %s: %+v, %v", name, after, got, err)
			}
		}
	}
}

// Whatever differs from what was signed is refused, with S3's code and words.
func TestVerifyRefuses(t *testing.T) {
	const form = `{"expiration": "2026-11-28T09:00:15Z", "conditions": %}`
	every := `["starts-with", "$key", "ab_"], ["eq", "$acl", "private"], {"content-type": "image/jpeg"}, {"success_action_status": "201"}, {"bucket": "pictures"}, {"x-amz-algorithm": "AWS4-HMAC-SHA256"}, ["starts-with", "$x-amz-credential", ""], {"x-amz-date": "20261128T090000Z"}`
	document := func(conditions string) []policy.Field { return resign(strings.Replace(form, "%", conditions, 1)) }
	if _, err := policy.Verify(owner, "pictures", document("["+every+"]"), made); err != nil {
		t.Fatalf("the policy that is varied: %v", err)
	}
	for _, c := range []struct {
		name string
		form []policy.Field
		at   time.Duration
		want string
	}{
		{"no key", change(sound(), "key", "-"), 0, "InvalidArgument: Bucket POST must contain a field named 'key'.  If it is specified, please check the order of the fields."},
		{"no policy", change(sound(), "policy", "-"), 0, "InvalidArgument: Bucket POST must contain a field named 'policy'.  If it is specified, please check the order of the fields."},
		{"no signature", change(sound(), "x-amz-signature", "-"), 0, "InvalidArgument: Bucket POST must contain a field named 'X-Amz-Signature'.  If it is specified, please check the order of the fields."},
		{"no date", change(sound(), "x-amz-date", "-"), 0, "InvalidArgument: Bucket POST must contain a field named 'X-Amz-Date'.  If it is specified, please check the order of the fields."},
		{"no credential", change(sound(), "x-amz-credential", "-"), 0, "InvalidArgument: Bucket POST must contain a field named 'X-Amz-Credential'.  If it is specified, please check the order of the fields."},
		{"no algorithm", change(sound(), "x-amz-algorithm", "-"), 0, "InvalidArgument: Bucket POST must contain a field named 'X-Amz-Algorithm'.  If it is specified, please check the order of the fields."},
		{"twice", append(sound(), policy.Field{Name: "KEY", Value: "other"}), 0, "InvalidArgument: POST requires each field at most once."},
		{"another algorithm", change(sound(), "x-amz-algorithm", "AWS4-HMAC-SHA512"), 0, `InvalidArgument: X-Amz-Algorithm only supports "AWS4-HMAC-SHA256"`},
		{"a credential of another form", change(sound(), "x-amz-credential", "AKIDEXAMPLE/20261128/us-east-1/sqs/aws4_request"), 0, `AuthorizationQueryParametersError: Error parsing the X-Amz-Credential parameter; the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".`},
		{"another access key", change(sound(), "x-amz-credential", "AKIDOTHER/20261128/us-east-1/s3/aws4_request"), 0, "InvalidAccessKeyId: The AWS Access Key Id you provided does not exist in our records."},
		{"another region", change(sound(), "x-amz-credential", "AKIDEXAMPLE/20261128/us-west-1/s3/aws4_request"), 0, "AuthorizationQueryParametersError: Error parsing the X-Amz-Credential parameter; the region 'us-west-1' is wrong; expecting 'us-east-1'"},
		{"another day", change(sound(), "x-amz-credential", "AKIDEXAMPLE/20261129/us-east-1/s3/aws4_request"), 0, `AuthorizationQueryParametersError: Invalid credential date "20261129". This date is not the same as X-Amz-Date: "20261128".`},
		{"another form of time", change(sound(), "x-amz-date", "2026-11-28T09:00:00Z"), 0, `AuthorizationQueryParametersError: X-Amz-Date must be in the ISO8601 Long Format "yyyyMMdd'T'HHmmss'Z'"`},
		{"another signature", change(sound(), "x-amz-signature", strings.Repeat("0", 64)), 0, "SignatureDoesNotMatch: The request signature we calculated does not match the signature you provided. Check your key and signing method."},
		{"another policy", change(sound(), "policy", "e30="), 0, "SignatureDoesNotMatch: The request signature we calculated does not match the signature you provided. Check your key and signing method."},
		{"another time", change(sound(), "x-amz-date", "20261128T090001Z"), 0, `AccessDenied: Invalid according to Policy: Policy Condition failed: ["eq", "$x-amz-date", "20261128T090000Z"]`},
		{"expired", sound(), policy.Lifetime, "AccessDenied: Invalid according to Policy: Policy expired."},
		{"another key", change(sound(), "key", "ab_Image2"), 0, `AccessDenied: Invalid according to Policy: Policy Condition failed: ["eq", "$key", "ab_Image1"]`},
		{"public", change(sound(), "acl", "public-read"), 0, `AccessDenied: Invalid according to Policy: Policy Condition failed: ["eq", "$acl", "private"]`},
		{"no acl", change(sound(), "acl", "-"), 0, `AccessDenied: Invalid according to Policy: Policy Condition failed: ["eq", "$acl", "private"]`},
		{"another type", change(sound(), "Content-Type", "text/html"), 0, `AccessDenied: Invalid according to Policy: Policy Condition failed: ["eq", "$Content-Type", "image/jpeg"]`},
		{"no type", change(sound(), "Content-Type", "-"), 0, `AccessDenied: Invalid according to Policy: Policy Condition failed: ["eq", "$Content-Type", "image/jpeg"]`},
		{"another status", change(sound(), "success_action_status", "200"), 0, `AccessDenied: Invalid according to Policy: Policy Condition failed: ["eq", "$success_action_status", "201"]`},
		{"another bucket", change(sound(), "bucket", "others"), 0, `AccessDenied: Invalid according to Policy: Policy Condition failed: ["eq", "$bucket", "pictures"]`},
		{"one field more", change(sound(), "success_action_redirect", "https://shop.example"), 0, "AccessDenied: Invalid according to Policy: Extra input fields: success_action_redirect"},
		{"metadata", change(sound(), "X-Amz-Meta-A", "b"), 0, "AccessDenied: Invalid according to Policy: Extra input fields: x-amz-meta-a"},
		{"a beginning that differs", change(document("["+every+"]"), "key", "ac_Image1"), 0, `AccessDenied: Invalid according to Policy: Policy Condition failed: ["starts-with", "$key", "ab_"]`},
		{"not base64", change(change(sound(), "Policy", "%"), "X-Amz-Signature", owner.Sign("%", made)), 0, "InvalidPolicyDocument: Invalid Policy: Invalid JSON."},
		{"not JSON", resign("{"), 0, "InvalidPolicyDocument: Invalid Policy: Invalid JSON."},
		{"no expiration", resign(`{"conditions": []}`), 0, "InvalidPolicyDocument: Invalid Policy: Invalid 'expiration' value: ''"},
		{"no conditions", resign(`{"expiration": "2026-11-28T09:00:15Z"}`), 0, "InvalidPolicyDocument: Invalid Policy: want an expiration and at most 64 conditions."},
		{"unknown operator", document(`[["gt", "$key", "a"]]`), 0, `InvalidPolicyDocument: Invalid Policy: Invalid Condition: ["gt","$key","a"]`},
		{"range backwards", document(`[["content-length-range", 2, 1]]`), 0, `InvalidPolicyDocument: Invalid Policy: Invalid Condition: ["content-length-range",2,1]`},
		{"a number", document(`[{"key": 1}]`), 0, `InvalidPolicyDocument: Invalid Policy: Invalid Condition: {"key":1}`},
	} {
		_, err := policy.Verify(owner, "pictures", c.form, made.Add(c.at))
		var refusal *policy.Refusal
		if !errors.As(err, &refusal) || err.Error() != c.want {
			t.Errorf("%s: %v\nwant %s", c.name, err, c.want)
		}
	}
}

// Of several ranges the narrowest counts.
func TestSize(t *testing.T) {
	d, err := policy.Parse([]byte(`{"expiration": "2026-11-28T09:00:15.000Z", "conditions": [["content-length-range", 5, 100], ["CONTENT-LENGTH-RANGE", 1, 50]]}`))
	if err != nil {
		t.Fatal(err)
	}
	if least, biggest := d.Size(); least != 5 || biggest != 50 {
		t.Errorf("%d to %d bytes", least, biggest)
	}
}

// FuzzParse: a document that is read is read the same after it was written.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"expiration": "2026-11-28T09:00:15Z", "conditions": [{"a": "<\u2028>"}, ["starts-with", "$b", ""], ["content-length-range", 1, 2]]}`))
	f.Add([]byte(`{"expiration": "2026-11-28T09:00:15+02:00", "conditions": [["eq", "$\"", "\\"]]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		d, err := policy.Parse(text)
		if err != nil {
			return
		}
		if d.Expiration.Year() > 9999 || d.Expiration.UTC().Year() < 0 || d.Expiration.Nanosecond() != 0 {
			return
		}
		again, err := policy.Parse([]byte(d.Text()))
		if err != nil || len(again.Conditions) != len(d.Conditions) || !again.Expiration.Equal(d.Expiration) {
			t.Fatalf("%s\nbecame %s: %v", text, d.Text(), err)
		}
		if diff := cmp.Diff(d.Conditions, again.Conditions); diff != "" {
			t.Fatal(diff)
		}
	})
}
