// Package memstore holds in-memory implementations of [s3mesh.Bucket] and [s3mesh.Queue] for the simulator and for tests.
// They pass the same conformance suites as the real ones.
package memstore
