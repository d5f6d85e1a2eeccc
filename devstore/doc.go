// Package devstore runs real S3 servers on this machine, one per region, each in a process of its own: for the demo, and
// for tests that want the behaviour of a store rather than an imitation of it.
//
// The server is versitygw on its POSIX backend. A process serves one directory only, as the backend changes its working
// directory; hence the program executes itself again for every region (see [Main]), which also makes killing a region
// real. A region never outlives the process that started it.
//
// Some things are mended on the way, each where versitygw 1.8.0 differs from AWS in what s3mesh builds on: deletes are
// serialised with writes of the same key, a delete marker counts as absence for If-None-Match, every version keeps the
// time it was written at, versions are listed in order, and keys that a file path cannot tell apart are refused (see
// store, attributes, orderVersions and folds). The Server header says "s3mesh-devstore" therefore.
//
// Notifications are sent to [Config.EventURL], in AWS's shape. The response to a client waits until the receiver has
// taken the event, so that a write the client saw succeed has been announced.
package devstore
