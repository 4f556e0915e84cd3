// Package archtest keeps the source of Scrip in the shape its maintainers agreed
// on. It holds tests only: they parse every package of the module and check which
// way imports go, how big things are, what is called where, which words appear,
// and that comments and links are in order.
//
// A rule is a row of a table with a fixture that breaks it, so that a rule that
// cannot fail does not stay. Permanent exceptions are in testdata/allow.txt, each
// with its reason; exceptions that should go away are in testdata/ratchet.txt with
// their size today, which may only shrink.
//
// It imports the standard library alone, and nothing may import it.
package archtest
