package lite

import (
	"math"
	"sync"
	"unsafe"

	"modernc.org/libc"
	engine "modernc.org/sqlite/lib"
)

// cache is a connection's pages in memory. The engine's own cache, as it is compiled, is one
// for all connections of the process: each page that any of them looks at takes its lock,
// and a connection that must forget its pages holds it while it walks the whole table. This
// one is a connection's alone and has no lock.
//
// It lives in memory of the engine's kind, since the engine keeps its address.
type cache struct {
	pageSize, extraSize uintptr
	most                int // pages to keep, as long as not more are in use
	count, pinned       int // pages in the table, and those of them that are in use
	// No page has a number above top, and none but one that has it a number above next. The
	// engine swaps two pages by way of a number far beyond the file: without next, each
	// commit after that would look for pages to remove among all.
	top, next      uint32
	slots          uintptr // a table of *page, by the last bits of their numbers
	mask           uint32
	free           *page
	newest, oldest *page // of those that nobody uses
}

// page is one page of the file. Its first two fields are what the engine knows of it.
type page struct {
	content, extra uintptr
	number         uint32
	pinned         bool
	next           *page // in its slot, or of the free ones
	newer, older   *page
}

const (
	fewestSlots = 256
	fewestPages = 10
)

// useCaches has every connection made from now on keep its pages in a cache of its own. It
// is for once, before the first of them.
var useCaches = sync.OnceValue(func() error {
	tls := libc.NewTLS()
	defer tls.Close()
	at := libc.Xmalloc(tls, libcSize(int(unsafe.Sizeof(engine.Tsqlite3_pcache_methods2{}))))
	list := libc.NewVaList(at)
	defer libc.Xfree(tls, at)
	defer libc.Xfree(tls, list)
	if at == 0 || list == 0 {
		return errMemory
	}
	// How it begins and ends stays the engine's: what it allocates beside its pages needs that.
	if code := engine.Xsqlite3_config(tls, engine.SQLITE_CONFIG_GETPCACHE2, list); code != engine.SQLITE_OK {
		return &Error{Code: int(code), Text: "get the page cache"}
	}
	methods := (*engine.Tsqlite3_pcache_methods2)(memoryAt(at))
	methods.FxCreate = address(newCache)
	methods.FxCachesize = address(func(tls *libc.TLS, c uintptr, most int32) { cacheAt(c).resize(tls, int(most)) })
	methods.FxPagecount = address(func(_ *libc.TLS, c uintptr) int32 { return int32(cacheAt(c).count) })
	methods.FxFetch = address(func(tls *libc.TLS, c uintptr, number uint32, make int32) uintptr {
		return uintptr(unsafe.Pointer(cacheAt(c).fetch(tls, number, make)))
	})
	methods.FxUnpin = address(func(tls *libc.TLS, c, p uintptr, discard int32) { cacheAt(c).unpin(tls, pageAt(p), discard != 0) })
	methods.FxRekey = address(func(_ *libc.TLS, c, p uintptr, _, number uint32) { cacheAt(c).renumber(pageAt(p), number) })
	methods.FxTruncate = address(func(tls *libc.TLS, c uintptr, from uint32) { cacheAt(c).truncate(tls, from) })
	methods.FxDestroy = address(func(tls *libc.TLS, c uintptr) { cacheAt(c).destroy(tls) })
	methods.FxShrink = address(func(tls *libc.TLS, c uintptr) { cacheAt(c).shrink(tls, 0) })
	if code := engine.Xsqlite3_config(tls, engine.SQLITE_CONFIG_PCACHE2, list); code != engine.SQLITE_OK {
		return &Error{Code: int(code), Text: "set the page cache"}
	}
	return nil
})

// address is how the engine knows a function that lasts as long as the program.
func address[F any](f F) uintptr { return *(*uintptr)(unsafe.Pointer(&f)) }

func cacheAt(at uintptr) *cache { return (*cache)(memoryAt(at)) }

func pageAt(at uintptr) *page { return (*page)(memoryAt(at)) }

// newCache returns 0 when there is no memory. What is not purgeable is nowhere else: it is
// kept whatever its number.
func newCache(tls *libc.TLS, pageSize, extraSize, purgeable int32) uintptr {
	at := libc.Xcalloc(tls, 1, libcSize(int(unsafe.Sizeof(cache{}))))
	if at == 0 {
		return 0
	}
	c := cacheAt(at)
	c.pageSize, c.extraSize, c.most = uintptr(pageSize), uintptr(extraSize), fewestPages
	if purgeable == 0 {
		c.most = math.MaxInt
	}
	if !c.spread(tls, fewestSlots) {
		libc.Xfree(tls, at)
		return 0
	}
	return at
}

func (c *cache) table() []*page { return unsafe.Slice((**page)(memoryAt(c.slots)), int(c.mask)+1) }

// spread gives the table size slots, a power of two. It keeps the one it has where there is
// no memory for another.
func (c *cache) spread(tls *libc.TLS, size int) bool {
	slots := libc.Xcalloc(tls, libcSize(size), libcSize(pointerSize))
	if slots == 0 {
		return c.slots != 0
	}
	before := *c
	c.slots, c.mask = slots, uint32(size-1)
	if before.slots == 0 {
		return true
	}
	for _, first := range before.table() {
		for p := first; p != nil; {
			next := p.next
			c.link(p)
			p = next
		}
	}
	libc.Xfree(tls, before.slots)
	return true
}

