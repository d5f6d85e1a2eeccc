package natsqueue

import (
	"errors"
	"net/url"

	"github.com/nats-io/nats.go"
)

// connect opens the one connection of a queue: to the embedded server, or to the external one. Once made it is made again
// for ever. Nothing is buffered while it is down: a publisher is told at once.
func (q *Queue) connect() error {
	options := []nats.Option{
		nats.Name("s3mesh " + q.cfg.Set.Name),
		nats.MaxReconnects(-1),
		nats.IgnoreAuthErrorAbort(),
		nats.ReconnectBufSize(-1),
		nats.DisconnectErrHandler(q.disconnected),
		nats.ReconnectHandler(q.reconnected),
		nats.ErrorHandler(q.asyncError),
	}
	if q.embedded != nil {
		options = append(options, nats.InProcessServer(q.embedded.server))
	}
	if q.cfg.CredentialsFile != "" {
		options = append(options, nats.UserCredentials(q.cfg.CredentialsFile))
	}
	conn, err := nats.Connect(q.cfg.URL, options...)
	if err != nil {
		return withoutURL(err)
	}
	q.conn = conn
	return nil
}

// withoutURL keeps credentials in a URL out of an error.
func withoutURL(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

func (q *Queue) disconnected(_ *nats.Conn, err error) {
	if err != nil { // nil when this side closed it
		q.cfg.Log.Warn("event stream disconnected", "error", withoutURL(err))
	}
}

// reconnected asks again for deliveries: the server has forgotten what was asked over the lost connection.
func (q *Queue) reconnected(conn *nats.Conn) {
	q.cfg.Log.Info("event stream connected again", "url", conn.ConnectedUrlRedacted())
	for _, s := range q.subscriptions() {
		s.askAgain()
	}
}

func (q *Queue) asyncError(_ *nats.Conn, _ *nats.Subscription, err error) {
	q.cfg.Log.Warn("event stream", "error", err)
}
