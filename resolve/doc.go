// Package resolve is the version order: which of two versions of a key is the later one, and what follows for a target.
//
// It is pure. It does no I/O and reads no clock, so that every site, given the same two versions, decides alike. That is why
// sites converge: the order is total, a site's state only ever moves up it, and so all sites end at the one maximum, in
// any order of deliveries, with duplicates and without echoes.
package resolve
