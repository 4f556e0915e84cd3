package call

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
)

// What a node answers is a result, none, a refusal, or why nothing is known: an answer that
// says nothing is never taken for "there is none", and no word of the node's gets out.
func TestAnswers(t *testing.T) {
	for _, c := range []struct {
		name   string
		status int
		answer string
		found  bool
		code   int    // of a refusal
		want   string // of what is not known
	}{
		{name: "a result", status: 200, answer: `{"id":0,"result":7,"error":null}`, found: true},
		{name: "none", status: 200, answer: `{"id":0,"result":null,"error":null}`},
		{name: "a refusal", status: 500, answer: `{"id":null,"result":null,"error":{"code":-5,"message":"evil words"}}`, code: -5},
		{name: "nothing", status: 200, answer: `{"message":"evil words"}`, want: "not what was asked for"},
		{name: "another status", status: 502, answer: `{"id":0,"result":null}`, want: "the status 502"},
		{name: "too often", status: 429, answer: `{"id":0,"result":null}`, want: "no more calls"},
		{name: "another type", status: 200, answer: `{"id":0,"result":"evil words"}`, want: "not what was asked for"},
		{name: "no JSON", status: 200, answer: `evil words`, want: "no JSON-RPC"},
		{name: "a login", status: 401, answer: `{"id":0,"result":7}`, want: "wants a login"},
		{name: "too much", status: 200, answer: `{"id":0,"result":7` + strings.Repeat(" ", 100) + `}`, want: "more than 100 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := serve(t, c.status, c.answer)
			answer, err := r.Ask(t.Context(), Query{Method: "number"})
			var n int
			found := false
			if err == nil {
				found, err = answer.Read(&n)
			}
			switch {
			case err != nil && strings.Contains(err.Error(), "evil"):
				t.Errorf("the node's words: %v", err)
			case c.code != 0:
				if !IsCode(err, c.code) {
					t.Errorf("%v, want the refusal %d", err, c.code)
				}
			case c.want != "":
				if fault.CodeOf(err) != fault.Unavailable || !strings.Contains(err.Error(), c.want) {
					t.Errorf("%v, want %q", err, c.want)
				}
			case err != nil || found != c.found || found && n != 7:
				t.Errorf("%d, %v, %v", n, found, err)
			}
		})
	}
}

// Answers to many calls come in any order and are put in that of the calls; one that is
// missing, twice there or not asked for spoils them all.
func TestManyAnswers(t *testing.T) {
	two := []Query{{Method: "first"}, {Method: "second"}}
	all, err := serve(t, 200, `[{"id":1,"result":2},{"id":0,"result":1}]`).All(t.Context(), two, 10)
	if err != nil || len(all) != 2 {
		t.Fatal(all, err)
	}
	for i := range all {
		var n int
		if err := all[i].Value(&n); err != nil || n != i+1 {
			t.Errorf("answer %d: %d, %v", i, n, err)
		}
	}
	for _, answer := range []string{`[{"id":0,"result":1}]`, `[{"id":0,"result":1},{"id":0,"result":2}]`, `[{"id":0,"result":1},{"id":2,"result":2}]`,
		`[{"id":0,"result":1},{"id":"x","result":2}]`, `{"id":0,"result":1}`} {
		if all, err := serve(t, 200, answer).All(t.Context(), two, 10); fault.CodeOf(err) != fault.Unavailable {
			t.Errorf("%s: %v, %v", answer, all, err)
		}
	}
}

// Calls whose answers are too long together are made in fewer at once, each is answered, and
// in their order; one whose own answer is too long spoils them all.
func TestLongAnswers(t *testing.T) {
	longest := 40
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var calls []struct {
			ID     int    `json:"id"`
			Method string `json:"method"`
		}
		if err := json.NewDecoder(r.Body).Decode(&calls); err != nil {
			t.Error(err)
		}
		var all []string
		for _, c := range calls {
			all = append(all, fmt.Sprintf(`{"id":%d,"result":%q}`, c.ID, c.Method+strings.Repeat(" ", longest)))
		}
		_, _ = fmt.Fprintf(w, "[%s]", strings.Join(all, ","))
	}))
	t.Cleanup(server.Close)
	r := &RPC{Client: NewClient(Limits{Timeout: time.Minute, Conns: 1, Loopback: true}), URL: server.URL, Who: "node", Timeout: time.Minute, MaxAnswer: 200}
	var queries []Query
	for i := range 23 {
		queries = append(queries, Query{Method: strconv.Itoa(i)})
	}
	all, err := r.All(t.Context(), queries, 10)
	if err != nil || len(all) != len(queries) {
		t.Fatalf("%d answers, %v", len(all), err)
	}
	for i := range all {
		var text string
		if err := all[i].Value(&text); err != nil || strings.TrimSpace(text) != strconv.Itoa(i) {
			t.Errorf("answer %d: %q, %v", i, text, err)
		}
	}
	longest = 200
	if _, err := r.All(t.Context(), queries, 10); fault.CodeOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "more than 200 bytes") {
		t.Errorf("one that is too long alone: %v", err)
	}
}

func serve(t *testing.T, status int, answer string) *RPC {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(answer))
	}))
	t.Cleanup(server.Close)
	return &RPC{Client: NewClient(Limits{Timeout: time.Minute, Conns: 1, Loopback: true}), URL: server.URL, Who: "node", Timeout: time.Minute, MaxAnswer: 100}
}

// A configuration is read strictly, and says where it is wrong.
func TestConfig(t *testing.T) {
	for text, want := range map[string]string{
		`{"a":{"b":1}}`:         "",
		`{"a":{"b":1},"c":1}`:   "c: ",
		`{"a":{"b":"1"}}`:       "a.b: ",
		`{"a":{"b":1,"b":2}}`:   "twice",
		`{`:                     "no JSON object",
		strings.Repeat(" ", 99): "longer than 64 bytes",
	} {
		var into struct {
			A struct {
				B int `json:"b"`
			} `json:"a"`
		}
		err := Config([]byte(text), 64, &into)
		switch {
		case want == "" && err != nil, want != "" && fault.CodeOf(err) != fault.InvalidRequest:
			t.Errorf("%s: %v", text, err)
		case want != "" && !strings.Contains(fault.From(err).Field+": "+err.Error(), want):
			t.Errorf("%s: %v at %q, want %q", text, err, fault.From(err).Field, want)
		}
	}
}
