package replicate

import (
	"context"
	"sync"
	"time"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/resolve"
)

// Inspection is what every site holds for one key, and who wins.
type Inspection struct {
	Key   string `json:"key"`
	Sites []Held `json:"sites"`
	// Agree tells that every site answered and all hold the same version, or none holds any.
	Agree bool `json:"agree"`
	// Winner names the sites that hold the latest version; empty when no site holds any.
	Winner []string `json:"winner"`
}

// Held is what one site holds for a key.
type Held struct {
	Site     string          `json:"site"`
	Version  *s3mesh.Version `json:"version,omitempty"` // nil: the site holds nothing, or did not answer
	Replica  bool            `json:"replica"`
	Size     int64           `json:"size"`
	Modified time.Time       `json:"modified,omitzero"`
	Type     string          `json:"content_type,omitempty"`
	Error    string          `json:"error,omitempty"`
}

// Inspect reads key at every site of the replicator's replica set, at once. A site that does not answer is part of the
// answer, and not an error. Times that are not exact are compared as they are.
func (r *Replicator) Inspect(ctx context.Context, key string, sites []string) Inspection {
	in := Inspection{Key: key, Sites: make([]Held, len(sites))}
	var group sync.WaitGroup
	for i, site := range sites {
		group.Go(func() { in.Sites[i] = r.held(ctx, site, key) })
	}
	group.Wait()
	in.Agree, in.Winner = compare(in.Sites)
	return in
}

func (r *Replicator) held(ctx context.Context, site, key string) Held {
	s, err := r.state(ctx, site, key)
	if err != nil {
		return Held{Site: site, Error: err.Error()}
	}
	h := Held{Site: site, Version: s.version}
	if s.holdsObject() {
		h.Replica = s.version.Origin != site
		h.Size, h.Modified, h.Type = s.object.Size, s.object.LastModified, s.object.Attributes.ContentType
	}
	return h
}

func compare(sites []Held) (agree bool, winner []string) {
	agree = true
	var best *s3mesh.Version
	for _, h := range sites {
		if h.Error != "" {
			agree = false
			continue
		}
		agree = agree && h.agrees(sites[0])
		switch {
		case h.Version == nil:
		case best == nil || !best.Same(*h.Version) && resolve.Compare(*h.Version, *best) > 0:
			best, winner = h.Version, []string{h.Site}
		case best.Same(*h.Version):
			winner = append(winner, h.Site)
		}
	}
	return agree, winner
}

// agrees reports that a reader sees the same at both sites; a delete marker and nothing at all are the same to it.
func (h Held) agrees(other Held) bool {
	if !h.readable() || !other.readable() {
		return h.readable() == other.readable()
	}
	return h.Version.Same(*other.Version)
}

func (h Held) readable() bool { return h.Version != nil && !h.Version.Deleted }
