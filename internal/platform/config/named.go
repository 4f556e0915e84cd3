package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// maxNamed bounds a file that a setting names, in bytes.
const maxNamed = 256 << 10

// ReadNamed reads the file that a setting names into an object. It is JSON, and read
// strictly: a misspelt key must not be a default in disguise, nor one of two of a name. Without a path there is
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
	return within(path, json.Unmarshal(text, into, json.RejectUnknownMembers(true)))
}

// within says in which file, and of which key, an error is.
func within(path string, err error) error {
	var semantic *json.SemanticError
	var syntax *jsontext.SyntacticError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, jsontext.ErrDuplicateName) && errors.As(err, &syntax):
		return fmt.Errorf("%s: %q stands twice", path, dotted(syntax.JSONPointer))
	case errors.Is(err, json.ErrUnknownName) && errors.As(err, &semantic):
		return fmt.Errorf("%s: unknown field %q", path, dotted(semantic.JSONPointer))
	}
	return fmt.Errorf("%s: %w", path, err)
}

func dotted(at jsontext.Pointer) string {
	return strings.ReplaceAll(strings.TrimPrefix(string(at), "/"), "/", ".")
}
