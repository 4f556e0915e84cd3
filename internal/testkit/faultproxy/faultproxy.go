// Package faultproxy puts a real TCP proxy between a client and a server and lets it
// misbehave, for tests of what a counterparty or the way to it may do: latency, silence,
// resets, halves of messages, bytes in drips, garbage, floods. Only tests import it.
package faultproxy

import (
	"bytes"
	"encoding/json"
	"sync"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/Shopify/toxiproxy/v2/stream"
	"github.com/Shopify/toxiproxy/v2/toxics"
)

// Kind is a way to misbehave.
type Kind string

// The kinds. Latency, Drip, Half, Reset and SlowClose take attributes as the library
// that does them names them; the others take none of importance.
const (
	Latency   Kind = "latency"    // latency: milliseconds
	Silence   Kind = "timeout"    // what comes is thrown away; timeout: milliseconds until the end, 0 for never
	Reset     Kind = "reset_peer" // at the first byte
	Half      Kind = "limit_data" // bytes: how many come before the end
	Drip      Kind = "slicer"     // average_size: bytes; delay: microseconds between them
	SlowClose Kind = "slow_close" // delay: milliseconds
	Garbage   Kind = "garbage"    // other bytes instead of each that comes
	Flood     Kind = "flood"      // each piece that comes comes again and again; times
)

// Attributes are what a kind takes.
type Attributes map[string]int

// Proxy is a proxy that may misbehave. It has one address for as long as it lives.
type Proxy struct {
	upstream string
	proxy    *toxiproxy.Proxy
}

// register makes the kinds known that the library lacks.
var register = sync.OnceFunc(func() {
	toxics.Register(string(Garbage), new(garbage))
	toxics.Register(string(Flood), new(flood))
})

// New starts a proxy in front of upstream. It stops with the test.
func New(t testing.TB, upstream string) *Proxy {
	t.Helper()
	register()
	p := &Proxy{upstream: upstream}
	p.start(t, "127.0.0.1:0")
	t.Cleanup(func() { p.proxy.Stop() })
	return p
}

// start begins with a new proxy of the library's: to take faults from an old one
// waits for connections that nobody reads any more.
func (p *Proxy) start(t testing.TB, listen string) {
	t.Helper()
	server := &toxiproxy.ApiServer{Metrics: toxiproxy.NewMetricsContainer(nil), Collection: toxiproxy.NewProxyCollection()}
	silent(&server.Logger)
	p.proxy = toxiproxy.NewProxy(server, t.Name(), listen, p.upstream)
	if err := p.proxy.Start(); err != nil {
		t.Fatal(err)
	}
}

// silent sets a logger to one that writes nowhere, without naming its module.
func silent[T any](logger **T) { *logger = new(T) }

// Addr returns where the proxy listens.
func (p *Proxy) Addr() string { return p.proxy.Listen }

// Add makes the proxy misbehave from now on, on open connections too, in what the
// server sends.
func (p *Proxy) Add(t testing.TB, kind Kind, attributes Attributes) {
	t.Helper()
	p.add(t, kind, attributes, "downstream")
}

// AddUpstream is Add for what the client sends.
func (p *Proxy) AddUpstream(t testing.TB, kind Kind, attributes Attributes) {
	t.Helper()
	p.add(t, kind, attributes, "upstream")
}

func (p *Proxy) add(t testing.TB, kind Kind, attributes Attributes, direction string) {
	t.Helper()
	text, err := json.Marshal(map[string]any{"type": kind, "stream": direction, "attributes": attributes})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.proxy.Toxics.AddToxicJson(bytes.NewReader(text)); err != nil {
		t.Fatalf("add %s: %v", kind, err)
	}
}

// Cut ends every connection and refuses new ones.
func (p *Proxy) Cut() { p.proxy.Stop() }

// Restore takes connections again, and behaves.
func (p *Proxy) Restore(t testing.TB) {
	t.Helper()
	p.start(t, p.Addr())
}

// garbage sends as many other bytes as come.
type garbage struct{}

// Pipe implements toxics.Toxic.
func (*garbage) Pipe(stub *toxics.ToxicStub) {
	pipe(stub, func(data []byte, send func([]byte) bool) {
		for i := range data {
			data[i] = byte(i*151 + 77)
		}
		send(data)
	})
}

// flood sends each piece many times.
type flood struct {
	Times int `json:"times"`
}

// Pipe implements toxics.Toxic.
func (f *flood) Pipe(stub *toxics.ToxicStub) {
	pipe(stub, func(data []byte, send func([]byte) bool) {
		for range f.Times {
			if !send(bytes.Clone(data)) {
				return
			}
		}
	})
}

// pipe gives each piece of the stream to change, until it ends or the kind is taken away.
func pipe(stub *toxics.ToxicStub, change func(data []byte, send func([]byte) bool)) {
	for {
		select {
		case <-stub.Interrupt:
			return
		case piece := <-stub.Input:
			if piece == nil {
				stub.Close()
				return
			}
			change(piece.Data, func(data []byte) bool {
				return stub.WriteOutput(&stream.StreamChunk{Data: data, Timestamp: piece.Timestamp}, 5*time.Second) == nil
			})
		}
	}
}
