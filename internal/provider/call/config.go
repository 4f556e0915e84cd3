package call

import (
	"crypto/tls"
	"errors"
	"net/netip"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/platform/keyfile"
)

// Config reads the configuration of an adapter, a JSON object of at most so many bytes,
// into a struct. It is strict: a key that does not exist, a name twice and a value of the
// wrong type are the fault invalid_request, with where they are.
func Config(text []byte, most int, into any) error {
	if len(text) > most {
		return Refuse("", "the configuration is longer than %d bytes", most)
	}
	err := json.Unmarshal(text, into, json.RejectUnknownMembers(true))
	var semantic *json.SemanticError
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		return Refuse("", "the configuration holds a name twice")
	case errors.As(err, &semantic):
		key := strings.ReplaceAll(strings.TrimPrefix(string(semantic.JSONPointer), "/"), "/", ".")
		if errors.Is(err, json.ErrUnknownName) {
			return Refuse(key, "the configuration has a key that does not exist")
		}
		return Refuse(key, "the configuration has a value of the wrong type")
	case err != nil:
		return Refuse("", "the configuration is no JSON object")
	}
	return nil
}

// TLS is how a configuration names the files of its TLS connections.
type TLS struct {
	CAFile     string `json:"ca_file"`
	CertFile   string `json:"cert_file"`
	KeyFile    string `json:"key_file"`
	ServerName string `json:"server_name"`
}

// Read returns what the files say. It returns the fault invalid_request.
func (t TLS) Read(folder keyfile.Folder) (*tls.Config, error) {
	config, err := folder.TLS(keyfile.TLS{Roots: t.CAFile, Certificate: t.CertFile, Key: t.KeyFile, ServerName: t.ServerName})
	if err != nil {
		return nil, fault.From(err).At("tls")
	}
	return config, nil
}

// Refuse returns the fault invalid_request about a key of a configuration.
func Refuse(key, format string, args ...any) error {
	return fault.New(fault.InvalidRequest, format, args...).At(key)
}

// IsLoopback reports whether a host is written as one of this machine. Where it leads is
// judged again when it is dialled; see Limits.
func IsLoopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && a.IsLoopback())
}
