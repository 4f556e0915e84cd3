package geo_test

import (
	"encoding/binary"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/provider/geo"
)

// node is a node of the search tree: for each bit the next node, or a record below zero.
type node [2]int

// database writes a file in MaxMind's format, version 2.0, of 24-bit records over IPv6:
// networks lead to records, each a map that is already encoded.
func database(t *testing.T, networks map[string]int, records [][]byte) string {
	t.Helper()
	nodes := []node{{}}
	for text, record := range networks {
		prefix := netip.MustParsePrefix(text)
		address := prefix.Addr().As16()
		bits := prefix.Bits()
		if prefix.Addr().Is4() {
			v4 := prefix.Addr().As4()
			address = [16]byte{12: v4[0], 13: v4[1], 14: v4[2], 15: v4[3]}
			bits += 96
		}
		at := 0
		for i := range bits {
			bit := address[i/8] >> (7 - i%8) & 1
			if i == bits-1 {
				nodes[at][bit] = -1 - record
				break
			}
			if nodes[at][bit] == 0 {
				nodes = append(nodes, node{})
				nodes[at][bit] = len(nodes) - 1
			}
			at = nodes[at][bit]
		}
	}
	offsets, data := make([]int, len(records)), []byte{}
	for i, r := range records {
		offsets[i] = len(data)
		data = append(data, r...)
	}
	var file []byte
	for _, n := range nodes {
		for _, to := range n {
			switch {
			case to == 0:
				to = len(nodes)
			case to < 0:
				to = len(nodes) + 16 + offsets[-1-to]
			}
			file = append(file, byte(to>>16), byte(to>>8), byte(to))
		}
	}
	file = append(append(file, make([]byte, 16)...), data...)
	file = append(file, "\xab\xcd\xefMaxMind.com"...)
	file = append(file, encode(map[string]any{"node_count": uint32(len(nodes)), "record_size": uint16(24), "ip_version": uint16(6), "database_type": "Test-Country",
		"binary_format_major_version": uint16(2), "binary_format_minor_version": uint16(0), "build_epoch": uint64(1)})...)
	path := filepath.Join(t.TempDir(), "country.mmdb")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// encode writes a value of the format: texts of up to 28 bytes, numbers, and maps of them.
func encode(value any) []byte {
	switch v := value.(type) {
	case string:
		return append([]byte{2<<5 | byte(len(v))}, v...)
	case uint16:
		return append([]byte{5<<5 | 2}, byte(v>>8), byte(v))
	case uint32:
		return binary.BigEndian.AppendUint32([]byte{6<<5 | 4}, v)
	case uint64:
		return binary.BigEndian.AppendUint64([]byte{8, 2}, v)
	case map[string]any:
		out := []byte{7<<5 | byte(len(v))}
		for name, inner := range v {
			out = append(append(out, encode(name)...), encode(inner)...)
		}
		return out
	}
	return nil
}

// The country of an address is found in the forms that publishers use, for both kinds of addresses.
func TestCountry(t *testing.T) {
	db, err := geo.Open(database(t, map[string]int{"192.0.2.0/24": 0, "198.51.100.0/25": 1, "2001:db8:1::/48": 2, "203.0.113.0/24": 3}, [][]byte{
		encode(map[string]any{"country": map[string]any{"iso_code": "US"}}), encode(map[string]any{"registered_country": map[string]any{"iso_code": "CU"}}),
		encode(map[string]any{"country_code": "CH"}), encode(map[string]any{"country": map[string]any{"name": "nowhere"}})}))
	if err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]string{"192.0.2.9": "US", "::ffff:192.0.2.9": "US", "198.51.100.127": "CU", "198.51.100.128": "", "2001:db8:1::5": "CH",
		"2001:db8:2::5": "", "203.0.113.1": "", "10.0.0.1": ""} {
		if got, err := db.Country(netip.MustParseAddr(address)); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", address, got, err, want)
		}
	}
	if got, err := db.Country(netip.Addr{}); err != nil || got != "" {
		t.Errorf("no address: %q, %v", got, err)
	}
}

// A file that is no database is refused when it is opened.
func TestOpenRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(path, []byte("no database"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{path, t.TempDir()} {
		if _, err := geo.Open(p); fault.CodeOf(err) != fault.InvalidRequest {
			t.Errorf("%s: %v", p, err)
		}
	}
	if _, err := geo.Open(filepath.Join(t.TempDir(), "gone")); err == nil {
		t.Error("a file that is not there is opened")
	}
}

// A database that is broken inside says nothing, which is not the same as nowhere.
func TestBroken(t *testing.T) {
	db, err := geo.Open(database(t, map[string]int{"192.0.2.0/24": 0}, [][]byte{{7<<5 | 1, 2<<5 | 7, 'c', 'o', 'u', 'n', 't', 'r', 'y', 7<<5 | 9}}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Country(netip.MustParseAddr("192.0.2.1")); fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("%v", err)
	}
}
