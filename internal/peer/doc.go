// Package peer starts real S3 servers for tests, and acts on them as an application would: through the AWS SDK's own
// client, which shares no code with s3store.
package peer
