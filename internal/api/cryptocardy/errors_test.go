package cryptocardy

import (
	"encoding/json"
	"errors"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/api/wiretest"
	"github.com/scripcards/scrip/internal/core/fault"
)

// Whoever has too little because a debt is repaid first is told of the debt.
func TestIndebted(t *testing.T) {
	poor := fault.New(fault.InsufficientFunds, "the wallet has 20.00 available, 40.00 are required")
	for want, err := range map[string]error{walletTooLow: poor, walletTooLow + " The 30.00 that are owed for payments are repaid first.": poor.With("owed", "30.00")} {
		if got := fault.From(short(err, walletTooLow)).Message; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// Every way in which a request can fail is answered in the published body, with its row's
// status and word, and with a time to wait where there is one.
func TestErrorTable(t *testing.T) {
	const text = "the reason in words"
	for _, code := range fault.Codes() {
		w := render(fault.New(code, text).After(1500 * time.Millisecond))
		var got problem
		decoder := json.NewDecoder(w.Body)
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&got); err != nil {
			t.Errorf("%s: %v", code, err)
			continue
		}
		want := problem{Error: faults[code].Code, Message: text, Code: faults[code].Status, RequestID: w.Header().Get("X-Request-Id")}
		if row := faults[code].Message; row != "" {
			want.Message = row
		}
		if code == fault.Internal {
			want.Message = "internal error"
		}
		if got != want || w.Code != want.Code || want.RequestID == "" {
			t.Errorf("%s: status %d with %+v, want %+v", code, w.Code, got, want)
		}
		if wait := w.Header().Get("Retry-After"); code != fault.Internal && wait != "2" {
			t.Errorf("%s: Retry-After is %q", code, wait)
		}
	}
}

// The published words say whose money is not enough; other errors stay as they are.
func TestShort(t *testing.T) {
	cause := fault.New(fault.InsufficientFunds, "the wallet has 1.00 available, 2.00 are required")
	if err := short(cause, walletTooLow); fault.CodeOf(err) != fault.InsufficientFunds || fault.From(err).Message != "Your wallet balance is too low to fund this card." || !errors.Is(err, cause) {
		t.Error(err)
	}
	if err := short(fault.New(fault.NotFound, "no"), walletTooLow); fault.From(err).Message != "no" {
		t.Error(err)
	}
	if err := short(nil, walletTooLow); err != nil {
		t.Error(err)
	}
}

// render answers a call that fails with f.
func render(f *fault.Error) *httptest.ResponseRecorder {
	return wiretest.Refuse(wire.Dialect[account.Principal]{Name: "errors", Faults: faults, FaultBody: refuse}, f)
}
