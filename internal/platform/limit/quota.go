package limit

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Quota is a durable counter of one book for one period: "ping.checks" in "2026-09".
type Quota struct {
	Book   string
	Name   string // 1 to 100 characters
	Period string // Month, Day or any name of 1 to 32 characters
	Limit  int64
}

// Used returns how much of the quota is spent.
func Used(ctx context.Context, q storage.Queryer, quota Quota) (int64, error) {
	used, _, err := storage.One(ctx, q, storage.Scalar[int64], findQuota, quota.Book, quota.Name, quota.Period)
	if err != nil {
		return 0, fmt.Errorf("read quota %s of %s: %w", quota.Name, quota.Book, err)
	}
	return used, nil
}

// Lock returns how much of the quota is spent and keeps every other transaction from
// spending of it until tx ends, so that what is left can be shared out.
func Lock(ctx context.Context, tx *storage.Tx, quota Quota) (int64, error) {
	find := func() (int64, bool, error) {
		return storage.One(ctx, tx, storage.Scalar[int64], lockQuota, quota.Book, quota.Name, quota.Period)
	}
	used, found, err := find()
	if err == nil && !found {
		if _, err = tx.Exec(ctx, beginQuota, quota.Book, quota.Name, quota.Period); err == nil {
			used, _, err = find()
		}
	}
	if err != nil {
		return 0, fmt.Errorf("lock quota %s of %s: %w", quota.Name, quota.Book, err)
	}
	return used, nil
}

// Spend takes n, at least 1, of the quota within tx and returns what is spent then.
// It returns a fault, QuotaExceeded with the details limit and used, and takes
// nothing where that would be more than Limit.
func Spend(ctx context.Context, tx *storage.Tx, quota Quota, n int64) (int64, error) {
	if n < 1 {
		return 0, fmt.Errorf("spend quota %s of %s: %d is not positive", quota.Name, quota.Book, n)
	}
	used, found, err := storage.One(ctx, tx, storage.Scalar[int64], spendQuota, quota.Book, quota.Name, quota.Period, n, quota.Limit)
	if err != nil {
		return 0, fmt.Errorf("spend quota %s of %s: %w", quota.Name, quota.Book, err)
	}
	if found {
		return used, nil
	}
	used, err = Used(ctx, tx, quota)
	if err != nil {
		return 0, err
	}
	return used, fault.New(fault.QuotaExceeded, "the quota of %d for %s is used up", quota.Limit, quota.Period).
		With("limit", strconv.FormatInt(quota.Limit, 10)).With("used", strconv.FormatInt(used, 10))
}

// Month names the calendar month of t in UTC: "2026-09".
func Month(t time.Time) string { return t.UTC().Format("2006-01") }

// MonthEnd returns when the calendar month of t ends in UTC: the first moment of the next.
func MonthEnd(t time.Time) time.Time {
	year, month, _ := t.UTC().Date()
	return time.Date(year, month+1, 1, 0, 0, 0, 0, time.UTC)
}

// Day names the calendar day of t in UTC: "2026-09-30".
func Day(t time.Time) string { return t.UTC().Format(time.DateOnly) }
