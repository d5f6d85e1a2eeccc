package peer

import (
	"context"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// WebhookARN names the webhook that [Webhook] configures.
const WebhookARN = "arn:minio:sqs::1:webhook"

// MinIO starts a MinIO server on the loopback interface, with a directory that goes with the test. env adds to its
// environment, in the form "NAME=value". Without the binary the test is skipped, or fails where [RequireEnv] says so.
func MinIO(tb testing.TB, env ...string) Endpoint {
	tb.Helper()
	find(tb, "minio")
	endpoint, stop, err := LaunchMinIO(tb.Context(), tb.TempDir(), env...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := stop(); err != nil {
			tb.Error(err)
		}
	})
	return endpoint
}

// LaunchMinIO is [MinIO] for programs that are not tests: the server keeps its data under dir and runs until stop is
// called. ctx bounds the start only. Without the binary the error is [ErrNotInstalled].
func LaunchMinIO(ctx context.Context, dir string, env ...string) (endpoint Endpoint, stop func() error, err error) {
	binary, err := lookUp("minio")
	if err != nil {
		return Endpoint{}, nil, err
	}
	address, err := FreeAddress(ctx)
	if err != nil {
		return Endpoint{}, nil, err
	}
	endpoint = Endpoint{URL: "http://" + address, Region: "us-east-1", AccessKey: "peer-root", SecretKey: "peer-secret"}
	cmd := exec.CommandContext(context.WithoutCancel(ctx), binary, "server", "--quiet", "--address", address,
		filepath.Join(dir, "data"))
	cmd.Env = append([]string{
		"HOME=" + dir,
		"MINIO_ROOT_USER=" + endpoint.AccessKey,
		"MINIO_ROOT_PASSWORD=" + endpoint.SecretKey,
		"MINIO_BROWSER=off",
		"MINIO_UPDATE=off",
	}, env...)
	stop, err = launch(ctx, cmd, endpoint.URL+"/minio/health/live")
	return endpoint, stop, err
}

// Webhook returns the environment that makes a MinIO server able to send events to url. [Endpoint.Subscribe] does the rest.
func Webhook(url string) []string {
	return []string{"MINIO_NOTIFY_WEBHOOK_ENABLE_1=on", "MINIO_NOTIFY_WEBHOOK_ENDPOINT_1=" + url}
}

// Subscribe makes a MinIO server send the events of bucket to the webhook of [Webhook]: objects created and removed.
func (e Endpoint) Subscribe(tb testing.TB, bucket string) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), subscribeTimeout)
	defer cancel()
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for {
		err := e.subscribe(ctx, bucket)
		if err == nil {
			return
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			tb.Fatalf("subscribe bucket %s: %v", bucket, err)
		}
	}
}

// subscribeTimeout is how long MinIO has, after it began to answer, to know of its own webhook.
const subscribeTimeout = 20 * time.Second

func (e Endpoint) subscribe(ctx context.Context, bucket string) error {
	_, err := e.S3().PutBucketNotificationConfiguration(ctx, &s3.PutBucketNotificationConfigurationInput{
		Bucket: &bucket,
		NotificationConfiguration: &types.NotificationConfiguration{
			QueueConfigurations: []types.QueueConfiguration{{
				QueueArn: aws.String(WebhookARN),
				Events:   []types.Event{"s3:ObjectCreated:*", "s3:ObjectRemoved:*"},
			}},
		},
	})
	return err
}
