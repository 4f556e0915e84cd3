package upload_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/audit"
	images "github.com/scripcards/scrip/internal/cashout/image"
	"github.com/scripcards/scrip/internal/cashout/image/policy"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/job"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/platform/vault"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/web/upload"
)

const (
	bucket  = "cardcoins-images"
	address = "https://cards.example" + upload.Path + bucket
	local   = upload.Path + bucket
)

var (
	began = time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC)
	order = images.Owner{Realm: realm.Live, ID: "order1"}
)

// bundle is an endpoint over a database.
type bundle struct {
	t       testing.TB
	images  *images.Service
	clock   *clock.Manual
	handler *upload.Endpoint
	records []wire.Record
}

func each(t *testing.T, test func(t *testing.T, b *bundle)) {
	t.Helper()
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) { test(t, setup(t, db, 0)) })
}

func setup(t testing.TB, db *storage.DB, atOnce int) *bundle {
	t.Helper()
	sealed, err := vault.Open(t.Context(), db, vault.NewMasterKey())
	if err != nil {
		t.Fatal(err)
	}
	b := &bundle{t: t, clock: clock.NewManual(began)}
	clocks, quiet := clock.NewRealms(b.clock), slog.New(slog.DiscardHandler)
	b.images = images.New(images.Deps{DB: db, Vault: sealed, Audit: audit.New(db), Clocks: clocks, Jobs: job.New(db, clocks, quiet), Config: images.Config{URL: address, Forms: 100}})
	b.handler = upload.New(upload.Deps{Images: b.images, Logger: quiet, AtOnce: atOnce, Observe: func(_ context.Context, r wire.Record) { b.records = append(b.records, r) }})
	return b
}

func (b *bundle) presign() images.Form {
	b.t.Helper()
	form, err := b.images.Presign(b.t.Context(), images.Upload{Owner: order, Kind: "Image1", FileName: "card_image1.jpg", Size: 50018})
	if err != nil {
		b.t.Fatal(err)
	}
	return form
}

// part is one field of a body; the one named "file" is the file.
type part struct{ name, value string }

const boundary = "----WebKitFormBoundaryz3qNXql7cj7iUQ4A"

// body writes a form as browsers do.
func body(parts ...part) string {
	var out strings.Builder
	for _, p := range parts {
		out.WriteString("--" + boundary + "\r\nContent-Disposition: form-data; name=\"" + p.name + "\"")
		if p.name == "file" {
			out.WriteString("; filename=\"card_image1.jpg\"\r\nContent-Type: image/jpeg")
		}
		out.WriteString("\r\n\r\n" + p.value + "\r\n")
	}
	return out.String() + "--" + boundary + "--\r\n"
}

// with returns a form's fields and the file, one of them changed; "-" leaves it out.
func with(form images.Form, file, name, value string) []part {
	var parts []part
	found := name == ""
	for _, f := range append(form.Fields(), policy.Field{Name: "file", Value: file}) {
		if f.Name == name {
			found, f.Value = true, value
		}
		if f.Value == "-" {
			continue
		}
		if !found && f.Name == "file" {
			parts = append(parts, part{name, value})
		}
		parts = append(parts, part{f.Name, f.Value})
	}
	return parts
}

// answer is what came back, with the request's id taken out.
type answer struct {
	status int
	body   string
	header http.Header
}

var requestID = regexp.MustCompile(`<RequestId>req_[0-9a-z]{26}</RequestId>`)

func (b *bundle) request(r *http.Request) answer {
	b.t.Helper()
	w := httptest.NewRecorder()
	b.handler.ServeHTTP(w, r)
	text := w.Body.String()
	if w.Code >= 300 && r.Method != http.MethodHead {
		if !requestID.MatchString(text) {
			b.t.Errorf("no request id: %s", text)
		}
		text = requestID.ReplaceAllString(text, "")
	}
	if w.Header().Get("Content-Type") != "application/xml" || w.Header().Get("Content-Length") != fmt.Sprint(w.Body.Len()) && r.Method != http.MethodHead {
		b.t.Errorf("%s of %s bytes, there are %d", w.Header().Get("Content-Type"), w.Header().Get("Content-Length"), w.Body.Len())
	}
	return answer{w.Code, text, w.Header()}
}

