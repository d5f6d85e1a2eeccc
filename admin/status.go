package admin

import (
	"context"
	"time"

	"github.com/s3mesh/s3mesh"
)

// Status is the state of a running process.
type Status struct {
	Set     string       `json:"set"`
	Version string       `json:"version"`
	Since   time.Time    `json:"since"`
	Now     time.Time    `json:"now"` // by the process's clock
	Sites   []SiteStatus `json:"sites"`
	Links   []LinkStatus `json:"links"`
}

// SiteStatus is the state of one site as this process sees it.
type SiteStatus struct {
	s3mesh.Site
	// Served tells that this process takes the site's events and replicates into it.
	Served bool `json:"served"`
	// Away tells that the site did not answer lately, so that work on it is held back.
	Away bool `json:"away"`
}

// LinkStatus is the state of one link: what it has yet to do, from the queue, and what this process did since it started.
type LinkStatus struct {
	s3mesh.Link
	Pending     int64 `json:"pending"`
	InFlight    int64 `json:"in_flight"`
	Bulk        int64 `json:"bulk"`         // of both, what reconcile, replay and large objects have to do
	Held        int64 `json:"held"`         // deletes that wait for an operator
	DeadLetters int64 `json:"dead_letters"` // kept now
	// BrakeEngaged tells that the link's deletes are held, as there were too many at once, until an operator resumes it.
	BrakeEngaged bool `json:"brake_engaged"`
	// LagSeconds is the age of the oldest write that is pending or in flight; 0 when there is none.
	LagSeconds float64 `json:"lag_seconds"`

	Done    int64                   `json:"done"`    // tasks that ended well
	Retries int64                   `json:"retries"` // attempts that failed and were put off
	Failed  int64                   `json:"failed"`  // tasks that became dead letters
	Bytes   int64                   `json:"bytes"`   // body bytes written to the target
	Results map[s3mesh.Result]int64 `json:"results"`
	// LastError is the latest failure since the process started.
	LastError string `json:"last_error,omitempty"`
}

// Backlogs tells what a link has yet to do.
type Backlogs interface {
	Backlog(ctx context.Context, link s3mesh.Link) (s3mesh.Backlog, error)
}

// Reporter puts a status together.
type Reporter struct {
	Set     s3mesh.ReplicaSet
	Version string
	Since   time.Time
	Served  []string
	Queue   Backlogs
	Record  *Recorder
	// Away reports whether work on a site is being held back.
	Away func(site string) bool
	// Engaged reports whether the brake holds the deletes of a link.
	Engaged func(link s3mesh.Link) bool
	Now     func() time.Time
}

// Status returns the state now. Links whose target this process does not serve are listed with their backlog only.
func (r *Reporter) Status(ctx context.Context) (Status, error) {
	s := Status{Set: r.Set.Name, Version: r.Version, Since: r.Since, Now: r.Now(),
		Sites: make([]SiteStatus, 0, len(r.Set.Sites)), Links: make([]LinkStatus, 0, len(r.Set.Links))}
	served := make(map[string]bool, len(r.Served))
	for _, name := range r.Served {
		served[name] = true
	}
	for _, site := range r.Set.Sites {
		s.Sites = append(s.Sites, SiteStatus{Site: site, Served: served[site.Name], Away: r.Away(site.Name)})
	}
	for _, link := range r.Set.Links {
		backlog, err := r.Queue.Backlog(ctx, link)
		if err != nil {
			return Status{}, err
		}
		l := LinkStatus{Link: link, Pending: backlog.Pending, InFlight: backlog.InFlight, Bulk: backlog.Bulk, Held: backlog.Held,
			DeadLetters: backlog.DeadLetters, BrakeEngaged: r.Engaged(link), LagSeconds: age(backlog, r.Now())}
		r.Record.fill(&l)
		s.Links = append(s.Links, l)
	}
	return s, nil
}
