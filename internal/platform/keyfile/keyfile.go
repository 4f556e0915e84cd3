// Package keyfile reads secrets and TLS material from files that an operator names
// in the configuration of a counterparty, so that neither the configuration nor the
// database holds them.
//
// It promises that a file is small, regular and, where a Folder is set, inside of
// it: whoever may name files may otherwise have any file of the machine sent to an
// address of their choice. It must never repeat what a file holds in an error.
package keyfile

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/pan"
)

// maxFile bounds what is read of a file, in bytes: a bundle of certificates.
const maxFile = 1 << 20

// Folder is the directory that files must be in. Names may be relative to it. The
// empty Folder allows every absolute path.
type Folder string

// None is the folder of an installation that has none: every name is refused.
const None Folder = "\x00"

// Of returns the folder at path, made absolute; None for the empty path.
func Of(path string) (Folder, error) {
	if path == "" {
		return None, nil
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return None, fmt.Errorf("folder of secrets: %w", err)
	}
	return Folder(absolute), nil
}

// Read returns what the named file holds. It returns the fault invalid_request when
// the file is outside of the folder, missing, no regular file, or larger than 1 MiB.
func (f Folder) Read(name string) ([]byte, error) {
	file, err := f.open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // only read
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return nil, refuse("%s is not a file", name)
	}
	content, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	switch {
	case err != nil:
		return nil, refuse("%s cannot be read", name)
	case len(content) > maxFile:
		return nil, refuse("%s is larger than %d bytes", name, maxFile)
	}
	return content, nil
}

func (f Folder) open(name string) (*os.File, error) {
	if f == None {
		return nil, refuse("no folder for files with secrets is set: see the setting secrets")
	}
	if f == "" {
		if !filepath.IsAbs(name) {
			return nil, refuse("%s is not an absolute path", name)
		}
		// A pipe would keep an open waiting for its writer.
		if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
			return nil, refuse("%s is not a file", name)
		}
		file, err := os.Open(name)
		return file, explain(name, err)
	}
	inside := name
	if filepath.IsAbs(name) {
		relative, err := filepath.Rel(string(f), name)
		if err != nil {
			return nil, refuse("%s is outside of %s", name, f)
		}
		inside = relative
	}
	if !filepath.IsLocal(inside) {
		return nil, refuse("%s is outside of %s", name, f)
	}
	root, err := os.OpenRoot(string(f))
	if err != nil {
		return nil, refuse("the folder %s cannot be opened", f)
	}
	defer func() { _ = root.Close() }() // only read
	if info, err := root.Stat(inside); err == nil && !info.Mode().IsRegular() {
		return nil, refuse("%s is not a file", name)
	}
	file, err := root.Open(inside)
	return file, explain(name, err)
}

// Secret returns the text of a file without line ends around it. It returns the
// fault invalid_request when there is none, or more than pan.MaxSecret bytes.
func (f Folder) Secret(name string) (pan.Secret, error) {
	content, err := f.Read(name)
	if err != nil {
		return pan.Secret{}, err
	}
	text := strings.Trim(string(content), "\r\n")
	if text == "" || len(text) > pan.MaxSecret {
		return pan.Secret{}, refuse("%s holds no secret of 1 to %d bytes", name, pan.MaxSecret)
	}
	return pan.NewSecret(text), nil
}

// TLS names the material of a client's TLS connections. All of it may be absent.
type TLS struct {
	Roots, Certificate, Key string // PEM files; no Roots: the system's
	ServerName              string // what the certificate must name; empty: the host that is called
}

// TLS returns a client's configuration for TLS 1.2 and newer. It returns the fault
// invalid_request when a file is unfit or a certificate has no key.
func (f Folder) TLS(files TLS) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: files.ServerName}
	if files.Roots != "" {
		content, err := f.Read(files.Roots)
		if err != nil {
			return nil, err
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(content) {
			return nil, refuse("%s holds no certificate", files.Roots)
		}
	}
	if files.Certificate == "" && files.Key == "" {
		return config, nil
	}
	certificate, err := f.Read(files.Certificate)
	if err != nil {
		return nil, err
	}
	key, err := f.Read(files.Key)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return nil, refuse("%s and %s are no certificate and its key", files.Certificate, files.Key)
	}
	config.Certificates = []tls.Certificate{pair}
	return config, nil
}

// explain turns an error of the system into one that says nothing but what is wrong.
func explain(name string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return refuse("%s does not exist", name)
	case errors.Is(err, fs.ErrPermission):
		return refuse("%s may not be read", name)
	}
	return refuse("%s cannot be opened", name)
}

func refuse(format string, args ...any) error {
	return fault.New(fault.InvalidRequest, "read key file: "+format, args...)
}
