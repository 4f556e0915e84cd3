package dump

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
)

var (
	errCut     = errors.New("the backup is cut off or not one of scrip's: its end is missing")
	errAltered = errors.New("the backup was altered: its contents do not have the hash that its end states")
)

// source is a backup that is read.
type source struct {
	from io.ReaderAt
	size int64
}

// chunk is some lines of one table.
type chunk struct {
	table  string
	number int
	lines  []byte
}

// verify reads everything once and returns the manifest that it proved.
func (s *source) verify(ctx context.Context, o *Options) (Manifest, error) {
	if err := s.checkSeal(ctx); err != nil {
		return Manifest{}, err
	}
	t := &tally{lines: newStream()}
	progress := Progress{Phase: Verifying}
	manifest, err := s.each(ctx, func(c chunk) error {
		if err := t.add(c); err != nil {
			return err
		}
		progress.Rows += int64(bytes.Count(c.lines, []byte{'\n'}))
		if progress.Table != c.table {
			progress.Table = c.table
			progress.Tables = len(t.tables) - 1
		}
		o.report(progress)
		return nil
	})
	if err != nil {
		return Manifest{}, err
	}
	return manifest, t.compare(&manifest)
}

// checkSeal holds the file against the hash at its end; every byte of it counts.
func (s *source) checkSeal(ctx context.Context) error {
	if s.size < sealBytes {
		return errCut
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, &careful{ctx, io.NewSectionReader(s.from, 0, s.size-sealBytes)}); err != nil {
		return err
	}
	end := make([]byte, sealBytes)
	if _, err := io.ReadFull(io.NewSectionReader(s.from, s.size-sealBytes, sealBytes), end); err != nil {
		return err
	}
	want, err := seal(sum.Sum(nil))
	if err != nil || bytes.Equal(end, want) {
		return err
	}
	other, err := seal(make([]byte, sha256.Size))
	if err != nil {
		return err
	}
	if !bytes.Equal(end[:100], other[:100]) { // the entry's name
		return errCut
	}
	return errAltered
}

// careful stops reading when ctx ends.
type careful struct {
	ctx  context.Context
	from io.Reader
}

func (c *careful) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.from.Read(p)
}

var chunkPattern = regexp.MustCompile(`^tables/([a-z][a-z0-9_]{0,62})/([0-9]{6})\.jsonl\.gz$`)

// each calls fn for every chunk in order and returns the manifest, which comes last. fn must not keep the lines.
func (s *source) each(ctx context.Context, fn func(chunk) error) (Manifest, error) {
	archive := tar.NewReader(&careful{ctx, io.NewSectionReader(s.from, 0, s.size-sealBytes)})
	u := &unpacker{}
	for {
		entry, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return Manifest{}, fmt.Errorf("the backup has no %s", manifestName)
		}
		if err != nil {
			return Manifest{}, fmt.Errorf("read the archive: %w", err)
		}
		if entry.Name == manifestName {
			return readManifest(archive)
		}
		match := chunkPattern.FindStringSubmatch(entry.Name)
		if match == nil || entry.Typeflag != tar.TypeReg {
			return Manifest{}, fmt.Errorf("the backup has an unknown entry %.100q", entry.Name)
		}
		number, err := strconv.Atoi(match[2])
		if err != nil {
			return Manifest{}, err
		}
		lines, err := u.unpack(archive)
		if err == nil {
			err = fn(chunk{table: match[1], number: number, lines: lines})
		}
		if err != nil {
			return Manifest{}, fmt.Errorf("%s: %w", entry.Name, err)
		}
	}
}

// unpacker inflates chunks into one buffer.
type unpacker struct {
	zip   *gzip.Reader
	lines bytes.Buffer
}

