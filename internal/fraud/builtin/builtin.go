// Package builtin is the models that ship with the program, one for balance checks and one
// for payments. They were trained on simulated traffic alone, as their descriptions say:
// "scrip fraud train --check" makes them again, bit for bit on amd64.
package builtin

import (
	_ "embed"
	"fmt"

	"github.com/scripcards/scrip/internal/fraud"
	"github.com/scripcards/scrip/internal/fraud/estimator"
)

var (
	//go:embed balance.model
	balance []byte
	//go:embed payment.model
	payment []byte
)

// Bytes returns the file of a kind of events. Nobody changes it.
func Bytes(kind fraud.Kind) []byte {
	if kind == fraud.Authorization {
		return payment
	}
	return balance
}

// Model reads the model of a kind of events.
func Model(kind fraud.Kind) (*estimator.Model, error) {
	m, err := estimator.Read(Bytes(kind))
	if err != nil {
		return nil, fmt.Errorf("the model in the program: %w", err)
	}
	return m, nil
}
