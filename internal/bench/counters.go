package main

import (
	"context"
	"errors"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"

	"github.com/s3mesh/s3mesh/s3store"
)

// counters are reverse proxies on the loopback interface that count what passes. They are safe for concurrent use.
type counters struct {
	mu      sync.Mutex
	counts  map[string]int // by method and role of the store
	byEvent map[string]int // by site: messages that s3mesh has answered
	servers []*http.Server
	tr      *http.Transport
}

func newCounters() *counters {
	return &counters{counts: make(map[string]int), byEvent: make(map[string]int), tr: s3store.NewTransport()}
}

// requests returns what was counted at the stores so far.
func (c *counters) requests() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.counts)
}

// requestsSince returns what was counted at the stores since an earlier count.
func (c *counters) requestsSince(before map[string]int) map[string]int {
	counts := c.requests()
	for kind, n := range before {
		counts[kind] -= n
	}
	maps.DeleteFunc(counts, func(_ string, n int) bool { return n == 0 })
	return counts
}

// during counts the requests that do causes for so many keys.
func (c *counters) during(keys int, do func() error) (requestCount, error) {
	before := c.requests()
	err := do()
	return requestCount{Objects: keys, ByKind: c.requestsSince(before)}, err
}

// events returns how many messages of a site s3mesh has answered so far.
func (c *counters) events(site string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.byEvent[site]
}

// intake puts a proxy before the intake and returns its base URL.
func (c *counters) intake(ctx context.Context, address string) (string, error) {
	return c.serve(ctx, "http://"+address, func(req *http.Request, forward func()) {
		forward()
		c.add(c.byEvent, req.URL.Path[strings.LastIndexByte(req.URL.Path, '/')+1:])
	})
}

// store puts a proxy before a store, which is called by its role, and returns its base URL.
func (c *counters) store(ctx context.Context, role, endpoint string) (string, error) {
	return c.serve(ctx, endpoint, func(req *http.Request, forward func()) {
		c.add(c.counts, operation(req)+" "+role)
		forward()
	})
}

// stores puts a proxy before each of some stores, and returns their base URLs by store. A role is the source, which is the
// first, or the target.
func (c *counters) stores(ctx context.Context, stores []*store) (through map[string]string, err error) {
	through = make(map[string]string)
	for i, s := range stores {
		role := "target"
		if i == 0 {
			role = "source"
		}
		if through[s.name], err = c.store(ctx, role, s.endpoint); err != nil {
			return nil, err
		}
	}
	return through, nil
}

func (c *counters) add(counts map[string]int, what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	counts[what]++
}

// operation names a request by its method, and a listing, of keys or of versions, as such.
func operation(req *http.Request) string {
	onBucket := !strings.Contains(strings.Trim(req.URL.Path, "/"), "/")
	if req.Method == http.MethodGet && onBucket {
		return "LIST"
	}
	return req.Method
}

// serve starts a proxy. The host that was signed is passed on, as the store checks the signature with it.
func (c *counters) serve(ctx context.Context, target string, pass func(req *http.Request, forward func())) (string, error) {
	to, err := url.Parse(target)
	if err != nil {
		return "", err
	}
	proxy := &httputil.ReverseProxy{Transport: c.tr, Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.Host = r.In.Host
	}}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		pass(req, func() { proxy.ServeHTTP(w, req) })
	})}
	c.servers = append(c.servers, server)
	go func() { _ = server.Serve(listener) }() // ends when close is called
	return "http://" + listener.Addr().String(), nil
}

// close ends the proxies.
func (c *counters) close() error {
	var errs []error
	for _, server := range c.servers {
		errs = append(errs, server.Close())
	}
	c.tr.CloseIdleConnections()
	return errors.Join(errs...)
}
