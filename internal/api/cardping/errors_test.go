package cardping

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/api/wiretest"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
)

// Every way in which a request can fail is answered in the envelope with its row's
// status, code and reason, with the limits, and with a time to wait where there is one.
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
		if row := faults[code]; w.Code != row.Status || got.Error.Code != row.Code || got.Error.RequestID != w.Header().Get("X-Request-Id") {
			t.Errorf("%s: status %d with %+v", code, w.Code, got)
		}
		want := text
		if code == fault.Internal {
			want = "internal error"
		} else if row := faults[code].Message; row != "" {
			want = row
		}
		if got.Error.Message != want {
			t.Errorf("%s: the message is %q, want %q", code, got.Error.Message, want)
		}
		if wait := w.Header().Get("Retry-After"); (w.Code == http.StatusTooManyRequests) != (wait != "") {
			t.Errorf("%s: Retry-After is %q", code, wait)
		}
	}
}

// An answer that no limit was asked about shows that nothing is left until it may be tried again.
func TestUncounted(t *testing.T) {
	h := render(fault.New(fault.Overloaded, "busy").After(1500 * time.Millisecond)).Header()
	for name, want := range map[string]string{"X-RateLimit-Limit": "7", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1795251602", "Retry-After": "2"} {
		if got := h.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

// Having too many of something is no quota that a month brings back; other faults stay what they are.
func TestFull(t *testing.T) {
	if err := full(fault.New(fault.QuotaExceeded, "an account has at most 16 webhooks")); fault.CodeOf(err) != fault.InvalidState || fault.From(err).Message != "an account has at most 16 webhooks" {
		t.Error(err)
	}
	if err := full(fault.New(fault.NotFound, "no")); fault.CodeOf(err) != fault.NotFound {
		t.Error(err)
	}
	if err := full(nil); err != nil {
		t.Error(err)
	}
}

// render answers a call that fails with f, over no limits.
func render(f *fault.Error) *httptest.ResponseRecorder {
	a := &api{Deps: Deps{Clocks: clock.NewRealms(clock.NewManual(time.Unix(1795251600, 0)))}, perAddress: []wire.Window{{Limit: 7, Per: time.Minute}}}
	return wiretest.Refuse(wire.Dialect[account.Principal]{Name: "errors", LimitHeaders: limitHeaders, Faults: faults, FaultBody: a.refuse}, f)
}