func (b *bundle) post(text string) answer {
	b.t.Helper()
	r := httptest.NewRequestWithContext(b.t.Context(), http.MethodPost, local, strings.NewReader(text))
	r.Header.Set("Content-Type", "multipart/form-data; boundary="+boundary)
	return b.request(r)
}

func photo(shade uint8) string {
	img := image.NewGray(image.Rect(0, 0, 64, 48))
	for i := range img.Pix {
		img.Pix[i] = uint8(i/7) ^ shade
	}
	img.SetGray(1, 1, color.Gray{Y: shade})
	var out bytes.Buffer
	_ = jpeg.Encode(&out, img, nil) // a buffer takes everything
	return out.String()
}

const prolog = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"

// A file is taken with the form in any order of its fields, with fields to ignore and with
// fields behind the file; the answer is S3's, byte for byte.
func TestCreated(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		for i, arrange := range []func(parts []part) []part{
			func(parts []part) []part { return parts },
			func(parts []part) []part {
				fields := parts[:len(parts)-1]
				for i, j := 0, len(fields)-1; i < j; i, j = i+1, j-1 {
					fields[i], fields[j] = fields[j], fields[i]
				}
				return parts
			},
			func(parts []part) []part { return append([]part{{"x-ignore-note", "hello"}}, parts...) },
			func(parts []part) []part {
				return append(parts, part{"submit", "Upload"}, part{"key", "another"}, part{"file", "another"})
			},
		} {
			form, file := b.presign(), photo(uint8(i))
			got := b.post(body(arrange(with(form, file, "", ""))...))
			sum := md5.Sum([]byte(file))
			etag := `"` + hex.EncodeToString(sum[:]) + `"`
			want := prolog + "<PostResponse><Location>" + address + "/" + form.Key + "</Location><Bucket>cardcoins-images</Bucket><Key>" + form.Key + "</Key><ETag>" + etag + "</ETag></PostResponse>"
			if got.status != http.StatusCreated || got.body != want {
				t.Errorf("case %d: %d %s\nwant %s", i, got.status, got.body, want)
			}
			if got.header.Get("Etag") != etag || got.header.Get("Location") != address+"/"+form.Key || got.header.Get("Access-Control-Allow-Origin") != "*" {
				t.Errorf("case %d: headers %v", i, got.header)
			}
			var read struct{ Location, Bucket, Key, ETag string }
			if err := xml.Unmarshal([]byte(got.body), &read); err != nil || read.Key != form.Key || read.ETag != etag {
				t.Errorf("case %d: read as %+v, %v", i, read, err)
			}
		}
		list, err := b.images.List(t.Context(), order)
		if err != nil || len(list) != 1 || list[0].Width != 64 {
			t.Errorf("%+v, %v", list, err)
		}
	})
}

// The published example, which curl sends under the type of another form, is taken for what it is; what is none of it is refused.
func TestPublishedExample(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		send := func(text string) answer {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, local+"/", strings.NewReader(text))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			return b.request(r)
		}
		if got := send(body(with(b.presign(), photo(1), "", "")...)); got.status != http.StatusCreated || !strings.Contains(got.body, "<PostResponse>") {
			t.Errorf("%d %s", got.status, got.body)
		}
		for _, text := range []string{"", "key=1&file=2", "--", "--" + boundary, "-\r\n", "--" + strings.Repeat("a", 71) + "\r\n"} {
			if got := send(text); got.status != http.StatusPreconditionFailed || !strings.Contains(got.body, "<Code>PreconditionFailed</Code>") {
				t.Errorf("%q: %d %s", text, got.status, got.body)
			}
		}
	})
}

// A browser that asks first whether a page may post, as it does for one that shows how far an upload is, is told so.
func TestPreflight(t *testing.T) {
	b := setup(t, testkit.Open(t, testkit.Database(t, "sqlite")), 0)
	for _, c := range []struct {
		path, method string
		status       int
	}{{local, "POST", 200}, {local + "/", "POST", 200}, {local, "PUT", 403}, {local, "", 403}, {upload.Path + "others", "POST", 404}} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodOptions, c.path, nil)
		r.Header.Set("Origin", "https://shop.example")
		r.Header.Set("Access-Control-Request-Method", c.method)
		w := httptest.NewRecorder()
		b.handler.ServeHTTP(w, r)
		h := w.Header()
		if w.Code != c.status || h.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s of %s: %d, %v", c.method, c.path, w.Code, h)
		}
		if c.status == 200 && (w.Body.Len() != 0 || h.Get("Content-Type") != "" || h.Get("Access-Control-Allow-Methods") != "POST" || h.Get("Access-Control-Allow-Headers") != "*") {
			t.Errorf("%v %s", h, w.Body)
		}
	}
}

