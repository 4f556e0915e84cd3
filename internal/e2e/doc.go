// Package e2e holds the tests that see Scrip as its users do: the real binary in a
// process of its own, over HTTP, signals and the command line, on both engines.
//
// They prove what no package can prove of itself: that what was acknowledged is there
// after the process is killed, that nothing is spent twice however many ask at once,
// that no secret lies on the disk or in a log, and that each command does what its help
// says. A process that a test starts ends with the test, whatever becomes of the test.
//
// No other package imports it, and it imports none of Scrip's but testkit and
// the published client.
package e2e
