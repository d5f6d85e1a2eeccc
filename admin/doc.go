// Package admin is what an operator sees of a running process: its status, a key at every site, the dead letters, over a
// JSON API with a token; and the client of that API, which the command line uses.
package admin
