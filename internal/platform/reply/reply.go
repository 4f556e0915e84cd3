// Package reply keeps what other servers answer within the time that a request has.
//
// A server may answer any request by making another protocol of its connection (101, RFC 9110
// section 15.2.2), whether that was asked for or not. The body of such an answer is the
// connection itself: no deadline of the request holds for it, and whoever reads it waits for as
// long as the server likes. Nothing here asks for that, so it is an error.
package reply

import (
	"errors"
	"net/http"
)

var errSwitched = errors.New("the server answers in another protocol")

// Bounded is a transport without answers that no deadline holds for.
type Bounded struct{ *http.Transport }

// RoundTrip implements http.RoundTripper.
func (b Bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := b.Transport.RoundTrip(r)
	if err != nil || response.StatusCode != http.StatusSwitchingProtocols {
		return response, err
	}
	return nil, errors.Join(errSwitched, response.Body.Close())
}
