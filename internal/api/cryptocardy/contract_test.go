package cryptocardy_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/api/wiretest"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/spec"
)

func contract(t testing.TB) []byte {
	t.Helper()
	text, ok := spec.Document("cryptocardy")
	if !ok {
		t.Fatal("there is no cryptocardy/openapi.yaml")
	}
	return text
}

func loaded(t testing.TB) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(contract(t))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// newSurface is the dialect over an empty database of the embedded engine.
func newSurface(t testing.TB) *wire.Surface[account.Principal] {
	t.Helper()
	return setup(t, testkit.Open(t, testkit.Database(t, "sqlite"))).surface
}

// Routes, structs and error table say what the OpenAPI document says.
func TestDocument(t *testing.T) {
	s := newSurface(t)
	wiretest.CheckTable(t, s.Table())
	wiretest.CheckOpenAPI(t, contract(t), wiretest.Contract{Routes: s.Routes(), Table: s.Table(), ErrorCode: "error"})
}

// The document calls every operation by its route's name, says what it does, shows
// examples and every refusal that any call may get, and whether it can be repeated; every
// member of every schema has a description.
func TestDocumentIsComplete(t *testing.T) {
	doc := loaded(t)
	for _, r := range newSurface(t).Routes() {
		op := doc.Paths.Value(strings.TrimSuffix(strings.TrimPrefix(r.Path, "/v1"), "{$}")).GetOperation(r.Method)
		if op.OperationID != r.Name || op.Summary == "" || op.Description == "" || len(op.Tags) != 1 {
			t.Errorf("%s: the operation needs its id, a summary, a description and one tag", r.Name)
		}
		if op.RequestBody != nil && op.RequestBody.Value.Content.Get("application/json").Example == nil {
			t.Errorf("%s: the request has no example", r.Name)
		}
		if r.Out != reflect.TypeFor[wire.File]() && op.Responses.Status(r.Status).Value.Content.Get("application/json").Example == nil {
			t.Errorf("%s: the answer has no example", r.Name)
		}
		repeatable := slices.ContainsFunc(op.Parameters, func(p *openapi3.ParameterRef) bool { return p.Value.Name == "X-Idempotency-Key" })
		if repeatable != r.Idempotent || repeatable != (r.Method != http.MethodGet) {
			t.Errorf("%s: X-Idempotency-Key is documented %t, read %t", r.Name, repeatable, r.Idempotent)
		}
		checkAnswers(t, r, op)
	}
	for name, ref := range doc.Components.Schemas {
		for member, property := range ref.Value.Properties {
			if property.Value.Description == "" {
				t.Errorf("schema %s: %s has no description", name, member)
			}
		}
	}
}

// checkAnswers asks for the refusals that any call may get, and that all answers name their request.
func checkAnswers(t *testing.T, r wire.Route, op *openapi3.Operation) {
	t.Helper()
	for _, status := range []int{400, 401, 404, 405, 429, 500, 503} {
		if op.Responses.Status(status) == nil && !(r.Public && status == 401) {
			t.Errorf("%s: the document has no response %d", r.Name, status)
		}
	}
	for status, ref := range op.Responses.Map() {
		if ref.Value.Headers["X-Request-Id"] == nil {
			t.Errorf("%s: response %s is without X-Request-Id", r.Name, status)
		}
	}
}

// errorRow is a row of the document's table of errors: word, status, meaning, what to do.
var errorRow = regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| ([0-9]{3}) \\| ([^|]+) \\| ([^|]+) \\|$")

// The document explains every word and status that can be answered, and no other; the
// published ones are among them.
func TestDocumentExplainsErrors(t *testing.T) {
	rows := map[string]bool{}
	for _, v := range newSurface(t).Table() {
		rows[fmt.Sprint(v.Code, " ", v.Status)] = true
	}
	want := slices.Sorted(maps.Keys(rows))
	var got []string
	for _, row := range errorRow.FindAllStringSubmatch(loaded(t).Info.Description, -1) {
		got = append(got, row[1]+" "+row[2])
	}
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("words and statuses (-table +document):\n%s", diff)
	}
	for _, published := range []string{"insufficient_funds 400", "invalid_request 400", "invalid_amount 400", "invalid_state 400", "idempotency_conflict 400",
		"invalid_seed 401", "not_found 404", "rate_limited 429", "internal_error 500"} {
		if !slices.Contains(got, published) {
			t.Errorf("the published %s is missing", published)
		}
	}
}

// The statuses are the published ones, 405 for another method, and 500 and 503 for what is
// not the caller's fault; no row says something else than its kind.
func TestStatusesFitKinds(t *testing.T) {
	fits := map[fault.Kind][]int{
		fault.KindInvalid: {400, 405}, fault.KindUnauthenticated: {401}, fault.KindForbidden: {401, 404}, fault.KindNotFound: {404},
		fault.KindConflict: {400}, fault.KindPrecondition: {400}, fault.KindLimit: {400, 429}, fault.KindUnavailable: {503}, fault.KindInternal: {500},
	}
	for code, v := range newSurface(t).Table() {
		if !slices.Contains(fits[code.Kind()], v.Status) {
			t.Errorf("%s, which is %s, has status %d", code, code.Kind(), v.Status)
		}
	}
}

// The document's signing example is right, by an implementation of its own.
func TestDocumentedSignature(t *testing.T) {
	const body = `{"id":"evt_1","type":"card.funded"}`
	want := signature("whsec_example", body)
	if text := loaded(t).Info.Description; !strings.Contains(text, want) || !strings.Contains(text, body) {
		t.Errorf("the description does not hold %s", want)
	}
}

// signature is the published one: the hex HMAC-SHA256 of the body.
func signature(secret, body string) string {
	sum := hmac.New(sha256.New, []byte(secret))
	sum.Write([]byte(body))
	return hex.EncodeToString(sum.Sum(nil))
}

// Seeded hostile requests never end in a mistake of ours, and every refusal fits the document.
func TestHostileRequests(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		b.Take = func(_ context.Context, _ string, windows []wire.Window, _ int) (wire.Decision, error) {
			return wire.Decision{Allowed: true, Limit: windows[0].Limit, Remaining: windows[0].Limit}, nil
		}
		b.mount()
		made := b.create(`{"bin_id":"491653","amount":100}`)
		wiretest.FuzzSurface(t, wiretest.Attack{Document: contract(t), Handler: b.handler, Seed: 20261121, Rounds: 40, Allowed: []int{503},
			Prepare: func(r *http.Request, _ []byte) {
				r.Header.Set("X-Seed", b.seeds["acme"])
				r.URL.Path = strings.Replace(r.URL.Path, "card_01kf3v8q5tfzk9w2m7x4c6n0ab", made, 1)
			}})
		b.quiet()
		b.verified()
	})
}
