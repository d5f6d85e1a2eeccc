package natsqueue

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/s3mesh/s3mesh"
)

// maxAckPending bounds what one link and lane may have handed out or waiting for a retry, over all processes: the server
// keeps each in memory and writes them all with the consumer's state. Beyond it, nothing new is delivered on that lane.
const maxAckPending = 16 << 10

// maxWaiting bounds the requests for deliveries of one consumer, over all processes: a few per subscription.
const maxWaiting = 4096

// createStreams creates what this process owns, or brings it up to date.
func (q *Queue) createStreams(ctx context.Context) error {
	if len(q.cfg.Own) == 0 {
		return nil
	}
	dead, err := q.js.CreateOrUpdateStream(ctx, q.lettersConfig())
	if err != nil {
		return err
	}
	if _, err := q.js.CreateOrUpdateStream(ctx, q.marksConfig()); err != nil {
		return err
	}
	for _, site := range q.cfg.Own {
		stream, err := q.js.CreateOrUpdateStream(ctx, q.streamConfig(site))
		if err != nil {
			return err
		}
		if err := q.createConsumers(ctx, stream, q.linkConsumers(site), ""); err != nil {
			return err
		}
		if err := q.createConsumers(ctx, dead, q.counters(site), site+"_"); err != nil {
			return err
		}
	}
	return nil
}

// createConsumers makes the stream's consumers whose names start with prefix exactly those wanted.
func (q *Queue) createConsumers(ctx context.Context, stream jetstream.Stream, wanted []jetstream.ConsumerConfig,
	prefix string) error {
	for _, cfg := range wanted {
		if _, err := stream.CreateOrUpdateConsumer(ctx, cfg); err != nil {
			return err
		}
	}
	present := stream.ConsumerNames(ctx)
	var stale []string
	for name := range present.Name() {
		known := slices.ContainsFunc(wanted, func(c jetstream.ConsumerConfig) bool { return c.Durable == name })
		if strings.HasPrefix(name, prefix) && !known {
			stale = append(stale, name)
		}
	}
	if err := present.Err(); err != nil {
		return err
	}
	for _, name := range stale {
		q.cfg.Log.Info("removing the consumer of a link that is no more", "stream", stream.CachedInfo().Config.Name, "consumer", name)
		if err := stream.DeleteConsumer(ctx, name); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
			return err
		}
	}
	return nil
}

func (q *Queue) streamConfig(site string) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:              q.names.stream(site),
		Description:       "s3mesh: events of site " + site,
		Subjects:          []string{q.names.all(site)},
		Retention:         jetstream.InterestPolicy,
		Discard:           jetstream.DiscardOld,
		MaxMsgsPerSubject: 1,
		Storage:           jetstream.FileStorage,
		Replicas:          q.cfg.Replicas,
	}
}

func (q *Queue) lettersConfig() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:              q.names.stream(deadLetters),
		Description:       "s3mesh: dead letters of replica set " + q.cfg.Set.Name,
		Subjects:          []string{q.names.all(deadLetters)},
		Retention:         jetstream.LimitsPolicy,
		Discard:           jetstream.DiscardOld,
		MaxMsgsPerSubject: 1,
		Storage:           jetstream.FileStorage,
		Replicas:          q.cfg.Replicas,
		AllowDirect:       true, // to be read a thousand at a time
	}
}

func (q *Queue) marksConfig() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:              q.names.stream(dirtySites),
		Description:       "s3mesh: sites of replica set " + q.cfg.Set.Name + " that need a reconcile",
		Subjects:          []string{q.names.all(dirtySites)},
		Retention:         jetstream.LimitsPolicy,
		Discard:           jetstream.DiscardOld,
		MaxMsgsPerSubject: 1,
		Storage:           jetstream.FileStorage,
		Replicas:          q.cfg.Replicas,
	}
}

func (q *Queue) linkConsumers(site string) []jetstream.ConsumerConfig {
	var all []jetstream.ConsumerConfig
	for _, link := range q.cfg.Set.From(site) {
		for _, lane := range s3mesh.Lanes() {
			all = append(all, jetstream.ConsumerConfig{
				Durable:        consumer(link.Target, lane),
				FilterSubjects: q.names.filters(link, lane),
				AckPolicy:      jetstream.AckExplicitPolicy,
				AckWait:        q.cfg.AckWait,
				MaxDeliver:     -1,
				MaxAckPending:  maxAckPending,
				MaxWaiting:     maxWaiting,
			})
		}
	}
	return all
}

func (q *Queue) counters(site string) []jetstream.ConsumerConfig {
	var all []jetstream.ConsumerConfig
	for _, link := range q.cfg.Set.From(site) {
		all = append(all, jetstream.ConsumerConfig{
			Durable:       counter(link),
			FilterSubject: q.names.letter(link, "*"),
			AckPolicy:     jetstream.AckNonePolicy,
		})
	}
	return all
}
