package ledger

import (
	"context"
	"fmt"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// sweepSize bounds the holds that one sweep ends in each realm.
const sweepSize = 500

// ExpireHolds ends the holds that are due, by the clock of each realm, and returns
// how many it ended. A background job calls it; calling it twice at once is harmless.
func (l *Ledger) ExpireHolds(ctx context.Context) (int, error) {
	ended := 0
	for _, r := range realm.All() {
		now := l.clocks.Now(r)
		due, err := storage.All(ctx, l.db, scanHold, dueHolds, storage.Micros(now), string(r), sweepSize)
		if err != nil {
			return ended, err
		}
		for _, h := range due {
			outcome, err := l.Submit(ctx, Operation{Book: h.Book, Kind: "hold.expire", Key: "hold.expire/" + string(h.ID),
				Reference: string(h.ID), At: now, Holds: []HoldChange{{Action: Expire, ID: h.ID}}})
			switch fault.CodeOf(err) {
			case "":
				if !outcome.Replayed {
					ended++
				}
			case fault.HoldEnded: // captured or released since it was listed
			default:
				return ended, fmt.Errorf("expire hold %s: %w", h.ID, err)
			}
		}
	}
	return ended, nil
}
