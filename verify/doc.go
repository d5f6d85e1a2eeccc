// Package verify compares what the sites of a replica set hold: the content, the attributes and the tags of their objects.
//
// Unlike a reconcile it does not rely on version stamps, sizes or times: it finds what no event and no listing tells, such as
// a replica that was damaged or changed behind s3mesh's back. It changes nothing; what it finds can be handed to a running
// process to mend.
//
// Keys come from a merge of the sites' listings. What a site holds under a key is always read from the object itself, so that
// a listing that leaves a key out (MinIO lists no "a/b" while there is an object "a") is no difference.
package verify
