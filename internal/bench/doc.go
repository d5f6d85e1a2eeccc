// Command bench measures replication by the real program between real stores on the loopback interface, and shows the
// numbers beside their targets; docs/benchmarks.md says how each is taken. A missed target is no failure: bench exits
// non-zero only when it could not measure.
//
//	make bench
//	go run ./internal/bench -out bench-out -stores embedded -parts live,requests
package main
