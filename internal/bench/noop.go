package bench

import (
	"io"
	"net/http"
)

// NoopPath is where the server under load serves NoopHandler.
const NoopPath = "/bench/noop"

// maxNoopBody bounds what NoopHandler reads.
const maxNoopBody = 1 << 20

const noopAnswer = `{"status":"SUCCESS","code":"000000","label":"","errorMessage":"","data":{}}` + "\n"

// NoopHandler answers GET and POST with a small document and does nothing else: the cost
// of HTTP itself on the server's own listener.
func NoopHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodPost {
			w.Header().Set("Allow", "GET, POST")
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		if _, err := io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, maxNoopBody)); err != nil {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, noopAnswer) // a caller that left needs no answer
	})
}

// Noop is a scenario of no-op requests with the method and body given, to see what HTTP can do.
func Noop(method string, body []byte) Scenario {
	headers := []Header{{"Content-Type", "application/json"}}
	return Scenario{Name: "no-op " + method, Make: func(int, int64) Request {
		return Request{Method: method, Path: NoopPath, Headers: headers, Body: body}
	}}
}

// noopOf is what s is measured against: its requests, byte for byte but for the path, so
// that building, sending and reading cost the same.
func noopOf(s *Scenario) Scenario {
	build := s.Make
	return Scenario{Name: "no-op", Make: func(worker int, n int64) Request {
		r := build(worker, n)
		r.Path = NoopPath
		return r
	}}
}
