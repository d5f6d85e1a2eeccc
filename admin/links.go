package admin

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/internal/webapi"
)

// Brake holds the deletes of a link when there are too many at once.
type Brake interface {
	// Engaged reports whether the deletes of a link are held.
	Engaged(link s3mesh.Link) bool
	// Resume lets the deletes of a link go on.
	Resume(link s3mesh.Link)
}

// Resumer lets held deletes go on.
type Resumer struct {
	Set   s3mesh.ReplicaSet
	Links []s3mesh.Link // those that this process works on
	Queue Backlogs
	Brake Brake
}

// Resumed is what resuming a link came to.
type Resumed struct {
	s3mesh.Link
	// Resumed is false when the link was not held.
	Resumed bool `json:"resumed"`
	// Held is how many deletes were held back, and now go on.
	Held int64 `json:"held"`
}

// Resume lets the deletes of a link go on. A link that is not held is no error. One that does not exist is KindNotFound, and
// one that another process works on KindInvalid.
func (r *Resumer) Resume(ctx context.Context, link s3mesh.Link) (Resumed, error) {
	done := Resumed{Link: link}
	if !slices.Contains(r.Set.Links, link) {
		return done, &s3mesh.Error{Kind: s3mesh.KindNotFound, Op: "resume",
			Err: fmt.Errorf("replica set %s has no link %s", r.Set.Name, link)}
	}
	if !slices.Contains(r.Links, link) {
		return done, invalid("resume", fmt.Errorf("%s is the work of another process: ask the one that serves %s", link, link.Target))
	}
	backlog, err := r.Queue.Backlog(ctx, link)
	if err != nil {
		return done, err
	}
	// Deletes may be there that another process holds, which serves the same site: this one may carry them out as well.
	done.Held, done.Resumed = backlog.Held, r.Brake.Engaged(link) || backlog.Held > 0
	if done.Resumed {
		r.Brake.Resume(link)
	}
	return done, nil
}

func (c Config) resume(w http.ResponseWriter, req *http.Request) {
	link := s3mesh.Link{Source: req.PathValue("source"), Target: req.PathValue("target")}
	done, err := c.Resume(req.Context(), link)
	webapi.Reply(w, done, err)
}
