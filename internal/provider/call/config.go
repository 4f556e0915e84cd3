package call

import (
	"crypto/tls"
	"errors"
	"io"
	"net/netip"
	"net/url"
	"os"
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

// CheckNode returns what is wrong with the address of a node, by the key of a configuration.
// Nodes on this machine may be called without TLS. No error repeats the address, which may
// have a key in its path.
func CheckNode(key, text string) error {
	at, err := url.Parse(text)
	switch {
	case err != nil || at.Host == "" || at.User != nil || at.Fragment != "" || at.Scheme != "https" && at.Scheme != "http":
		return Refuse(key, "want the node's address, such as http://127.0.0.1:8332, without a user in it")
	case at.Scheme == "http" && !IsLoopback(at.Hostname()):
		return Refuse(key, "a node on another machine needs https")
	}
	return nil
}

// maxLine bounds the file of a secret that is one line.
const maxLine = 4 << 10

// FirstLine reads the first line of a file, which may change while the program runs.
func FirstLine(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }() // only read
	text, err := io.ReadAll(io.LimitReader(file, maxLine))
	line, _, _ := strings.Cut(string(text), "\n")
	return strings.TrimSpace(line), err
}

// IsLoopback reports whether a host is written as one of this machine. Where it leads is
// judged again when it is dialled; see Limits.
func IsLoopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && a.IsLoopback())
}
