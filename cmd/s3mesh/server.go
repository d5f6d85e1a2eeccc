package main

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"os/signal"
	"syscall"
	"time"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/config"
)

const (
	headerTimeout = 10 * time.Second
	bodyTimeout   = time.Minute
	idleTimeout   = 2 * time.Minute
)

// server is an HTTP server on a listener.
type server struct {
	http *http.Server
	done chan error
}

func serve(l net.Listener, h http.Handler) *server {
	s := &server{
		http: &http.Server{Handler: h, ReadHeaderTimeout: headerTimeout, ReadTimeout: bodyTimeout, IdleTimeout: idleTimeout},
		done: make(chan error, 1),
	}
	go func() { s.done <- s.http.Serve(l) }()
	return s
}

// close stops listening and waits for the requests in progress, until ctx ends.
func (s *server) close(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, s.http.Close())
	}
	if served := <-s.done; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// outliveReaders makes a write to standard output or error that nobody reads any more, as in "s3mesh demo | head", an error
// of that write. Otherwise it would end the process at once, without any order.
func outliveReaders() { signal.Ignore(syscall.SIGPIPE) }

// listen opens an address at once, so that a port in use is an error here and now.
func listen(ctx context.Context, what, addr string, certs *config.TLS) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, &s3mesh.Error{Kind: s3mesh.KindInvalid, Op: "listen for " + what, Err: err}
	}
	if certs == nil {
		return l, nil
	}
	pair, err := tls.LoadX509KeyPair(certs.Cert, certs.Key)
	if err != nil {
		return nil, errors.Join(&s3mesh.Error{Kind: s3mesh.KindInvalid, Op: "load the certificate for " + what, Err: err},
			l.Close())
	}
	return tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}), nil
}
