package notify_test

import (
	"testing"

	"github.com/s3mesh/s3mesh/notify"
)

// BenchmarkDecode measures the forms that come in by the thousand per second.
func BenchmarkDecode(b *testing.B) {
	files := sampleFiles(b)
	for _, name := range []string{"aws-put", "minio-put", "versitygw-put", "sns-http", "eventbridge-created", "lambda-sqs"} {
		b.Run(name, func(b *testing.B) {
			body := files[name]
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := notify.Decode(body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
