package fraud

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/cli/shell"
	"github.com/scripcards/scrip/internal/fraud/study"
)

// What was measured has names that programs can write, and numbers.
func TestListingOf(t *testing.T) {
	r := study.Result{Name: "engine", Width: 15, Mean: study.Measures{Events: 100, Frauds: 2, AveragePrecision: 0.75, AUC: math.NaN(), Recall: 0.5}}
	l := listingOf([]study.Result{r}, shell.JSON)
	text, err := l.Objects()[0].MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	want := map[string]any{"numbers": "engine (15)", "fold": "mean", "events": 100.0, "frauds": 2.0, "ap": 0.75, "auc": nil, "card_precision": 0.0, "recall": 0.5}
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if columns := listingOf(nil, shell.Table).Columns; columns[6] != "cp@100" || columns[7] != "recall@0.1%" {
		t.Errorf("people see %q", columns)
	}
}
