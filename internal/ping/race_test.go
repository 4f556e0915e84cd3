//go:build race

package ping_test

// raced says that the race detector runs, which makes times ten times as long and unlike.
const raced = true
