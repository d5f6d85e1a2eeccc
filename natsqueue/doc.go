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
//	stream    <set>_DIRTY               subjects <set>.DIRTY.<site>
//
// Dead letters of all links share one stream, because then its sequence is their order. They are read with direct requests for
// single sequences, many under way at a time.
//
// # Limits
//
// Neither events nor dead letters grow without bound. A site's stream holds about Config.MaxBacklog events, and all links
// together have about Config.MaxDeadLetters letters. What comes beyond is not kept; instead, the site gets a mark in the stream
// <set>_DIRTY, as durable as the event would have been, and a reconcile from it has to find what changed: see [Queue.Dirty]. How
// much there is, the server is asked once a second.
//
// A message that no consumer is interested in is dropped by the server. That is why the owner of a site (Config.Own)
// creates the consumers of all its links before Open returns, and why consumers of links that no longer exist are deleted:
// they would keep every message for ever.
//
// # Durability
//
// With the embedded server, what is published is first written to a journal beside the server's files and synced there:
// one write and one sync for all that wait at the time, into a file whose size never changes. The server itself does not
// sync what it writes, neither a message when it comes nor its removal when it is acknowledged. Every ten seconds its files
// of messages are synced at once, and the journal up to there is given up. Close syncs everything and leaves no journal.
//
// Open publishes again what it finds in a journal: of every subject the last message stays. After a restart of the machine
// it also removes the consumers' states, which may be ahead of their streams or torn: everything still in a stream is
// delivered again. Both repeat events that were acknowledged, which costs a comparison each; neither loses one that was
// not. Damage to the journal is logged with its place, and all that can be read is recovered.
//
// The server replaces a file of messages by a smaller one without syncing that first. A file system that lets the name
// reach the disk before the data, as XFS does, can lose older pending messages to a power loss within the ten seconds
// until the next sync; ext4 and Btrfs, as they are mounted by default, do not.
//
// An external server must run with "jetstream { sync_interval: always }", or with Config.Replicas of 3, for the same
// promise. There is no journal for it.
package natsqueue
