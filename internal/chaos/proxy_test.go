package chaos

import (
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// proxy stands before a server. It is used by one goroutine at a time.
//
// Every change is a new toxiproxy at the same place, and cuts the connections that there are: toxiproxy waits for ever when
// toxics are put to, or taken from, a connection of which one side has gone.
type proxy struct {
	name, listen, upstream string
	toxi                   *toxiproxy.Proxy // nil while there are no connections
}

func newProxy(t *testing.T, name, upstream string) *proxy {
	t.Helper()
	p := &proxy{name: name, listen: freeAddress(t), upstream: upstream}
	if err := p.set(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.cut)
	return p
}

// Address is the host and port that the proxy listens on.
func (p *proxy) Address() string { return p.listen }

// cut ends every connection, and lets none in.
func (p *proxy) cut() {
	if p.toxi != nil {
		p.toxi.Stop()
		p.toxi = nil
	}
}

// set ends every connection, and lets new ones in that suffer from the toxics, if any.
func (p *proxy) set(toxics ...string) error {
	p.cut()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	next := toxiproxy.NewProxy(server, p.name, p.listen, p.upstream)
	for _, toxic := range toxics {
		if _, err := next.Toxics.AddToxicJson(strings.NewReader(toxic)); err != nil {
			return err
		}
	}
	if err := start(next); err != nil {
		return err
	}
	p.toxi = next
	return nil
}

// start waits for the port, which may be held for a moment yet: by a process that was just forked and has not begun its
// program.
func start(p *toxiproxy.Proxy) error {
	const attempts, wait = 100, 20 * time.Millisecond
	for attempt := 1; ; attempt++ {
		err := p.Start()
		if !errors.Is(err, syscall.EADDRINUSE) || attempt == attempts {
			return err
		}
		<-time.After(wait)
	}
}
