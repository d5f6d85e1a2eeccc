// Package s3store implements [s3mesh.Bucket] over the S3 protocol. It is the only place that knows S3 errors and the
// habits of S3 products.
//
// The requests are built here; signing, credentials and endpoint rules are those of the AWS SDK for Go v2. The SDK's own
// S3 client costs about 150 µs of CPU for a small request, three times what everything else in it costs together, it loses
// the order between versions and delete markers in a version listing, and it cannot send Expires as it was written.
package s3store
