// Package link opens connections to a database's server that notice when its machine has
// vanished. A machine that loses its power closes nothing: the system would go on sending to it
// for a quarter of an hour, and whoever waits for the answer would wait as long.
//
// A server that is slow is none that has vanished: its machine confirms what it is sent.
package link

import (
	"context"
	"net"
	"time"
)

const (
	// Open is how long opening a connection may take.
	Open = 10 * time.Second
	// vanished is how long a machine may confirm nothing of what it is sent.
	vanished = 20 * time.Second
)

// Dial connects to address.
func Dial(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{Control: control, KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: vanished / 4, Interval: vanished / 4, Count: 3}}
	return d.DialContext(ctx, network, address)
}
