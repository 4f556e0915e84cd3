// Package spec holds the public contracts: one OpenAPI document per wire dialect,
// embedded in the program and served by it.
//
// A test of each dialect holds its routes, structs and error table to its document.
// It must never import anything of the module.
package spec

import (
	"embed"
	"path"
)

//go:embed */openapi.yaml
var documents embed.FS

const file = "openapi.yaml"

// Document returns the OpenAPI document of a dialect in YAML, and whether there is one.
func Document(dialect string) ([]byte, bool) {
	text, err := documents.ReadFile(path.Join(dialect, file))
	return text, err == nil
}

// Dialects returns the names of the dialects that have a document, sorted.
func Dialects() []string {
	entries, err := documents.ReadDir(".")
	if err != nil { // an embedded file system has its root
		return nil
	}
	names := make([]string, len(entries))
	for i, entry := range entries {
		names[i] = entry.Name()
	}
	return names
}
