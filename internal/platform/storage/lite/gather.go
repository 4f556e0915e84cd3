package lite

import (
	"cmp"
	"encoding/binary"
	"sync"
	"unsafe"

	"modernc.org/libc"
	engine "modernc.org/sqlite/lib"
)

// The engine writes a transaction to its log in two calls of the system for each page: a
// header of 24 bytes, and the page. The files of this file system put them together, and
// write them when the transaction is whole, before the engine tells anybody of it. Whatever
// else the engine does with its files goes to the system's own file system.
const gatheringName = "gathering"

const (
	frameHeader = 24      // bytes before each page in the log
	mostGather  = 0x1ffff // bytes that are put together: as many as the system's files take at once
)

// gatherer follows the engine's own record of an open file, in the same memory. That of a
// database file knows its log, since the lock of those who write is on the database file.
type gatherer struct {
	methods engine.Tsqlite3_io_methods // what the engine calls
	system  uintptr                    // the methods of the system's files
	peer    uintptr                    // the database file's log, or the log's database file
	pace    uintptr                    // of a database file that is written at one

	// Those of a log only.
	buffer    uintptr // memory for mostGather bytes, once it is needed
	at        int64   // where in the log the buffer's content belongs
	used      int
	gathering bool  // from when the engine may write until its transaction is whole
	last      bool  // the header that was written last is that of a transaction's last page
	failed    int32 // why something of this transaction could not be written
}

type (
	openMethod     = func(tls *libc.TLS, system, name, file uintptr, flags int32, out uintptr) int32
	closeMethod    = func(tls *libc.TLS, file uintptr) int32
	transferMethod = func(tls *libc.TLS, file, content uintptr, size int32, at int64) int32
	lockMethod     = func(tls *libc.TLS, file uintptr, first, count, flags int32) int32
)

// fileSystem is the system's own, as the engine knows it.
type fileSystem struct {
	at   uintptr
	open openMethod
	size uintptr // of the record of an open file
}

// system is for use once useGathering has found it.
var system = sync.OnceValue(func() fileSystem {
	tls := libc.NewTLS()
	defer tls.Close()
	at := engine.Xsqlite3_vfs_find(tls, 0)
	own := (*engine.Tsqlite3_vfs)(memoryAt(at))
	return fileSystem{at: at, open: method[openMethod](own.FxOpen), size: uintptr(own.FszOsFile+7) &^ 7}
})

// useGathering makes the file system known to the engine. It is for once, after the engine
// has been configured.
var useGathering = sync.OnceValue(func() error {
	tls := libc.NewTLS()
	defer tls.Close()
	if code := engine.Xsqlite3_initialize(tls); code != engine.SQLITE_OK {
		return &Error{Code: int(code), Text: "initialize"}
	}
	at := libc.Xcalloc(tls, 1, libcSize(int(unsafe.Sizeof(engine.Tsqlite3_vfs{}))))
	name, err := libc.CString(gatheringName)
	if at == 0 || err != nil {
		return errMemory
	}
	own := (*engine.Tsqlite3_vfs)(memoryAt(at))
	*own = *(*engine.Tsqlite3_vfs)(memoryAt(system().at))
	own.FpNext, own.FzName = 0, name
	own.FszOsFile = int32(system().size + unsafe.Sizeof(gatherer{}))
	own.FxOpen = address(func(tls *libc.TLS, _, name, file uintptr, flags int32, out uintptr) int32 {
		code := system().open(tls, system().at, name, file, flags, out)
		if code == engine.SQLITE_OK {
			adopt(tls, name, file, flags)
		}
		return code
	})
	if code := engine.Xsqlite3_vfs_register(tls, at, 0); code != engine.SQLITE_OK {
		return &Error{Code: int(code), Text: "register the file system"}
	}
	return nil
})

// method is a function that the engine knows by its address.
func method[F any](at uintptr) F { return *(*F)(unsafe.Pointer(&at)) }

func gathererOf(file uintptr) *gatherer { return (*gatherer)(memoryAt(file + system().size)) }

func (g *gatherer) base() *engine.Tsqlite3_io_methods {
	return (*engine.Tsqlite3_io_methods)(memoryAt(g.system))
}

