// Package reconcile compares the listings of sites and queues what differs. Backfill of a site that joins, resync, and repair of
// lost events are this one mechanism.
//
// A run merges the listings of its sites by key, several ranges of the keyspace at a time, in memory that does not depend on
// how many keys there are. It copies nothing: for each key that differs it publishes events in the bulk lane, and the
// replicators decide from the state of the key at both ends, as they do for every other event. So a run may be cut off,
// repeated, or race with clients and with replication, and costs at worst a wasted look.
//
// # What counts as equal
//
// Listings tell a size, an ETag and a time. Where these leave doubt, the objects are asked:
//
//	at the sites of a link        | changed since the last complete run | verdict
//	------------------------------+-------------------------------------+----------------------------------
//	absent at one                 | –                                   | differs
//	sizes differ                  | –                                   | differs
//	ETags equal                   | no                                  | equal
//	ETags equal                   | yes                                 | asked: metadata may have changed
//	ETags differ, explicably      | no                                  | equal
//	ETags differ, explicably      | yes                                 | asked
//	ETags differ, not explicably  | –                                   | asked
//
// ETags of equal content differ explicably when one is that of a multipart upload, or comes from a site that was seen to
// encrypt in a way that changes them (SSE-KMS). An object that was written before the last complete run over the same link was
// compared by that one. So a HEAD is sent only for what was written since, and not for each key in each run.
//
// A key whose objects were asked for is equal when at all sites that hold it they are the same version, or have the same content
// and the same metadata: such buckets were synchronised before s3mesh came.
package reconcile
