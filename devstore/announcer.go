package devstore

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/versity/versitygw/auth"
	"github.com/versity/versitygw/backend"
	"github.com/versity/versitygw/s3response"
)

// announcer sends an event for every write that the backend committed, before the response to the client.
//
// It decorates the backend, rather than being the server's event sender, because the backend's results tell what the
// server's event leaves out: which of several deletes happened, what each left behind, and the size of a copied or
// assembled object, by which s3mesh chooses the lane. The strings it reads belong to the request, as does the time: the
// message is encoded before it returns.
type announcer struct {
	backend.Backend
	region string
	seq    sequencer
	send   func(record ...eventRecord)
}

// PutObject announces ObjectCreated:Put.
func (a *announcer) PutObject(ctx context.Context, in s3response.PutObjectInput) (s3response.PutObjectOutput, error) {
	out, err := a.Backend.PutObject(ctx, in)
	if err == nil {
		a.send(a.record(ctx, "ObjectCreated:Put", *in.Bucket, eventObject{Key: *in.Key, ETag: out.ETag,
			VersionID: out.VersionID, Size: aws.ToInt64(out.Size)}))
	}
	return out, err
}

// CopyObject announces ObjectCreated:Copy.
func (a *announcer) CopyObject(ctx context.Context, in s3response.CopyObjectInput) (s3response.CopyObjectOutput, error) {
	out, err := a.Backend.CopyObject(ctx, in)
	if err == nil {
		object := eventObject{Key: *in.Key, VersionID: aws.ToString(out.VersionId)}
		if out.CopyObjectResult != nil {
			object.ETag = aws.ToString(out.CopyObjectResult.ETag)
		}
		object.Size = a.size(ctx, *in.Bucket, object)
		a.send(a.record(ctx, "ObjectCreated:Copy", *in.Bucket, object))
	}
	return out, err
}

// CompleteMultipartUpload announces ObjectCreated:CompleteMultipartUpload.
func (a *announcer) CompleteMultipartUpload(ctx context.Context, in *s3.CompleteMultipartUploadInput) (
	s3response.CompleteMultipartUploadResult, string, error) {
	out, versionID, err := a.Backend.CompleteMultipartUpload(ctx, in)
	if err == nil {
		object := eventObject{Key: *in.Key, ETag: aws.ToString(out.ETag), VersionID: versionID}
		object.Size = a.size(ctx, *in.Bucket, object)
		a.send(a.record(ctx, "ObjectCreated:CompleteMultipartUpload", *in.Bucket, object))
	}
	return out, versionID, err
}

// size returns the size of an object just written, or 0 when it is gone again.
func (a *announcer) size(ctx context.Context, bucket string, o eventObject) int64 {
	out, err := a.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &bucket, Key: &o.Key, VersionId: &o.VersionID})
	if err != nil {
		return 0
	}
	return aws.ToInt64(out.ContentLength)
}

// DeleteObject announces ObjectRemoved:DeleteMarkerCreated or ObjectRemoved:Delete. The latter also when there was
// nothing to delete, which the backend does not tell apart.
func (a *announcer) DeleteObject(ctx context.Context, in *s3.DeleteObjectInput) (*s3.DeleteObjectOutput, error) {
	out, err := a.Backend.DeleteObject(ctx, in)
	if err == nil {
		marker := aws.ToBool(out.DeleteMarker) && aws.ToString(in.VersionId) == ""
		a.send(a.record(ctx, deleteName(marker), *in.Bucket, eventObject{Key: *in.Key,
			VersionID: aws.ToString(out.VersionId)}))
	}
	return out, err
}

// DeleteObjects announces what was deleted in one message, with a record for each object.
func (a *announcer) DeleteObjects(ctx context.Context, in *s3.DeleteObjectsInput) (s3response.DeleteResult, error) {
	out, err := a.Backend.DeleteObjects(ctx, in)
	records := make([]eventRecord, 0, len(out.Deleted))
	for _, d := range out.Deleted {
		versionID := aws.ToString(d.VersionId)
		marker := aws.ToBool(d.DeleteMarker) && versionID == ""
		if marker {
			versionID = aws.ToString(d.DeleteMarkerVersionId)
		}
		records = append(records, a.record(ctx, deleteName(marker), *in.Bucket, eventObject{Key: aws.ToString(d.Key),
			VersionID: versionID}))
	}
	if len(records) > 0 {
		a.send(records...)
	}
	return out, err
}

func deleteName(marker bool) string {
	if marker {
		return "ObjectRemoved:DeleteMarkerCreated"
	}
	return "ObjectRemoved:Delete"
}

// PutObjectTagging announces ObjectTagging:Put.
func (a *announcer) PutObjectTagging(ctx context.Context, bucket, key, versionID string, tags map[string]string) error {
	err := a.Backend.PutObjectTagging(ctx, bucket, key, versionID, tags)
	if err == nil {
		a.send(a.record(ctx, "ObjectTagging:Put", bucket, eventObject{Key: key, VersionID: versionID}))
	}
	return err
}

// DeleteObjectTagging announces ObjectTagging:Delete.
func (a *announcer) DeleteObjectTagging(ctx context.Context, bucket, key, versionID string) error {
	err := a.Backend.DeleteObjectTagging(ctx, bucket, key, versionID)
	if err == nil {
		a.send(a.record(ctx, "ObjectTagging:Delete", bucket, eventObject{Key: key, VersionID: versionID}))
	}
	return err
}

func (a *announcer) record(ctx context.Context, name, bucket string, o eventObject) eventRecord {
	// The server's authentication puts the account there; the backend itself reads it so.
	account, _ := ctx.Value("account").(auth.Account)
	now := time.Now()
	o.Sequencer = a.seq.next(now)
	return newRecord(occasion{name: name, region: a.region, principal: account.Access, bucket: bucket, at: now}, o)
}
