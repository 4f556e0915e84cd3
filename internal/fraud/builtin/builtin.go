// Package builtin is the model that ships with the program. It was trained on simulated
// traffic alone, as its description says: "scrip fraud train --builtin" makes it again, bit
// for bit on amd64.
package builtin

import (
	_ "embed"
	"fmt"

	"github.com/scripcards/scrip/internal/fraud/estimator"
)

//go:embed balance.model
var file []byte

// Bytes returns the file. Nobody changes it.
func Bytes() []byte { return file }

// Model reads the model.
func Model() (*estimator.Model, error) {
	m, err := estimator.Read(file)
	if err != nil {
		return nil, fmt.Errorf("the model in the program: %w", err)
	}
	return m, nil
}
