package alert

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"syscall"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/retrypolicy"
)

const (
	waiting       = 64 // alerts that may wait to be sent
	attempts      = 5
	firstDelay    = time.Second
	maxDelay      = 30 * time.Second
	attemptLimit  = 10 * time.Second
	drainTimeout  = 5 * time.Second // for what is still waiting when the process ends
	maxAnswerSize = 64 << 10
)

// NotifierConfig is what a [Notifier] is made of.
type NotifierConfig struct {
	// URL is the webhook: http or https. It is taken for a secret, and never logged. Empty: there is none.
	URL string
	// Client makes the requests; nil is one with the defaults of net/http. Redirects are not followed.
	Client *http.Client
	// Count is told what became of every alert, from several goroutines. Nil: nobody.
	Count func(Name, Result)
	Log   *slog.Logger
}

// Notifier posts alerts to a webhook, one after the other. It is safe for concurrent use.
type Notifier struct {
	cfg    NotifierConfig
	client http.Client
	queue  chan Alert
	policy retrypolicy.RetryPolicy[any]
}

// NewNotifier returns a notifier that sends once [Notifier.Run] is called.
func NewNotifier(cfg NotifierConfig) *Notifier {
	n := &Notifier{cfg: cfg, queue: make(chan Alert, waiting)}
	if cfg.Client != nil {
		n.client = *cfg.Client
	}
	n.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	n.policy = retrypolicy.NewBuilder[any]().HandleIf(func(_ any, err error) bool { return err != nil && passing(err) }).
		WithMaxAttempts(attempts).WithBackoff(firstDelay, maxDelay).WithJitterFactor(.1).ReturnLastFailure().Build()
	return n
}

// Notify logs an alert and has it sent. It never waits: when too many are waiting already the alert is dropped, and counted.
func (n *Notifier) Notify(a Alert) {
	n.cfg.Log.Error("alert", "alert", string(a.Alert), "link", a.Link.String(), "count", a.Count, "kind", a.Kind.String(),
		"cause", a.Cause, "key", a.Key, "remedy", a.Remedy)
	if n.cfg.URL == "" {
		n.count(a, ResultNoWebhook)
		return
	}
	select {
	case n.queue <- a:
	default:
		n.count(a, ResultDropped)
		n.cfg.Log.Warn("an alert is not sent to the webhook, as too many are waiting", "alert", string(a.Alert),
			"link", a.Link.String())
	}
}

func (n *Notifier) count(a Alert, r Result) {
	if n.cfg.Count != nil {
		n.cfg.Count(a.Alert, r)
	}
}

// Run sends alerts until ctx ends, and then, within a few seconds, those that are waiting.
func (n *Notifier) Run(ctx context.Context) {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(drainTimeout, cancel) })
	defer stop()
	for {
		select {
		case a := <-n.queue:
			n.send(work, a)
		case <-ctx.Done():
			n.drain(work)
			return
		}
	}
}

// drain sends what is waiting.
func (n *Notifier) drain(ctx context.Context) {
	for {
		select {
		case a := <-n.queue:
			n.send(ctx, a)
		default:
			return
		}
	}
}

func (n *Notifier) send(ctx context.Context, a Alert) {
	err := failsafe.With(n.policy).WithContext(ctx).Run(func() error { return n.post(ctx, a) })
	if err == nil {
		n.count(a, ResultSent)
		return
	}
	n.count(a, ResultFailed)
	n.cfg.Log.Error("the webhook did not take an alert", "alert", string(a.Alert), "link", a.Link.String(),
		"reason", reason(err), "remedy", "check alerts.webhook and who answers there")
}

// post sends an alert once.
func (n *Notifier) post(ctx context.Context, a Alert) (err error) {
	ctx, cancel := context.WithTimeout(ctx, attemptLimit)
	defer cancel()
	body, err := json.Marshal(a)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, n.cfg.URL, bytes.NewReader(body))
	if err != nil {
		return errBadURL
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "s3mesh")
	resp, err := n.client.Do(req)
	if err != nil {
		return err
	}
	// The status is the answer; the rest is read only so that the connection can be used again.
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswerSize))
	if err := resp.Body.Close(); err != nil {
		return err
	}
	if resp.StatusCode < http.StatusOK || resp.StatusCode >= http.StatusMultipleChoices {
		return statusError(resp.StatusCode)
	}
	return nil
}

var errBadURL = errors.New("the URL is not one")

// statusError is a status that means that the alert was not taken.
type statusError int

// Error returns the status in words.
func (s statusError) Error() string {
	return "it answered " + strconv.Itoa(int(s)) + " " + http.StatusText(int(s))
}

// passing reports whether a failure may pass by itself.
func passing(err error) bool {
	if status, ok := errors.AsType[statusError](err); ok {
		return status >= http.StatusInternalServerError || status == http.StatusTooManyRequests ||
			status == http.StatusRequestTimeout
	}
	return !errors.Is(err, errBadURL)
}

// reason says why an alert was not taken. The text of a network error would tell the URL, or at least the host.
func reason(err error) string {
	var timeout net.Error
	switch {
	case errors.Is(err, errBadURL):
		return errBadURL.Error()
	case errors.Is(err, context.Canceled):
		return "the process is ending"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "it did not answer in time"
	}
	if status, ok := errors.AsType[statusError](err); ok {
		return status.Error()
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return "its host name cannot be looked up"
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "its certificate is not trusted"
	}
	if number, ok := errors.AsType[syscall.Errno](err); ok {
		return number.Error()
	}
	return "it cannot be reached"
}
