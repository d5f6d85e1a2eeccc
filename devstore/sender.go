package devstore

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"time"
)

const (
	// sendTime is how long an event is tried for. A client's request waits meanwhile, and its own time-outs are of this
	// order.
	sendTime = 30 * time.Second
	// The pause between attempts doubles from the one to the other.
	firstPause, longestPause = 20 * time.Millisecond, 2 * time.Second
	// idleSenders is how many connections to the receiver are kept: as many as requests may well be sending at once.
	idleSenders = 256
	// maxAnswer bounds what is read of a receiver's answer, in bytes, so that the connection can be used again.
	maxAnswer = 4 << 10
)

// sender delivers messages to the receiver of notifications. It is safe for concurrent use.
type sender struct {
	url    string
	auth   string
	client *http.Client
	log    *slog.Logger
	limit  time.Duration
}

func newSender(o order, log *slog.Logger) *sender {
	dialer := &net.Dialer{Timeout: 2 * time.Second}
	return &sender{
		url: o.EventURL, auth: "Bearer " + o.EventToken, log: log, limit: sendTime,
		client: &http.Client{
			// Nothing is followed: the token is for this receiver only.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Transport: &http.Transport{
				DialContext: dialer.DialContext, MaxIdleConnsPerHost: idleSenders, IdleConnTimeout: time.Minute,
				DisableCompression: true,
			},
		},
	}
}

// send returns once the receiver has taken the records, all in one message. What cannot be delivered is logged as an
// error: the write it announces is committed and cannot be taken back, and a reconcile will find it.
func (s *sender) send(records ...eventRecord) {
	body, err := json.Marshal(eventMessage{Records: records})
	if err == nil {
		err = s.deliver(body)
	}
	if err != nil {
		s.log.Error("event lost: a reconcile is needed", "event", records[0].EventName, "key", records[0].S3.Object.Key,
			"records", len(records), "error", err.Error())
	}
}

func (s *sender) deliver(body []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), s.limit)
	defer cancel()
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		again, err := s.post(ctx, body)
		if err == nil || !again {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("given up after %v: %w", s.limit, err)
		case <-time.After(pause/2 + rand.N(pause/2)):
		}
	}
}

// post makes one attempt and tells whether another makes sense.
func (s *sender) post(ctx context.Context, body []byte) (again bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader(body))
	if err != nil {
		return false, err
	}
	req.Header.Set("Authorization", s.auth)
	req.Header.Set("Content-Type", "application/json")
	resp, err := s.client.Do(req)
	if err != nil {
		return true, withoutURL(err)
	}
	_, err = io.CopyN(io.Discard, resp.Body, maxAnswer)
	if err := errors.Join(ignoreEOF(err), resp.Body.Close()); err != nil {
		return true, err
	}
	switch code := resp.StatusCode; {
	case code/100 == 2:
		return false, nil
	case code/100 == 5, code == http.StatusTooManyRequests, code == http.StatusRequestTimeout:
		return true, fmt.Errorf("the receiver answered %s", resp.Status)
	default:
		return false, fmt.Errorf("the receiver refused the event: %s", resp.Status)
	}
}

// withoutURL takes the URL out of a client's error: its query may hold a secret.
func withoutURL(err error) error {
	if e := (*url.Error)(nil); errors.As(err, &e) {
		return e.Err
	}
	return err
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
