package s3

import (
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/platform/keyfile"
	"github.com/scripcards/scrip/internal/platform/sigv4"
	"github.com/scripcards/scrip/internal/provider/call"
)

// Bounds of a configuration.
const (
	maxConfig   = 16 << 10
	mostTimeout = 120_000 // milliseconds
)

// nameForm is what key ids and regions look like: they stand in a credential between slashes.
var nameForm = regexp.MustCompile(`^[!-.0-~]{1,128}$`)

// settings are the JSON of a configuration; docs/images.md explains each key.
type settings struct {
	Endpoint   string   `json:"endpoint"`
	Region     string   `json:"region"`
	Bucket     string   `json:"bucket"`
	KeyID      string   `json:"key_id"`
	SecretFile string   `json:"secret_file"`
	PathStyle  bool     `json:"path_style"`
	AllowPlain bool     `json:"allow_plain"`
	TLS        call.TLS `json:"tls"`
	TimeoutMS  int      `json:"timeout_ms"`
}

// Open returns the bucket that a JSON object describes, with its secret and certificates
// read from files in folder. It calls nobody; now is the machine's clock. It returns the
// fault invalid_request, with the key that is wrong.
func Open(config []byte, folder keyfile.Folder, now clock.Clock) (*Bucket, error) {
	var s settings
	if err := call.Config(config, maxConfig, &s); err != nil {
		return nil, err
	}
	c, err := s.read(folder)
	if err != nil {
		return nil, err
	}
	b, err := New(c, now)
	if err != nil {
		return nil, fault.Wrap(err, fault.InvalidRequest, "the store cannot be used")
	}
	return b, nil
}

// read checks the settings and reads the files that they name.
func (s *settings) read(folder keyfile.Folder) (Config, error) {
	c := Config{Endpoint: s.Endpoint, Bucket: s.Bucket, PathStyle: s.PathStyle, Timeout: time.Duration(s.TimeoutMS) * time.Millisecond}
	if err := s.checkEndpoint(); err != nil {
		return c, err
	}
	const words = "want 1 to 128 printable characters without spaces and slashes"
	switch {
	case !nameForm.MatchString(s.KeyID):
		return c, call.Refuse("key_id", words)
	case !nameForm.MatchString(s.Region):
		return c, call.Refuse("region", words)
	case !bucketForm.MatchString(s.Bucket):
		return c, call.Refuse("bucket", "want 3 to 63 of a–z, 0–9, dots and dashes")
	case s.TimeoutMS < 0 || s.TimeoutMS > mostTimeout:
		return c, call.Refuse("timeout_ms", "the value is not between 1 and %d", mostTimeout)
	case s.SecretFile == "":
		return c, call.Refuse("secret_file", "want the file that holds the secret of the key")
	}
	secret, err := folder.Secret(s.SecretFile)
	if err != nil {
		return c, fault.From(err).At("secret_file")
	}
	if c.TLS, err = s.TLS.Read(folder); err != nil {
		return c, err
	}
	c.Credential = sigv4.Credential{AccessKey: s.KeyID, Secret: secret, Region: s.Region}
	return c, nil
}

// checkEndpoint refuses addresses to which keys and pictures would travel in the clear.
func (s *settings) checkEndpoint() error {
	u, err := url.Parse(s.Endpoint)
	switch {
	case err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "":
		return call.Refuse("endpoint", "want the address of the store without a path, such as https://s3.eu-central-1.amazonaws.com")
	case u.Scheme == "https":
	case u.Scheme != "http" || !s.AllowPlain || !call.IsLoopback(u.Hostname()):
		return call.Refuse("endpoint", "the address must begin with https://, or with http:// on a loopback host if allow_plain is set")
	}
	return nil
}
