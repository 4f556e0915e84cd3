package captcha

import (
	"crypto/sha256"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
)

// solve finds an answer of an instant.
func solve(at time.Time, want int) string {
	for nonce := 0; ; nonce++ {
		answer := strconv.FormatInt(at.Unix(), 10) + ":" + strconv.Itoa(nonce)
		if zeros(sha256.Sum256([]byte("scrip:"+answer))) >= want {
			return answer
		}
	}
}

// Work passes once, while it is fresh, and too little of it does not.
func TestWork(t *testing.T) {
	c := clock.NewManual(time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC))
	w := NewWork(c, 12)
	right := solve(c.Now(), 12)
	lazy := ""
	for nonce := 0; lazy == ""; nonce++ {
		if answer := strconv.FormatInt(c.Now().Unix(), 10) + ":l" + strconv.Itoa(nonce); zeros(sha256.Sum256([]byte("scrip:"+answer))) == 11 {
			lazy = answer
		}
	}
	for name, answer := range map[string]string{"nothing": "", "no nonce": strconv.FormatInt(c.Now().Unix(), 10) + ":", "no time": ":1", "a word": "demo", "a bit less": lazy,
		"old": solve(c.Now().Add(-6*time.Minute), 12), "ahead": solve(c.Now().Add(6*time.Minute), 12), "long": right + strings.Repeat("0", 80)} {
		if err := w.Verify(t.Context(), answer, ""); fault.CodeOf(err) != fault.InvalidRequest {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := w.Verify(t.Context(), right, ""); err != nil {
		t.Error(err)
	}
	if err := w.Verify(t.Context(), right, ""); fault.CodeOf(err) != fault.InvalidRequest {
		t.Errorf("twice: %v", err)
	}
	c.Advance(time.Hour)
	if err := w.Verify(t.Context(), solve(c.Now(), 12), ""); err != nil {
		t.Error(err)
	}
	if err := w.Verify(t.Context(), right, ""); fault.CodeOf(err) != fault.InvalidRequest {
		t.Errorf("an hour later: %v", err)
	}
}
