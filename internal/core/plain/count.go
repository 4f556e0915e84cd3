package plain

import "fmt"

// Count returns how many there are with what is counted, in the form of one or of many.
func Count[N int | int64](n N, one, many string) string {
	if n == 1 {
		many = one
	}
	return fmt.Sprint(n, " ", many)
}
