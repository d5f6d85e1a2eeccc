package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/s3mesh/s3mesh/devstore"
	"github.com/s3mesh/s3mesh/internal/peer"
	"github.com/s3mesh/s3mesh/s3store"
)

// The kinds of stores.
const (
	kindEmbedded = "embedded" // versitygw, as in the demo
	kindMinIO    = "minio"
)

const (
	bucketName = "bench"
	regionName = "us-east-1"
)

// store is a running store with one versioned bucket.
type store struct {
	name     string
	endpoint string
	client   devstore.Credentials
	// replicator is what s3mesh uses. Where it is not the client's too, events tell a replica's write from a client's.
	replicator devstore.Credentials
	// bucket reads and writes as a client, through the same code that s3mesh uses.
	bucket *s3store.Bucket
	// announce turns the sending of events on or off. The bucket keeps what it holds.
	announce func(ctx context.Context, on bool) error
	stop     func() error
}

func (s *store) dedicated() bool { return s.client.AccessKeyID != s.replicator.AccessKeyID }

// storeConfig says where a store keeps its data and sends its events.
type storeConfig struct {
	kind, name, dir string
	eventURL, token string
}

// startStore starts a store that sends no events yet.
func startStore(ctx context.Context, cfg storeConfig) (*store, error) {
	start := startEmbedded
	if cfg.kind == kindMinIO {
		start = startMinIO
	}
	s, err := start(ctx, cfg)
	if err != nil {
		return nil, err
	}
	s.bucket, err = s3store.Open(ctx, s3store.Config{Site: s.name, Endpoint: s.endpoint, Region: regionName, Bucket: bucketName,
		PathStyle: true, Credentials: s.credentials()})
	if err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

func (s *store) credentials() aws.CredentialsProvider {
	return credentials.NewStaticCredentialsProvider(s.client.AccessKeyID, s.client.SecretAccessKey, "")
}

// list returns the keys under prefix.
func (s *store) list(ctx context.Context, prefix string) (map[string]bool, error) {
	client := s3.New(s3.Options{BaseEndpoint: &s.endpoint, Region: regionName, UsePathStyle: true, Credentials: s.credentials()})
	keys := make(map[string]bool)
	pages := s3.NewListObjectsV2Paginator(client, &s3.ListObjectsV2Input{Bucket: aws.String(bucketName), Prefix: &prefix})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", s.name, err)
		}
		for _, object := range page.Contents {
			keys[aws.ToString(object.Key)] = true
		}
	}
	return keys, nil
}

// startEmbedded starts a region. It has to be started anew to change whether it sends events; it keeps its address.
func startEmbedded(ctx context.Context, cfg storeConfig) (*store, error) {
	s := &store{name: cfg.name,
		client:     devstore.Credentials{AccessKeyID: "bench-client", SecretAccessKey: "bench-client-secret"},
		replicator: devstore.Credentials{AccessKeyID: "bench-replicator", SecretAccessKey: "bench-replicator-secret"}}
	region := devstore.Config{Site: cfg.name, Region: regionName, Dir: cfg.dir, Bucket: bucketName,
		Client: s.client, Replicator: s.replicator}
	running, err := devstore.Start(ctx, region)
	if err != nil {
		return nil, err
	}
	s.endpoint, region.Addr = running.Endpoint(), running.Addr()
	s.stop = func() error { return running.Stop(context.WithoutCancel(ctx)) }
	s.announce = func(ctx context.Context, on bool) error {
		if err := running.Stop(ctx); err != nil {
			return err
		}
		region.EventURL, region.EventToken = "", ""
		if on {
			region.EventURL, region.EventToken = cfg.eventURL, cfg.token
		}
		next, err := devstore.Start(ctx, region)
		if err == nil {
			running = next
		}
		return err
	}
	return s, nil
}

// startMinIO starts a MinIO. Client and s3mesh share its one account, so that echoes are known by what s3mesh remembers.
func startMinIO(ctx context.Context, cfg storeConfig) (*store, error) {
	if err := os.MkdirAll(filepath.Join(cfg.dir, "data"), 0o700); err != nil {
		return nil, err
	}
	env := append(peer.Webhook(cfg.eventURL), "MINIO_NOTIFY_WEBHOOK_AUTH_TOKEN_1="+cfg.token)
	endpoint, stop, err := peer.LaunchMinIO(ctx, cfg.dir, env...)
	if err != nil {
		return nil, err
	}
	keys := devstore.Credentials{AccessKeyID: endpoint.AccessKey, SecretAccessKey: endpoint.SecretKey}
	s := &store{name: cfg.name, endpoint: endpoint.URL, client: keys, replicator: keys, stop: stop}
	s.announce = func(ctx context.Context, on bool) error { return announceMinIO(ctx, endpoint, on) }
	if err := createBucket(ctx, endpoint.S3()); err != nil {
		return nil, errors.Join(err, stop())
	}
	return s, nil
}

func createBucket(ctx context.Context, client *s3.Client) error {
	if _, err := client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String(bucketName)}); err != nil {
		return err
	}
	_, err := client.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{Bucket: aws.String(bucketName),
		VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled}})
	return err
}

func announceMinIO(ctx context.Context, endpoint peer.Endpoint, on bool) error {
	events := &types.NotificationConfiguration{}
	if on {
		events.QueueConfigurations = []types.QueueConfiguration{{QueueArn: aws.String(peer.WebhookARN),
			Events: []types.Event{"s3:ObjectCreated:*", "s3:ObjectRemoved:*"}}}
	}
	_, err := endpoint.S3().PutBucketNotificationConfiguration(ctx, &s3.PutBucketNotificationConfigurationInput{
		Bucket: aws.String(bucketName), NotificationConfiguration: events})
	return err
}
