package limit

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/scripcards/scrip/internal/platform/storage"
)

// blocks is the penalty box as this process knows it.
type blocks struct {
	mu     sync.RWMutex
	until  map[string]block // by subject; a lifted block stays, so that an older row does not bring it back
	latest int64            // written_at of the newest row seen
	read   int64            // when rows were last read; 0: never
	busy   bool             // rows are being read
}

const (
	maxBlocks    = 1 << 16
	blockSample  = 16
	blockPage    = 1000
	blockPages   = 100
	refreshEvery = 2 * time.Second
	// overlap reads rows again that may have been committed late or by a slow clock.
	overlap = 30 * time.Second
)

// Block puts subject into the penalty box until the given time, at once in this
// process and within seconds in the others. A time that is over lifts a block. The
// block holds in this process even when an error says that it could not be stored.
func (l *Limiter) Block(ctx context.Context, subject string, until time.Time) error {
	if subject == "" || len(subject) > MaxSubject {
		return fmt.Errorf("block: want a subject of 1 to %d bytes, not %d", MaxSubject, len(subject))
	}
	end := int64(0)
	if !until.IsZero() {
		end = storage.Micros(until)
	}
	now := storage.Micros(l.clock.Now())
	l.blocks.mu.Lock()
	l.blocks.put(block{subject: subject, until: end, written: now})
	l.blocks.mu.Unlock()
	err := l.db.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		return tx.ExecRows(ctx, writeBlock, [][]any{{subject, end, now}})
	})
	if err != nil {
		return fmt.Errorf("block %s: %w", subject, err)
	}
	return nil
}

// Blocked returns when subject leaves the penalty box, and whether it is in there.
func (l *Limiter) Blocked(ctx context.Context, subject string) (until time.Time, blocked bool) {
	now := storage.Micros(l.clock.Now())
	l.blocks.mu.RLock()
	end := l.blocks.until[subject].until
	stale := !l.blocks.busy && (l.blocks.read == 0 || l.shared && (now-l.blocks.read > refreshEvery.Microseconds() || now < l.blocks.read))
	l.blocks.mu.RUnlock()
	if stale {
		l.refreshSoon(ctx, now)
	}
	if end <= now {
		return time.Time{}, false
	}
	return storage.Time(end), true
}

// refreshSoon reads others' blocks in the background, once at a time.
func (l *Limiter) refreshSoon(ctx context.Context, now int64) {
	l.blocks.mu.Lock()
	defer l.blocks.mu.Unlock()
	if l.blocks.busy {
		return
	}
	l.blocks.busy, l.blocks.read = true, now
	ctx = context.WithoutCancel(ctx)
	l.tasks.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, leaseTimeout)
		defer cancel()
		err := l.Refresh(ctx)
		l.blocks.mu.Lock()
		defer l.blocks.mu.Unlock()
		l.blocks.busy = false
		if err != nil && !l.shared {
			l.blocks.read = 0 // where it is shared it is tried again in any case
		}
	})
}

// Refresh reads the blocks that were stored since the last time. Blocked sees to it
// by itself; a program that starts may call it first, so as to begin with all of them.
func (l *Limiter) Refresh(ctx context.Context) error {
	l.blocks.mu.RLock()
	after := block{written: l.blocks.latest - overlap.Microseconds()}
	l.blocks.mu.RUnlock()
	for range blockPages {
		page, err := storage.All(ctx, l.db, scanBlock, listBlocks, after.written, after.subject, blockPage)
		if err != nil {
			return fmt.Errorf("refresh blocks: %w", err)
		}
		l.blocks.learn(page, storage.Micros(l.clock.Now()))
		if len(page) < blockPage {
			return nil
		}
		after = page[len(page)-1]
	}
	return nil
}

func (b *blocks) learn(page []block, now int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range page {
		b.put(page[i])
		b.latest = max(b.latest, page[i].written)
	}
	b.read = now
}

// put notes a block unless a newer one is known. Where there is no room, what ends
// soonest among a few goes. The caller holds the lock.
func (b *blocks) put(new block) {
	known, found := b.until[new.subject]
	if found && known.written > new.written {
		return
	}
	if !found && len(b.until) >= maxBlocks {
		var victim *block
		left := blockSample
		for _, one := range b.until {
			if victim == nil || one.until < victim.until {
				victim = &one
			}
			if left--; left == 0 {
				break
			}
		}
		delete(b.until, victim.subject)
	}
	new.subject = strings.Clone(new.subject)
	b.until[new.subject] = new
}