// Whatever S3 refuses is refused with its status, its XML and its words, and leaves nothing.
func TestRefused(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		const failed = "<Code>AccessDenied</Code><Message>Invalid according to Policy: Policy Condition failed: "
		file := photo(1)
		huge := file + strings.Repeat("\x00", images.MaxBytes+1-len(file))
		whole := func(parts []part) string { return body(parts...) }
		for _, c := range []struct {
			name   string
			build  func(f images.Form) string
			status int
			want   string
		}{
			{"another key", func(f images.Form) string { return whole(with(f, file, "key", "ab_Image1")) }, 403, failed + `["eq", "$key", "KEY"]</Message>`},
			{"a key made of the file's name", func(f images.Form) string { return whole(with(f, file, "key", "${filename}")) }, 403, failed + `["eq", "$key", "KEY"]</Message>`},
			{"public", func(f images.Form) string { return whole(with(f, file, "acl", "public-read")) }, 403, failed + `["eq", "$acl", "private"]</Message>`},
			{"another type", func(f images.Form) string { return whole(with(f, file, "Content-Type", "text/html")) }, 403, failed + `["eq", "$Content-Type", "image/jpeg"]</Message>`},
			{"no type", func(f images.Form) string { return whole(with(f, file, "Content-Type", "-")) }, 403, failed + `["eq", "$Content-Type", "image/jpeg"]</Message>`},
			{"another status", func(f images.Form) string { return whole(with(f, file, "success_action_status", "200")) }, 403, failed + `["eq", "$success_action_status", "201"]</Message>`},
			{"another bucket", func(f images.Form) string { return whole(with(f, file, "bucket", "others")) }, 403, failed + `["eq", "$bucket", "cardcoins-images"]</Message>`},
			{"another date", func(f images.Form) string { return whole(with(f, file, "X-Amz-Date", "20261128T090001Z")) }, 403, failed + `["eq", "$x-amz-date", "20261128T090000Z"]</Message>`},
			{"one field more", func(f images.Form) string { return whole(with(f, file, "x-amz-meta-<a>", "b")) }, 403, "<Code>AccessDenied</Code><Message>Invalid according to Policy: Extra input fields: x-amz-meta-&lt;a&gt;</Message>"},
			{"a redirect", func(f images.Form) string {
				return whole(with(f, file, "success_action_redirect", "https://shop.example"))
			}, 403, "<Code>AccessDenied</Code><Message>Invalid according to Policy: Extra input fields: success_action_redirect</Message>"},
			{"another signature", func(f images.Form) string {
				return whole(with(f, file, "X-Amz-Signature", strings.Repeat("a", 64)))
			}, 403, "<Code>SignatureDoesNotMatch</Code><Message>The request signature we calculated does not match the signature you provided. Check your key and signing method.</Message><AWSAccessKeyId>AK</AWSAccessKeyId>"},
			{"another policy", func(f images.Form) string { return whole(with(f, file, "Policy", f.Policy+"=")) }, 403, "<Code>SignatureDoesNotMatch</Code><Message>The request signature we calculated does not match the signature you provided. Check your key and signing method.</Message><AWSAccessKeyId>AK</AWSAccessKeyId>"},
			{"another access key", func(f images.Form) string {
				return whole(with(f, file, "X-Amz-Credential", "AKIA/20261128/us-east-1/s3/aws4_request"))
			}, 403, "<Code>InvalidAccessKeyId</Code><Message>The AWS Access Key Id you provided does not exist in our records.</Message><AWSAccessKeyId>AKIA</AWSAccessKeyId>"},
			{"no credential", func(f images.Form) string { return whole(with(f, file, "X-Amz-Credential", "-")) }, 400, "<Code>InvalidArgument</Code><Message>Bucket POST must contain a field named 'X-Amz-Credential'.  If it is specified, please check the order of the fields.</Message><ArgumentName>X-Amz-Credential</ArgumentName><ArgumentValue></ArgumentValue>"},
			{"a field behind the file", func(f images.Form) string {
				return whole(append(with(f, file, "key", "-"), part{"key", f.Key}))
			}, 400, "<Code>InvalidArgument</Code><Message>Bucket POST must contain a field named 'key'.  If it is specified, please check the order of the fields.</Message><ArgumentName>key</ArgumentName><ArgumentValue></ArgumentValue>"},
			{"no file", func(f images.Form) string { return whole(with(f, "-", "", "")) }, 400, "<Code>InvalidArgument</Code><Message>POST requires exactly one file upload per request.</Message><ArgumentName>file</ArgumentName><ArgumentValue>0</ArgumentValue>"},
			{"an empty file", func(f images.Form) string { return whole(with(f, "", "", "")) }, 400, "<Code>EntityTooSmall</Code><Message>Your proposed upload is smaller than the minimum allowed size</Message><ProposedSize>0</ProposedSize><MinSizeAllowed>1</MinSizeAllowed>"},
			{"five megabytes and a byte", func(f images.Form) string { return whole(with(f, huge, "", "")) }, 400, "<Code>EntityTooLarge</Code><Message>Your proposed upload exceeds the maximum allowed size</Message><ProposedSize>5242881</ProposedSize><MaxSizeAllowed>5242880</MaxSizeAllowed>"},
			{"cut within the file", func(f images.Form) string {
				text := whole(with(f, file, "", ""))
				return text[:len(text)-len(boundary)-20]
			}, 400, "<Code>IncompleteBody</Code><Message>You did not provide the number of bytes specified by the Content-Length HTTP header</Message>"},
			{"cut before the file", func(f images.Form) string { return whole(with(f, file, "", ""))[:700] }, 400, "<Code>MalformedPOSTRequest</Code><Message>The body of your POST request is not well-formed multipart/form-data.</Message>"},
			{"another body", func(images.Form) string { return "key=1&file=2" }, 400, "<Code>MalformedPOSTRequest</Code><Message>The body of your POST request is not well-formed multipart/form-data.</Message>"},
			{"a field without a name", func(f images.Form) string {
				return "--" + boundary + "\r\nContent-Type: text/plain\r\n\r\nx\r\n" + whole(with(f, file, "", ""))
			}, 400, "<Code>MalformedPOSTRequest</Code><Message>The body of your POST request is not well-formed multipart/form-data.</Message>"},
			{"a long form", func(f images.Form) string { return whole(with(f, file, "x-ignore-a", strings.Repeat("a", 20<<10))) }, 400, "<Code>MaxPostPreDataLengthExceeded</Code><Message>Your POST request fields preceding the upload file were too large.</Message><MaxPostPreDataLengthBytes>20480</MaxPostPreDataLengthBytes>"},
			{"long headers", func(f images.Form) string {
				return "--" + boundary + "\r\nX: " + strings.Repeat("a", 1<<20) + "\r\n\r\nx\r\n" + whole(with(f, file, "", ""))
			}, 400, "<Code>MaxPostPreDataLengthExceeded</Code><Message>Your POST request fields preceding the upload file were too large.</Message><MaxPostPreDataLengthBytes>20480</MaxPostPreDataLengthBytes>"},
			{"a page", func(f images.Form) string { return whole(with(f, "<html><script>", "", "")) }, 400, "<Code>InvalidArgument</Code><Message>the file must be a png or jpeg image</Message><ArgumentName>file</ArgumentName>"},
			{"a page behind a photo", func(f images.Form) string { return whole(with(f, file+"<script>", "", "")) }, 400, "<Code>InvalidArgument</Code><Message>the file must end where its picture ends: something else follows</Message><ArgumentName>file</ArgumentName>"},
		} {
			form := b.presign()
			got := b.post(c.build(form))
			access, _, _ := strings.Cut(form.Credential, "/")
			got.body = strings.NewReplacer(form.Key, "KEY", access, "AK").Replace(got.body)
			if want := prolog + "<Error>" + c.want + "</Error>"; got.status != c.status || got.body != want {
				t.Errorf("%s: %d\n%s\nwant %d\n%s", c.name, got.status, got.body, c.status, want)
			}
		}
		list, err := b.images.List(t.Context(), order)
		if err != nil || len(list) != 0 {
			t.Errorf("taken: %+v, %v", list, err)
		}
	})
}

