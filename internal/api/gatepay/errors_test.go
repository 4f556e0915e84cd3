package gatepay

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"

	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/api/wiretest"
	"github.com/scripcards/scrip/internal/core/fault"
)

// Every way in which a request can fail is answered in the envelope, with a status
// that is its code's first three digits, under its own label, and with a reason.
func TestErrorTable(t *testing.T) {
	const text = "the reason in words"
	for _, code := range fault.Codes() {
		w := render(fault.New(code, text))
		var got envelope
		decoder := json.NewDecoder(w.Body)
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&got); err != nil {
			t.Errorf("%s: %v", code, err)
			continue
		}
		if len(got.Code) != 6 || got.Code[:3] != strconv.Itoa(w.Code) || got.Status != "FAIL" || got.Label != string(code) {
			t.Errorf("%s: status %d with %+v", code, w.Code, got)
		}
		if data, isObject := got.Data.(map[string]any); !isObject || len(data) > 0 {
			t.Errorf("%s: data is %v", code, got.Data)
		}
		if want := faults[code].Message; got.ErrorMessage != text && got.ErrorMessage != want || got.ErrorMessage == "" {
			t.Errorf("%s: the message is %q", code, got.ErrorMessage)
		}
		if code == fault.Internal && got.ErrorMessage == text {
			t.Errorf("%s shows its text", code)
		}
		if wait := w.Header().Get("Retry-After"); (w.Code == http.StatusTooManyRequests) != (wait != "") {
			t.Errorf("%s: Retry-After is %q", code, wait)
		}
	}
}

// What the product blames under its own name is blamed under this dialect's.
func TestBlame(t *testing.T) {
	for field, want := range map[string]string{
		"reference": "merchantTradeNo: is wrong", "original": "originalMerchantTradeNo: is wrong", "hold": "holdId: is wrong", "title": "is wrong",
	} {
		var got envelope
		if err := json.NewDecoder(render(fault.New(fault.InvalidRequest, "is wrong").At(field)).Body).Decode(&got); err != nil || got.ErrorMessage != want {
			t.Errorf("%s: %q (%v), want %q", field, got.ErrorMessage, err, want)
		}
	}
}

// render answers a call that fails with f.
func render(f *fault.Error) *httptest.ResponseRecorder {
	return wiretest.Refuse(wire.Dialect[int]{Name: "errors", Faults: faults, FaultBody: func(_ *wire.Call[int], v wire.Verdict, f *fault.Error) any { return failure(nil, v, f) }}, f)
}