func (u *unpacker) unpack(from io.Reader) ([]byte, error) {
	var err error
	if u.zip == nil {
		u.zip, err = gzip.NewReader(from)
	} else {
		err = u.zip.Reset(from)
	}
	if err != nil {
		return nil, fmt.Errorf("inflate: %w", err)
	}
	u.lines.Reset()
	n, err := io.Copy(&u.lines, io.LimitReader(u.zip, maxChunkBytes+1))
	if err != nil {
		return nil, fmt.Errorf("inflate: %w", err)
	}
	if n > maxChunkBytes {
		return nil, fmt.Errorf("it has more than %d bytes", maxChunkBytes)
	}
	lines := u.lines.Bytes()
	if n == 0 || lines[n-1] != '\n' {
		return nil, errRow
	}
	return lines, nil
}

// readManifest reads the archive's last entry.
func readManifest(archive *tar.Reader) (Manifest, error) {
	text, err := io.ReadAll(io.LimitReader(archive, maxManifest+1))
	if err != nil {
		return Manifest{}, fmt.Errorf("read %s: %w", manifestName, err)
	}
	if len(text) > maxManifest {
		return Manifest{}, fmt.Errorf("%s has more than %d bytes", manifestName, maxManifest)
	}
	var m Manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return Manifest{}, fmt.Errorf("read %s: %w", manifestName, err)
	}
	if m.Format != Format {
		return Manifest{}, fmt.Errorf("the backup has format %d, this scrip reads format %d", m.Format, Format)
	}
	if _, err := archive.Next(); !errors.Is(err, io.EOF) {
		return Manifest{}, fmt.Errorf("the backup goes on after %s", manifestName)
	}
	return m, m.check()
}

// check refuses a manifest that contradicts itself.
func (m *Manifest) check() error {
	if len(m.Tables) > maxTables {
		return fmt.Errorf("%s names %d tables, the most is %d", manifestName, len(m.Tables), maxTables)
	}
	seen := map[string]bool{}
	for _, t := range m.Tables {
		if seen[t.Name] || t.Rows < 0 || t.Chunks < 0 || len(t.Columns) == 0 || len(t.Columns) > maxColumns {
			return fmt.Errorf("%s contradicts itself at table %.100q", manifestName, t.Name)
		}
		seen[t.Name] = true
	}
	return nil
}

// tally counts and hashes what a file holds, to be compared with what it says.
type tally struct {
	tables []Table
	lines  *stream
}

func (t *tally) add(c chunk) error {
	last := len(t.tables) - 1
	if last < 0 || t.tables[last].Name != c.table {
		t.finish()
		t.tables = append(t.tables, Table{Name: c.table})
		last++
	}
	if len(t.tables) > maxTables {
		return fmt.Errorf("the backup has more than %d tables", maxTables)
	}
	if t.tables[last].Chunks++; t.tables[last].Chunks != c.number {
		return errors.New("a chunk is missing or comes twice")
	}
	t.lines.rows += int64(bytes.Count(c.lines, []byte{'\n'}))
	t.lines.sum.Write(c.lines)
	return nil
}

func (t *tally) finish() {
	if last := len(t.tables) - 1; last >= 0 {
		t.tables[last].Rows, t.tables[last].SHA256 = t.lines.end()
	}
}

// compare holds the manifest against what was found.
func (t *tally) compare(m *Manifest) error {
	t.finish()
	nothing := hex.EncodeToString(sha256.New().Sum(nil))
	found := t.tables
	for _, said := range m.Tables {
		have := Table{Name: said.Name, SHA256: nothing}
		if len(found) > 0 && found[0].Name == said.Name {
			have, found = found[0], found[1:]
		}
		if have.Rows != said.Rows || have.Chunks != said.Chunks || have.SHA256 != said.SHA256 {
			return fmt.Errorf("table %s: the manifest says %d rows of %.12s…, the file has %d rows of %.12s…", said.Name, said.Rows, said.SHA256, have.Rows, have.SHA256)
		}
	}
	if len(found) > 0 {
		return fmt.Errorf("table %s: the manifest does not name it, or not in its place", found[0].Name)
	}
	return nil
}

// sameColumns reports whether a table of the backup has the columns of one in the database.
func sameColumns(a, b Table) bool { return a.Name == b.Name && slices.Equal(a.Columns, b.Columns) }
