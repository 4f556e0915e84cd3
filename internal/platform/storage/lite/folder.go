package lite

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
	"time"

	engine "modernc.org/sqlite/lib"

	"github.com/scripcards/scrip/internal/core/clock"
)

const (
	// foldAfter is how many pages are written to the log before it is folded back.
	foldAfter = 16384
	// fewPages are folded back quickly: writers may wait for that.
	fewPages = 64
	// mostLeft is how many pages writers wait for nevertheless, where somebody who read for a
	// moment kept them from being folded.
	mostLeft = 1024
	// mostPasses bounds how often a log that grows meanwhile is folded beside its writer.
	mostPasses = 8
	// speed is how many pages are folded for each that comes to the log meanwhile, if each is
	// folded once: in the time of a pass half as much comes as it folds.
	speed = 2
	// leastPart bounds what the first pass expects of a log: where readers kept most of one
	// from being folded, what was folded says little.
	leastPart = 0.125
	// mostPatience is how long writers wait for those who read from a folded log, and pause
	// how long it takes to look again.
	mostPatience = 20 * time.Millisecond
	pause        = 100 * time.Microsecond
)

// Folder folds the write-ahead log back into the database beside the connection that
// writes, so that no commit waits for a checkpoint. What was written during that is folded
// in passes that become shorter; for the last pages writers wait, since a log begins anew
// only when nothing is left in it. It is safe for concurrent use.
type Folder struct {
	conn   *Conn
	alone  func(func()) // runs a function while nobody writes
	failed func(error)
	wake   chan struct{}
	stop   chan struct{}
	ended  chan struct{}
	once   sync.Once

	after    int64         // pages, after which the log is folded
	patience time.Duration // how long writers wait for those who read from a folded log
	log      atomic.Int64  // pages that were written to it
	folded   int64         // of them, when it was last folded or found to be long; whoever writes knows

	pace   *pace
	forget func()  // of the pace
	hurry  func()  // ends its waiting
	part   float64 // of a long log's pages are those that were folded last: many are written again and again
}

// NewFolder returns the folder of a database. conn becomes the folder's; failed is told when
// the disk does not confirm what it was given, after which it may have lost pages. Whatever
// else keeps the log from being folded, such as a full disk, may be over at the next try:
// what is in the log stays there until it is folded.
func NewFolder(conn *Conn, alone func(func()), failed func(error)) *Folder {
	f := &Folder{conn: conn, alone: alone, failed: failed, wake: make(chan struct{}, 1), stop: make(chan struct{}), ended: make(chan struct{}), after: foldAfter, patience: mostPatience, part: 1}
	hurry, end := context.WithCancel(context.Background())
	f.hurry = end
	f.pace, f.forget = newPace(conn, &f.log, hurry)
	go f.run()
	return f
}

// Wrote is told, by whoever writes, how many pages a transaction wrote to the log. A log that
// has become long is folded, at once or when that is done that is under way.
func (f *Folder) Wrote(pages int) {
	log := f.log.Add(int64(pages))
	if log-f.folded < f.after {
		return
	}
	f.folded = log
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// Close waits for what is under way and closes the connection.
func (f *Folder) Close() (err error) {
	f.once.Do(func() {
		close(f.stop)
		f.hurry()
		<-f.ended
		f.forget()
		err = f.conn.Close()
	})
	return err
}

func (f *Folder) run() {
	defer close(f.ended)
	for {
		select {
		case <-f.wake:
			f.fold()
		case <-f.stop:
			return
		}
	}
}

// fold folds the log until little was written meanwhile, and then the rest. Where somebody has
// read from it for long, or another process folds it, writers do not wait for what is left:
// it is tried again when as much was written once more.
func (f *Folder) fold() {
	left, err := f.foldBeside()
	if err != nil {
		f.failed(err)
		return
	}
	if left > mostLeft {
		return
	}
	f.pace.begin(0)
	f.alone(func() {
		if err := f.beginAnew(); err != nil {
			f.failed(err)
		}
		f.folded = f.log.Load()
		select {
		case <-f.wake: // it became long meanwhile, and is not any more
		default:
		}
	})
}

// foldBeside folds beside whoever writes what was written, and what was written during that,
// until that is little. Where more was written than it folded, it goes as fast as it can; and
// where that is too slow, too, the rest is for those to wait for who write. It returns how much
// of what was there last could not be folded.
func (f *Folder) foldBeside() (left int, err error) {
	before, folded, outrun := 0, 0, false
	for pass := range mostPasses {
		switch {
		case outrun:
			f.pace.begin(0)
		case pass == 0:
			f.pace.begin(speed * f.part)
		default:
			f.pace.begin(speed)
		}
		if folded, left, err = f.conn.Fold(); err != nil {
			return 0, err
		}
		if pass == 0 && int64(folded) >= f.after {
			f.part = max(leastPart, float64(f.pace.pages)/float64(folded))
		}
		pages := folded - before
		longer := f.pace.came() > int64(pages)
		if pages < fewPages || longer && outrun {
			break
		}
		before, outrun = folded, longer
	}
	return left, f.pace.settle()
}

// beginAnew folds the rest, so that the next transaction begins the log anew. It only can
// while nobody reads from the log, as those may who began before the rest was folded; those
// who come later read from the database alone. Whoever reads for long is not waited for.
func (f *Folder) beginAnew() error {
	for watch := clock.Start(); ; {
		anew, err := f.conn.foldAll()
		if anew || err != nil || watch.Elapsed() >= f.patience || clock.Wait(f.pace.hurry, pause) != nil {
			return err
		}
	}
}

// Fold folds back what nobody reads any more, without waiting for anybody. It returns how many
// of the log's pages are folded and how many of those are not that were there when it began.
func (c *Conn) Fold() (folded, left int, err error) {
	code := engine.Xsqlite3_wal_checkpoint_v2(c.tls, c.db, 0, engine.SQLITE_CHECKPOINT_PASSIVE, c.out, c.out+4)
	if code == engine.SQLITE_OK {
		log, folded := int(*int32At(c.out)), int(*int32At(c.out + 4))
		return folded, log - folded, nil
	}
	if isLost(code) {
		return 0, 0, c.failure(code)
	}
	return 0, math.MaxInt, nil // another process folds, or the disk is full: the next time
}

// foldAll folds back all of the log, and returns whether it may begin anew: that nobody
// writes to it or reads from it now.
func (c *Conn) foldAll() (anew bool, err error) {
	code := engine.Xsqlite3_wal_checkpoint_v2(c.tls, c.db, 0, engine.SQLITE_CHECKPOINT_RESTART, c.out, 0)
	if isLost(code) {
		return false, c.failure(code)
	}
	return code == engine.SQLITE_OK, nil
}

// isLost reports whether the disk did not confirm what it was given.
func isLost(code int32) bool {
	return code == engine.SQLITE_IOERR_FSYNC || code == engine.SQLITE_IOERR_DIR_FSYNC
}

// Logged returns how many pages the connection has written to the log since it was last asked.
func (c *Conn) Logged() int {
	engine.Xsqlite3_db_status(c.tls, c.db, engine.SQLITE_DBSTATUS_CACHE_WRITE, c.out, c.out+4, 1)
	return int(*int32At(c.out))
}
