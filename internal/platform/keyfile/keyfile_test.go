package keyfile

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/scripcards/scrip/internal/core/fault"
)

func write(t *testing.T, path, content string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A secret is the text of a small regular file without its line end; everything
// else is refused as the operator's mistake, without a word of the content.
func TestSecret(t *testing.T) {
	dir := t.TempDir()
	cases := []struct {
		name, file string
		want       string // empty: refused
	}{
		{"plain", write(t, filepath.Join(dir, "plain"), "hush"), "hush"},
		{"line end", write(t, filepath.Join(dir, "line"), "hush\r\n"), "hush"},
		{"spaces stay", write(t, filepath.Join(dir, "spaces"), " hush "), " hush "},
		{"empty", write(t, filepath.Join(dir, "empty"), "\n"), ""},
		{"too long", write(t, filepath.Join(dir, "long"), strings.Repeat("hush", 1025)), ""},
		{"huge", write(t, filepath.Join(dir, "huge"), strings.Repeat("h", maxFile+1)), ""},
		{"missing", filepath.Join(dir, "missing"), ""},
		{"folder", dir, ""},
		{"device", os.DevNull, ""},
		{"relative", "plain", ""},
		{"none", "", ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			secret, err := Folder("").Secret(c.file)
			if secret.Reveal() != c.want {
				t.Errorf("secret = %q, want %q", secret.Reveal(), c.want)
			}
			if c.want != "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if fault.CodeOf(err) != fault.InvalidRequest || strings.Contains(err.Error(), "hush") {
				t.Errorf("error = %v", err)
			}
		})
	}
}

// A folder keeps every name inside of it, through dots, absolute paths and links.
func TestFolder(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	write(t, filepath.Join(outside, "master.key"), "hush")
	inside := write(t, filepath.Join(dir, "token"), "token")
	for link, target := range map[string]string{"escape": filepath.Join(outside, "master.key"), "alias": "token"} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	for name, ok := range map[string]bool{
		"token": true, inside: true, "./token": true, "alias": true,
		"escape": false, filepath.Join(dir, "escape"): false, ".": false, "": false, "missing": false,
		filepath.Join(outside, "master.key"): false, "../" + filepath.Base(outside) + "/master.key": false,
	} {
		secret, err := Folder(dir).Secret(name)
		if (err == nil) != ok || (ok && secret.Reveal() != "token") {
			t.Errorf("%q: %q, %v", name, secret.Reveal(), err)
		}
	}
	if _, err := Folder(filepath.Join(dir, "gone")).Secret("token"); fault.CodeOf(err) != fault.InvalidRequest {
		t.Errorf("a folder that is gone: %v", err)
	}
}

// TLS material is taken from PEM files, and a half of a pair or a file of another
// kind is refused.
func TestTLS(t *testing.T) {
	dir := t.TempDir()
	certificate, key := pair(t)
	write(t, filepath.Join(dir, "cert.pem"), certificate)
	write(t, filepath.Join(dir, "key.pem"), key)
	write(t, filepath.Join(dir, "text"), "no PEM")
	folder := Folder(dir)
	config, err := folder.TLS(TLS{Roots: "cert.pem", Certificate: "cert.pem", Key: "key.pem", ServerName: "host.example"})
	if err != nil {
		t.Fatal(err)
	}
	if config.RootCAs == nil || len(config.Certificates) != 1 || config.ServerName != "host.example" || config.InsecureSkipVerify {
		t.Errorf("config = %+v", config)
	}
	if config, err := folder.TLS(TLS{}); err != nil || config.RootCAs != nil || config.Certificates != nil {
		t.Errorf("nothing named: %+v, %v", config, err)
	}
	for _, files := range []TLS{
		{Roots: "text"}, {Roots: "gone"}, {Roots: "key.pem"},
		{Certificate: "cert.pem"}, {Key: "key.pem"},
		{Certificate: "cert.pem", Key: "cert.pem"}, {Certificate: "text", Key: "key.pem"}, {Certificate: "cert.pem", Key: "gone"},
	} {
		if _, err := folder.TLS(files); fault.CodeOf(err) != fault.InvalidRequest {
			t.Errorf("%+v: %v", files, err)
		}
	}
}

func pair(t *testing.T) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"host.example"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	encode := func(kind string, content []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content}))
	}
	return encode("CERTIFICATE", der), encode("PRIVATE KEY", pkcs8)
}

// Without a folder no file is read, and the refusal says what to set; a relative folder
// stays where it was when the program changes its directory.
func TestFolders(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "token"), "hush")
	none, err := Of("")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"token", filepath.Join(dir, "token"), ""} {
		if _, err := none.Secret(name); fault.CodeOf(err) != fault.InvalidRequest || !strings.Contains(err.Error(), "setting secrets") {
			t.Errorf("%q without a folder: %v", name, err)
		}
	}
	if _, err := none.TLS(TLS{}); err != nil {
		t.Errorf("TLS without files: %v", err)
	}
	t.Chdir(filepath.Dir(dir))
	folder, err := Of(filepath.Base(dir))
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	for _, name := range []string{"token", filepath.Join(string(folder), "token")} {
		if secret, err := folder.Secret(name); err != nil || secret.Reveal() != "hush" {
			t.Errorf("%q in a relative folder: %v", name, err)
		}
	}
}
