package lite

import (
	"context"
	"sync"
	"time"

	engine "modernc.org/sqlite/lib"

	"github.com/scripcards/scrip/internal/core/clock"
)

const (
	// foldAfter is how many pages are written to the log before it is folded back.
	foldAfter = 16384
	// fewPages are folded back quickly: writers may wait for that.
	fewPages = 256
	// mostPasses bounds how often a log that grows meanwhile is folded beside its writer.
	mostPasses = 8
	// partOfRest is how much longer a log takes to be filled than its first pass.
	partOfRest = 4
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

	pace     *pace
	forget   func()          // of the pace
	hurry    func()          // ends its waiting
	rest     clock.Stopwatch // since the log was folded last
	portions int             // that the first pass wrote then
}

// NewFolder returns the folder of a database. conn becomes the folder's; failed is told when
// the disk does not confirm what it was given, after which it may have lost pages. Whatever
// else keeps the log from being folded, such as a full disk, may be over at the next try:
// what is in the log stays there until it is folded.
func NewFolder(conn *Conn, alone func(func()), failed func(error)) *Folder {
	f := &Folder{conn: conn, alone: alone, failed: failed, wake: make(chan struct{}, 1), stop: make(chan struct{}), ended: make(chan struct{}),
		rest: clock.Start(), portions: foldAfter / portion}
	hurry, end := context.WithCancel(context.Background())
	f.hurry = end
	f.pace, f.forget = newPace(conn, hurry)
	go f.run()
	return f
}

// Wake has the log folded, at once or when that is done that is under way.
func (f *Folder) Wake() {
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

// fold folds the log until little was written meanwhile, and then the rest. Beside the
// writer it takes its time, at a pace at which what the first pass writes takes a part of
// the time in which the log was filled.
func (f *Folder) fold() {
	defer func() { f.rest = clock.Start() }()
	each := f.rest.Elapsed() / partOfRest / time.Duration(max(1, f.portions))
	before := 0
	for pass := range mostPasses {
		f.pace.begin(each)
		folded, err := f.conn.Fold()
		if err != nil {
			f.failed(err)
			return
		}
		if pass == 0 {
			f.portions = f.pace.portions()
		}
		if folded-before < fewPages {
			break
		}
		before = folded
	}
	f.pace.begin(0)
	f.alone(func() {
		if _, err := f.conn.Fold(); err != nil {
			f.failed(err)
		}
	})
}

// Fold folds back what nobody reads any more, without waiting for anybody, and returns how
// many of the log's pages are folded: all that were there when it began, if nobody read.
func (c *Conn) Fold() (folded int, err error) {
	code := engine.Xsqlite3_wal_checkpoint_v2(c.tls, c.db, 0, engine.SQLITE_CHECKPOINT_PASSIVE, 0, c.out)
	if code == engine.SQLITE_OK {
		return int(*int32At(c.out)), nil
	}
	if isLost(code) {
		return 0, c.failure(code)
	}
	return 0, nil // another process folds, or the disk is full: the next time
}

// isLost reports whether the disk did not confirm what it was given.
func isLost(code int32) bool {
	return code == engine.SQLITE_IOERR_FSYNC || code == engine.SQLITE_IOERR_DIR_FSYNC
}

// IsLong reports whether the connection has written so much to the log since it was last
// asked and said so, that it is to be folded.
func (c *Conn) IsLong() bool {
	sizes := c.out
	code := engine.Xsqlite3_db_status(c.tls, c.db, engine.SQLITE_DBSTATUS_CACHE_WRITE, sizes, sizes+4, 0)
	if code != engine.SQLITE_OK || *int32At(sizes) < foldAfter {
		return false
	}
	engine.Xsqlite3_db_status(c.tls, c.db, engine.SQLITE_DBSTATUS_CACHE_WRITE, sizes, sizes+4, 1)
	return true
}
