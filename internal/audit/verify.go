package audit

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"

	"github.com/scripcards/scrip/internal/platform/storage"
)

// maxBreaks bounds the broken chains that a report names.
const maxBreaks = 100

// Break is the first record of a chain that is not what was appended.
type Break struct {
	Book   string
	Seq    int64
	Reason string
}

// String says where the chain is broken and how.
func (b Break) String() string {
	return fmt.Sprintf("audit record %d of book %q: %s", b.Seq, b.Book, b.Reason)
}

// Report is what Verify found.
type Report struct {
	// Chains and Records count what was read.
	Chains, Records int64
	// Breaks names the first broken record of each broken chain, at most 100 of them.
	Breaks []Break
	// Digest covers the end of every chain: as long as nothing is appended it stays
	// the same, and it differs if history was rewritten and hashed anew.
	Digest [sha256.Size]byte
}

// Verify hashes every chain anew, record by record in bounded memory, and names
// the first broken record of each. The error is about reading; what is broken is
// in the report. Give it a snapshot to compare it with other reports.
func Verify(ctx context.Context, q storage.Queryer) (Report, error) {
	w := walk{digest: sha256.New()}
	none := []byte{} // stands for the hash of a head that is gone
	if err := storage.Each(ctx, q, scanLink, w.next, walkChains, none); err != nil {
		return Report{}, fmt.Errorf("verify audit log: %w", err)
	}
	w.endChain()
	emptied, err := storage.All(ctx, q, storage.Scalar[string], listEmptied, maxBreaks)
	if err != nil {
		return Report{}, fmt.Errorf("verify audit log: %w", err)
	}
	for _, book := range emptied {
		w.report.Chains++
		w.broken(book, 1, "is missing, and so are all after it")
	}
	w.digest.Sum(w.report.Digest[:0])
	return w.report, nil
}

// walk follows the records of one book after the other.
type walk struct {
	report Report
	digest hash.Hash
	open   bool // inside a chain
	book   string
	last   head // the latest record that was read
	want   head // the end that the chain should have
	failed bool // this chain's first break is named already
}

func (w *walk) next(l link) error {
	if !w.open || l.book != w.book {
		w.endChain()
		w.open, w.book, w.last, w.want, w.failed = true, l.book, head{}, l.head, false
		w.report.Chains++
	}
	w.report.Records++
	hash := l.chain(w.last.hash)
	switch {
	case w.failed:
	case l.seq != w.last.seq+1:
		w.broken(l.book, w.last.seq+1, "is missing")
	case !bytes.Equal(hash[:], l.hash):
		w.broken(l.book, l.seq, "was changed, or the hash before it was")
	}
	w.last = head{seq: l.seq, hash: l.hash}
	return nil
}

// endChain compares the last record that was read with the head that is kept.
func (w *walk) endChain() {
	if !w.open {
		return
	}
	size := binary.BigEndian.AppendUint64(nil, uint64(len(w.book)))
	seq := binary.BigEndian.AppendUint64(nil, uint64(w.last.seq))
	for _, part := range [][]byte{size, []byte(w.book), seq, w.last.hash} {
		_, _ = w.digest.Write(part) // a hash never returns an error
	}
	switch {
	case w.failed:
	case w.want.seq > w.last.seq:
		w.broken(w.book, w.last.seq+1, "is missing")
	case w.want.seq < w.last.seq:
		w.broken(w.book, w.want.seq+1, "is beyond the end that is kept for its chain")
	case !bytes.Equal(w.want.hash, w.last.hash):
		w.broken(w.book, w.last.seq, "is not the end that is kept for its chain")
	}
}

func (w *walk) broken(book string, seq int64, reason string) {
	w.failed = true
	if len(w.report.Breaks) < maxBreaks {
		w.report.Breaks = append(w.report.Breaks, Break{Book: book, Seq: seq, Reason: reason})
	}
}
