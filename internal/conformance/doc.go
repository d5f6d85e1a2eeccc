// Package conformance states the contracts [s3mesh.Bucket] and [s3mesh.Queue] as tests. Every implementation, the one in
// memory first, passes the same suite, run from its own tests. What a product behind an adapter honestly cannot do is
// declared in the fixture, and the suite then asserts what happens instead.
package conformance
