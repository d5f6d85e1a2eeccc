package chaos

import (
	"bytes"
	"encoding/binary"
	"hash/fnv"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"
)

// lostPercent is the share of notifications that never arrive, though the region is told that they did.
const lostPercent = 10

// tap stands between a region and the proxy before the intake, and loses notifications. It is safe for concurrent use.
type tap struct {
	server  *httptest.Server
	forward *httputil.ReverseProxy
	seed    uint64
	damage  *damage
	whole   atomic.Bool // nothing is lost any more
}

func newTap(t *testing.T, to *proxy, seed uint64, d *damage) *tap {
	t.Helper()
	p := &tap{seed: seed, damage: d, forward: httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: to.Address()})}
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	p.forward.Transport = transport
	// The region tries again after a 5xx, as it does when the connection fails.
	p.forward.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }
	p.forward.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	p.server = httptest.NewServer(p)
	t.Cleanup(func() {
		p.server.Close()
		transport.CloseIdleConnections()
	})
	return p
}

// Address is the host and port that the tap listens on.
func (p *tap) Address() string { return p.server.Listener.Addr().String() }

// ServeHTTP takes a notification.
func (p *tap) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway) // the region was killed
		return
	}
	if !p.whole.Load() && p.loses(body) {
		p.damage.add("notification lost")
		return
	}
	req.Body = io.NopCloser(bytes.NewReader(body))
	p.forward.ServeHTTP(w, req)
}

// loses goes by the notification alone, so that one that is sent again is lost again.
func (p *tap) loses(body []byte) bool {
	hash := fnv.New64a()
	_, _ = hash.Write(binary.BigEndian.AppendUint64(bytes.Clone(body), p.seed)) // never fails
	return hash.Sum64()%100 < lostPercent
}
