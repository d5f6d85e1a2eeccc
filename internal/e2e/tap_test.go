package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// tap stands between the stores and the intake. It keeps every notification, so that it can be delivered again, and loses
// those of a site when told to. It is safe for concurrent use.
type tap struct {
	address string        // host and port
	done    chan struct{} // closed at the end of the test
	forward *httputil.ReverseProxy
	// relayed names sites, set before they start, whose notifications the tap answers at once and then delivers itself,
	// trying until the intake takes them, in no order.
	relayed map[string]bool

	relays sync.WaitGroup

	mu   sync.Mutex
	kept []notification
	lost string // the site whose notifications are not forwarded, though the store is told that they were
	each int    // of this many notifications one is lost; 0: none
	left int    // to be relayed
}

// notification is a message of a store, and what it tells.
type notification struct {
	site string
	body []byte
	told []told
}

type told struct{ name, key string }

// newTap forwards to the intake.
func newTap(t *testing.T, intake string) *tap {
	t.Helper()
	p := &tap{forward: httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: intake}),
		done: make(chan struct{}), relayed: map[string]bool{}}
	// Stores come again after a 5xx: the intake may be down.
	p.forward.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	p.forward.Transport = transport
	server := httptest.NewServer(p)
	t.Cleanup(func() {
		server.Close()
		close(p.done)
		p.relays.Wait()
		transport.CloseIdleConnections()
	})
	p.address = server.Listener.Addr().String()
	return p
}

// ServeHTTP takes a notification.
func (p *tap) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	site := path.Base(req.URL.Path)
	if !p.keep(site, body) {
		return
	}
	if p.relayed[site] {
		p.add(1)
		again := req.Clone(context.WithoutCancel(req.Context()))
		p.relays.Go(func() { p.relay(again, body) })
		return
	}
	req.Body = io.NopCloser(bytes.NewReader(body))
	p.forward.ServeHTTP(w, req)
}

// relay delivers a notification, when the intake is there.
func (p *tap) relay(req *http.Request, body []byte) {
	defer p.add(-1)
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		answer := httptest.NewRecorder()
		again := req.Clone(req.Context())
		again.Body = io.NopCloser(bytes.NewReader(body))
		p.forward.ServeHTTP(answer, again)
		if answer.Code == http.StatusOK {
			return
		}
		select {
		case <-ticker.C:
		case <-p.done:
			return
		}
	}
}

func (p *tap) add(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.left += n
}

// idle returns an error while a notification is to be relayed.
func (p *tap) idle() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.left > 0 {
		return fmt.Errorf("%d left", p.left)
	}
	return nil
}

// keep notes a notification, and reports whether it is to be forwarded.
func (p *tap) keep(site string, body []byte) bool {
	n := notification{site: site, body: body}
	var message struct {
		Records []struct {
			EventName string
			S3        struct{ Object struct{ Key string } }
		}
	}
	if json.Unmarshal(body, &message) == nil { // MinIO first asks whether anybody is there
		for _, r := range message.Records {
			if key, err := url.QueryUnescape(r.S3.Object.Key); err == nil {
				n.told = append(n.told, told{strings.TrimPrefix(r.EventName, "s3:"), key})
			}
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kept = append(p.kept, n)
	return p.lost != site && (p.each == 0 || len(p.kept)%p.each != 0)
}

// lose loses the notifications of a site from now on, and of no other; "" for none.
func (p *tap) lose(site string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lost = site
}

// loseOneIn loses one of every n notifications, of whatever site; 0 for none.
func (p *tap) loseOneIn(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.each = n
}

// of returns the notifications of a site that tell of key an event of the family, such as ObjectCreated, the earliest first.
func (p *tap) of(site, key, family string) [][]byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	var bodies [][]byte
	for _, n := range p.kept {
		if n.site == site && slices.ContainsFunc(n.told, func(e told) bool {
			return e.key == key && strings.HasPrefix(e.name, family)
		}) {
			bodies = append(bodies, n.body)
		}
	}
	return bodies
}
