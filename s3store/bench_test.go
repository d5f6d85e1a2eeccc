package s3store_test

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/s3mesh/s3mesh"
)

// BenchmarkSmall measures a 4 KiB PUT and GET by 16 goroutines against a server that does next to nothing. The server's
// CPU is in the figure: about 20 µs.
func BenchmarkSmall(b *testing.B) {
	payload := bytes.Repeat([]byte("x"), 4<<10)
	bucket := serve(b, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"abc"`)
		w.Header().Set("Last-Modified", "Wed, 21 Oct 2015 07:28:00 GMT")
		if r.Method == http.MethodGet {
			w.Header().Set("Content-Length", strconv.Itoa(len(payload)))
			_, _ = w.Write(payload) // a client that went away shows on its side
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
	})
	b.Run("Put", func(b *testing.B) {
		measure(b, func() error {
			_, err := bucket.Put(b.Context(), "some/key", s3mesh.PutInput{
				Body: struct{ io.Reader }{bytes.NewReader(payload)}, Size: int64(len(payload)), Condition: s3mesh.IfAbsent(),
				Attributes: s3mesh.Attributes{ContentType: "text/plain", Metadata: map[string]string{"name": "value"}},
			})
			return err
		})
	})
	b.Run("Get", func(b *testing.B) {
		measure(b, func() error {
			_, body, err := bucket.Get(b.Context(), "some/key", s3mesh.ReadOptions{})
			if err != nil {
				return err
			}
			if _, err := io.Copy(io.Discard, body); err != nil {
				return err
			}
			return body.Close()
		})
	})
}

func measure(b *testing.B, op func() error) {
	b.Helper()
	b.ReportAllocs()
	b.SetParallelism(8) // on 2 cores: 16 goroutines
	before := cpuTime(b)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := op(); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64((cpuTime(b)-before).Microseconds())/float64(b.N), "cpu-µs/op")
}

func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
