package s3store

import "strings"

// lockedAnswers are what products say when an object lock forbids a request. S3 has no error code of its own for that, so that
// in this one place the message has to tell. It is looked at only together with the code, and with nothing but these very words
// of the product, so that what a user wrote, such as a key or the name of a policy, cannot pass for a lock.
//
// Source: the answers of Amazon S3 to the removal of a locked version; MinIO, cmd/api-errors.go, ErrObjectLocked; versitygw,
// s3err/s3err.go, ErrObjectLocked, which repeats that of Amazon S3 and was MinIO's before; Ceph, rgw_op.cc.
var lockedAnswers = []struct{ code, message string }{
	{"AccessDenied", "Access Denied because object protected by object lock"},
	{"AccessDenied", "forbidden by object lock"},
	{"InvalidRequest", "Object is WORM protected and cannot be overwritten"},
}

// locked reports that an object lock, a retention period or a legal hold, is why the store refused.
func (e *responseError) locked() bool {
	for _, answer := range lockedAnswers {
		if e.Code == answer.code && strings.TrimSuffix(e.Message, ".") == answer.message {
			return true
		}
	}
	return false
}