// adopt has the engine call this file system's methods for a database and for its log. Other
// files stay the system's.
func adopt(tls *libc.TLS, name, file uintptr, flags int32) {
	if flags&(engine.SQLITE_OPEN_MAIN_DB|engine.SQLITE_OPEN_WAL) == 0 {
		return
	}
	g, opened := gathererOf(file), (*engine.Tsqlite3_file)(memoryAt(file))
	*g = gatherer{system: opened.FpMethods}
	g.methods = *g.base()
	opened.FpMethods = uintptr(unsafe.Pointer(&g.methods))
	if flags&engine.SQLITE_OPEN_MAIN_DB != 0 {
		g.methods.FxShmLock = address(func(tls *libc.TLS, file uintptr, first, count, flags int32) int32 {
			g := gathererOf(file)
			code := method[lockMethod](g.base().FxShmLock)(tls, file, first, count, flags)
			if first == 0 && flags&engine.SQLITE_SHM_EXCLUSIVE != 0 && g.peer != 0 {
				gathererOf(g.peer).begin(flags&engine.SQLITE_SHM_LOCK != 0 && code == engine.SQLITE_OK)
			}
			return code
		})
		g.methods.FxWrite = address(func(tls *libc.TLS, file, content uintptr, size int32, at int64) int32 {
			g := gathererOf(file)
			code := method[transferMethod](g.base().FxWrite)(tls, file, content, size, at)
			if g.pace != 0 {
				(*pace)(memoryAt(g.pace)).wrote()
			}
			return code
		})
		return
	}
	g.methods.FxWrite = address(func(tls *libc.TLS, file, content uintptr, size int32, at int64) int32 {
		return gathererOf(file).put(tls, file, span{content, size, at})
	})
	g.methods.FxRead = address(func(tls *libc.TLS, file, content uintptr, size int32, at int64) int32 {
		return gathererOf(file).read(tls, file, span{content, size, at})
	})
	g.methods.FxClose = address(closeGathering)
	g.peer = engine.Xsqlite3_database_file_object(tls, name)
	gathererOf(g.peer).peer = file
}

// span is bytes in memory and where they are in the log.
type span struct {
	content uintptr
	size    int32
	at      int64
}

func (s span) bytes() []byte { return unsafe.Slice((*byte)(memoryAt(s.content)), s.size) }

// begin begins and ends gathering with the lock of those who write, the first of the locks on
// the log's index. What was gathered and not written when it ends is of a transaction that
// was undone.
func (g *gatherer) begin(gathering bool) {
	g.gathering, g.used, g.last, g.failed = gathering, 0, false, engine.SQLITE_OK
}

// put keeps headers and pages that follow each other, and writes them with the last page of a
// transaction. After it the engine may correct headers that it wrote before.
func (g *gatherer) put(tls *libc.TLS, file uintptr, s span) int32 {
	if !g.gathering {
		return g.write(tls, file, s)
	}
	if s.size == frameHeader {
		g.last = binary.BigEndian.Uint32(s.bytes()[4:]) != 0
		return g.gather(tls, file, s)
	}
	code := g.gather(tls, file, s)
	if g.last {
		g.gathering = false
		code = cmp.Or(code, g.flush(tls, file))
	}
	return code
}

// gather keeps what follows on that which is kept, and any header. Else, such as a page that
// is written again in its place, it is written at once.
func (g *gatherer) gather(tls *libc.TLS, file uintptr, s span) int32 {
	if g.used == 0 || s.at != g.at+int64(g.used) || g.used+int(s.size) > mostGather {
		if code := g.flush(tls, file); code != engine.SQLITE_OK {
			return code
		}
		if s.size != frameHeader || !g.hasBuffer(tls) {
			return g.write(tls, file, s)
		}
		g.at = s.at
	}
	g.used += copy(unsafe.Slice((*byte)(memoryAt(g.buffer)), mostGather)[g.used:], s.bytes())
	return engine.SQLITE_OK
}

// read reads what was committed, or what a transaction wrote before it is whole since it did
// not fit into the cache. What could not be written is not there to be read.
func (g *gatherer) read(tls *libc.TLS, file uintptr, s span) int32 {
	if code := g.flush(tls, file); code != engine.SQLITE_OK && s.at >= g.at {
		return code
	}
	return method[transferMethod](g.base().FxRead)(tls, file, s.content, s.size, s.at)
}

func closeGathering(tls *libc.TLS, file uintptr) int32 {
	g := gathererOf(file)
	libc.Xfree(tls, g.buffer)
	gathererOf(g.peer).peer = 0
	return method[closeMethod](g.base().FxClose)(tls, file)
}

func (g *gatherer) write(tls *libc.TLS, file uintptr, s span) int32 {
	if g.failed != engine.SQLITE_OK {
		return g.failed
	}
	return method[transferMethod](g.base().FxWrite)(tls, file, s.content, s.size, s.at)
}

// flush writes what was gathered. If that fails, nothing more of this transaction is
// written, since the engine believes that what came before it was.
func (g *gatherer) flush(tls *libc.TLS, file uintptr) int32 {
	if g.used > 0 {
		g.failed = g.write(tls, file, span{g.buffer, int32(g.used), g.at})
		g.used = 0
	}
	return g.failed
}

func (g *gatherer) hasBuffer(tls *libc.TLS) bool {
	if g.buffer == 0 {
		g.buffer = libc.Xmalloc(tls, libcSize(mostGather))
	}
	return g.buffer != 0
}

// file returns the engine's record of the connection's database file, and where that is.
func (c *Conn) file() (at uintptr, path string, err error) {
	name, err := libc.CString("main")
	if err != nil {
		return 0, "", err
	}
	defer libc.Xfree(c.tls, name)
	if code := engine.Xsqlite3_file_control(c.tls, c.db, name, engine.SQLITE_FCNTL_FILE_POINTER, c.out); code != engine.SQLITE_OK {
		return 0, "", c.failure(code)
	}
	return *pointerAt(c.out), libc.GoString(engine.Xsqlite3_db_filename(c.tls, c.db, name)), nil
}
