package s3store

import (
	"context"
	"errors"
	"net/url"

	"github.com/s3mesh/s3mesh"
)

// Try does what takes the permission for one action of IAM, such as "s3:PutObject", with a scratch key or the bucket. An error
// of KindAccessDenied says that it is not given; that there is nothing to act on is none.
//
// The actions are s3:AbortMultipartUpload, s3:DeleteObject, s3:DeleteObjectVersion, s3:GetBucketVersioning, s3:GetObject,
// s3:GetObjectTagging, s3:GetObjectVersion, s3:ListBucket, s3:ListBucketMultipartUploads, s3:ListBucketVersions, s3:PutObject
// and s3:PutObjectTagging; another is KindInvalid.
func (s *Scratch) Try(ctx context.Context, action string) error {
	try, known := map[string]func(context.Context) error{
		"s3:AbortMultipartUpload":       s.tryAbort,
		"s3:DeleteObject":               s.tryDelete,
		"s3:DeleteObjectVersion":        s.tryDeleteVersion,
		"s3:GetBucketVersioning":        s.tryVersioning,
		"s3:GetObject":                  s.tryGet,
		"s3:GetObjectTagging":           s.tryGetTags,
		"s3:GetObjectVersion":           s.tryGetVersion,
		"s3:ListBucket":                 s.tryList,
		"s3:ListBucketMultipartUploads": s.tryListUploads,
		"s3:ListBucketVersions":         s.tryListVersions,
		"s3:PutObject":                  s.tryPut,
		"s3:PutObjectTagging":           s.tryPutTags,
	}[action]
	if !known {
		return &s3mesh.Error{Kind: s3mesh.KindInvalid, Op: action, Site: s.bucket.client.site, Err: errors.New("no such action")}
	}
	return ignoreNotFound(try(ctx))
}

// tried is the key that permissions are tried with. It is removed with the others once something was written there.
func (s *Scratch) tried() string { return s.base + "/permissions" }

func (s *Scratch) tryPut(ctx context.Context) error {
	_, err := s.write(ctx, s.key("permissions"), scratchContent, nil)
	return err
}

// tryGet looks at an object: that of tryPut, or else one of the bucket's own, as a store may say of a missing one that access is
// denied though it is not, or the other way round.
func (s *Scratch) tryGet(ctx context.Context) error {
	_, err := s.exact.Head(ctx, s.tried(), s3mesh.ReadOptions{})
	if err == nil {
		return nil
	}
	for page, listErr := range s.exact.List(ctx, s3mesh.ListOptions{}) {
		if listErr == nil {
			_, err = s.exact.Head(ctx, page[0].Key, s3mesh.ReadOptions{})
		}
		break
	}
	return err
}

func (s *Scratch) tryGetVersion(ctx context.Context) error {
	key, id, err := s.someVersion(ctx)
	if err != nil || id == "" {
		return err
	}
	_, err = s.exact.Head(ctx, key, s3mesh.ReadOptions{VersionID: id})
	return err
}

// someVersion returns a version of the key of tryPut, or else of any.
func (s *Scratch) someVersion(ctx context.Context) (key, id string, err error) {
	for _, prefix := range []string{s.tried(), ""} {
		for page, err := range s.exact.Versions(ctx, s3mesh.ListOptions{Prefix: prefix}) {
			if err != nil {
				return "", "", err
			}
			for _, v := range page {
				if !v.DeleteMarker && v.VersionID != "" {
					return v.Key, v.VersionID, nil
				}
			}
			break
		}
	}
	return "", "", nil
}

func (s *Scratch) tryList(ctx context.Context) error { return s.bucket.Hello(ctx) }

func (s *Scratch) tryListVersions(ctx context.Context) error {
	for _, err := range s.exact.Versions(ctx, s3mesh.ListOptions{Prefix: s.tried()}) {
		return err
	}
	return nil
}

func (s *Scratch) tryListUploads(ctx context.Context) error {
	var answer struct{}
	return s.ask(ctx, opUploads, url.Values{"uploads": {""}, "prefix": {s.tried()}}, &answer)
}

func (s *Scratch) tryVersioning(ctx context.Context) error {
	_, err := s.bucket.Versioning(ctx)
	return err
}

// tryDelete makes a delete marker, or deletes. It does so with a key of its own, and so needs no object.
func (s *Scratch) tryDelete(ctx context.Context) error {
	return s.exact.removeVersion(ctx, deletion(s.key("permissions-delete")), "")
}

func (s *Scratch) tryDeleteVersion(ctx context.Context) error {
	id := nullVersion
	for entry, err := range s.exact.History(ctx, s.tried()) {
		if err == nil && entry.VersionID != "" {
			id = entry.VersionID
		}
		break
	}
	return s.exact.removeVersion(ctx, deletion(s.tried()), id)
}

// tryAbort aborts an upload: one that was begun for it, where that is allowed, or else one that never was.
func (s *Scratch) tryAbort(ctx context.Context) error {
	begun, err := s.bucket.BeginUpload(ctx, s.tried(), s3mesh.Attributes{})
	if err != nil {
		begun = &upload{bucket: s.exact, key: s.tried(), id: "none"}
	}
	s.mu.Lock()
	s.uploads = append(s.uploads, begun)
	s.mu.Unlock()
	return begun.Abort(ctx)
}

func (s *Scratch) tryGetTags(ctx context.Context) error {
	_, err := s.tags(ctx, s.tried())
	return err
}

func (s *Scratch) tryPutTags(ctx context.Context) error { return s.putTags(ctx, s.tried()) }
