package cashdesk_test

import (
	"bytes"
	"encoding/pem"
	stdimage "image"
	"image/png"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/scripcards/scrip/internal/cashout/image"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/sigv4"
	kit "github.com/scripcards/scrip/internal/testkit/cashdesk"
	"github.com/scripcards/scrip/internal/testkit/objectstore"
	"github.com/scripcards/scrip/internal/web/upload"
)

// multiform writes a form and a file as browsers send them.
func multiform(t *testing.T, f image.Form, file []byte) (contentType string, body *bytes.Buffer) {
	t.Helper()
	body = &bytes.Buffer{}
	w := multipart.NewWriter(body)
	for _, field := range [][2]string{{"key", f.Key}, {"acl", f.ACL}, {"Content-Type", f.ContentType}, {"success_action_status", f.SuccessStatus}, {"bucket", f.Bucket},
		{"X-Amz-Algorithm", f.Algorithm}, {"X-Amz-Credential", f.Credential}, {"X-Amz-Date", f.Date}, {"Policy", f.Policy}, {"X-Amz-Signature", f.Signature}} {
		if err := w.WriteField(field[0], field[1]); err != nil {
			t.Fatal(err)
		}
	}
	part, err := w.CreateFormFile("file", "a.png")
	if err == nil {
		_, err = part.Write(file)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return w.FormDataContentType(), body
}

// With a store in the file, forms lead there, what was uploaded is fetched over TLS with
// signed requests, judged and removed there, and the built-in store takes nothing.
func TestStore(t *testing.T) {
	store := objectstore.New(t, "card-images", sigv4.Credential{AccessKey: "AKIDEXAMPLE", Secret: pan.NewSecret("wJalrXUtnFEMI"), Region: "eu-central-1"}, true)
	store.Forms = clock.NewManual(kit.Began)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: store.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	k, err := open(t, `{"realm":"test",`+messages+`,"store":{"endpoint":"`+store.URL+`","region":"eu-central-1","bucket":"card-images","key_id":"AKIDEXAMPLE",
		"secret_file":"$SECRET","path_style":true,"tls":{"ca_file":"`+ca+`"}}}`, nil)
	if err != nil {
		t.Fatal(err)
	}
	owner := image.Owner{Realm: realm.Test, ID: "cash_1"}
	var picture bytes.Buffer
	if err := png.Encode(&picture, stdimage.NewGray(stdimage.Rect(0, 0, 320, 240))); err != nil {
		t.Fatal(err)
	}
	send := func(kind image.Kind, file []byte) image.Form {
		t.Helper()
		form, err := k.Images.Presign(t.Context(), image.Upload{Owner: owner, Kind: kind, FileName: "a.png", Size: int64(len(file))})
		if err != nil {
			t.Fatal(err)
		}
		contentType, body := multiform(t, form, file)
		response, err := store.Client().Post(form.URL, contentType, body)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil || response.StatusCode != http.StatusCreated {
			t.Fatalf("%d %s, %v", response.StatusCode, text, err)
		}
		return form
	}
	form := send("Image1", picture.Bytes())
	send("Image2", []byte("<html>"))
	refused, err := k.Images.Collect(t.Context(), owner)
	if err != nil || len(refused) != 1 || refused[0].Kind != "Image2" {
		t.Errorf("refused %+v, %v", refused, err)
	}
	found, err := k.Images.List(t.Context(), owner)
	if err != nil || len(found) != 1 || found[0].Width != 320 {
		t.Errorf("found %+v, %v", found, err)
	}
	if left, removed := store.Left(); left != 0 || removed != 2 {
		t.Errorf("%d objects are left, %d were removed", left, removed)
	}

	contentType, body := multiform(t, form, picture.Bytes())
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, upload.Path+"card-images", body)
	r.Header.Set("Content-Type", contentType)
	w := httptest.NewRecorder()
	k.Uploads(upload.Deps{Logger: slog.New(slog.DiscardHandler)}).ServeHTTP(w, r)
	if w.Code != http.StatusForbidden {
		t.Errorf("the built-in store: %d %s", w.Code, w.Body)
	}
}
