package sigv4_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/platform/sigv4"
)

// Requests for objects carry the headers that Amazon's own client for Python makes.
func TestSignRequest(t *testing.T) {
	text, err := os.ReadFile("testdata/requests.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Requests []struct {
			AccessKey     string `json:"access_key"`
			Secret        string `json:"secret"`
			Region        string `json:"region"`
			At            time.Time
			Method        string
			URL           string
			Authorization string
			SHA           string
			Date          string
		}
	}
	if err := json.Unmarshal(text, &file); err != nil || len(file.Requests) == 0 {
		t.Fatalf("%d requests, %v", len(file.Requests), err)
	}
	for _, v := range file.Requests {
		r, err := http.NewRequestWithContext(t.Context(), v.Method, v.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		sigv4.Credential{AccessKey: v.AccessKey, Secret: pan.NewSecret(v.Secret), Region: v.Region}.SignRequest(r, v.At)
		for name, want := range map[string]string{"Authorization": v.Authorization, "X-Amz-Content-Sha256": v.SHA, "X-Amz-Date": v.Date} {
			if got := r.Header.Get(name); got != want {
				t.Errorf("%s %s: %s = %s\nwant %s", v.Method, v.URL, name, got, want)
			}
		}
	}
}

// A signature is good for its text, its day and its key alone, and no credential prints its secret.
func TestVerify(t *testing.T) {
	at := time.Date(2026, 11, 28, 23, 59, 59, 0, time.UTC)
	c := sigv4.Credential{AccessKey: "AK", Secret: pan.NewSecret("wJalrXUtnFEMI"), Region: "us-east-1"}
	signature := c.Sign("text", at)
	other := c
	other.Secret = pan.NewSecret("wJalrXUtnFEMJ")
	for name, good := range map[string]bool{
		"itself": c.Verify(signature, "text", at), "the same day": c.Verify(signature, "text", at.Add(-time.Hour)),
		"another text": !c.Verify(signature, "texts", at), "the next day": !c.Verify(signature, "text", at.Add(time.Second)),
		"another key": !other.Verify(signature, "text", at), "upper case": !c.Verify(strings.ToUpper(signature), "text", at), "nothing": !c.Verify("", "text", at),
	} {
		if !good {
			t.Errorf("%s: judged wrongly", name)
		}
	}
	for _, form := range []string{"%v", "%+v", "%#v"} {
		if text := fmt.Sprintf(form, c); strings.Contains(text, "wJalr") {
			t.Errorf("%s prints %s", form, text)
		}
	}
}

// Times are read in one form alone.
func TestParseStamp(t *testing.T) {
	at := time.Date(2024, 2, 29, 1, 2, 3, 0, time.UTC)
	if got, err := sigv4.ParseStamp(sigv4.Stamp(at)); err != nil || !got.Equal(at) {
		t.Errorf("%s, %v", got, err)
	}
	for _, bad := range []string{"", "20240229", "20240230T010203Z", "20240229T010203", "20240229T010203.5Z", "20240229T010203+02"} {
		if _, err := sigv4.ParseStamp(bad); err == nil {
			t.Errorf("%q is read", bad)
		}
	}
}
