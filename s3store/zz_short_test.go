package s3store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/internal/peer"
)

type cut struct{ n int }

func (c *cut) Read(p []byte) (int, error) {
	if c.n <= 0 {
		return 0, errors.New("cut")
	}
	n := min(len(p), c.n)
	c.n -= n
	return n, nil
}

func TestShort(t *testing.T) {
	endpoint := peer.Endpoint{URL: "http://127.0.0.1:7070", Region: "us-east-1", AccessKey: "root", SecretKey: "rootsecret"}
	name := endpoint.CreateBucket(t)
	for _, hash := range []string{"UNSIGNED-PAYLOAD", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b856"} {
		for _, sz := range []int{100, 100_000, 4 << 20} {
			for _, sent := range []int{0, sz / 2, sz - 1} {
				key := fmt.Sprintf("k%d-%d-%s", sz, sent, hash[:4])
				req, _ := http.NewRequest("PUT", endpoint.URL+"/"+name+"/"+key, io.MultiReader(bytes.NewReader(nil), &cut{sent}))
				req.ContentLength = int64(sz)
				req.Header.Set("X-Amz-Content-Sha256", hash)
				v4.NewSigner().SignHTTP(context.Background(), aws.Credentials{AccessKeyID: "root", SecretAccessKey: "rootsecret"}, req, hash, "s3", "us-east-1", time.Now())
				_, err := http.DefaultTransport.RoundTrip(req)
				time.Sleep(200 * time.Millisecond)
				o, _, e2 := openBucket(t, endpoint, name).Get(context.Background(), key, s3mesh.ReadOptions{})
				t.Log(hash[:4], sz, sent, "put:", err, "then:", o.Size, e2)
			}
		}
	}
}
