// Package flush puts commits on disk apart from making them, so that one commit is made
// while the disk works on the one before.
//
// Flusher folds: one flush serves every commit made before it began. Log is SQLite's
// write-ahead log, flushed beside the engine. A log that failed once stays failed, and one whose
// files were taken from their place has failed.
package flush

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
)

// Flusher tells commits when they are on disk. It is safe for concurrent use.
type Flusher struct {
	flush   func() error
	waiting chan func(error)
	ended   chan struct{}

	closing sync.RWMutex
	closed  bool
}

var errClosed = errors.New("the database was closed before the disk had it")

// queueLength bounds the commits that wait for the disk; a writer waits for room.
const queueLength = 256

// New returns a flusher. flush returns when everything committed before its call is on disk.
func New(flush func() error) *Flusher {
	f := &Flusher{flush: flush, waiting: make(chan func(error), queueLength), ended: make(chan struct{})}
	go f.run()
	return f
}

// Add has durable called once, mostly from the flusher's goroutine: with nil when what
// was committed before now is on disk. It must not block.
func (f *Flusher) Add(durable func(error)) {
	f.closing.RLock()
	defer f.closing.RUnlock()
	if f.closed {
		durable(errClosed)
		return
	}
	f.waiting <- durable
}

// Close serves those that wait and ends. What is added later is told that it is too late.
func (f *Flusher) Close() {
	f.closing.Lock()
	f.closed = true
	f.closing.Unlock()
	close(f.waiting)
	<-f.ended
}

func (f *Flusher) run() {
	defer close(f.ended)
	for first := range f.waiting {
		batch := f.with(first)
		err := f.flush()
		for _, durable := range batch {
			durable(err)
		}
	}
}

// with returns first and whoever waits already, in order.
func (f *Flusher) with(first func(error)) []func(error) {
	batch := []func(error){first}
	for {
		select {
		case durable, ok := <-f.waiting:
			if !ok {
				return batch
			}
			batch = append(batch, durable)
		default:
			return batch
		}
	}
}

// ErrBroken says that the disk refused a flush. What the engine shows may then not be
// what is stored, so nothing more may be written by this process.
var ErrBroken = errors.New("the disk did not take a commit; restart once it is mended")

// ErrMoved says that whoever opens the database now finds other files than those that are
// open, or none: what is written to these would be lost with this process.
var ErrMoved = errors.New("the files of the database were deleted or exchanged while they were open: nothing more is written; put them into their place and restart")

// Log is SQLite's write-ahead log, opened beside the engine. The engine's locks are on
// other files, so closing this one does not lose them, and the log lasts as long as the
// engine has a connection. Sync is for one goroutine.
type Log struct {
	path     string
	file     *os.File // nil until there is a log
	database *place
	log      atomic.Pointer[place] // nil until the file is open
	failed   atomic.Pointer[error]
	sync     func(*os.File) error
}

// place is where a file was when it was opened.
type place struct {
	path string
	is   os.FileInfo
}

func find(path string) (*place, error) {
	is, err := os.Stat(path)
	return &place{path, is}, err
}

// moved reports whether the file is not there any more. Where the system does not tell, it is.
func (p *place) moved() bool {
	if p == nil {
		return false
	}
	is, err := os.Stat(p.path)
	if err != nil {
		return errors.Is(err, fs.ErrNotExist)
	}
	return !os.SameFile(is, p.is)
}

// NewLog returns the log at path of the database file that is open. Where the engine has not made
// it yet, it is looked for at the first Sync.
func NewLog(path, database string) (*Log, error) {
	at, err := find(database)
	if err != nil {
		return nil, err
	}
	l := &Log{path: path, database: at, sync: dataSync}
	if err := l.open(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return l, nil
}

func (l *Log) open() error {
	file, err := os.OpenFile(l.path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	is, err := file.Stat()
	if err != nil {
		return errors.Join(err, file.Close())
	}
	l.file = file
	l.log.Store(&place{l.path, is})
	return nil
}

// Sync returns when everything written to the log before is on disk, in the place where it
// will be looked for. After a failure it never succeeds again: the kernel may have dropped
// what it could not write.
func (l *Log) Sync() error {
	if err := l.Failed(); err != nil {
		return err
	}
	if err := l.try(); err != nil {
		l.Break(err)
		return l.Failed()
	}
	return l.Look()
}

// Break notes that the disk refused what it must not lose: nothing is written any more.
func (l *Log) Break(err error) {
	err = fmt.Errorf("%w: %w", ErrBroken, err)
	l.failed.CompareAndSwap(nil, &err)
}

// Look returns what Failed does, after it has looked whether the files are in their place.
func (l *Log) Look() error {
	if l.database.moved() || l.log.Load().moved() {
		err := ErrMoved
		l.failed.CompareAndSwap(nil, &err)
	}
	return l.Failed()
}

func (l *Log) try() error {
	if l.file == nil {
		if err := l.open(); err != nil {
			return err
		}
	}
	return l.sync(l.file)
}

// Failed returns why nothing more may be written, or nil.
func (l *Log) Failed() error {
	if err := l.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// Close ends the use of the log, when Sync is not under way.
func (l *Log) Close() error {
	if l.file == nil {
		return nil
	}
	return l.file.Close()
}