func (c *cache) link(p *page) {
	slot := &c.table()[p.number&c.mask]
	p.next, *slot = *slot, p
}

func (c *cache) unlink(p *page) {
	at := &c.table()[p.number&c.mask]
	for *at != p {
		at = &(*at).next
	}
	*at = p.next
}

// fetch returns a page, for the caller's use until it unpins it. If it is not there, nil for
// make 0; for 1 a new one, unless nearly all are in use, so that the engine writes some of
// them first; and for 2 a new one if there is memory.
func (c *cache) fetch(tls *libc.TLS, number uint32, make int32) *page {
	for p := c.table()[number&c.mask]; p != nil; p = p.next {
		if p.number == number {
			c.pin(p)
			return p
		}
	}
	if make == 0 || make == 1 && c.pinned >= max(fewestPages, c.most/10*9) {
		return nil
	}
	p := c.room(tls)
	if p == nil {
		return nil
	}
	if c.count > int(c.mask) {
		c.spread(tls, 2*(int(c.mask)+1))
	}
	p.number, p.pinned = number, true
	*pointerAt(p.extra) = 0 // so the engine knows that it is new
	c.link(p)
	c.count++
	c.pinned++
	c.bound(number)
	return p
}

// room returns a page that is not in the table.
func (c *cache) room(tls *libc.TLS) *page {
	if c.count >= c.most && c.oldest != nil {
		c.remove(tls, c.oldest)
	}
	if p := c.free; p != nil {
		c.free = p.next
		return p
	}
	const head = unsafe.Sizeof(page{})
	at := libc.Xmalloc(tls, libcSize(int(head+c.pageSize+c.extraSize)))
	if at == 0 {
		return nil
	}
	p := pageAt(at)
	*p = page{content: at + head, extra: at + head + c.pageSize}
	return p
}

func (c *cache) pin(p *page) {
	if p.pinned {
		return
	}
	p.pinned = true
	c.pinned++
	c.dequeue(p)
}

// dequeue takes a page out of those that nobody uses.
func (c *cache) dequeue(p *page) {
	if p.newer == nil {
		c.newest = p.older
	} else {
		p.newer.older = p.older
	}
	if p.older == nil {
		c.oldest = p.newer
	} else {
		p.older.newer = p.newer
	}
	p.newer, p.older = nil, nil
}

// unpin ends the use of a page.
func (c *cache) unpin(tls *libc.TLS, p *page, discard bool) {
	if discard || c.count > c.most {
		c.remove(tls, p)
		return
	}
	p.pinned = false
	c.pinned--
	if p.older = c.newest; p.older == nil {
		c.oldest = p
	} else {
		p.older.newer = p
	}
	c.newest = p
}

// remove takes a page out of the table, in use or not, and keeps its memory if there is
// room for more pages.
func (c *cache) remove(tls *libc.TLS, p *page) {
	c.unlink(p)
	if p.pinned {
		c.pinned--
	} else {
		c.dequeue(p)
	}
	if c.count--; c.count >= c.most {
		libc.Xfree(tls, uintptr(unsafe.Pointer(p)))
		return
	}
	p.next, c.free = c.free, p
}

func (c *cache) renumber(p *page, number uint32) {
	c.unlink(p)
	if p.number == c.top {
		c.top = c.next
	}
	p.number = number
	c.link(p)
	c.bound(number)
}

// bound keeps the bounds of numbers when there is a page with this one.
func (c *cache) bound(number uint32) {
	if number > c.top {
		c.top, number = number, c.top
	}
	c.next = max(c.next, number)
}

// truncate removes the pages from a number on, those in use too.
func (c *cache) truncate(tls *libc.TLS, from uint32) {
	if from > c.top {
		return
	}
	inUse := c.pinned
	for p := c.newest; p != nil; {
		older := p.older
		if p.number >= from {
			c.remove(tls, p)
		}
		p = older
	}
	for i := 0; inUse > 0 && i <= int(c.mask); i++ {
		for p := c.table()[i]; p != nil; {
			next := p.next
			if p.pinned {
				inUse--
				if p.number >= from {
					c.remove(tls, p)
				}
			}
			p = next
		}
	}
	c.top = max(from, 1) - 1
	c.next = min(c.next, c.top)
}

// resize sets how many pages are kept.
func (c *cache) resize(tls *libc.TLS, most int) {
	if c.most == math.MaxInt {
		return
	}
	c.most = max(most, fewestPages)
	c.shrink(tls, c.most)
}

// shrink removes pages that nobody uses, the oldest first, until there are no more than
// most, and gives back what is free.
func (c *cache) shrink(tls *libc.TLS, most int) {
	if c.most == math.MaxInt {
		return
	}
	for c.count > most && c.oldest != nil {
		c.remove(tls, c.oldest)
	}
	for c.free != nil {
		p := c.free
		c.free = p.next
		libc.Xfree(tls, uintptr(unsafe.Pointer(p)))
	}
}

func (c *cache) destroy(tls *libc.TLS) {
	c.truncate(tls, 0)
	c.most = 0
	c.shrink(tls, 0)
	libc.Xfree(tls, c.slots)
	libc.Xfree(tls, uintptr(unsafe.Pointer(c)))
}
