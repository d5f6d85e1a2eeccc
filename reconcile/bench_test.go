package reconcile

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/s3mesh/s3mesh"
)

const (
	benchKeys    = 1_000_000
	benchFolders = 64
	benchPage    = 1000
)

// fakeListing is a bucket of which only the listing is there: numbered keys in folders, with ETags as S3 has them, made page by
// page as they are asked for.
type fakeListing struct {
	fakeSite // for what a run without differences does not ask
	etags    [64]string
}

func (f *fakeListing) Folders(_ context.Context, prefix string) (folders []string, more bool, err error) {
	if prefix != "" {
		return nil, false, nil
	}
	for i := range benchFolders {
		folders = append(folders, fmt.Sprintf("folder-%02d/", i))
	}
	return folders, false, nil
}

func (f *fakeListing) List(_ context.Context, opt s3mesh.ListOptions) iter.Seq2[[]s3mesh.Listed, error] {
	return func(yield func([]s3mesh.Listed, error) bool) {
		for n := firstAfter(opt.After); n < benchKeys; n += benchPage {
			if !yield(f.items(n, min(n+benchPage, benchKeys)), nil) {
				return
			}
		}
	}
}

const perFolder = benchKeys / benchFolders

// firstAfter returns the number of the first key after one: "folder-07/photo-0000001234.jpg" or just its folder.
func firstAfter(after string) int {
	if after == "" {
		return 0
	}
	folder, _ := strconv.Atoi(after[7:9])
	if len(after) == len("folder-07/") {
		return folder * perFolder
	}
	n, _ := strconv.Atoi(after[16:26])
	return n + 1
}

// items makes a page as a decoder does: the texts of a page share their memory.
func (f *fakeListing) items(from, to int) []s3mesh.Listed {
	const length = len("folder-07/photo-0000001234.jpg")
	text := make([]byte, 0, (to-from)*length)
	for n := from; n < to; n++ {
		folder := min(n/perFolder, benchFolders-1)
		text = append(text, "folder-"...)
		text = append(text, byte('0'+folder/10), byte('0'+folder%10))
		text = append(text, "/photo-"...)
		digits := len(text)
		text = append(text, "0000000000.jpg"...)
		for i, rest := digits+9, n; rest > 0; i, rest = i-1, rest/10 {
			text[i] = byte('0' + rest%10)
		}
	}
	keys := string(text)
	items := make([]s3mesh.Listed, to-from)
	for i := range items {
		items[i] = s3mesh.Listed{Key: keys[i*length : (i+1)*length], Size: int64(from + i), ETag: f.etags[(from+i)%64],
			LastModified: now.AddDate(0, 0, -2)}
	}
	return items
}

// BenchmarkMerge compares three sites of a million equal keys each. keys/s counts each key once; peak-MiB is the heap, with
// what the listings take.
func BenchmarkMerge(b *testing.B) {
	cfg := Config{Sites: map[string]Site{}, Queue: &fakeQueue{}, MaxClockSkew: 2 * time.Second,
		Now: time.Now, Log: slog.New(slog.DiscardHandler)}
	var sites []s3mesh.Site
	for _, name := range []string{"a", "b", "c"} {
		listing := &fakeListing{}
		for i := range listing.etags {
			listing.etags[i] = fmt.Sprintf("%032x", i)
		}
		cfg.Sites[name] = listing
		sites = append(sites, s3mesh.Site{Name: name, Bucket: name})
	}
	cfg.Set = s3mesh.FullMesh("bench", sites...)
	cfg.Dir = b.TempDir()
	runtime.GC()
	peak := watchHeap(b)
	for b.Loop() {
		r := New(cfg)
		r.store.complete(&checkpoint{Links: cfg.Set.Links, Started: now}, 0)
		rep, err := r.Run(b.Context(), Options{}, nil)
		if err != nil || rep.Keys != benchKeys || rep.Differing != 0 || rep.Checked != 0 {
			b.Fatalf("%+v, %v", rep, err)
		}
	}
	b.ReportMetric(float64(benchKeys)*float64(b.N)/b.Elapsed().Seconds(), "keys/s")
	b.ReportMetric(float64(peak())/(1<<20), "peak-MiB")
}

// watchHeap samples the heap until the returned function is called, which returns the peak in bytes.
func watchHeap(b *testing.B) func() uint64 {
	b.Helper()
	done := make(chan struct{})
	var peak uint64
	var group sync.WaitGroup
	group.Go(func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			peak = max(peak, m.HeapInuse)
			select {
			case <-done:
				return
			case <-tick.C:
			}
		}
	})
	return func() uint64 {
		close(done)
		group.Wait()
		return peak
	}
}
