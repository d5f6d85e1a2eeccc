package peer

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// webhookARN names the webhook that [Webhook] configures.
const webhookARN = "arn:minio:sqs::1:webhook"

// MinIO starts a MinIO server on the loopback interface, with a directory that goes with the test. env adds to its
// environment, in the form "NAME=value". Without the binary the test is skipped, or fails where [RequireEnv] says so.
func MinIO(t testing.TB, env ...string) Endpoint {
	t.Helper()
	binary := find(t, "minio")
	address := freeAddress(t)
	dir := t.TempDir()
	endpoint := Endpoint{URL: "http://" + address, Region: "us-east-1", AccessKey: "peer-root", SecretKey: "peer-secret"}
	cmd := exec.Command(binary, "server", "--quiet", "--address", address, filepath.Join(dir, "data"))
	cmd.Env = append([]string{
		"HOME=" + dir,
		"MINIO_ROOT_USER=" + endpoint.AccessKey,
		"MINIO_ROOT_PASSWORD=" + endpoint.SecretKey,
		"MINIO_BROWSER=off",
		"MINIO_UPDATE=off",
	}, env...)
	start(t, cmd, endpoint.URL+"/minio/health/live")
	return endpoint
}

// Webhook returns the environment that makes a MinIO server able to send events to url. [Endpoint.Subscribe] does the rest.
func Webhook(url string) []string {
	return []string{"MINIO_NOTIFY_WEBHOOK_ENABLE_1=on", "MINIO_NOTIFY_WEBHOOK_ENDPOINT_1=" + url}
}

// Subscribe makes a MinIO server send the events of bucket to the webhook of [Webhook]: objects created and removed.
func (e Endpoint) Subscribe(t testing.TB, bucket string) {
	t.Helper()
	_, err := e.S3().PutBucketNotificationConfiguration(t.Context(), &s3.PutBucketNotificationConfigurationInput{
		Bucket: &bucket,
		NotificationConfiguration: &types.NotificationConfiguration{
			QueueConfigurations: []types.QueueConfiguration{{
				QueueArn: aws.String(webhookARN),
				Events:   []types.Event{"s3:ObjectCreated:*", "s3:ObjectRemoved:*"},
			}},
		},
	})
	if err != nil {
		t.Fatalf("subscribe bucket %s: %v", bucket, err)
	}
}
