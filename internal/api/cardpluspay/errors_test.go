package cardpluspay

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/api/wiretest"
	"github.com/scripcards/scrip/internal/core/fault"
)

// Every way in which a request can fail is answered in the envelope with its row's
// status and reason, and with the members that its status promises.
func TestErrorTable(t *testing.T) {
	const text = "the reason in words"
	for _, code := range fault.Codes() {
		w := render(fault.New(code, text).At("quantity").With("required", "14.70").With("balance", "9.80").With("requested", "3"))
		var got struct {
			Success bool
			Message string
			Data    json.RawMessage
		}
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Errorf("%s: %v", code, err)
			continue
		}
		want := text
		if row := faults[code].Message; row != "" {
			want = row
		}
		if w.Code != faults[code].Status || got.Success || got.Message != want {
			t.Errorf("%s: %d %s", code, w.Code, w.Body)
		}
		data := `{}`
		switch {
		case w.Code == 422:
			data = `{"errors":{"quantity":["the reason in words"]}}`
		case code == fault.InsufficientFunds:
			data = `{"required":"14.70","balance":"9.80"}`
		case code == fault.OutOfStock:
			data = `{"state":"out_of_stock","status":false,"message":"Unavailable","requested":3}`
		}
		if string(got.Data) != data {
			t.Errorf("%s: the data are %s, want %s", code, got.Data, data)
		}
		if wait := w.Header().Get("Retry-After"); (w.Code == http.StatusTooManyRequests) != (wait != "") {
			t.Errorf("%s: Retry-After is %q", code, wait)
		}
	}
}

// render answers a call that fails with f.
func render(f *fault.Error) *httptest.ResponseRecorder {
	return wiretest.Refuse(wire.Dialect[account.Principal]{Name: "errors", Success: success, Faults: faults, FaultBody: failure}, f)
}
