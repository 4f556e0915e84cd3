package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// maxNamed bounds a file that a setting names, in bytes.
const maxNamed = 256 << 10

// ReadNamed reads the file that a setting names into an object. It is JSON, and read
// strictly: a misspelt key must not be a default in disguise. Without a path there is
// nothing to read.
func ReadNamed(path string, into any) error {
	if path == "" {
		return nil
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // only read
	text, err := io.ReadAll(io.LimitReader(file, maxNamed+1))
	switch {
	case err != nil:
		return err
	case len(text) > maxNamed:
		return fmt.Errorf("%s has more than %d bytes", path, maxNamed)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%s: something follows the object", path)
	}
	return nil
}
