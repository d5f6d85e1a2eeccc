// Package admin is what an operator sees of a running process: its status, a key at every site, the dead letters, the deletes
// that are held, comparisons of the sites, over a JSON API with a token; the client of that API, which the command line uses;
// and the metrics.
package admin
