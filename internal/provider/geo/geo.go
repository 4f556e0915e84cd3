// Package geo says in which country an address is, by a file in MaxMind's format: the
// GeoLite2, GeoIP2, DB-IP or IPinfo databases of countries.
//
// It calls nobody. A file is read once, when it is opened. It must never keep an address.
package geo

import (
	"fmt"
	"net/netip"
	"os"

	"github.com/oschwald/maxminddb-golang/v2"

	"github.com/scripcards/scrip/internal/core/fault"
)

// maxFile bounds a database, in bytes: those of cities have less.
const maxFile = 512 << 20

// Database knows countries. It is safe for concurrent use.
type Database struct{ reader *maxminddb.Reader }

// Open reads a database into memory. It returns invalid_request for a file that is none.
func Open(path string) (*Database, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("database of addresses: %w", err)
	}
	if !info.Mode().IsRegular() || info.Size() > maxFile {
		return nil, fault.New(fault.InvalidRequest, "%s is not a file of at most %d bytes", path, maxFile)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("database of addresses: %w", err)
	}
	reader, err := maxminddb.OpenBytes(text)
	if err != nil {
		return nil, fault.Wrap(err, fault.InvalidRequest, "%s is not a database in MaxMind's format", path)
	}
	return &Database{reader}, nil
}

// Country returns the ISO 3166 code of the country that an address is in; empty where the
// database does not say. It returns unavailable for a database that is broken.
func (d *Database) Country(address netip.Addr) (string, error) {
	if !address.IsValid() {
		return "", nil
	}
	found := d.reader.Lookup(address.Unmap().WithZone(""))
	for _, path := range [][]any{{"country", "iso_code"}, {"registered_country", "iso_code"}, {"country_code"}} {
		var code string
		if err := found.DecodePath(&code, path...); err != nil {
			return "", fault.Wrap(err, fault.Unavailable, "the database of addresses gives no answer")
		}
		if len(code) == 2 {
			return code, nil
		}
	}
	return "", nil
}