// A form whose time is over, that was used, or whose owner takes nothing more, is refused.
func TestOver(t *testing.T) {
	each(t, func(t *testing.T, b *bundle) {
		form := b.presign()
		check := func(name string, got answer, status int, want string) {
			t.Helper()
			if got.status != status || !strings.Contains(got.body, want) {
				t.Errorf("%s: %d %s", name, got.status, got.body)
			}
		}
		check("first", b.post(body(with(form, photo(1), "", "")...)), 201, "<PostResponse>")
		check("again", b.post(body(with(form, photo(1), "", "")...)), 201, "<PostResponse>")
		check("another file", b.post(body(with(form, photo(2), "", "")...)), 403, "<Error><Code>AccessDenied</Code><Message>the form was used for another file</Message>")
		closed := b.presign()
		err := b.images.DB.Write(t.Context(), func(ctx context.Context, tx *storage.Tx) error {
			return tx.Apply(ctx, []storage.Effect{b.images.CloseUploads(order)})
		})
		if err != nil {
			t.Fatal(err)
		}
		check("closed", b.post(body(with(closed, photo(3), "", "")...)), 403, "<Error><Code>AccessDenied</Code><Message>no file is taken with this form any more</Message>")
		late := b.presign()
		b.clock.Advance(policy.Lifetime)
		check("late", b.post(body(with(late, photo(3), "", "")...)), 403, "<Error><Code>AccessDenied</Code><Message>Invalid according to Policy: Policy expired.</Message>")
	})
}

