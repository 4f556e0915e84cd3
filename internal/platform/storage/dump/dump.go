// Package dump owns backups: one file that holds every row of an installation, read
// from one consistent state while the server runs, and its way back into an empty
// database of either engine. That is also how an installation moves to PostgreSQL.
//
// The file is a tar archive: per table, gzipped chunks of rows in the order of the
// primary key, one line each; then manifest.json; then SHA256, the hash of all that
// comes before it. Two backups of one state differ in the time they were made alone.
//
// A file that is cut or altered is refused before anything is written, and a restore
// that stops halfway leaves an empty database. Secrets stay sealed as they are stored:
// the master key is not in the file and must be kept beside it, or what is sealed is lost.
//
// It must never name a table: what there is, the engine's catalogue says.
package dump

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Format is the version of the file's format that this program writes and reads.
const Format = 1

// Limits of a file, so that a hostile one cannot exhaust memory.
const (
	chunkBytes    = 4 << 20  // a chunk is closed when its rows reach so many bytes
	maxRowBytes   = 64 << 20 // of one line
	maxChunkBytes = chunkBytes + maxRowBytes
	maxManifest   = 4 << 20
	maxTables     = 1000
	maxColumns    = 500
	maxChunks     = 999_999 // of one table
)

const manifestName = "manifest.json"

// Manifest says what a backup holds. It is the file's manifest.json.
type Manifest struct {
	Format     int
	CreatedAt  time.Time
	Engine     string
	Migrations []Migration
	Tables     []Table
}

// Migration is one step of the schema that the rows are of.
type Migration struct {
	Version  int
	Name     string
	Checksum string
}

// Table is one table's share of a backup.
type Table struct {
	Name    string
	Columns []Column
	Rows    int64
	Chunks  int
	// SHA256 is of the table's lines, uncompressed. It is the same on both engines.
	SHA256 string
}

// Column names a column and its type: text, integer or bytes.
type Column struct {
	Name string
	Type storage.ColumnType
}

// Rows returns how many rows the backup holds.
func (m *Manifest) Rows() int64 {
	total := int64(0)
	for _, t := range m.Tables {
		total += t.Rows
	}
	return total
}

// Phase is what is being done.
type Phase string

// The phases: Reading and Writing rows, and Verifying a file or what was written.
const (
	Reading   Phase = "reading"
	Verifying Phase = "verifying"
	Writing   Phase = "writing"
)

// Progress is how far a backup or restore is.
type Progress struct {
	Phase  Phase
	Table  string // under way
	Tables int    // done
	Of     int    // tables there are; 0 while unknown
	Rows   int64  // done, of all tables
}

// Options go with every call of this package.
type Options struct {
	// Clock tells the time that the manifest states; nil means the machine's.
	Clock clock.Clock
	// Replace lets Backup overwrite a file.
	Replace bool
	// Check, when not nil, is shown what Restore is about to keep. Its error leaves the database empty.
	Check func(context.Context, storage.Queryer) error
	// Also, when not nil, changes what Restore has read back, in the same transaction. It may run more than once.
	Also func(context.Context, *storage.Tx) error
	// Progress, when not nil, is told of every table and chunk.
	Progress func(Progress)
}

func (o *Options) report(p Progress) {
	if o.Progress != nil {
		o.Progress(p)
	}
}

// describe makes the manifest's description of a table from the catalogue's.
func describe(t *storage.Table) Table {
	columns := make([]Column, len(t.Columns))
	for i, c := range t.Columns {
		columns[i] = Column{Name: c.Name, Type: c.Type}
	}
	return Table{Name: t.Name, Columns: columns}
}

func describeSchema(applied []storage.Migration) []Migration {
	history := make([]Migration, len(applied))
	for i, m := range applied {
		history[i] = Migration{Version: m.Version, Name: m.Name, Checksum: m.Checksum}
	}
	return history
}

// Suits returns why a backup with this manifest cannot be restored by this program.
func (m *Manifest) Suits() error {
	all, err := storage.Migrations()
	if err != nil {
		return err
	}
	return fits(m.Migrations, describeSchema(all))
}

// fits says why rows of the schema from cannot go into a database of the schema to.
func fits(from, to []Migration) error {
	switch {
	case slices.Equal(from, to):
		return nil
	case len(from) > len(to):
		return fmt.Errorf("the backup has schema %04d and the database %04d: restore it with the scrip that made it", len(from), len(to))
	case len(from) < len(to):
		return fmt.Errorf("the backup has schema %04d and the database %04d: restore it with the scrip that made it, then start this one, which migrates it", len(from), len(to))
	}
	for i := range from {
		if from[i] != to[i] {
			return fmt.Errorf("migration %04d is %s in the backup and %s in the database, or its text differs: the two are not of one program", from[i].Version, from[i].Name, to[i].Name)
		}
	}
	return nil
}
