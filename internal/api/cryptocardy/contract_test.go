package cryptocardy_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/api/wiretest"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
)

func contract(t testing.TB) []byte { return wiretest.Published(t, "cryptocardy") }

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

// The document is complete, shows every refusal that any call may get, and says whether a
// call can be repeated; all answers name their request.
func TestDocumentIsComplete(t *testing.T) {
	wiretest.CheckComplete(t, contract(t), newSurface(t).Routes(), wiretest.Completeness{
		Examples: true,
		Statuses: []int{400, 401, 404, 405, 429, 500, 503},
		Headers:  []string{"X-Request-Id"},
		Also: func(r wire.Route, op *openapi3.Operation) {
			repeatable := slices.ContainsFunc(op.Parameters, func(p *openapi3.ParameterRef) bool { return p.Value.Name == "X-Idempotency-Key" })
			if repeatable != r.Idempotent || repeatable != (r.Method != http.MethodGet) {
				t.Errorf("%s: X-Idempotency-Key is documented %t, read %t", r.Name, repeatable, r.Idempotent)
			}
		},
	})
}

// The document explains every word and status that can be answered, and no other; the
// published ones are among them.
func TestDocumentExplainsErrors(t *testing.T) {
	wiretest.CheckExplained(t, contract(t), newSurface(t).Table(),
		"insufficient_funds 400", "invalid_request 400", "invalid_amount 400", "invalid_state 400", "idempotency_conflict 400",
		"invalid_seed 401", "not_found 404", "rate_limited 429", "internal_error 500")
}

// The statuses are the published ones, 405 for another method, and 500 and 503 for what is
// not the caller's fault; no row says something else than its kind.
func TestStatusesFitKinds(t *testing.T) {
	wiretest.CheckKinds(t, newSurface(t).Table(), map[fault.Kind][]int{
		fault.KindInvalid: {400, 405}, fault.KindUnauthenticated: {401}, fault.KindForbidden: {401, 404}, fault.KindNotFound: {404},
		fault.KindConflict: {400}, fault.KindPrecondition: {400}, fault.KindLimit: {400, 429}, fault.KindUnavailable: {503}, fault.KindInternal: {500},
	})
}

// The document's signing example is right, by an implementation of its own.
func TestDocumentedSignature(t *testing.T) {
	const body = `{"id":"evt_1","type":"card.funded"}`
	want := signature("whsec_example", body)
	if text := wiretest.Load(t, contract(t)).OpenAPI.Info.Description; !strings.Contains(text, want) || !strings.Contains(text, body) {
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
