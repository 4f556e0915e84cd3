// Package host says which host names mean something in their own network alone.
package host

import (
	"slices"
	"strings"
)

// IsLocal reports whether no public name is name, written in lower case and without a
// final dot: it has one label only, or its last one is kept for other uses (RFC 2606,
// RFC 3172, RFC 6761, RFC 6762 with its appendix G, RFC 7686, RFC 9476, and what ICANN
// never delegates). Names of documentation are not local: they lead nowhere.
func IsLocal(name string) bool {
	dot := strings.LastIndexByte(name, '.')
	return dot < 0 || slices.Contains(localEnds, name[dot+1:])
}

var localEnds = []string{
	"alt", "arpa", "corp", "home", "internal", "intranet", "invalid", "lan", "local", "localdomain", "localhost", "mail", "onion", "private", "test",
}
