package doctor

import (
	"crypto/tls"
	"net/http"
	"sync"
	"time"
)

// Observer is a transport that looks at the answers which pass: at their Date, and at the connection. It is safe for
// concurrent use.
type Observer struct {
	// Transport sends the requests.
	Transport http.RoundTripper

	mu     sync.Mutex
	known  bool
	lo, hi time.Duration // how far the store's clock is ahead of ours, at least and at most
	state  *tls.ConnectionState
}

// RoundTrip implements [http.RoundTripper].
func (o *Observer) RoundTrip(req *http.Request) (*http.Response, error) {
	sent := time.Now()
	resp, err := o.Transport.RoundTrip(req)
	if err == nil {
		o.note(resp, sent, time.Now())
	}
	return resp, err
}

// CloseIdleConnections closes those of the transport.
func (o *Observer) CloseIdleConnections() {
	if closer, ok := o.Transport.(interface{ CloseIdleConnections() }); ok {
		closer.CloseIdleConnections()
	}
}

// note takes what an answer tells of the clock. Its date, in whole seconds, was right at some time between sent and received:
// each answer gives bounds of a second and more, and all together much closer ones.
func (o *Observer) note(resp *http.Response, sent, received time.Time) {
	date, err := http.ParseTime(resp.Header.Get("Date"))
	o.mu.Lock()
	defer o.mu.Unlock()
	if resp.TLS != nil {
		o.state = resp.TLS
	}
	if err != nil {
		return
	}
	lo, hi := date.Sub(received), date.Add(time.Second).Sub(sent)
	if o.known && max(lo, o.lo) <= min(hi, o.hi) { // else a clock was set meanwhile, and the latest answer counts
		lo, hi = max(lo, o.lo), min(hi, o.hi)
	}
	o.known, o.lo, o.hi = true, lo, hi
}

// Skew returns how far the store's clock is ahead of this machine's, and how far off that can be; false when no answer told.
func (o *Observer) Skew() (ahead, within time.Duration, known bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return (o.lo + o.hi) / 2, (o.hi - o.lo) / 2, o.known
}

// TLS returns the state of the last connection that was encrypted, or nil.
func (o *Observer) TLS() *tls.ConnectionState {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.state
}
