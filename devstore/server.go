package devstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/versity/versitygw/auth"
	"github.com/versity/versitygw/backend"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/s3api"
	"github.com/versity/versitygw/s3api/middlewares"

	"github.com/s3mesh/s3mesh"
)

const (
	maxConnections = 4096
	maxRequests    = 1024
	maxParts       = 10_000
	// maxCopy is the limit of CopyObject on AWS, in bytes. The backend has no default that works.
	maxCopy = 5 << 30
	// copyBuffer is the backend's buffer per request, in bytes: its default of 1 MiB costs memory and no less time.
	copyBuffer = 128 << 10
	// portAttempts bounds how often a free port may be snatched away between its choice and its use.
	portAttempts = 20
)

// server is a region's S3 server, in the process that is the region.
type server struct {
	addr   string
	api    *s3api.S3ApiServer
	served chan error // what serving ended with
}

// openServer opens the directory and returns once the port is bound. Errors are *[s3mesh.Error].
func openServer(o order, log *slog.Logger) (*server, error) {
	be, err := openBackend(o)
	if err != nil {
		return nil, err
	}
	if err := ensureBucket(be, o); err != nil {
		return nil, &s3mesh.Error{Kind: s3mesh.KindOther, Op: "create bucket", Err: err}
	}
	if o.EventURL != "" {
		be = &announcer{Backend: be, region: o.Region, send: newSender(o, log).send}
	}
	s := &server{served: make(chan error, 1)}
	bound := make(chan struct{})
	s.api, err = s3api.New(be, middlewares.RootUserConfig{Access: o.ClientKey, Secret: o.ClientSecret}, o.Region,
		newAccounts(o), nil, nil, nil, nil,
		s3api.WithKeepAlive(), s3api.WithQuiet(), s3api.WithMpMaxParts(maxParts),
		s3api.WithConcurrencyLimiter(maxConnections, maxRequests), s3api.WithMiddleware("/", answerAsAWS),
		s3api.WithMiddleware("/", refuseFoldingKeys), s3api.WithOnListen(func() { close(bound) }))
	if err != nil {
		return nil, &s3mesh.Error{Kind: s3mesh.KindOther, Op: "set up server", Err: err}
	}
	if err := s.listen(o.Addr, bound); err != nil {
		return nil, err
	}
	return s, nil
}

func openBackend(o order) (backend.Backend, error) {
	root, versions := filepath.Join(o.Dir, "objects"), filepath.Join(o.Dir, "versions")
	for _, dir := range []string{root, versions} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, &s3mesh.Error{Kind: s3mesh.KindInvalid, Op: "create directory",
				Err: fmt.Errorf("%w; choose a directory that can be written to", err)}
		}
	}
	if err := claim(o.Dir); err != nil {
		return nil, err
	}
	if err := probeAttributes(root, attributes{}); err != nil {
		return nil, err
	}
	for _, dir := range []string{root, versions} {
		if err := clearStaging(dir); err != nil {
			return nil, &s3mesh.Error{Kind: s3mesh.KindOther, Op: "clear what was not finished", Err: err}
		}
	}
	// Files without a name are put over others by way of a temporary name beside them, which a killed region leaves in the
	// bucket as an object of its own.
	be, err := posix.New(root, attributes{}, posix.PosixOpts{VersioningDir: versions, CopyObjectThreshold: maxCopy,
		IOBufferSize: copyBuffer, ForceNoTmpFile: true})
	if err != nil {
		return nil, &s3mesh.Error{Kind: s3mesh.KindInvalid, Op: "open directory", Err: err}
	}
	return &store{Posix: be, root: root, versions: versions}, nil
}

// claim takes the directory for this process until it ends. It waits a little, for the last owner may just be dying.
func claim(dir string) error {
	const patience = 3 * time.Second
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err := claimFile(ctx, filepath.Join(dir, "lock"))
	if errors.Is(err, context.DeadlineExceeded) {
		return &s3mesh.Error{Kind: s3mesh.KindConflict, Op: "open directory",
			Err: fmt.Errorf("%s is in use by another region: stop that one or choose another directory", dir)}
	}
	if err != nil {
		return &s3mesh.Error{Kind: s3mesh.KindInvalid, Op: "open directory", Err: err}
	}
	return nil
}

// ensureBucket creates the bucket if it does not exist. It sets the owner anew, as a crash may have come between, and as
// the credentials may be others than those of the last run.
func ensureBucket(be backend.Backend, o order) error {
	ctx := context.Background()
	acl, err := json.Marshal(auth.ACL{Owner: o.ReplicatorKey, Grantees: []auth.Grantee{
		{Permission: auth.PermissionFullControl, Access: o.ReplicatorKey, Type: types.TypeCanonicalUser},
	}})
	if err != nil {
		return err
	}
	if _, err := be.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &o.Bucket}); err == nil {
		return be.PutBucketAcl(ctx, o.Bucket, acl)
	}
	err = be.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &o.Bucket,
		ObjectOwnership:           types.ObjectOwnershipBucketOwnerEnforced,
		CreateBucketConfiguration: &types.CreateBucketConfiguration{}}, acl)
	if err != nil || o.Unversioned {
		return err
	}
	return be.PutBucketVersioning(ctx, o.Bucket, types.BucketVersioningStatusEnabled)
}

// listen serves on addr, or on a free port of addr's host when its port is 0, and returns once the port is bound. The
// server takes no listener and does not tell which port it got: so one is chosen first, and another if that is taken.
func (s *server) listen(addr string, bound <-chan struct{}) error {
	for attempt := 1; ; attempt++ {
		chosen, err := choose(addr)
		if err != nil {
			return listenError(addr, err)
		}
		go func() { s.served <- s.api.ServeMultiPort([]string{chosen}) }()
		select {
		case <-bound:
			s.addr = chosen
			return nil
		case err := <-s.served:
			if !errors.Is(err, syscall.EADDRINUSE) || chosen == addr || attempt == portAttempts {
				return listenError(addr, err)
			}
		}
	}
}

// choose returns addr with the port that the system gives for it.
func choose(addr string) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", addr)
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

func listenError(addr string, err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return &s3mesh.Error{Kind: s3mesh.KindConflict, Op: "listen",
			Err: fmt.Errorf("%s is in use by another program: stop it or choose another port", addr)}
	}
	return &s3mesh.Error{Kind: s3mesh.KindInvalid, Op: "listen", Err: err}
}

// wait returns when serving ended by itself, or, once stop is closed, when the requests in flight have finished, but
// after drainTime at the latest: the server would wait for idle connections longer than that.
func (s *server) wait(stop <-chan struct{}) error {
	select {
	case err := <-s.served:
		return fmt.Errorf("serving ended: %w", err)
	case <-stop:
	}
	drained := make(chan error, 1)
	go func() { drained <- s.api.ShutDown() }()
	select {
	case err := <-drained:
		return err
	case <-time.After(drainTime):
		return nil
	}
}
