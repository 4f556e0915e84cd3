package line

import (
	"fmt"
	"testing"
	"time"
)

// Of callers whose calls fail no more are remembered than there is room for.
func TestCallersAreBounded(t *testing.T) {
	known := callers{}
	for i := range 2 * mostCallers {
		known.of(fmt.Sprint(i), Config{Failures: 1}.withDefaults()).fail(time.Unix(0, 0))
	}
	if len(known) != mostCallers || known[fmt.Sprint(2*mostCallers-1)] == nil {
		t.Errorf("%d callers, the last one too: %t", len(known), known[fmt.Sprint(2*mostCallers-1)] != nil)
	}
}
