package server

import (
	"context"
	"fmt"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Verify proves the books and the audit log in one consistent state of the database.
// progress, when not nil, is told after every book.
func (a *App) Verify(ctx context.Context, progress func(ledger.Report)) (books ledger.Report, log audit.Report, err error) {
	err = a.DB.Snapshot(ctx, func(ctx context.Context, q storage.Queryer) error {
		if books, err = ledger.Verify(ctx, q, progress); err != nil {
			return fmt.Errorf("verify books: %w", err)
		}
		if log, err = audit.Verify(ctx, q); err != nil {
			return fmt.Errorf("verify audit log: %w", err)
		}
		return nil
	})
	return books, log, err
}
