// Package config reads mesh.yaml, the one file that describes a replica set: its sites, links and queue, where it listens,
// and how it replicates. See [Example] for a file with every field.
//
// Loading is strict and complete: unknown fields, duplicate keys, wrong types and values that cannot work are all refused,
// and every fault is reported in one go as an [*Error], each with its line, its column and its remedy. Only a YAML syntax
// error hides what comes after it. Anchors, aliases, tags and merge keys are refused: every value stands where it is used.
//
// In text values, and only there, ${NAME} is replaced by the environment variable NAME, which must be set and not empty.
// What a variable holds is taken as it is: it is not searched for ${NAME} again. A "$" that no "{" follows means itself.
// Inside { } and [ ] YAML wants the form quoted: {token: "${NAME}"}. Keys and tokens ([Secret]) must be written as ${NAME}:
// the file never holds them. No fault quotes the value of an environment variable, a secret, a URL or a line of the file.
//
// Paths of other files (ca_file, creds_file, cert, key, queue.dir) are used as they are: relative ones start at the
// process's working directory. They are not opened here.
package config
