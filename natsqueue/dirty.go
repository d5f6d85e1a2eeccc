package natsqueue

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// DirtyMark says that changes at a site were not kept one by one, as there were too many: only a reconcile from the site
// finds them.
type DirtyMark struct {
	Site string
	At   time.Time // when a change was last not kept, by the server's clock
	mark stored
}

// mark returns the message that marks a site dirty. No two are the same, so that an old one is never taken for a newer one.
func (q *Queue) mark(site string) *nats.Msg {
	return &nats.Msg{Subject: q.names.mark(site), Data: fmt.Appendf(nil, `{"v":%d,"nonce":%q}`, formatVersion, rand.Text())}
}

// Dirty returns the marks of the sites that are marked dirty, in the order of the replica set. A mark is durable before the
// call of Publish or Bury that caused it returns. To clear one, read it, reconcile from its site, and then call Clean with
// it.
func (q *Queue) Dirty(ctx context.Context) ([]DirtyMark, error) {
	stream, err := q.js.Stream(ctx, q.names.stream(dirtySites))
	if err != nil {
		return nil, failed("Dirty", "", err)
	}
	var all []DirtyMark
	for _, site := range q.cfg.Set.Sites {
		raw, err := stream.GetLastMsgForSubject(ctx, q.names.mark(site.Name))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			return nil, failed("Dirty", site.Name, err)
		}
		all = append(all, DirtyMark{site.Name, raw.Time, stored{raw.Subject, raw.Sequence, raw.Time, raw.Data}})
	}
	return all, nil
}

// Clean removes a mark that Dirty returned, unless the site was marked again since: then it reports false, and the changes
// that were not kept since need another reconcile.
func (q *Queue) Clean(ctx context.Context, m DirtyMark) (bool, error) {
	if m.mark.sequence == 0 {
		return false, invalid("Clean", m.Site, errors.New("the mark is not one that Dirty returned"))
	}
	if err := q.enter(); err != nil {
		return false, failed("Clean", m.Site, err)
	}
	defer q.calls.Done()
	n, err := q.remove(ctx, dirtySites, []stored{m.mark})
	return n == 1, failed("Clean", m.Site, err)
}
