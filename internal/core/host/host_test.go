package host

import "testing"

// A name is local when nobody outside of its network can mean the same by it.
func TestIsLocal(t *testing.T) {
	for name, want := range map[string]bool{
		"": true, "localhost": true, "router": true, "printer.local": true, "a.localdomain": true, "metadata.google.internal": true,
		"x.home.arpa": true, "db.corp": true, "nas.home": true, "a.b.private": true, "x.onion": true, "x.invalid": true, "x.test": true,
		"shop.example": false, "example.org": false, "local.example.org": false, "mylocal.org": false, "a.notlocal": false, "xn--bcher-kva.example": false,
	} {
		if got := IsLocal(name); got != want {
			t.Errorf("%q: %t", name, got)
		}
	}
}
