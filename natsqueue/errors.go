package natsqueue

import (
	"context"
	"errors"
	"io/fs"
	"syscall"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/s3mesh/s3mesh"
)

var errClosed = errors.New("the queue is closed")

// kindsOfErrors maps what the NATS client says, and the file system to Open. The first match counts.
var kindsOfErrors = []struct {
	err  error
	kind s3mesh.Kind
}{
	{errClosed, s3mesh.KindCanceled},
	{context.Canceled, s3mesh.KindCanceled},
	{context.DeadlineExceeded, s3mesh.KindUnreachable},
	{syscall.EWOULDBLOCK, s3mesh.KindConflict}, // the directory is locked
	{syscall.ENOSPC, s3mesh.KindThrottled},
	{syscall.EDQUOT, s3mesh.KindThrottled},
	{errJournalFull, s3mesh.KindThrottled},
	{syscall.ENOTDIR, s3mesh.KindInvalid},
	{fs.ErrNotExist, s3mesh.KindInvalid},
	{fs.ErrPermission, s3mesh.KindAccessDenied},
	{nats.ErrTimeout, s3mesh.KindUnreachable},
	{nats.ErrNoServers, s3mesh.KindUnreachable},
	{nats.ErrNoResponders, s3mesh.KindUnreachable},
	{nats.ErrConnectionClosed, s3mesh.KindUnreachable},
	{nats.ErrConnectionDraining, s3mesh.KindUnreachable},
	{nats.ErrConnectionReconnecting, s3mesh.KindUnreachable},
	{nats.ErrDisconnected, s3mesh.KindUnreachable},
	{nats.ErrReconnectBufExceeded, s3mesh.KindUnreachable}, // disconnected, as nothing is buffered then
	{nats.ErrStaleConnection, s3mesh.KindUnreachable},
	{nats.ErrSecureConnRequired, s3mesh.KindInvalid},
	{nats.ErrSecureConnWanted, s3mesh.KindInvalid},
	{nats.ErrAuthorization, s3mesh.KindAccessDenied},
	{nats.ErrAuthExpired, s3mesh.KindAccessDenied},
	{nats.ErrAuthRevoked, s3mesh.KindAccessDenied},
	{nats.ErrPermissionViolation, s3mesh.KindAccessDenied},
	{nats.ErrMaxPayload, s3mesh.KindTooLarge},
	{jetstream.ErrNoStreamResponse, s3mesh.KindUnreachable},
	{jetstream.ErrTooManyStalledMsgs, s3mesh.KindUnreachable}, // it answers none of them
	{jetstream.ErrAsyncPublishTimeout, s3mesh.KindUnreachable},
	{jetstream.ErrJetStreamNotEnabled, s3mesh.KindUnsupported},
	{jetstream.ErrJetStreamNotEnabledForAccount, s3mesh.KindUnsupported},
	{jetstream.ErrMsgNotFound, s3mesh.KindNotFound},
	// The owner of the site has not created its stream yet, or has removed the link.
	{jetstream.ErrStreamNotFound, s3mesh.KindUnreachable},
	{jetstream.ErrConsumerNotFound, s3mesh.KindUnreachable},
}

// kindsOfCodes maps JetStream's own error codes that the client has no error for.
var kindsOfCodes = map[jetstream.ErrorCode]s3mesh.Kind{
	10023: s3mesh.KindThrottled, // insufficient resources
	10028: s3mesh.KindThrottled, // memory limit
	10047: s3mesh.KindThrottled, // storage limit
	10052: s3mesh.KindInvalid,   // bad stream configuration
	10054: s3mesh.KindTooLarge,  // message exceeds maximum
	10077: s3mesh.KindThrottled, // store failed, as on a full disk
}

func kindOf(err error) s3mesh.Kind {
	for _, entry := range kindsOfErrors {
		if errors.Is(err, entry.err) {
			return entry.kind
		}
	}
	if api, ok := errors.AsType[*jetstream.APIError](err); ok {
		if kind, ok := kindsOfCodes[api.ErrorCode]; ok {
			return kind
		}
		if api.Code >= 500 {
			return s3mesh.KindUnreachable
		}
	}
	return s3mesh.KindOf(err)
}

// failed returns err with its kind and place, or nil.
func failed(op, site string, err error) error {
	if err == nil {
		return nil
	}
	return &s3mesh.Error{Kind: kindOf(err), Op: op, Site: site, Err: err}
}

func invalid(op, site string, err error) error {
	return &s3mesh.Error{Kind: s3mesh.KindInvalid, Op: op, Site: site, Err: err}
}