// Nothing else of S3 is there: no image is given out, no other bucket is known, and the log
// hears of every request.
func TestNothingElse(t *testing.T) {
	b := setup(t, testkit.Open(t, testkit.Database(t, "sqlite")), 0)
	form := b.presign()
	if got := b.post(body(with(form, photo(1), "", "")...)); got.status != http.StatusCreated {
		t.Fatal(got.body)
	}
	for _, c := range []struct {
		method, path, kind string
		status             int
		want               string
	}{
		{"GET", local + "/" + form.Key, "", 403, "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"},
		{"HEAD", local + "/" + form.Key, "", 403, ""},
		{"PUT", local + "/" + form.Key, "", 403, "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"},
		{"DELETE", local + "/" + form.Key, "", 403, "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"},
		{"GET", local, "", 403, "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"},
		{"POST", local + "/" + form.Key, "", 405, "<Error><Code>MethodNotAllowed</Code><Message>The specified method is not allowed against this resource.</Message><Method>POST</Method><ResourceType>OBJECT</ResourceType></Error>"},
		{"POST", upload.Path + "others", "", 404, "<Error><Code>NoSuchBucket</Code><Message>The specified bucket does not exist</Message><BucketName>others</BucketName></Error>"},
		{"POST", upload.Path, "", 404, "<Error><Code>NoSuchBucket</Code><Message>The specified bucket does not exist</Message><BucketName></BucketName></Error>"},
		{"POST", local, "application/x-www-form-urlencoded", 412, "<Error><Code>PreconditionFailed</Code><Message>At least one of the pre-conditions you specified did not hold</Message><Condition>Bucket POST must be of the enclosure-type multipart/form-data</Condition></Error>"},
		{"POST", local, "multipart/form-data", 412, "<Error><Code>PreconditionFailed</Code><Message>At least one of the pre-conditions you specified did not hold</Message><Condition>Bucket POST must be of the enclosure-type multipart/form-data</Condition></Error>"},
	} {
		r := httptest.NewRequestWithContext(t.Context(), c.method, c.path, strings.NewReader(""))
		r.Header.Set("Content-Type", c.kind)
		want := prolog + c.want
		if c.want == "" {
			want = ""
		}
		if got := b.request(r); got.status != c.status || got.body != want {
			t.Errorf("%s %s: %d %s\nwant %d %s", c.method, c.path, got.status, got.body, c.status, want)
		}
	}
	first, second := b.records[0], b.records[1]
	if len(b.records) != 11 || first.Status != 201 || first.Code != "" || first.Received == 0 || first.Path != upload.Path+"{bucket}" || second.Code != fault.PermissionDenied {
		t.Errorf("%d records: %+v, %+v", len(b.records), first, second)
	}
	if strings.Contains(fmt.Sprintf("%+v", b.records), form.Key) {
		t.Error("a key is in the log")
	}
}

