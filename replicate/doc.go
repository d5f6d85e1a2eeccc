// Package replicate turns events into replicas: a [Planner] admits events to the queue, a [Worker] takes them off it, and a
// [Replicator] carries one task over one link, by reading the key's state at both ends, deciding with package resolve, and
// writing to its own bucket under a condition.
//
// It knows buckets and queues by their contracts only.
package replicate
