package cli

import (
	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/platform/telemetry"
)

// Say is what people are told of an error. What they typed, or wrote into a file, stands in
// many: a secret among it must not be in a terminal's history, or in the log of whatever
// called the command. A text without any is left alone: bounds have as many digits as cards.
func Say(err error) string {
	text := err.Error()
	if audit.HoldsSecret(text) {
		text = telemetry.Redact(text)
	}
	return "scrip: " + text
}
