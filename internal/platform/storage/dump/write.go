package dump

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"time"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Write writes a backup of one consistent state of db to w and returns its manifest.
// It holds one chunk in memory. On SQLite the log grows by what is written meanwhile.
func Write(ctx context.Context, db *storage.DB, w io.Writer, o Options) (Manifest, error) {
	if o.Clock == nil {
		o.Clock = clock.System()
	}
	b := &builder{archive: newArchive(w), options: &o, lines: newStream()}
	b.manifest = Manifest{Format: Format, CreatedAt: o.Clock.Now(), Engine: db.Engine()}
	if err := db.Snapshot(ctx, b.run); err != nil {
		return Manifest{}, fmt.Errorf("back up: %w", err)
	}
	return b.manifest, nil
}

// archive is a tar archive that hashes what it writes.
type archive struct {
	to  io.Writer
	sum hash.Hash
	tar *tar.Writer
}

func newArchive(w io.Writer) *archive {
	sum := sha256.New()
	return &archive{to: w, sum: sum, tar: tar.NewWriter(io.MultiWriter(w, sum))}
}

// header gives every entry the same owner and time, so that only contents differ.
func header(name string, size int) *tar.Header {
	return &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(size), Mode: 0o600, ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR}
}

func (a *archive) add(name string, content []byte) error {
	if err := a.tar.WriteHeader(header(name, len(content))); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if _, err := a.tar.Write(content); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// close ends the archive with the hash of everything before.
func (a *archive) close() error {
	if err := a.tar.Flush(); err != nil {
		return err
	}
	end, err := seal(a.sum.Sum(nil))
	if err != nil {
		return err
	}
	_, err = a.to.Write(end)
	return err
}

// sealBytes is how long what seal returns is: a header, a block and the two empty blocks at a tar's end.
const sealBytes = 4 * 512

// seal returns a backup's last bytes: the entry with the hash, and the archive's end.
func seal(sum []byte) ([]byte, error) {
	var end bytes.Buffer
	a := tar.NewWriter(&end)
	text := hex.EncodeToString(sum) + "\n"
	if err := a.WriteHeader(header("SHA256", len(text))); err != nil {
		return nil, err
	}
	if _, err := io.WriteString(a, text); err != nil {
		return nil, err
	}
	if err := a.Close(); err != nil {
		return nil, err
	}
	return end.Bytes(), nil
}

// stream is one table's lines: those of the open chunk, and the count and hash of all.
type stream struct {
	lines []byte
	rows  int64
	sum   hash.Hash
}

func newStream() *stream { return &stream{sum: sha256.New()} }

func (s *stream) add(row []any) error {
	before := len(s.lines)
	lines, err := appendRow(s.lines, row)
	if err != nil {
		return err
	}
	if len(lines)-before > maxRowBytes {
		return fmt.Errorf("a row has %d bytes, the most is %d", len(lines)-before, maxRowBytes)
	}
	s.lines = lines
	s.rows++
	return nil
}

// clear hashes the open chunk and forgets it.
func (s *stream) clear() {
	s.sum.Write(s.lines)
	s.lines = s.lines[:0]
}

// end returns the count and the hash of all lines and makes ready for the next table.
func (s *stream) end() (rows int64, sum string) {
	s.clear()
	rows, sum = s.rows, hex.EncodeToString(s.sum.Sum(nil))
	s.sum.Reset()
	s.rows = 0
	return rows, sum
}

// chunkName is the name of a table's nth chunk, from 1.
func chunkName(table string, n int) string {
	return fmt.Sprintf("tables/%s/%06d.jsonl.gz", table, n)
}

// builder makes one backup.
type builder struct {
	archive  *archive
	options  *Options
	manifest Manifest
	lines    *stream
	packed   bytes.Buffer
	zip      *gzip.Writer
	progress Progress
}

func (b *builder) run(ctx context.Context, q storage.Queryer) error {
	applied, err := storage.AppliedMigrations(ctx, q)
	if err != nil {
		return err
	}
	b.manifest.Migrations = describeSchema(applied)
	tables, err := storage.Tables(ctx, q)
	if err != nil {
		return err
	}
	if len(tables) > maxTables {
		return fmt.Errorf("the database has %d tables, the most is %d", len(tables), maxTables)
	}
	b.progress = Progress{Phase: Reading, Of: len(tables)}
	for i := range tables {
		if err := b.table(ctx, q, &tables[i]); err != nil {
			return fmt.Errorf("table %s: %w", tables[i].Name, err)
		}
	}
	text, err := json.MarshalIndent(b.manifest, "", "\t")
	if err != nil {
		return err
	}
	if err := b.archive.add(manifestName, append(text, '\n')); err != nil {
		return err
	}
	b.progress.Table = ""
	b.options.report(b.progress)
	return b.archive.close()
}

func (b *builder) table(ctx context.Context, q storage.Queryer, t *storage.Table) error {
	described := describe(t)
	b.progress.Table = t.Name
	b.options.report(b.progress)
	err := t.Each(ctx, q, func(row []any) error {
		if err := b.lines.add(row); err != nil {
			return err
		}
		b.progress.Rows++
		if len(b.lines.lines) < chunkBytes {
			return nil
		}
		return b.chunk(&described)
	})
	if err == nil && len(b.lines.lines) > 0 {
		err = b.chunk(&described)
	}
	if err != nil {
		return err
	}
	described.Rows, described.SHA256 = b.lines.end()
	b.manifest.Tables = append(b.manifest.Tables, described)
	b.progress.Tables++
	return nil
}

// chunk packs the open lines into the archive.
func (b *builder) chunk(t *Table) error {
	t.Chunks++
	if t.Chunks > maxChunks {
		return fmt.Errorf("it has more than %d chunks", maxChunks)
	}
	b.packed.Reset()
	if b.zip == nil {
		zip, err := gzip.NewWriterLevel(&b.packed, gzip.BestSpeed)
		if err != nil {
			return err
		}
		b.zip = zip
	}
	b.zip.Reset(&b.packed)
	if _, err := b.zip.Write(b.lines.lines); err != nil {
		return err
	}
	if err := b.zip.Close(); err != nil {
		return err
	}
	b.lines.clear()
	b.options.report(b.progress)
	return b.archive.add(chunkName(t.Name, t.Chunks), b.packed.Bytes())
}
