// Package sim proves that sites converge: it runs the production replicator over buckets in memory, in one goroutine at a
// time, and decides at every request what happens next. It holds no model of the replicator; what it models is the world
// around it: clients, clocks, notifications, the queue, the network, and processes that die.
//
// # How a run works
//
// A world is a few sites, each a [memstore.Bucket] with a clock of its own, a link for every ordered pair of them, and a
// replicator for each site. Every task runs as a coroutine. Each request that it makes, to either end or to the queue, stops it
// before the request takes effect, and the scheduler chooses: this task goes on, its request fails before or after its effect,
// its process dies here, another task goes on, a client writes, an event arrives, is repeated or lost, the clock moves, a site
// is cut off. Everything is drawn from one seed, so a run is repeated exactly by its seed.
//
// At the end faults stop, everything is delivered, each link compares every key once (the anti-entropy round), and the checker
// reads all buckets. See the check functions for what must hold.
//
// # What the checker knows
//
// Clients keep a log: each write has an identity of its own, its content type, and the log says what was on top at its site at
// that moment, which is what it covers. So whether a write was overwritten by somebody who had seen it is known from the
// outside, without asking the code under test. Where every bucket keeps versions and the clocks are within the bound, the log
// gives the exact place of every write in the version order, and the winner must be the greatest.
//
// Less is checked where less is promised. A multipart upload to an unversioned bucket is left out where other buckets keep
// versions: there is no order that all can see. With unversioned buckets the sites must end equal, with a winner that is not
// older than the clocks can tell. A version that a client removes by its ID takes with it the proof of what was written over it.
// Restoring a replica by copying it is done some seconds after it was written. The sweep of old tombstones is one step at the end
// of a run, and on request only.
//
// # Small scopes, exhaustively
//
// Explore runs every interleaving of the client operations, the deliveries and the requests of the tasks of one key, or of whole
// tasks, with a few crashes. It is a depth-first search that keeps no snapshots: a branch is run again from the start, along its
// recorded choices. What can happen next depends on the buckets, on the undelivered events and on what each live task has been
// answered so far; a hash of these prunes what was seen. Interleavings that differ only in the order of reads, and of what does
// not concern them, are run once.
//
// Up to three operations are searched whole task by task, and up to two writes request by request. For more at the grain of
// requests the default run sees a part of each script and says so; without a limit of states it takes minutes to hours.
//
// # Broken variants
//
// The checker is worth what it finds. Each deliberately broken variant (see [Variant]) must be caught within a bounded number of
// seeds, for the fault that is its own.
package sim