// slowly sends a form whose file is being read, and returns what ends it and gives its status.
func (b *bundle) slowly(form images.Form) (finish func() int) {
	b.t.Helper()
	text := body(with(form, photo(1), "", "")...)
	reading, rest := io.Pipe()
	r := httptest.NewRequestWithContext(b.t.Context(), http.MethodPost, local, reading)
	r.Header.Set("Content-Type", "multipart/form-data; boundary="+boundary)
	done := make(chan int)
	go func() {
		w := httptest.NewRecorder()
		b.handler.ServeHTTP(w, r)
		done <- w.Code
	}()
	// What is written beyond the form is only taken once the file is being read.
	for _, some := range []string{text[:len(text)-200], text[len(text)-200 : len(text)-100]} {
		if _, err := io.WriteString(rest, some); err != nil {
			b.t.Fatal(err)
		}
	}
	return func() int {
		b.t.Helper()
		if _, err := io.WriteString(rest, text[len(text)-100:]); err != nil {
			b.t.Fatal(err)
		}
		if err := rest.Close(); err != nil {
			b.t.Fatal(err)
		}
		return <-done
	}
}

// More files at once than there is memory for are put off, before they are read.
func TestSlowDown(t *testing.T) {
	b := setup(t, testkit.Open(t, testkit.Database(t, "sqlite")), 1)
	finish := b.slowly(b.presign())
	if got := b.post(body(with(b.presign(), photo(2), "", "")...)); got.status != 503 || !strings.Contains(got.body, "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message>") {
		t.Errorf("the second: %d %s", got.status, got.body)
	}
	if status := finish(); status != http.StatusCreated {
		t.Errorf("the first: %d", status)
	}
}

// Of one order so many files are read at once as it may have to show: whoever sends them
// slowly keeps nobody else from the store.
func TestSlowSender(t *testing.T) {
	b := setup(t, testkit.Open(t, testkit.Database(t, "sqlite")), 6)
	var finish []func() int
	for range 5 {
		finish = append(finish, b.slowly(b.presign()))
	}
	own := b.presign()
	if got := b.post(body(with(own, photo(2), "", "")...)); got.status != 503 || !strings.Contains(got.body, "<Code>SlowDown</Code>") {
		t.Errorf("a sixth of the order: %d %s", got.status, got.body)
	}
	other, err := b.images.Presign(t.Context(), images.Upload{Owner: images.Owner{Realm: order.Realm, ID: "another"}, Kind: "Image1", FileName: "a.jpg", Size: 1})
	if err != nil {
		t.Fatal(err)
	}
	if got := b.post(body(with(other, photo(3), "", "")...)); got.status != http.StatusCreated {
		t.Errorf("another order's: %d %s", got.status, got.body)
	}
	for i := range finish {
		if status := finish[i](); status != http.StatusCreated {
			t.Errorf("the slow one %d: %d", i, status)
		}
	}
	if got := b.post(body(with(own, photo(2), "", "")...)); got.status != http.StatusCreated {
		t.Errorf("the sixth later: %d %s", got.status, got.body)
	}
}

// endless is a body that never ends after its beginning, and counts what was read of it.
type endless struct {
	beginning io.Reader
	read      int64
}

func (e *endless) Read(p []byte) (int, error) {
	n, err := e.beginning.Read(p)
	if errors.Is(err, io.EOF) {
		n, err = len(p), nil
	}
	e.read += int64(n)
	return n, err
}

// An upload takes the memory of its file at most, however long it goes on: the form's end
// and the file's are found without either being read whole.
func TestMemory(t *testing.T) {
	b := setup(t, testkit.Open(t, testkit.Database(t, "sqlite")), 0)
	for name, beginning := range map[string]string{
		"a file without end":   strings.TrimSuffix(body(with(b.presign(), photo(1), "", "")...), "\r\n--"+boundary+"--\r\n"),
		"a field without end":  "--" + boundary + "\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\n",
		"a header without end": "--" + boundary + "\r\nContent-Disposition: ",
		"no boundary":          "",
	} {
		source := &endless{beginning: strings.NewReader(beginning)}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, local, source)
		r.Header.Set("Content-Type", "multipart/form-data; boundary="+boundary)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		got := b.request(r)
		runtime.ReadMemStats(&after)
		if got.status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
		// Growing a buffer to five megabytes allocates less than four times as much.
		if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 4*images.MaxBytes {
			t.Errorf("%s: %d bytes were allocated", name, allocated)
		}
		if source.read > images.MaxBytes+17<<20 {
			t.Errorf("%s: %d bytes were read", name, source.read)
		}
	}
}

