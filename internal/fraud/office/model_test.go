package office

import (
	"context"
	"testing"

	"github.com/scripcards/scrip/internal/fraud"
	"github.com/scripcards/scrip/internal/fraud/builtin"
	"github.com/scripcards/scrip/internal/fraud/estimator"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
)

// A model in use that cannot be read, be it damaged, of another form or for other numbers, keeps nobody from starting, and another takes its place.
func TestUnreadableModels(t *testing.T) {
	file := builtin.Bytes(fraud.Ping)
	change := func(at int) []byte {
		other := append([]byte(nil), file...)
		other[at] ^= 1
		return other
	}
	for name, data := range map[string][]byte{"damaged": change(len(file) / 2), "of another form": change(7), "for other numbers": change(10), "cut": file[:100], "empty": {}} {
		t.Run(name, func(t *testing.T) {
			testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
				s := newService(t, db)
				err := db.Write(t.Context(), func(ctx context.Context, tx *storage.Tx) error {
					if _, err := tx.Exec(ctx, advanceChange); err != nil {
						return err
					}
					return tx.Apply(ctx, []storage.Effect{
						insertModel.Row("mdl_1", string(fraud.Ping), "spring", "1", []byte("{}"), data, string(Champion), string(Builtin), "op_1", 1, 1),
						insertModel.Row("mdl_2", string(fraud.Ping), "summer", "2", []byte("{}"), data, string(Challenger), "", "op_1", 1, 1)})
				})
				if err != nil {
					t.Fatal(err)
				}
				if err := s.Refresh(t.Context()); err != nil {
					t.Fatal(err)
				}
				champion, challenger := s.judge.Models(fraud.Ping)
				if champion != s.shipped[fraud.Ping] || challenger != (*estimator.Model)(nil) {
					t.Errorf("%v and %v serve", champion, challenger)
				}
				if back, err := s.Rollback(t.Context(), Return{Kind: fraud.Ping, Actor: "op_1"}); err != nil || back.ID != Builtin {
					t.Errorf("rolled back to %+v, %v", back, err)
				}
			})
		})
	}
}
