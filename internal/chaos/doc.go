// Package chaos tests the built binary with three real regions while everything between and around them fails: slow, cut and
// absent connections, notifications that never arrive, and processes killed with -9, the daemon also in the middle of comparing
// the regions. Afterwards the regions are compared once (reconcile), and then all must hold the same, and what the writers' own
// log of acknowledged operations allows.
//
//	go test -race ./internal/chaos                                        20 seconds
//	go test -race ./internal/chaos -timeout 3h -chaos.duration=2h         rounds of 3 minutes, each with a seed of its own
//	go test -race ./internal/chaos -chaos.seed=7 -chaos.duration=1m       one round: the same operations and faults again
//
// The seed decides what is done and in which order, not what the scheduler makes of it. CI (S3MESH_REQUIRE_PEERS=1) runs
// 3 minutes.
package chaos
