package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/s3mesh/s3mesh/internal/webapi"
)

// RepairKey is a key whose object at Target is to be written anew from Source.
type RepairKey struct {
	Key    string `json:"key"`
	Source string `json:"source"`
	Target string `json:"target"`
}

// repairKeys is what a request to repair holds.
type repairKeys struct {
	Keys []RepairKey `json:"keys"`
}

// repairQueued tells how many keys were put to work.
type repairQueued struct {
	Queued int `json:"queued"`
}

// Seen tells whether the notification of a scratch key came.
type Seen struct {
	Seen bool `json:"seen"`
	// Time is when it came last; zero when it did not.
	Time time.Time `json:"time,omitzero"`
}

func (c Config) repair(w http.ResponseWriter, req *http.Request) {
	const op = "repair keys"
	var named repairKeys
	if err := readBody(w, req, &named); err != nil {
		webapi.Reply(w, nil, invalid(op, err))
		return
	}
	if n := len(named.Keys); n < 1 || n > MaxIDs {
		webapi.Reply(w, nil, invalid(op, fmt.Errorf("%d keys: name 1 to %d", n, MaxIDs)))
		return
	}
	for i, key := range named.Keys {
		if key.Key == "" || key.Source == "" || key.Target == "" {
			webapi.Reply(w, nil, invalid(op, fmt.Errorf("keys[%d]: give key, source and target", i)))
			return
		}
	}
	n, err := c.Repair(req.Context(), named.Keys)
	webapi.Reply(w, repairQueued{n}, err)
}

func (c Config) seen(w http.ResponseWriter, req *http.Request) {
	q := req.URL.Query()
	site, key := q.Get("site"), q.Get("key")
	if site == "" || key == "" {
		webapi.Reply(w, nil, invalid("look for a notification", errors.New("give the site and the key as ?site=&key=")))
		return
	}
	at, seen := c.Seen(site, key)
	webapi.Reply(w, Seen{Seen: seen, Time: at}, nil)
}

// Repair has up to [MaxIDs] keys written anew, and returns how many were put to work.
func (c *Client) Repair(ctx context.Context, keys ...RepairKey) (int, error) {
	var done repairQueued
	err := c.call(ctx, http.MethodPost, "/v1/repair", repairKeys{keys}, &done)
	return done.Queued, err
}

// Seen reports whether the notification of a scratch key at a site came to the process, and when.
func (c *Client) Seen(ctx context.Context, site, key string) (Seen, error) {
	var answer Seen
	err := c.call(ctx, http.MethodGet, "/v1/seen?"+url.Values{"site": {site}, "key": {key}}.Encode(), nil, &answer)
	return answer, err
}
