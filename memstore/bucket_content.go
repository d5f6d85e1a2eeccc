package memstore

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"hash/crc64"
	"maps"

	"github.com/s3mesh/s3mesh"
)

const (
	opTags    = "GetObjectTagging"
	opPutTags = "PutObjectTagging"
	// nvme is the polynomial of CRC-64/NVME, reversed.
	nvme = 0x9a6c9329ac4bc9b5
)

// Tags returns the tags of the current object under key, or of the version with this ID: none is no error. A missing object is
// KindNotFound. The map is the caller's.
func (b *Bucket) Tags(ctx context.Context, key, versionID string) (map[string]string, error) {
	v, err := b.find(ctx, opTags, key, s3mesh.ReadOptions{VersionID: versionID})
	if err != nil {
		return nil, err
	}
	tags := make(map[string]string, len(v.tags))
	maps.Copy(tags, v.tags)
	return tags, nil
}

// PutTags replaces the tags of the current object under key. As on Amazon S3 that makes no new version, and changes neither
// the ETag nor the time. A missing object is KindNotFound.
func (a Application) PutTags(ctx context.Context, key string, tags map[string]string) error {
	b := a.bucket
	if err := b.check(ctx, opPutTags, key); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, found := b.top(key); !found {
		return b.fail(opPutTags, key, s3mesh.KindNotFound, "no such object")
	}
	versions := b.versions[key]
	versions[len(versions)-1].tags = maps.Clone(tags)
	return nil
}

// checksum is the one that Amazon S3 keeps of every object, also of one that came in parts.
func (v version) checksum() s3mesh.Checksum {
	sum := crc64.Checksum(v.data, crc64.MakeTable(nvme))
	return s3mesh.Checksum{
		Algorithm: "CRC64NVME", Value: base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint64(nil, sum)),
	}
}
