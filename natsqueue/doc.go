// Package natsqueue is an s3mesh.Queue on NATS JetStream: on a server embedded in the process, or on an external server or
// cluster.
//
// Every site of a replica set has a stream. A stream keeps at most one message per subject, and the subject names the key,
// so pending events of a key coalesce; it keeps a message until every consumer with an interest in it has acknowledged it
// (interest retention). Every link and lane has a durable pull consumer on its source's stream:
//
//	stream    <set>_<site>              subjects <set>.<site>.<lane>.<target or _>.<key hash>
//	consumer  <target>_<lane>           filters  <set>.<site>.<lane>._.*, <set>.<site>.<lane>.<target>.*
//	stream    <set>_DLQ                 subjects <set>.DLQ.<source>.<target>.<key hash>
//	consumer  <source>_<target>         counts the dead letters of a link; nothing is ever pulled from it
//
// Dead letters of all links share one stream, because then its sequence is their order.
//
// A message that no consumer is interested in is dropped by the server. That is why the owner of a site (Config.Own)
// creates the consumers of all its links before Open returns, and why consumers of links that no longer exist are deleted:
// they would keep every message for ever.
//
// # Durability
//
// The embedded server syncs every write (SyncAlways), so an acknowledged publish is on disk. A sync costs more than all
// the rest of a publish; therefore what is published to a site while a write is under way goes out together next, and
// a large enough group is sent as one atomic batch, which the server syncs once. An external server must run with
// "jetstream { sync_interval: always }", or with Config.Replicas of 3, for the same promise.
package natsqueue