// A client of the standard library gets through a real connection, with a file as large as
// may be and one that is refused.
func TestConnection(t *testing.T) {
	b := setup(t, testkit.Open(t, testkit.Database(t, "sqlite")), 0)
	server := httptest.NewServer(b.handler)
	defer server.Close()
	send := func(file string) (int, string) {
		t.Helper()
		var text bytes.Buffer
		form := multipart.NewWriter(&text)
		for _, f := range b.presign().Fields() {
			if err := form.WriteField(f.Name, f.Value); err != nil {
				t.Fatal(err)
			}
		}
		part, err := form.CreateFormFile("file", "a.jpg")
		if err == nil {
			_, err = io.WriteString(part, file)
		}
		if err := errors.Join(err, form.Close()); err != nil {
			t.Fatal(err)
		}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+local, &text)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", form.FormDataContentType())
		response, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = response.Body.Close() }()
		answer, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, string(answer)
	}
	file := photo(1)
	for size, want := range map[int]int{len(file): 201, images.MaxBytes: 201, images.MaxBytes + 1: 400, 3 * images.MaxBytes: 400} {
		if status, text := send(file + strings.Repeat("\x00", size-len(file))); status != want {
			t.Errorf("%d bytes: %d %s", size, status, text)
		}
	}
}

// A client of another language sends what Presign gave out, and reads S3's answers.
func TestPython(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		t.Fatal("python3 is not on PATH: install it (Debian: apt-get install python3)")
	}
	b := setup(t, testkit.Open(t, testkit.Database(t, "sqlite")), 0)
	server := httptest.NewServer(b.handler)
	defer server.Close()
	form := b.presign()
	fields := map[string]string{}
	for _, f := range form.Fields() {
		fields[f.Name] = f.Value
	}
	send := func(file string) (got struct {
		Status       int
		Root         string
		Location     string
		Code, ETag   string
		Header, Hash string
	}) {
		t.Helper()
		input, err := json.Marshal(map[string]any{"url": server.URL + local, "fields": fields, "file": []byte(file)})
		if err != nil {
			t.Fatal(err)
		}
		command := exec.CommandContext(t.Context(), "python3", "-B", "testdata/upload.py")
		command.Stdin, command.Stderr = bytes.NewReader(input), os.Stderr
		output, err := command.Output()
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(output, &got); err != nil {
			t.Fatalf("%s: %v", output, err)
		}
		return got
	}
	file := photo(1)
	if got := send(file + strings.Repeat("\x00", images.MaxBytes)); got.Status != 400 || got.Root != "Error" || got.Code != "EntityTooLarge" {
		t.Errorf("too large: %+v", got)
	}
	if got := send(file); got.Status != 201 || got.Root != "PostResponse" || got.ETag != `"`+got.Hash+`"` || got.Header != got.ETag || got.Location != address+"/"+form.Key {
		t.Errorf("a photo: %+v", got)
	}
	if list, err := b.images.List(t.Context(), order); err != nil || len(list) != 1 {
		t.Errorf("%+v, %v", list, err)
	}
}

// FuzzBody: no body crashes the endpoint, and none without a signature is taken.
func FuzzBody(f *testing.F) {
	f.Add(body(part{"key", "a"}, part{"policy", "e30="}, part{"file", "x"}))
	f.Add("--" + boundary + "\r\n\r\n\r\n--" + boundary + "--")
	b := setup(f, testkit.Open(f, testkit.Database(f, "sqlite")), 0)
	f.Fuzz(func(t *testing.T, text string) {
		one := bundle{t: t, handler: b.handler}
		got := one.post(text)
		if got.status < 400 || got.status >= 500 {
			t.Fatalf("%d %s", got.status, got.body)
		}
		var read struct{ Code, Message string }
		if err := xml.Unmarshal([]byte(got.body), &read); err != nil || read.Code == "" {
			t.Fatalf("%s: %v", got.body, err)
		}
	})
}

// Signing and reading agree on how fields are called.
func TestFields(t *testing.T) {
	var names []string
	for _, f := range (images.Form{}).Fields() {
		names = append(names, f.Name)
	}
	want := []string{"key", "acl", "Content-Type", "success_action_status", "bucket", "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "Policy", "X-Amz-Signature"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}
