package devstore

import (
	"context"
	"hash/fnv"
	"io"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// gates keep the reads of a key out while something of it is deleted. The delete itself is one rename, but the backend
// reads the attributes of a file by its path, one after the other: a read might find some of the object's and some of the
// marker's.
type gates [64]sync.RWMutex

// of returns the gate of a key.
func (g *gates) of(bucket, key string) *sync.RWMutex {
	sum := fnv.New32a()
	_, _ = io.WriteString(sum, bucket+"/"+key) // a hash takes everything
	return &g[sum.Sum32()%uint32(len(g))]
}

// HeadObject waits for a delete of the same key.
func (s *store) HeadObject(ctx context.Context, in *s3.HeadObjectInput) (*s3.HeadObjectOutput, error) {
	gate := s.gates.of(aws.ToString(in.Bucket), aws.ToString(in.Key))
	gate.RLock()
	defer gate.RUnlock()
	return s.Posix.HeadObject(ctx, in)
}

// GetObject waits for a delete of the same key before it opens the object. The open file is the version's own.
func (s *store) GetObject(ctx context.Context, in *s3.GetObjectInput) (*s3.GetObjectOutput, error) {
	gate := s.gates.of(aws.ToString(in.Bucket), aws.ToString(in.Key))
	gate.RLock()
	defer gate.RUnlock()
	return s.Posix.GetObject(ctx, in)
}
