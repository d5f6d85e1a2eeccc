// Package s3mesh is the vocabulary of s3mesh: sites, links, events, versions, tasks, outcomes, error kinds, and the two
// contracts every adapter is written against, [Bucket] and [Queue].
//
// s3mesh keeps any number of S3 buckets identical while each of them stays writable. Data flows one way: an [Event] ("key K
// changed at site S", a hint and never the truth) becomes one [Task] per link that starts at S; a task reads the state of
// its key at both ends, decides, writes under a condition, and ends in one [Outcome].
//
// The package imports the standard library only. Adapters (s3store, natsqueue, memstore, devstore) import it and never
// each other; the programs under cmd wire them together.
package s3mesh
