//go:build !race

package ping_test

// raced says that the race detector runs.
const raced = false
