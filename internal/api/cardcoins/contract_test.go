package cardcoins_test

import (
	"testing"

	"github.com/scripcards/scrip/internal/api/wiretest"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
)

// Routes, structs and error table say what the OpenAPI document says.
func TestDocument(t *testing.T) {
	f := setup(t, testkit.Open(t, testkit.Database(t, "sqlite")))
	document := wiretest.Published(t, "cardcoins")
	wiretest.CheckTable(t, f.surface.Table())
	wiretest.CheckOpenAPI(t, document, wiretest.Contract{Routes: f.surface.Routes(), Table: f.surface.Table(), Data: "data"})
}

// The document is complete, and shows every refusal that any call may get.
func TestDocumentIsComplete(t *testing.T) {
	f := setup(t, testkit.Open(t, testkit.Database(t, "sqlite")))
	wiretest.CheckComplete(t, wiretest.Published(t, "cardcoins"), f.surface.Routes(), wiretest.Completeness{Examples: true, Statuses: []int{400, 403, 404, 500, 503}})
}

// The statuses are the published ones, and fit what kind of failure it is.
func TestStatusesFitKinds(t *testing.T) {
	f := setup(t, testkit.Open(t, testkit.Database(t, "sqlite")))
	wiretest.CheckKinds(t, f.surface.Table(), map[fault.Kind][]int{
		fault.KindInvalid: {400, 403}, fault.KindUnauthenticated: {403}, fault.KindForbidden: {403, 503}, fault.KindNotFound: {404},
		fault.KindConflict: {403}, fault.KindPrecondition: {400, 403}, fault.KindLimit: {403}, fault.KindUnavailable: {503}, fault.KindInternal: {500},
	})
}

// The golden files are played on both engines, and leave books that add up and a log without mistakes.
func TestGoldens(t *testing.T) {
	wiretest.RunAll(t, wiretest.Published(t, "cardcoins"), func(t *testing.T, db *storage.DB) wiretest.Golden {
		f := setup(t, db)
		f.Fixed("4321")
		t.Cleanup(func() {
			if f.Log.Len() > 0 {
				t.Errorf("the log is not empty: %s", f.Log)
			}
		})
		return f.golden()
	})
}

// No route is without a golden success, and no status without a golden refusal.
func TestGoldensCover(t *testing.T) {
	f := setup(t, testkit.Open(t, testkit.Database(t, "sqlite")))
	wiretest.CheckCover(t, wiretest.Cover{Routes: f.surface.Routes(), Refusals: []string{"400", "403", "404", "503"}})
}
